//! What is known, what of it is looked at, and what a key changes about that.
//!
//! Owns: views, their columns and rows, order, filter and place. Never: a terminal.

use std::cmp::Ordering;
use std::collections::HashMap;

use ratatui::crossterm::event::KeyCode;
use ratatui::crossterm::event::KeyEvent;
use ratatui::crossterm::event::KeyModifiers;

use super::report::Answers;
use super::report::Event;
use super::report::Percentiles;
use super::report::Pool;
use super::report::Server;
use super::report::Status;
use super::report::Window;

/// As many as `/api/history` keeps.
const POINTS_MAX: usize = 180;

/// As many as `/api/events` keeps.
const EVENTS_MAX: usize = 256;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Pools,
    Servers,
    Events,
}

impl View {
    pub(super) const ALL: [View; 3] = [View::Pools, View::Servers, View::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            View::Pools => "pools",
            View::Servers => "servers",
            View::Events => "events",
        }
    }

    /// The titles of its columns; those of numbers end with the unit, if there is one.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            View::Pools => &[
                "pool",
                "state",
                "servers",
                "clients",
                "req/s",
                "err/s",
                "p50 ms",
                "p99 ms",
                "in proxy p99",
                "last minutes",
            ],
            View::Servers => &[
                "server",
                "pool",
                "state",
                "keys %",
                "traffic %",
                "req/s",
                "p50 ms",
                "p99 ms",
                "in proxy p99",
                "queued",
                "awaited",
                "timeouts",
                "address",
            ],
            View::Events => &["when", "level", "event", "of what"],
        }
    }

    // Of pools and servers nobody has to be told the order; events are newest first.
    fn first_order(self) -> (usize, bool) {
        (0, self == View::Events)
    }
}

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

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) status: Status,
    pub(super) lost: Option<String>,
    pub(super) view: View,
    /// The column, and whether the greatest comes first.
    pub(super) order: (usize, bool),
    pub(super) place: usize,
    pub(super) filter: String,
    pub(super) typing: bool,
    pub(super) help: bool,
    history: HashMap<String, Vec<f64>>,
    events: Vec<Event>,
    version: u64,
}

impl Default for Model {
    fn default() -> Model {
        Model {
            status: Status::default(),
            lost: None,
            view: View::Pools,
            order: View::Pools.first_order(),
            place: 0,
            filter: String::new(),
            typing: false,
            help: false,
            history: HashMap::new(),
            events: Vec::new(),
            version: 0,
        }
    }
}

impl Model {
    /// Another number when there is something else to draw.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The proxy has answered.
    pub(super) fn take(&mut self, answers: Answers) {
        self.version += 1;
        self.lost = None;
        if self.status.started != answers.status.started {
            self.history.clear();
            self.events.clear();
        }
        self.status = answers.status;
        for pool in answers.history.pools {
            let points = self.history.entry(pool.pool).or_default();
            points.extend(pool.requests_per_second);
            let gone = points.len().saturating_sub(POINTS_MAX);
            points.drain(..gone);
        }
        let newest = self.events.first().map_or(0, |event| event.number);
        let new = answers
            .events
            .into_iter()
            .filter(|event| event.number > newest);
        let new: Vec<Event> = new.collect();
        self.events.splice(..0, new);
        self.events.truncate(EVENTS_MAX);
    }

    /// It has not.
    pub(super) fn lose(&mut self, error: String) {
        self.version += 1;
        self.lost = Some(error);
    }

