//! Where a pool listens, and what its servers are.
//!
//! Owns: addresses as the file has them, and how they are shown. Never: the grammar, which is
//! `address`'s; a resolved name.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

/// One configured server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// What the continuum and the statistics call it: the name, or twemproxy's text without one.
    pub name: Arc<str>,
    /// Whether the file gave a name, so that a changed address moves no key.
    pub named: bool,
    /// Where it is.
    pub address: ServerAddress,
    /// At least 1.
    pub weight: NonZeroU32,
}

/// Where a pool listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// `ip:port`, `[ip6]:port`, or `name:port` (resolved when the listener is opened).
    Tcp(HostPort),
    /// `/path[ mode]`.
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// The permission bits, at most 0777; `None` leaves what the umask gives.
        mode: Option<u32>,
    },
}

impl ListenAddress {
    /// Nobody can connect there: what a pool has until its file says where.
    pub(super) fn nowhere() -> ListenAddress {
        ListenAddress::Unix {
            path: PathBuf::new(),
            mode: None,
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `host:port`.
    Tcp(HostPort),
    /// `/path`.
    Unix(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPort {
    /// The host was an IP address.
    Ip(SocketAddr),
    /// The host is a name that the resolver knows.
    Name {
        /// As in the file.
        host: Arc<str>,
        /// 1..=65535.
        port: u16,
    },
}

impl fmt::Display for ListenAddress {
    /// As in the file, without the permissions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

impl fmt::Display for ServerAddress {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Tcp(address) => address.fmt(f),
            ServerAddress::Unix(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for HostPort {
    /// As in the file, but IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPort::Ip(address) => address.fmt(f),
            HostPort::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}
