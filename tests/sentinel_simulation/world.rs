//! One run: virtual time, the wires between the watcher and the rest, and the Sentinels' brains.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coremux::base::Random;
use coremux::base::Time;
use coremux::config::Config;
use coremux::config::HostPort;
use coremux::sentinel::LinkId;
use coremux::sentinel::Measured;
use coremux::sentinel::Output;
use coremux::sentinel::ProbeId;
use coremux::sentinel::Probed;
use coremux::sentinel::Replication;
use coremux::sentinel::Watcher;

use super::membership::Membership;
use super::membership::PASSWORD;
use super::model::Failover;
use super::model::INSTANCES;
use super::model::Shared;
use super::oracle::Oracle;
use super::requests;
use super::sentinel::End;
use super::sentinel::Sentinel;
use super::sentinel::View;
use super::sentinel::foreign_master;

/// What each run should have seen, beside faults.
pub const COUNTED: &[&str] = &[
    "stranger in the file",
    "stranger found out",
    "failover",
    "failover given up",
    "moved by epoch",
    "moved by promotion",
    "moved back by majority",
    "replica read",
    "replica left",
    "writes waited",
    "waited until the move",
    "waited in vain",
    "held too long on a liar's word",
    "promoted while writes waited",
];

pub const MS: u64 = 1000;
const BRAINS_EVERY: u64 = 100 * MS;
const DOWN_AFTER: u64 = 2000 * MS;
pub const SERVERS: usize = 2;

enum Happening {
    Connect(LinkId, usize),
    ToSentinel(LinkId, usize, Vec<u8>),
    ToWatcher(LinkId, Vec<u8>),
    Closed(LinkId),
    Ask(ProbeId, SocketAddr),
    Answer(ProbeId, SocketAddr, Probed),
    AskData(ProbeId, SocketAddr),
    Data(ProbeId, Measured, u64),
    Brains,
}

/// One run.
pub struct World {
    pub now: u64,
    pub random: Random,
    pub masters: Vec<Shared>,
    pub sentinels: Vec<Sentinel>,
    pub tally: BTreeMap<&'static str, u64>,
    config: Config,
    pub watcher: Watcher,
    pub oracle: Oracle,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    /// Which Sentinel is at the other end; none of a connection to nobody.
    links: BTreeMap<LinkId, usize>,
    pub membership: Membership,
}

impl World {
    pub fn new(seed: u64, requires_quorum: bool) -> World {
        let mut random = Random::new(seed ^ 0x5eed);
        let count = if random.below(5) == 0 { 5 } else { 3 };
        let masters: Vec<Shared> = (0..SERVERS).map(Shared::new).collect();
        let mut sentinels: Vec<Sentinel> = (0..count)
            .map(|number| sentinel(number, &masters))
            .collect();
        // Some are in the file, one by a name, and name the others.
        let in_file = 2 + random.below(u64::from(count) - 1);
        let membership = Membership::new(in_file, &mut sentinels, &mut random);
        let config = config(&membership, &masters, requires_quorum);
        let mut world = World {
            now: 0,
            watcher: Watcher::new(&config.pools[0], seed, Time::ZERO),
            oracle: Oracle::new(SERVERS, requires_quorum),
            random,
            masters,
            sentinels,
            tally: BTreeMap::new(),
            config,
            queue: BTreeMap::new(),
            sequence: 0,
            links: BTreeMap::new(),
            membership,
        };
        if world.membership.listed_stranger().is_some() {
            world.count("stranger in the file");
        }
        world.after(BRAINS_EVERY, Happening::Brains);
        world.act();
        world
    }

    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    pub fn run_for_ms(&mut self, ms: u64) {
        let until = self.now + ms * MS;
        while self.step(until) {}
        self.now = until;
    }

    /// Everything works again, and has time to settle.
    pub fn heal(&mut self) {
        for place in 0..self.sentinels.len() {
            let sentinel = &mut self.sentinels[place];
            (sentinel.up, sentinel.asleep) = (!sentinel.gone, false);
            sentinel.lies = false;
            self.mend(place);
        }
        self.forget_the_dead();
        for shared in &mut self.masters {
            for instance in &mut shared.instances {
                (instance.up, instance.reachable) = (true, true);
            }
        }
        self.run_for_ms(15_000);
    }

    /// What a hint of a worker does.
    pub fn hint(&mut self, server: usize) {
        let server = coremux::base::ServerIdx(u16::try_from(server).unwrap());
        self.watcher.hint(server, self.time());
        self.act();
    }

