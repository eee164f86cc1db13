//! `/metrics`: the table of metrics, and what only the control plane knows.

use crate::stats::Exposition;
use crate::stats::Kind;
use crate::stats::put_table;

use super::Api;

/// The whole text.
pub(super) fn exposition(api: &Api) -> String {
    let mut out = Exposition::default();
    put_process(&mut out, api);
    put_health(&mut out, api);
    let numbers = api.stats.numbers();
    put_table(&mut out, &numbers.shape, &numbers.workers);
    out.finish()
}

fn put_process(out: &mut Exposition, api: &Api) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    out.family("coremux_build_info", Kind::Gauge, "Always 1; the version.");
    out.sample(&version, 1);
    out.family(
        "coremux_start_timestamp_seconds",
        Kind::Timestamp,
        "When the process started.",
    );
    let uptime = u64::try_from(api.clock.uptime().as_micros()).unwrap_or(u64::MAX);
    out.micros(&[], api.clock.now().saturating_sub(uptime));
}

fn put_health(out: &mut Exposition, api: &Api) {
    let health = api.health.borrow();
    let now = api.clock.now();
    out.family(
        "coremux_healthy",
        Kind::Gauge,
        "1 while every worker turns and nobody drains, else 0.",
    );
    out.sample(&[], health.is_healthy().into());
    out.family(
        "coremux_worker_heartbeat_age_seconds",
        Kind::Gauge,
        "How long ago the last pass of the worker's loop was seen.",
    );
    for (idx, age) in (0u32..).zip(health.heartbeat_ages(now)) {
        out.micros(&[("worker", &idx.to_string())], age);
    }
    out.family(
        "coremux_pool_ready",
        Kind::Gauge,
        "1 while the pool has the servers that it needs, else 0.",
    );
    for pool in health.pools() {
        out.sample(&[("pool", &*pool.name)], pool.is_ready().into());
    }
    out.family(
        "coremux_server_usable",
        Kind::Gauge,
        "1 for a server that is counted on, 0 for one that fails, is ejected, or has no address.",
    );
    for pool in health.pools() {
        for server in &pool.servers {
            let labels = [("pool", &*pool.name), ("server", &*server.name)];
            out.sample(&labels, server.is_usable().into());
        }
    }
}
