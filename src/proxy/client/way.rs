//! Which of its servers' connections a client uses.
//!
//! Owns: the choice that holds while any of its requests is under way, and what the client has broken
//! lately. Never: looks at a connection; `dispatch` does, and chooses.

use std::time::Duration;

use crate::base::Time;

/// A server that crashes breaks the connection of whoever was next: only so many at short
/// intervals are a habit.
const BREAKS_MIN: u8 = 3;

/// What is longer ago is forgotten.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Which connection to each server a client uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) enum Way {
    /// Its own, which it may share.
    #[default]
    Own,
    /// The one beside those that clients own.
    Around,
    /// That of those who break connections.
    Apart,
}

/// The connections that a client has broken.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::proxy) struct Breaks {
    count: u8,
    // Says nothing while there is none.
    last: Time,
}

impl Breaks {
    /// Whether it is kept apart.
    #[inline]
    pub(in crate::proxy) fn are_a_habit(self, now: Time) -> bool {
        self.count >= BREAKS_MIN && now < self.last + REMEMBERED
    }

    pub(in crate::proxy) fn add(&mut self, now: Time) {
        if now >= self.last + REMEMBERED {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_minute_are_a_habit_which_a_minute_without_one_ends() {
        let at = |secs: u64| Time::from_micros(secs * 1_000_000);
        let mut breaks = Breaks::default();
        for secs in [0, 30] {
            breaks.add(at(secs));
            assert!(!breaks.are_a_habit(at(secs)));
        }
        breaks.add(at(80));
        assert!(breaks.are_a_habit(at(139)));
        assert!(!breaks.are_a_habit(at(140)));
        breaks.add(at(140));
        assert!(!breaks.are_a_habit(at(140)), "it begins anew");
    }
}
