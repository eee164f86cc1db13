//! The picture: lines of text, a table, and the keys.
//!
//! Owns: where things stand and how they look, with and without colours. Never: what a key does.

use std::env;

use ratatui::Frame;
use ratatui::layout::Alignment;
use ratatui::layout::Constraint;
use ratatui::layout::Layout;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::style::Modifier;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::text::Span;
use ratatui::text::Text;
use ratatui::widgets::Cell;
use ratatui::widgets::Paragraph;
use ratatui::widgets::Row;
use ratatui::widgets::Table;
use ratatui::widgets::TableState;

use super::model::Model;
use super::model::View;
use super::rows;
use super::rows::amount;

const HELP: &str = "\
1 2 3 4, Tab   pools, servers, events, slow requests
Enter          the servers of a pool
s, t           servers: the slowest first, those with most traffic first
< >, arrows    sort by another column        r  the other way round
/              show only what has these letters; Esc shows all again
j k, arrows    up and down                   q  the end

p50, p99: how long requests were at the server in the last 10 s (1 min, 15 min
if there were none), the network included. In proxy: how long they waited before.
A line that begins with ! is one with which something is wrong.";

/// No column of a table is wider.
const WIDE: u16 = 48;

/// How things look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) colors: bool,
    pub(super) blocks: bool,
}

