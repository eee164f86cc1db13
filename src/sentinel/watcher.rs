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
use crate::sentinel::roster::Roster;
use crate::sentinel::rounds::Rounds;
use crate::sentinel::subscription::Notification;
use crate::sentinel::watched::Watched;

/// How old a Sentinel's word may be.
const HEARD_WITHIN: Duration = Duration::from_secs(3);
const HEARD_WITHIN_FAST: Duration = Duration::from_millis(600);

/// More of a Sentinel's own words is not logged.
const WORDS_MAX: usize = 200;

/// Follows the masters of one pool's servers.
///
/// Its owner calls, after each of its other functions, [`Watcher::poll_output`] until it gives
/// nothing, and [`Watcher::handle_timeout`] at [`Watcher::next_timeout`].
#[derive(Debug)]
pub struct Watcher {
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) servers: Vec<Watched>,
    /// Only one Sentinel that has a vote is heard.
    pub(super) hears_one: bool,
    pub(super) roster: Roster,
    pub(super) majority: Majority,
    pub(super) failover_time: FailoverTime,
    /// Something was learned that may change who is taken for a master.
    pub(super) learned: bool,
    // By server.
    names: Vec<Arc<str>>,
    pub(super) auth: Option<Vec<u8>>,
    requires_quorum: bool,
    /// A member of the group is not heard: it may be elsewhere.
    pub(super) misses_one: bool,
    random: Random,
    pub(super) outputs: VecDeque<Output>,
    next_link: u64,
    next_probe: u64,
    rounds: Rounds,
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
            servers: (0..servers)
                .map(|_| wants_replicas.then(|| Replicas::new(pool.replicas.lag, now)))
                .map(Watched::new)
                .collect(),
            hears_one: false,
            roster: Roster::default(),
            misses_one: false,
            failover_time: FailoverTime::new(pool),
            majority: Majority::new(pool.sentinels.require_quorum, now),
            learned: false,
            names,
            auth,
            requires_quorum: pool.sentinels.require_quorum,
            random: Random::new(seed),
            outputs: VecDeque::new(),
            next_link: 0,
            next_probe: 0,
            rounds: Rounds::new(pool.sentinels.require_quorum, now),
        };
        watcher.handle_timeout(now);
        watcher
    }

    /// A connection that was asked for is there.
    pub fn connected(&mut self, link: LinkId, now: Time) {
        let poll = self.rounds.poll(now);
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
        let Some(watched) = self.servers.get_mut(server.index()) else {
            return;
        };
        let master = &mut watched.master;
        // Its name may lead elsewhere now.
        if master
            .in_use
            .as_ref()
            .is_some_and(|in_use| matches!(in_use.address, HostPort::Name { .. }))
        {
            master.check_soon(now);
        }
        self.rounds.hint(now);
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
        let of_servers = self.servers.iter().map(|watched| watched.due(now));
        let own = [self.majority.due(), self.rounds.due()];
        of_sentinels.chain(of_servers).chain(own).flatten().min()
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
        let number = || {
            *next_probe += 1;
            ProbeId(*next_probe)
        };
        self.outputs
            .extend(self.servers[server].questions(number, now));
    }

    /// How old a Sentinel's word may be.
    pub(super) fn heard_within(&self) -> Duration {
        match self.requires_quorum {
            true => HEARD_WITHIN_FAST,
            false => HEARD_WITHIN,
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
        match kind {
            Kind::Leads { from } => self.hold_writes(place, server, &from, now),
            // Who is about to be promoted replicates the master by that one's own word.
            Kind::Promotion { replica, .. }
                if !self.servers[server].replication_group.has_replica(&replica) => {}
            Kind::Promotion { from, replica } => {
                self.hold_writes(place, server, &from, now);
                self.servers[server].master.promotion(&from, replica, now);
            }
            Kind::CalledOff => self.called_off(place, server, now),
            Kind::Down(down) if self.servers[server].is_down != down => {
                self.servers[server].is_down = down;
                let fact = Fact::Down {
                    server: server_idx(server),
                    down,
                    sentinel: self.sentinels[place].address.clone(),
                };
                self.tell(fact);
            }
            Kind::Down(_) | Kind::Switched | Kind::Trouble => {}
        }
        self.rounds.event(now);
    }

    /// Asks one Sentinel a round, now or after the one that it is answering.
    fn ask(&mut self, place: usize, now: Time) {
        let others_every = match self.misses_one {
            true => OTHERS_EVERY_FAST,
            false => OTHERS_EVERY,
        };
        let every = (self.rounds.poll(now), others_every);
        let query = &mut self.sentinels[place].query;
        let bytes = query.ask(&self.names, every, &mut self.random, now);
        if let (Some(bytes), Some(link)) = (bytes, query.connection.link()) {
            self.outputs.push_back(Output::Send { link, bytes });
        }
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
        if self.rounds.begins(now) {
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
