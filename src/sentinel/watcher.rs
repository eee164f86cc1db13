//! The watcher: what its owner calls, and the order in which things follow from each other.
//!
//! Owns: the Sentinels of a pool and the masters of its servers. Never: a socket, a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Random;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::ReadFrom;
use crate::protocol::resp::write_request;
use crate::sentinel::event::Kind;
use crate::sentinel::failover_time::FailoverTime;
use crate::sentinel::instance::Reachability;
use crate::sentinel::instance::Sentinel;
use crate::sentinel::instance::Which;
use crate::sentinel::majority::Majority;
use crate::sentinel::master::Master;
use crate::sentinel::output::Fact;
use crate::sentinel::output::LinkId;
use crate::sentinel::output::Measured;
use crate::sentinel::output::Output;
use crate::sentinel::output::ProbeId;
use crate::sentinel::output::Probed;
use crate::sentinel::query::Heard;
use crate::sentinel::query::OTHERS_EVERY;
use crate::sentinel::query::OTHERS_EVERY_FAST;
use crate::sentinel::replicas::Replicas;
use crate::sentinel::replication_group::ReplicationGroup;
use crate::sentinel::roster::Roster;
use crate::sentinel::subscription::Notification;
use crate::sentinel::write_hold::WriteHold;

/// Events say when to ask; this is for those that got lost.
const POLL: Duration = Duration::from_secs(1);

/// During a failover, and where the loss of a majority must be noticed within a second.
const POLL_FAST: Duration = Duration::from_millis(250);

/// A failover takes a few seconds from the first sign.
const ALERT_FOR: Duration = Duration::from_secs(20);

/// How old a Sentinel's word may be.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
const HEARD_WITHIN_FAST: Duration = Duration::from_millis(600);

/// Not sooner after the last round: events come in bursts, hints from every worker.
const EVENT_GAP: Duration = Duration::from_millis(5);
const HINT_GAP: Duration = Duration::from_millis(100);

/// A failover has a dozen events. A Sentinel that sends them without end does not make us ask all
/// others without end.
const EVENTS_HURRIED: u32 = 50;
const EVENTS_PER: Duration = Duration::from_secs(1);

/// More of a Sentinel's own words is not logged.
const WORDS_MAX: usize = 200;

/// Follows the masters of one pool's servers.
///
/// Its owner calls, after each of its other functions, [`Watcher::poll_output`] until it gives
/// nothing, and [`Watcher::handle_timeout`] at [`Watcher::next_timeout`].
#[derive(Debug)]
pub struct Watcher {
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) masters: Vec<Master>,
    /// By server.
    pub(super) replication_groups: Vec<ReplicationGroup>,
    /// Only one Sentinel that has a vote is heard.
    pub(super) hears_one: bool,
    /// By server; empty where replicas are not read.
    pub(super) replicas: Vec<Replicas>,
    pub(super) roster: Roster,
    pub(super) majority: Majority,
    /// By server.
    pub(super) write_holds: Vec<WriteHold>,
    pub(super) failover_time: FailoverTime,
    /// Something was learned that may change who is taken for a master.
    pub(super) learned: bool,
    /// By server: whether it was told that nobody knows it, or that its address is taken.
    pub(super) unknown_told: Vec<bool>,
    pub(super) taken_told: Vec<bool>,
    is_down: Vec<bool>,
    names: Vec<Arc<str>>,
    pub(super) auth: Option<Vec<u8>>,
    requires_quorum: bool,
    /// A member of the group is not heard: it may be elsewhere.
    pub(super) misses_one: bool,
    random: Random,
    pub(super) outputs: VecDeque<Output>,
    next_link: u64,
    next_probe: u64,
    alert_until: Time,
    last_round: Time,
    round_wanted: Option<Time>,
    /// So many events since then.
    events: (Time, u32),
}

