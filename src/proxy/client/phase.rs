//! How far a client's connection has come.

use crate::base::Time;

/// How far a client's connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Phase {
    /// Requests are read.
    Open,
    /// No more requests are read; replies that are due are delivered first.
    Ending {
        /// Whether the client may still be sending: then it is given time to read its last reply,
        /// which a close with unread bytes would destroy.
        linger: bool,
    },
    /// Everything is delivered and the sending half is closed; what still comes is thrown away.
    Lingering {
        /// Then it is closed; the timer may come up before, for the idle client that it was.
        until: Time,
    },
    /// The socket is being closed.
    Closed,
}
