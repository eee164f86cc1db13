//! One server's master: where it is, and where it may be going.
//!
//! Owns: the address in use, the candidates, and the rule by which one becomes the other. Never:
//! counts votes, which is `agreement`'s; opens a connection.
//!
//! An address is used only after its `ROLE` has said that it is a master, and only if its
//! configuration is newer than the one in use. There is one way back to an older one, which needs a
//! majority of the Sentinels to name another that is a master: what is in use has not been one for
//! a while by its own word (or is silent for long), or no majority has ever named it. Without that
//! way a failover that was given up half-way, Sentinels that were set up anew and count epochs from
//! zero, or one that we heard alone and that was wrong, would keep us for ever.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::agreement::Contender;
use crate::sentinel::agreement::Rank;
use crate::sentinel::agreement::Verdict;
use crate::sentinel::candidate::Candidate;
use crate::sentinel::output::ProbeId;
use crate::sentinel::output::Probed;
use crate::sentinel::output::Source;

/// As many as there can be Sentinels with words of their own, and a promotion.
const CANDIDATES_MAX: usize = 33;

/// How long a master must deny to be one, or be silent, before most Sentinels' older word counts.
const DENIED_FOR: Duration = Duration::from_secs(1);
const SILENT_FOR: Duration = Duration::from_secs(5);

/// How long a majority may name another than what only a promotion, or a few, have ever named. A
/// promotion is known to all within two seconds.
const UNCONFIRMED_FOR: Duration = Duration::from_secs(10);

/// While what is in use is in doubt.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// What is in use.
#[derive(Clone, Debug)]
pub(super) struct InUse {
    pub(super) address: HostPort,
    pub(super) at: SocketAddr,
    pub(super) rank: Rank,
    /// A majority has named it.
    pub(super) confirmed: bool,
    /// When the last question was asked to which it said that it is a master.
    pub(super) checked: Time,
    /// Since when it is used.
    pub(super) since: Time,
}

/// What is wrong with what is in use.
#[derive(Clone, Copy, Debug)]
struct Fault {
    since: Time,
    denies: bool,
}

/// A question to what is in use.
#[derive(Clone, Copy, Debug)]
struct Check {
    probe: ProbeId,
    asked: Time,
}

/// One server's master.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) in_use: Option<InUse>,
    candidates: Vec<Candidate>,
    fault: Option<Fault>,
    check: Option<Check>,
    next_check: Option<Time>,
    last_check: Option<Time>,
    /// Since when a majority names another, by an older configuration.
    disowned: Option<Time>,
    /// A majority of the Sentinels is heard: a few that are cut off with us lead nowhere.
    follows: bool,
}

/// A question to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) probe: ProbeId,
    pub(super) address: HostPort,
}

/// What followed from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    /// Another address is in use now, or the same name elsewhere.
    Moved(Source),
}

impl Master {
    pub(super) fn new() -> Master {
        Master {
            in_use: None,
            candidates: Vec::new(),
            fault: None,
            check: None,
            next_check: None,
            last_check: None,
            disowned: None,
            follows: false,
        }
    }

    /// One that another watcher has found, and what was about to take its place. It is asked at
    /// once whether it still is what it was.
    pub(super) fn going_on(
        in_use: InUse,
        promotions: impl Iterator<Item = HostPort>,
        now: Time,
    ) -> Master {
        let from = in_use.address.clone();
        let mut master = Master::new();
        (master.in_use, master.next_check) = (Some(in_use), Some(now));
        for replica in promotions {
            master.promotion(&from, replica, now);
        }
        master
    }

    /// What is about to be promoted.
    pub(super) fn promotions(&self) -> impl Iterator<Item = &HostPort> {
        let promoted = |c: &&Candidate| c.source == Source::Promotion;
        self.candidates.iter().filter(promoted).map(|c| &c.address)
    }

