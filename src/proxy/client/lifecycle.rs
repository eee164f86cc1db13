//! How far a client's connection has come, and when to look at it.
//!
//! Owns: its phase, of which each leads only further, and the one deadline that counts. Never:
//! closes a socket.

use crate::base::Time;

/// How far a client's connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Phase {
    /// Requests are read.
    Open,
    /// No more requests are read; replies that are due are delivered first.
    Ending {
        /// Whether the client may still be sending: then it is given time to read its last reply,
        /// which a close with unread bytes would destroy.
        linger: bool,
    },
    /// Everything is delivered and the sending half is closed; what still comes is thrown away.
    Lingering {
        /// Then it is closed; the timer may come up before, for the idle client that it was.
        until: Time,
    },
    /// The socket is being closed.
    Closed,
}

/// How far a client's connection has come, and when to look at it.
#[derive(Debug)]
pub(in crate::proxy) struct Lifecycle {
    phase: Phase,
    // When the timer is to look at it; what it has for other times is out of date.
    due: Option<Time>,
    // How it ends is in the statistics.
    end_counted: bool,
}

impl Lifecycle {
    pub(in crate::proxy) fn new() -> Lifecycle {
        Lifecycle {
            phase: Phase::Open,
            due: None,
            end_counted: false,
        }
    }

    #[inline]
    pub(in crate::proxy) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether its requests are read.
    #[inline]
    pub(in crate::proxy) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    #[inline]
    pub(in crate::proxy) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Reads no more requests: whether it has read them until now.
    pub(in crate::proxy) fn end(&mut self, linger: bool) -> bool {
        let was_open = self.is_open();
        if was_open {
            self.phase = Phase::Ending { linger };
        }
        was_open
    }

    /// Everything is delivered: it is given time to read that.
    pub(in crate::proxy) fn linger(&mut self, until: Time) {
        debug_assert!(
            matches!(self.phase, Phase::Ending { .. }),
            "who lingers has ended"
        );
        self.phase = Phase::Lingering { until };
    }

    /// Its socket is closed: whether it was not until now.
    pub(in crate::proxy) fn close(&mut self) -> bool {
        let was_closed = self.is_closed();
        self.phase = Phase::Closed;
        !was_closed
    }

    /// It is to be looked at then, and not before.
    pub(in crate::proxy) fn set_due(&mut self, due: Time) {
        self.due = Some(due);
    }

    /// Whether the timer that comes up at `due` is the one that counts.
    pub(in crate::proxy) fn is_due(&self, due: Time) -> bool {
        self.due == Some(due)
    }

    /// Whether its end is to be counted: only once.
    pub(in crate::proxy) fn take_end_count(&mut self) -> bool {
        !std::mem::replace(&mut self.end_counted, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_leads_only_further() {
        let mut life = Lifecycle::new();
        assert!(life.is_open() && life.end(true));
        assert!(!life.end(false), "it has ended already");
        assert_eq!(life.phase(), Phase::Ending { linger: true });
        let until = Time::from_micros(5);
        life.linger(until);
        assert!(!life.end(true));
        assert_eq!(life.phase(), Phase::Lingering { until });
        assert!(life.close() && life.is_closed());
        assert!(!life.close() && !life.end(true) && life.is_closed());
    }

    #[test]
    fn only_the_last_deadline_counts() {
        let mut life = Lifecycle::new();
        let (first, second) = (Time::from_micros(1), Time::from_micros(2));
        assert!(!life.is_due(first));
        life.set_due(first);
        life.set_due(second);
        assert!(!life.is_due(first) && life.is_due(second));
    }

    #[test]
    fn an_end_is_counted_once() {
        let mut life = Lifecycle::new();
        assert!(life.take_end_count());
        assert!(!life.take_end_count());
    }
}
