//! What is known, what of it is looked at, and what a key changes about that.
//!
//! Owns: views, their columns, order, filter and place. Never: a terminal.

use std::collections::HashMap;

use ratatui::crossterm::event::KeyCode;
use ratatui::crossterm::event::KeyEvent;
use ratatui::crossterm::event::KeyModifiers;

use super::report::Answers;
use super::report::Event;
use super::report::Pool;
use super::report::Slow;
use super::report::Status;
use super::rows;
use super::rows::Row;

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
    Slow,
}

impl View {
    pub(super) const ALL: [View; 4] = [View::Pools, View::Servers, View::Events, View::Slow];

    pub(super) fn name(self) -> &'static str {
        match self {
            View::Pools => "pools",
            View::Servers => "servers",
            View::Events => "events",
            View::Slow => "slow requests",
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
            View::Slow => &[
                "when",
                "took ms",
                "queued ms",
                "held ms",
                "at server ms",
                "pool",
                "server",
                "command",
                "key",
                "client",
                "name",
                "request B",
                "reply B",
            ],
        }
    }

    // Of pools and servers nobody has to be told the order; events are newest first, and of the
    // slow requests the slowest.
    fn first_order(self) -> (usize, bool) {
        match self {
            View::Pools | View::Servers => (0, false),
            View::Events => (0, true),
            View::Slow => (1, true),
        }
    }
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
    slow: Vec<Slow>,
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
            slow: Vec::new(),
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
        self.slow = answers.slow;
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
            KeyCode::Char('4') => self.look_at(View::Slow),
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
            let order = rows::compare(&a.cells[column], &b.cells[column]);
            if descending { order.reverse() } else { order }
        });
        rows
    }

    fn all_rows(&self) -> Vec<Row> {
        let pools = self.status.pools.iter();
        match self.view {
            View::Pools => {
                let points = |pool: &Pool| self.points_of(&pool.pool, pool.requests_per_second);
                pools
                    .map(|pool| rows::pool_row(pool, points(pool)))
                    .collect()
            }
            View::Servers => {
                let servers = pools.flat_map(|pool| pool.servers.iter().map(move |s| (pool, s)));
                servers
                    .map(|(pool, server)| rows::server_row(pool, server))
                    .collect()
            }
            View::Events => self.events.iter().map(rows::event_row).collect(),
            View::Slow => self.slow.iter().map(rows::slow_row).collect(),
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
