//! Why a client is not read, and whether it is read.
//!
//! Owns: every reason to stop reading a client, how often each of them holds, and the state of its
//! socket that follows. Never: decides that a reason holds; whoever knows adds it and removes it.
//!
//! | reason | added | removed |
//! |---|---|---|
//! | `FullQueue` | a request of its own fills a server connection's queue | the queue is half empty |
//! | `LateWrite` | a write of its own has timed out, and a reload gives it other connections | the write is answered, or its connection has ended |
//! | `WriteHold` | its next request writes to a master that is about to be replaced | the master is known |
//! | `OverLimits` | it has as much on its way as its pool allows | half of it has gone |
//! | `OrderBarrier` | its requests may live elsewhere from now on | those on their way are answered |
//! | `Exclusive` | it waits for an exclusive connection, or for what it has asked there | it has that |
//! | `Curious` | its next request is answered by what servers say of themselves | they have said it, or cannot be asked |
//! | `Paused` | another client has asked that the pool's be read no further | its time is over, or that is taken back |
//! | `Migrating` | it is to go to another process | it stays after all |
//!
//! A client that has no request waiting keeps its socket open under most of them, and nothing is to be
//! done when the reason goes.

/// What stops a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum PauseReason {
    /// A server connection's queue is full with requests of its own; once for each of these.
    FullQueue,
    /// A write of its own has timed out and may still be done; once for each connection.
    LateWrite,
    /// Its next request is a write to a master that is about to be replaced.
    WriteHold,
    /// It has as much on its way as it may have.
    OverLimits,
    /// Its requests may live elsewhere from now on: the next one would overtake those on their way.
    OrderBarrier,
    /// It is to go to another process.
    Migrating,
    /// It waits for an exclusive connection, or for what it has asked on it. Its socket stays open, so
    /// that its end is seen.
    Exclusive,
    /// Its next request is answered by what servers say of themselves, and they have not said it.
    Curious,
    /// `CLIENT PAUSE`.
    Paused,
}

/// The first of them may hold several times at once, and go one by one.
const COUNTED: usize = 3;

/// With these a client is stopped at once, and not only when its next request has come.
const URGENT: u16 = PauseReason::OverLimits.bit() | PauseReason::Migrating.bit();

impl PauseReason {
    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// What is to be done with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Reading {
    /// Its socket is stopped.
    Stops,
    /// It is put on the list of those that may go on.
    MayGoOn,
}

/// Why a client is not read now, and whether its socket is stopped for that.
#[derive(Debug, Default)]
pub(in crate::proxy) struct PauseReasons {
    counts: [u32; COUNTED],
    // A bit for each reason that holds: a request looks at nothing else.
    holding: u16,
    stopped: bool,
    listed: bool,
}