impl Watcher {
    /// For a pool that has Sentinels; `seed` is where its random numbers begin.
    #[must_use]
    pub fn new(pool: &PoolConfig, seed: u64, now: Time) -> Watcher {
        let servers = pool.servers.len();
        let names: Vec<Arc<str>> = pool.servers.iter().map(|s| Arc::clone(&s.name)).collect();
        let wants_replicas = pool.replicas.read_from != ReadFrom::Master;
        let each = (servers, wants_replicas);
        let sentinel = |address: &HostPort| Sentinel::new(address.clone(), true, each, now);
        let auth = pool.sentinels.password.as_ref().map(|password| {
            let mut bytes = Vec::new();
            let password = password.expose();
            match &pool.sentinels.user {
                Some(user) => {
                    write_request(&mut bytes, &[b"AUTH", user.as_bytes(), password]);
                }
                None => write_request(&mut bytes, &[b"AUTH", password]),
            }
            bytes
        });
        let mut watcher = Watcher {
            sentinels: pool.sentinels.addresses.iter().map(sentinel).collect(),
            masters: names.iter().map(|_| Master::new()).collect(),
            replication_groups: names.iter().map(|_| ReplicationGroup::default()).collect(),
            hears_one: false,
            replicas: match wants_replicas {
                true => names
                    .iter()
                    .map(|_| Replicas::new(pool.replicas.lag, now))
                    .collect(),
                false => Vec::new(),
            },
            roster: Roster::default(),
            misses_one: false,
            write_holds: names.iter().map(|_| WriteHold::default()).collect(),
            failover_time: FailoverTime::new(pool),
            majority: Majority::new(pool.sentinels.require_quorum, now),
            learned: false,
            unknown_told: vec![false; servers],
            taken_told: vec![false; servers],
            is_down: vec![false; servers],
            names,
            auth,
            requires_quorum: pool.sentinels.require_quorum,
            random: Random::new(seed),
            outputs: VecDeque::new(),
            next_link: 0,
            next_probe: 0,
            alert_until: now,
            last_round: now,
            round_wanted: None,
            events: (now, 0),
        };
        watcher.handle_timeout(now);
        watcher
    }

    /// A connection that was asked for is there.
    pub fn connected(&mut self, link: LinkId, now: Time) {
        let poll = self.poll(now);
        let Some((place, which)) = self.find(link) else {
            return;
        };
        let sentinel = &mut self.sentinels[place];
        let auth = self.auth.as_deref().filter(|_| sentinel.wants_password);
        let bytes = match which {
            Which::Query => sentinel.query.connected(auth, poll, now),
            Which::Subscription => sentinel.subscription.connected(auth, now),
        };
        self.outputs.push_back(Output::Send { link, bytes });
        if which == Which::Query && self.sentinels[place].subscription.is_subscribed() {
            self.ask(place, now);
        }
        self.settle(now);
    }

    /// A Sentinel has sent something.
    pub fn received(&mut self, link: LinkId, bytes: &[u8], now: Time) {
        match self.find(link) {
            Some((place, Which::Query)) => {
                let mut heard = Vec::new();
                let end = self.sentinels[place].query.received(bytes, &mut heard, now);
                for heard in heard {
                    self.heard(place, heard, now);
                }
                self.end_if_broken(link, end, now);
            }
            Some((place, Which::Subscription)) => {
                let mut notifications = Vec::new();
                let end =
                    self.sentinels[place]
                        .subscription
                        .received(bytes, &mut notifications, now);
                for notification in notifications {
                    self.notified(place, notification, now);
                }
                self.end_if_broken(link, end, now);
            }
            None => {}
        }
        self.settle(now);
    }

    /// A connection was closed by the other end, broke, or could not be made, and why.
    pub fn closed(&mut self, link: LinkId, why: &str, now: Time) {
        if let Some((place, which)) = self.find(link) {
            self.lose(place, which, why, false, now);
        }
        self.settle(now);
    }

