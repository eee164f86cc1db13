//! `/api/status`: the process, its workers, pools and servers as one JSON object.
//!
//! Owns: the names of the fields; `docs/api.md` says what each means. Never: a value of a key, a
//! password.

use serde::Serialize;

use crate::base::PoolIdx;
use crate::config::ServerConfig;
use crate::control::clock::rfc3339;
use crate::control::health::PoolReport;
use crate::control::health::PubsubReport;
use crate::control::health::SentinelsReport;
use crate::control::health::ServerReport;
use crate::control::health::WorkerReport;
use crate::control::history::History;
use crate::control::shown::Shown;
use crate::control::telemetry::WindowReport;
use crate::stats::PoolStats;
use crate::stats::PoolTraffic;
use crate::stats::ServerCounters;
use crate::stats::ServerStanding;

use super::history::tenths;
use super::system;

/// Where it is.
pub(super) const PATH: &str = "/api/status";

/// The body.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    host: String,
    process: u32,
    now: String,
    started: String,
    uptime_seconds: u64,
    #[serde(flatten)]
    health: ProcessHealth,
    memory: Memory,
    workers: Vec<WorkerStatus>,
    pools: Vec<PoolStatus>,
}

#[derive(Debug, Serialize)]
struct ProcessHealth {
    state: &'static str,
    reasons: Vec<&'static str>,
    since: String,
    ready: bool,
}

#[derive(Debug, Serialize)]
struct Memory {
    resident_bytes: Option<u64>,
    limit_bytes: Option<usize>,
}

#[derive(Debug, Serialize)]
struct WorkerStatus {
    #[serde(flatten)]
    pulse: WorkerReport,
    connections: u64,
    cpu: Option<f64>,
    busy: Option<f64>,
}

#[derive(Debug, Serialize)]
struct PoolStatus {
    pool: String,
    protocol: &'static str,
    listen: String,
    distribution: &'static str,
    hash: &'static str,
    state: &'static str,
    since: String,
    required: usize,
    usable: usize,
    clients: u64,
    clients_max: Option<u32>,
    clients_now: ClientsStatus,
    pubsub: PubsubReport,
    requests_per_second: f64,
    errors_per_second: f64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentinels: Option<SentinelsReport>,
    latencies: Vec<WindowReport>,
    servers: Vec<ServerStatus>,
}

/// What they are doing, and the memory that they have.
#[derive(Debug, Serialize)]
struct ClientsStatus {
    asking: u64,
    exclusive: u64,
    in_transaction: u64,
    stopped: u64,
    idle: u64,
    owed_bytes: u64,
    unread_bytes: u64,
    received_bytes: u64,
    sent_bytes: u64,
    refused: u64,
    detours: u64,
}

#[derive(Debug, Serialize)]
struct ServerStatus {
    #[serde(flatten)]
    standing: ServerReport,
    address: String,
    weight: u32,
    keys_share: Option<f64>,
    requests_per_second: f64,
    requests: u64,
    replies: u64,
    timeouts: u64,
    connection_errors: u64,
    queued: u64,
    awaited: u64,
    retried: u64,
    held: u64,
    latencies: Vec<WindowReport>,
}

/// All of it, or of the pools only the one of that name.
///
/// # Errors
///
/// A line that says which pools there are, if there is none of that name.
pub(super) fn report(shown: &Shown, only: Option<&str>) -> Result<Status, String> {
    let health = shown.health.borrow();
    let now = shown.clock.now();
    let uptime = shown.clock.uptime();
    let ready = health.ready_report();
    let report = health.report(now);
    let pools = pools(shown, ready.pools, only)?;
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        host: shown.stats.host.clone(),
        process: std::process::id(),
        now: rfc3339(now),
        started: rfc3339(now.saturating_sub(u64::try_from(uptime.as_micros()).unwrap_or(now))),
        uptime_seconds: uptime.as_secs(),
        workers: workers(shown, report.workers),
        health: ProcessHealth {
            state: report.state,
            reasons: report.reasons,
            since: report.since,
            ready: health.is_ready(),
        },
        memory: Memory {
            resident_bytes: system::resident_bytes(),
            limit_bytes: shown.stats.memory_limit.map(std::num::NonZero::get),
        },
        pools,
    })
}

fn workers(shown: &Shown, pulses: Vec<WorkerReport>) -> Vec<WorkerStatus> {
    let history = shown.history.borrow();
    let numbers = shown.stats.numbers();
    let workers = (0..).zip(pulses.into_iter().zip(&numbers.workers));
    let status = workers.map(|(idx, (pulse, stats))| WorkerStatus {
        pulse,
        connections: stats.curr_connections.value(),
        cpu: history.cpu(idx).map(thousandths),
        busy: history.busy(idx).map(thousandths),
    });
    status.collect()
}

