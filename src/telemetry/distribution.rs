//! A distribution of times as a worker records it.

use hdrhistogram::Histogram;

/// Longer times count as this one: 67 s.
const MICROS_MAX: u64 = (1 << 26) - 1;

/// Times are told apart by a sixteenth. One digit makes a distribution 1.5 KiB, two would make it
/// 12 KiB, of which a server may need ten: most of it would be pages that a cache has no room for.
const DIGITS: u8 = 1;

/// A distribution of times in microseconds.
#[derive(Clone, Debug)]
pub struct Distribution {
    counts: Histogram<u32>,
    sum: u64,
    longest: u64,
}

impl Default for Distribution {
    fn default() -> Distribution {
        let counts = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS);
        Distribution {
            counts: counts.expect("the bounds are right"),
            sum: 0,
            longest: 0,
        }
    }
}

impl Distribution {
    /// Counts `times` that all took so long.
    pub fn record(&mut self, micros: u64, times: u32) {
        self.counts.saturating_record_n(micros, times);
        self.sum += micros * u64::from(times);
        self.longest = self.longest.max(micros);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.counts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// All of them together, in microseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// Forgets all of them, and keeps the memory.
    pub fn clear(&mut self) {
        self.counts.reset();
        (self.sum, self.longest) = (0, 0);
    }

    /// The times that there are, shortest first, and how many of each. A time stands for all that
    /// are told apart from it by less than a sixteenth: it is the longest of those.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.counts.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_within_a_sixteenth_and_sums_exactly() {
        let mut times = Distribution::default();
        for (micros, count) in [(0, 1), (31, 2), (100, 3), (5_000, 1), (70_000_000, 1)] {
            times.record(micros, count);
        }
        assert_eq!(times.len(), 8);
        assert_eq!(times.sum(), 62 + 300 + 5_000 + 70_000_000);
        assert_eq!(times.longest(), 70_000_000);
        let kept: Vec<_> = times.iter().collect();
        assert_eq!(kept[..3], [(0, 1), (31, 2), (103, 3)]);
        assert!(kept[3].0 >= 5_000 && kept[3].0 < 5_000 + 5_000 / 16);
        assert_eq!(kept[4], (MICROS_MAX, 1));
        times.clear();
        assert!(times.is_empty() && times.iter().next().is_none());
        assert_eq!((times.sum(), times.longest()), (0, 0));
    }

    #[test]
    fn it_is_as_small_as_is_said() {
        assert!(Distribution::default().counts.distinct_values() * size_of::<u32>() <= 1_600);
    }
}
