//! What follows from all claims of the Sentinels together.
//!
//! Owns: which Sentinels have a vote, and when claims become facts. Never: a connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::agreement;
use crate::sentinel::agreement::Claim;
use crate::sentinel::agreement::Electors;
use crate::sentinel::master::InUse;
use crate::sentinel::master::Outcome;
use crate::sentinel::output::Fact;
use crate::sentinel::output::Measured;
use crate::sentinel::output::ProbeId;
use crate::sentinel::output::Probed;
use crate::sentinel::output::Source;
use crate::sentinel::replicas::Turn;
use crate::sentinel::watcher::Watcher;
use crate::sentinel::watcher::server_idx;
use crate::sentinel::write_hold::HoldEnd;

/// The Sentinels whose claims count, each once, and how many votes are a majority.
pub(super) struct Voters {
    pub(super) places: Vec<usize>,
    /// As to who is a master.
    pub(super) electors: Electors,
    /// How many there are; most of them must be heard, or writes are refused where that is wanted.
    of: usize,
}

impl Watcher {
    pub(super) fn voters(&self, now: Time) -> Voters {
        let electorate = self.roster.electorate(&self.sentinels, self.hearing(now));
        let (heard, of) = (electorate.voters.len(), electorate.of);
        // Where the file has one Sentinel and the others cannot be reached from here, as behind the
        // translated addresses of containers, it is believed alone.
        let majority = match heard * 2 > of || electorate.listed != (1, 1) {
            true => of / 2 + 1,
            false => heard / 2 + 1,
        };
        Voters {
            places: electorate.voters,
            electors: Electors { heard, majority },
            of,
        }
    }

    /// Draws the conclusions.
    pub(super) fn decide(&mut self, now: Time) {
        if std::mem::take(&mut self.learned) {
            self.call_the_roll(now);
            let voters = self.voters(now);
            self.hears_one = voters.places.len() == 1;
            self.count(&voters, now);
            self.update_failover_time(&voters);
            for server in 0..self.servers.len() {
                self.weigh(server, &voters, now);
                self.name_replicas(server, &voters);
            }
        }
        for server in 0..self.servers.len() {
            self.ask_server(server, now);
        }
        if self.majority.fenced {
            self.lift_fence(now);
        }
    }

    fn count(&mut self, voters: &Voters, now: Time) {
        let (heard, of) = (voters.places.len(), voters.of);
        let news = self.majority.update(heard > of / 2, now);
        if let Some(seen) = news.seen {
            self.tell(Fact::Majority { seen, heard, of });
        }
        if let Some(fenced) = news.fenced {
            self.tell(Fact::Fenced(fenced));
        }
    }

    /// What is said of a server.
    fn claims(&self, server: usize, voters: &Voters) -> Vec<&Claim> {
        let said = voters.places.iter().filter_map(|place| {
            let said = self.sentinels[*place].claims.get(server)?;
            said.as_ref()?.as_ref()
        });
        said.collect()
    }

    fn weigh(&mut self, server: usize, voters: &Voters, now: Time) {
        let in_use = self.servers[server].master.in_use.as_ref();
        let claims = self.claims(server, voters);
        let used = in_use.map(|in_use| (&in_use.address, in_use.rank));
        let verdict = agreement::weigh(&claims, used, voters.electors);
        let nobody_knows = claims.is_empty() && self.majority.since().is_some();
        self.servers[server].master.weighed(verdict, now);
        let told = std::mem::replace(&mut self.servers[server].unknown_told, nobody_knows);
        if nobody_knows && !told {
            let server = server_idx(server);
            self.tell(Fact::Unknown { server });
        }
    }

    /// Takes a server's word about itself.
    pub(super) fn answer(&mut self, probe: ProbeId, answer: &Probed, now: Time) {
        let asked = |server: &usize| self.servers[*server].master.has_asked(probe);
        let Some(server) = (0..self.servers.len()).find(asked) else {
            return;
        };
        let taken = match answer {
            Probed::Master { at } => self.holder(server, *at, now),
            Probed::NotMaster | Probed::Failed => None,
        };
        let admitted = self.admits(server, probe);
        let master = &mut self.servers[server].master;
        let is_free = |_| taken.is_none() && admitted;
        let outcome = master.probed(probe, answer, is_free, now);
        if let Some(address) = self.servers[server].replication_group.stranger() {
            let server = server_idx(server);
            self.tell(Fact::Stranger { server, address });
        }
        match (outcome, taken) {
            (Outcome::Moved(source), _) => {
                self.servers[server].taken_told = false;
                self.moved(server, source, now);
            }
            (Outcome::Nothing, Some((by, at))) => {
                if !std::mem::replace(&mut self.servers[server].taken_told, true) {
                    self.tell(Fact::Taken {
                        server: server_idx(server),
                        by: server_idx(by),
                        address: HostPort::Ip(at),
                    });
                }
            }
            (Outcome::Nothing, None) => {}
        }
    }

