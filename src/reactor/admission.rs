//! How many clients each pool has in the whole process.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::base::PoolIdx;
use crate::config::Config;

/// Counts clients of every pool over all workers, and keeps to `client_connections`.
#[derive(Debug)]
pub struct Admission {
    pools: Vec<PoolAdmission>,
}

#[derive(Debug)]
struct PoolAdmission {
    clients: AtomicU32,
    limit: Option<NonZeroU32>,
}

impl Admission {
    /// No client yet.
    #[must_use]
    pub fn new(config: &Config) -> Admission {
        let pools = config.pools.iter().map(|pool| PoolAdmission {
            clients: AtomicU32::new(0),
            limit: pool.client_connections,
        });
        Admission {
            pools: pools.collect(),
        }
    }

    /// One client more; whether there is room for it. It counts either way, until it leaves.
    #[must_use]
    pub fn enter(&self, pool: PoolIdx) -> bool {
        let pool = &self.pools[pool.index()];
        let before = pool.clients.fetch_add(1, Ordering::Relaxed);
        pool.limit.is_none_or(|limit| before < limit.get())
    }

    /// One client fewer.
    pub fn leave(&self, pool: PoolIdx) {
        self.pools[pool.index()]
            .clients
            .fetch_sub(1, Ordering::Relaxed);
    }
}
