//! An address that may be the master's, until its `ROLE` says so.
//!
//! Owns: when it is asked, and how often. Never: decides whether it may be used.

use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::agreement::Rank;
use crate::sentinel::output::ProbeId;
use crate::sentinel::output::Source;

/// A replica that is told to be a master is one some 80 ms later: the first questions come fast.
const STEP_MIN: Duration = Duration::from_millis(20);
const STEP_MAX: Duration = Duration::from_millis(100);

/// Beyond this the failover has gone wrong, or we cannot reach the new master: once a second is
/// enough.
const FAST_FOR: Duration = Duration::from_secs(10);
const STEP_SLOW: Duration = Duration::from_secs(1);

/// For so long an older configuration waits for a newer one to answer.
const HEAD_START: Duration = Duration::from_secs(1);

/// One address.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) address: HostPort,
    pub(super) rank: Rank,
    pub(super) source: Source,
    /// The question under way.
    pub(super) probe: Option<ProbeId>,
    /// When it was asked.
    pub(super) asked: Time,
    since: Time,
    next: Time,
    step: Duration,
}

impl Candidate {
    pub(super) fn new(address: HostPort, rank: Rank, source: Source, now: Time) -> Candidate {
        Candidate {
            address,
            rank,
            source,
            probe: None,
            asked: now,
            since: now,
            next: now,
            step: STEP_MIN,
        }
    }

    /// Whether a newer one has been tried in vain for so long that older ones are tried, too.
    pub(super) fn has_had_its_chance(&self, now: Time) -> bool {
        self.since + HEAD_START <= now
    }

    /// Whether it is a promotion that has come to nothing.
    pub(super) fn is_stale_promotion(&self, now: Time) -> bool {
        self.source == Source::Promotion && self.since + FAST_FOR <= now
    }

    /// Whether it is to be asked now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.probe.is_none() && self.next <= now
    }

    /// It is being asked.
    pub(super) fn is_asked(&mut self, probe: ProbeId, now: Time) {
        (self.probe, self.asked) = (Some(probe), now);
    }

    /// When it is to be asked next; `None` while a question is under way.
    pub(super) fn due(&self) -> Option<Time> {
        self.probe.is_none().then_some(self.next)
    }

    /// When its head start or its time as a promotion is over, which lets others come or it go.
    pub(super) fn next_change(&self, now: Time) -> Option<Time> {
        let changes = [self.since + HEAD_START, self.since + FAST_FOR];
        changes.into_iter().find(|change| *change > now)
    }

    /// It is not a master, or did not answer.
    pub(super) fn was_in_vain(&mut self, now: Time) {
        self.probe = None;
        let step = match self.since + FAST_FOR > now {
            true => self.step,
            false => STEP_SLOW,
        };
        self.step = (self.step * 2).min(STEP_MAX);
        self.next = now + step;
    }
}
