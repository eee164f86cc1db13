//! A pool while its keys are being read.
//!
//! Owns: the defaults. Never: a rule; a draft may still lack what a pool must have.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::config::hold::HoldTime;
use crate::config::order::twemproxy_order;
use crate::config::types::ConnectionConfig;
use crate::config::types::FailureConfig;
use crate::config::types::GreetingConfig;
use crate::config::types::HostPort;
use crate::config::types::LimitConfig;
use crate::config::types::ListenAddress;
use crate::config::types::ListenConfig;
use crate::config::types::MappingConfig;
use crate::config::types::OnServerFailure;
use crate::config::types::PoolConfig;
use crate::config::types::Protocol;
use crate::config::types::ReadFrom;
use crate::config::types::ReadyServers;
use crate::config::types::ReplicaConfig;
use crate::config::types::Secret;
use crate::config::types::SentinelConfig;
use crate::config::types::ServerConfig;
use crate::config::types::TimeoutConfig;
use crate::config::types::UnknownCommands;
use crate::config::warning::WarningKind;
use crate::route::Distribution;
use crate::route::Hash;
use crate::route::HashTag;

/// 64 MiB: what 50 000 writes a second of 1 KiB amount to in 0.8 s, and half as much again.
const HOLD_BYTES: usize = 64 << 20;

/// 64 MiB: twice what Redis lets wait for a subscriber (`client-output-buffer-limit pubsub 32mb`),
/// so that a long pipeline of large values is read at leisure, while 100 clients that read nothing
/// cannot take more than 6.4 GB.
const CLIENT_OUTPUT_LIMIT: usize = 64 << 20;

/// 4096: pipelines of a thousand requests pass unhindered, and at some 50 bytes a slot one client's
/// queue stays under 256 KiB.
const CLIENT_REQUESTS_IN_FLIGHT: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// 64 MiB: half a second of a 1 Gbit/s link; what waits longer than that only waits.
const SERVER_QUEUE_BYTES: usize = 64 << 20;

/// One second, after which Linux would send its second SYN (RFC 6298): a connect that needs one is
/// taken for lost.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);

/// Half a minute, as for the return of an ejected server: a name that moves is followed as soon.
const RESOLVE_INTERVAL: Duration = Duration::from_millis(30_000);

/// One second: a replica that keeps up is milliseconds behind, one that does not is soon more.
const REPLICA_LAG: Duration = Duration::from_millis(1000);

/// What the keys read so far say; the rest are defaults (twemproxy: `CONF_DEFAULT_*` in
/// `src/nc_conf.h`).
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) listen: Option<ListenAddress>,
    pub(super) freebind: bool,
    pub(super) client_connections: Option<NonZeroU32>,
    pub(super) hash: Hash,
    pub(super) hash_tag: Option<HashTag>,
    pub(super) distribution: Distribution,
    pub(super) timeout: Option<Duration>,
    pub(super) backlog: u32,
    pub(super) tcpkeepalive: bool,
    /// `None` until `redis:` is read.
    pub(super) protocol: Option<Protocol>,
    pub(super) redis_auth: Option<Secret>,
    pub(super) redis_db: u32,
    pub(super) preconnect: bool,
    pub(super) auto_eject_hosts: Option<bool>,
    pub(super) server_connections: NonZeroU32,
    pub(super) server_retry_timeout: Duration,
    pub(super) server_failure_limit: u32,
    pub(super) unknown_commands: UnknownCommands,
    pub(super) on_server_failure: Option<OnServerFailure>,
    pub(super) hold_time: Option<Duration>,
    pub(super) hold_bytes: usize,
    pub(super) client_output_limit: usize,
    pub(super) client_requests_in_flight: NonZeroU32,
    pub(super) server_queue_bytes: usize,
    pub(super) client_idle_timeout: Option<Duration>,
    pub(super) connect_timeout: Duration,
    pub(super) resolve_interval: Option<Duration>,
    pub(super) sentinels: Vec<HostPort>,
    pub(super) sentinel_user: Option<Arc<str>>,
    pub(super) sentinel_password: Option<Secret>,
    pub(super) require_sentinel_quorum: bool,
    pub(super) read_from: ReadFrom,
    pub(super) replica_lag: Duration,
    pub(super) ready_servers: ReadyServers,
    /// What is odd about the key read last.
    pub(super) odd: Option<WarningKind>,
}

