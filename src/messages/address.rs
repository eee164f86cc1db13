//! Where a socket connects to.
//!
//! Owns: an address as workers and probes connect to it. Never: a name that has still to be looked up.

use std::path::Path;
use std::sync::Arc;

/// Where a socket connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketAddress {
    /// An address and a port.
    Tcp(std::net::SocketAddr),
    /// A path.
    Unix(Arc<Path>),
}
