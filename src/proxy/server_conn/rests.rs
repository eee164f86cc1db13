//! Rests that a connection is given whose server does not serve yet.
//!
//! Owns: how long the one lasts that it has, how many there were, and since when. Never: decides that one
//! is needed: `backoff` does.

use std::time::Duration;

use crate::base::Time;

/// The rests of one connection.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Rests {
    until: Option<Time>,
    count: u32,
    // When the first of them began.
    since: Option<Time>,
}

impl Rests {
    /// Whether nothing is sent now.
    #[inline]
    pub(in crate::proxy) fn is_resting(&self) -> bool {
        self.until.is_some()
    }

    /// Until when.
    pub(in crate::proxy) fn until(&self) -> Option<Time> {
        self.until
    }

    /// The number of the next one, from 1 on.
    pub(in crate::proxy) fn next(&self) -> u32 {
        self.count.saturating_add(1)
    }

    /// One begins.
    pub(in crate::proxy) fn begin(&mut self, now: Time, rest: Duration) {
        self.count = self.next();
        self.since.get_or_insert(now);
        self.until = Some(now + rest);
    }

    /// It is over.
    pub(in crate::proxy) fn end(&mut self) {
        self.until = None;
    }

    /// Whether the first one began less than so long ago, or none has.
    pub(in crate::proxy) fn are_younger(&self, than: Duration, now: Time) -> bool {
        self.since.is_none_or(|since| now < since + than)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_as_old_as_the_first_of_them() {
        let at = |millis: u64| Time::from_micros(millis * 1_000);
        let millis = Duration::from_millis;
        let mut rests = Rests::default();
        assert!(rests.are_younger(millis(1), at(100)));
        assert_eq!((rests.next(), rests.is_resting()), (1, false));
        rests.begin(at(100), millis(10));
        assert_eq!(rests.until(), Some(at(110)));
        rests.end();
        assert!(!rests.is_resting());
        rests.begin(at(120), millis(20));
        assert_eq!((rests.next(), rests.until()), (3, Some(at(140))));
        assert!(rests.are_younger(millis(30), at(129)));
        assert!(!rests.are_younger(millis(30), at(130)));
    }
}