    /// Another watcher takes the place of the one that there was, as with a reload or in another
    /// process, and hears nothing of what that had asked.
    pub fn begin_anew(&mut self) {
        let (now, seed) = (self.time(), self.below(u64::MAX));
        let memory = self.watcher.memory(now);
        self.watcher = Watcher::new(&self.config.pools[0], seed, now);
        self.watcher.remember(&memory, now);
        for sentinel in &mut self.sentinels {
            sentinel.links.clear();
        }
        let is_ours = |happening: &Happening| matches!(happening, Happening::Brains);
        self.queue.retain(|_, happening| is_ours(happening));
        self.links.clear();
        self.oracle.begins_anew(memory.allows_writes());
        self.oracle.is_new = true;
        self.act();
        self.oracle.is_new = false;
    }

    /// A Sentinel is no longer cut off: connections that have lost something are reset.
    pub fn mend(&mut self, place: usize) {
        let sentinel = &mut self.sentinels[place];
        sentinel.cut = false;
        let holed: Vec<LinkId> = sentinel
            .links
            .iter()
            .filter(|(_, end)| end.holed)
            .map(|l| *l.0)
            .collect();
        for link in holed {
            self.reset(place, link);
        }
    }

    /// Ends a connection from the Sentinel's side.
    pub fn reset(&mut self, place: usize, link: LinkId) {
        let sentinel = &mut self.sentinels[place];
        if sentinel.links.remove(&link).is_some() && !sentinel.cut {
            let delay = self.delay();
            self.after(delay, Happening::Closed(link));
        }
    }

    /// Says something of its own accord to those who listen.
    pub fn publish(&mut self, place: usize, channel: &str, payload: &str) {
        let links: Vec<LinkId> = self.sentinels[place].links.keys().copied().collect();
        for link in links {
            if self.sentinels[place].links[&link].subscribed {
                let message = requests::array(&["message", channel, payload]);
                self.send_back(place, link, message.as_bytes());
            }
        }
    }

    pub fn kill_master(&mut self, server: usize) {
        let at = self.truth(server).says();
        let place = self.masters[server].at(at).unwrap();
        self.masters[server].instances[place].up = false;
    }

    pub fn expect_all_found(&mut self) {
        for server in 0..SERVERS {
            let truth = self.truth(server);
            let shared = &self.masters[server];
            let place = shared.at(truth.says()).unwrap();
            assert!(shared.instances[place].is_master, "the model has settled");
            let found = self.oracle.at(server);
            let view = self.watcher.view(self.time());
            assert_eq!(
                found,
                Some(truth.says()),
                "server {server}: {} {shared:?}",
                self.picture()
            );
            assert!(view.majority);
        }
    }

    /// Requests are held as long as the group needs.
    pub fn expect_patience(&self) {
        self.oracle.expect_patience();
    }

    pub fn expect_writes_allowed(&self) {
        assert!(!self.oracle.fenced, "{}", self.picture());
    }

    pub fn cut_most_sentinels(&mut self) {
        let ours: Vec<usize> = self.ours().collect();
        for place in &ours[..=ours.len() / 2] {
            self.sentinels[*place].cut = true;
        }
    }

    pub fn expect_fence_within_a_second_or_so(&mut self) {
        self.run_for_ms(1300);
        assert!(self.oracle.fenced);
    }

    /// Waits for the next master, and that the watcher finds it so soon after it has become one.
    pub fn expect_followed_within_ms(&mut self, server: usize, ms: u64) {
        let old = self.oracle.at(server).unwrap();
        let is_new = |i: &super::model::Instance| i.up && i.is_master && i.at != old;
        for _ in 0..10_000 {
            self.run_for_ms(1);
            if self.masters[server].instances.iter().any(is_new) {
                self.run_for_ms(ms);
                assert_ne!(self.oracle.at(server), Some(old), "not followed");
                return;
            }
        }
        panic!("no failover");
    }

    pub fn time(&self) -> Time {
        Time::from_micros(self.now)
    }

    fn after(&mut self, delay: u64, happening: Happening) {
        self.sequence += 1;
        self.queue
            .insert((self.now + delay, self.sequence), happening);
    }

    /// A wire's delay: mostly short, sometimes not.
    fn delay(&mut self) -> u64 {
        match self.below(20) {
            0 => MS + self.below(80 * MS),
            _ => 50 + self.below(2 * MS),
        }
    }

