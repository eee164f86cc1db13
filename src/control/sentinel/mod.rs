//! The Sentinels' side of the control plane: sockets and the clock for the watchers of `sentinel`.
//!
//! Owns: one task for each pool that has Sentinels, their connections, the questions to servers.
//! Never: decides who is a master; a watcher does, and its facts become the changes that every
//! worker applies.

mod connection;
mod drive;
mod log;
mod names;
mod probe;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use glommio::Task;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::Config;
use crate::config::PoolConfig;
use crate::config::Table;
use crate::messages::Change;
use crate::messages::SocketAddress;
use crate::sentinel::Memory;
use crate::sentinel::View;

use super::Lookup;
use super::probe as server_probe;

use drive::Drive;
use drive::Happening;
use drive::Happenings;

/// The pools that have Sentinels, before they are watched.
pub struct Sentinels {
    pools: Vec<(PoolIdx, PoolConfig)>,
    lookup: Lookup,
    seed: u64,
}

impl Sentinels {
    /// Those of `config`; `seed` is where their random numbers begin.
    #[must_use]
    pub fn new(config: &Config, lookup: &Lookup, seed: u64) -> Sentinels {
        let pools = (0..).map(PoolIdx).zip(&config.pools);
        let followed = pools.filter(|(_, pool)| !pool.sentinels.addresses.is_empty());
        Sentinels {
            pools: followed.map(|(idx, pool)| (idx, pool.clone())).collect(),
            lookup: lookup.clone(),
            seed,
        }
    }

    /// What holds from the start, for workers that are about to start: where a majority of the
    /// Sentinels is required none is heard yet.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let fenced = self
            .pools
            .iter()
            .filter(|(_, p)| p.sentinels.require_quorum);
        let fence = |&(pool, _): &(PoolIdx, _)| Change::Fence { pool, fenced: true };
        fenced.map(fence).collect()
    }

    /// Watches them from now on; each change that follows is given to `tell`.
    pub(super) fn watch(self, tell: impl Fn(Change) + 'static) -> Watching {
        let mut watching = Watching {
            pools: HashMap::new(),
            tell: Rc::new(tell),
            lookup: self.lookup,
            seed: self.seed,
        };
        for (idx, pool) in self.pools {
            let places = (0..).map(ServerIdx).take(pool.servers.len()).collect();
            let servers = pool.servers.iter();
            let first_guess =
                servers.map(|server| tcp(server_probe::known(&server.address).first()));
            let first_guess = first_guess.collect();
            watching.start((idx, places), pool, first_guess, Memory::default());
        }
        watching
    }
}

impl std::fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentinels").finish_non_exhaustive()
    }
}

/// The watchers at work; they end when this is dropped.
pub(super) struct Watching {
    pools: HashMap<PoolIdx, Watched>,
    tell: Rc<dyn Fn(Change)>,
    lookup: Lookup,
    seed: u64,
}

struct Watched {
    happenings: Rc<Happenings>,
    pool: PoolConfig,
    servers: Vec<ServerIdx>,
    _task: Task<()>,
}

impl Watched {
    /// Whether a watcher of another configuration would do the same.
    fn does_for(&self, pool: &PoolConfig, servers: &[ServerIdx]) -> bool {
        let ours = &self.pool;
        ours.name == pool.name
            && self.servers == servers
            && ours.sentinels == pool.sentinels
            && ours.replicas == pool.replicas
            && ours.greeting.redis_auth == pool.greeting.redis_auth
            && ours.failure.policy == pool.failure.policy
            && ours.failure.hold_time == pool.failure.hold_time
    }
}

fn tcp(address: Option<&SocketAddress>) -> Option<SocketAddr> {
    match address {
        Some(SocketAddress::Tcp(at)) => Some(*at),
        _ => None,
    }
}

impl Watching {
    fn start(
        &mut self,
        (idx, servers): (PoolIdx, Vec<ServerIdx>),
        pool: PoolConfig,
        in_use: Vec<Option<SocketAddr>>,
        memory: Memory,
    ) {
        // Pools must not ask the same Sentinels in step.
        let seed = self.seed.wrapping_add(u64::from(idx.0));
        let (happenings, events) = drive::queue(memory);
        let tell = Rc::clone(&self.tell);
        let tell = move |change| tell(change);
        let places = (idx, servers.clone());
        let (config, names) = (pool.clone(), &self.lookup);
        let drive = Drive::new(places, config, in_use, seed, names, &happenings, tell);
        let watched = Watched {
            happenings,
            pool,
            servers,
            _task: glommio::spawn_local(drive.run(events)),
        };
        self.pools.insert(idx, watched);
    }

