use super::*;

fn large(byte: u8) -> Bytes {
    Bytes::from(vec![byte; SHARE_BYTES_MIN])
}

#[test]
fn bytes_leave_in_the_order_they_came_copied_or_shared() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    queue.push_copy(b"head ", &mut spare);
    queue.push(large(b'x'), &mut spare);
    queue.push(Bytes::from_static(b" small "), &mut spare);
    queue.push_copy(b"tail", &mut spare);
    assert_eq!(queue.len(), 5 + SHARE_BYTES_MIN + 11);
    let batch = queue.take();
    assert!(queue.is_empty());
    let slices: Vec<&[u8]> = batch.slices().collect();
    assert_eq!(slices.len(), 3, "small pieces travel together");
    assert_eq!((slices[0], slices[2]), (&b"head "[..], &b" small tail"[..]));
    assert_eq!(batch.len(), 5 + SHARE_BYTES_MIN + 11);
}

#[test]
fn a_large_piece_is_not_copied() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    let piece = large(b'x');
    let place = piece.as_ptr();
    queue.push(piece, &mut spare);
    assert_eq!(
        queue.take().slices().next().map(<[u8]>::as_ptr),
        Some(place)
    );
}

#[test]
fn the_front_is_taken_anywhere_and_the_rest_stays() {
    let cuts = [0, 3, 4, 5, SHARE_BYTES_MIN + 4, SHARE_BYTES_MIN + 6];
    for cut in cuts {
        let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
        queue.push_copy(b"head", &mut spare);
        queue.push(large(b'x'), &mut spare);
        queue.push_copy(b"tail", &mut spare);
        let whole = queue.to_vec();
        let batch = queue.take_front(cut);
        let front: Vec<u8> = batch.slices().flatten().copied().collect();
        assert_eq!(
            (front, queue.to_vec()),
            (whole[..cut].into(), whole[cut..].into())
        );
        assert_eq!((batch.len(), queue.len()), (cut, whole.len() - cut));
    }
}

#[test]
fn bytes_in_the_middle_are_taken_out_and_large_pieces_stay_where_they_are() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    let piece = large(b'x');
    let place = piece.as_ptr();
    queue.push_copy(b"one two ", &mut spare);
    queue.push(piece, &mut spare);
    queue.push(large(b'y'), &mut spare);
    queue.push_copy(b"three four", &mut spare);
    let stretches = [
        (4, true),
        (4, false),
        (SHARE_BYTES_MIN, true),
        (SHARE_BYTES_MIN - 1, false),
        (1 + 6, true),
        (4, false),
    ];
    queue.retain(stretches, &mut spare);
    let expected = [&b"one "[..], &[b'x'; SHARE_BYTES_MIN], b"ythree "].concat();
    assert_eq!(queue.to_vec(), expected);
    assert_eq!(queue.len(), expected.len());
    assert!(queue.slices().any(|slice| slice.as_ptr() == place));
}

#[test]
fn what_was_taken_and_not_sent_goes_back_to_the_front() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    queue.push_copy(b"first ", &mut spare);
    let batch = queue.take();
    queue.push_copy(b"second", &mut spare);
    queue.untake(batch);
    assert_eq!(queue.to_vec(), b"first second");
    assert_eq!(queue.len(), 12);
}

#[test]
fn a_cursor_reads_across_stretches() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    queue.push_copy(b"ab", &mut spare);
    queue.push(large(b'x'), &mut spare);
    queue.push_copy(b"cd", &mut spare);
    let mut cursor = queue.cursor();
    assert_eq!(cursor.next_byte(&queue), Some(b'a'));
    let mut to = ByteQueue::default();
    cursor.move_to(&queue, 1 + SHARE_BYTES_MIN + 1, &mut to, &mut spare);
    assert_eq!(to.len(), SHARE_BYTES_MIN + 2);
    assert_eq!(cursor.next_byte(&queue), Some(b'd'));
    assert_eq!(cursor.next_byte(&queue), None);
}

#[test]
fn bytes_are_dropped_from_the_front_across_stretches() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    queue.push_copy(b"ab", &mut spare);
    queue.push(large(b'x'), &mut spare);
    queue.push_copy(b"cd", &mut spare);
    queue.drop_front(1);
    assert_eq!(queue.len(), SHARE_BYTES_MIN + 3);
    queue.drop_front(1 + SHARE_BYTES_MIN);
    assert_eq!(queue.to_vec(), b"cd");
}

#[test]
fn bytes_are_dropped_from_the_back_across_stretches() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    queue.push_copy(b"ab", &mut spare);
    queue.push(large(b'x'), &mut spare);
    queue.push_copy(b"cd", &mut spare);
    queue.drop_back(1);
    assert_eq!(queue.len(), SHARE_BYTES_MIN + 3);
    queue.drop_back(1 + SHARE_BYTES_MIN);
    assert_eq!((queue.len(), queue.to_vec()), (2, b"ab".to_vec()));
}

#[test]
fn a_long_tail_is_made_of_buffers_that_are_used_again() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    let piece: Vec<u8> = (0..=255).collect();
    (0..1000).for_each(|_| queue.push_copy(&piece, &mut spare));
    assert_eq!(queue.len(), 256_000);
    assert_eq!(queue.to_vec(), piece.repeat(1000));
    spare.give_batch(queue.take());
    assert!(spare.buffers.len() >= 5, "{}", spare.buffers.len());
}

#[test]
fn an_empty_queue_owns_no_memory() {
    let (mut queue, mut spare) = (ByteQueue::default(), Spare::default());
    queue.push_copy(b"x", &mut spare);
    spare.give_batch(queue.take());
    assert_eq!((queue.tail.capacity(), queue.segments.capacity()), (0, 0));
}