    /// Lets the next thing happen, if it does before `until`.
    fn step(&mut self, until: u64) -> bool {
        let next = self.queue.first_key_value().map(|(key, _)| key.0);
        let timeout = self.watcher.next_timeout(self.time()).map(Time::as_micros);
        let due = [next, timeout].into_iter().flatten().min().unwrap();
        if due > until {
            return false;
        }
        self.now = self.now.max(due);
        self.oracle.expect_nobody_waits_for_ever(self.now);
        if timeout.is_some_and(|timeout| next.is_none_or(|next| timeout <= next)) {
            self.watcher.handle_timeout(self.time());
            let again = self.watcher.next_timeout(self.time());
            let moved_on = again.is_none_or(|again| again > self.time());
            assert!(
                moved_on,
                "a time-out that is still due after it was handled"
            );
        } else {
            let (_, happening) = self.queue.pop_first().unwrap();
            self.happens(happening);
        }
        self.act();
        true
    }

    fn happens(&mut self, happening: Happening) {
        let time = self.time();
        match happening {
            Happening::Connect(link, place) => {
                let sentinel = &mut self.sentinels[place];
                if sentinel.cut {
                    return;
                }
                if sentinel.up {
                    sentinel.links.insert(link, End::default());
                    self.watcher.connected(link, time);
                } else {
                    self.watcher.closed(link, "Connection refused", time);
                }
            }
            Happening::ToSentinel(link, place, bytes) => self.reach_sentinel(link, place, &bytes),
            Happening::ToWatcher(link, bytes) => {
                let place = self.links[&link];
                if self.sentinels[place].cut {
                    if let Some(end) = self.sentinels[place].links.get_mut(&link) {
                        end.holed = true;
                    }
                } else {
                    self.watcher.received(link, &bytes, time);
                }
            }
            Happening::Closed(link) => self.watcher.closed(link, "Connection reset", time),
            Happening::Ask(probe, at) => self.asked(probe, at),
            Happening::Answer(probe, at, answer) => {
                self.oracle.said(at, &answer);
                self.oracle.answer = Some(answer.clone());
                self.watcher.probed(probe, &answer, time);
                self.act();
                self.oracle.answer = None;
            }
            Happening::AskData(probe, at) => self.asked_for_data(probe, at),
            Happening::Data(probe, answer, staleness) => {
                self.oracle.measured = Some((answer.clone(), staleness));
                self.watcher.measured(probe, &answer, time);
                self.act();
                self.oracle.has_measured(self.now);
            }
            Happening::Brains => {
                self.gossip();
                self.watch_the_fence();
                for server in 0..SERVERS {
                    self.think(server);
                    let master = self.truth(server).says();
                    let shared = &mut self.masters[server];
                    let master = shared.at(master).unwrap();
                    shared.replicate(master, &mut self.random, self.now);
                }
                self.after(BRAINS_EVERY, Happening::Brains);
            }
        }
    }

    fn act(&mut self) {
        while let Some(output) = self.watcher.poll_output() {
            match output {
                Output::Connect { link, address } => {
                    let delay = self.delay();
                    match self.place_of(&address) {
                        Some(place) => {
                            self.links.insert(link, place);
                            self.after(delay, Happening::Connect(link, place));
                        }
                        None => self.after(delay, Happening::Closed(link)),
                    }
                }
                Output::Send { link, bytes } => {
                    let (place, delay) = (self.links[&link], self.delay());
                    if let Some(end) = self.sentinels[place].links.get_mut(&link) {
                        end.last_arrival_there = end.last_arrival_there.max(self.now + delay);
                        let delay = end.last_arrival_there - self.now;
                        self.after(delay, Happening::ToSentinel(link, place, bytes));
                    }
                }
                Output::Close(link) => {
                    if let Some(place) = self.links.get(&link) {
                        self.sentinels[*place].links.remove(&link);
                    }
                }
                Output::Probe { probe, address } => {
                    let HostPort::Ip(at) = address else {
                        panic!("servers have no names here")
                    };
                    let delay = self.delay();
                    self.after(delay, Happening::Ask(probe, at));
                }
                Output::Measure { probe, address } => {
                    let HostPort::Ip(at) = address else {
                        panic!("servers have no names here")
                    };
                    let delay = self.delay();
                    self.after(delay, Happening::AskData(probe, at));
                }
                Output::Fact(fact) => {
                    if std::env::var_os("SIM_SEED").is_some() {
                        println!("{} {fact:?}", self.now / MS);
                    }
                    if let Some(what) = self.oracle.hear(&fact, self.now) {
                        self.count(what);
                    }
                }
            }
        }
    }

