//! The state of a pool's masters, in a form that outlives the watcher that has found it out.
//!
//! Owns: the state with which a new watcher begins after a reload or in another process: where each master is
//! and by which configuration, what is about to be promoted, how long a failover takes, whether
//! writes were allowed. Without it the new one would follow what most Sentinels say, which for a
//! second after a promotion is the old master. Never: what the Sentinels themselves say, which is asked anew.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::address;
use crate::sentinel::agreement::Rank;
use crate::sentinel::master::InUse;
use crate::sentinel::master::Master;
use crate::sentinel::other_sentinels::RunId;
use crate::sentinel::output::Fact;
use crate::sentinel::roster::Roster;
use crate::sentinel::watcher::Watcher;
use crate::sentinel::watcher::server_idx;
use crate::sentinel::write_hold::Hold;
use crate::sentinel::write_hold::WRITE_HOLD_MAX;

/// What one watcher leaves to the next. Times are ages: the next one has another clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// By the server's name, which is that of its master at the Sentinels.
    masters: BTreeMap<String, Remembered>,
    /// The Sentinels that have said so.
    sentinels: Vec<Address>,
    /// Who belongs to the group, by their run ids.
    group: BTreeMap<String, Address>,
    /// After what silence they take a master for dead.
    down_after_ms: Option<u64>,
    /// A majority of them was heard, and writes were not refused.
    allows_writes: bool,
}

/// One server's master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    address: Address,
    at: SocketAddr,
    epoch: u64,
    #[serde(default)]
    promoted: bool,
    #[serde(default)]
    confirmed: bool,
    #[serde(default)]
    since_ms: u64,
    /// Replicas that are about to take its place.
    #[serde(default)]
    promotions: Vec<Address>,
    /// Writes wait for it to be replaced.
    #[serde(default)]
    waits: Option<Waits>,
    /// For how much longer they do not wait again, because they have waited in vain.
    #[serde(default)]
    rests_ms: u64,
}

/// On whose word, since when and how much longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waits {
    by: Address,
    since_ms: u64,
    left_ms: u64,
}

/// As Sentinels write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Address {
    host: String,
    port: u16,
}

impl Address {
    fn of(address: &HostPort) -> Address {
        match address {
            HostPort::Ip(at) => Address {
                host: at.ip().to_string(),
                port: at.port(),
            },
            HostPort::Name { host, port } => Address {
                host: host.to_string(),
                port: *port,
            },
        }
    }

    fn read(&self) -> Option<HostPort> {
        address::parse(self.host.as_bytes(), self.port.to_string().as_bytes())
    }
}

impl Memory {
    /// Where the master called `name` is.
    #[must_use]
    pub fn master_of(&self, name: &str) -> Option<SocketAddr> {
        self.masters.get(name).map(|known| known.at)
    }

    /// Takes what is newer in another one: the names of those masters.
    pub fn outdo(&mut self, other: Memory) -> BTreeSet<String> {
        let by_the_same = self.sentinels.is_empty()
            || (other.sentinels.iter()).any(|theirs| self.sentinels.contains(theirs));
        let mut news = BTreeSet::new();
        for (name, mut theirs) in other.masters {
            let ours = self.masters.get(&name);
            let is_news = ours.is_none_or(|ours| {
                let rank = |known: &Remembered| (known.epoch, known.promoted);
                let waits = theirs.waits.is_some() && ours.waits.is_none();
                rank(&theirs) > rank(ours) || (rank(&theirs) == rank(ours) && waits)
            });
            if is_news {
                theirs.confirmed &= by_the_same;
                news.insert(name.clone());
                self.masters.insert(name, theirs);
            }
        }
        if self.sentinels.is_empty() {
            self.sentinels = other.sentinels;
        }
        if self.group.is_empty() && by_the_same {
            self.group = other.group;
        }
        self.down_after_ms = self.down_after_ms.or(other.down_after_ms);
        self.allows_writes |= other.allows_writes;
        news
    }

    /// How long ago the oldest of it was found out.
    #[must_use]
    pub fn age(&self) -> Duration {
        let ages = self.masters.values().map(|known| known.since_ms);
        Duration::from_millis(ages.max().unwrap_or_default())
    }

