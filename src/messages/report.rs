//! What a worker tells the control plane of servers.
//!
//! Owns: the facts that concern the whole process. Never: what follows from them, which is
//! `ejection`'s and `control`'s.

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;

/// A fact for the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// One event of failure: a connection refused or lost, a request timed out, a reply that says
    /// that the server cannot serve.
    ServerFailed {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
        /// When what has failed began: the connection, or the request. What began before another
        /// failure was counted has failed with it.
        since: Time,
        /// When it failed.
        at: Time,
        /// Whether it is the server itself that says so, and answers.
        answers: bool,
    },
    /// The first good reply of a server that was suspected.
    ServerAnswered {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
}
