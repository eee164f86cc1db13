//! Whether a majority of the Sentinels is heard, and what follows when it is not.
//!
//! Owns: since when there is, or is not, a majority; the fence. Never: who is a Sentinel.
//!
//! A proxy that hears no majority may be on the wrong side of a partition, where its master is no
//! longer the master. So the fence is raised after a moment, and is lifted only when a majority is
//! back, agrees where every master is, and each master has confirmed its role since then.

use std::time::Duration;

use crate::base::Time;

/// With what it takes to notice that a Sentinel is silent this is about a second.
const WITHOUT_MAX: Duration = Duration::from_millis(400);

/// At the start nobody has been heard yet.
const START_WITHIN: Duration = Duration::from_secs(2);

/// The same where writes were allowed a moment ago by another watcher: they are refused no later
/// than after any other loss of the majority.
const GO_ON_WITHIN: Duration = Duration::from_secs(1);

/// The majority's state.
#[derive(Debug)]
pub(super) struct Majority {
    fences: bool,
    pub(super) fenced: bool,
    /// As last told.
    told: Option<bool>,
    since: Option<Time>,
    without_since: Time,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) seen: Option<bool>,
    pub(super) fenced: Option<bool>,
}

impl Majority {
    /// Nobody is heard yet; where the fence is used it is down.
    pub(super) fn new(fences: bool, now: Time) -> Majority {
        Majority {
            fences,
            fenced: fences,
            told: None,
            since: None,
            // Told a little later than usual.
            without_since: now + (START_WITHIN - WITHOUT_MAX),
        }
    }

    /// Another watcher has just heard one, and allowed writes.
    pub(super) fn go_on(&mut self, now: Time) {
        self.fenced = false;
        self.without_since = now + (GO_ON_WITHIN - WITHOUT_MAX);
    }

    /// Since when there is a majority.
    pub(super) fn since(&self) -> Option<Time> {
        self.since
    }

    /// There is one now, or not.
    pub(super) fn update(&mut self, seen: bool, now: Time) -> News {
        let mut news = News::default();
        if seen {
            self.since = self.since.or(Some(now));
        } else if self.since.take().is_some() {
            self.without_since = now;
        }
        if seen || self.without_since + WITHOUT_MAX <= now {
            if self.told != Some(seen) {
                self.told = Some(seen);
                news.seen = Some(seen);
            }
            if !seen && self.fences && !self.fenced {
                self.fenced = true;
                news.fenced = Some(true);
            }
        }
        news
    }

    /// All that lifts the fence is there.
    pub(super) fn lift(&mut self) -> Option<bool> {
        std::mem::take(&mut self.fenced).then_some(false)
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let waits = self.since.is_none() && self.told != Some(false);
        waits.then_some(self.without_since + WITHOUT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn the_fence_is_down_from_the_start_and_after_a_moment_without_a_majority() {
        let mut majority = Majority::new(true, at(0));
        assert!(majority.fenced);
        assert_eq!(majority.update(false, at(100)), News::default());
        let seen = majority.update(true, at(200));
        assert_eq!((seen.seen, seen.fenced), (Some(true), None));
        assert!(majority.fenced, "seen is not agreed");
        assert_eq!(majority.lift(), Some(false));
        assert_eq!(majority.lift(), None);
        assert_eq!(majority.update(false, at(1000)), News::default());
        assert_eq!(majority.due(), Some(at(1400)));
        assert_eq!(majority.update(true, at(1200)), News::default(), "a blink");
        majority.update(false, at(2000));
        let lost = majority.update(false, at(2400));
        assert_eq!((lost.seen, lost.fenced), (Some(false), Some(true)));
        assert_eq!(majority.update(false, at(2500)), News::default());
        assert_eq!(majority.due(), None);
    }

    #[test]
    fn without_the_fence_a_lost_majority_is_only_told() {
        let mut majority = Majority::new(false, at(0));
        assert!(!majority.fenced);
        assert_eq!(majority.update(false, at(1999)).seen, None);
        let lost = majority.update(false, at(2000));
        assert_eq!((lost.seen, lost.fenced), (Some(false), None));
    }
}