    /// What came of a question to a server.
    pub fn probed(&mut self, probe: ProbeId, answer: &Probed, now: Time) {
        self.answer(probe, answer, now);
        self.settle(now);
    }

    /// What came of a question how far a server's data goes.
    pub fn measured(&mut self, probe: ProbeId, answer: &Measured, now: Time) {
        self.take_measure(probe, answer, now);
        self.settle(now);
    }

    /// A server has failed for somebody: its master may be moving.
    pub fn hint(&mut self, server: ServerIdx, now: Time) {
        let Some(master) = self.masters.get_mut(server.index()) else {
            return;
        };
        // Its name may lead elsewhere now.
        if master
            .in_use
            .as_ref()
            .is_some_and(|in_use| matches!(in_use.address, HostPort::Name { .. }))
        {
            master.check_soon(now);
        }
        self.want_round(HINT_GAP, now);
        self.settle(now);
    }

    /// When `handle_timeout` is to be called.
    #[must_use]
    pub fn next_timeout(&self, now: Time) -> Option<Time> {
        let within = self.heard_within();
        let of_sentinels = self.sentinels.iter().flat_map(|sentinel| {
            let heard = sentinel.heard_until(within).filter(|until| *until > now);
            [sentinel.due(), heard]
        });
        let of_masters = self.masters.iter().map(|master| master.due(now));
        let of_replicas = self.replicas.iter().map(Replicas::due);
        let of_groups = self.masters.iter().zip(&self.replication_groups);
        let of_groups = of_groups.filter(|(master, _)| master.in_use.is_some());
        let of_groups = of_groups.map(|(_, group)| group.due());
        let of_writes = self.write_holds.iter().map(WriteHold::due);
        let own = [self.majority.due(), self.round_wanted];
        of_sentinels
            .chain(of_masters)
            .chain(of_replicas)
            .chain(of_groups)
            .chain(of_writes)
            .chain(own)
            .flatten()
            .min()
    }

    /// Does what time has made due.
    pub fn handle_timeout(&mut self, now: Time) {
        for place in 0..self.sentinels.len() {
            self.see_to(place, now);
        }
        self.end_write_holds(now);
        // A word may have grown too old.
        self.learned = true;
        self.settle(now);
    }

    /// The next act for the holder of the sockets, or fact.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What a server is called.
    pub(super) fn name(&self, server: usize) -> Arc<str> {
        Arc::clone(&self.names[server])
    }

    pub(super) fn tell(&mut self, fact: Fact) {
        self.outputs.push_back(Output::Fact(fact));
    }

    pub(super) fn ask_server(&mut self, server: usize, now: Time) {
        let next_probe = &mut self.next_probe;
        let mut number = || {
            *next_probe += 1;
            ProbeId(*next_probe)
        };
        let in_use = self.masters[server].in_use.as_ref();
        if let Some(in_use) = in_use {
            let question =
                self.replication_groups[server].question(&in_use.address, &mut number, now);
            let question = question.map(|(probe, address)| Output::Measure { probe, address });
            self.outputs.extend(question);
        }
        if let (Some(replicas), Some(in_use)) = (self.replicas.get_mut(server), in_use) {
            for (probe, address) in replicas.questions(&HostPort::Ip(in_use.at), &mut number, now) {
                self.outputs.push_back(Output::Measure { probe, address });
            }
        }
        for question in self.masters[server].questions(number, now) {
            self.outputs.push_back(Output::Probe {
                probe: question.probe,
                address: question.address,
            });
        }
    }

    /// How old a Sentinel's word may be.
    pub(super) fn heard_within(&self) -> Duration {
        match self.requires_quorum {
            true => HEARD_WITHIN_FAST,
            false => HEARD_WITHIN,
        }
    }

    fn poll(&self, now: Time) -> Duration {
        match self.requires_quorum || now < self.alert_until {
            true => POLL_FAST,
            false => POLL,
        }
    }

