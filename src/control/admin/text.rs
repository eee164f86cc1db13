//! The state of the process for people at a terminal.

use std::fmt::Write;
use std::time::Duration;

use crate::control::health::ExclusiveReport;
use crate::control::health::HealthReport;
use crate::control::health::PoolReport;
use crate::control::health::PubsubReport;
use crate::control::health::ReadyReport;
use crate::control::health::SentinelsReport;
use crate::control::health::ServerReport;
use crate::control::telemetry;
use crate::control::telemetry::Telemetry;

/// `coremux ctl status`.
pub(in crate::control) fn of_status(
    health: &HealthReport,
    ready: &ReadyReport,
    telemetry: &Telemetry,
    uptime: Duration,
) -> String {
    let mut out = Lines::default();
    out.line(format_args!(
        "coremux {}, process {}, up {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        lasting(uptime)
    ));
    out.line(format_args!("{}", of_health(health)));
    for worker in &health.workers {
        out.line(format_args!(
            "worker {}: {} (heartbeat {} ms ago)",
            worker.worker,
            if worker.stuck { "stuck" } else { "alive" },
            worker.heartbeat_age_ms
        ));
    }
    for pool in &ready.pools {
        out.line(format_args!("{}", of_pool(pool)));
        let lately = telemetry.of_pool(&pool.pool, uptime);
        telemetry::Lines(&lately).write("  ", &mut out.0);
        if let Some(sentinels) = &pool.sentinels {
            out.line(format_args!("  {}", of_sentinels(sentinels)));
        }
        if !pool.pubsub.is_empty() {
            out.line(format_args!("  {}", of_pubsub(&pool.pubsub)));
        }
        for server in &pool.servers {
            let since = match &server.failing_since {
                Some(since) => format!(", failing since {since}"),
                None => String::new(),
            };
            out.line(format_args!(
                "  {}: {}, {} ready{since}",
                server.server,
                server.state,
                counted(server.connections, "connection")
            ));
            let lately = telemetry.of_server(&pool.pool, &server.server, uptime);
            telemetry::Lines(&lately).write("    ", &mut out.0);
            if !server.exclusive.is_empty() {
                out.line(format_args!("    {}", of_exclusive(&server.exclusive)));
            }
            if let Some(text) = of_master(server) {
                out.line(format_args!("    {text}"));
            }
        }
    }
    out.0
}

/// `healthy since …`, and why not.
pub(super) fn of_health(health: &HealthReport) -> String {
    let reasons = match health.reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", health.reasons.join(", ")),
    };
    format!("{}{reasons} since {}", health.state, health.since)
}

/// `pool alpha: ready since …`, and how many servers it has and needs.
pub(super) fn of_pool(pool: &PoolReport) -> String {
    format!(
        "pool {}: {} since {}, {}, {} of {} usable, {} needed",
        pool.pool,
        pool.state,
        pool.since,
        counted(pool.clients, "client"),
        pool.usable,
        counted(pool.servers.len() as u64, "server"),
        pool.required
    )
}

/// `sentinels: 2 of 3 answer, …`.
pub(super) fn of_sentinels(sentinels: &SentinelsReport) -> String {
    let majority = match sentinels.majority {
        true => "a majority is heard",
        false => "no majority is heard",
    };
    let refused = match sentinels.writes_refused {
        true => ", writes are refused",
        false => "",
    };
    let (connected, known) = (sentinels.connected, sentinels.known);
    let others = sentinels.all.iter().filter(|s| s.state != "answers");
    let others: String = others
        .map(|s| format!(", {} {}", s.address, s.state))
        .collect();
    format!("sentinels: {connected} of {known} answer, {majority}{refused}{others}")
}

/// `master 10.0.0.1:6379, epoch 3, since …`, and the replicas.
pub(super) fn of_master(server: &ServerReport) -> Option<String> {
    let master = server.master.as_ref()?;
    let mut text = format!(
        "master {}, epoch {}, since {}, role confirmed {}",
        master.address, master.epoch, master.since, master.role_confirmed
    );
    for replica in &server.replicas {
        let state = match (replica.read, replica.lag_ms) {
            (true, Some(lag)) => format!("read, {lag} ms behind"),
            (true, None) => "read".to_owned(),
            (false, _) => "not read".to_owned(),
        };
        text += &format!("; replica {} {state}", replica.address);
    }
    Some(text)
}

/// `2 subscribers of 7 channels and patterns; 1 closed as too slow, 3 subscribed again since the start`.
fn of_pubsub(pubsub: &PubsubReport) -> String {
    let subscribers = counted(pubsub.subscribers, "subscriber");
    let (topics, slow, again) = (
        pubsub.subscriptions,
        pubsub.slow_closed,
        pubsub.resubscribed,
    );
    format!(
        "{subscribers} of {topics} channels and patterns; {slow} closed as too slow, {again} subscribed again since the start"
    )
}

/// `4 exclusive connections, 3 held; 1 client waiting for one, 0 refused since the start`.
fn of_exclusive(exclusive: &ExclusiveReport) -> String {
    let all = counted(exclusive.connections, "exclusive connection");
    let waiting = counted(exclusive.waiting, "client");
    let (held, refused) = (exclusive.held, exclusive.refused);
    format!("{all}, {held} held; {waiting} waiting for one, {refused} refused since the start")
}

/// `2 servers`.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `3d 4h`, `2m 1s`: the two largest units.
pub(super) fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if days > 0 => format!("{days}d {}h", hours % 24),
        () if hours > 0 => format!("{hours}h {}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () => format!("{seconds}s"),
    }
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{text}").expect("a String takes all that is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0s"),
            (61, "1m 1s"),
            (7_260, "2h 1m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(lasting(Duration::from_secs(seconds)), text);
        }
    }
}
