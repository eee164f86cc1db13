use bytes::Bytes;

use super::*;
use crate::base::Key;
use crate::protocol::Protocol;
use crate::protocol::command::Gather;

const CONN: ConnId = ConnId::Client(Key::NONE);

struct Client {
    replies: Replies,
    wire: Wire,
}

impl Client {
    fn new() -> Client {
        Client {
            replies: Replies::new(Time::ZERO),
            wire: Wire::default(),
        }
    }

    fn put(&mut self, reply: &[u8]) {
        self.replies.put(reply, CONN, &mut self.wire);
    }

    fn deliver(&mut self, to: (u32, u32), reply: &[u8]) {
        let reply = Reply::<Bytes>::Own(reply);
        self.replies.deliver(to, reply, 0, CONN, &mut self.wire);
    }

    fn deliver_part(&mut self, part: &[u8]) {
        let mut bytes = ByteQueue::default();
        bytes.push_copy(part, &mut self.wire.spare);
        self.replies.deliver_part(bytes, CONN, &mut self.wire);
    }

    /// All that it has been given since it was asked last.
    fn taken(&mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(batch) = self.replies.take_batch() {
            batch
                .slices()
                .for_each(|slice| taken.extend_from_slice(slice));
            self.replies.sent(CONN, &mut self.wire, Time::ZERO);
        }
        self.replies.count_anew();
        taken
    }
}

#[test]
fn replies_leave_in_the_order_of_the_requests() {
    let mut client = Client::new();
    let first = client.replies.expect_one();
    let second = client.replies.expect_one();
    client.put(b"+3\r\n");
    client.deliver((second, 0), b"+2\r\n");
    assert_eq!(client.taken(), b"");
    assert_eq!(client.replies.owed_bytes(), 8);
    client.deliver((first, 0), b"+1\r\n");
    assert_eq!(client.taken(), b"+1\r\n+2\r\n+3\r\n");
    assert!(client.replies.is_settled());
}

#[test]
fn a_gathered_reply_waits_for_its_last_fragment_and_for_its_turn() {
    let mut client = Client::new();
    let first = client.replies.expect_one();
    let sum = Gathering::new(Protocol::Resp.join(Gather::Sum, Vec::new()), 2);
    let both = client.replies.expect_gathered(sum);
    client.deliver((both, 1), b":2\r\n");
    client.deliver((both, 0), b":40\r\n");
    assert_eq!(client.taken(), b"");
    client.deliver((first, 0), b"+1\r\n");
    assert_eq!(client.taken(), b"+1\r\n:42\r\n");
}

#[test]
fn a_part_that_has_not_left_can_be_taken_back() {
    let mut client = Client::new();
    let only = client.replies.expect_one();
    assert!(client.replies.is_due(only) && !client.replies.is_due(only + 1));
    client.deliver_part(b"$9\r\nabc");
    assert!(client.replies.take_back());
    assert_eq!(client.taken(), b"");
    client.deliver_part(b"$9\r\nabc");
    assert_eq!(client.taken(), b"$9\r\nabc");
    assert!(!client.replies.take_back(), "it has left");
}

#[test]
fn nothing_follows_a_reply_that_was_cut_off() {
    let mut client = Client::new();
    client.replies.expect_one();
    client.deliver_part(b"$9\r\nabc");
    client.replies.cut_off();
    assert!(!client.replies.can_go_on());
    assert_eq!(client.taken(), b"$9\r\nabc");
    assert!(client.replies.is_settled());
}

#[test]
fn room_is_counted_in_requests_and_in_bytes_of_both_kinds() {
    let limits = ClientLimits {
        bytes: 4 << 20,
        requests: 3,
    };
    let mut client = Client::new();
    let first = client.replies.expect_one();
    client.deliver((first, 0), b"+small\r\n");
    for _ in 0..3 {
        assert!(client.replies.has_room(limits));
        client.replies.expect_one();
    }
    assert!(!client.replies.has_room(limits), "three are on their way");
    client.replies.request_sent(5 << 20);
    assert!(client.replies.is_beyond(limits));
    client.replies.give_up();
    assert_eq!(client.replies.in_flight(), 0);
    client.put(&vec![b'x'; 5 << 20]);
    assert!(!client.replies.has_room(limits), "replies are not taken");
    assert!(!client.taken().is_empty());
    assert!(client.replies.has_room(limits) && client.replies.has_much_room(limits));
}

#[test]
fn a_batch_is_bounded_and_one_at_a_time() {
    let mut client = Client::new();
    client.put(&vec![b'x'; BATCH_BYTES_MAX + 1]);
    let batch = client.replies.take_batch().unwrap();
    assert_eq!(batch.len(), BATCH_BYTES_MAX);
    assert!(client.replies.take_batch().is_none(), "one is being sent");
    assert_eq!(client.replies.sending_bytes(), BATCH_BYTES_MAX);
    client
        .replies
        .sent(CONN, &mut client.wire, Time::from_micros(9));
    assert_eq!(client.replies.last_taken(), Time::from_micros(9));
    assert_eq!(client.taken(), b"x");
}
