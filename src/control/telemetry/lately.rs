//! How long requests took lately: over the last ten seconds, minute, and quarter of an hour.
//!
//! Owns: how fine each of these is kept. The oldest tenth of one, or so, leaves it at once.

use std::collections::VecDeque;

use crate::telemetry::Distribution;
use crate::telemetry::Spread;

/// A stretch of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Window {
    TenSeconds,
    Minute,
    QuarterHour,
}

impl Window {
    /// Every one, shortest first.
    pub(in crate::control) const ALL: [Window; 3] =
        [Window::TenSeconds, Window::Minute, Window::QuarterHour];

    /// As people read it.
    pub(in crate::control) const fn name(self) -> &'static str {
        match self {
            Window::TenSeconds => "10s",
            Window::Minute => "1m",
            Window::QuarterHour => "15m",
        }
    }

    /// How long it is.
    pub(in crate::control) const fn seconds(self) -> u64 {
        match self {
            Window::TenSeconds => 10,
            Window::Minute => 60,
            Window::QuarterHour => 900,
        }
    }

    /// How long each of its parts is.
    const fn step(self) -> u64 {
        match self {
            Window::TenSeconds => 1,
            Window::Minute => 6,
            Window::QuarterHour => 60,
        }
    }
}

/// How long requests took lately.
#[derive(Debug, Default)]
pub(super) struct Lately {
    // As `Window::ALL` has them; each with its parts that have any, oldest first, by their number.
    windows: [VecDeque<(u64, Spread)>; Window::ALL.len()],
}

impl Lately {
    /// Counts what was recorded in this second of the process's life.
    pub(super) fn add(&mut self, times: &Distribution, second: u64) {
        let spread = Spread::of(times);
        for (window, parts) in Window::ALL.into_iter().zip(&mut self.windows) {
            let number = second / window.step();
            match parts.back_mut() {
                Some((last, sum)) if *last == number => sum.merge(&spread),
                _ => parts.push_back((number, spread.clone())),
            }
            while parts
                .front()
                .is_some_and(|(first, _)| is_over(*first, window, second))
            {
                parts.pop_front();
            }
        }
    }

    /// All of a window that ends now.
    pub(super) fn within(&self, window: Window, second: u64) -> Spread {
        let mut all = Spread::default();
        let (_, parts) = Window::ALL
            .into_iter()
            .zip(&self.windows)
            .find(|(of, _)| *of == window)
            .expect("each window has its parts");
        for (number, spread) in parts {
            if !is_over(*number, window, second) {
                all.merge(spread);
            }
        }
        all
    }
}

fn is_over(part: u64, window: Window, second: u64) -> bool {
    part + window.seconds() / window.step() <= second / window.step()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(micros: u64) -> Distribution {
        let mut times = Distribution::default();
        times.record(micros, 1);
        times
    }

    #[test]
    fn what_is_older_than_a_window_is_not_in_it() {
        let mut lately = Lately::default();
        for second in 0..2_000 {
            lately.add(&times(20), second);
        }
        for window in Window::ALL {
            let count = lately.within(window, 1_999).count();
            let all = window.seconds();
            assert!(
                count <= all && count > all - window.step(),
                "{count} of {window:?}"
            );
            let later = 1_999 + window.seconds() + window.step();
            assert_eq!(lately.within(window, later).count(), 0, "{window:?}");
        }
        assert_eq!(lately.within(Window::Minute, 2_029).count(), 26);
        let kept: usize = lately.windows.iter().map(VecDeque::len).sum();
        assert!(kept <= 10 + 10 + 15, "{kept}");
    }

    #[test]
    fn the_same_second_of_two_workers_is_one_part() {
        let mut lately = Lately::default();
        lately.add(&times(1), 5);
        lately.add(&times(9), 5);
        let both = lately.within(Window::TenSeconds, 5);
        assert_eq!((both.count(), both.longest()), (2, 9));
        assert_eq!(lately.windows[0].len(), 1);
    }
}
