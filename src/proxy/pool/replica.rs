//! One replica of a server, and which clients are its own.

use std::hash::Hash;
use std::hash::Hasher;
use std::net::SocketAddr;

use fnv::FnvHasher;

use crate::base::Random;
use crate::base::Time;
use crate::proxy::pool::conns::ConnTable;

/// One end of a way to a server's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Target {
    /// The server itself.
    Master,
    /// One of its replicas, by its place among them.
    Replica(usize),
}

/// A replica that may be read.
#[derive(Debug)]
pub(in crate::proxy) struct Replica {
    pub(in crate::proxy) at: SocketAddr,
    pub(in crate::proxy) conns: ConnTable,
    /// It has failed for this worker and is not asked before then.
    pub(in crate::proxy) avoided_until: Time,
    salt: u64,
}

impl Replica {
    pub(in crate::proxy) fn new(at: SocketAddr, conns: ConnTable) -> Replica {
        let mut hasher = FnvHasher::default();
        at.hash(&mut hasher);
        Replica {
            at,
            conns,
            avoided_until: Time::ZERO,
            salt: hasher.finish(),
        }
    }

    // The replica with the highest number is the client's: when one comes or goes, only its own
    // clients change (rendezvous hashing).
    pub(in crate::proxy) fn number_for(&self, client: u64) -> u64 {
        Random::new(self.salt ^ client.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next_u64()
    }
}
