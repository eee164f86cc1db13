//! One number with one writer.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A number that one worker writes and anybody reads at any time.
///
/// A single writer needs no locked instruction: a load and a store are two plain moves, where
/// `fetch_add` would cost a bus lock for each of the dozen counts a request causes. Two writers
/// would lose counts; so a worker writes only its own [`WorkerStats`](super::WorkerStats).
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more (events, or bytes).
    #[inline]
    pub fn add(&self, n: usize) {
        self.set(self.value().wrapping_add(n as u64));
    }

    /// Counts `n` fewer; only for a gauge, and never below zero.
    #[inline]
    pub fn sub(&self, n: usize) {
        let value = self.value();
        debug_assert!(n as u64 <= value, "a gauge of {value} cannot lose {n}");
        self.set(value.saturating_sub(n as u64));
    }

    /// Replaces the number (a timestamp, or a gauge measured as a whole).
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number as it is now; from another thread, as it was a moment ago.
    #[inline]
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_goes_up_and_down_and_a_reader_on_another_thread_sees_it() {
        let gauge = Counter::default();
        gauge.add(3);
        gauge.sub(1);
        std::thread::scope(|s| {
            s.spawn(|| assert_eq!(gauge.value(), 2));
        });
        gauge.set(1_795_366_453_478_713);
        assert_eq!(gauge.value(), 1_795_366_453_478_713);
    }

    #[test]
    #[should_panic(expected = "cannot lose 2")]
    fn a_gauge_below_zero_is_our_own_mistake() {
        let gauge = Counter::default();
        gauge.add(1);
        gauge.sub(2);
    }
}
