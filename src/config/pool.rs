//! Raw → validated: one pool.
//!
//! Owns: the rules about more than one key of a pool, and about its servers together. Never: stops at the first problem; the grammar of one value, which is `scalar`'s
//! and `address`'s.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::config::address;
use crate::config::draft::Draft;
use crate::config::error::ConfigErrorKind;
use crate::config::findings::Findings;
use crate::config::findings::what_is;
use crate::config::keys;
use crate::config::keys::Set;
use crate::config::node::Node;
use crate::config::node::Value;
use crate::config::position::FilePosition;
use crate::config::sentinels;
use crate::config::types::ListenAddress;
use crate::config::types::OnServerFailure;
use crate::config::types::PoolConfig;
use crate::config::types::Protocol;
use crate::config::types::ReadFrom;
use crate::config::types::ServerConfig;
use crate::config::validate::INDICES_MAX;
use crate::config::warning::WarningKind;

/// A pool as far as it could be read.
pub(super) struct PoolRead<'a> {
    name: &'a str,
    /// Where the name stands.
    at: FilePosition,
    draft: Draft,
    /// Where each key stands that the pool has, also one whose value is wrong.
    keys: BTreeMap<&'static str, FilePosition>,
    servers: Vec<ServerConfig>,
    /// Where each of the servers stands.
    server_places: Vec<FilePosition>,
}

/// Reads the pool `name`, whose keys are in `value`.
pub(super) fn read<'a>(
    name: &'a str,
    at: FilePosition,
    value: &Node,
    findings: &mut Findings,
) -> PoolRead<'a> {
    let mut pool = PoolRead {
        name,
        at,
        draft: Draft::new(),
        keys: BTreeMap::new(),
        servers: Vec::new(),
        server_places: Vec::new(),
    };
    let Value::Map(entries) = &value.value else {
        let found = what_is(&value.value);
        findings.error(at, name, ConfigErrorKind::NotAPool { found });
        return pool;
    };
    for (key, value) in entries {
        pool.key(key, value, findings);
    }
    pool.check_required(findings);
    pool.check_contradictions(findings);
    pool.look_for_oddities(findings);
    pool
}