    pub fn place_of(&self, address: &HostPort) -> Option<usize> {
        match address {
            HostPort::Name { .. } => (!self.sentinels[0].gone).then_some(0),
            HostPort::Ip(at) => {
                let mut all = self.sentinels.iter();
                all.position(|s| s.at == *at && !s.gone)
            }
        }
    }

    fn asked(&mut self, probe: ProbeId, at: SocketAddr) {
        let instance = self
            .masters
            .iter()
            .find_map(|shared| Some(&shared.instances[shared.at(at)?]));
        let (answer, delay) = match instance {
            Some(instance) if !instance.reachable => (Probed::Failed, 1000 * MS),
            Some(instance) if instance.up && instance.is_master => (Probed::Master { at }, 0),
            Some(instance) if instance.up => (Probed::NotMaster, 0),
            None if (0..SERVERS).any(|server| foreign_master(server) == at) => {
                (Probed::Master { at }, 0)
            }
            _ => (Probed::Failed, 0),
        };
        let delay = delay + self.delay();
        self.after(delay, Happening::Answer(probe, at, answer));
    }

    fn asked_for_data(&mut self, probe: ProbeId, at: SocketAddr) {
        let found = self
            .masters
            .iter()
            .find_map(|shared| Some((shared, &shared.instances[shared.at(at)?])));
        let (answer, staleness, delay) = match found {
            Some((_, instance)) if !instance.reachable => (Measured::Failed, 0, 400 * MS),
            Some((shared, instance)) if instance.up => {
                let data = instance.data;
                let says = Replication {
                    is_master: instance.is_master,
                    link_is_up: data.link_is_up && !instance.is_master,
                    history: data.history.to_string().into_bytes(),
                    previous: None,
                    offset: data.offset,
                    replicas: shared.replicas(at),
                };
                let staleness = shared.staleness(data, self.now);
                (Measured::Answer { at, says }, staleness, 0)
            }
            _ => (Measured::Failed, 0, 0),
        };
        let delay = delay + self.delay();
        self.after(delay, Happening::Data(probe, answer, staleness));
    }

    /// Every replica of every master is read, and nobody else.
    pub fn expect_all_read(&mut self) {
        for shared in &mut self.masters {
            for instance in &mut shared.instances {
                instance.data.stuck = false;
            }
        }
        // Long enough for some to be stuck and to be found again.
        let all_read = |world: &World| {
            (0..SERVERS).all(|server| {
                let master = world.truth(server).says();
                let instances = world.masters[server].instances.iter();
                let replicas = instances.map(|i| i.at).filter(|at| *at != master);
                world.oracle.read(server) == replicas.collect()
            })
        };
        for _ in 0..200 {
            if all_read(self) {
                return;
            }
            self.run_for_ms(100);
        }
        panic!("not all are read: {:#?}", self.watcher.view(self.time()));
    }

    fn reach_sentinel(&mut self, link: LinkId, place: usize, bytes: &[u8]) {
        let names: Vec<String> = self.masters.iter().map(|m| m.name.clone()).collect();
        let friends: Vec<(SocketAddr, String)> = self
            .sentinels
            .iter()
            .filter(|s| s.foreign)
            .map(|s| (s.at, s.id.clone()))
            .collect();
        let good = |i: &super::model::Instance| i.up && i.data.link_is_up;
        let replicas: Vec<Vec<(SocketAddr, bool)>> = self
            .masters
            .iter()
            .map(|m| m.instances.iter().map(|i| (i.at, good(i))).collect())
            .collect();
        let leads = |m: &Shared| m.failover.as_ref().is_some_and(|f| f.leader == place);
        let leads = self.masters.iter().map(leads).collect();
        let sentinel = &mut self.sentinels[place];
        sentinel.leads = leads;
        let cut = sentinel.cut;
        let Some(end) = sentinel.links.get_mut(&link) else {
            return;
        };
        if cut || end.holed {
            end.holed = true;
            return;
        }
        end.received.extend_from_slice(bytes);
        let requests = requests::take(&mut end.received);
        let mut replies = String::new();
        for request in requests {
            let (sentinel, random) = (&mut self.sentinels[place], &mut self.random);
            let given = request.iter().any(|word| word == PASSWORD);
            assert!(
                !(given && sentinel.foreign && !self.membership.lists(sentinel.at)),
                "a stranger has the password"
            );
            let password = sentinel.password.clone();
            let end = sentinel.links.get_mut(&link).unwrap();
            if request[0] == "AUTH" {
                end.logged_in |= password.is_some();
                replies += match password {
                    Some(_) => "+OK\r\n",
                    None => {
                        "-ERR AUTH <password> called without any password configured for the default user.\r\n"
                    }
                };
            } else if password.is_some() && !end.logged_in {
                replies += "-NOAUTH Authentication required.\r\n";
            } else {
                end.subscribed |= request[0] == "SUBSCRIBE";
                replies += &sentinel.reply(&request, &names, &friends, &replicas, random);
            }
        }
        self.send_back(place, link, replies.as_bytes());
    }