impl Draft {
    /// A pool with nothing but defaults.
    pub(super) fn new() -> Draft {
        Draft {
            listen: None,
            freebind: false,
            client_connections: None,
            hash: Hash::Fnv1a64,
            hash_tag: None,
            distribution: Distribution::Ketama,
            timeout: None,
            backlog: 512,
            tcpkeepalive: false,
            protocol: None,
            redis_auth: None,
            redis_db: 0,
            preconnect: false,
            auto_eject_hosts: None,
            server_connections: NonZeroU32::MIN,
            server_retry_timeout: Duration::from_millis(30_000),
            server_failure_limit: 2,
            unknown_commands: UnknownCommands::Refuse,
            on_server_failure: None,
            hold_time: None,
            hold_bytes: HOLD_BYTES,
            client_output_limit: CLIENT_OUTPUT_LIMIT,
            client_requests_in_flight: CLIENT_REQUESTS_IN_FLIGHT,
            server_queue_bytes: SERVER_QUEUE_BYTES,
            client_idle_timeout: None,
            connect_timeout: CONNECT_TIMEOUT,
            resolve_interval: Some(RESOLVE_INTERVAL),
            sentinels: Vec::new(),
            sentinel_user: None,
            sentinel_password: None,
            require_sentinel_quorum: false,
            read_from: ReadFrom::Master,
            replica_lag: REPLICA_LAG,
            ready_servers: ReadyServers::default(),
            odd: None,
        }
    }

    /// What becomes of requests for a failed server: as said, or as `auto_eject_hosts` implies. Where
    /// Sentinels will name another master it is worth waiting for it.
    pub(super) fn failure_policy(&self) -> OnServerFailure {
        match (self.on_server_failure, self.auto_eject_hosts) {
            (Some(said), _) => said,
            (None, Some(true)) => OnServerFailure::Rehash,
            (None, Some(false) | None) if self.sentinels.is_empty() => OnServerFailure::Fail,
            (None, Some(false) | None) => OnServerFailure::Hold,
        }
    }

    /// The pool of this name that listens there; its servers are put in twemproxy's order.
    pub(super) fn finish(
        self,
        name: &str,
        listen: ListenAddress,
        mut servers: Vec<ServerConfig>,
    ) -> PoolConfig {
        servers.sort_by(|a, b| twemproxy_order(&a.name, &b.name));
        let on_server_failure = self.failure_policy();
        let hold_time = match self.hold_time {
            Some(said) => HoldTime::Fixed(said),
            None => HoldTime::unsaid(!self.sentinels.is_empty()),
        };
        PoolConfig {
            name: Arc::from(name),
            protocol: self.protocol.unwrap_or(Protocol::Memcached),
            unknown_commands: self.unknown_commands,
            ready_servers: self.ready_servers,
            listen: ListenConfig {
                address: listen,
                freebind: self.freebind,
                backlog: self.backlog,
                tcpkeepalive: self.tcpkeepalive,
            },
            limits: LimitConfig {
                client_connections: self.client_connections,
                client_output_bytes: self.client_output_limit,
                client_requests_in_flight: self.client_requests_in_flight,
                server_queue_bytes: self.server_queue_bytes,
            },
            timeouts: TimeoutConfig {
                request: self.timeout,
                connect: self.connect_timeout,
                client_idle: self.client_idle_timeout,
                resolve_interval: self.resolve_interval,
            },
            greeting: GreetingConfig {
                redis_auth: self.redis_auth,
                redis_db: self.redis_db,
            },
            mapping: MappingConfig {
                hash: self.hash,
                hash_tag: self.hash_tag,
                distribution: self.distribution,
            },
            connections: ConnectionConfig {
                per_server: self.server_connections,
                preconnect: self.preconnect,
            },
            failure: FailureConfig {
                policy: on_server_failure,
                retry_timeout: self.server_retry_timeout,
                limit: self.server_failure_limit,
                hold_time,
                hold_bytes: self.hold_bytes,
            },
            sentinels: SentinelConfig {
                addresses: self.sentinels,
                user: self.sentinel_user,
                password: self.sentinel_password,
                require_quorum: self.require_sentinel_quorum,
            },
            replicas: ReplicaConfig {
                read_from: self.read_from,
                lag: self.replica_lag,
            },
            servers,
        }
    }
}
