//! How a `Proxy` is made for a test: from its configuration, as a process makes one for each worker.

use std::sync::Arc;
use std::time::Duration;

use coremux::base::WorkerIdx;
use coremux::config::Config;
use coremux::proxy::Proxy;
use coremux::proxy::ProxySetup;
use coremux::stats::PoolShape;
use coremux::stats::Shape;
use coremux::stats::WorkerStats;

/// The time of day when a test begins, since 1970.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// The data plane of a process with one worker, and where it counts.
pub fn single(config: &Arc<Config>, seed: u64) -> (Proxy, Arc<WorkerStats>) {
    of_worker(config, 0, 1, seed)
}

/// The data plane of one of several workers, and where it counts.
pub fn of_worker(
    config: &Arc<Config>,
    worker: u16,
    workers: u16,
    seed: u64,
) -> (Proxy, Arc<WorkerStats>) {
    let pools = config.pools.iter().map(|pool| PoolShape {
        name: Arc::clone(&pool.name),
        servers: pool.servers.iter().map(|s| Arc::clone(&s.name)).collect(),
    });
    let stats = Arc::new(WorkerStats::new(&Shape {
        pools: pools.collect(),
    }));
    let proxy = Proxy::new(ProxySetup {
        config: Arc::clone(config),
        stats: Arc::clone(&stats),
        worker: WorkerIdx(worker),
        workers,
        seed,
        epoch: EPOCH,
        process: 1,
    });
    (proxy, stats)
}
