//! When each request is due, and whose it is: fixed before the run begins.
//!
//! Request k is due at k / rate and is sent by client k mod clients. So requests are spread evenly
//! over time and over clients.

use std::time::Duration;
use std::time::Instant;

/// The requests of a run in the order in which they are due.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    begin: Instant,
    end: Instant,
    rate: u64,
    next: u64,
}

impl Schedule {
    /// `rate` requests a second from `begin` to `end`.
    pub(crate) fn new(begin: Instant, end: Instant, rate: u64) -> Schedule {
        Schedule {
            begin,
            end,
            rate,
            next: 0,
        }
    }

    /// When the next request is due; `None` after the last one.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let due = self.begin + offset(self.next, self.rate);
        (due < self.end).then_some(due)
    }

    /// Takes the next request if it is due: its number and when it was due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(u64, Instant)> {
        let due = self.next_due().filter(|&due| due <= now)?;
        let number = self.next;
        self.next += 1;
        Some((number, due))
    }

    /// No request is due after this moment.
    pub(crate) fn end_at(&mut self, end: Instant) {
        self.end = self.end.min(end);
    }
}

/// How long after the first request number `number` is due.
fn offset(number: u64, rate: u64) -> Duration {
    let (seconds, rest) = (number / rate, number % rate);
    // Below 10^9 × 10^7, the highest rate.
    Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_as_many_requests_as_the_rate_and_they_lie_evenly() {
        let begin = Instant::now();
        for rate in [1, 3, 1000, 49_999, 10_000_000] {
            assert_eq!(offset(rate, rate), Duration::from_secs(1));
            assert_eq!(offset(rate * 7, rate), Duration::from_secs(7));
        }
        let mut schedule = Schedule::new(begin, begin + Duration::from_secs(1), 300);
        let late = begin + Duration::from_secs(9);
        let taken: Vec<_> = std::iter::from_fn(|| schedule.take(late)).collect();
        assert_eq!(taken.len(), 300);
        let gaps = taken.windows(2).map(|pair| pair[1].1 - pair[0].1);
        assert!(
            gaps.into_iter()
                .all(|gap| gap.as_micros().abs_diff(3333) <= 1)
        );
    }

    #[test]
    fn a_late_generator_sends_all_that_was_due_with_the_time_at_which_it_was() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, begin + Duration::from_secs(1), 10);
        assert_eq!(schedule.take(begin), Some((0, begin)));
        assert_eq!(schedule.take(begin), None);
        let late = begin + Duration::from_millis(250);
        let due = |tenths: u64| begin + Duration::from_millis(tenths * 100);
        assert_eq!(schedule.take(late), Some((1, due(1))));
        assert_eq!(schedule.take(late), Some((2, due(2))));
        assert_eq!(schedule.take(late), None);
        schedule.end_at(late);
        assert_eq!(schedule.next_due(), None);
    }
}
