//! The page for people: what there is, how it does, in tables.
//!
//! Whole in itself: no script, nothing from elsewhere. Every name is escaped; it may come from a
//! file that somebody else wrote.

use std::borrow::Cow;

use crate::control::health::PoolReport;
use crate::control::shown::Shown;

use super::text;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem;color:#222}\
table{border-collapse:collapse;margin:0 0 1.5rem}td,th{padding:.2rem 1rem .2rem 0;text-align:left;\
border-bottom:1px solid #ddd}td.n{text-align:right}.good{color:#175e17}.bad{color:#a11212;\
font-weight:600}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}\
.good{color:#7ccf7c}.bad{color:#ff8a8a}}";

/// What it may load and run.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The page.
pub(super) fn status(api: &Shown) -> String {
    let health = api.health.borrow();
    let report = health.report(api.clock.now());
    let mut out = Html::default();
    out.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.raw("<meta http-equiv=\"refresh\" content=\"5\"><title>Coremux on ");
    out.text(&api.stats.host);
    out.raw("</title><style>");
    out.raw(STYLE);
    out.raw("</style></head><body><h1>Coremux on ");
    out.text(&api.stats.host);
    out.raw("</h1><p class=\"");
    out.raw(class(health.is_healthy()));
    out.raw("\">");
    out.text(&text::of_health(&report));
    out.raw("</p><p>");
    out.text(&format!(
        "version {}, process {}, up {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        text::lasting(api.clock.uptime())
    ));
    out.raw("</p>");
    for (nth, pool) in health.ready_report().pools.iter().enumerate() {
        put_pool(&mut out, api, nth, pool);
    }
    out.table("Workers", &["worker", "state", "heartbeat", "connections"]);
    let numbers = api.stats.numbers();
    for (worker, stats) in report.workers.iter().zip(&numbers.workers) {
        out.raw("<tr>");
        out.cell(&worker.worker.to_string());
        out.judged(!worker.stuck, if worker.stuck { "stuck" } else { "alive" });
        out.number(&format!("{} ms ago", worker.heartbeat_age_ms));
        out.number(&stats.curr_connections.value().to_string());
        out.raw("</tr>");
    }
    out.raw("</table><p>Also: ");
    for path in ["/health", "/ready", "/weight", "/metrics", "/stats"] {
        out.raw(&format!("<a href=\"{path}\">{path}</a> "));
    }
    out.raw("</p></body></html>\n");
    out.0
}

fn put_pool(out: &mut Html, api: &Shown, nth: usize, pool: &PoolReport) {
    out.table(
        &text::of_pool(pool),
        &[
            "server",
            "state",
            "connections",
            "requests",
            "replies",
            "queued",
            "awaited",
        ],
    );
    let numbers = api.stats.numbers();
    for (s, server) in pool.servers.iter().enumerate() {
        let of = |number: fn(&crate::stats::ServerCounters) -> u64| {
            let sum: u64 = numbers
                .workers
                .iter()
                .map(|w| number(&w.pools[nth].servers[s]))
                .sum();
            sum.to_string()
        };
        out.raw("<tr>");
        out.cell(&server.server);
        let state = match &server.failing_since {
            Some(since) => format!("{} since {since}", server.state),
            None => server.state.to_owned(),
        };
        out.judged(server.usable, &state);
        out.number(&server.connections.to_string());
        out.number(&of(|c| c.requests.value()));
        out.number(&of(|c| c.responses.value()));
        out.number(&of(|c| c.in_queue.value()));
        out.number(&of(|c| c.out_queue.value()));
        out.raw("</tr>");
    }
    out.raw("</table>");
    if let Some(sentinels) = &pool.sentinels {
        out.raw("<p class=\"");
        out.raw(class(sentinels.majority));
        out.raw("\">");
        out.text(&text::of_sentinels(sentinels));
        out.raw("</p><ul>");
        for server in &pool.servers {
            let master = text::of_master(server);
            let master = master.unwrap_or_else(|| "no master is known".to_owned());
            out.raw("<li>");
            out.text(&format!("{}: {master}", server.server));
            out.raw("</li>");
        }
        out.raw("</ul>");
    }
}

fn class(good: bool) -> &'static str {
    if good { "good" } else { "bad" }
}

#[derive(Default)]
struct Html(String);

impl Html {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    fn cell(&mut self, text: &str) {
        self.raw("<td>");
        self.text(text);
        self.raw("</td>");
    }

    fn number(&mut self, text: &str) {
        self.raw("<td class=\"n\">");
        self.text(text);
        self.raw("</td>");
    }

    fn judged(&mut self, good: bool, text: &str) {
        self.raw("<td class=\"");
        self.raw(class(good));
        self.raw("\">");
        self.text(text);
        self.raw("</td>");
    }

    fn table(&mut self, title: &str, columns: &[&str]) {
        self.raw("<h2>");
        self.text(title);
        self.raw("</h2><table><tr>");
        for column in columns {
            self.raw("<th>");
            self.text(column);
            self.raw("</th>");
        }
        self.raw("</tr>");
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    let special = |c| matches!(c, '&' | '<' | '>' | '"' | '\'');
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_name_is_never_html() {
        assert_eq!(
            escaped("<b a=\"1\" c='2'>&amp;"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;"
        );
        assert_eq!(escaped("plain_name-1"), "plain_name-1");
    }
}
