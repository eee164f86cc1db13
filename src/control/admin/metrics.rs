//! `/metrics`: the table of metrics, and what only the control plane knows.

use std::num::NonZeroUsize;

use crate::control::Numbers;
use crate::control::health::Health;
use crate::control::health::SentinelsReport;
use crate::control::shown::Shown;
use crate::stats::Exposition;
use crate::stats::Kind;
use crate::stats::put_table;

use super::system::put_system;

/// The whole text.
pub(super) fn exposition(shown: &Shown) -> String {
    let mut out = Exposition::default();
    put_process(&mut out, shown);
    put_system(&mut out);
    put_health(&mut out, shown);
    let numbers = shown.stats.numbers();
    put_limits(&mut out, shown.stats.memory_limit, &numbers);
    put_table(&mut out, &numbers.shape, &numbers.workers);
    shown.telemetry.borrow().expose(&mut out);
    out.finish()
}

fn put_process(out: &mut Exposition, shown: &Shown) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    out.family("coremux_build_info", Kind::Gauge, "Always 1; the version.");
    out.sample(&version, 1);
    out.family(
        "coremux_start_timestamp_seconds",
        Kind::Timestamp,
        "When the process started.",
    );
    let uptime = u64::try_from(shown.clock.uptime().as_micros()).unwrap_or(u64::MAX);
    out.micros(&[], shown.clock.now().saturating_sub(uptime));
}

/// What there is no limit for has no series: a share of it would be endless.
fn put_limits(out: &mut Exposition, memory: Option<NonZeroUsize>, numbers: &Numbers) {
    if let Some(bytes) = memory {
        let help = "How much memory the process may have; absent without a limit.";
        out.family("coremux_memory_limit_bytes", Kind::Gauge, help);
        out.sample(&[], bytes.get() as u64);
    }
    let pools = numbers.shape.pools.iter().zip(&numbers.client_limits);
    let limited = pools.filter_map(|(pool, limit)| Some((&pool.name, (*limit)?)));
    let mut limited = limited.peekable();
    if limited.peek().is_some() {
        let help = "How many clients the pool may have; absent without a limit.";
        out.family("coremux_client_connections_limit", Kind::Gauge, help);
    }
    for (pool, limit) in limited {
        out.sample(&[("pool", pool)], limit.get().into());
    }
}

fn put_health(out: &mut Exposition, shown: &Shown) {
    let health = shown.health.borrow();
    let now = shown.clock.now();
    out.family(
        "coremux_healthy",
        Kind::Gauge,
        "1 while all workers are alive and the process is not draining, else 0.",
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
    put_sentinels(out, &health);
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

/// A number of a pool's Sentinels.
type OfSentinels = (&'static str, &'static str, fn(&SentinelsReport) -> u64);

const OF_SENTINELS: &[OfSentinels] = &[
    (
        "coremux_sentinels_known",
        "The pool's Sentinels: those of the file, and those that they name.",
        |sentinels| sentinels.known as u64,
    ),
    (
        "coremux_sentinels_connected",
        "Those of the pool's Sentinels that answer.",
        |sentinels| sentinels.connected as u64,
    ),
    (
        "coremux_sentinels_majority",
        "1 while a majority of the pool's Sentinels is heard, else 0.",
        |sentinels| sentinels.majority.into(),
    ),
    (
        "coremux_pool_writes_refused",
        "1 while writes are refused for want of a majority of the Sentinels, else 0.",
        |sentinels| sentinels.writes_refused.into(),
    ),
];

fn put_sentinels(out: &mut Exposition, health: &Health) {
    let pools = || {
        let pools = health.pools().iter();
        pools.filter_map(|pool| Some((&*pool.name, pool.following.as_ref()?)))
    };
    if pools().next().is_none() {
        return;
    }
    for (name, help, number) in OF_SENTINELS {
        out.family(name, Kind::Gauge, help);
        for (pool, following) in pools() {
            out.sample(&[("pool", pool)], number(&following.sentinels));
        }
    }
    let servers = || {
        pools().flat_map(|(pool, following)| {
            let servers = following.servers.iter();
            servers
                .map(move |(server, followed)| ([("pool", pool), ("server", &**server)], followed))
        })
    };
    out.family(
        "coremux_master_epoch",
        Kind::Gauge,
        "The epoch of the configuration that says where the server's master is; 0 while none does.",
    );
    for (labels, followed) in servers() {
        out.sample(&labels, followed.epoch);
    }
    out.family(
        "coremux_master_since_timestamp_seconds",
        Kind::Timestamp,
        "Since when the server's master is used; 0 while none is known.",
    );
    for (labels, followed) in servers() {
        out.micros(&labels, followed.since);
    }
    out.family(
        "coremux_server_read_replicas",
        Kind::Gauge,
        "The server's replicas that may be read.",
    );
    for (labels, followed) in servers() {
        let read = followed.replicas.iter().filter(|replica| replica.read);
        out.sample(&labels, read.count() as u64);
    }
}