    fn send_back(&mut self, place: usize, link: LinkId, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = rest.len() as u64;
            let cut = match self.below(8) {
                0 => 1 + usize::try_from(self.random.below(len)).unwrap(),
                _ => rest.len(),
            };
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            let delay = self.delay();
            let Some(end) = self.sentinels[place].links.get_mut(&link) else {
                return;
            };
            end.last_arrival = end.last_arrival.max(self.now + delay);
            let delay = end.last_arrival - self.now;
            self.after(delay, Happening::ToWatcher(link, piece.to_vec()));
        }
    }

    /// The newest configuration that a Sentinel has.
    pub fn truth(&self, server: usize) -> View {
        let ours = self.sentinels.iter().filter(|s| !s.foreign && !s.gone);
        let views = ours.map(|s| s.views[server]);
        views.max_by_key(|view| view.epoch).unwrap()
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// What the Sentinels do about one master, ten times a second.
    fn think(&mut self, server: usize) {
        let deciders: Vec<usize> = (0..self.sentinels.len())
            .filter(|place| self.sentinels[*place].decides())
            .collect();
        let newest = |place: &usize| self.sentinels[*place].views[server].epoch;
        let Some(wisest) = deciders.iter().copied().max_by_key(newest) else {
            return;
        };
        let truth = self.sentinels[wisest].views[server];
        for place in deciders.iter().copied() {
            if self.sentinels[place].views[server].epoch < truth.epoch && self.chance(15) {
                self.switch(place, server, truth);
            }
        }
        match self.masters[server].failover.clone() {
            Some(failover) => self.go_on(server, failover),
            None => self.watch_over(server, &deciders, truth),
        }
    }

    /// A Sentinel takes another server for the master.
    fn switch(&mut self, place: usize, server: usize, truth: View) {
        let old = self.sentinels[place].views[server].at;
        let view = View {
            at: truth.says(),
            promoted: None,
            ..truth
        };
        self.sentinels[place].views[server] = view;
        let name = self.masters[server].name.clone();
        let words = [old, view.at]
            .map(|at| format!("{} {}", at.ip(), at.port()))
            .join(" ");
        self.publish(place, "+switch-master", &format!("{name} {words}"));
    }

    fn watch_over(&mut self, server: usize, deciders: &[usize], truth: View) {
        let now = self.now;
        let shared = &mut self.masters[server];
        let place = shared.at(truth.says()).unwrap();
        let master = &shared.instances[place];
        let good = master.up && (master.is_master || master.since + DOWN_AFTER > now);
        for other in (0..INSTANCES).filter(|other| *other != place) {
            let instance = &shared.instances[other];
            let odd = instance.up && instance.is_master && instance.since + 1000 * MS < now;
            if odd && self.random.below(100) < 20 {
                shared.become_master(other, false, now);
            }
        }
        if good {
            shared.missed_since = None;
            return;
        }
        let since = *shared.missed_since.get_or_insert(now);
        let majority = self.group_size() / 2 + 1;
        if since + DOWN_AFTER <= now && deciders.len() >= majority {
            for place in deciders {
                let name = self.masters[server].name.clone();
                let at = truth.says();
                let details = format!("master {name} {} {}", at.ip(), at.port());
                self.publish(*place, "+sdown", &details);
                self.publish(*place, "+odown", &format!("{details} #quorum 2/2"));
            }
            self.fail_over(server);
        }
    }

    /// Begins a failover, if there is a leader for it and a replica.
    pub fn fail_over(&mut self, server: usize) {
        let truth = self.truth(server);
        let sentinels = self.sentinels.iter().enumerate();
        let can_lead = |s: &Sentinel| s.decides() && s.views[server] == truth;
        let leaders: Vec<usize> = sentinels
            .filter(|(_, s)| can_lead(s))
            .map(|s| s.0)
            .collect();
        let deciders = self.sentinels.iter().filter(|s| s.decides()).count();
        if leaders.is_empty()
            || deciders <= self.group_size() / 2
            || self.masters[server].failover.is_some()
        {
            return;
        }
        let leader = leaders[usize::try_from(self.below(leaders.len() as u64)).unwrap()];
        let old = self.masters[server].at(truth.says()).unwrap();
        let Some(to) = self.masters[server].pick_replica(old, &mut self.random) else {
            return;
        };
        let shared = &mut self.masters[server];
        shared.last_epoch += 1;
        shared.failover = Some(Failover {
            leader,
            to,
            epoch: shared.last_epoch,
            selected: false,
            promoted: false,
        });
        self.count("failover");
        self.tell_of_master("+elected-leader", server, leader);
    }

    /// Says something about the master as a Sentinel takes it to be.
    pub fn tell_of_master(&mut self, channel: &str, server: usize, place: usize) {
        let name = &self.masters[server].name;
        let at = self.sentinels[place].views[server].at;
        let words = format!("master {name} {} {}", at.ip(), at.port());
        self.publish(place, channel, &words);
    }

    fn tell_of_promotion(&mut self, channel: &str, server: usize, leader: usize, to: usize) {
        let name = &self.masters[server].name;
        let to = self.masters[server].instances[to].at;
        let old = self.sentinels[leader].views[server].at;
        let words = format!(
            "slave {to} {} {} @ {name} {} {}",
            to.ip(),
            to.port(),
            old.ip(),
            old.port()
        );
        self.publish(leader, channel, &words);
    }

    fn go_on(&mut self, server: usize, failover: Failover) {
        let now = self.now;
        let Failover {
            leader, to, epoch, ..
        } = failover;
        let up = self.masters[server].instances[to].up;
        if !self.sentinels[leader].decides() || (!up && !failover.promoted) {
            self.masters[server].failover = None;
            self.count("failover given up");
            if self.sentinels[leader].up {
                self.tell_of_master("-failover-abort-slave-timeout", server, leader);
            }
        } else if !failover.selected {
            self.masters[server].failover = Some(Failover {
                selected: true,
                ..failover
            });
            self.tell_of_promotion("+selected-slave", server, leader, to);
        } else if failover.promoted {
            if self.chance(10) {
                let truth = self.sentinels[leader].views[server];
                self.switch(leader, server, truth);
                self.masters[server].failover = None;
            }
        } else if !self.masters[server].instances[to].is_master {
            if self.chance(60) {
                self.masters[server].become_master(to, true, now);
                self.count(match self.oracle.waits(server) {
                    true => "promoted while writes waited",
                    false => "promoted while writes went on",
                });
            }
        } else if self.chance(15) {
            let promoted = self.masters[server].instances[to].at;
            let view = &mut self.sentinels[leader].views[server];
            (view.promoted, view.epoch) = (Some(promoted), epoch);
            self.masters[server].failover = Some(Failover {
                promoted: true,
                ..failover
            });
            self.tell_of_promotion("+promoted-slave", server, leader, to);
        }
    }
}

