//! Whether writes to a master are held because a Sentinel has begun to replace it.
//!
//! Between the promotion of a replica and the moment at which the proxy knows of it, the old master
//! goes on accepting writes that are lost with it. The Sentinel that leads a failover
//! says so a tenth of a second before (`+elected-leader`, `+selected-slave`).
//!
//! Owns: since when writes are held, for which Sentinel, when that ends, when they may be held again.
//! A single Sentinel is trusted here, so its word is worth little: writes wait for `WRITE_HOLD_MAX` at the
//! most, and if no other master came of it, not again for ten times as long as they have waited. So
//! one that lies stops writes for a tenth of the time.

use std::time::Duration;

use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::output::Fact;
use crate::sentinel::watcher::Watcher;
use crate::sentinel::watcher::server_idx;

/// From the leader's election to the new master's `ROLE` it is 0.2 to 0.5 s, in one tick of the
/// Sentinel after another.
pub(super) const WRITE_HOLD_MAX: Duration = Duration::from_secs(3);

/// After a hold in vain, writes are not held again for this many times its duration.
const COOLDOWN_FACTOR: u32 = 10;

/// Why writes wait no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnd {
    /// There is another master.
    Moved,
    /// The Sentinel has given up, or knows of no failover.
    CalledOff,
    /// Nothing came of it in time.
    TooLate,
}

impl HoldEnd {
    /// Words for the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HoldEnd::Moved => "there is another master",
            HoldEnd::CalledOff => "the failover was called off",
            HoldEnd::TooLate => "no new master in time",
        }
    }
}

/// For which Sentinel, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) by: HostPort,
    pub(super) since: Time,
    pub(super) until: Time,
}

/// One server's.
#[derive(Debug, Default)]
pub(super) struct WriteHold {
    hold: Option<Hold>,
    not_before: Time,
}

impl WriteHold {
    /// `by` says that a failover begins: whether writes wait from now on.
    pub(super) fn begin(&mut self, by: &HostPort, within: Duration, now: Time) -> bool {
        if self.hold.is_some() || now < self.not_before || within.is_zero() {
            return false;
        }
        self.hold = Some(Hold {
            by: by.clone(),
            since: now,
            until: now + within,
        });
        true
    }

    /// They have waited since before another watcher handed over to this one.
    pub(super) fn go_on(&mut self, hold: Hold) {
        self.hold = Some(hold);
    }

    /// They are not to wait for so long.
    pub(super) fn cool_down(&mut self, left: Duration, now: Time) {
        self.not_before = now + left.min(WRITE_HOLD_MAX * COOLDOWN_FACTOR);
    }

    /// For how long they will not be held, whatever a Sentinel says.
    pub(super) fn cooldown_left(&self, now: Time) -> Duration {
        self.not_before.since(now)
    }

    /// What they wait for.
    pub(super) fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// Whether `by` has said before `asked` that a failover had begun.
    pub(super) fn is_known_to(&self, by: &HostPort, asked: Time) -> bool {
        let mut hold = self.hold.iter();
        hold.any(|hold| hold.by == *by && hold.since <= asked)
    }

    /// They wait no longer, for how long they have; `None` if they did not.
    pub(super) fn end(&mut self, why: HoldEnd, now: Time) -> Option<Duration> {
        let hold = self.hold.take()?;
        let waited = now.since(hold.since);
        if why != HoldEnd::Moved {
            self.not_before = now + waited * COOLDOWN_FACTOR;
        }
        Some(waited)
    }

    /// When they have waited for too long.
    pub(super) fn due(&self) -> Option<Time> {
        self.hold.as_ref().map(|hold| hold.until)
    }
}

impl Watcher {
    /// A Sentinel replaces the master at `from`: writes to that wait, if the Sentinel has a vote and
    /// has meant this master all along.
    pub(super) fn hold_writes(&mut self, place: usize, server: usize, from: &HostPort, now: Time) {
        let has_vote = self.voters(now).places.contains(&place);
        let in_use = self.servers[server].master.in_use.as_ref();
        let is_ours = in_use.is_some_and(|in_use| in_use.address == *from);
        let means_it = self.place_at(place, server) == Some(from);
        if !(has_vote && is_ours && means_it && self.majority.since().is_some()) {
            return;
        }
        let sentinel = self.sentinels[place].address.clone();
        let within = self.failover_time.hold_time().min(WRITE_HOLD_MAX);
        if self.servers[server]
            .write_hold
            .begin(&sentinel, within, now)
        {
            self.tell(Fact::HoldWrites {
                server: server_idx(server),
                within,
                sentinel,
            });
        }
    }