impl PoolRead<'_> {
    /// Where the pool listens, and where in the file it says so.
    pub(super) fn listen(&self) -> Option<(&ListenAddress, FilePosition)> {
        let at = self.keys.get("listen")?;
        Some((self.draft.listen.as_ref()?, *at))
    }

    /// The pool, unless a problem was found that leaves it without a place to listen.
    pub(super) fn finish(mut self) -> Option<PoolConfig> {
        let listen = self.draft.listen.take()?;
        Some(self.draft.finish(self.name, listen, self.servers))
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn key(&mut self, key: &Node, value: &Node, findings: &mut Findings) {
        let Some(name) = findings.name(key, self.name) else {
            return;
        };
        let path = self.path(name);
        let Some(row) = keys::find(name) else {
            let nearest = keys::nearest(name);
            findings.error(key.at, &path, ConfigErrorKind::UnknownKey { nearest });
            return;
        };
        if let Some(first) = self.keys.get(row.name) {
            let first_line = first.line;
            findings.error(key.at, &path, ConfigErrorKind::KeyTwice { first_line });
            return;
        }
        self.keys.insert(row.name, key.at);
        match row.set {
            Set::Servers => {
                let read = servers(&path, key.at, value, findings);
                (self.server_places, self.servers) = read.into_iter().unzip();
            }
            Set::Sentinels => {
                self.draft.sentinels = sentinels::read(&path, key.at, value, findings);
            }
            Set::Text(set) => {
                let Some((text, at)) = findings.one_text(&path, value) else {
                    return;
                };
                let read = match text {
                    "" => Err(ConfigErrorKind::EmptyText),
                    _ => set(&mut self.draft, text),
                };
                match read {
                    Ok(()) => {
                        if let Some(odd) = self.draft.odd.take() {
                            findings.warning(at, &path, odd);
                        }
                    }
                    Err(kind) => findings.error(at, &path, kind),
                }
            }
        }
    }

    fn check_required(&self, findings: &mut Findings) {
        if !self.keys.contains_key("listen") {
            findings.error(self.at, self.name, ConfigErrorKind::ListenMissing);
        }
        if !self.keys.contains_key("servers") {
            findings.error(self.at, self.name, ConfigErrorKind::NoServers);
        }
    }

    fn check_contradictions(&self, findings: &mut Findings) {
        let draft = &self.draft;
        if let Some(&at) = self.keys.get("redis_auth") {
            // A `redis:` that could not be read has its own error.
            let unread = draft.protocol.is_none() && self.keys.contains_key("redis");
            let memcached = draft.protocol != Some(Protocol::Redis) && !unread;
            if memcached && draft.redis_auth.is_some() {
                let path = self.path("redis_auth");
                findings.error(at, &path, ConfigErrorKind::AuthWithoutRedis);
            }
        }
        let said = (draft.auto_eject_hosts, draft.on_server_failure);
        if let (Some(ejects), Some(policy)) = said {
            if ejects != (policy == OnServerFailure::Rehash) {
                let line = |key| self.keys.get(key).map_or(0, |at: &FilePosition| at.line);
                let at = self.keys.get("on_server_failure").unwrap_or(&self.at);
                let line = line("auto_eject_hosts");
                let kind = ConfigErrorKind::EjectContradiction { ejects, line };
                findings.error(*at, &self.path("on_server_failure"), kind);
            }
        }
        self.check_sentinels(findings);
    }

    fn check_sentinels(&self, findings: &mut Findings) {
        let draft = &self.draft;
        let place = |key: &str| self.keys.get(key).copied();
        if let Some(at) = place("sentinels") {
            let unread = draft.protocol.is_none() && self.keys.contains_key("redis");
            if draft.protocol != Some(Protocol::Redis) && !unread {
                let kind = ConfigErrorKind::SentinelsWithoutRedis;
                findings.error(at, &self.path("sentinels"), kind);
            }
            let all = self.servers.iter().zip(&self.server_places).enumerate();
            for (index, (server, at)) in all.filter(|(_, (server, _))| !server.named) {
                let server = format!("{}:{}", server.address, server.weight);
                let kind = ConfigErrorKind::UnnamedWithSentinels { server };
                findings.error(*at, &format!("{}[{index}]", self.path("servers")), kind);
            }
        } else {
            let wanted = draft
                .require_sentinel_quorum
                .then_some("require_sentinel_quorum");
            if draft.read_from != ReadFrom::Master {
                let at = place("read_from").unwrap_or(self.at);
                let kind = ConfigErrorKind::ReplicasWithoutSentinels;
                findings.error(at, &self.path("read_from"), kind);
            }
            for key in ["sentinel_user", "sentinel_password"]
                .into_iter()
                .chain(wanted)
            {
                if let Some(at) = place(key) {
                    findings.error(at, &self.path(key), ConfigErrorKind::NeedsSentinels);
                }
            }
        }
        if let (Some(at), None) = (place("sentinel_user"), place("sentinel_password")) {
            let kind = ConfigErrorKind::UserWithoutPassword;
            findings.error(at, &self.path("sentinel_user"), kind);
        }
    }

    fn look_for_oddities(&self, findings: &mut Findings) {
        let policy = self.draft.failure_policy();
        if policy == OnServerFailure::Rehash {
            let key = match self.keys.contains_key("auto_eject_hosts") {
                true => "auto_eject_hosts",
                false => "on_server_failure",
            };
            let at = *self.keys.get(key).unwrap_or(&self.at);
            let mut unnamed = self.servers.iter().filter(|server| !server.named);
            if let Some(example) = unnamed.next() {
                let kind = WarningKind::EjectsUnnamedServers {
                    example: format!("{}:{} {}", example.address, example.weight, example.name),
                    unnamed: unnamed.count() + 1,
                };
                findings.warning(at, &self.path(key), kind);
            }
            if self.draft.timeout.is_none() {
                findings.warning(at, &self.path(key), WarningKind::EjectsWithoutTimeout);
            }
        }
        let sentinels = self.draft.sentinels.len();
        if let (true, Some(&at)) = (
            policy == OnServerFailure::Rehash,
            self.keys.get("sentinels"),
        ) {
            findings.warning(
                at,
                &self.path("sentinels"),
                WarningKind::EjectsWithSentinels,
            );
        }
        if self.draft.require_sentinel_quorum && (1..3).contains(&sentinels) {
            let key = "require_sentinel_quorum";
            let at = *self.keys.get(key).unwrap_or(&self.at);
            let kind = WarningKind::FewSentinels { count: sentinels };
            findings.warning(at, &self.path(key), kind);
        }
        if let (ReadFrom::Master, Some(&at)) =
            (self.draft.read_from, self.keys.get("replica_lag_ms"))
        {
            let path = self.path("replica_lag_ms");
            findings.warning(at, &path, WarningKind::ReadsNoReplica);
        }
        if policy != OnServerFailure::Hold {
            for key in ["hold_ms", "hold_bytes"] {
                if let Some(&at) = self.keys.get(key) {
                    findings.warning(at, &self.path(key), WarningKind::HoldsNothing);
                }
            }
        }
    }
}

/// The servers in the file's order and where each stands; `at` is where their key stands.
fn servers(
    path: &str,
    at: FilePosition,
    value: &Node,
    findings: &mut Findings,
) -> Vec<(FilePosition, ServerConfig)> {
    let items = match &value.value {
        Value::List(items) => items.as_slice(),
        // One server needs no list.
        Value::Text(text) if !text.is_empty() => std::slice::from_ref(value),
        _ => &[],
    };
    if items.is_empty() {
        findings.error(at, path, ConfigErrorKind::NoServers);
    }
    if items.len() > INDICES_MAX {
        let kind = ConfigErrorKind::TooMany {
            what: "servers",
            count: items.len(),
            limit: INDICES_MAX,
        };
        findings.error(at, path, kind);
        return Vec::new();
    }
    let mut names: HashMap<Arc<str>, FilePosition> = HashMap::new();
    let mut servers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Value::Text(text) = &item.value else {
            let found = what_is(&item.value);
            findings.error(item.at, &path, ConfigErrorKind::NotOneValue { found });
            continue;
        };
        let server = match address::server(text) {
            Ok((server, odd)) => {
                if let Some(odd) = odd {
                    findings.warning(item.at, &path, odd);
                }
                server
            }
            Err(kind) => {
                findings.error(item.at, &path, kind);
                continue;
            }
        };
        match names.entry(Arc::clone(&server.name)) {
            Entry::Vacant(first) => {
                first.insert(item.at);
            }
            Entry::Occupied(first) => {
                let kind = ConfigErrorKind::ServerTwice {
                    name: server.name.to_string(),
                    first_line: first.get().line,
                };
                findings.error(item.at, &path, kind);
            }
        }
        servers.push((item.at, server));
    }
    servers
}
