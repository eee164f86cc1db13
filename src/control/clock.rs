//! The control plane's clock: the time of day that never goes back.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use crate::base::Time;

/// Microseconds since 1970, as workers publish times, too.
pub(super) type Micros = u64;

/// The time of day at the start, and what has passed since: a clock that is set moves no deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    epoch: Duration,
}

impl Clock {
    /// A clock for a process that started at `started`.
    pub(super) fn since(started: Instant) -> Clock {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let epoch = now.saturating_sub(started.elapsed());
        Clock { started, epoch }
    }

    /// Now.
    pub(super) fn now(&self) -> Micros {
        let now = self.epoch + self.uptime();
        Micros::try_from(now.as_micros()).unwrap_or(Micros::MAX)
    }

    /// Now, counted from the start.
    pub(super) fn time(&self) -> Time {
        Time::ZERO + self.uptime()
    }

    /// Since the start.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// As people and machines read a time: `2026-11-22T20:06:57.292Z`.
pub(super) fn rfc3339(at: Micros) -> String {
    let at = i64::try_from(at).ok();
    let time = at.and_then(|at| jiff::Timestamp::from_millisecond(at / 1000).ok());
    time.map_or_else(String::new, |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_in_utc() {
        assert_eq!(rfc3339(1_795_366_322_007_999), "2026-11-22T16:52:02.007Z");
        assert_eq!(rfc3339(Micros::MAX), "");
    }

    #[test]
    fn the_time_of_day_is_that_of_the_system() {
        #[allow(clippy::disallowed_methods, reason = "a test reads the real clock")]
        let clock = Clock::since(Instant::now());
        let system = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
        assert!(system.abs_diff(clock.now().into()) < 10_000_000);
    }
}
