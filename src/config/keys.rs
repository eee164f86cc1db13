//! The table of a pool's keys: one row makes the field, its default, how the file's text becomes its
//! value, its line in the documents and in a reload's log, and what a reload does for it.
//!
//! Owns: every key. Never: what a value looks like, which is `forms`'s; a rule about more than one
//! key, which is `rules`'s.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::config::commands::CommandNames;
use crate::config::endpoint::HostPort;
use crate::config::endpoint::ListenAddress;
use crate::config::endpoint::ServerConfig;
use crate::config::findings::Entry;
use crate::config::findings::Findings;
use crate::config::forms;
use crate::config::forms::Ignored;
use crate::config::hold::HoldTime;
use crate::config::row::Effect;
use crate::config::row::Origin;
use crate::config::row::Row;
use crate::config::row::key;
use crate::config::row::keys;
use crate::config::row::unsaid;
use crate::config::values::OnServerFailure;
use crate::config::values::Protocol;
use crate::config::values::PubsubMode;
use crate::config::values::ReadFrom;
use crate::config::values::ReadyServers;
use crate::config::values::Secret;
use crate::config::values::UnknownCommands;
use crate::route::Distribution;
use crate::route::Hash;
use crate::route::HashTag;

/// One key of a pool.
pub type Key = Row<PoolConfig>;

