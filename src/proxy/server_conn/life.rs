//! How far a server connection has come, and when to look at it.
//!
//! Owns: its phase, whose last one is its end, whether it counts as a connection, and the one deadline of
//! the timer that counts. Never: opens or closes a socket.

use crate::base::Time;

/// How far a server connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum ServerPhase {
    /// The last attempt to connect has failed; there is no socket before the next one.
    Down {
        /// When the last one failed.
        since: Time,
        /// When the next one is made.
        retry_at: Time,
    },
    /// The server's name is being looked up.
    Resolving,
    /// The socket is being connected.
    Connecting,
    /// The greeting was sent; so many replies are to come before the first request is sent.
    Greeting {
        /// How many.
        left: u8,
    },
    /// Requests flow.
    Ready,
    /// The socket is being closed.
    Closed,
}

/// How far a server connection has come, and when to look at it.
#[derive(Debug)]
pub(in crate::proxy) struct Life {
    phase: ServerPhase,
    // When the attempt to connect began.
    opened: Time,
    // It counts as a connection, because a socket was asked for.
    counted: bool,
    // When the timer is to look at it; what it has for other times is out of date.
    due: Option<Time>,
}

impl Life {
    pub(in crate::proxy) fn new(now: Time) -> Life {
        Life {
            phase: ServerPhase::Resolving,
            opened: now,
            counted: false,
            due: None,
        }
    }

    #[inline]
    pub(in crate::proxy) fn phase(&self) -> ServerPhase {
        self.phase
    }

    /// Whether its socket is closed, or being closed.
    #[inline]
    pub(in crate::proxy) fn is_closed(&self) -> bool {
        self.phase == ServerPhase::Closed
    }

    /// It has come so far. Only [`close`](Life::close) ends it.
    pub(in crate::proxy) fn set_phase(&mut self, phase: ServerPhase) {
        debug_assert!(!self.is_closed(), "what has ended goes no further");
        debug_assert!(phase != ServerPhase::Closed, "an end that nobody hears of");
        self.phase = phase;
    }

    /// It ends: how far it had come; `None` if it had ended.
    pub(in crate::proxy) fn close(&mut self) -> Option<ServerPhase> {
        let before = std::mem::replace(&mut self.phase, ServerPhase::Closed);
        (before != ServerPhase::Closed).then_some(before)
    }

    /// An attempt to connect begins.
    pub(in crate::proxy) fn begin(&mut self, now: Time) {
        self.opened = now;
    }

    /// When the last one did.
    pub(in crate::proxy) fn opened(&self) -> Time {
        self.opened
    }

    /// It counts as a connection from now on: whether it did not before.
    pub(in crate::proxy) fn count(&mut self) -> bool {
        !std::mem::replace(&mut self.counted, true)
    }

    pub(in crate::proxy) fn is_counted(&self) -> bool {
        self.counted
    }

    /// It is looked at when `due`, if not before: whether the timer has to be told.
    #[inline]
    pub(in crate::proxy) fn set_due(&mut self, due: Time) -> bool {
        let is_sooner = self.due.is_none_or(|earlier| due < earlier);
        if is_sooner {
            self.due = Some(due);
        }
        is_sooner
    }

    /// The timer has come up for this time: whether that is the one that counts.
    pub(in crate::proxy) fn take_due(&mut self, due: Time) -> bool {
        let counts = self.due == Some(due);
        if counts {
            self.due = None;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn it_ends_once_and_says_how_far_it_had_come() {
        let mut life = Life::new(at(1));
        life.set_phase(ServerPhase::Ready);
        assert_eq!(life.close(), Some(ServerPhase::Ready));
        assert!(life.is_closed());
        assert_eq!(life.close(), None);
    }

    #[test]
    fn the_nearest_deadline_counts_and_no_other() {
        let mut life = Life::new(at(1));
        assert!(life.set_due(at(9)));
        assert!(!life.set_due(at(12)));
        assert!(life.set_due(at(5)));
        assert!(!life.take_due(at(9)), "it is out of date");
        assert!(life.take_due(at(5)));
        assert!(!life.take_due(at(5)));
        assert!(life.set_due(at(12)));
    }

    #[test]
    fn it_is_counted_once() {
        let mut life = Life::new(at(1));
        assert!(!life.is_counted());
        assert!(life.count());
        assert!(!life.count());
        assert!(life.is_counted());
    }
}
