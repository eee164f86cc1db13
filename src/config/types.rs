//! What a valid file says, in types.
//!
//! Owns: the shapes that the rest of the house reads. Never: a text that has still to be
//! understood; a default, which is `draft`'s.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::draft::Draft;
use crate::config::hold::HoldTime;
use crate::config::order::twemproxy_order;
use crate::config::warning::Warning;
use crate::route::Distribution;
use crate::route::Hash;
use crate::route::HashTag;

/// A file that passed every rule. Pools are in twemproxy's order (shorter name first, then bytes).
#[derive(Clone, Debug)]
pub struct Config {
    /// At least one.
    pub pools: Vec<PoolConfig>,
    /// What is allowed and probably not meant, in the file's order.
    pub(super) warnings: Vec<Warning>,
}

impl Config {
    /// A configuration that comes from no file; the pools are put in twemproxy's order. None of
    /// the rules about several pools is checked.
    #[must_use]
    pub fn from_pools(mut pools: Vec<PoolConfig>) -> Config {
        pools.sort_by(|a, b| twemproxy_order(&a.name, &b.name));
        Config {
            pools,
            warnings: Vec::new(),
        }
    }

    /// What the start-up logs: facts that are allowed and probably not meant, in the file's order.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// A listening address and the servers behind it; what changes together stands together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// The top-level key in the file.
    pub name: Arc<str>,
    /// `redis`: which protocol the pool speaks.
    pub protocol: Protocol,
    /// `unknown_commands`: what happens to a command that is not in the table.
    pub unknown_commands: UnknownCommands,
    /// `ready_servers`: how many servers must be usable for the pool to be ready.
    pub ready_servers: ReadyServers,
    /// Where clients connect.
    pub listen: ListenConfig,
    /// How much may be under way.
    pub limits: LimitConfig,
    /// How long things may take.
    pub timeouts: TimeoutConfig,
    /// What a server connection says first.
    pub greeting: GreetingConfig,
    /// Where keys live.
    pub mapping: MappingConfig,
    /// How many connections to servers there are.
    pub connections: ConnectionConfig,
    /// What becomes of a server that fails, and of its requests.
    pub failure: FailureConfig,
    /// Who says where the servers' masters are.
    pub sentinels: SentinelConfig,
    /// Who answers commands that only read.
    pub replicas: ReplicaConfig,
    /// At least one, in twemproxy's order (shorter name first, then bytes).
    pub servers: Vec<ServerConfig>,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenConfig {
    /// `listen`.
    pub address: ListenAddress,
    /// `freebind`: listen on an address that this host does not have yet (a virtual IP).
    pub freebind: bool,
    /// `backlog` of listen(2).
    pub backlog: u32,
    /// `tcpkeepalive` on clients' sockets.
    pub tcpkeepalive: bool,
}

/// How much may be under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// `client_connections`: the most clients at once in the process; `None` (0) is no limit.
    pub client_connections: Option<NonZeroU32>,
    /// `client_output_limit`: how many bytes of replies may wait for a client that does not read
    /// them; at least 1.
    pub client_output_bytes: usize,
    /// `client_requests_in_flight`: how many requests of one client may await replies before the
    /// proxy stops reading from it.
    pub client_requests_in_flight: NonZeroU32,
    /// `server_queue_bytes`: how many bytes of requests may wait to be sent on one server
    /// connection before the proxy stops reading from the clients that fill it; at least 1.
    pub server_queue_bytes: usize,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutConfig {
    /// `timeout`: how long a request may take; `None` is for ever.
    pub request: Option<Duration>,
    /// `connect_timeout`: how long connecting to a server may take; never zero.
    pub connect: Duration,
    /// `client_idle_timeout`: a client that says nothing for this long, with no reply due, is
    /// closed; `None` (0) is never.
    pub client_idle: Option<Duration>,
    /// `resolve_interval`: how often a server's host name is resolved again; `None` (0) is only
    /// when connecting.
    pub resolve_interval: Option<Duration>,
}

/// What a server connection says first, and what is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreetingConfig {
    /// `redis_auth`: the password asked of clients and given to servers.
    pub redis_auth: Option<Secret>,
    /// `redis_db`: the database selected on every server connection.
    pub redis_db: u32,
}

