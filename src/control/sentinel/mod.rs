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
use std::rc::Rc;

use glommio::Task;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::Config;
use crate::config::PoolConfig;
use crate::proxy::Change;
use crate::sentinel::View;

use super::Lookup;

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
        let followed = pools.filter(|(_, pool)| !pool.sentinels.is_empty());
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
        let fenced = self.pools.iter().filter(|(_, p)| p.require_sentinel_quorum);
        let fence = |&(pool, _): &(PoolIdx, _)| Change::Fence { pool, fenced: true };
        fenced.map(fence).collect()
    }

    /// Watches them from now on; each change that follows is given to `tell`.
    pub(super) fn watch(self, tell: impl Fn(Change) + Clone + 'static) -> Watching {
        let mut watching = Watching {
            pools: HashMap::new(),
            _tasks: Vec::new(),
        };
        for (idx, pool) in self.pools {
            // Pools must not ask the same Sentinels in step.
            let seed = self.seed.wrapping_add(u64::from(idx.0));
            let (happenings, events) = drive::queue();
            let drive = Drive::new(idx, pool, seed, &self.lookup, &happenings, tell.clone());
            let task = glommio::spawn_local(drive.run(events));
            watching._tasks.push(task);
            watching.pools.insert(idx, happenings);
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
    pools: HashMap<PoolIdx, Rc<Happenings>>,
    _tasks: Vec<Task<()>>,
}

impl Watching {
    /// Whether a pool's servers are where Sentinels say.
    pub(super) fn follows(&self, pool: PoolIdx) -> bool {
        self.pools.contains_key(&pool)
    }

    /// How things stand in each pool, and the time by the clock of its watcher.
    pub(super) fn views(&self) -> impl Iterator<Item = (PoolIdx, (View, Time))> {
        let pools = self.pools.iter();
        pools.map(|(pool, happenings)| (*pool, happenings.view()))
    }

    /// A server has failed for a worker: its master may be moving.
    pub(super) fn hint(&self, pool: PoolIdx, server: ServerIdx) {
        if let Some(happenings) = self.pools.get(&pool) {
            happenings.tell(Happening::Hint(server));
        }
    }
}