    /// The Sentinels' words were weighed anew.
    pub(super) fn weighed(&mut self, verdict: Verdict, now: Time) {
        self.follows = verdict.by_majority;
        if let (Some(in_use), Some(epoch)) = (&mut self.in_use, verdict.confirmed) {
            in_use.rank = Rank {
                epoch,
                promoted: false,
            };
            in_use.confirmed = true;
        }
        if verdict.contenders.iter().any(|c| c.only_by_majority) {
            self.disowned = self.disowned.or(Some(now));
            self.next_check = self.next_check.or(Some(now));
        } else {
            (self.disowned, self.fault) = (None, None);
        }
        let named = |candidate: &Candidate| {
            let same = |contender: &Contender| contender.address == candidate.address;
            verdict.contenders.iter().any(same)
        };
        self.candidates
            .retain(|candidate| candidate.source == Source::Promotion || named(candidate));
        for contender in verdict.contenders {
            let source = match contender.only_by_majority {
                true => Source::Majority,
                false => Source::Epoch,
            };
            let known = self
                .candidates
                .iter_mut()
                .find(|candidate| candidate.address == contender.address);
            match known {
                Some(candidate)
                    if candidate.rank < contender.rank || source == Source::Majority =>
                {
                    (candidate.rank, candidate.source) = (contender.rank, source);
                }
                // A promotion that is already followed is newer than what most still say.
                Some(_) => {}
                None => self.consider(contender.address, contender.rank, source, now),
            }
        }
        self.drop_outdated(now);
    }

    /// A Sentinel makes `replica` the master in place of `from`.
    pub(super) fn promotion(&mut self, from: &HostPort, replica: HostPort, now: Time) {
        let Some(in_use) = &self.in_use else { return };
        // A failover that departs from another master is an older one that was slow.
        if in_use.address != *from || in_use.address == replica {
            return;
        }
        let rank = Rank {
            epoch: in_use.rank.epoch,
            promoted: true,
        };
        if rank > in_use.rank && !self.candidates.iter().any(|c| c.address == replica) {
            self.consider(replica, rank, Source::Promotion, now);
        }
    }

    fn consider(&mut self, address: HostPort, rank: Rank, source: Source, now: Time) {
        if self.candidates.len() < CANDIDATES_MAX {
            self.candidates
                .push(Candidate::new(address, rank, source, now));
            self.candidates.sort_by_key(|c| Reverse(c.rank));
        }
    }

    fn drop_outdated(&mut self, now: Time) {
        let rank = self.in_use.as_ref().map(|in_use| in_use.rank);
        self.candidates.retain(|candidate| {
            let outdated = candidate.source == Source::Promotion
                && rank.is_some_and(|rank| candidate.rank <= rank);
            !outdated && !candidate.is_stale_promotion(now)
        });
    }

    /// Asks what is in use whether it still is what it was, now or soon.
    pub(super) fn check_soon(&mut self, now: Time) {
        let not_before = self.last_check.map_or(now, |last| last + CHECK_EVERY);
        self.next_check = Some(not_before.max(now));
    }

    /// The same, unless it is being asked or is about to be.
    pub(super) fn check_once(&mut self, now: Time) {
        if self.check.is_none() && self.next_check.is_none() {
            self.check_soon(now);
        }
    }

    /// The questions to be asked now, each numbered by `number`.
    pub(super) fn questions(
        &mut self,
        mut number: impl FnMut() -> ProbeId,
        now: Time,
    ) -> Vec<Question> {
        let mut questions = Vec::new();
        self.drop_outdated(now);
        let in_use = self.in_use.as_ref();
        if let Some(in_use) = in_use {
            if self.check.is_none() && self.next_check.is_some_and(|next| next <= now) {
                let probe = number();
                self.check = Some(Check { probe, asked: now });
                self.last_check = Some(now);
                self.next_check = None;
                let address = in_use.address.clone();
                questions.push(Question { probe, address });
            }
        }
        let may_go_back = self.may_go_back(now);
        for candidate in &mut self.candidates {
            let waits = candidate.source == Source::Majority && !may_go_back;
            if !waits && candidate.is_due(now) {
                let probe = number();
                candidate.is_asked(probe, now);
                let address = candidate.address.clone();
                questions.push(Question { probe, address });
            }
            if !waits && !candidate.has_had_its_chance(now) {
                break;
            }
        }
        questions
    }

    /// Whether a majority may lead back to an older configuration now.
    pub(super) fn may_go_back(&self, now: Time) -> bool {
        self.way_back().is_some_and(|open| open <= now)
    }