impl Paint {
    /// As the user's environment says.
    pub(super) fn of_environment() -> Paint {
        let variables = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
        let locale = variables.filter_map(|name| env::var(name).ok());
        let locale = locale.into_iter().find(|value| !value.is_empty());
        let locale = locale.unwrap_or_default().to_lowercase();
        Paint {
            colors: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            blocks: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    fn color(self, color: Color) -> Style {
        match self.colors {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    // As many of the last points as there is room for.
    fn spark(self, points: &[f64], room: usize) -> String {
        let levels: &[char] = match self.blocks {
            true => &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            false => &['_', '.', ':', '-', '=', '+', '*', '#'],
        };
        let points = &points[points.len().saturating_sub(room)..];
        let top = points.iter().copied().fold(1.0, f64::max);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 8"
        )]
        let level = |point: &f64| ((point / top * 7.0).round() as usize).min(7);
        points.iter().map(|point| levels[level(point)]).collect()
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, paint: &Paint) {
    let parts = [
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ];
    let [top, tabs, body, bottom] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(head(model, *paint, top.width)), top);
    frame.render_widget(Paragraph::new(tab_line(model, *paint)), tabs);
    match model.help {
        true => frame.render_widget(Paragraph::new(HELP), body),
        false => table(frame, model, *paint, body),
    }
    let keys = match (model.typing, &model.lost) {
        (true, _) => Line::from(format!(
            "show only: {}_   Enter keeps it, Esc shows all",
            model.filter
        )),
        (false, Some(error)) => Line::styled(
            format!("no answer, what is shown is old: {error}"),
            paint.bad(),
        ),
        (false, None) => Line::styled(
            "q end  ? help  Tab view  < > sort  r reverse  / filter  s slowest  t most traffic",
            paint.color(Color::DarkGray),
        ),
    };
    frame.render_widget(Paragraph::new(keys), bottom);
}

fn head(model: &Model, paint: Paint, width: u16) -> Text<'static> {
    let status = &model.status;
    let healthy = status.state == "healthy";
    let state = match status.reasons.as_slice() {
        [] => status.state.clone(),
        reasons => format!("{}: {}", status.state, reasons.join(", ")),
    };
    let style = if healthy {
        paint.color(Color::Green)
    } else {
        paint.bad()
    };
    let first = Line::from(vec![
        Span::styled(
            format!("coremux {} on {}  ", status.version, status.host),
            Modifier::BOLD,
        ),
        Span::styled(if healthy { state } else { format!("! {state}") }, style),
        Span::raw(format!("  up {}", lasting(status.uptime_seconds))),
    ]);
    let pools = || status.pools.iter();
    let down = pools()
        .flat_map(|p| &p.servers)
        .filter(|server| !server.usable);
    let mut second = vec![Span::raw(format!(
        "{} req/s  {} err/s  {} clients  ",
        amount(pools().map(|pool| pool.requests_per_second).sum()),
        amount(pools().map(|pool| pool.errors_per_second).sum()),
        pools().map(|pool| pool.clients).sum::<u64>(),
    ))];
    let down = down.count();
    if down > 0 {
        second.push(Span::styled(
            format!("! {down} servers down  "),
            paint.bad(),
        ));
    }
    second.push(Span::raw(memory(model)));
    for worker in &status.workers {
        let text = match (worker.stuck, worker.cpu) {
            (true, _) => format!("  ! worker {} stuck", worker.worker),
            (false, Some(cpu)) => format!("  cpu{} {:.0}%", worker.worker, cpu * 100.0),
            (false, None) => String::new(),
        };
        let busy = worker.stuck || worker.cpu.is_some_and(|cpu| cpu > 0.9);
        second.push(Span::styled(
            text,
            if busy { paint.bad() } else { Style::new() },
        ));
    }
    let spark = paint.spark(&model.all_points(), width.into());
    Text::from(vec![
        first,
        Line::from(second),
        Line::styled(spark, paint.color(Color::Cyan)),
    ])
}

fn memory(model: &Model) -> String {
    let of = &model.status.memory;
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let limit = of
        .limit_bytes
        .map_or(String::new(), |limit| format!(" of {}", mib(limit)));
    of.resident_bytes
        .map_or(String::new(), |bytes| format!("{}{limit}", mib(bytes)))
}

fn tab_line(model: &Model, paint: Paint) -> Line<'static> {
    let mut spans = Vec::new();
    for (nth, view) in (1..).zip(View::ALL) {
        let style = match view == model.view {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        spans.push(Span::styled(format!(" {nth} {} ", view.name()), style));
    }
    let (column, descending) = model.order;
    let way = if descending { "greatest" } else { "least" };
    let text = format!("  by {}, {way} first", model.view.columns()[column]);
    spans.push(Span::styled(text, paint.color(Color::DarkGray)));
    if !model.filter.is_empty() {
        spans.push(Span::styled(
            format!("  only: {}", model.filter),
            Modifier::BOLD,
        ));
    }
    Line::from(spans)
}

fn table(frame: &mut Frame<'_>, model: &Model, paint: Paint, area: Rect) {
    let (rows, columns) = (model.rows(), model.view.columns());
    let widths: Vec<u16> = (0..columns.len())
        .map(|c| width(&rows, columns, c))
        .collect();
    let is_number = |c: usize| rows.iter().any(|row| row.cells[c].number.is_some());
    let aligned = |c: usize, text: String| {
        let right = is_number(c);
        Text::from(text).alignment(if right {
            Alignment::Right
        } else {
            Alignment::Left
        })
    };
    let titles = columns.iter().enumerate();
    let titles = titles.map(|(c, title)| Cell::from(aligned(c, (*title).to_owned())));
    let marks = [Cell::from("")];
    let head = Row::new(marks.into_iter().chain(titles)).style(Modifier::UNDERLINED);
    let used: u16 = widths
        .iter()
        .fold(2, |sum, width| sum.saturating_add(width + 1));
    let room = usize::from(area.width.saturating_sub(used)).max(8);
    let lines = rows.iter().map(|row| {
        let cells = row.cells.iter().enumerate().map(|(c, cell)| {
            match c + 1 == row.cells.len() && !row.points.is_empty() {
                true => Cell::from(paint.spark(&row.points, room)).style(paint.color(Color::Cyan)),
                false => Cell::from(aligned(c, cell.text.clone())),
            }
        });
        let mark = Cell::from(if row.bad { "!" } else { "" });
        let style = if row.bad { paint.bad() } else { Style::new() };
        Row::new([mark].into_iter().chain(cells)).style(style)
    });
    let last = widths.len() - 1;
    let constraints = widths.iter().enumerate().map(|(c, width)| match c == last {
        true => Constraint::Min(*width),
        false => Constraint::Length(*width),
    });
    let constraints = [Constraint::Length(1)].into_iter().chain(constraints);
    let table = Table::new(lines, constraints)
        .header(head)
        .row_highlight_style(Modifier::REVERSED);
    let place = model.place.min(rows.len().saturating_sub(1));
    let mut state = TableState::new().with_selected((!rows.is_empty()).then_some(place));
    frame.render_stateful_widget(table, area, &mut state);
}

fn width(rows: &[rows::Row], columns: &[&str], column: usize) -> u16 {
    let cells = rows
        .iter()
        .map(|row| row.cells[column].text.chars().count());
    let most = cells
        .chain([columns[column].len()])
        .max()
        .unwrap_or_default();
    u16::try_from(most).unwrap_or(WIDE).min(WIDE)
}

fn lasting(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if days > 0 => format!("{days}d {}h", hours % 24),
        () if hours > 0 => format!("{hours}h {}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;
    use ratatui::crossterm::event::KeyEvent;
    use ratatui::crossterm::event::KeyModifiers;

    use super::super::report::Bodies;
    use super::*;

    const PLAIN: Paint = Paint {
        colors: false,
        blocks: false,
    };

    fn server(name: &str, state: &str, rate: f64, p99_us: u64) -> serde_json::Value {
        let times = serde_json::json!({"p50_us": 100, "p99_us": p99_us});
        serde_json::json!({
            "server": name, "address": "10.0.0.1:6379", "state": state, "usable": state == "connected",
            "keys_share": 0.5, "requests_per_second": rate, "queued": 0, "awaited": 3, "timeouts": 0,
            "latencies": [{"requests": 0, "at_server": times, "in_proxy": times},
                          {"requests": 5, "at_server": times, "in_proxy": times}],
        })
    }

    fn model() -> Model {
        let pool = |name: &str, state: &str, rate: f64, servers: Vec<serde_json::Value>| {
            serde_json::json!({
                "pool": name, "state": state, "clients": 7, "usable": 1, "requests_per_second": rate,
                "errors_per_second": 0.5, "servers": servers,
            })
        };
        let status = serde_json::json!({
            "version": "1.2.3", "host": "h", "started": "t", "uptime_seconds": 61, "state": "unhealthy",
            "reasons": ["draining"], "memory": {"resident_bytes": 52 << 20, "limit_bytes": null},
            "workers": [{"worker": 0, "stuck": false, "cpu": 0.25}],
            "pools": [
                pool("alpha", "ready", 300.0, vec![server("s1", "connected", 300.0, 900)]),
                pool("be\u{1b}[2Jta", "unready", 1000.0, vec![
                    server("s2", "connected", 400.0, 120_000),
                    server("s3", "failing", 600.0, 50),
                ]),
            ],
        });
        let events = serde_json::json!([{
            "number": 2, "at": "12:00", "level": "warn", "event": "server ejected",
            "fields": {"pool": "alpha", "failures": 2},
        }]);
        let history = serde_json::json!({
            "last_step": 2, "pools": [{"pool": "alpha", "requests_per_second": [0.0, 150.0]}],
        });
        let slow = |key: &str, took_us: u64| {
            serde_json::json!({
                "at": "12:00", "pool": "alpha", "server": null, "client": null, "name": "x\u{1b}[2J",
                "command": "get", "key": key, "took_us": took_us, "queued_us": 0, "held_us": 0,
                "at_server_us": took_us, "request_bytes": 20, "reply_bytes": 5,
            })
        };
        let slow = serde_json::json!([slow("a", 12_000), slow("b", 450_000), slow("c", 30_000)]);
        let bodies = [status, events, history, slow].map(|value| value.to_string());
        let [status, events, history, slow] = bodies;
        let mut model = Model::default();
        let bodies = Bodies {
            status,
            events,
            history,
            slow,
        };
        model.take(bodies.parse().unwrap());
        model
    }

    fn press(model: &mut Model, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                key => KeyCode::Char(key),
            };
            assert!(!model.key(KeyEvent::new(code, KeyModifiers::NONE)), "{key}");
        }
    }

