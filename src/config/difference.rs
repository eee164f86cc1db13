//! What is different between two tables.
//!
//! Owns: the comparison, once, for all who need it: the log's lines, the control plane, and every
//! worker. Never: prints a password; decides what follows.

use std::collections::BTreeMap;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::keys::KEYS;
use crate::config::keys::Key;
use crate::config::keys::PoolConfig;
use crate::config::row::Effect;
use crate::config::table::Table;

/// All that is different; nothing for what says the same.
#[derive(Debug)]
pub struct Difference {
    pools: BTreeMap<PoolIdx, PoolDifference>,
}

/// What became of a pool.
#[derive(Debug)]
pub enum PoolDifference {
    /// It was not served before.
    Added,
    /// It is served no longer.
    Removed,
    /// It is served before and after.
    Changed(PoolChanges),
}

/// What is different of a pool that both tables have.
#[derive(Debug)]
pub struct PoolChanges {
    renamed: bool,
    // All but `servers`.
    keys: Vec<&'static Key>,
    servers: BTreeMap<ServerIdx, ServerDifference>,
    sentinels_came_or_went: bool,
}

/// What became of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerDifference {
    /// It was not served before.
    Added,
    /// It is served no longer.
    Removed,
    /// It is served before and after.
    Changed {
        /// Its address is another.
        moved: bool,
        /// Its weight is another.
        reweighted: bool,
    },
}

impl Difference {
    /// What has to be done to come from `was` to `next`, which is made from it.
    #[must_use]
    pub fn between(was: &Table, next: &Table) -> Difference {
        let all = (0..).map(PoolIdx).zip(next.places());
        let pools = all.filter_map(|(idx, _)| {
            let difference = match (was.pool(idx), next.pool(idx)) {
                (None, Some(_)) => PoolDifference::Added,
                (Some(_), None) => PoolDifference::Removed,
                (Some(old), Some(new)) => {
                    let servers = servers(idx, was, next);
                    PoolDifference::Changed(PoolChanges::between(old, new, servers)?)
                }
                (None, None) => return None,
            };
            Some((idx, difference))
        });
        Difference {
            pools: pools.collect(),
        }
    }

    /// Whether the two say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// What became of a pool; nothing if it says the same as before.
    #[must_use]
    pub fn pool(&self, idx: PoolIdx) -> Option<&PoolDifference> {
        self.pools.get(&idx)
    }

    /// Whether the file has a server elsewhere that both tables have.
    #[must_use]
    pub fn moves(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        let Some(PoolDifference::Changed(changes)) = self.pool(pool) else {
            return false;
        };
        matches!(
            changes.server(server),
            Some(ServerDifference::Changed { moved: true, .. })
        )
    }

    /// A line for each difference, as in `server reweighted pool=alpha server=one weight=2 was=1`.
    #[must_use]
    pub fn lines(&self, was: &Table, next: &Table) -> Vec<String> {
        let mut lines = Vec::new();
        for (idx, pool) in was.pools() {
            if matches!(self.pool(idx), Some(PoolDifference::Removed)) {
                lines.push(format!("pool removed pool={}", pool.name));
            }
        }
        for (idx, pool) in next.pools() {
            match (self.pool(idx), was.pool(idx)) {
                (Some(PoolDifference::Added), _) => {
                    let (address, servers) = (&pool.listen.address, pool.servers.len());
                    lines.push(format!(
                        "pool added pool={} address={address} servers={servers}",
                        pool.name
                    ));
                }
                (Some(PoolDifference::Changed(changes)), Some(old)) => {
                    lines.extend(changes.of_keys(old, pool));
                    lines.extend(changes.of_servers(idx, was, next));
                }
                _ => {}
            }
        }
        lines
    }
}

