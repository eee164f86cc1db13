//! Time as an argument: the reactor reads the clock, everything below is told.

use std::ops::Add;
use std::time::Duration;

/// Microseconds on a clock that only moves forward; its zero is nobody's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(u64);

impl Time {
    /// The start of the clock.
    pub const ZERO: Time = Time(0);

    /// `micros` after the start of the clock.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Time {
        Time(micros)
    }

    /// Microseconds since the start of the clock.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it is still to come.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// How many microseconds ago `earlier` was; none if it is still to come.
    #[inline]
    #[must_use]
    pub const fn micros_since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// What the time was `age` ago; the start of the clock if that was before it.
    #[must_use]
    pub fn before(self, age: Duration) -> Time {
        let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_sub(age))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, later: Duration) -> Time {
        Time(
            self.0
                .saturating_add(u64::try_from(later.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}
