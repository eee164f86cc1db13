//! Awaits the replies to the fragments of one request.
//!
//! Owns: how many are still to come. Never: knows which server sent them, or how they join: that
//! is the protocol's.

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Join;
use crate::protocol::ReplyError;

/// The replies to one split request.
#[derive(Debug)]
pub(in crate::proxy) struct Gathering {
    waiting: u32,
    held_bytes: usize,
    join: Join,
}

impl Gathering {
    /// Awaits one reply from each of `fragments` fragments.
    pub(in crate::proxy) fn new(join: Join, fragments: u32) -> Gathering {
        Gathering {
            waiting: fragments,
            held_bytes: 0,
            join,
        }
    }

    /// Takes fragment `index`'s reply; whether it was the last.
    pub(in crate::proxy) fn add(&mut self, index: u32, reply: ByteQueue) -> bool {
        debug_assert!(self.waiting > 0, "more replies than fragments");
        self.waiting -= 1;
        self.held_bytes += reply.len();
        self.join.add(index, reply);
        self.waiting == 0
    }

    /// Looks whether a server may say this to fragment `index`.
    pub(in crate::proxy) fn check(&self, index: u32, reply: &ByteQueue) -> Result<(), ReplyError> {
        self.join.check(index, reply)
    }

    /// How many replies are still to come.
    pub(in crate::proxy) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// How many bytes of replies have come.
    pub(in crate::proxy) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The reply to the whole request.
    pub(in crate::proxy) fn finish(self, out: &mut ByteQueue, spare: &mut Spare) {
        self.join.finish(out, spare);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::Protocol;
    use crate::protocol::command::Gather;

    #[test]
    fn it_ends_with_the_last_reply_and_counts_their_bytes() {
        let mut spare = Spare::default();
        let mut reply = || {
            let mut queue = ByteQueue::default();
            queue.push(Bytes::from_static(b"what a server says"), &mut spare);
            queue
        };
        let mut gathering = Gathering::new(Protocol::Resp.join(Gather::Sum, Vec::new()), 2);
        assert!(!gathering.add(1, reply()));
        assert!(gathering.add(0, reply()));
        assert_eq!(gathering.held_bytes(), 36);
    }
}
