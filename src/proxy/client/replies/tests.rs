use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prop_assert_eq;
use proptest::proptest;

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

    /// From a server.
    fn hear(&mut self, to: u32, reply: &'static [u8]) {
        let chunk = Bytes::from_static(reply);
        let reply = Reply::InChunk(&chunk, 0..chunk.len());
        self.replies
            .deliver((to, 0), reply, 0, CONN, &mut self.wire);
    }

    fn push(&mut self, message: &[u8]) {
        let message = Bytes::copy_from_slice(message);
        self.replies.push(&message, CONN, &mut self.wire);
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
    let first = client.replies.expect(Due::One);
    let second = client.replies.expect(Due::One);
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
    let first = client.replies.expect(Due::One);
    let sum = Gathering::new(Protocol::Resp.join(Gather::Sum, Vec::new()), 2);
    let both = client.replies.expect(Due::Gathered(Box::new(sum)));
    client.deliver((both, 1), b":2\r\n");
    client.deliver((both, 0), b":40\r\n");
    assert_eq!(client.taken(), b"");
    client.deliver((first, 0), b"+1\r\n");
    assert_eq!(client.taken(), b"+1\r\n:42\r\n");
}

#[test]
fn a_part_that_has_not_left_can_be_taken_back() {
    let mut client = Client::new();
    let only = client.replies.expect(Due::One);
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
    client.replies.expect(Due::One);
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
    let first = client.replies.expect(Due::One);
    client.deliver((first, 0), b"+small\r\n");
    for _ in 0..3 {
        assert!(client.replies.has_room(limits));
        client.replies.expect(Due::One);
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

#[test]
fn who_gets_no_reply_stands_in_nobodys_way_and_is_counted_until_its_end() {
    let mut client = Client::new();
    client.replies.expect(Due::Nothing);
    client.replies.request_sent(100);
    client.put(b"+1\r\n");
    assert_eq!(client.taken(), b"+1\r\n");
    assert_eq!(client.replies.in_flight(), 1);
    assert!(!client.replies.is_settled());
    client.replies.end_silent(100);
    assert!(client.replies.is_settled());
    assert_eq!(client.replies.count_anew(), (0, 0));
}

#[test]
fn a_push_stands_between_replies_in_its_order_and_never_within_one() {
    let mut client = Client::new();
    let first = client.replies.expect(Due::One);
    let second = client.replies.expect(Due::One);
    client.push(b">a");
    client.deliver_part(b"$6\r\nabc");
    client.push(b">b");
    client.push(b">c");
    assert_eq!(client.replies.owed_bytes(), 13);
    client.hear(second, b"+2\r\n");
    client.hear(first, b"def\r\n");
    client.push(b">d");
    let all = b">a$6\r\nabcdef\r\n>b>c+2\r\n>d";
    assert_eq!(
        client.taken().escape_ascii().to_string(),
        all.escape_ascii().to_string()
    );
}

#[test]
fn a_push_that_waited_for_a_part_that_was_taken_back_comes_before_the_reply() {
    let mut client = Client::new();
    let only = client.replies.expect(Due::One);
    client.deliver_part(b"$6\r\nabc");
    client.push(b">a");
    assert!(client.replies.take_back());
    client.deliver((only, 0), b"-ERR\r\n");
    assert_eq!(client.taken(), b">a-ERR\r\n");
}

proptest! {
    /// Whatever the order in which replies and pushes come, each request has its own at its place.
    #[test]
    fn any_order_of_arrival_leaves_in_the_order_of_the_requests(
        kinds in vec(0u8..3, 1..12),
        order in vec(any::<prop::sample::Index>(), 60),
        pushes in vec(any::<bool>(), 60),
    ) {
        let mut client = Client::new();
        // What is still to come for each request, first to last.
        let mut coming: Vec<(u32, Vec<&'static [u8]>)> = Vec::new();
        let mut expected = Vec::new();
        for kind in kinds {
            match kind {
                0 => client.replies.expect(Due::Nothing),
                1 => {
                    let number = client.replies.expect(Due::One);
                    coming.push((number, vec![b"+one\r\n"]));
                    expected.extend_from_slice(b"+one\r\n");
                    number
                }
                _ => {
                    client.put(b"+own\r\n");
                    expected.extend_from_slice(b"+own\r\n");
                    0
                }
            };
        }
        let (mut taken, mut pushed) = (Vec::new(), 0);
        for (which, pushes) in order.into_iter().zip(pushes) {
            if pushes {
                client.push(b">push\r\n");
                pushed += 1;
            }
            if !coming.is_empty() {
                let at = which.index(coming.len());
                let (number, replies) = &mut coming[at];
                let (number, reply) = (*number, replies.remove(0));
                if replies.is_empty() {
                    coming.remove(at);
                }
                client.hear(number, reply);
            }
            taken.extend(client.taken());
        }
        let text = String::from_utf8(taken).unwrap();
        prop_assert_eq!(text.matches(">push\r\n").count(), pushed);
        prop_assert_eq!(text.replace(">push\r\n", "").into_bytes(), expected);
    }
}
