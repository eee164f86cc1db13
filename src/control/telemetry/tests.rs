//! Records of workers become sums, and nothing of what is no longer served.

use super::*;
use crate::config::Config;

const READ: Of = (PoolIdx(0), ServerIdx(0), Family::Read);
const WRITE: Of = (PoolIdx(0), ServerIdx(1), Family::Write);

fn table(text: &str) -> Table {
    Table::new(Arc::new(Config::parse(text, "a.yml").unwrap()))
}

const TWO: &str = "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n    - 10.0.0.1:1:1 a\n    \
                   - 10.0.0.2:1:1 b\n";
const ONE: &str =
    "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n    - 10.0.0.1:1:1 a\n";

fn records(of: &[(Of, u64, u64)]) -> Records {
    let mut records = Records::default();
    for (of, at_server, in_proxy) in of {
        records.latencies.record(*of, *at_server, *in_proxy);
        records.pool(of.0).commands.count("get");
    }
    records
}

#[test]
fn what_all_workers_have_recorded_is_one_sum_and_each_is_asked_when_it_has_answered() {
    let mut all = Telemetry::new(&table(TWO), 2);
    let asked: Vec<_> = all.ask().into_iter().map(|(worker, _)| worker).collect();
    assert_eq!(asked, [WorkerIdx(0), WorkerIdx(1)]);
    let now = Duration::from_secs(20);
    all.take(
        WorkerIdx(1),
        records(&[(READ, 100, 1), (WRITE, 5_000, 2)]),
        now,
    );
    let asked: Vec<_> = all.ask().into_iter().map(|(worker, _)| worker).collect();
    assert_eq!(asked, [WorkerIdx(1)], "the other one has not answered");
    all.take(WorkerIdx(0), records(&[(READ, 200, 1)]), now);
    let pool = all.of_pool("alpha", now);
    let counts: Vec<_> = pool.iter().map(|w| (w.window, w.requests)).collect();
    assert_eq!(counts, [("10s", 3), ("1m", 3), ("15m", 3)]);
    assert_eq!(pool[0].at_server.max_us, 5_000);
    assert!((pool[0].requests_per_second - 0.3).abs() < 1e-9);
    let server = all.of_server("alpha", "a", now);
    assert_eq!((server[0].requests, server[0].at_server.max_us), (2, 200));
    assert_eq!(
        all.of_pool("alpha", now + Duration::from_secs(11))[0].requests,
        0
    );
    assert!(all.of_pool("beta", now).is_empty() && all.of_server("alpha", "c", now).is_empty());
    let mut text = String::new();
    Lines(&server).write("  ", &mut text);
    let line = "  last 10s: 0.2 requests/s; at the server p50 0.10ms p90 0.20ms p99 0.20ms p99.9 \
                0.20ms max 0.20ms; in the proxy p50 0.00ms p90 0.00ms p99 0.00ms p99.9 0.00ms max \
                0.00ms\n";
    assert!(text.starts_with(line), "{text}");
}

#[test]
fn what_is_written_for_prometheus_adds_up() {
    let mut all = Telemetry::new(&table(TWO), 1);
    let mut out = crate::stats::Exposition::default();
    all.expose(&mut out);
    assert_eq!(out.finish(), "", "nothing has come");
    let of = [(READ, 63, 0), (READ, 64, 0), (READ, 99_000_000, 0)];
    all.take(WorkerIdx(0), records(&of), Duration::ZERO);
    let mut out = crate::stats::Exposition::default();
    all.expose(&mut out);
    let text = out.finish();
    let labels = "pool=\"alpha\",server=\"a\",family=\"read\"";
    let name = "coremux_server_request_duration_seconds";
    for line in [
        format!("# TYPE {name} histogram"),
        format!("{name}_bucket{{{labels},le=\"0.000064\"}} 1"),
        format!("{name}_bucket{{{labels},le=\"0.000128\"}} 2"),
        format!("{name}_bucket{{{labels},le=\"16.777216\"}} 2"),
        format!("{name}_bucket{{{labels},le=\"+Inf\"}} 3"),
        format!("{name}_sum{{{labels}}} 99.000127"),
        format!("{name}_count{{{labels}}} 3"),
        "coremux_command_requests_total{pool=\"alpha\",command=\"get\"} 3".to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
}

#[test]
fn what_is_served_no_longer_is_forgotten_also_if_it_comes_late() {
    let two = table(TWO);
    let mut all = Telemetry::new(&two, 1);
    all.take(
        WorkerIdx(0),
        records(&[(READ, 1, 1), (WRITE, 1, 1)]),
        Duration::ZERO,
    );
    let next = two.next(Arc::new(Config::parse(ONE, "a.yml").unwrap()));
    all.reload(&next.unwrap());
    assert!(all.courses.contains_key(&READ) && !all.courses.contains_key(&WRITE));
    all.take(WorkerIdx(0), records(&[(WRITE, 1, 1)]), Duration::ZERO);
    assert!(!all.courses.contains_key(&WRITE));
    let other = (PoolIdx(7), ServerIdx(0), Family::Read);
    all.take(WorkerIdx(0), records(&[(other, 1, 1)]), Duration::ZERO);
    assert_eq!(all.courses.len(), 1);
    assert!(!all.pools.contains_key(&PoolIdx(7)));
}
