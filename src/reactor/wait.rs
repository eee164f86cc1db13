//! How long a pass waits for more completions than one.
//!
//! With many active connections it pays to wait a little: requests of many clients then travel to
//! a server in one segment, and both the proxy and the server spend less on each. With few, waiting
//! for more than one would only add latency, and arming a timer at every wait doubles it. While a
//! server owes a reply, the wait would be the reply's: it ends with the next completion.

use std::time::Duration;

use crate::base::Time;

/// From so many connections on, active within a window, completions are gathered.
const BUSY_CONNECTIONS: u32 = 16;
/// Log2 of the window in microseconds: about a millisecond.
const WINDOW_BITS: u32 = 10;
/// The longest that a completion waits for company. Measured with 50 clients on two busy cores:
/// with 50 µs the time is up after 5 requests, with 100 µs after 8 to 10, for a quarter less of the
/// proxy's CPU on each and the same median latency.
const GATHER: Duration = Duration::from_micros(100);

/// Counts active connections, and says how to wait.
#[derive(Debug, Default)]
pub(super) struct Wait {
    window: u32,
    active: u32,
    // Of the window before.
    were_active: u32,
    // Servers that were sent something and have sent nothing since.
    awaited: u32,
}

/// How to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitFor {
    /// For so many completions.
    pub(super) completions: usize,
    /// But not longer than this.
    pub(super) at_most: Option<Duration>,
}

impl Wait {
    /// A pass begins.
    pub(super) fn turn(&mut self, now: Time) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number to compare with the last"
        )]
        let window = (now.as_micros() >> WINDOW_BITS) as u32;
        if window != self.window {
            let adjacent = window.wrapping_sub(self.window) == 1;
            self.were_active = if adjacent { self.active } else { 0 };
            self.active = 0;
            self.window = window;
        }
    }

    /// A connection has received; `seen` remembers in which window it did so before.
    #[inline]
    pub(super) fn received(&mut self, seen: &mut u32) {
        if *seen != self.window {
            *seen = self.window;
            self.active += 1;
        }
    }

    /// A server was sent something; `awaited` remembers that for its connection.
    #[inline]
    pub(super) fn asked(&mut self, awaited: &mut bool) {
        self.awaited += u32::from(!std::mem::replace(awaited, true));
    }

    /// It has sent something, or its connection is gone.
    #[inline]
    pub(super) fn heard(&mut self, awaited: &mut bool) {
        self.awaited -= u32::from(std::mem::take(awaited));
    }

    /// How to wait for the next pass.
    pub(super) fn plan(&self) -> WaitFor {
        let active = self.active.max(self.were_active);
        if active < BUSY_CONNECTIONS || self.awaited > 0 {
            return WaitFor {
                completions: 1,
                at_most: None,
            };
        }
        WaitFor {
            completions: (active / 2) as usize,
            at_most: Some(GATHER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_with(connections: usize, micros: u64) -> WaitFor {
        let mut wait = Wait::default();
        wait.turn(Time::from_micros(micros));
        let mut seen = vec![0; connections];
        // Each receives several times, and counts once.
        for _ in 0..5 {
            seen.iter_mut().for_each(|seen| wait.received(seen));
        }
        wait.plan()
    }

    #[test]
    fn few_connections_wait_for_one_completion_without_a_timer() {
        let plain = WaitFor {
            completions: 1,
            at_most: None,
        };
        assert_eq!(plan_with(8, 5_000), plain);
    }

    #[test]
    fn many_connections_wait_for_several_but_not_long() {
        let plan = plan_with(50, 5_000);
        assert!(plan.completions > 1);
        assert_eq!(plan.at_most, Some(GATHER));
    }

    #[test]
    fn a_reply_that_is_owed_is_waited_for_without_company() {
        let mut wait = Wait::default();
        wait.turn(Time::from_micros(5_000));
        (0..50).for_each(|_| wait.received(&mut 0));
        let mut servers = [false; 2];
        // Two batches to the first, whose one reply ends the wait for it.
        for nth in [0, 0, 1] {
            wait.asked(&mut servers[nth]);
        }
        wait.heard(&mut servers[0]);
        assert_eq!((wait.plan().completions, wait.plan().at_most), (1, None));
        wait.heard(&mut servers[1]);
        wait.heard(&mut servers[1]);
        assert_eq!(wait.plan().at_most, Some(GATHER));
    }

    #[test]
    fn activity_is_forgotten_after_two_windows() {
        let mut wait = Wait::default();
        wait.turn(Time::from_micros(5_000));
        (0..50).for_each(|_| wait.received(&mut 0));
        wait.turn(Time::from_micros(5_500));
        assert!(wait.plan().completions > 1);
        wait.turn(Time::from_micros(9_000));
        assert_eq!(wait.plan().completions, 1);
    }
}
