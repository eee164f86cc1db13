//! The statistics line, byte for byte as nutcracker 0.5.0 writes it.

use std::fmt::Write;
use std::sync::Arc;

use super::Metric;
use super::POOL_METRICS;
use super::SERVER_METRICS;
use super::Shape;
use super::WorkerStats;

/// What the line says about the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The host's name.
    pub source: &'a str,
    /// This program's version.
    pub version: &'a str,
    /// Seconds since the start.
    pub uptime: u64,
    /// Seconds since the epoch.
    pub timestamp: u64,
}

/// One line of JSON, newline included, of the sums over `workers`.
///
/// `"service"` stays `nutcracker`, and the listening sockets (one for each pool) count as
/// connections, as twemproxy has it: what watches the one must not notice the other. Unlike
/// twemproxy's, the line is valid JSON whatever characters a name has.
///
/// # Panics
///
/// When a worker's counters were built by another shape.
#[must_use]
pub fn to_json(shape: &Shape, workers: &[Arc<WorkerStats>], head: &Head<'_>) -> String {
    let listeners = shape.pools.len() as u64;
    let sum = |of: fn(&WorkerStats) -> u64| listeners + workers.iter().map(|w| of(w)).sum::<u64>();
    let mut line = String::with_capacity(1024);
    line.push_str("{\"service\":\"nutcracker\", \"source\":");
    push_text(&mut line, head.source);
    line.push_str(", \"version\":");
    push_text(&mut line, head.version);
    line.push_str(", ");
    push_number(&mut line, "uptime", head.uptime);
    push_number(&mut line, "timestamp", head.timestamp);
    push_number(
        &mut line,
        "total_connections",
        sum(|w| w.total_connections.value()),
    );
    push_number(
        &mut line,
        "curr_connections",
        sum(|w| w.curr_connections.value()),
    );
    for (p, pool) in shape.pools.iter().enumerate() {
        push_text(&mut line, &pool.name);
        line.push_str(": {");
        let of_pool = workers.iter().map(|w| w.pools[p].counters.values());
        push_metrics(&mut line, &POOL_METRICS, of_pool);
        for (s, server) in pool.servers.iter().enumerate() {
            push_text(&mut line, server);
            line.push_str(": {");
            let of_server = workers.iter().map(|w| w.pools[p].servers[s].values());
            push_metrics(&mut line, &SERVER_METRICS, of_server);
            close(&mut line);
        }
        close(&mut line);
    }
    end(&mut line);
    line.push_str("}\n");
    line
}

// The forms below are twemproxy's: every number is followed by ", ", every object by ",", and
// what stands before a closing brace is taken back.

fn push_metrics<const N: usize>(
    line: &mut String,
    rows: &[Metric; N],
    workers: impl Iterator<Item = [u64; N]>,
) {
    let mut sums = [0; N];
    for values in workers {
        for (row, (sum, value)) in rows.iter().zip(sums.iter_mut().zip(values)) {
            *sum = row.kind.join(*sum, value);
        }
    }
    for (row, sum) in rows.iter().zip(sums) {
        push_number(line, row.name, sum);
    }
}

fn push_number(line: &mut String, key: &str, value: u64) {
    write!(line, "\"{key}\":{value}, ").expect("a String takes all that is written");
}

fn close(line: &mut String) {
    end(line);
    line.push_str("},");
}

fn end(line: &mut String) {
    let length = line.trim_end_matches([',', ' ']).len();
    line.truncate(length);
}

fn push_text(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            c if c < ' ' => {
                write!(line, "\\u{:04x}", u32::from(c)).expect("a String takes all");
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::PoolShape;

    fn shape(pools: &[(&str, &[&str])]) -> Shape {
        let pool = |(name, servers): &(&str, &[&str])| PoolShape {
            name: Arc::from(*name),
            servers: servers.iter().map(|s| Arc::from(*s)).collect(),
        };
        Shape {
            pools: pools.iter().map(pool).collect(),
        }
    }

    const HEAD: Head<'_> = Head {
        source: "vm",
        version: "0.5.0",
        uptime: 1,
        timestamp: 1_795_366_322,
    };

    // What nutcracker 0.5.0 wrote for these two pools, before any client came.
    const IDLE: &str = concat!(
        r#"{"service":"nutcracker", "source":"vm", "version":"0.5.0", "uptime":1, "#,
        r#""timestamp":1795366322, "total_connections":2, "curr_connections":2, "#,
        r#""a": {"client_eof":0, "client_err":0, "client_connections":0, "server_ejects":0, "#,
        r#""forward_error":0, "fragments":0, "127.0.0.1": {"server_eof":0, "server_err":0, "#,
        r#""server_timedout":0, "server_connections":0, "server_ejected_at":0, "requests":0, "#,
        r#""request_bytes":0, "responses":0, "response_bytes":0, "in_queue":0, "#,
        r#""in_queue_bytes":0, "out_queue":0, "out_queue_bytes":0}},"#,
        r#""beta": {"client_eof":0, "client_err":0, "client_connections":0, "server_ejects":0, "#,
        r#""forward_error":0, "fragments":0, "one": {"server_eof":0, "server_err":0, "#,
        r#""server_timedout":0, "server_connections":0, "server_ejected_at":0, "requests":0, "#,
        r#""request_bytes":0, "responses":0, "response_bytes":0, "in_queue":0, "#,
        r#""in_queue_bytes":0, "out_queue":0, "out_queue_bytes":0},"#,
        r#""two": {"server_eof":0, "server_err":0, "#,
        r#""server_timedout":0, "server_connections":0, "server_ejected_at":0, "requests":0, "#,
        r#""request_bytes":0, "responses":0, "response_bytes":0, "in_queue":0, "#,
        r#""in_queue_bytes":0, "out_queue":0, "out_queue_bytes":0}}}"#,
        "\n"
    );

    #[test]
    fn an_idle_process_writes_what_nutcracker_writes() {
        let shape = shape(&[("a", &["127.0.0.1"]), ("beta", &["one", "two"])]);
        for workers in 0..3 {
            let workers: Vec<_> = (0..workers)
                .map(|_| Arc::new(WorkerStats::new(&shape)))
                .collect();
            assert_eq!(to_json(&shape, &workers, &HEAD), IDLE);
        }
    }

    #[test]
    fn the_workers_numbers_become_one() {
        let shape = shape(&[("p", &["s", "t"])]);
        let workers = [(); 2].map(|()| Arc::new(WorkerStats::new(&shape)));
        for (n, worker) in workers.iter().enumerate() {
            worker.total_connections.add(10);
            worker.curr_connections.add(n);
            worker.pools[0].counters.client_connections.add(3);
            worker.pools[0].servers[1].requests.add(100 + n);
            worker.pools[0].servers[1]
                .server_ejected_at
                .set(50 - n as u64);
        }
        let json = to_json(&shape, &workers, &HEAD);
        let t = &json[json.find("\"t\"").unwrap()..];
        assert!(json.contains(r#""total_connections":21, "curr_connections":2, "p""#));
        assert!(json.contains(r#""client_connections":6,"#));
        assert!(t.contains(r#""server_ejected_at":50, "requests":201, "#));
    }

    #[test]
    fn a_name_with_quotes_keeps_the_line_valid() {
        let shape = shape(&[("p", &["we\"ird\\", "tab\t"])]);
        let json = to_json(&shape, &[], &HEAD);
        assert!(json.contains(r#""we\"ird\\": {"#));
        assert!(json.contains(r#""tab\u0009": {"#));
    }
}
