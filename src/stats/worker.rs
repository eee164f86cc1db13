//! The counters of one worker, laid out by the names of pools and servers.

use std::sync::Arc;

use super::Counter;
use super::PoolCounters;
use super::ServerCounters;
use super::ServerStanding;
use super::WorkerCounters;

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
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerStats {
    /// Every connection that was ever opened, clients' and servers'. (The listening sockets, which
    /// twemproxy counts too, are added when the numbers are printed.)
    pub total_connections: Counter,
    /// Those open now.
    pub curr_connections: Counter,
    /// What it says of its own life.
    pub counters: WorkerCounters,
    /// As `PoolIdx` counts them.
    pub pools: Vec<PoolStats>,
}

/// What one worker counts for a pool and its servers.
#[derive(Debug, Default)]
pub struct PoolStats {
    /// The pool's own.
    pub counters: PoolCounters,
    /// As `ServerIdx` counts them.
    pub servers: Vec<ServerCounters>,
    /// How they do, in the same order.
    pub standings: Vec<ServerStanding>,
}

impl WorkerStats {
    /// All zero, for these pools and servers.
    #[must_use]
    pub fn new(shape: &Shape) -> WorkerStats {
        let pools = shape.pools.iter().map(|pool| PoolStats {
            counters: PoolCounters::default(),
            servers: pool
                .servers
                .iter()
                .map(|_| ServerCounters::default())
                .collect(),
            standings: pool
                .servers
                .iter()
                .map(|_| ServerStanding::default())
                .collect(),
        });
        WorkerStats {
            pools: pools.collect(),
            ..WorkerStats::default()
        }
    }
}