    fn find(&self, link: LinkId) -> Option<(usize, Which)> {
        let mut sentinels = self.sentinels.iter().enumerate();
        sentinels.find_map(|(place, sentinel)| Some((place, sentinel.which(link)?)))
    }

    fn heard(&mut self, place: usize, heard: Heard, now: Time) {
        let sentinel = &mut self.sentinels[place];
        match heard {
            Heard::Id(id) => self.identified(place, id, now),
            Heard::WantsPassword(words) => self.log_in(place, &words, now),
            Heard::Said(server, claim) => {
                if let Some(said) = sentinel.claims.get_mut(server.index()) {
                    *said = Some(claim);
                }
            }
            Heard::Replicas(server, named) => {
                if let Some(replicas) = sentinel.replicas.get_mut(server.index()) {
                    *replicas = named;
                }
            }
            Heard::Others(server, others) => sentinel.others.say(server, others),
            Heard::DownAfter(server, millis) => self.says_down_after(place, server, millis),
            Heard::NoFailover(server) => self.no_failover(place, server, now),
            Heard::RoundEnd => {
                sentinel.has_answered(now);
                self.learned = true;
                if std::mem::replace(&mut sentinel.reachability, Reachability::Answers)
                    != Reachability::Answers
                {
                    let address = sentinel.address.clone();
                    self.tell(Fact::Sentinel {
                        address,
                        lost: None,
                    });
                }
            }
            Heard::Refused(words) => self.lose(place, Which::Query, &words, true, now),
        }
    }

    fn notified(&mut self, place: usize, notification: Notification, now: Time) {
        match notification {
            Notification::Subscribed => {
                self.sentinels[place].refusal_told = false;
                // Whatever happened before is in the answer, whatever happens after is told.
                self.ask(place, now);
            }
            Notification::Event(name, kind) if self.roster.has_vote(&self.sentinels[place]) => {
                let server = self.names.iter().position(|known| **known == *name);
                if let Some(server) = server {
                    self.event(place, server, kind, now);
                }
            }
            Notification::Event(..) => {}
            Notification::Refused(words) => {
                self.lose(place, Which::Subscription, &words, true, now)
            }
        }
    }

    fn event(&mut self, place: usize, server: usize, kind: Kind, now: Time) {
        self.alert_until = now + ALERT_FOR;
        match kind {
            Kind::Leads { from } => self.hold_writes(place, server, &from, now),
            // Who is about to be promoted replicates the master by that one's own word.
            Kind::Promotion { replica, .. }
                if !self.replication_groups[server].has_replica(&replica) => {}
            Kind::Promotion { from, replica } => {
                self.hold_writes(place, server, &from, now);
                self.masters[server].promotion(&from, replica, now);
            }
            Kind::CalledOff => self.called_off(place, server, now),
            Kind::Down(down) if self.is_down[server] != down => {
                self.is_down[server] = down;
                let fact = Fact::Down {
                    server: server_idx(server),
                    down,
                    sentinel: self.sentinels[place].address.clone(),
                };
                self.tell(fact);
            }
            Kind::Down(_) | Kind::Switched | Kind::Trouble => {}
        }
        if self.events.0 + EVENTS_PER <= now {
            self.events = (now, 0);
        }
        self.events.1 += 1;
        let gap = match self.events.1 <= EVENTS_HURRIED {
            true => EVENT_GAP,
            false => HINT_GAP,
        };
        self.want_round(gap, now);
    }

    /// Asks one Sentinel a round, now or after the one that it is answering.
    fn ask(&mut self, place: usize, now: Time) {
        let others_every = match self.misses_one {
            true => OTHERS_EVERY_FAST,
            false => OTHERS_EVERY,
        };
        let every = (self.poll(now), others_every);
        let query = &mut self.sentinels[place].query;
        let bytes = query.ask(&self.names, every, &mut self.random, now);
        if let (Some(bytes), Some(link)) = (bytes, query.connection.link()) {
            self.outputs.push_back(Output::Send { link, bytes });
        }
    }

