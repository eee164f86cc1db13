//! Whether this process should be given clients (health), and whether its pools can serve them
//! (readiness).
//!
//! Owns: the reasons against, the workers' pulses, the servers' standings, and rise and fall of all
//! of it. Never: a socket, a clock, a file: it is sampled, and says what it believes.
//!
//! Health is about this process alone. That a server is down does not make it unhealthy: moving a
//! virtual IP to another host heals no server.

mod file;
mod following;
mod port;
mod pulse;
mod report;
mod standing;
mod steady;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::WorkerIdx;
use crate::config::Table;
use crate::control::clock::Micros;
use crate::stats::Shape;
use crate::stats::WorkerStats;

pub use file::HealthFile;
pub(super) use following::Following;
pub(super) use following::SentinelsReport;
pub(super) use port::HealthPort;
pub(super) use report::HealthReport;
pub(super) use report::PoolReport;
pub(super) use report::ReadyReport;
pub(super) use report::ServerReport;
pub(super) use standing::PoolView;
use standing::ServerView;

use pulse::Pulse;
use pulse::Pulses;
use steady::Steady;

/// How often it is sampled: five times in the second within which a stuck worker must be found.
pub(super) const PERIOD: Duration = Duration::from_millis(200);

/// After a reason against has gone, so many good samples in a row make it healthy again.
const RISE: u32 = 3;

/// A reason against giving clients to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bar {
    /// Not all workers serve yet.
    Starting,
    /// Somebody told it to let clients go elsewhere, and may take that back.
    Draining,
    /// It is about to end.
    Ending,
    /// A pool that requires a majority of its Sentinels does not hear one, or does not know yet what
    /// they agree on: the other host's proxy may know better.
    Fenced,
    /// A worker does not turn.
    WorkerStuck,
}

impl Bar {
    /// In JSON, in the log, and for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Bar::Starting => "starting",
            Bar::Draining => "draining",
            Bar::Ending => "ending",
            Bar::Fenced => "fenced",
            Bar::WorkerStuck => "worker stuck",
        }
    }
}

/// What is believed of the process and its pools.
#[derive(Debug)]
pub(super) struct Health {
    bars: BTreeSet<Bar>,
    fenced: BTreeSet<PoolIdx>,
    well: Steady,
    since: Micros,
    sampled_at: Micros,
    workers: Vec<Arc<WorkerStats>>,
    pulses: Vec<Pulse>,
    pools: Vec<PoolView>,
}

impl Health {
    /// Of a process that is starting; `required` says how many servers each pool needs.
    pub(super) fn new(
        shape: &Shape,
        required: &[usize],
        workers: &[Arc<WorkerStats>],
        now: Micros,
    ) -> Health {
        let pools = (0..).map(PoolIdx).zip(shape.pools.iter().zip(required));
        Health {
            bars: BTreeSet::from([Bar::Starting]),
            fenced: BTreeSet::new(),
            // Down at once: whoever sets a bar knows why.
            well: Steady::new(false, RISE, 1),
            since: now,
            sampled_at: now,
            workers: workers.to_vec(),
            pulses: workers.iter().map(|_| Pulse::new(now)).collect(),
            pools: pools
                .map(|(idx, (pool, required))| {
                    PoolView::new(idx, pool, *required, workers.len(), now)
                })
                .collect(),
        }
    }

    /// Every worker serves, for the first time: there is nothing that could flap yet.
    pub(super) fn started(&mut self, now: Micros) {
        self.bars.remove(&Bar::Starting);
        if self.bars.is_empty() && !self.well.is_good() {
            self.well.set(true);
            self.since = now;
        }
    }

    /// A reason against, from now on.
    pub(super) fn bar(&mut self, bar: Bar, now: Micros) {
        self.bars.insert(bar);
        self.look(now);
    }

    /// The reason is gone.
    pub(super) fn lift(&mut self, bar: Bar) {
        self.bars.remove(&bar);
    }

    /// Whether that is a reason now.
    pub(super) fn is_barred(&self, bar: Bar) -> bool {
        self.bars.contains(&bar)
    }

