//! When the Sentinels are asked out of turn, and how often in turn.
//!
//! Owns: the pace. Never: asks.

use std::time::Duration;

use crate::base::Time;

/// Events say when to ask; this is for those that got lost.
const POLL: Duration = Duration::from_secs(1);

/// During a failover, and where the loss of a majority must be noticed within a second.
const POLL_FAST: Duration = Duration::from_millis(250);

/// A failover takes a few seconds from the first sign.
const ALERT_FOR: Duration = Duration::from_secs(20);

/// Not sooner after the last round: events come in bursts, hints from every worker.
const EVENT_GAP: Duration = Duration::from_millis(5);
const HINT_GAP: Duration = Duration::from_millis(100);

/// A failover has a dozen events. A Sentinel that sends them without end does not make us ask all
/// others without end.
const EVENTS_HURRIED: u32 = 50;
const EVENTS_PER: Duration = Duration::from_secs(1);

/// The pace of the questions to all Sentinels of a pool.
#[derive(Debug)]
pub(super) struct Rounds {
    always_fast: bool,
    alert_until: Time,
    last: Time,
    wanted: Option<Time>,
    // So many events since then.
    events: (Time, u32),
}

impl Rounds {
    /// `always_fast` where the loss of a majority must be noticed within a second.
    pub(super) fn new(always_fast: bool, now: Time) -> Rounds {
        Rounds {
            always_fast,
            alert_until: now,
            last: now,
            wanted: None,
            events: (now, 0),
        }
    }

    /// How long after an answer a Sentinel is asked again.
    pub(super) fn poll(&self, now: Time) -> Duration {
        match self.always_fast || now < self.alert_until {
            true => POLL_FAST,
            false => POLL,
        }
    }

    /// A Sentinel has told of an event: all are asked, at once unless there are too many.
    pub(super) fn event(&mut self, now: Time) {
        self.alert_until = now + ALERT_FOR;
        if self.events.0 + EVENTS_PER <= now {
            self.events = (now, 0);
        }
        self.events.1 += 1;
        let gap = match self.events.1 <= EVENTS_HURRIED {
            true => EVENT_GAP,
            false => HINT_GAP,
        };
        self.want(gap, now);
    }

    /// Somebody's request has failed: all are asked soon.
    pub(super) fn hint(&mut self, now: Time) {
        self.want(HINT_GAP, now);
    }

    fn want(&mut self, gap: Duration, now: Time) {
        let at = (self.last + gap).max(now);
        self.wanted = Some(self.wanted.map_or(at, |other| other.min(at)));
    }

    /// When the next round out of turn is due.
    pub(super) fn due(&self) -> Option<Time> {
        self.wanted
    }

    /// Whether a round out of turn begins now.
    pub(super) fn begins(&mut self, now: Time) -> bool {
        let begins = self.wanted.is_some_and(|at| at <= now);
        if begins {
            self.wanted = None;
            self.last = now;
        }
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn an_event_makes_the_pace_fast_for_a_while() {
        let mut rounds = Rounds::new(false, ms(0));
        assert_eq!(rounds.poll(ms(0)), POLL);
        rounds.event(ms(100));
        assert_eq!(rounds.due(), Some(ms(100)));
        assert!(rounds.begins(ms(100)) && !rounds.begins(ms(100)));
        assert_eq!(rounds.poll(ms(20_099)), POLL_FAST);
        assert_eq!(rounds.poll(ms(20_100)), POLL);
        assert_eq!(Rounds::new(true, ms(0)).poll(ms(9)), POLL_FAST);
    }

    #[test]
    fn a_burst_of_hints_is_one_round() {
        let mut rounds = Rounds::new(false, ms(0));
        rounds.hint(ms(10));
        rounds.hint(ms(20));
        assert_eq!(rounds.due(), Some(ms(100)));
        assert!(!rounds.begins(ms(99)));
        assert!(rounds.begins(ms(100)));
        rounds.hint(ms(101));
        rounds.event(ms(102));
        assert_eq!(rounds.due(), Some(ms(105)), "the sooner one");
    }

    #[test]
    fn events_without_end_are_not_hurried() {
        let mut rounds = Rounds::new(false, ms(0));
        let begun = (0..1000).filter(|now| {
            rounds.event(ms(*now));
            rounds.begins(ms(*now))
        });
        // Each of the first 50 at a gap of 5 ms at least, the others at 100 ms.
        let begun = begun.count();
        assert!((10..=22).contains(&begun), "{begun}");
        rounds.event(ms(1100));
        assert!(
            rounds.begins(ms(1100)),
            "and a second later it is fast again"
        );
    }
}