    fn want_round(&mut self, gap: Duration, now: Time) {
        let at = (self.last_round + gap).max(now);
        self.round_wanted = Some(self.round_wanted.map_or(at, |other| other.min(at)));
    }

    fn end_if_broken(&mut self, link: LinkId, end: Result<(), String>, now: Time) {
        if let (Err(why), Some((place, which))) = (end, self.find(link)) {
            self.lose(place, which, &why, false, now);
        }
    }

    pub(super) fn close(&mut self, place: usize, which: Which) {
        let sentinel = &self.sentinels[place];
        let link = match which {
            Which::Query => sentinel.query.connection.link(),
            Which::Subscription => sentinel.subscription.connection.link(),
        };
        self.outputs.extend(link.map(Output::Close));
    }

    /// A connection is of no use any more; it comes again after a pause.
    pub(super) fn lose(&mut self, place: usize, which: Which, why: &str, refused: bool, now: Time) {
        self.close(place, which);
        let sentinel = &mut self.sentinels[place];
        let address = sentinel.address.clone();
        let connection = match which {
            Which::Query => &mut sentinel.query.connection,
            Which::Subscription => &mut sentinel.subscription.connection,
        };
        connection.lost(refused, &mut self.random, now);
        let refusal = Fact::Refused {
            address: address.clone(),
            words: why.chars().take(WORDS_MAX).collect(),
        };
        if which == Which::Subscription {
            if refused && !std::mem::replace(&mut sentinel.refusal_told, true) {
                self.tell(refusal);
            }
            return;
        }
        sentinel.is_lost();
        self.learned = true;
        let reachability = match refused {
            true => Reachability::Refuses,
            false => Reachability::Lost,
        };
        let before = std::mem::replace(&mut sentinel.reachability, reachability);
        if refused
            && before != Reachability::Refuses
            && !std::mem::replace(&mut sentinel.refusal_told, true)
        {
            self.tell(refusal);
        } else if !refused && matches!(before, Reachability::Answers | Reachability::Unknown) {
            let lost = Some(why.to_owned());
            self.tell(Fact::Sentinel { address, lost });
        }
    }

    /// Does what time has made due at one Sentinel.
    pub(super) fn see_to(&mut self, place: usize, now: Time) {
        for which in [Which::Query, Which::Subscription] {
            let sentinel = &mut self.sentinels[place];
            let may_connect = which == Which::Query || sentinel.may_subscribe();
            let connection = match which {
                Which::Query => &mut sentinel.query.connection,
                Which::Subscription => &mut sentinel.subscription.connection,
            };
            if connection.is_overdue(now) {
                self.lose(place, which, "no answer in time", false, now);
            } else if connection.wants_connecting(now) && may_connect {
                self.next_link += 1;
                let link = LinkId(self.next_link);
                connection.connecting(link, now);
                let address = sentinel.address.clone();
                self.outputs.push_back(Output::Connect { link, address });
            }
        }
        let subscription = &mut self.sentinels[place].subscription;
        if let (Some(bytes), Some(link)) = (subscription.ping(now), subscription.connection.link())
        {
            self.outputs.push_back(Output::Send { link, bytes });
        }
    }

    /// Lets follow what follows.
    fn settle(&mut self, now: Time) {
        if self.round_wanted.is_some_and(|at| at <= now) {
            self.round_wanted = None;
            self.last_round = now;
            for place in 0..self.sentinels.len() {
                self.ask(place, now);
            }
        }
        for place in 0..self.sentinels.len() {
            if self.sentinels[place].query.wants_round(now) {
                self.ask(place, now);
            }
        }
        self.decide(now);
    }
}

/// A place among the servers as an index; a pool has at most 65536.
pub(super) fn server_idx(place: usize) -> ServerIdx {
    ServerIdx(u16::try_from(place).unwrap_or(u16::MAX))
}