    /// The reasons against.
    pub(super) fn bars(&self) -> impl Iterator<Item = &'static str> {
        self.bars.iter().map(|bar| bar.name())
    }

    /// Whether all reasons against are what somebody told the process to do.
    pub(super) fn is_wanted(&self) -> bool {
        let told = [Bar::Draining, Bar::Ending];
        self.bars.iter().all(|bar| told.contains(bar))
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.well.is_good()
    }

    /// The pools, in the configuration's order.
    pub(super) fn pools(&self) -> &[PoolView] {
        &self.pools
    }

    /// A pool, if it is served.
    pub(super) fn pool(&self, pool: PoolIdx) -> Option<&PoolView> {
        self.pools.iter().find(|known| known.idx == pool)
    }

    fn server(&mut self, pool: PoolIdx, server: ServerIdx) -> Option<&mut ServerView> {
        let pool = self.pools.iter_mut().find(|known| known.idx == pool)?;
        pool.servers.iter_mut().find(|known| known.idx == server)
    }

    /// Other pools and servers are served, and `workers` count in the table's order. What is
    /// believed of those that were there before stays.
    pub(super) fn reload(
        &mut self,
        table: &Table,
        shape: &Shape,
        workers: &[Arc<WorkerStats>],
        now: Micros,
    ) {
        let mut before = std::mem::take(&mut self.pools);
        for ((idx, config), shape) in table.pools().zip(&shape.pools) {
            let known = before.iter().position(|known| known.idx == idx);
            let mut pool = match known {
                Some(known) => before.swap_remove(known),
                None => PoolView::new(idx, shape, 0, workers.len(), now),
            };
            pool.reload(config, table.server_order(idx), workers.len());
            self.pools.push(pool);
        }
        self.workers = workers.to_vec();
        self.fenced.retain(|pool| table.pool(*pool).is_some());
        if self.fenced.is_empty() {
            self.lift(Bar::Fenced);
        }
    }

    /// Looks at what the workers have published: who must be asked for a pass, and the pools whose
    /// readiness changed.
    pub(super) fn sample(&mut self, now: Micros) -> (Vec<WorkerIdx>, Vec<PoolIdx>) {
        let pulses = self.sample_pulses(now);
        match pulses.stuck {
            true => self.bars.insert(Bar::WorkerStuck),
            false => self.bars.remove(&Bar::WorkerStuck),
        };
        self.look(now);
        let mut turned = Vec::new();
        for (nth, pool) in self.pools.iter_mut().enumerate() {
            if pool.sample(nth, &self.workers, self.sampled_at, now) {
                turned.push(pool.idx);
            }
        }
        self.sampled_at = now;
        (pulses.ask, turned)
    }

    fn sample_pulses(&mut self, now: Micros) -> Pulses {
        let mut found = Pulses::default();
        // Before all serve they have no pulse, and when it ends none any more.
        if self.bars.contains(&Bar::Starting) || self.bars.contains(&Bar::Ending) {
            return found;
        }
        let all = (0u16..).zip(self.pulses.iter_mut().zip(&self.workers));
        for (idx, (pulse, stats)) in all {
            if pulse.sample(stats, now) {
                found.ask.push(WorkerIdx(idx));
            }
            found.stuck |= pulse.is_stuck();
        }
        found
    }

    fn look(&mut self, now: Micros) {
        if self.well.see(self.bars.is_empty()) {
            self.since = now;
        }
    }

    /// How long ago each worker's last pass was seen.
    pub(super) fn heartbeat_ages(&self, now: Micros) -> impl Iterator<Item = Micros> {
        self.pulses.iter().map(move |pulse| pulse.age(now))
    }

    /// A pool's writes are refused for want of Sentinels, or no longer.
    pub(super) fn set_fenced(&mut self, pool: PoolIdx, fenced: bool, now: Micros) {
        match fenced {
            true => self.fenced.insert(pool),
            false => self.fenced.remove(&pool),
        };
        match self.fenced.is_empty() {
            true => self.lift(Bar::Fenced),
            false => self.bar(Bar::Fenced, now),
        }
    }

    /// How things stand with a pool's Sentinels.
    pub(super) fn set_following(&mut self, pool: PoolIdx, following: Following) {
        let mut pools = self.pools.iter_mut();
        if let Some(pool) = pools.find(|known| known.idx == pool) {
            pool.following = Some(following);
        }
    }

    /// A server was ejected, or readmitted.
    pub(super) fn set_ejected(&mut self, pool: PoolIdx, server: ServerIdx, ejected: bool) {
        if let Some(server) = self.server(pool, server) {
            server.ejected = ejected;
        }
    }

    /// A server has answered a probe.
    pub(super) fn answered(&mut self, pool: PoolIdx, server: ServerIdx, now: Micros) {
        if let Some(server) = self.server(pool, server) {
            server.answered(now);
        }
    }

    /// A server's name has no address, or has one again.
    pub(super) fn set_unknown(&mut self, pool: PoolIdx, server: ServerIdx, unknown: bool) {
        if let Some(server) = self.server(pool, server) {
            server.unknown = unknown;
        }
    }

    /// What a load balancer should give us, 0 to 100: nothing unless all is well, else the share of
    /// servers that are to be counted on.
    pub(super) fn weight(&self) -> usize {
        if !self.is_healthy() || self.pools.iter().any(|pool| !pool.is_ready()) {
            return 0;
        }
        let all: usize = self.pools.iter().map(|pool| pool.servers.len()).sum();
        let usable: usize = self.pools.iter().map(PoolView::usable).sum();
        (100 * usable / all.max(1)).max(1)
    }
}

#[cfg(test)]
mod tests;