    /// Watches what another table says. A watcher that would do the same goes on; a new one begins
    /// with all that the one before has found out, which no file overrules. What holds from now on is
    /// to be told to every worker.
    pub(super) fn reload(
        &mut self,
        table: &Table,
        in_use: impl Fn(PoolIdx, ServerIdx) -> Option<SocketAddress>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let followed = |pool: &PoolIdx| {
            let pool = table.pool(*pool);
            pool.filter(|pool| !pool.sentinels.addresses.is_empty())
        };
        let was_required = |watched: &Watched| watched.pool.sentinels.require_quorum;
        for (&pool, watched) in &self.pools {
            let requires = followed(&pool).is_some_and(|p| p.sentinels.require_quorum);
            if was_required(watched) && !requires && table.pool(pool).is_some() {
                let fenced = false;
                changes.push(Change::Fence { pool, fenced });
            }
        }
        self.pools.retain(|pool, _| followed(pool).is_some());
        for (pool, config) in table.pools() {
            let servers = table.server_order(pool);
            let watched = self.pools.get(&pool);
            let goes_on = watched.is_some_and(|watched| watched.does_for(config, servers));
            if config.sentinels.addresses.is_empty() || goes_on {
                continue;
            }
            let memory = watched.map(|watched| watched.happenings.memory());
            let memory = memory.unwrap_or_default();
            if config.sentinels.require_quorum && !memory.allows_writes() {
                // Until the new watcher has heard a majority.
                changes.push(Change::Fence { pool, fenced: true });
            }
            // Until it has measured them.
            let read = servers.iter().filter(|_| watched.is_some());
            changes.extend(read.map(|&server| Change::Replicas {
                pool,
                server,
                addresses: Vec::new(),
            }));
            let addresses = servers.iter().map(|&server| in_use(pool, server));
            let addresses = addresses.map(|address| tcp(address.as_ref())).collect();
            self.start((pool, servers.to_vec()), config.clone(), addresses, memory);
        }
        changes
    }

    /// What is known of each pool's masters, for another process.
    pub(super) fn memories(&self) -> impl Iterator<Item = (PoolIdx, Memory)> {
        let pools = self.pools.iter();
        pools.map(|(pool, watched)| (*pool, watched.happenings.memory()))
    }

    /// Goes on with what another process has left, as far as it is news; what holds from now on is
    /// to be told to every worker.
    pub(super) fn inherit(&mut self, pool: PoolIdx, left: Memory) -> Vec<Change> {
        let Some(watched) = self.pools.get(&pool) else {
            return Vec::new();
        };
        let mut memory = watched.happenings.memory();
        let news = memory.outdo(left);
        if news.is_empty() {
            return Vec::new();
        }
        let (config, servers) = (watched.pool.clone(), watched.servers.clone());
        let mut changes = Vec::new();
        let mut in_use = Vec::new();
        for (&server, config) in servers.iter().zip(&config.servers) {
            let at = memory.master_of(&config.name);
            in_use.push(at);
            changes.push(Change::Replicas {
                pool,
                server,
                addresses: Vec::new(),
            });
            if let Some(at) = at.filter(|_| news.contains(&*config.name)) {
                let addresses = vec![SocketAddress::Tcp(at)];
                changes.push(Change::Moved {
                    pool,
                    server,
                    addresses,
                });
            }
        }
        if config.sentinels.require_quorum && memory.allows_writes() {
            let fenced = false;
            changes.push(Change::Fence { pool, fenced });
        }
        self.start((pool, servers), config, in_use, memory);
        changes
    }

    /// Whether a pool's servers are where Sentinels say.
    pub(super) fn follows(&self, pool: PoolIdx) -> bool {
        self.pools.contains_key(&pool)
    }

    /// How things stand in each pool, and the time by the clock of its watcher.
    pub(super) fn views(&self) -> impl Iterator<Item = (PoolIdx, (View, Time))> {
        let pools = self.pools.iter();
        pools.map(|(pool, watched)| (*pool, watched.happenings.view()))
    }

    /// A server has failed for a worker: its master may be moving.
    pub(super) fn hint(&self, pool: PoolIdx, server: ServerIdx) {
        if let Some(watched) = self.pools.get(&pool) {
            watched.happenings.tell(Happening::Hint(server));
        }
    }
}
