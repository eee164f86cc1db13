//! What was seen, by server: latencies, errors by their text.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Ten minutes, in nanoseconds: nothing is waited for as long.
const LATENCY_MAX_NS: u64 = 600_000_000_000;

/// What the clients of one server saw.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub group: String,
    /// Of good replies, in nanoseconds from when the request was due.
    pub latency: Histogram<u64>,
    /// Error replies and lost requests by text.
    pub errors: BTreeMap<String, u64>,
    /// Connections that the peer has ended, or that failed.
    pub connections_lost: u64,
    /// GETs that found an older value than one that was acknowledged, or none.
    pub lost_writes_seen: u64,
}

impl Tally {
    pub(crate) fn new(group: &str) -> Tally {
        Tally {
            group: group.to_owned(),
            latency: histogram(),
            errors: BTreeMap::new(),
            connections_lost: 0,
            lost_writes_seen: 0,
        }
    }

    pub(crate) fn good(&mut self, latency: Duration) {
        record(&mut self.latency, latency);
    }

    pub(crate) fn error(&mut self, text: &str) {
        match self.errors.get_mut(text) {
            Some(count) => *count += 1,
            None => _ = self.errors.insert(text.to_owned(), 1),
        }
    }

    /// Everything of `other`, too.
    pub(crate) fn add(&mut self, other: &Tally) {
        let added = self.latency.add(&other.latency);
        added.expect("all histograms have the same limits");
        for (text, count) in &other.errors {
            *self.errors.entry(text.clone()).or_default() += count;
        }
        self.connections_lost += other.connections_lost;
        self.lost_writes_seen += other.lost_writes_seen;
    }

    pub(crate) fn errors_in_all(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// One to three digits, up to ten minutes.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX_NS, 3).expect("the limits are constant and in order")
}

/// Adds a length of time in nanoseconds.
pub(crate) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(LATENCY_MAX_NS);
    histogram.saturating_record(nanos.max(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_together_have_the_latencies_and_errors_of_both() {
        let [mut one, mut other] = ["one", "other"].map(Tally::new);
        for _ in 0..99 {
            one.good(Duration::from_millis(1));
        }
        one.error("ERR a");
        other.good(Duration::from_millis(50));
        other.error("ERR a");
        other.error("ERR b");
        one.add(&other);
        assert_eq!((one.latency.len(), one.errors_in_all()), (100, 3));
        assert_eq!(one.errors["ERR a"], 2);
        assert!(one.latency.value_at_quantile(0.98) < 1_100_000);
        assert!(one.latency.value_at_quantile(0.999) > 49_000_000);
    }
}