fn pools(
    shown: &Shown,
    reports: Vec<PoolReport>,
    only: Option<&str>,
) -> Result<Vec<PoolStatus>, String> {
    let table = shown.table.borrow();
    let shares = shown.key_shares();
    let numbers = shown.stats.numbers();
    let history = shown.history.borrow();
    let (telemetry, uptime) = (shown.telemetry.borrow(), shown.clock.uptime());
    let all = table.pools().zip(reports).enumerate();
    let wanted = all.filter(|(_, ((_, pool), _))| only.is_none_or(|only| *pool.name == *only));
    let pools = wanted.map(|(nth, ((idx, pool), report))| {
        let of_workers: Vec<&PoolStats> = numbers.workers.iter().map(|w| &w.pools[nth]).collect();
        let servers = report.servers.into_iter().zip(&pool.servers).enumerate();
        let order = table.server_order(idx);
        let servers = servers.map(|(s, (standing, server))| {
            let share = shares.as_ref().map(|shares| shares[nth][s]);
            let rate = history.pool(idx).map_or(0.0, |p| p.requests_of(order[s]));
            let lately = telemetry.of_server(&pool.name, &server.name, uptime);
            server_status((standing, server), s, &of_workers, (share, rate), lately)
        });
        let servers = servers.collect();
        let errors = of_workers.iter().map(|w| w.counters.forward_error.value());
        let rates = rates(&history, idx);
        PoolStatus {
            pool: report.pool,
            protocol: pool.protocol.name(),
            listen: pool.listen.address.to_string(),
            distribution: pool.mapping.distribution.name(),
            hash: pool.mapping.hash.name(),
            state: report.state,
            since: report.since,
            required: report.required,
            usable: report.usable,
            clients: report.clients,
            clients_max: pool.limits.client_connections.map(std::num::NonZero::get),
            clients_now: clients_status(&of_workers),
            pubsub: report.pubsub,
            requests_per_second: rates.0,
            errors_per_second: rates.1,
            errors: errors.sum(),
            sentinels: report.sentinels,
            latencies: with_replies(telemetry.of_pool(&pool.name, uptime)),
            servers,
        }
    });
    let pools: Vec<PoolStatus> = pools.collect();
    match only {
        Some(only) if pools.is_empty() => {
            let names = table.pools().map(|(_, pool)| &*pool.name);
            let names: Vec<&str> = names.collect();
            let names = names.join(", ");
            Err(format!("there is no pool `{only}`; there are: {names}\n"))
        }
        _ => Ok(pools),
    }
}

fn rates(history: &History, pool: PoolIdx) -> (f64, f64) {
    let rates = history.pool(pool).map(|p| (p.requests(), p.errors()));
    let (requests, errors) = rates.unwrap_or_default();
    (tenths(requests), tenths(errors))
}

fn clients_status(workers: &[&PoolStats]) -> ClientsStatus {
    let sum = |number: fn(&PoolTraffic) -> u64| {
        let all = workers.iter().map(|worker| number(&worker.traffic));
        all.fold(0, u64::wrapping_add)
    };
    ClientsStatus {
        asking: sum(|t| t.clients_asking.value()),
        exclusive: sum(|t| t.clients_exclusive.value()),
        in_transaction: sum(|t| t.clients_in_transaction.value()),
        stopped: sum(|t| t.clients_stopped.value()),
        idle: sum(|t| t.clients_idle.value()),
        owed_bytes: sum(|t| t.client_owed_bytes.value()),
        unread_bytes: sum(|t| t.client_unread_bytes.value()),
        received_bytes: sum(|t| t.client_received_bytes.value()),
        sent_bytes: sum(|t| t.client_sent_bytes.value()),
        refused: sum(|t| t.clients_refused.value()),
        detours: sum(|t| t.detours.value()),
    }
}

fn server_status(
    (standing, server): (ServerReport, &ServerConfig),
    nth: usize,
    workers: &[&PoolStats],
    (share, rate): (Option<f64>, f64),
    latencies: Vec<WindowReport>,
) -> ServerStatus {
    let sum = |number: fn(&ServerCounters) -> u64| {
        let all = workers.iter().map(|worker| number(&worker.servers[nth]));
        all.fold(0, u64::wrapping_add)
    };
    let of_standing = |number: fn(&ServerStanding) -> u64| {
        let all = workers.iter().map(|worker| number(&worker.standings[nth]));
        all.fold(0, u64::wrapping_add)
    };
    ServerStatus {
        standing,
        address: server.address.to_string(),
        weight: server.weight.get(),
        keys_share: share.map(thousandths),
        requests_per_second: tenths(rate),
        requests: sum(|c| c.requests.value()),
        replies: sum(|c| c.responses.value()),
        timeouts: sum(|c| c.server_timedout.value()),
        connection_errors: sum(|c| c.server_err.value()),
        queued: sum(|c| c.in_queue.value()),
        awaited: sum(|c| c.out_queue.value()),
        retried: of_standing(|s| s.retried.value()),
        held: of_standing(|s| s.held.value()),
        latencies: with_replies(latencies),
    }
}

// With thousands of servers of which a few are asked, the rest would be most of the answer.
fn with_replies(mut windows: Vec<WindowReport>) -> Vec<WindowReport> {
    windows.retain(|window| window.requests > 0);
    windows
}

fn thousandths(share: f64) -> f64 {
    (share * 1000.0).round() / 1000.0
}