    /// A Sentinel has given up a failover.
    pub(super) fn called_off(&mut self, place: usize, server: usize, now: Time) {
        if self.servers[server]
            .write_hold
            .is_known_to(&self.sentinels[place].address, now)
        {
            self.release_writes(server, HoldEnd::CalledOff, now);
        }
    }

    /// A Sentinel says that it replaces no master. If it has just said that it does, it has given
    /// up, or was wrong; unless it has done it.
    pub(super) fn no_failover(&mut self, place: usize, server: ServerIdx, now: Time) {
        let (sentinel, server) = (&self.sentinels[place], server.index());
        let Some(watched) = self.servers.get(server) else {
            return;
        };
        let in_use = watched.master.in_use.as_ref();
        let is_done = self.place_at(place, server) != in_use.map(|in_use| &in_use.address);
        if watched
            .write_hold
            .is_known_to(&sentinel.address, sentinel.query.asked)
            && !is_done
        {
            self.release_writes(server, HoldEnd::CalledOff, now);
        }
    }

    /// Lets those go on that have waited for too long.
    pub(super) fn end_write_holds(&mut self, now: Time) {
        for server in 0..self.servers.len() {
            let due = self.servers[server].write_hold.due();
            if due.is_some_and(|due| due <= now) {
                self.release_writes(server, HoldEnd::TooLate, now);
            }
        }
    }

    /// Writes to a server wait no longer, if they did.
    pub(super) fn release_writes(&mut self, server: usize, why: HoldEnd, now: Time) {
        if let Some(waited) = self.servers[server].write_hold.end(why, now) {
            self.tell(Fact::ReleaseWrites {
                server: server_idx(server),
                waited,
                why,
            });
        }
    }

    /// Where a Sentinel has last said that a master is.
    fn place_at(&self, place: usize, server: usize) -> Option<&HostPort> {
        let said = self.sentinels[place]
            .claims
            .get(server)?
            .as_ref()?
            .as_ref()?;
        Some(&said.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn sentinel(number: u8) -> HostPort {
        HostPort::Ip(([10, 1, 0, number], 26379).into())
    }

    #[test]
    fn one_word_is_enough_and_another_makes_it_no_longer() {
        let mut still = WriteHold::default();
        let second = Duration::from_secs(1);
        assert!(still.begin(&sentinel(1), second, ms(0)));
        assert!(!still.begin(&sentinel(2), second, ms(900)));
        assert_eq!(still.due(), Some(ms(1000)));
        assert!(still.is_known_to(&sentinel(1), ms(10)));
        assert!(!still.is_known_to(&sentinel(2), ms(10)));
        let waited = still.end(HoldEnd::Moved, ms(400));
        assert_eq!(waited, Some(Duration::from_millis(400)));
        assert_eq!(still.end(HoldEnd::Moved, ms(400)), None);
        assert!(still.begin(&sentinel(1), second, ms(500)), "it was right");
    }

    #[test]
    fn what_was_in_vain_does_not_come_again_soon() {
        let mut still = WriteHold::default();
        still.begin(&sentinel(1), Duration::from_secs(1), ms(0));
        still.end(HoldEnd::TooLate, ms(1000));
        for by in [1, 2] {
            assert!(!still.begin(&sentinel(by), Duration::from_secs(1), ms(10_999)));
        }
        assert!(still.begin(&sentinel(1), Duration::from_secs(1), ms(11_000)));
    }

    #[test]
    fn where_nothing_is_held_nothing_waits() {
        let mut still = WriteHold::default();
        assert!(!still.begin(&sentinel(1), Duration::ZERO, ms(0)));
        assert_eq!(still.due(), None);
    }
}