    /// Whether so few Sentinels may lead to whom `probe` asks: one alone leads to no stranger.
    fn admits(&mut self, server: usize, probe: ProbeId) -> bool {
        let watched = &mut self.servers[server];
        let master = &watched.master;
        match (master.in_use.as_ref(), master.candidate(probe)) {
            (Some(_), Some(address)) if self.hears_one => watched.replication_group.admits(address),
            _ => true,
        }
    }

    // Two servers at one address would be keys looked up in the wrong place. Whoever is about to be
    // led away from there by a majority holds nobody up: it may be waiting for our place in turn.
    fn holder(&self, server: usize, at: SocketAddr, now: Time) -> Option<(usize, SocketAddr)> {
        let is_there = |in_use: &InUse| in_use.at == at;
        let holds = |other: &usize| {
            let in_use = self.servers[*other].master.in_use.as_ref();
            let stays = !self.servers[*other].master.may_go_back(now);
            *other != server && stays && in_use.is_some_and(is_there)
        };
        let by = (0..self.servers.len()).find(holds)?;
        Some((by, at))
    }

    fn moved(&mut self, server: usize, source: Source, now: Time) {
        self.learned = true;
        self.servers[server].replication_group.master_moved(now);
        if let Some(in_use) = self.servers[server].master.in_use.clone() {
            self.tell(Fact::Master {
                server: server_idx(server),
                address: in_use.address,
                at: in_use.at,
                epoch: in_use.rank.epoch,
                source,
            });
        }
        self.release_writes(server, HoldEnd::Moved, now);
        if let Some(replicas) = &mut self.servers[server].replicas {
            let turns = replicas.master_moved(now);
            self.tell_turns(server, turns);
        }
    }

    /// Those replicas are looked at that a majority of the Sentinels calls good: each is given the
    /// servers' password. While none is heard those are that were.
    fn name_replicas(&mut self, server: usize, voters: &Voters) {
        let watched = &mut self.servers[server];
        let (Some(replicas), Some(in_use)) = (&mut watched.replicas, &watched.master.in_use) else {
            return;
        };
        let majority = voters.electors.majority;
        if voters.places.len() < majority {
            return;
        }
        let mut votes: BTreeMap<String, (HostPort, usize)> = BTreeMap::new();
        for place in &voters.places {
            for named in &self.sentinels[*place].replicas[server] {
                let vote = votes.entry(named.address.to_string());
                let (_, vote) = vote.or_insert_with(|| (named.address.clone(), 0));
                *vote += usize::from(named.good);
            }
        }
        let good = votes.into_values().filter(|(_, vote)| *vote >= majority);
        let good = good.map(|(address, _)| address);
        let others: Vec<HostPort> = good.filter(|a| *a != in_use.address).collect();
        let turns = replicas.named(&others);
        self.tell_turns(server, turns);
    }

    /// Takes what a master or a replica says about its data.
    pub(super) fn take_measure(&mut self, probe: ProbeId, answer: &Measured, now: Time) {
        for server in 0..self.servers.len() {
            let watched = &mut self.servers[server];
            let group = &mut watched.replication_group;
            if let (true, Some(in_use)) = (group.has_asked(probe), &watched.master.in_use) {
                group.measured(answer, &in_use.address, now);
                return;
            }
            let replicas = watched.replicas.as_mut();
            if let Some(replicas) = replicas.filter(|replicas| replicas.has_asked(probe)) {
                let turn = replicas.measured(probe, answer);
                self.tell_turns(server, turn);
                return;
            }
        }
    }

    fn tell_turns(&mut self, server: usize, turns: impl IntoIterator<Item = Turn>) {
        for turn in turns {
            self.tell(Fact::Replica {
                server: server_idx(server),
                address: turn.address,
                at: turn.at,
                unfit: turn.unfit,
            });
        }
    }

    fn lift_fence(&mut self, now: Time) {
        let Some(since) = self.majority.since() else {
            return;
        };
        let voters = self.voters(now);
        let majority = voters.of / 2 + 1;
        let mut unsure = false;
        for server in 0..self.servers.len() {
            let claims = self.claims(server, &voters);
            let in_use = self.servers[server].master.in_use.as_ref();
            let agreed = in_use.filter(|u| agreement::agree(&claims, &u.address, majority));
            match agreed.map(|in_use| in_use.checked >= since) {
                Some(true) => {}
                Some(false) => {
                    unsure = true;
                    self.servers[server].master.check_once(now);
                }
                None => unsure = true,
            }
        }
        if unsure {
            return;
        }
        if let Some(fenced) = self.majority.lift() {
            self.tell(Fact::Fenced(fenced));
        }
    }
}
