//! The counters of one worker, laid out by the names of pools and servers.

use std::sync::Arc;

use super::Counter;
use super::PoolCounters;
use super::PoolTraffic;
use super::PubsubCounters;
use super::ServerCounters;
use super::ServerStanding;
use super::WorkerCounters;
use crate::base::PoolIdx;
use crate::base::ServerIdx;

/// The names of pools and their servers, in the configuration's order: what a set of counters is
/// built by and printed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// As `PoolIdx` counts them.
    pub pools: Vec<PoolShape>,
}

/// A pool's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// The pool's name.
    pub name: Arc<str>,
    /// Its servers' names, as `ServerIdx` counts them.
    pub servers: Vec<Arc<str>>,
}

/// What one worker counts; it alone writes them, anybody may read them at any time.
///
/// Each number is shared by all that have it, so that one set can take over the numbers of another
/// that has other pools and servers.
#[derive(Clone, Debug, Default)]
pub struct WorkerStats {
    /// Every connection that was ever opened, clients' and servers'. (The listening sockets, which
    /// twemproxy counts too, are added when the numbers are printed.)
    pub total_connections: Arc<Counter>,
    /// Those open now.
    pub curr_connections: Arc<Counter>,
    /// What it says of its own life.
    pub counters: Arc<WorkerCounters>,
    /// As `PoolIdx` counts them.
    pub pools: Vec<PoolStats>,
}

/// What one worker counts for a pool and its servers.
#[derive(Clone, Debug, Default)]
pub struct PoolStats {
    /// The pool's own.
    pub counters: Arc<PoolCounters>,
    /// What its clients send and take.
    pub traffic: Arc<PoolTraffic>,
    /// Of its clients that listen.
    pub pubsub: Arc<PubsubCounters>,
    /// As `ServerIdx` counts them.
    pub servers: Vec<Arc<ServerCounters>>,
    /// How they do, in the same order.
    pub standings: Vec<Arc<ServerStanding>>,
}

impl WorkerStats {
    /// All zero, for these pools and servers.
    #[must_use]
    pub fn new(shape: &Shape) -> WorkerStats {
        let servers = shape.pools.iter().map(|pool| pool.servers.len());
        WorkerStats::default().grown(servers)
    }

    /// The same numbers, and new ones, all zero, until there are so many servers in each pool.
    #[must_use]
    pub fn grown(&self, servers: impl IntoIterator<Item = usize>) -> WorkerStats {
        let mut grown = self.clone();
        for (nth, servers) in servers.into_iter().enumerate() {
            if grown.pools.len() == nth {
                grown.pools.push(PoolStats::default());
            }
            let pool = &mut grown.pools[nth];
            pool.servers.resize_with(servers, Arc::default);
            pool.standings.resize_with(servers, Arc::default);
        }
        grown
    }

    /// The same numbers in another order, and without those of pools and servers that are not
    /// named; each is named by its place.
    ///
    /// # Panics
    ///
    /// When a place has no numbers.
    #[must_use]
    pub fn of<'a>(
        &self,
        pools: impl IntoIterator<Item = (PoolIdx, &'a [ServerIdx])>,
    ) -> WorkerStats {
        let pools = pools.into_iter().map(|(pool, servers)| {
            let pool = &self.pools[pool.index()];
            let counters = servers.iter().map(|s| &pool.servers[s.index()]);
            let standings = servers.iter().map(|s| &pool.standings[s.index()]);
            PoolStats {
                counters: Arc::clone(&pool.counters),
                traffic: Arc::clone(&pool.traffic),
                pubsub: Arc::clone(&pool.pubsub),
                servers: counters.map(Arc::clone).collect(),
                standings: standings.map(Arc::clone).collect(),
            }
        });
        WorkerStats {
            pools: pools.collect(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_when_there_are_more_pools_and_servers_and_in_another_order() {
        let first = WorkerStats::default().grown([1, 2]);
        first.pools[1].servers[0].requests.add(3);
        first.curr_connections.add(1);
        let grown = first.grown([1, 3, 1]);
        first.pools[1].servers[0].requests.add(4);
        grown.pools[1].servers[2].requests.add(9);
        assert_eq!(grown.pools[1].servers[0].requests.value(), 7);
        assert_eq!(grown.pools[2].servers[0].requests.value(), 0);
        let shown = grown.of([
            (PoolIdx(2), &[ServerIdx(0)][..]),
            (PoolIdx(1), &[ServerIdx(2), ServerIdx(0)]),
        ]);
        let requests = shown.pools[1].servers.iter().map(|s| s.requests.value());
        assert_eq!(requests.collect::<Vec<_>>(), [9, 7]);
        assert_eq!(shown.pools.len(), 2);
        assert_eq!(shown.curr_connections.value(), 1);
    }
}
