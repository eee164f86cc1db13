//! Rules about several keys of a pool.
//!
//! Owns: what must be there, what contradicts, and what is probably not meant. Never: one key by
//! itself, which is its form's.

use std::collections::BTreeMap;

use crate::config::address;
use crate::config::error::ConfigErrorKind;
use crate::config::findings::Findings;
use crate::config::keys::PoolConfig;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::position::FilePosition;
use crate::config::servers;
use crate::config::values::OnServerFailure;
use crate::config::values::Protocol;
use crate::config::values::ReadFrom;
use crate::config::warning::WarningKind;

/// The keys that a pool has in the file.
pub(super) struct Said<'a> {
    /// Where the pool's name stands.
    pool: FilePosition,
    keys: BTreeMap<&'static str, SaidKey<'a>>,
}

/// A key in the file.
pub(super) struct SaidKey<'a> {
    /// Where it stands.
    pub(super) at: FilePosition,
    pub(super) value: &'a Node,
    /// Whether nothing is wrong with its value.
    pub(super) right: bool,
}

impl<'a> Said<'a> {
    /// A pool without a key, whose name stands there.
    pub(super) fn nothing(pool: FilePosition) -> Said<'a> {
        Said {
            pool,
            keys: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, key: &'static str, said: SaidKey<'a>) {
        self.keys.insert(key, said);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Where a key stands.
    pub(super) fn at(&self, key: &str) -> Option<FilePosition> {
        self.keys.get(key).map(|said| said.at)
    }

    /// Where a key stands whose value is right.
    pub(super) fn right(&self, key: &str) -> Option<FilePosition> {
        let said = self.keys.get(key).filter(|said| said.right);
        said.map(|said| said.at)
    }

    fn wrong(&self, key: &str) -> bool {
        self.has(key) && self.right(key).is_none()
    }

    /// Where a key stands, or the pool that should have it.
    fn at_or_pool(&self, key: &str) -> FilePosition {
        self.at(key).unwrap_or(self.pool)
    }
}

/// A key of a pool, as in `alpha.hash`.
pub(super) fn path(pool: &PoolConfig, key: &str) -> String {
    format!("{}.{key}", pool.name)
}

/// What is missing, and what contradicts something else.
pub(super) fn check(pool: &PoolConfig, said: &Said<'_>, findings: &mut Findings) {
    if !said.has("listen") {
        findings.error(said.pool, &pool.name, ConfigErrorKind::ListenMissing);
    }
    if !said.has("servers") {
        findings.error(said.pool, &pool.name, ConfigErrorKind::NoServers);
    }
    // A `redis:` that could not be read has its own error.
    let memcached = pool.protocol == Protocol::Memcached && !said.wrong("redis");
    if let (Some(at), true) = (said.right("redis_auth"), memcached) {
        let kind = ConfigErrorKind::AuthWithoutRedis;
        findings.error(at, &path(pool, "redis_auth"), kind);
    }
    let ejects = pool.failure.auto_eject_hosts;
    if let (Some(at), Some(policy)) = (
        said.right("auto_eject_hosts"),
        said.right("on_server_failure"),
    ) {
        if ejects != pool.failure.ejects() {
            let kind = ConfigErrorKind::EjectContradiction {
                ejects,
                line: at.line,
            };
            findings.error(policy, &path(pool, "on_server_failure"), kind);
        }
    }
    match said.at("sentinels") {
        Some(at) => check_with_sentinels(pool, said, (at, memcached), findings),
        None => check_without_sentinels(pool, said, findings),
    }
    if let (Some(at), false) = (said.at("sentinel_user"), said.has("sentinel_password")) {
        let kind = ConfigErrorKind::UserWithoutPassword;
        findings.error(at, &path(pool, "sentinel_user"), kind);
    }
}

fn check_with_sentinels(
    pool: &PoolConfig,
    said: &Said<'_>,
    (at, memcached): (FilePosition, bool),
    findings: &mut Findings,
) {
    if memcached {
        let kind = ConfigErrorKind::SentinelsWithoutRedis;
        findings.error(at, &path(pool, "sentinels"), kind);
    }
    let list = said.keys.get("servers").map(|servers| servers.value);
    let items = list.map_or(&[][..], servers::items).iter().enumerate();
    for (index, item) in items {
        let Value::Text(text) = &item.value else {
            continue;
        };
        let Ok((server, _)) = address::server(text) else {
            continue;
        };
        if !server.named {
            let server = format!("{}:{}", server.address, server.weight);
            let kind = ConfigErrorKind::UnnamedWithSentinels { server };
            let path = format!("{}[{index}]", path(pool, "servers"));
            findings.error(item.at, &path, kind);
        }
    }
}

fn check_without_sentinels(pool: &PoolConfig, said: &Said<'_>, findings: &mut Findings) {
    if pool.replicas.read_from != ReadFrom::Master {
        let kind = ConfigErrorKind::ReplicasWithoutSentinels;
        let at = said.at_or_pool("read_from");
        findings.error(at, &path(pool, "read_from"), kind);
    }
    let quorum = pool.sentinels.require_quorum;
    let quorum = quorum.then_some("require_sentinel_quorum");
    let keys = ["sentinel_user", "sentinel_password"];
    for key in keys.into_iter().chain(quorum) {
        if let Some(at) = said.at(key) {
            findings.error(at, &path(pool, key), ConfigErrorKind::NeedsSentinels);
        }
    }
}

/// What is allowed and probably not meant, in a pool that says what it means.
pub(super) fn look_for_oddities(pool: &PoolConfig, said: &Said<'_>, findings: &mut Findings) {
    let mut warn = |at, key: &str, kind| findings.warning(at, &path(pool, key), kind);
    if pool.failure.ejects() {
        let key = match said.has("auto_eject_hosts") {
            true => "auto_eject_hosts",
            false => "on_server_failure",
        };
        let at = said.at_or_pool(key);
        if let Some(kind) = unnamed_servers(pool) {
            warn(at, key, kind);
        }
        if pool.timeouts.request.is_none() {
            warn(at, key, WarningKind::EjectsWithoutTimeout);
        }
        if let Some(at) = said.at("sentinels") {
            warn(at, "sentinels", WarningKind::EjectsWithSentinels);
        }
    }
    let count = pool.sentinels.addresses.len();
    if pool.sentinels.require_quorum && (1..3).contains(&count) {
        let key = "require_sentinel_quorum";
        warn(
            said.at_or_pool(key),
            key,
            WarningKind::FewSentinels { count },
        );
    }
    let (strangers, kind): (&[&str], _) = match pool.protocol {
        Protocol::Memcached => (&["redis_db", "unknown_commands"], WarningKind::OnlyRedis),
        _ => (&["partial_get"], WarningKind::OnlyMemcached),
    };
    for key in strangers {
        if let Some(at) = said.at(key) {
            warn(at, key, kind.clone());
        }
    }
    if pool.replicas.read_from == ReadFrom::Master {
        if let Some(at) = said.at("replica_lag_ms") {
            warn(at, "replica_lag_ms", WarningKind::ReadsNoReplica);
        }
    }
    if pool.failure.policy != OnServerFailure::Hold {
        for key in ["hold_ms", "hold_bytes"] {
            if let Some(at) = said.at(key) {
                warn(at, key, WarningKind::HoldsNothing);
            }
        }
    }
}

fn unnamed_servers(pool: &PoolConfig) -> Option<WarningKind> {
    let mut unnamed = pool.servers.iter().filter(|server| !server.named);
    let example = unnamed.next()?;
    Some(WarningKind::EjectsUnnamedServers {
        example: format!("{}:{} {}", example.address, example.weight, example.name),
        unnamed: unnamed.count() + 1,
    })
}
