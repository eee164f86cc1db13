//! What clients listen to: the words of it, and one `match` for each thing that the data plane asks of
//! a protocol about it.
//!
//! Owns: which channels every server publishes by itself. Never: a frame.

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Spare;
use crate::protocol::Protocol;
use crate::protocol::Version;
use crate::protocol::resp;

/// What a name to listen to means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicKind {
    /// The channel of that name.
    Channel,
    /// All channels whose names match.
    Pattern,
    /// The channel of that name among those of Redis Cluster's shards, which are others.
    Shard,
}

impl TopicKind {
    /// Each of them, in the order of their numbers.
    pub const ALL: [TopicKind; 3] = [TopicKind::Channel, TopicKind::Pattern, TopicKind::Shard];
}

/// What a server says on a connection on which nothing but listening is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Somebody has published what those hear who listen to this.
    Message(TopicKind, &'a [u8]),
    /// The next request to listen is done; or, with `false`, the next one to listen no longer.
    Confirmed(TopicKind, bool, &'a [u8]),
    /// It lives.
    Pong,
    /// The next request is not done.
    Refused,
    /// Nothing that it should say.
    Odd,
}

/// How the channels are called on which a server tells what happens to its own keys.
const OF_KEYS: [&[u8]; 6] = [
    b"__keyspace@",
    b"__keyevent@",
    b"__subkeyspace@",
    b"__subkeyevent@",
    b"__subkeyspaceitem@",
    b"__subkeyspaceevent@",
];

/// Whether every server publishes on this channel, what happens to its own keys: so it is listened to
/// on all of them. Others live on one.
#[must_use]
pub fn is_everywhere(channel: &[u8]) -> bool {
    channel.starts_with(b"__") && OF_KEYS.iter().any(|prefix| channel.starts_with(prefix))
}

/// Only RESP has messages: no other protocol's table has a command that asks for any.
impl Protocol {
    /// What a message from a server is that listens for us.
    #[must_use]
    pub fn heard(self, frame: &[u8]) -> Heard<'_> {
        match self {
            Protocol::Resp => resp::heard(frame),
            _ => Heard::Odd,
        }
    }

    /// Appends the request to listen to one topic, or to do so no longer.
    pub fn write_listen(
        self,
        (kind, begins, topic): (TopicKind, bool, &[u8]),
        queue: &mut ByteQueue,
        spare: &mut Spare,
    ) {
        match self {
            Protocol::Resp => resp::write_listen((kind, begins, topic), queue, spare),
            _ => debug_assert!(false, "nobody can ask for it"),
        }
    }

    /// Appends the question whether a server that listens for us lives.
    pub fn write_ping(self, queue: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Protocol::Resp => resp::write_ping(queue, spare),
            _ => debug_assert!(false, "nobody can ask for it"),
        }
    }

    /// Appends what a client is told of one topic that it listens to from now on, or no longer, and of
    /// how many it does. Without a topic there was none to end.
    pub fn write_confirmation(
        self,
        version: Version,
        (kind, begins, topic): (TopicKind, bool, Option<&[u8]>),
        count: usize,
        out: &mut Vec<u8>,
    ) {
        match self {
            Protocol::Resp => resp::write_confirmation(version, (kind, begins, topic), count, out),
            _ => debug_assert!(false, "nobody can ask for it"),
        }
    }

    /// A message as a client of this version reads it: mostly the same bytes.
    #[must_use]
    pub fn retell(self, version: Version, message: &Bytes) -> Bytes {
        match self {
            Protocol::Resp => resp::retell(version, message),
            _ => message.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_everywhere;

    #[test]
    fn what_happens_to_keys_is_told_by_their_servers() {
        for channel in [
            "__keyspace@0__:mykey",
            "__keyevent@15__:del",
            "__keyspace@0__:",
        ] {
            assert!(is_everywhere(channel.as_bytes()), "{channel}");
        }
        for channel in [
            "",
            "__",
            "news",
            "keyspace@0__:a",
            "__keyspac",
            "__sentinel__:hello",
        ] {
            assert!(!is_everywhere(channel.as_bytes()), "{channel}");
        }
    }
}
