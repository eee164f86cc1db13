//! One server's replicas: which of them may be read.
//!
//! Owns: the measurements, and the rule. Never: says what replicas there are, which the Sentinels
//! do; opens a connection.
//!
//! Four times a second the master is asked how far its data goes, and then each replica. A replica
//! that has at least as much as the master had at some moment is behind by no more than the time
//! since that moment. So a replica is read while it has the same history, hears its master, and has
//! what the master had `replica_lag_ms` ago; one answer against that, or none, and it is read no
//! longer. It is read (again) after a few good answers in a row, so that nothing flaps.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::output::Measured;
use crate::sentinel::output::ProbeId;
use crate::sentinel::output::Unfit;

/// So often all are asked.
const EVERY: Duration = Duration::from_millis(250);

/// So many good answers in a row make a replica one that is read.
const RISE: u32 = 3;

/// More than anybody has; what a Sentinel names beyond is not looked at.
const REPLICAS_MAX: usize = 16;

/// As many moments of a master's as are remembered: a quarter of an hour of them.
const MOMENTS_MAX: usize = 4096;

/// When a master had how much.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Time,
    offset: u64,
}

/// One replica.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) address: HostPort,
    /// Where it is read.
    pub(super) read_at: Option<SocketAddr>,
    /// How far it was behind at its last good answer.
    pub(super) lag: Option<Duration>,
    asked: Option<(ProbeId, Time)>,
    good: u32,
}

/// One server's replicas.
#[derive(Debug)]
pub(super) struct Replicas {
    lag_max: Duration,
    history: Vec<u8>,
    moments: VecDeque<Moment>,
    pub(super) all: Vec<Replica>,
    next_round: Time,
    master_asked: Option<(ProbeId, Time)>,
    // The master has answered, or has not: now the replicas are asked.
    replicas_due: bool,
}

/// A replica is read from now on, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) address: HostPort,
    pub(super) at: SocketAddr,
    pub(super) unfit: Option<Unfit>,
}

impl Replicas {
    pub(super) fn new(lag_max: Duration, now: Time) -> Replicas {
        Replicas {
            lag_max,
            history: Vec::new(),
            moments: VecDeque::new(),
            all: Vec::new(),
            next_round: now,
            master_asked: None,
            replicas_due: false,
        }
    }

    /// The Sentinels name these replicas as good ones.
    pub(super) fn named(&mut self, addresses: &[HostPort]) -> Vec<Turn> {
        let mut turns = Vec::new();
        self.all.retain_mut(|replica| {
            let stays = addresses.contains(&replica.address);
            if !stays {
                turns.extend(replica.leave(Unfit::NotNamed));
            }
            stays
        });
        for address in addresses {
            let known = self.all.iter().any(|known| known.address == *address);
            if !known && self.all.len() < REPLICAS_MAX {
                self.all.push(Replica {
                    address: address.clone(),
                    read_at: None,
                    lag: None,
                    asked: None,
                    good: 0,
                });
            }
        }
        turns
    }

    /// Another server is the master: nothing that is known is about its data.
    pub(super) fn master_moved(&mut self, now: Time) -> Vec<Turn> {
        self.moments.clear();
        self.history.clear();
        (self.master_asked, self.replicas_due) = (None, false);
        self.next_round = now;
        let all = self.all.iter_mut();
        all.filter_map(|replica| {
            replica.asked = None;
            replica.leave(Unfit::MasterMoved)
        })
        .collect()
    }

    /// The questions to be asked now, each numbered by `number`.
    pub(super) fn questions(
        &mut self,
        master: &HostPort,
        mut number: impl FnMut() -> ProbeId,
        now: Time,
    ) -> Vec<(ProbeId, HostPort)> {
        let mut questions = Vec::new();
        if self.all.is_empty() {
            return questions;
        }
        if self.next_round <= now && self.master_asked.is_none() {
            self.next_round = now + EVERY;
            let probe = number();
            self.master_asked = Some((probe, now));
            questions.push((probe, master.clone()));
        }
        if std::mem::take(&mut self.replicas_due) {
            for replica in self.all.iter_mut().filter(|r| r.asked.is_none()) {
                let probe = number();
                replica.asked = Some((probe, now));
                questions.push((probe, replica.address.clone()));
            }
        }
        questions
    }

