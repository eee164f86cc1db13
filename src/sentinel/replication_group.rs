//! Which servers belong together: a master and its replicas, by their own reports.
//!
//! Owns: what one server's master has last reported of its replicas and its data (`INFO
//! replication`). Never: decides which server is a master.
//!
//! The proxy follows a single Sentinel only to a server that shares something with the one in use:
//! one of its replicas, or one with its data. So a Sentinel that lies, or that means another master
//! by the same name, cannot lead the proxy out of the group.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::output::Measured;
use crate::sentinel::output::ProbeId;
use crate::sentinel::replication::Replication;

/// How often a master is asked for its replicas; a replica that has just been added is promoted up to
/// a second later than possible.
const EVERY: Duration = Duration::from_secs(5);

/// One that does not answer, or a stranger that is to be looked at again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A promotion adds one name to a history, and nobody has so many in a minute.
const HISTORIES_MAX: usize = 8;

/// One server's master, its replicas and those that share its data.
#[derive(Debug, Default)]
pub(super) struct ReplicationGroup {
    /// Nothing is known before the first answer.
    is_known: bool,
    replicas: Vec<HostPort>,
    histories: VecDeque<Vec<u8>>,
    /// Others that have turned out to share its data.
    found: VecDeque<HostPort>,
    asked: Option<(ProbeId, HostPort)>,
    next: Time,
    /// One that only a Sentinel alone names.
    doubted: Option<HostPort>,
    next_doubt: Time,
    /// Such a one that was looked at, and does not belong to the group.
    stranger: Option<HostPort>,
    /// The stranger that was told of.
    told: Option<HostPort>,
}

impl ReplicationGroup {
    /// Whether a master has said that `address` replicates it.
    pub(super) fn has_replica(&self, address: &HostPort) -> bool {
        self.replicas.contains(address)
    }

    /// Whether a Sentinel alone may lead to `address`; if that is not clear it is looked at.
    pub(super) fn admits(&mut self, address: &HostPort) -> bool {
        let admitted = !self.is_known || self.has_replica(address) || self.found.contains(address);
        self.doubted = (!admitted).then(|| address.clone());
        admitted
    }

    /// A stranger that was looked at; once.
    pub(super) fn stranger(&mut self) -> Option<HostPort> {
        let stranger = self
            .stranger
            .clone()
            .filter(|s| self.doubted.as_ref() == Some(s))?;
        let is_news = self.told.as_ref() != Some(&stranger);
        self.told = Some(stranger.clone());
        is_news.then_some(stranger)
    }

    /// Another server is the master.
    pub(super) fn master_moved(&mut self, now: Time) {
        (self.asked, self.doubted, self.told) = (None, None, None);
        self.next = now;
    }

    /// The question to be asked now.
    pub(super) fn question(
        &mut self,
        master: &HostPort,
        number: impl FnOnce() -> ProbeId,
        now: Time,
    ) -> Option<(ProbeId, HostPort)> {
        if self.asked.is_some() {
            return None;
        }
        let address = if self.next <= now {
            self.next = now + EVERY;
            master.clone()
        } else if self.next_doubt <= now {
            self.next_doubt = now + AGAIN_AFTER;
            self.doubted.clone()?
        } else {
            return None;
        };
        self.asked = Some((number(), address));
        self.asked.clone()
    }

