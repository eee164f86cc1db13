//! Distributions that add up: over workers, over seconds, since the start.

use crate::telemetry::Distribution;

/// Where Prometheus's buckets end, in microseconds. Times are whole microseconds, rounded down, so
/// those below a power of two are exactly those of the steps of a [`Distribution`] below it.
pub const BOUNDS: [u64; 19] = {
    let mut bounds = [0; 19];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = 64 << at;
        at += 1;
    }
    bounds
};

/// What was counted since the start, in buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many took less than the bound of the same place, and not less than the one before it.
    pub counts: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// All of them together, in microseconds.
    pub sum: u64,
}

impl Totals {
    /// Counts these as well.
    pub fn add(&mut self, times: &Distribution) {
        for (micros, count) in times.iter() {
            let place = BOUNDS.partition_point(|bound| *bound <= micros);
            if let Some(bucket) = self.counts.get_mut(place) {
                *bucket += count;
            }
            self.count += count;
        }
        self.sum += times.sum();
    }
}

/// A distribution that has only the times that there are: most servers' are a few dozen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    // Times in microseconds, shortest first, and how many of each.
    steps: Vec<(u64, u64)>,
    longest: u64,
}

impl Spread {
    /// The same as a worker has recorded.
    #[must_use]
    pub fn of(times: &Distribution) -> Spread {
        Spread {
            steps: times.iter().collect(),
            longest: times.longest(),
        }
    }

    /// Counts these as well.
    pub fn merge(&mut self, other: &Spread) {
        if other.steps.is_empty() {
            return;
        }
        let (mine, theirs) = (std::mem::take(&mut self.steps), &other.steps);
        let mut merged = Vec::with_capacity(mine.len().max(theirs.len()));
        let (mut mine, mut theirs) = (mine.iter().peekable(), theirs.iter().peekable());
        while let Some(&(micros, count)) = match (mine.peek(), theirs.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => theirs.next(),
            (Some(_), _) => mine.next(),
            (None, _) => theirs.next(),
        } {
            match merged.last_mut() {
                Some((last, sum)) if *last == micros => *sum += count,
                _ => merged.push((micros, count)),
            }
        }
        self.steps = merged;
        self.longest = self.longest.max(other.longest);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.steps.iter().map(|(_, count)| count).sum()
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// The time, in microseconds, that so many of a thousand do not exceed; 0 of none.
    #[must_use]
    pub fn per_mille(&self, share: u64) -> u64 {
        let wanted = (self.count() * share).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (micros, count) in &self.steps {
            seen += count;
            if seen >= wanted {
                return (*micros).min(self.longest);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::prop_assert;
    use proptest::prelude::prop_assert_eq;
    use proptest::proptest;

    use super::*;

    fn recorded(times: &[u64]) -> Distribution {
        let mut all = Distribution::default();
        times.iter().for_each(|micros| all.record(*micros, 1));
        all
    }

    proptest! {
        #[test]
        fn what_is_merged_is_what_one_would_have_recorded(
            a in vec(0u64..200_000, 0..60),
            b in vec(0u64..200_000, 0..60),
        ) {
            let mut merged = Spread::of(&recorded(&a));
            merged.merge(&Spread::of(&recorded(&b)));
            let mut all = [a, b].concat();
            prop_assert_eq!(&merged, &Spread::of(&recorded(&all)));
            all.sort_unstable();
            for (share, of) in [(500, all.len() / 2), (1_000, all.len())] {
                if let Some(exact) = of.checked_sub(1).and_then(|at| all.get(at)) {
                    if share == 1_000 || all.len() % 2 == 0 {
                        let told = merged.per_mille(share);
                        prop_assert!(told >= *exact && told <= exact + exact / 16 + 1);
                    }
                }
            }
        }

        #[test]
        fn a_bucket_has_exactly_what_is_below_its_bound(times in vec(0u64..40_000_000, 0..60)) {
            let mut totals = Totals::default();
            totals.add(&recorded(&times));
            let mut below = 0;
            for (bound, count) in BOUNDS.iter().zip(totals.counts) {
                below += count;
                let exact = times.iter().filter(|micros| *micros < bound).count() as u64;
                prop_assert_eq!(below, exact, "below {}", bound);
            }
            prop_assert_eq!(totals.count, times.len() as u64);
            prop_assert_eq!(totals.sum, times.iter().sum::<u64>());
        }
    }

    #[test]
    fn of_none_every_share_is_nothing() {
        assert_eq!(Spread::default().per_mille(999), 0);
        assert_eq!(Spread::default().count(), 0);
    }
}
