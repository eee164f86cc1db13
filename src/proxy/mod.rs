//! proxy (stub).

use std::net::SocketAddr;

use crate::base::PoolIdx;
use crate::base::ServerIdx;

/// Stub.
#[derive(Clone, Debug)]
pub enum Change {
    /// Stub.
    Address {
        /// Stub.
        pool: PoolIdx,
        /// Stub.
        server: ServerIdx,
        /// Stub.
        addresses: Vec<SocketAddr>,
    },
}

/// Stub.
#[derive(Clone, Debug)]
pub enum Report {}
