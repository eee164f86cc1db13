//! All that one worker has recorded since it was asked last.

use crate::base::PoolIdx;
use crate::telemetry::Latencies;
use crate::telemetry::Tally;
use crate::telemetry::slow::SlowLog;

/// All that one worker has recorded since it was asked last.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// How long requests took that servers have answered.
    pub latencies: Latencies,
    // As `PoolIdx` counts them.
    pools: Vec<OfPool>,
}

/// What was counted in one pool.
#[derive(Clone, Debug, Default)]
pub struct OfPool {
    /// Requests by their command.
    pub commands: Tally,
    /// Errors that servers have answered, by the command.
    pub errors: Tally,
    /// Errors of the proxy's own, by their cause.
    pub failures: Tally,
    /// Requests that took long.
    pub slow: SlowLog,
}

impl Records {
    /// What is counted in this pool.
    #[inline]
    pub fn pool(&mut self, pool: PoolIdx) -> &mut OfPool {
        if self.pools.len() <= pool.index() {
            self.pools.resize_with(pool.index() + 1, OfPool::default);
        }
        &mut self.pools[pool.index()]
    }

    /// What was counted in each pool.
    pub fn pools(&self) -> impl Iterator<Item = (PoolIdx, &OfPool)> {
        (0..).map(PoolIdx).zip(&self.pools)
    }

    /// Forgets all of it, and keeps the memory that is likely to be needed.
    pub fn clear(&mut self) {
        self.latencies.clear();
        for pool in &mut self.pools {
            pool.commands.clear();
            pool.errors.clear();
            pool.failures.clear();
            pool.slow.clear();
        }
    }
}
