//! Where the keys of one request are.

/// The indexes of one request's keys, in the order in which `COMMAND GETKEYS` gives them.
///
/// Every shape is one index and then a run of evenly spaced ones, so nothing is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyIndexes {
    first: usize,
    next: usize,
    step: usize,
    count: usize,
}

impl KeyIndexes {
    /// Of a request without keys.
    pub const NONE: KeyIndexes = KeyIndexes {
        first: 0,
        next: 0,
        step: 1,
        count: 0,
    };

    pub(super) const fn run(first: usize, step: usize, count: usize) -> KeyIndexes {
        KeyIndexes::lead_and_run(first, first + step, step, count)
    }

    /// One index, then evenly spaced ones from `next` on; `count` is of all of them.
    pub(super) const fn lead_and_run(
        first: usize,
        next: usize,
        step: usize,
        count: usize,
    ) -> KeyIndexes {
        KeyIndexes {
            first,
            next,
            step,
            count,
        }
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first key's index.
    #[must_use]
    pub const fn first(&self) -> Option<usize> {
        if self.count == 0 {
            None
        } else {
            Some(self.first)
        }
    }

    /// How far one key is from the next: 2 in `MSET`, whose keys alternate with values.
    #[must_use]
    pub const fn step(&self) -> usize {
        self.step
    }

    /// Every key's index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let KeyIndexes {
            first,
            next,
            step,
            count,
        } = *self;
        (0..count).map(move |i| if i == 0 { first } else { next + (i - 1) * step })
    }
}