    fn drawn(model: &Model, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, &PLAIN)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol().to_owned())
                .collect::<String>()
        };
        (0..height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    // The first words of the rows below the titles.
    fn rows(model: &Model) -> Vec<String> {
        let lines = drawn(model, 160, 20);
        let rows = lines[5..19].iter().filter(|line| !line.is_empty());
        rows.map(|line| {
            line.trim_start_matches(['!', ' '])
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
    }

    #[test]
    fn it_says_at_a_glance_how_things_are_and_marks_what_is_wrong_without_colours() {
        let lines = drawn(&model(), 160, 12);
        assert_eq!(
            lines[0],
            "coremux 1.2.3 on h  ! unhealthy: draining  up 1m 1s"
        );
        assert_eq!(
            lines[1],
            "1300 req/s  1 err/s  14 clients  ! 1 servers down  52 MiB  cpu0 25%"
        );
        assert!(lines[2].ends_with('#'), "{lines:?}");
        assert!(
            lines[5].starts_with("  alpha") && lines[5].ends_with("_=#"),
            "{lines:?}"
        );
        assert!(
            lines[6].starts_with("! be?[2Jta"),
            "a name is no command: {lines:?}"
        );
        assert!(lines[11].starts_with("q end"));
    }

    #[test]
    fn keys_choose_sort_filter_and_open() {
        let mut model = model();
        press(&mut model, "t");
        assert_eq!(rows(&model), ["s3", "s2", "s1"], "most traffic first");
        press(&mut model, "s");
        assert_eq!(rows(&model), ["s2", "s1", "s3"], "the slowest first");
        press(&mut model, "r");
        assert_eq!(rows(&model), ["s3", "s1", "s2"]);
        press(&mut model, "/FAIL\n");
        assert_eq!(rows(&model), ["s3"]);
        press(&mut model, "\u{1b}1");
        assert_eq!(rows(&model), ["alpha", "be?[2Jta"]);
        press(&mut model, "j\n");
        assert_eq!(rows(&model), ["s2", "s3"], "the servers of a pool");
        press(&mut model, "\u{1b}3");
        assert!(drawn(&model, 100, 12)[5].contains("server ejected"));
        press(&mut model, "4");
        let lines = drawn(&model, 160, 12);
        let keys = [5, 6, 7].map(|nth: usize| lines[nth].split_whitespace().nth(8).unwrap());
        assert_eq!(keys, ["b", "c", "a"], "the slowest first: {lines:?}");
        assert!(
            lines[5].contains(" x?[2J "),
            "a name is no command: {lines:?}"
        );
        press(&mut model, "?");
        assert!(
            drawn(&model, 100, 20)
                .iter()
                .any(|line| line.contains("the slowest first"))
        );
        assert!(model.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }

    #[test]
    fn it_fits_into_any_window_and_says_when_the_proxy_is_away() {
        let mut model = model();
        model.lose("connection refused".to_owned());
        for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
            for _ in View::ALL {
                press(&mut model, "\t>j");
                drawn(&model, width, height);
            }
        }
        let lines = drawn(&model, 80, 24);
        assert_eq!(
            lines[23],
            "no answer, what is shown is old: connection refused"
        );
    }
}