    /// Does what a key says: whether it is the end.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        self.version += 1;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return matches!(key.code, KeyCode::Char('c' | 'd'));
        }
        if self.typing {
            self.typed(key.code);
            return false;
        }
        let rows = self.rows().len();
        match key.code {
            KeyCode::Char('q') => return true,
            KeyCode::Esc if self.help || !self.filter.is_empty() => {
                self.help = false;
                self.filter.clear();
            }
            KeyCode::Esc => return true,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('1') => self.look_at(View::Pools),
            KeyCode::Char('2') => self.look_at(View::Servers),
            KeyCode::Char('3') => self.look_at(View::Events),
            KeyCode::Tab => self.look_at_next(1),
            KeyCode::BackTab => self.look_at_next(View::ALL.len() - 1),
            KeyCode::Char('s') => self.rank_servers("p99 ms"),
            KeyCode::Char('t') => self.rank_servers("req/s"),
            KeyCode::Char('>') | KeyCode::Right => self.sort_next(1),
            KeyCode::Char('<') | KeyCode::Left => self.sort_next(self.view.columns().len() - 1),
            KeyCode::Char('r') => self.order.1 = !self.order.1,
            KeyCode::Down | KeyCode::Char('j') => {
                self.place = (self.place + 1).min(rows.saturating_sub(1))
            }
            KeyCode::Up | KeyCode::Char('k') => self.place = self.place.saturating_sub(1),
            KeyCode::PageDown => self.place = (self.place + 20).min(rows.saturating_sub(1)),
            KeyCode::PageUp => self.place = self.place.saturating_sub(20),
            KeyCode::Home => self.place = 0,
            KeyCode::End => self.place = rows.saturating_sub(1),
            KeyCode::Enter => self.open(),
            _ => {}
        }
        false
    }

    fn typed(&mut self, key: KeyCode) {
        self.place = 0;
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Char(c) if self.filter.len() < 64 => self.filter.push(c),
            _ => {}
        }
    }

    fn look_at(&mut self, view: View) {
        self.view = view;
        self.order = view.first_order();
        self.place = 0;
    }

    fn look_at_next(&mut self, by: usize) {
        let at = View::ALL.iter().position(|view| *view == self.view);
        let at = at.unwrap_or_default() + by;
        self.look_at(View::ALL[at % View::ALL.len()]);
    }

    fn sort_next(&mut self, by: usize) {
        let column = (self.order.0 + by) % self.view.columns().len();
        let is_number = self
            .all_rows()
            .iter()
            .any(|row| row.cells[column].number.is_some());
        self.order = (column, is_number);
    }

    fn rank_servers(&mut self, by: &str) {
        self.look_at(View::Servers);
        let columns = self.view.columns().iter();
        let column = columns.clone().position(|column| *column == by);
        self.order = (column.unwrap_or_default(), true);
    }

    // A pool's servers.
    fn open(&mut self) {
        let rows = self.rows();
        if let (View::Pools, Some(row)) = (self.view, rows.get(self.place)) {
            let pool = row.cells[0].text.clone();
            self.look_at(View::Servers);
            self.filter = pool;
        }
    }

    /// The rows to show, in their order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let wanted = self.filter.to_lowercase();
        let mut rows = self.all_rows();
        rows.retain(|row| {
            let mut cells = row.cells.iter();
            wanted.is_empty() || cells.any(|cell| cell.text.to_lowercase().contains(&wanted))
        });
        let (column, descending) = self.order;
        rows.sort_by(|a, b| {
            let order = compare(&a.cells[column], &b.cells[column]);
            if descending { order.reverse() } else { order }
        });
        rows
    }

    fn all_rows(&self) -> Vec<Row> {
        let pools = self.status.pools.iter();
        match self.view {
            View::Pools => pools.map(|pool| self.pool_row(pool)).collect(),
            View::Servers => {
                let servers = pools.flat_map(|pool| pool.servers.iter().map(move |s| (pool, s)));
                servers
                    .map(|(pool, server)| server_row(pool, server))
                    .collect()
            }
            View::Events => self.events.iter().map(event_row).collect(),
        }
    }

    fn pool_row(&self, pool: &Pool) -> Row {
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
            points: self.points_of(&pool.pool, pool.requests_per_second),
        }
    }

    fn points_of(&self, pool: &str, now: f64) -> Vec<f64> {
        let known = self.history.get(pool).map_or(&[][..], |points| points);
        known.iter().copied().chain([now]).collect()
    }

    /// Requests a second of all pools together.
    pub(super) fn all_points(&self) -> Vec<f64> {
        let pools = self.status.pools.iter();
        let all = pools.map(|pool| self.points_of(&pool.pool, pool.requests_per_second));
        let all: Vec<Vec<f64>> = all.collect();
        let most = all.iter().map(Vec::len).max().unwrap_or_default();
        // The last ones are of the same time.
        let at = |back: usize| {
            let points = all
                .iter()
                .filter_map(|p| p.len().checked_sub(back).map(|at| p[at]));
            points.sum()
        };
        (1..=most).rev().map(at).collect()
    }
}

fn server_row(pool: &Pool, server: &Server) -> Row {
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

fn event_row(event: &Event) -> Row {
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

/// At the server and in the proxy, of the last seconds in which there was a reply.
fn lately(windows: &[Window]) -> Option<(Percentiles, Percentiles)> {
    let window = windows.iter().find(|window| window.requests > 0)?;
    Some((window.at_server, window.in_proxy))
}

fn compare(a: &Cell, b: &Cell) -> Ordering {
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
