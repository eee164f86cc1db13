//! What was counted for an observer, in words.

use std::fmt::Write;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::telemetry::observed::BigKeys;
use crate::telemetry::observed::HotKeys;
use crate::telemetry::observed::Seen;

use super::telemetry::Telemetry;

/// A head, and a line for each key; of all that was seen in `time` so many.
pub(super) fn text(
    telemetry: &Telemetry,
    seen: Option<Seen>,
    top: usize,
    time: Duration,
) -> String {
    match seen {
        Some(Seen::HotKeys(keys)) => hot(telemetry, &keys, top, time),
        Some(Seen::BigKeys(keys)) => big(telemetry, &keys, top, time),
        Some(Seen::Lines(_)) | None => String::new(),
    }
}

fn names(telemetry: &Telemetry, pool: PoolIdx, server: ServerIdx) -> (&str, &str) {
    let pool_name = telemetry.pool_name(pool).unwrap_or("(removed)");
    let server_name = telemetry.server_name(pool, server);
    (pool_name, server_name.unwrap_or("(removed)"))
}

#[expect(clippy::cast_precision_loss, reason = "shares for people")]
fn hot(telemetry: &Telemetry, keys: &HotKeys, top: usize, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(0.001);
    let all = keys.requests().max(1) as f64;
    let about = if keys.is_sample() { "about " } else { "" };
    let requests = keys.requests();
    let mut text = format!("{about}{requests} requests with keys in {seconds:.1}s");
    if keys.error() > 0 {
        let error = 100.0 * keys.error() as f64 / all;
        let _ = write!(text, "; each share is too small by {error:.2}% at most");
    }
    text.push('\n');
    for key in keys.top(top) {
        let (pool, server) = names(telemetry, key.pool, key.server);
        let uses = key.uses as f64;
        let _ = write!(
            text,
            "share={:.2}% per_second={:.1} pool={pool} server={server} key={} commands=",
            100.0 * uses / all,
            uses / seconds,
            key.key
        );
        let by_all: u64 = key.commands().map(|(_, uses)| uses).sum();
        let mut commands: Vec<_> = key.commands().collect();
        commands.sort_by_key(|(_, uses)| std::cmp::Reverse(*uses));
        for (nth, (command, uses)) in commands.into_iter().enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            let share = 100.0 * uses as f64 / by_all.max(1) as f64;
            let _ = write!(text, "{comma}{command}:{share:.0}%");
        }
        text.push('\n');
    }
    text
}

fn big(telemetry: &Telemetry, keys: &BigKeys, top: usize, time: Duration) -> String {
    let mut text = format!(
        "the largest replies and values of {:.1}s\n",
        time.as_secs_f64()
    );
    for big in keys.top(top) {
        let (pool, server) = names(telemetry, big.pool, big.server);
        let _ = writeln!(
            text,
            "bytes={} what={} pool={pool} server={server} command={} key={} times={}",
            big.bytes,
            big.what.name(),
            big.command,
            big.key,
            big.times
        );
    }
    text
}
