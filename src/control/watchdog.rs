//! systemd's watchdog (`WatchdogSec=`): it is told that all is well as long as every worker turns,
//! and starts the service anew when it hears nothing.

use super::clock::Micros;
use super::notify;

/// When to speak.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Micros,
    said_at: Option<Micros>,
}

impl Watchdog {
    /// `None` if nobody listens.
    pub(super) fn new() -> Option<Watchdog> {
        let period = notify::watchdog()?;
        Some(Watchdog {
            // Half of the time, as sd_watchdog_enabled(3) has it.
            every: Micros::try_from(period.as_micros() / 2).unwrap_or(Micros::MAX),
            said_at: None,
        })
    }

    /// Speaks if all `turns`, and it is time.
    pub(super) fn sample(&mut self, turns: bool, now: Micros) {
        let due = self
            .said_at
            .is_none_or(|at| now >= at.saturating_add(self.every));
        if turns && due {
            self.said_at = Some(now);
            notify::alive();
        }
    }
}
