//! The state of the process for people at a terminal.

use std::fmt::Write;
use std::time::Duration;

use crate::control::health::HealthReport;
use crate::control::health::PoolReport;
use crate::control::health::ReadyReport;

/// `coremux ctl status`.
pub(in crate::control) fn of_status(
    health: &HealthReport,
    ready: &ReadyReport,
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
            if worker.stuck { "stuck" } else { "turns" },
            worker.heartbeat_age_ms
        ));
    }
    for pool in &ready.pools {
        out.line(format_args!("{}", of_pool(pool)));
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
