//! The rows of the tables, made of what was answered.
//!
//! Owns: what a cell says, and by what it is sorted. Never: which rows are shown.

use std::cmp::Ordering;

use super::report::Event;
use super::report::Percentiles;
use super::report::Pool;
use super::report::Server;
use super::report::Slow;
use super::report::Window;

/// A cell: what is shown, and by what it is sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// Numbers stand to the right, and come before texts.
    pub(super) number: Option<f64>,
}

impl Cell {
    // A name may hold whatever its owner wrote; a terminal obeys control characters.
    fn text(text: &str) -> Cell {
        let text = text.replace(char::is_control, "?");
        Cell { text, number: None }
    }

    fn number(number: f64, text: String) -> Cell {
        let number = Some(number);
        Cell { text, number }
    }

    #[expect(clippy::cast_precision_loss, reason = "an order for people")]
    fn count(count: u64) -> Cell {
        Cell::number(count as f64, amount(count as f64))
    }

    fn rate(rate: f64) -> Cell {
        Cell::number(rate, amount(rate))
    }

    fn percent(share: Option<f64>) -> Cell {
        match share {
            Some(share) => Cell::number(share, format!("{:.1}", share * 100.0)),
            None => Cell::number(-1.0, "-".to_owned()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "an order for people")]
    fn millis(micros: Option<u64>) -> Cell {
        match micros.map(|micros| micros as f64 / 1000.0) {
            Some(ms) if ms < 100.0 => Cell::number(ms, format!("{ms:.2}")),
            Some(ms) => Cell::number(ms, format!("{ms:.0}")),
            None => Cell::number(-1.0, "-".to_owned()),
        }
    }
}

/// A line of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// Something is wrong with it.
    pub(super) bad: bool,
    /// The last points, for its last column.
    pub(super) points: Vec<f64>,
}

/// A pool; the last of its points is the rate of now.
pub(super) fn pool_row(pool: &Pool, points: Vec<f64>) -> Row {
    let times = lately(&pool.latencies);
    let servers = format!("{}/{}", pool.usable, pool.servers.len());
    Row {
        cells: vec![
            Cell::text(&pool.pool),
            Cell::text(&pool.state),
            Cell::text(&servers),
            Cell::count(pool.clients),
            Cell::rate(pool.requests_per_second),
            Cell::rate(pool.errors_per_second),
            Cell::millis(times.map(|(at, _)| at.p50_us)),
            Cell::millis(times.map(|(at, _)| at.p99_us)),
            Cell::millis(times.map(|(_, in_proxy)| in_proxy.p99_us)),
            Cell::default(),
        ],
        bad: pool.state != "ready" || pool.usable < pool.servers.len(),
        points,
    }
}

/// A server of a pool.
pub(super) fn server_row(pool: &Pool, server: &Server) -> Row {
    let times = lately(&server.latencies);
    let all = pool.requests_per_second;
    let traffic = (all > 0.0).then(|| server.requests_per_second / all);
    Row {
        cells: vec![
            Cell::text(&server.server),
            Cell::text(&pool.pool),
            Cell::text(&server.state),
            Cell::percent(server.keys_share),
            Cell::percent(traffic),
            Cell::rate(server.requests_per_second),
            Cell::millis(times.map(|(at, _)| at.p50_us)),
            Cell::millis(times.map(|(at, _)| at.p99_us)),
            Cell::millis(times.map(|(_, in_proxy)| in_proxy.p99_us)),
            Cell::count(server.queued),
            Cell::count(server.awaited),
            Cell::count(server.timeouts),
            Cell::text(&server.address),
        ],
        bad: !server.usable || !["connected", "idle"].contains(&server.state.as_str()),
        points: Vec::new(),
    }
}

/// An event.
pub(super) fn event_row(event: &Event) -> Row {
    let fields = event
        .fields
        .iter()
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        });
    let fields: Vec<String> = fields.collect();
    Row {
        cells: vec![
            Cell::text(&event.at),
            Cell::text(&event.level),
            Cell::text(&event.event),
            Cell::text(&fields.join(" ")),
        ],
        bad: event.level != "info",
        points: Vec::new(),
    }
}

/// A request that took long.
pub(super) fn slow_row(slow: &Slow) -> Row {
    let or_none = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or("-"));
    Row {
        cells: vec![
            Cell::text(&slow.at),
            Cell::millis(Some(slow.took_us)),
            Cell::millis(Some(slow.queued_us)),
            Cell::millis(Some(slow.held_us)),
            Cell::millis(Some(slow.at_server_us)),
            Cell::text(&slow.pool),
            or_none(&slow.server),
            Cell::text(&slow.command),
            or_none(&slow.key),
            or_none(&slow.client),
            or_none(&slow.name),
            Cell::count(slow.request_bytes),
            Cell::count(slow.reply_bytes),
        ],
        bad: false,
        points: Vec::new(),
    }
}

/// At the server and in the proxy, of the last seconds in which there was a reply.
fn lately(windows: &[Window]) -> Option<(Percentiles, Percentiles)> {
    let window = windows.iter().find(|window| window.requests > 0)?;
    Some((window.at_server, window.in_proxy))
}

/// Numbers by their size, all else by its letters.
pub(super) fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (a.number, b.number) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.text.cmp(&b.text),
    }
}

/// `999`, `12.3k`, `1.23M`.
pub(super) fn amount(number: f64) -> String {
    match number {
        ..10.0 if number.fract() != 0.0 => format!("{number:.1}"),
        ..10_000.0 => format!("{number:.0}"),
        ..1e6 => format!("{:.1}k", number / 1e3),
        ..1e9 => format!("{:.2}M", number / 1e6),
        _ => format!("{:.2}G", number / 1e9),
    }
}
