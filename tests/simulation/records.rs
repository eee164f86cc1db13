//! Every reply is recorded once, whenever the records are taken; the sums are the counters.

use std::collections::BTreeMap;

use coremux::base::Time;
use coremux::telemetry::Records;

use crate::world::World;

/// Records are taken from a worker as often as that, in passes: in the middle of anything.
const TAKEN_EVERY: u32 = 50;

/// What was taken from a worker.
#[derive(Debug, Default)]
pub struct Taken {
    passes: u32,
    spare: Box<Records>,
    /// By pool and server.
    replies: BTreeMap<(usize, usize), u64>,
    failures: BTreeMap<usize, u64>,
}

impl World {
    /// A pass has ended.
    pub fn take_records_in_turn(&mut self, worker: usize) {
        let taken = &mut self.workers[worker].taken;
        taken.passes += 1;
        if taken.passes.is_multiple_of(TAKEN_EVERY) {
            self.take_records(worker);
        }
    }

    fn take_records(&mut self, worker: usize) {
        let now = self.now;
        let worker = &mut self.workers[worker];
        let taken = &mut worker.taken;
        let spare = std::mem::take(&mut taken.spare);
        let mut records = worker.proxy.take_records(spare);
        for ((pool, server, family), times) in records.latencies.take() {
            let count = times.at_server.len();
            assert_eq!(times.in_proxy.len(), count, "{family:?}");
            let longest = times.at_server.longest().max(times.in_proxy.longest());
            assert!(
                longest <= now.micros_since(Time::ZERO),
                "longer than all of it"
            );
            *taken
                .replies
                .entry((pool.index(), server.index()))
                .or_default() += count;
        }
        for (pool, counted) in records.pools() {
            let failures: u64 = counted.failures.iter().map(|(_, count)| count).sum();
            *taken.failures.entry(pool.index()).or_default() += failures;
        }
        records.clear();
        taken.spare = records;
    }

    /// At the end.
    pub fn check_records(&mut self) {
        for number in 0..self.workers.len() {
            self.take_records(number);
            let worker = &self.workers[number];
            for (pool, stats) in worker.stats.pools.iter().enumerate() {
                let failures = worker.taken.failures.get(&pool).copied().unwrap_or(0);
                let failed = stats.counters.forward_error.value();
                assert!(
                    failures >= failed,
                    "{failures} of {failed} failures have a cause"
                );
                for (server, stats) in stats.servers.iter().enumerate() {
                    let replies = worker.taken.replies.get(&(pool, server));
                    let name = format!("replies of {pool}.{server} to worker {number}");
                    let replies = replies.copied().unwrap_or(0);
                    assert_eq!(replies, stats.responses.value(), "{name}");
                }
            }
        }
    }
}