pub fn sentinel(number: u8, masters: &[Shared]) -> Sentinel {
    Sentinel {
        at: ([10, 1, 0, number], 26379).into(),
        id: format!("{number:040}"),
        up: true,
        cut: false,
        asleep: false,
        lies: false,
        known: BTreeMap::new(),
        foreign: false,
        gone: false,
        password: None,
        leads: vec![false; masters.len()],
        views: masters
            .iter()
            .map(|shared| View {
                at: shared.instances[0].at,
                epoch: 0,
                promoted: None,
            })
            .collect(),
        links: BTreeMap::new(),
    }
}

fn config(membership: &Membership, masters: &[Shared], requires_quorum: bool) -> Config {
    let mut text = "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n".to_owned();
    text += "  read_from: prefer-replica\n  replica_lag_ms: 500\n";
    text += &format!("  require_sentinel_quorum: {requires_quorum}\n  sentinels:\n");
    text += "    - sentinel-0.example:26379\n";
    for at in &membership.listed[1..] {
        text += &format!("    - {at}\n");
    }
    if membership.has_password {
        text += &format!("  sentinel_password: {PASSWORD}\n");
    }
    text += "  servers:\n";
    for shared in masters {
        text += &format!("    - {}:1 {}\n", shared.instances[0].at, shared.name);
    }
    Config::parse(&text, "simulated.yml").unwrap()
}