    /// Whether writes are allowed until the next watcher has had a moment to hear a majority.
    #[must_use]
    pub fn allows_writes(&self) -> bool {
        self.allows_writes
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Waits {
    fn of(hold: &Hold, now: Time) -> Waits {
        Waits {
            by: Address::of(&hold.by),
            since_ms: millis(now.since(hold.since)),
            left_ms: millis(hold.until.since(now)),
        }
    }

    fn hold(&self, now: Time) -> Option<Hold> {
        Some(Hold {
            by: self.by.read()?,
            since: now.before(Duration::from_millis(self.since_ms)),
            // Another process may say what it wants.
            until: now + Duration::from_millis(self.left_ms).min(WRITE_HOLD_MAX),
        })
    }
}

impl Remembered {
    fn of(master: &Master, now: Time) -> Option<Remembered> {
        let in_use = master.in_use.as_ref()?;
        Some(Remembered {
            address: Address::of(&in_use.address),
            at: in_use.at,
            epoch: in_use.rank.epoch,
            promoted: in_use.rank.promoted,
            confirmed: in_use.confirmed,
            since_ms: millis(now.since(in_use.since)),
            promotions: master.promotions().map(Address::of).collect(),
            waits: None,
            rests_ms: 0,
        })
    }

    fn in_use(&self, by_the_same: bool, now: Time) -> Option<InUse> {
        let since = now.before(Duration::from_millis(self.since_ms));
        Some(InUse {
            address: self.address.read()?,
            at: self.at,
            rank: Rank {
                epoch: self.epoch,
                promoted: self.promoted,
            },
            // Others may count epochs from zero, and mean another master by the name.
            confirmed: self.confirmed && by_the_same,
            checked: since,
            since,
        })
    }
}

impl Watcher {
    /// What the next watcher is to go on with.
    #[must_use]
    pub fn memory(&self, now: Time) -> Memory {
        let masters = self.servers.iter().enumerate();
        let masters = masters.filter_map(|(server, watched)| {
            let mut known = Remembered::of(&watched.master, now)?;
            let write_hold = &watched.write_hold;
            known.waits = write_hold.hold().map(|hold| Waits::of(hold, now));
            known.rests_ms = millis(write_hold.cooldown_left(now));
            Some((self.name(server).to_string(), known))
        });
        Memory {
            masters: masters.collect(),
            group: self
                .roster
                .members()
                .map(|(id, address)| (id.as_str().to_owned(), Address::of(address)))
                .collect(),
            sentinels: self
                .sentinels
                .iter()
                .map(|p| Address::of(&p.address))
                .collect(),
            down_after_ms: self.failover_time.down_after().map(millis),
            allows_writes: self.majority.since().is_some() && !self.majority.fenced,
        }
    }

    /// Goes on with what another watcher has found out; to be called before anything else.
    pub fn remember(&mut self, memory: &Memory, now: Time) {
        let known = |address: &HostPort| memory.sentinels.contains(&Address::of(address));
        let by_the_same = self
            .sentinels
            .iter()
            .any(|sentinel| known(&sentinel.address));
        for server in 0..self.servers.len() {
            let Some(known) = memory.masters.get(&*self.name(server)) else {
                continue;
            };
            let Some(in_use) = known.in_use(by_the_same, now) else {
                continue;
            };
            let promotions = known.promotions.iter().filter_map(Address::read);
            self.servers[server].master = Master::going_on(in_use, promotions, now);
            self.servers[server]
                .write_hold
                .cool_down(Duration::from_millis(known.rests_ms), now);
            if let Some(hold) = known.waits.as_ref().and_then(|waits| waits.hold(now)) {
                self.tell(Fact::HoldWrites {
                    server: server_idx(server),
                    within: hold.until.since(now),
                    sentinel: hold.by.clone(),
                });
                self.servers[server].write_hold.go_on(hold);
            }
        }
        let listed = self.sentinels.iter();
        let remembered = listed.filter(|sentinel| known(&sentinel.address)).count();
        if remembered * 2 > self.sentinels.len() {
            // The file may name those that are there no longer.
            let member = |(id, address): (&String, &Address)| {
                Some((RunId::new(id.as_bytes())?, address.read()?))
            };
            self.roster = Roster::go_on(memory.group.iter().filter_map(member));
            self.reconcile(now);
        }
        if let Some(down_after) = memory.down_after_ms {
            self.remember_failover_time(Duration::from_millis(down_after));
        }
        if memory.allows_writes {
            self.majority.go_on(now);
        }
        self.learned = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::sentinel::output::Output;

    const MASTER: &str = "10.0.0.2:6379";

    fn watcher(sentinels: &str, now: Time) -> Watcher {
        let text = format!(
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  require_sentinel_quorum: true\n  \
             sentinels: [{sentinels}]\n  servers:\n    - 10.0.0.1:6379:1 m1\n    \
             - 10.0.0.9:6379:1 m2\n    - 10.0.0.8:6379:1 m3\n"
        );
        let config = Config::parse(&text, "a.yml").unwrap();
        Watcher::new(&config.pools[0], 1, now)
    }

    fn memory(confirmed: bool, allows_writes: bool) -> Memory {
        let address = |host: &str, port| Address {
            host: host.to_owned(),
            port,
        };
        let known = Remembered {
            address: address("ten.example", 6379),
            at: MASTER.parse().unwrap(),
            epoch: 7,
            promoted: true,
            confirmed,
            since_ms: 5000,
            promotions: Vec::new(),
            waits: None,
            rests_ms: 7000,
        };
        let about_to_move = Remembered {
            promoted: false,
            promotions: vec![address("10.0.0.3", 6379)],
            ..known.clone()
        };
        let masters = [("m1", known), ("m2", about_to_move)];
        Memory {
            masters: masters.map(|(name, known)| (name.to_owned(), known)).into(),
            sentinels: vec![address("10.1.0.1", 26379)],
            group: BTreeMap::new(),
            down_after_ms: Some(4000),
            allows_writes,
        }
    }

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_watcher_goes_on_with_all_that_another_knew() {
        let mut first = watcher("10.1.0.1:26379, 10.1.0.5:26379", at(9000));
        first.remember(&memory(true, true), at(9000));
        let left = first.memory(at(10_000));
        let words = serde_json::to_string(&left).unwrap();
        let read: Memory = serde_json::from_str(&words).unwrap();
        assert_eq!(read, left, "it crosses processes");
        let mut second = watcher("10.1.0.1:26379", at(100_000));
        second.remember(&left, at(100_000));
        let view = second.view(at(100_000));
        let master = view.servers[0].master.as_ref().unwrap();
        assert_eq!(master.address.to_string(), "ten.example:6379");
        assert_eq!((master.at.to_string().as_str(), master.epoch), (MASTER, 7));
        assert_eq!(master.since, at(94_000), "six seconds ago");
        assert_eq!(view.servers[2].master, None);
        let memory = second.memory(at(100_000));
        assert!(memory.masters["m1"].promoted && memory.masters["m1"].confirmed);
        assert_eq!(memory.masters["m2"].promotions.len(), 1);
        assert_eq!(memory.masters["m1"].rests_ms, 6000);
        assert_eq!(memory.down_after_ms, Some(4000));
        let outputs = std::iter::from_fn(|| second.poll_output());
        let mut holds = outputs.filter_map(|output| match output {
            Output::Fact(Fact::Hold { hold, .. }) => Some(hold),
            _ => None,
        });
        assert_eq!(
            holds.next(),
            Some(Duration::from_millis(6500)),
            "workers may not know"
        );
    }

    #[test]
    fn what_other_sentinels_have_confirmed_these_have_not() {
        let mut other = watcher("10.9.0.1:26379", at(0));
        other.remember(&memory(true, true), at(0));
        let known = &other.memory(at(0)).masters["m1"];
        assert!(!known.confirmed && known.epoch == 7);
    }

    #[test]
    fn the_group_is_known_on_as_long_as_most_of_the_file_belong_to_it() {
        let id = "a".repeat(40);
        let elsewhere = Address {
            host: "10.1.0.9".to_owned(),
            port: 26379,
        };
        let mut left = memory(true, true);
        left.group.insert(id.clone(), elsewhere);
        let group = |sentinels: &str| {
            let mut watcher = watcher(sentinels, at(0));
            watcher.remember(&left, at(0));
            let sentinels = watcher.view(at(0)).sentinels.len();
            (watcher.memory(at(0)).group.contains_key(&id), sentinels)
        };
        assert_eq!(group("10.1.0.1:26379"), (true, 2), "it is connected to");
        assert_eq!(group("10.1.0.1:26379, 10.1.0.2:26379"), (false, 2));
    }

    #[test]
    fn writes_that_were_allowed_stay_allowed_for_a_moment_and_no_longer() {
        let mut watcher = watcher("10.1.0.1:26379", at(0));
        watcher.remember(&memory(true, true), at(0));
        assert!(!watcher.view(at(0)).fenced);
        watcher.handle_timeout(at(990));
        assert!(!watcher.view(at(990)).fenced);
        watcher.handle_timeout(at(1000));
        assert!(watcher.view(at(1000)).fenced, "nobody was heard");
    }

    #[test]
    fn writes_that_were_refused_stay_refused() {
        let mut watcher = watcher("10.1.0.1:26379", at(0));
        watcher.remember(&memory(true, false), at(0));
        assert!(watcher.view(at(0)).fenced);
    }

    #[test]
    fn of_two_memories_the_newer_configuration_counts() {
        let mut ours = memory(true, false);
        let newer = ours.masters.get_mut("m1").unwrap();
        (newer.epoch, newer.promoted) = (8, false);
        ours.masters.remove("m2");
        let theirs = memory(true, true);
        let news = ours.outdo(theirs.clone());
        assert_eq!(news, BTreeSet::from(["m2".to_owned()]));
        assert_eq!(ours.masters["m1"].epoch, 8, "there is no way back");
        assert!(ours.allows_writes);
        assert_eq!(ours.outdo(theirs), BTreeSet::new(), "told again");
    }

    #[test]
    fn what_an_older_process_does_not_say_is_not_known() {
        let read: Memory = serde_json::from_str("{}").unwrap();
        assert_eq!(read, Memory::default());
    }
}