keys! {
/// A listening address and the servers behind it; what changes together stands together.
pool {
    protocol: Protocol {
        key: "redis", takes: PROTOCOL, default: "false";
        from: Twemproxy, reload: AtOnce;
        doc: "speak Redis's protocol; false is memcached's text protocol"
    }
    /// In twemproxy's order (shorter name first, then bytes).
    servers: Vec<ServerConfig> {
        key: "servers", takes: SERVERS, default: "", unsaid: Vec::new();
        from: Twemproxy, reload: Servers;
        doc: "at least one; the name places a server's keys, without one its address does"
    }
    unknown_commands: UnknownCommands {
        key: "unknown_commands", takes: UNKNOWN_COMMANDS, default: "refuse";
        from: Ours, reload: AtOnce;
        doc: "what an unknown command gets: an error, or the server of its first argument"
    }
    partial_get: bool {
        key: "partial_get", takes: BOOLEAN, default: "false";
        from: Ours, reload: AtOnce;
        doc: "of a `get` of many keys, where one of memcached's servers fails: true gives the hits of the others, false an error"
    }
    // One: a pool that serves a part of its keys serves. Every proxy sees the same servers, so sending
    // the clients to another one would take away that part, too.
    ready_servers: ReadyServers {
        key: "ready_servers", takes: READY_SERVERS, default: "1";
        from: Ours, reload: AtOnce;
        doc: "how many servers must be usable for `/ready` to call the pool ready"
    }
}

/// Where clients connect.
listen: ListenConfig {
    pub address: ListenAddress {
        key: "listen", takes: LISTEN, default: "", unsaid: ListenAddress::nowhere();
        from: Twemproxy, reload: Listener;
        doc: "where clients connect; required"
    }
    pub backlog: u32 {
        key: "backlog", takes: NUMBER, default: "512";
        from: Twemproxy, reload: AtOnce;
        doc: "the backlog of listen(2)"
    }
    pub tcpkeepalive: bool {
        key: "tcpkeepalive", takes: BOOLEAN, default: "false";
        from: Twemproxy, reload: Accepted;
        doc: "detect clients that have vanished: an idle one is probed after a minute, and closed when it has not answered, or not acknowledged its replies, for five minutes"
    }
    pub freebind: bool {
        key: "freebind", takes: BOOLEAN, default: "false";
        from: Ours, reload: Opened;
        doc: "listen on an address that this host does not have yet: a virtual IP"
    }
    pub(super) reuseport: Ignored {
        key: "reuseport", takes: REUSEPORT, default: "true";
        from: Ours, reload: Nothing;
        doc: "accepted without effect (twemproxy has it after 0.5.0): it is always on"
    }
}

/// Which requests are kept to be looked at.
slow_log: SlowLogConfig {
    // Redis's default is the same.
    pub threshold: Option<Duration> {
        key: "slow_log_ms", takes: MILLIS_OR_NONE, default: "10";
        from: Ours, reload: AtOnce;
        doc: "requests that take this long, from when they are read until their reply is, are in `coremux ctl slow`; 0 keeps none"
    }
    // 128, Redis's default: each is some 300 bytes.
    pub length: u32 {
        key: "slow_log_len", takes: NUMBER, default: "128";
        from: Ours, reload: AtOnce;
        doc: "how many of them are kept, the latest"
    }
    pub keys: bool {
        key: "slow_log_keys", takes: BOOLEAN, default: "true";
        from: Ours, reload: AtOnce;
        doc: "show the first key of each, cut to 64 bytes; false hides keys, also from `hotkeys`, \
              `bigkeys` and `monitor`"
    }
}

/// How much may be under way.
limits: LimitConfig {
    /// `None` (0) is no limit.
    pub client_connections: Option<NonZeroU32> {
        key: "client_connections", takes: LIMIT, default: "0";
        from: Twemproxy, reload: AtOnce;
        doc: "the maximum number of clients, 0 is no limit (twemproxy reads it and enforces nothing)"
    }
    // 64 MiB: twice what Redis lets wait for a subscriber (`client-output-buffer-limit pubsub 32mb`),
    // so that a long pipeline of large values is read at leisure, while 100 clients that read nothing
    // cannot take more than 6.4 GB.
    pub client_output_bytes: usize {
        key: "client_output_limit", takes: BYTES_AT_LEAST_ONE, default: "67108864";
        from: Ours, reload: AtOnce;
        doc: "how much may wait for a client that does not read its replies"
    }
    // 4096: pipelines of a thousand requests pass unhindered, and at some 50 bytes a slot one client's
    // queue stays under 256 KiB.
    pub client_requests_in_flight: NonZeroU32 {
        key: "client_requests_in_flight", takes: AT_LEAST_ONE, default: "4096";
        from: Ours, reload: AtOnce;
        doc: "how many requests of one client may await replies; at the limit the proxy stops reading from it"
    }
    // 64 MiB: half a second of a 1 Gbit/s link; what waits longer than that only waits.
    pub server_queue_bytes: usize {
        key: "server_queue_bytes", takes: BYTES_AT_LEAST_ONE, default: "67108864";
        from: Ours, reload: AtOnce;
        doc: "how much may wait for one server connection; at the limit the proxy stops reading from its clients"
    }
}

/// What clients may ask.
access: AccessConfig {
    pub allow: CommandNames {
        key: "allow", takes: COMMANDS_ON_LEAVE, default: "", unsaid: CommandNames::default();
        from: Ours, reload: AtOnce;
        doc: "commands that are refused else: what deletes or lists all keys, and what operators do to servers; all servers get them"
    }
    pub deny: CommandNames {
        key: "deny", takes: COMMANDS, default: "", unsaid: CommandNames::default();
        from: Ours, reload: AtOnce;
        doc: "commands that clients of this pool may not use; a script still may"
    }
}

/// How long things may take.
timeouts: TimeoutConfig {
    /// `None` is for ever.
    pub request: Option<Duration> {
        key: "timeout", takes: MILLIS_OR_NONE, default: "0";
        from: Twemproxy, reload: AtOnce;
        doc: "how long a request may take, queueing and connecting included; 0 is for ever"
    }
    // One second, after which Linux would send its second SYN (RFC 6298): a connect that needs one is
    // taken for lost.
    pub connect: Duration {
        key: "connect_timeout", takes: MILLIS_AT_LEAST_ONE, default: "1000";
        from: Ours, reload: AtOnce;
        doc: "how long connecting to a server may take"
    }
    /// With no reply due; `None` (0) is never.
    pub client_idle: Option<Duration> {
        key: "client_idle_timeout", takes: MILLIS_OR_NONE, default: "0";
        from: Ours, reload: IdleClients;
        doc: "close a client that sends no request for this long; 0 is never"
    }
    // Half a minute, as for the return of an ejected server: a name that moves is followed as soon.
    /// `None` (0) is only when connecting.
    pub resolve_interval: Option<Duration> {
        key: "resolve_interval", takes: MILLIS_OR_NONE, default: "30000";
        from: Ours, reload: AtOnce;
        doc: "how often a server's host name is resolved again; 0 is only when connecting"
    }
}

/// What a server connection says first, and what clients are asked for.
greeting: GreetingConfig {
    pub redis_auth: Option<Secret> {
        key: "redis_auth", takes: PASSWORD, default: "", unsaid: None;
        from: Twemproxy, reload: Greeting;
        doc: "clients must send it, and the proxy sends it to the servers"
    }
    pub redis_db: u32 {
        key: "redis_db", takes: NUMBER, default: "0";
        from: Twemproxy, reload: Greeting;
        doc: "the database that clients are in before they say `SELECT`"
    }
    // Redis's own default.
    pub databases: NonZeroU32 {
        key: "databases", takes: AT_LEAST_ONE, default: "16";
        from: Ours, reload: AtOnce;
        doc: "clients may `SELECT` databases below this number, and `redis_db`"
    }
}

/// Where keys live.
mapping: MappingConfig {
    pub hash: Hash {
        key: "hash", takes: HASH, default: "fnv1a_64";
        from: Twemproxy, reload: Mapping;
        doc: "how a key becomes a number"
    }
    pub hash_tag: Option<HashTag> {
        key: "hash_tag", takes: HASH_TAG, default: "", unsaid: None;
        from: Twemproxy, reload: Mapping;
        doc: "hash only what is between these two characters of a key"
    }
    pub distribution: Distribution {
        key: "distribution", takes: DISTRIBUTION, default: "ketama";
        from: Twemproxy, reload: Mapping;
        doc: "how a number becomes a server"
    }
}

/// How many connections to servers there are.
connections: ConnectionConfig {
    pub per_server: NonZeroU32 {
        key: "server_connections", takes: AT_LEAST_ONE, default: "1";
        from: Twemproxy, reload: Connections;
        doc: "connections to each server, for each worker"
    }
    // 256: with four workers a thousand clients wait on a server at once, a tenth of the 10000 connections
    // that Redis allows.
    pub exclusive: u32 {
        key: "exclusive_connections", takes: NUMBER, default: "256";
        from: Ours, reload: AtOnce;
        doc: "the most connections to each server, for each worker, that one client each has for itself while it waits (`BLPOP`) or listens (`SUBSCRIBE`); 0 refuses such commands"
    }
    pub preconnect: bool {
        key: "preconnect", takes: BOOLEAN, default: "false";
        from: Twemproxy, reload: AtOnce;
        doc: "connect to every server at start; one that does not answer counts as no failure"
    }
}

/// How clients listen to channels.
pubsub: PubsubConfig {
    pub mode: PubsubMode {
        key: "pubsub", takes: PUBSUB, default: "exclusive";
        from: Ours, reload: AtOnce;
        doc: "how clients listen: each on server connections of its own (`exclusive_connections`), so that `PUBLISH` says how many have heard it; or all of a worker on one that they share, for thousands; who listens already goes on as before"
    }
    // These three are Redis's `client-output-buffer-limit pubsub 32mb 8mb 60`.
    pub output_bytes: usize {
        key: "pubsub_output_limit", takes: BYTES_AT_LEAST_ONE, default: "33554432";
        from: Ours, reload: AtOnce;
        doc: "a client that listens is closed when more than this waits for it"
    }
    pub output_bytes_for_long: usize {
        key: "pubsub_output_soft_limit", takes: BYTES_AT_LEAST_ONE, default: "8388608";
        from: Ours, reload: AtOnce;
        doc: "the same when more than this has waited for it all of `pubsub_output_soft_ms`"
    }
    pub output_long: Duration {
        key: "pubsub_output_soft_ms", takes: MILLIS, default: "60000";
        from: Ours, reload: AtOnce;
        doc: "how long more than `pubsub_output_soft_limit` may wait for a client that listens"
    }
}

/// What becomes of a server that fails, and of its requests.
failure: FailureConfig {
    /// True if and only if the policy is [`OnServerFailure::Rehash`]; others ask
    /// [`FailureConfig::ejects`].
    pub(super) auto_eject_hosts: bool {
        key: "auto_eject_hosts", takes: BOOLEAN, default: "false";
        from: Twemproxy, reload: AtOnce;
        doc: "eject a server that fails, so that its keys move to the others: for caches"
    }
    pub retry_timeout: Duration {
        key: "server_retry_timeout", takes: MILLIS, default: "30000";
        from: Twemproxy, reload: AtOnce;
        doc: "how long a server stays ejected"
    }
    pub limit: u32 {
        key: "server_failure_limit", takes: NUMBER, default: "2";
        from: Twemproxy, reload: AtOnce;
        doc: "this many failures in a row eject a server"
    }
    // `rehash` with `auto_eject_hosts: true`, `hold` with `sentinels`.
    pub policy: OnServerFailure {
        key: "on_server_failure", takes: ON_SERVER_FAILURE, default: "fail";
        from: Ours, reload: AtOnce;
        doc: "what a request for a failed server gets: another server, an error, or a wait; by default `rehash` with `auto_eject_hosts`, `hold` with `sentinels`"
    }
    // The longest most clients wait is one second: a request is held for most of that, and the client
    // still gets an answer instead of giving up. With Sentinels it is what they need.
    /// Of use only with [`OnServerFailure::Hold`].
    pub hold_time: HoldTime {
        key: "hold_ms", takes: HOLD_TIME, default: "800";
        from: Ours, reload: AtOnce;
        doc: "with `on_server_failure: hold`, the longest a request is held; with `sentinels` by default their `down-after-milliseconds` and 2500, and 5000 until they are heard"
    }
    // 64 MiB: what 50 000 writes a second of 1 KiB amount to in 0.8 s, and half as much again.
    pub hold_bytes: usize {
        key: "hold_bytes", takes: BYTES, default: "67108864";
        from: Ours, reload: AtOnce;
        doc: "with `on_server_failure: hold`, what a worker holds for one server"
    }
    pub ask_again: bool {
        key: "ask_blocked_again", takes: BOOLEAN, default: "true";
        from: Ours, reload: AtOnce;
        doc: "a command that waits (`BLPOP`) and loses its server is asked again, with the time that is left; false: it gets `-UNBLOCKED`"
    }
}

/// Who says where the servers' masters are.
sentinels: SentinelConfig {
    /// Empty when nobody does. If not, every server is named.
    pub addresses: Vec<HostPort> {
        key: "sentinels", takes: SENTINELS, default: "", unsaid: Vec::new();
        from: Ours, reload: Sentinels;
        doc: "Redis Sentinels that say where each server's master is; its name there is the server's name, the address in `servers` a first guess"
    }
    /// Never without a password.
    pub user: Option<Arc<str>> {
        key: "sentinel_user", takes: USER, default: "", unsaid: None;
        from: Ours, reload: Sentinels;
        doc: "the user to log in as at the Sentinels; without it, their default user"
    }
    pub password: Option<Secret> {
        key: "sentinel_password", takes: PASSWORD, default: "", unsaid: None;
        from: Ours, reload: Sentinels;
        doc: "sent to the Sentinels"
    }
    /// Only where there are Sentinels.
    pub require_quorum: bool {
        key: "require_sentinel_quorum", takes: BOOLEAN, default: "false";
        from: Ours, reload: Sentinels;
        doc: "refuse writes while no majority of the Sentinels is heard; with three or more"
    }
}

/// Who answers commands that only read.
replicas: ReplicaConfig {
    /// Others than masters only where there are Sentinels.
    pub read_from: ReadFrom {
        key: "read_from", takes: READ_FROM, default: "master";
        from: Ours, reload: Readers;
        doc: "who answers commands that only read; replicas need `sentinels:`, which name them, and a client may not see what it has just written"
    }
    // One second: a replica that keeps up is milliseconds behind, one that does not is soon more.
    pub lag: Duration {
        key: "replica_lag_ms", takes: MILLIS_AT_LEAST_ONE, default: "1000";
        from: Ours, reload: AtOnce;
        doc: "how far a replica that is read may be behind its master, measured four times a second"
    }
}
}

/// The row of `name`.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// All names.
pub(super) fn names() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).collect()
}

/// The key that whoever wrote `name` most likely meant: at most a third of its letters are wrong.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase().replace('-', "_");
    let distance = |key: &Key| strsim::damerau_levenshtein(&lower, key.name);
    let key = KEYS.iter().min_by_key(|key| distance(key))?;
    let close = distance(key) <= (name.chars().count() / 3).max(1);
    close.then_some(key.name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_keyboard_finds_its_key() {
        for (slip, key) in [
            ("hsah", "hash"),
            ("Listen", "listen"),
            ("server-connections", "server_connections"),
            ("auto_eject_host", "auto_eject_hosts"),
            ("time_out", "timeout"),
            ("server", "servers"),
        ] {
            assert_eq!(nearest(slip), Some(key), "{slip}");
        }
        for nothing_like_a_key in ["worker_processes", "x", "", "sentinels_of_pool"] {
            assert_eq!(nearest(nothing_like_a_key), None, "{nothing_like_a_key}");
        }
    }
}
