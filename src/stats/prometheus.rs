//! The numbers as Prometheus reads them: its text format, version 0.0.4.
//!
//! Owns: how families and samples are written, and what they are called. Pools' and servers'
//! numbers are sums over the workers: one series each, however many cores there are.

use std::fmt::Write;
use std::sync::Arc;

use super::Kind;
use super::Metric;
use super::POOL_METRICS;
use super::PUBSUB_METRICS;
use super::SERVER_METRICS;
use super::STANDING_METRICS;
use super::Shape;
use super::TRAFFIC_METRICS;
use super::WORKER_METRICS;
use super::WorkerStats;

/// A text in Prometheus's format while it is being written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    family: &'static str,
}

impl Exposition {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Timestamp => "gauge",
        };
        self.begin_family(name, kind, help);
    }

    fn begin_family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        self.escaped(help, false);
        self.put(format_args!("\n# TYPE {name} {kind}\n"));
    }

    /// Begins a family of distributions of times.
    pub fn histogram(&mut self, name: &'static str, help: &str) {
        self.begin_family(name, "histogram", help);
    }

    /// A distribution of the family: how many took less than each of the `bounds`, and not less than
    /// the one before it; how many there are in all, and their sum. Times are in microseconds.
    pub fn distribution(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[u64],
        counts: &[u64],
        count: u64,
        sum: u64,
    ) {
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            below += count;
            self.bucket(labels, &seconds(*bound), below);
        }
        self.bucket(labels, "+Inf", count);
        self.begin("_sum", labels);
        self.put(format_args!(" {}\n", seconds(sum)));
        self.begin("_count", labels);
        self.put(format_args!(" {count}\n"));
    }

    fn bucket(&mut self, labels: &[(&str, &str)], bound: &str, below: u64) {
        let of = [labels, &[("le", bound)]].concat();
        self.begin("_bucket", &of);
        self.put(format_args!(" {below}\n"));
    }

    /// A sample of the family, with its labels.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.begin("", labels);
        self.put(format_args!(" {value}\n"));
    }

    /// A sample that is a time, given in microseconds.
    pub fn micros(&mut self, labels: &[(&str, &str)], micros: u64) {
        self.begin("", labels);
        self.put(format_args!(" {}\n", seconds(micros)));
    }

    /// All that was written.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn begin(&mut self, suffix: &str, labels: &[(&str, &str)]) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        for (nth, (name, value)) in labels.iter().enumerate() {
            self.text.push(if nth == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value, true);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
    }

    fn escaped(&mut self, text: &str, quotes: bool) {
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '"' if quotes => self.text.push_str("\\\""),
                c => self.text.push(c),
            }
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("a String takes all that is written");
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Writes every row of the table of metrics.
///
/// # Panics
///
/// When a worker's counters were built by another shape.
pub fn put_table(out: &mut Exposition, shape: &Shape, workers: &[Arc<WorkerStats>]) {
    let each = || (0u32..).map(|idx| idx.to_string()).zip(workers);
    for (nth, row) in WORKER_METRICS.iter().enumerate() {
        begin(out, row);
        for (idx, worker) in each() {
            value(out, row, &[("worker", &idx)], worker.counters.values()[nth]);
        }
    }
    out.family(
        "coremux_worker_connections_opened_total",
        Kind::Counter,
        "Connections ever opened, clients' and servers'.",
    );
    for (idx, worker) in each() {
        out.sample(&[("worker", &idx)], worker.total_connections.value());
    }
    out.family(
        "coremux_worker_connections",
        Kind::Gauge,
        "Connections open now, clients' and servers'.",
    );
    for (idx, worker) in each() {
        out.sample(&[("worker", &idx)], worker.curr_connections.value());
    }
    for (nth, row) in POOL_METRICS.iter().enumerate() {
        of_pools(out, row, shape, |p| {
            let of_workers = workers.iter().map(|w| w.pools[p].counters.values()[nth]);
            joined(row, of_workers)
        });
    }
    for (nth, row) in TRAFFIC_METRICS.iter().enumerate() {
        of_pools(out, row, shape, |p| {
            let of_workers = workers.iter().map(|w| w.pools[p].traffic.values()[nth]);
            joined(row, of_workers)
        });
    }
    for (nth, row) in PUBSUB_METRICS.iter().enumerate() {
        begin(out, row);
        for (p, pool) in shape.pools.iter().enumerate() {
            let of_workers = workers.iter().map(|w| w.pools[p].pubsub.values()[nth]);
            let labels = [("pool", &*pool.name)];
            value(out, row, &labels, joined(row, of_workers));
        }
    }
    for (nth, row) in SERVER_METRICS.iter().enumerate() {
        of_servers(out, row, shape, |p, s| {
            joined(
                row,
                workers.iter().map(|w| w.pools[p].servers[s].values()[nth]),
            )
        });
    }
    for (nth, row) in STANDING_METRICS.iter().enumerate() {
        of_servers(out, row, shape, |p, s| {
            joined(
                row,
                workers
                    .iter()
                    .map(|w| w.pools[p].standings[s].values()[nth]),
            )
        });
    }
}