    /// Whether `probe` was asked here.
    pub(super) fn has_asked(&self, probe: ProbeId) -> bool {
        let mut asked = self.all.iter().filter_map(|replica| replica.asked);
        let is_it = |(id, _): (ProbeId, Time)| id == probe;
        self.master_asked.is_some_and(is_it) || asked.any(is_it)
    }

    /// Takes an answer.
    pub(super) fn measured(&mut self, probe: ProbeId, answer: &Measured) -> Option<Turn> {
        if let Some((_, asked)) = self.master_asked.filter(|(id, _)| *id == probe) {
            self.master_asked = None;
            self.replicas_due = true;
            self.master_measured(answer, asked);
            return None;
        }
        let is_it = |replica: &Replica| replica.asked.is_some_and(|(id, _)| id == probe);
        let place = self.all.iter().position(is_it)?;
        let (_, asked) = self.all[place].asked.take()?;
        let assessed = self.assess(answer, asked);
        self.all[place].assessed(assessed)
    }

    fn master_measured(&mut self, answer: &Measured, asked: Time) {
        let Measured::Answer { says, .. } = answer else {
            return;
        };
        if !says.is_master {
            return;
        }
        if self.history != says.history {
            self.moments.clear();
            self.history.clone_from(&says.history);
        }
        // Of moments at which it had the same the last is the best.
        while self
            .moments
            .back()
            .is_some_and(|last| last.offset >= says.offset)
        {
            self.moments.pop_back();
        }
        let (at, offset) = (asked, says.offset);
        self.moments.push_back(Moment { at, offset });
        let horizon = self.lag_max;
        while self.moments.len() > MOMENTS_MAX
            || self.moments.front().is_some_and(|m| m.at + horizon < asked)
        {
            self.moments.pop_front();
        }
    }

    /// Where a replica is that has answered, and how far it was behind when it was asked.
    fn assess(&self, answer: &Measured, asked: Time) -> Result<(SocketAddr, Duration), Unfit> {
        let Measured::Answer { at, says } = answer else {
            return Err(Unfit::Silent);
        };
        if says.is_master {
            return Err(Unfit::Master);
        }
        if !says.link_is_up {
            return Err(Unfit::Cut);
        }
        if says.history != self.history {
            return Err(Unfit::OtherData);
        }
        let had = |moment: &&Moment| moment.offset <= says.offset;
        let moment = self.moments.iter().rev().find(had).ok_or(Unfit::Behind)?;
        let lag = asked.since(moment.at);
        if lag > self.lag_max {
            return Err(Unfit::Behind);
        }
        Ok((*at, lag))
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let waits = self.all.is_empty() || self.master_asked.is_some();
        (!waits).then_some(self.next_round)
    }
}

impl Replica {
    fn assessed(&mut self, assessed: Result<(SocketAddr, Duration), Unfit>) -> Option<Turn> {
        let (at, lag) = match assessed {
            Ok(good) => good,
            Err(unfit) => return self.leave(unfit),
        };
        // Its name leads elsewhere now.
        if self.read_at.is_some_and(|before| before != at) {
            return self.leave(Unfit::NotNamed);
        }
        self.good = (self.good + 1).min(RISE);
        self.lag = Some(lag);
        if self.good < RISE || self.read_at.is_some() {
            return None;
        }
        self.read_at = Some(at);
        Some(Turn {
            address: self.address.clone(),
            at,
            unfit: None,
        })
    }

    fn leave(&mut self, unfit: Unfit) -> Option<Turn> {
        (self.good, self.lag) = (0, None);
        let at = self.read_at.take()?;
        Some(Turn {
            address: self.address.clone(),
            at,
            unfit: Some(unfit),
        })
    }
}

#[cfg(test)]
mod tests;
