//! What the control plane tells the data planes, all of them alike.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::messages::SocketAddress;

/// A change of the world that takes effect between two passes of a worker's loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A server's name was looked up: these are its addresses, best first; none if it is unknown.
    Addresses {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
        /// Where it is.
        addresses: Vec<SocketAddress>,
    },
    /// A server is elsewhere from now on: its master has been replaced. These addresses are used and
    /// no other, also none that its name is found to have.
    Moved {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
        /// Where it is.
        addresses: Vec<SocketAddress>,
    },
    /// These replicas of a server may be read, and no other.
    Replicas {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
        /// Where they are.
        addresses: Vec<SocketAddr>,
    },
    /// Writes are to be refused, or are no longer: whether a majority of the Sentinels is heard.
    Fence {
        /// Which pool's.
        pool: PoolIdx,
        /// Whether they are refused.
        fenced: bool,
    },
    /// The Sentinels have said for how long requests are to be held for servers that fail; it counts
    /// where the file does not say.
    Hold {
        /// Which pool's.
        pool: PoolIdx,
        /// The longest.
        within: Duration,
    },
    /// A server's master is about to be replaced: writes to it wait until `Moved`, until
    /// `ReleaseWrites`, or for so long.
    HoldWrites {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
        /// How long at the most.
        within: Duration,
    },
    /// They wait no longer: its master stays, or nobody knows.
    ReleaseWrites {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
    /// A server has failed somewhere: the next good reply is worth a report.
    Suspect {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
    /// A server is ejected: no key lives there until it is readmitted.
    Eject {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
    /// A server that had failed answers again: whoever waits to connect to it does so now.
    Reachable {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
    /// A server is back.
    Readmit {
        /// The server's pool.
        pool: PoolIdx,
        /// The server.
        server: ServerIdx,
    },
}
