//! What a server has said of itself: which release it is, and whether it speaks RESP3.
//!
//! Clients choose what they ask by the release that they are told, so it is the lowest of those behind the
//! pool. A server that speaks no RESP3 makes its pool one without: a client may need any server.
//!
//! Owns: what is known, and whether it is enough. Never: asks.

use crate::base::Key;
use crate::base::Time;
use crate::protocol::Release;

/// Redis 6 was the first to know RESP3, and this is the last line before it.
pub(in crate::proxy) const WITHOUT_RESP3: Release = Release(5, 0, 0);

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Knowledge {
    /// It was not asked, or may be another one by now.
    Unknown,
    /// It is asked on this connection.
    Asked(Key),
    /// It speaks RESP3, and is this release, if it says which.
    Speaks(Option<Release>),
    /// It does not speak RESP3.
    SpeaksNot,
    /// It could not be asked, and is not before then.
    Silent(Time),
}

impl Knowledge {
    /// Whether there is no use in waiting for more.
    pub(in crate::proxy) fn is_enough(self, now: Time) -> bool {
        match self {
            Knowledge::Unknown | Knowledge::Asked(_) => false,
            Knowledge::Speaks(_) | Knowledge::SpeaksNot => true,
            Knowledge::Silent(until) => now < until,
        }
    }
}