fn servers(idx: PoolIdx, was: &Table, next: &Table) -> BTreeMap<ServerIdx, ServerDifference> {
    let gone = was.servers(idx);
    let gone = gone.filter(|(server, _)| next.server(idx, *server).is_none());
    let gone = gone.map(|(server, _)| (server, ServerDifference::Removed));
    let there = next.servers(idx).filter_map(|(server, new)| {
        let Some(old) = was.server(idx, server) else {
            return Some((server, ServerDifference::Added));
        };
        let moved = old.address != new.address;
        let reweighted = old.weight != new.weight;
        let changed = ServerDifference::Changed { moved, reweighted };
        (moved || reweighted).then_some((server, changed))
    });
    gone.chain(there).collect()
}

impl PoolChanges {
    fn between(
        old: &PoolConfig,
        new: &PoolConfig,
        servers: BTreeMap<ServerIdx, ServerDifference>,
    ) -> Option<PoolChanges> {
        let keys = KEYS.iter().filter(|key| key.effect != Effect::Servers);
        let follows = |pool: &PoolConfig| !pool.sentinels.addresses.is_empty();
        let changes = PoolChanges {
            renamed: old.name != new.name,
            keys: keys.filter(|key| !(key.same)(old, new)).collect(),
            servers,
            sentinels_came_or_went: follows(old) != follows(new),
        };
        let any = changes.renamed || !changes.keys.is_empty() || !changes.servers.is_empty();
        any.then_some(changes)
    }

    /// Whether a key of that effect is another.
    #[must_use]
    pub fn has(&self, effect: Effect) -> bool {
        self.keys.iter().any(|key| key.effect == effect)
    }

    /// Whether keys move to other servers.
    #[must_use]
    pub fn remaps(&self) -> bool {
        let mut servers = self.servers.values();
        self.has(Effect::Mapping)
            || servers.any(|server| match server {
                ServerDifference::Added | ServerDifference::Removed => true,
                ServerDifference::Changed { reweighted, .. } => *reweighted,
            })
    }

    /// Whether server connections have to begin otherwise than before.
    #[must_use]
    pub fn regreets(&self) -> bool {
        // Where Sentinels say who the master is, a server is asked for its role.
        self.has(Effect::Greeting) || self.sentinels_came_or_went
    }

    /// What became of a server; nothing if it says the same as before.
    #[must_use]
    pub fn server(&self, server: ServerIdx) -> Option<ServerDifference> {
        self.servers.get(&server).copied()
    }

    fn of_keys(&self, old: &PoolConfig, new: &PoolConfig) -> Vec<String> {
        let name = &new.name;
        let renamed = self.renamed;
        let renamed = renamed.then(|| format!("pool renamed pool={name} was={}", old.name));
        let keys = self.keys.iter().map(|row| {
            let key = row.name;
            match ((row.show)(old), (row.show)(new)) {
                (Some(was), Some(value)) => {
                    format!("key changed pool={name} {key}={value} was={was}")
                }
                _ => format!("key changed pool={name} key={key}"),
            }
        });
        renamed.into_iter().chain(keys).collect()
    }

    fn of_servers(&self, idx: PoolIdx, was: &Table, next: &Table) -> Vec<String> {
        let name = next.pool(idx).map_or("", |pool| &pool.name);
        let mut lines = Vec::new();
        for (server, old) in was.servers(idx) {
            if self.server(server) == Some(ServerDifference::Removed) {
                lines.push(format!("server removed pool={name} server={}", old.name));
            }
        }
        for (server, new) in next.servers(idx) {
            let (of, address, weight) = (&new.name, &new.address, new.weight);
            match (self.server(server), was.server(idx, server)) {
                (Some(ServerDifference::Added), _) => lines.push(format!(
                    "server added pool={name} server={of} address={address} weight={weight}"
                )),
                (Some(ServerDifference::Changed { moved, reweighted }), Some(old)) => {
                    let moved = moved.then(|| {
                        let was = &old.address;
                        format!("server moved pool={name} server={of} address={address} was={was}")
                    });
                    let reweighted = reweighted.then(|| {
                        let was = old.weight;
                        format!(
                            "server reweighted pool={name} server={of} weight={weight} was={was}"
                        )
                    });
                    lines.extend(moved.into_iter().chain(reweighted));
                }
                _ => {}
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests;
