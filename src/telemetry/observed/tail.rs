//! Requests as lines, a fair sample of so many of them as somebody reads.

use crate::base::Random;

/// Lines that were kept since they were taken last, and how many were not.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// When each request was read, in microseconds since 1970, and what it was.
    pub lines: Vec<(u64, Box<str>)>,
    /// So many more there were.
    pub left_out: u64,
}

impl Lines {
    /// Adds those of others, in the order of their times.
    pub fn merge(&mut self, other: Lines) {
        self.lines.extend(other.lines);
        self.left_out += other.left_out;
        self.lines.sort_by_key(|(at, _)| *at);
    }

    /// Leaves out as many as it takes for `most` to be left, evenly.
    pub fn thin(&mut self, most: usize) {
        let all = self.lines.len();
        if all <= most {
            return;
        }
        let mut nth = 0;
        self.lines.retain(|_| {
            nth += 1;
            // As many of the first `nth` as is their share.
            nth * most / all > (nth - 1) * most / all
        });
        self.left_out += (all - self.lines.len()) as u64;
    }
}

/// Keeps some of the requests that come until they are taken: each is as likely to be among them as any
/// other, however many come (Vitter's algorithm R). Who takes them late finds no more.
#[derive(Clone, Debug)]
pub struct Tail {
    most: usize,
    seen: u64,
    lines: Vec<(u64, Box<str>)>,
    random: Random,
}

impl Tail {
    /// Keeps `most`.
    #[must_use]
    pub fn new(most: usize, seed: u64) -> Tail {
        Tail {
            most: most.max(1),
            seen: 0,
            lines: Vec::new(),
            random: Random::new(seed),
        }
    }

    /// A request has come at `at`; `line` is made only if it is kept.
    pub fn add(&mut self, at: u64, line: impl FnOnce() -> Box<str>) {
        self.seen += 1;
        if self.lines.len() < self.most {
            self.lines.push((at, line()));
            return;
        }
        let place = usize::try_from(self.random.below(self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.lines.get_mut(place) {
            *kept = (at, line());
        }
    }

    /// Gives what was kept, and goes on with nothing.
    pub fn take(&mut self) -> Lines {
        let mut lines = std::mem::take(&mut self.lines);
        lines.sort_by_key(|(at, _)| *at);
        let left_out = std::mem::take(&mut self.seen) - lines.len() as u64;
        Lines { lines, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(nth: u64) -> Box<str> {
        nth.to_string().into()
    }

    #[test]
    fn few_are_all_there_and_of_many_a_fair_sample_in_order() {
        let mut tail = Tail::new(100, 1);
        (0..100).for_each(|nth| tail.add(nth, || line(nth)));
        let all = tail.take();
        assert_eq!((all.lines.len(), all.left_out), (100, 0));
        (0..10_000).for_each(|nth| tail.add(nth, || line(nth)));
        let some = tail.take();
        assert_eq!((some.lines.len(), some.left_out), (100, 9_900));
        assert!(some.lines.is_sorted_by_key(|(at, _)| *at));
        // A half of them are of the first half, give or take.
        let early = some.lines.iter().filter(|(at, _)| *at < 5_000).count();
        assert!((25..75).contains(&early), "{early}");
        assert_eq!(tail.take().lines.len(), 0);
    }

    #[test]
    fn lines_of_several_workers_come_in_order_and_what_is_too_much_is_thinned_evenly() {
        let (mut all, mut other) = (Lines::default(), Lines::default());
        for nth in 0..500 {
            all.lines.push((2 * nth, line(2 * nth)));
            other.lines.push((2 * nth + 1, line(2 * nth + 1)));
        }
        other.left_out = 3;
        all.merge(other);
        assert!(all.lines.is_sorted_by_key(|(at, _)| *at));
        all.thin(100);
        assert_eq!((all.lines.len(), all.left_out), (100, 903));
        let gaps = all.lines.windows(2).map(|two| two[1].0 - two[0].0);
        assert!(gaps.into_iter().all(|gap| gap == 10));
        all.thin(100);
        assert_eq!(all.lines.len(), 100);
    }
}
