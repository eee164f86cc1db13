//! The figures: a table for people, JSON for programs, the ledger for who reads the servers.

use std::fs;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;

use hdrhistogram::Histogram;
use serde_json::Value;
use serde_json::json;

use crate::options::Options;
use crate::run::Outcome;
use crate::tally::Tally;

/// Writes everything that the options ask for, and the table to stdout.
///
/// # Errors
///
/// Those of writing.
pub(crate) fn write(options: &Options, outcome: &Outcome) -> io::Result<()> {
    if let Some(path) = &options.json {
        fs::write(path, format!("{:#}\n", json_of(options, outcome)))?;
    }
    if let Some(path) = &options.ledger {
        write_ledger(BufWriter::new(File::create(path)?), outcome)?;
    }
    write_table(&mut io::stdout().lock(), options, outcome)
}

/// All servers together, but for those that are kept apart.
fn all(options: &Options, outcome: &Outcome) -> Tally {
    let mut all = Tally::new("all");
    for tally in &outcome.tallies {
        if !options.apart.contains(&tally.group) {
            all.add(tally);
        }
    }
    all
}

fn json_of(options: &Options, outcome: &Outcome) -> Value {
    let groups: Vec<Value> = outcome.tallies.iter().map(group_json).collect();
    json!({
        "schema": "coremux-load/1",
        "connections": options.connections,
        "counted_s": outcome.counted.as_secs_f64(),
        "answered": outcome.answered,
        "lag_p99_ms": quantile_ms(&outcome.lag, 0.99),
        "lag_max_ms": max_ms(&outcome.lag),
        "mixed": u8::from(outcome.wrong.is_some()),
        "all": group_json(&all(options, outcome)),
        "groups": groups,
    })
}

fn group_json(tally: &Tally) -> Value {
    json!({
        "name": tally.group,
        "good": tally.latency.len(),
        "errors": tally.errors,
        "connections_lost": tally.connections_lost,
        "lost_writes_seen": tally.lost_writes_seen,
        "p50_ms": quantile_ms(&tally.latency, 0.5),
        "p99_ms": quantile_ms(&tally.latency, 0.99),
        "p999_ms": quantile_ms(&tally.latency, 0.999),
        "max_ms": max_ms(&tally.latency),
    })
}

fn write_table(out: &mut impl Write, options: &Options, outcome: &Outcome) -> io::Result<()> {
    writeln!(
        out,
        "{:<12} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "server", "good", "good/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "errors"
    )?;
    let seconds = outcome.counted.as_secs_f64();
    let all = all(options, outcome);
    let one_group = outcome.tallies.len() == 1;
    for tally in outcome.tallies.iter().chain((!one_group).then_some(&all)) {
        let latency = &tally.latency;
        let cells = [0.5, 0.99, 0.999].map(|quantile| quantile_ms(latency, quantile));
        let good: Value = latency.len().into();
        let per_second = good.as_f64().unwrap_or(0.0) / seconds;
        writeln!(
            out,
            "{:<12} {:>10} {:>10.0} {:>9.3} {:>9.3} {:>9.3} {:>9.3} {:>8}",
            tally.group,
            latency.len(),
            per_second,
            cells[0],
            cells[1],
            cells[2],
            max_ms(latency),
            tally.errors_in_all()
        )?;
    }
    for tally in &outcome.tallies {
        for (text, count) in &tally.errors {
            writeln!(out, "{}: {count} × {text}", tally.group)?;
        }
        if tally.lost_writes_seen > 0 {
            let count = tally.lost_writes_seen;
            writeln!(
                out,
                "{}: {count} × an acknowledged write was not seen",
                tally.group
            )?;
        }
    }
    writeln!(
        out,
        "requests were sent late by {:.3} ms (p99), {:.3} ms (max)",
        quantile_ms(&outcome.lag, 0.99),
        max_ms(&outcome.lag)
    )
}

fn write_ledger(mut out: impl Write, outcome: &Outcome) -> io::Result<()> {
    for client in &outcome.clients {
        let group = &outcome.tallies[client.group].group;
        for key in &client.keys {
            let run = client.run();
            writeln!(
                out,
                "{group} {} {run} {} {}",
                key.name, key.acked, key.given
            )?;
        }
    }
    out.flush()
}

fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    ms(histogram.value_at_quantile(quantile))
}

fn max_ms(histogram: &Histogram<u64>) -> f64 {
    ms(histogram.max())
}

fn ms(nanos: u64) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64() * 1e3
}