    /// Whether `probe` was asked here.
    pub(super) fn has_asked(&self, probe: ProbeId) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|(asked, _)| *asked == probe)
    }

    /// Takes an answer; `master` is what is in use.
    pub(super) fn measured(&mut self, answer: &Measured, master: &HostPort, now: Time) {
        let Some((_, asked)) = self.asked.take() else {
            return;
        };
        match answer {
            Measured::Answer { says, .. } if asked == *master => self.master_says(says, now),
            Measured::Failed if asked == *master => self.next = now + AGAIN_AFTER,
            other => self.other_says(asked, other),
        }
    }

    fn master_says(&mut self, says: &Replication, now: Time) {
        if says.replicas.is_empty() {
            // They come back to a master that has just become one.
            self.next = now + AGAIN_AFTER;
        }
        if !says.is_master {
            return;
        }
        self.is_known = true;
        self.replicas.clone_from(&says.replicas);
        for history in says.histories() {
            self.histories.retain(|known| known != history);
            self.histories.push_back(history.clone());
        }
        while self.histories.len() > HISTORIES_MAX {
            self.histories.pop_front();
        }
    }

    fn other_says(&mut self, address: HostPort, answer: &Measured) {
        self.doubted = None;
        let shares = |says: &Replication| says.histories().any(|h| self.histories.contains(h));
        if matches!(answer, Measured::Answer { says, .. } if shares(says)) {
            self.found.push_back(address);
            if self.found.len() > HISTORIES_MAX {
                self.found.pop_front();
            }
        } else {
            self.stranger = Some(address);
        }
    }

    /// When to look at it next.
    pub(super) fn due(&self) -> Option<Time> {
        let doubt = self.doubted.as_ref().map(|_| self.next_doubt);
        let due = doubt.map_or(self.next, |doubt| doubt.min(self.next));
        self.asked.is_none().then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> HostPort {
        HostPort::Ip(([10, 0, 0, 1], port).into())
    }

    fn says(history: &str, previous: Option<&str>, replicas: &[u16]) -> Measured {
        Measured::Answer {
            at: ([10, 0, 0, 1], 1).into(),
            says: Replication {
                is_master: true,
                link_is_up: false,
                history: history.as_bytes().to_vec(),
                previous: previous.map(|text| text.as_bytes().to_vec()),
                offset: 0,
                replicas: replicas.iter().map(|port| at(*port)).collect(),
            },
        }
    }

    fn ask(group: &mut ReplicationGroup, now: Time) -> Option<HostPort> {
        let asked = group.question(&at(1), || ProbeId(7), now)?;
        assert!(group.has_asked(ProbeId(7)));
        Some(asked.1)
    }

    fn known() -> ReplicationGroup {
        let mut group = ReplicationGroup::default();
        assert!(group.admits(&at(9)), "nothing is known");
        assert_eq!(ask(&mut group, Time::ZERO), Some(at(1)));
        group.measured(&says("a", Some("b"), &[2, 3]), &at(1), Time::ZERO);
        group
    }

    #[test]
    fn those_that_replicate_the_master_are_of_its_group() {
        let mut group = known();
        assert!(group.has_replica(&at(2)) && group.admits(&at(3)));
        assert!(!group.has_replica(&at(4)));
        assert_eq!(group.due(), Some(Time::ZERO + EVERY));
        assert_eq!(ask(&mut group, Time::ZERO), None);
        // A master that cannot be asked any more has said what it has said.
        assert_eq!(ask(&mut group, Time::ZERO + EVERY), Some(at(1)));
        group.measured(&Measured::Failed, &at(1), Time::ZERO + EVERY);
        assert!(group.has_replica(&at(2)));
    }

    #[test]
    fn one_that_shares_its_data_is_of_the_group_and_another_is_a_stranger() {
        for (history, previous, is_member) in [
            ("x", Some("a"), true),
            ("b", None, true),
            ("x", Some("y"), false),
            ("x", None, false),
        ] {
            let mut group = known();
            assert!(!group.admits(&at(9)));
            assert_eq!(ask(&mut group, Time::ZERO), Some(at(9)));
            assert_eq!(group.stranger(), None, "it is being asked");
            group.measured(&says(history, previous, &[]), &at(1), Time::ZERO);
            assert_eq!(group.admits(&at(9)), is_member, "{history} {previous:?}");
            assert_eq!(group.stranger(), (!is_member).then(|| at(9)));
            assert_eq!(group.stranger(), None, "told once");
        }
    }
}