fn of_pools(out: &mut Exposition, row: &Metric, shape: &Shape, number: impl Fn(usize) -> u64) {
    begin(out, row);
    for (p, pool) in shape.pools.iter().enumerate() {
        value(out, row, &[("pool", &*pool.name)], number(p));
    }
}

fn of_servers(
    out: &mut Exposition,
    row: &Metric,
    shape: &Shape,
    number: impl Fn(usize, usize) -> u64,
) {
    begin(out, row);
    for (p, pool) in shape.pools.iter().enumerate() {
        for (s, server) in pool.servers.iter().enumerate() {
            let labels = [("pool", &*pool.name), ("server", &**server)];
            value(out, row, &labels, number(p, s));
        }
    }
}

fn begin(out: &mut Exposition, row: &Metric) {
    out.family(row.series, row.kind, row.help);
}

fn value(out: &mut Exposition, row: &Metric, labels: &[(&str, &str)], value: u64) {
    match row.kind {
        Kind::Timestamp => out.micros(labels, value),
        Kind::Counter | Kind::Gauge => out.sample(labels, value),
    }
}

fn joined(row: &Metric, workers: impl Iterator<Item = u64>) -> u64 {
    workers.fold(0, |sum, value| row.kind.join(sum, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::PoolShape;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let mut out = Exposition::default();
        out.family("coremux_x", Kind::Gauge, "What \\ it\nis.");
        out.sample(&[("pool", "a\"} 1\nb\\"), ("server", "s")], 7);
        out.sample(&[], 8);
        let expected = "# HELP coremux_x What \\\\ it\\nis.\n# TYPE coremux_x gauge\n\
                        coremux_x{pool=\"a\\\"} 1\\nb\\\\\",server=\"s\"} 7\ncoremux_x 8\n";
        assert_eq!(out.finish(), expected);
    }

    #[test]
    fn workers_numbers_become_one_and_times_become_seconds() {
        let shape = Shape {
            pools: vec![PoolShape {
                name: Arc::from("p"),
                servers: vec![Arc::from("s")],
            }],
        };
        let workers = [(); 2].map(|()| Arc::new(WorkerStats::new(&shape)));
        for (n, worker) in workers.iter().enumerate() {
            worker.counters.passes.add(5 + n);
            worker.pools[0].servers[0].requests.add(10);
            worker.pools[0].standings[0].ready_connections.add(1);
            let at = 1_795_366_322_000_007 + n as u64;
            worker.pools[0].servers[0].server_ejected_at.set(at);
        }
        let mut out = Exposition::default();
        put_table(&mut out, &shape, &workers);
        let text = out.finish();
        for line in [
            "# TYPE coremux_worker_passes_total counter",
            "coremux_worker_passes_total{worker=\"1\"} 6",
            "coremux_server_requests_total{pool=\"p\",server=\"s\"} 20",
            "coremux_server_ready_connections{pool=\"p\",server=\"s\"} 2",
            "coremux_server_ejected_timestamp_seconds{pool=\"p\",server=\"s\"} 1795366322.000008",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
