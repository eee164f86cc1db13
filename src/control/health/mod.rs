//! Whether this process should be given clients (health), and whether its pools can serve them
//! (readiness).
//!
//! Owns: the reasons against, the workers' pulses, the servers' standings, and rise and fall of all
//! of it. Never: a socket, a clock, a file: it is sampled, and says what it believes.
//!
//! Health is about this process alone. That a server is down does not make it unhealthy: moving a
//! virtual IP to another host heals no server.

mod debounce;
mod file;
mod liveness;
mod outputs;
mod port;
mod report;
mod sentinels;
mod standing;

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
pub use outputs::HealthMeans;
pub(super) use outputs::HealthOutputs;
pub(super) use report::ExclusiveReport;
pub(super) use report::HealthReport;
pub(super) use report::PoolReport;
pub(super) use report::PubsubReport;
pub(super) use report::ReadyReport;
pub(super) use report::ServerReport;
pub(super) use report::WorkerReport;
pub(super) use sentinels::SentinelState;
pub(super) use sentinels::SentinelsReport;
pub(super) use standing::PoolView;
use standing::ServerView;

use debounce::Debounced;
use liveness::Liveness;
use liveness::PassReports;

/// How often it is sampled: five times in the second within which a stuck worker must be found.
pub(super) const PERIOD: Duration = Duration::from_millis(200);

/// After a reason against has gone, so many good samples in a row make it healthy again.
const RISE: u32 = 3;

/// A reason against giving clients to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UnhealthyReason {
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

impl UnhealthyReason {
    /// In JSON, in the log, and for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            UnhealthyReason::Starting => "starting",
            UnhealthyReason::Draining => "draining",
            UnhealthyReason::Ending => "ending",
            UnhealthyReason::Fenced => "fenced",
            UnhealthyReason::WorkerStuck => "worker stuck",
        }
    }
}

/// What is believed of the process and its pools.
#[derive(Debug)]
pub(super) struct Health {
    reasons: BTreeSet<UnhealthyReason>,
    fenced: BTreeSet<PoolIdx>,
    well: Debounced,
    since: Micros,
    sampled_at: Micros,
    workers: Vec<Arc<WorkerStats>>,
    pulses: Vec<Liveness>,
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
            reasons: BTreeSet::from([UnhealthyReason::Starting]),
            fenced: BTreeSet::new(),
            // Down at once: whoever sets a bar knows why.
            well: Debounced::new(false, RISE, 1),
            since: now,
            sampled_at: now,
            workers: workers.to_vec(),
            pulses: workers.iter().map(|_| Liveness::new(now)).collect(),
            pools: pools
                .map(|(idx, (pool, required))| {
                    PoolView::new(idx, pool, *required, workers.len(), now)
                })
                .collect(),
        }
    }

    /// Every worker serves, for the first time: there is nothing that could flap yet.
    pub(super) fn started(&mut self, now: Micros) {
        self.reasons.remove(&UnhealthyReason::Starting);
        if self.reasons.is_empty() && !self.well.is_good() {
            self.well.set(true);
            self.since = now;
        }
    }

    /// A reason against, from now on.
    pub(super) fn add_reason(&mut self, reason: UnhealthyReason, now: Micros) {
        self.reasons.insert(reason);
        self.look(now);
    }

    /// The reason is gone.
    pub(super) fn remove_reason(&mut self, reason: UnhealthyReason) {
        self.reasons.remove(&reason);
    }

    /// Whether that is a reason now.
    pub(super) fn has_reason(&self, reason: UnhealthyReason) -> bool {
        self.reasons.contains(&reason)
    }

    /// The reasons against.
    pub(super) fn reasons(&self) -> impl Iterator<Item = &'static str> {
        self.reasons.iter().map(|reason| reason.name())
    }

    /// Whether all reasons against are what somebody told the process to do.
    pub(super) fn is_wanted(&self) -> bool {
        let told = [UnhealthyReason::Draining, UnhealthyReason::Ending];
        self.reasons.iter().all(|reason| told.contains(reason))
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
            self.remove_reason(UnhealthyReason::Fenced);
        }
    }

    /// Looks at what the workers have published: who must be asked for a pass, and the pools whose
    /// readiness changed.
    pub(super) fn sample(&mut self, now: Micros) -> (Vec<WorkerIdx>, Vec<PoolIdx>) {
        let pulses = self.sample_pulses(now);
        match pulses.stuck {
            true => self.reasons.insert(UnhealthyReason::WorkerStuck),
            false => self.reasons.remove(&UnhealthyReason::WorkerStuck),
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

    fn sample_pulses(&mut self, now: Micros) -> PassReports {
        let mut found = PassReports::default();
        // Before all serve they have no liveness, and when it ends none any more.
        if self.reasons.contains(&UnhealthyReason::Starting)
            || self.reasons.contains(&UnhealthyReason::Ending)
        {
            return found;
        }
        let all = (0u16..).zip(self.pulses.iter_mut().zip(&self.workers));
        for (idx, (liveness, stats)) in all {
            if liveness.sample(stats, now) {
                found.ask.push(WorkerIdx(idx));
            }
            found.stuck |= liveness.is_stuck();
        }
        found
    }

    fn look(&mut self, now: Micros) {
        if self.well.see(self.reasons.is_empty()) {
            self.since = now;
        }
    }

    /// How long ago each worker's last pass was seen.
    pub(super) fn heartbeat_ages(&self, now: Micros) -> impl Iterator<Item = Micros> {
        self.pulses.iter().map(move |liveness| liveness.age(now))
    }

    /// A pool's writes are refused for want of Sentinels, or no longer.
    pub(super) fn set_fenced(&mut self, pool: PoolIdx, fenced: bool, now: Micros) {
        match fenced {
            true => self.fenced.insert(pool),
            false => self.fenced.remove(&pool),
        };
        match self.fenced.is_empty() {
            true => self.remove_reason(UnhealthyReason::Fenced),
            false => self.add_reason(UnhealthyReason::Fenced, now),
        }
    }

    /// How things stand with a pool's Sentinels.
    pub(super) fn set_following(&mut self, pool: PoolIdx, following: SentinelState) {
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