impl PauseReasons {
    /// Whether the next request may be read, as far as reasons are known.
    #[inline]
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.holding == 0
    }

    #[inline]
    pub(in crate::proxy) fn has(&self, reason: PauseReason) -> bool {
        self.holding & reason.bit() != 0
    }

    /// Whether its socket is stopped, and what comes from it all the same is kept.
    #[inline]
    pub(in crate::proxy) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Its socket is to be stopped: whether it was not.
    pub(in crate::proxy) fn stop(&mut self) -> bool {
        !std::mem::replace(&mut self.stopped, true)
    }

    /// A reason holds; where it is counted, once more.
    pub(in crate::proxy) fn add(&mut self, reason: PauseReason) {
        self.holding |= reason.bit();
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// A reason holds no longer; where it is counted, once less.
    #[inline]
    pub(in crate::proxy) fn remove(&mut self, reason: PauseReason) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count -= 1;
            if *count > 0 {
                return;
            }
        }
        self.holding &= !reason.bit();
    }

    /// The counted reasons hold as often as those say who have added them.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn check_counts(&self, counted: [usize; COUNTED]) {
        let counts = self.counts.map(|count| count as usize);
        assert_eq!(counts, counted, "full queues, late writes, write holds");
    }

    /// What follows for a client after its reasons have changed; `unread` says whether a request of
    /// its own waits. Whether it is still over its limits is looked at when it goes on.
    pub(in crate::proxy) fn update(&mut self, unread: bool) -> Option<Reading> {
        if !self.stopped {
            self.stopped = self.holding & URGENT != 0 || (unread && !self.is_empty());
            return self.stopped.then_some(Reading::Stops);
        }
        let may_go_on = self.holding & !PauseReason::OverLimits.bit() == 0;
        (may_go_on && !std::mem::replace(&mut self.listed, true)).then_some(Reading::MayGoOn)
    }

    /// Takes a client off the list of those that may go on: whether it does.
    pub(in crate::proxy) fn go_on(&mut self, over_limits: bool) -> bool {
        self.listed = false;
        self.remove(PauseReason::OverLimits);
        if over_limits {
            self.add(PauseReason::OverLimits);
        }
        self.is_empty() && std::mem::take(&mut self.stopped)
    }

    /// Its requests are read no more, and nothing that comes is kept: whether its socket was stopped.
    pub(in crate::proxy) fn end(&mut self) -> bool {
        std::mem::take(&mut self.stopped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::prop_assert;
    use proptest::prop_assert_eq;
    use proptest::proptest;

    use super::PauseReason::FullQueue;
    use super::PauseReason::LateWrite;
    use super::PauseReason::Migrating;
    use super::PauseReason::OrderBarrier;
    use super::PauseReason::OverLimits;
    use super::PauseReason::Paused;
    use super::PauseReason::WriteHold;
    use super::*;

    const ALL: [PauseReason; 7] = [
        FullQueue,
        LateWrite,
        WriteHold,
        OverLimits,
        OrderBarrier,
        Migrating,
        Paused,
    ];

    fn holds_until_it_is_removed(reason: PauseReason) {
        let mut pauses = PauseReasons::default();
        pauses.add(reason);
        assert!(pauses.has(reason));
        assert_eq!(pauses.update(true), Some(Reading::Stops));
        assert_eq!(
            pauses.update(true),
            (reason == OverLimits).then_some(Reading::MayGoOn)
        );
        assert!(!pauses.go_on(reason == OverLimits), "it holds still");
        assert!(pauses.is_stopped());
        pauses.remove(reason);
        assert_eq!(pauses.update(true), Some(Reading::MayGoOn));
        assert_eq!(pauses.update(true), None, "it is listed once");
        assert!(pauses.go_on(false));
        assert!(!pauses.is_stopped() && pauses.is_empty());
    }

    /// With none of its requests waiting.
    fn lets_the_socket_be(reason: PauseReason) -> bool {
        let mut pauses = PauseReasons::default();
        pauses.add(reason);
        pauses.update(false).is_none()
    }

    fn is_counted(reason: PauseReason) -> bool {
        let mut pauses = PauseReasons::default();
        pauses.add(reason);
        pauses.add(reason);
        pauses.remove(reason);
        pauses.has(reason)
    }

    #[test]
    fn a_full_queue_stops_the_next_request_and_each_of_them_counts() {
        holds_until_it_is_removed(FullQueue);
        assert!(lets_the_socket_be(FullQueue) && is_counted(FullQueue));
    }

    #[test]
    fn a_late_write_stops_the_next_request_and_each_of_them_counts() {
        holds_until_it_is_removed(LateWrite);
        assert!(lets_the_socket_be(LateWrite) && is_counted(LateWrite));
    }

    #[test]
    fn a_write_hold_stops_the_write_and_each_of_them_counts() {
        holds_until_it_is_removed(WriteHold);
        assert!(lets_the_socket_be(WriteHold) && is_counted(WriteHold));
    }

    #[test]
    fn limits_stop_the_socket_at_once() {
        holds_until_it_is_removed(OverLimits);
        assert!(!lets_the_socket_be(OverLimits) && !is_counted(OverLimits));
    }

    #[test]
    fn the_order_barrier_stops_the_next_request() {
        holds_until_it_is_removed(OrderBarrier);
        assert!(lets_the_socket_be(OrderBarrier) && !is_counted(OrderBarrier));
    }

    #[test]
    fn a_pause_of_all_clients_stops_the_next_request() {
        holds_until_it_is_removed(Paused);
        assert!(lets_the_socket_be(Paused) && !is_counted(Paused));
    }

    #[test]
    fn who_migrates_is_stopped_at_once() {
        holds_until_it_is_removed(Migrating);
        assert!(!lets_the_socket_be(Migrating) && !is_counted(Migrating));
    }

    #[test]
    fn who_ends_has_no_stopped_socket() {
        let mut pauses = PauseReasons::default();
        pauses.add(Migrating);
        pauses.update(false);
        assert!(pauses.end() && !pauses.is_stopped());
        assert!(!pauses.end());
    }

    proptest! {
        #[test]
        fn in_any_order_it_is_read_again_exactly_when_no_reason_is_left(
            steps in vec((0..ALL.len(), any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut pauses = PauseReasons::default();
            let mut held = [0u32; ALL.len()];
            let mut listed = false;
            for (which, adds, unread) in steps {
                let reason = ALL[which];
                if adds {
                    pauses.add(reason);
                    held[which] = if which < COUNTED { held[which] + 1 } else { 1 };
                } else if held[which] > 0 {
                    pauses.remove(reason);
                    held[which] -= 1;
                }
                let any = held.iter().any(|count| *count > 0);
                let was_stopped = pauses.is_stopped();
                match pauses.update(unread) {
                    Some(Reading::Stops) => prop_assert!(any && !was_stopped),
                    Some(Reading::MayGoOn) => {
                        prop_assert!(was_stopped && !listed, "once on the list");
                        listed = true;
                    }
                    None => {}
                }
                prop_assert_eq!(pauses.is_empty(), !any);
                prop_assert!(!unread || pauses.is_stopped() || !any, "a request is read too early");
                prop_assert!(!pauses.is_stopped() || any || listed, "nobody would ever go on");
                if listed && unread {
                    listed = false;
                    let over_limits = held[OverLimits as usize] > 0;
                    prop_assert_eq!(pauses.go_on(over_limits), !any);
                    prop_assert_eq!(pauses.is_stopped(), any);
                }
            }
        }
    }
}