    /// From when on an older configuration may be followed.
    fn way_back(&self) -> Option<Time> {
        let disowned = self.disowned?;
        let fault = self.fault.map(|fault| match fault.denies {
            true => fault.since + DENIED_FOR,
            false => fault.since + SILENT_FOR,
        });
        let confirmed = self.in_use.as_ref().is_some_and(|in_use| in_use.confirmed);
        let unconfirmed = (!confirmed).then_some(disowned + UNCONFIRMED_FOR);
        [fault, unconfirmed].into_iter().flatten().min()
    }

    /// Whether `probe` was asked here.
    pub(super) fn has_asked(&self, probe: ProbeId) -> bool {
        self.check.is_some_and(|check| check.probe == probe)
            || self.candidates.iter().any(|c| c.probe == Some(probe))
    }

    /// Whom `probe` asks, if that is not in use yet.
    pub(super) fn candidate(&self, probe: ProbeId) -> Option<&HostPort> {
        let mut candidates = self.candidates.iter();
        let candidate = candidates.find(|c| c.probe == Some(probe))?;
        Some(&candidate.address)
    }

    /// Takes an answer; `is_free` says whether an address may be used at all.
    pub(super) fn probed(
        &mut self,
        probe: ProbeId,
        answer: &Probed,
        is_free: impl FnOnce(SocketAddr) -> bool,
        now: Time,
    ) -> Outcome {
        if let Some(check) = self.check.filter(|check| check.probe == probe) {
            self.check = None;
            return self.checked(check, answer, now);
        }
        let asked = |candidate: &Candidate| candidate.probe == Some(probe);
        let Some(place) = self.candidates.iter().position(asked) else {
            return Outcome::Nothing;
        };
        let may_go_back = self.may_go_back(now);
        let candidate = &mut self.candidates[place];
        let usable = match candidate.source {
            Source::Majority => may_go_back,
            Source::Epoch => true,
            Source::Promotion => self.follows,
        };
        match answer {
            Probed::Master { at } if usable && is_free(*at) => {
                let candidate = self.candidates.remove(place);
                self.in_use = Some(InUse {
                    address: candidate.address,
                    at: *at,
                    rank: candidate.rank,
                    confirmed: false,
                    checked: candidate.asked,
                    since: now,
                });
                (self.fault, self.check, self.next_check) = (None, None, None);
                self.disowned = None;
                self.drop_outdated(now);
                Outcome::Moved(candidate.source)
            }
            _ => {
                candidate.was_in_vain(now);
                Outcome::Nothing
            }
        }
    }

    fn checked(&mut self, check: Check, answer: &Probed, now: Time) -> Outcome {
        if self.disowned.is_some() {
            self.next_check = Some(now + CHECK_EVERY);
        }
        let Some(in_use) = &mut self.in_use else {
            return Outcome::Nothing;
        };
        match answer {
            Probed::Master { at } => {
                self.fault = None;
                in_use.checked = check.asked;
                if in_use.at == *at {
                    return Outcome::Nothing;
                }
                // Its name leads elsewhere now.
                (in_use.at, in_use.since) = (*at, now);
                Outcome::Moved(Source::Epoch)
            }
            other => {
                let denies = *other == Probed::NotMaster;
                let fault = self.fault.filter(|fault| fault.denies == denies);
                self.fault = fault.or(Some(Fault { since: now, denies }));
                Outcome::Nothing
            }
        }
    }

    /// When to look at it next.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let check = self.next_check.filter(|_| self.check.is_none());
        let way_back = self.way_back().filter(|open| *open > now);
        let mut due: Vec<Time> = check.into_iter().chain(way_back).collect();
        let may_go_back = self.may_go_back(now);
        for candidate in &self.candidates {
            let waits = candidate.source == Source::Majority && !may_go_back;
            if !waits {
                due.extend(candidate.due());
                if !candidate.has_had_its_chance(now) {
                    due.extend(candidate.next_change(now));
                    break;
                }
            }
            if candidate.source == Source::Promotion {
                due.extend(candidate.next_change(now));
            }
        }
        due.into_iter().min()
    }
}

#[cfg(test)]
mod tests;