/// Where keys live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingConfig {
    /// `hash`.
    pub hash: Hash,
    /// `hash_tag`.
    pub hash_tag: Option<HashTag>,
    /// `distribution`.
    pub distribution: Distribution,
}

/// How many connections to servers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// `server_connections` to each server, for each worker.
    pub per_server: NonZeroU32,
    /// `preconnect`: connect to every server at start.
    pub preconnect: bool,
}

/// What becomes of a server that fails, and of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureConfig {
    /// `on_server_failure`: what becomes of the requests for a server that does not serve.
    pub policy: OnServerFailure,
    /// `server_retry_timeout`: how long a server stays ejected before it is tried again.
    pub retry_timeout: Duration,
    /// `server_failure_limit`: this many failures in a row eject a server.
    pub limit: u32,
    /// `hold_ms`: the longest a request is held for a server that fails. Of use only with
    /// [`OnServerFailure::Hold`].
    pub hold_time: HoldTime,
    /// `hold_bytes`: how many bytes of requests a worker holds for one server.
    pub hold_bytes: usize,
}

impl FailureConfig {
    /// `auto_eject_hosts`: whether a server that fails is ejected.
    #[must_use]
    pub fn ejects(&self) -> bool {
        self.policy == OnServerFailure::Rehash
    }
}

/// Who says where the servers' masters are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelConfig {
    /// `sentinels`; empty when nobody does. If not, every server is named.
    pub addresses: Vec<HostPort>,
    /// `sentinel_user`: the user to log in as at the Sentinels; never without a password.
    pub user: Option<Arc<str>>,
    /// `sentinel_password`: given to the Sentinels.
    pub password: Option<Secret>,
    /// `require_sentinel_quorum`: refuse writes while no majority of the Sentinels is heard; only
    /// where there are Sentinels.
    pub require_quorum: bool,
}

/// Who answers commands that only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// `read_from`: others than masters only where there are Sentinels.
    pub read_from: ReadFrom,
    /// `replica_lag_ms`: how far a replica may be behind its master and be read; never zero.
    pub lag: Duration,
}

impl PoolConfig {
    /// A pool with the defaults of a file that says nothing but this; the servers are put in
    /// twemproxy's order.
    #[must_use]
    pub fn new(name: &str, listen: ListenAddress, servers: Vec<ServerConfig>) -> PoolConfig {
        Draft::new().finish(name, listen, servers)
    }
}

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

/// What a pool speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RESP.
    Redis,
    /// memcached's text protocol.
    Memcached,
}

/// What a command that is not in the table gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownCommands {
    /// An error reply.
    #[default]
    Refuse,
    /// Its first argument is taken for a key.
    Forward,
}

/// Who answers commands that only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The master, as everything else.
    Master,
    /// A replica if one may be read, else the master.
    PreferReplica,
    /// A replica and nobody else.
    Replica,
}

/// How many of its servers a pool needs to be called ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyServers {
    /// Every one.
    All,
    /// So many, or all if there are fewer.
    AtLeast(NonZeroU32),
}

impl ReadyServers {
    /// How many that is of `servers`.
    #[must_use]
    pub fn of(self, servers: usize) -> usize {
        match self {
            ReadyServers::All => servers,
            ReadyServers::AtLeast(number) => servers.min(number.get() as usize),
        }
    }
}

impl Default for ReadyServers {
    /// One: a pool that serves a part of its keys serves. Every proxy sees the same servers, so
    /// sending the clients to another one would take away that part, too.
    fn default() -> ReadyServers {
        ReadyServers::AtLeast(NonZeroU32::MIN)
    }
}

/// What becomes of the requests for a server that does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnServerFailure {
    /// The server is ejected and its keys move to the others until it is readmitted
    /// (`auto_eject_hosts: true`). For caches.
    Rehash,
    /// They get an error at once; no key moves. For data.
    Fail,
    /// They wait for the server to come back or to be replaced, within `hold_ms` and
    /// `hold_bytes`, then get an error; no key moves. For data with failover.
    Hold,
}

/// A password: it is compared, and sent, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the password's bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    /// The password's bytes, for comparing and sending.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
