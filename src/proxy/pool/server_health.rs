//! What this worker knows of how each server does, for the control plane to read.
//!
//! Owns: the few numbers of a server that are written when its standing changes. Never: a decision;
//! what follows from a failure is `ejection`'s.

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::stats::ServerStanding;

impl Proxy {
    /// A server has failed: a request of this worker, or its connection.
    pub(in crate::proxy) fn publish_failure(&self, pool: PoolIdx, server: ServerIdx, now: Time) {
        let standing = self.standing(pool, server);
        let now = self.worker.epoch_micros(now);
        standing.failed_at.set(now);
        if standing.failing_since.value() == 0 {
            standing.failing_since.set(now);
        }
    }

    /// The first good reply after a failure.
    pub(in crate::proxy) fn publish_answer(&self, pool: PoolIdx, server: ServerIdx) {
        self.standing(pool, server).failing_since.set(0);
    }

    pub(in crate::proxy) fn standing(&self, pool: PoolIdx, server: ServerIdx) -> &ServerStanding {
        &self.stats.pools[pool.index()].standings[server.index()]
    }

    /// A server has failed somewhere since its last good reply.
    pub(in crate::proxy) fn suspect(&mut self, pool: PoolIdx, server: ServerIdx) {
        self.pools[pool.index()].servers[server.index()].suspect = true;
    }

    /// No key lives on a server until it is readmitted.
    pub(in crate::proxy) fn eject(&mut self, pool: PoolIdx, server: ServerIdx, now: Time) {
        if self.pools[pool.index()].set_ejected(server, true) {
            let ejected_at = &self.server_stats(pool, server).server_ejected_at;
            ejected_at.set(self.worker.epoch_micros(now));
            let counters = &self.stats.pools[pool.index()].counters;
            counters
                .server_ejects
                .add(usize::from(self.worker.is_first()));
            self.rehome(pool, now);
        }
    }
}
