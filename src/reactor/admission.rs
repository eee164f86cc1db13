//! How many clients each pool, and all pools together, have in the whole process.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::base::PoolIdx;
use crate::config::Config;
use crate::config::Table;

/// Counts clients of every pool over all workers, and keeps to `client_connections` and to what
/// the limit of open files leaves: descriptors that clients take are missing for servers.
#[derive(Debug)]
pub struct Admission {
    // As `PoolIdx` counts them.
    pools: Vec<Arc<Count>>,
    all: Arc<Count>,
}

/// What becomes of a client that has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// There is room.
    Admitted,
    /// The pool has reached its limit: the client gets an error.
    PoolFull,
    /// Its descriptor is needed for others, so there is no time to tell it.
    NoFile,
}

#[derive(Debug, Default)]
struct Count {
    clients: AtomicU32,
    // 0 is none.
    limit: AtomicU32,
}

impl Count {
    fn up_to(limit: Option<NonZeroU32>) -> Arc<Count> {
        let count = Count::default();
        count.set_limit(limit);
        Arc::new(count)
    }

    fn set_limit(&self, limit: Option<NonZeroU32>) {
        let limit = limit.map_or(0, NonZeroU32::get);
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn enter(&self) -> bool {
        let before = self.clients.fetch_add(1, Ordering::Relaxed);
        match self.limit.load(Ordering::Relaxed) {
            0 => true,
            limit => before < limit,
        }
    }

    fn leave(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// No client yet; there will be at most `clients_max`.
    #[must_use]
    pub fn new(config: &Config, clients_max: Option<NonZeroU32>) -> Admission {
        let pools = config.pools.iter();
        Admission {
            pools: pools
                .map(|pool| Count::up_to(pool.limits.client_connections))
                .collect(),
            all: Count::up_to(clients_max),
        }
    }

    /// The same clients under other limits, with a place for every pool of `table`. Whoever is here
    /// stays, also where there are too many now.
    #[must_use]
    pub fn next(&self, table: &Table, clients_max: Option<NonZeroU32>) -> Admission {
        self.all.set_limit(clients_max);
        let mut pools = self.pools.clone();
        pools.resize_with(table.places().len(), || Count::up_to(None));
        for (idx, pool) in table.pools() {
            pools[idx.index()].set_limit(pool.limits.client_connections);
        }
        let all = Arc::clone(&self.all);
        Admission { pools, all }
    }

    /// One client more. But for [`Entry::NoFile`] it counts, until it leaves.
    #[must_use]
    pub fn enter(&self, pool: PoolIdx) -> Entry {
        if !self.all.enter() {
            self.all.leave();
            return Entry::NoFile;
        }
        match self.pools[pool.index()].enter() {
            true => Entry::Admitted,
            false => Entry::PoolFull,
        }
    }

    /// One client more that another process had admitted.
    pub fn adopt(&self, pool: PoolIdx) {
        let _ = self.all.enter();
        let _ = self.pools[pool.index()].enter();
    }

    /// One client fewer.
    pub fn leave(&self, pool: PoolIdx) {
        self.pools[pool.index()].leave();
        self.all.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PoolIdx = PoolIdx(0);
    const B: PoolIdx = PoolIdx(1);

    #[test]
    fn a_pool_has_its_limit_and_all_pools_together_have_theirs() {
        let pool = |name: &str, port: u16, limit: &str| {
            format!(
                "{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n{limit}  servers:\n  - h:1:1\n"
            )
        };
        let text = pool("a", 1, "  client_connections: 1\n") + &pool("b", 2, "");
        let config = Config::parse(&text, "test.yml").expect("a good configuration");
        let admission = Admission::new(&config, NonZeroU32::new(3));
        assert_eq!(admission.enter(A), Entry::Admitted);
        assert_eq!(admission.enter(A), Entry::PoolFull);
        assert_eq!(admission.enter(B), Entry::Admitted);
        // Who is being told that the pool is full has a descriptor, too.
        assert_eq!(admission.enter(B), Entry::NoFile);
        admission.leave(A);
        assert_eq!(admission.enter(A), Entry::PoolFull, "two had entered");
        admission.leave(A);
        admission.leave(A);
        assert_eq!(admission.enter(A), Entry::Admitted);
        assert_eq!(admission.enter(B), Entry::Admitted);
        assert_eq!(admission.enter(B), Entry::NoFile);
    }
}
