//! What must never happen, looked for in every fact.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use coremux::base::ServerIdx;
use coremux::sentinel::Fact;
use coremux::sentinel::HoldEnd;
use coremux::sentinel::Measured;
use coremux::sentinel::Probed;
use coremux::sentinel::Source;

use super::sentinel::DOWN_AFTER_MS;

/// What is known of one server.
#[derive(Clone, Debug, Default)]
struct Known {
    at: Option<SocketAddr>,
    epoch: u64,
    /// It was followed before its epoch was known.
    promoted: bool,
    /// When it moved there, in microseconds.
    since: u64,
    /// What it said of itself when it was last asked.
    last_word: Option<Probed>,
}

/// The judge of one run.
#[derive(Debug)]
pub struct Oracle {
    servers: Vec<Known>,
    /// Who is where another is now, and by when it must have gone.
    displaced: Vec<(usize, u64)>,
    /// Writes are refused without a majority.
    fences: bool,
    pub fenced: bool,
    pub majority: Option<bool>,
    /// It goes on with what another has left: it may say that again.
    pub is_new: bool,
    /// The answer that the watcher is just being given.
    pub answer: Option<Probed>,
    /// The same of a server's data, and for how long that had lacked something, in microseconds.
    pub measured: Option<(Measured, u64)>,
    /// By server: the replicas that are read.
    read: Vec<BTreeSet<SocketAddr>>,
    /// Which of them have said that they are not fit, since when.
    doubted: BTreeMap<SocketAddr, u64>,
    /// By server: since when writes wait, and until when they may.
    waiting: Vec<Option<(u64, u64)>>,
    /// How long requests are held.
    hold: Option<Duration>,
    /// By server: for how long they have waited in vain, in microseconds.
    vain: Vec<u64>,
}

/// A tenth of the time, and once more.
const VAIN_PART: u64 = 10;
/// What the group says, what a failover takes besides, and what nobody is made to wait.
const DOWN_AFTER: Duration = Duration::from_millis(DOWN_AFTER_MS);
const BESIDES: Duration = Duration::from_millis(2500);
const HOLD_MAX: Duration = Duration::from_millis(62_500);

const WAIT_MAX: u64 = 3_000_000;

/// `replica_lag_ms`, and what two answers may take on the wire, and a tick of the model.
const STALENESS_MAX: u64 = 500_000 + 2 * 82_000 + 100_000;

impl Oracle {
    pub fn new(servers: usize, fenced: bool) -> Oracle {
        Oracle {
            servers: vec![Known::default(); servers],
            displaced: Vec::new(),
            fences: fenced,
            fenced,
            majority: None,
            is_new: false,
            answer: None,
            measured: None,
            read: vec![BTreeSet::new(); servers],
            doubted: BTreeMap::new(),
            waiting: vec![None; servers],
            hold: None,
            vain: vec![0; servers],
        }
    }

    /// Which replicas of a server are read.
    pub fn read(&self, server: usize) -> BTreeSet<SocketAddr> {
        self.read[server].clone()
    }

    /// Whether writes to a server wait.
    pub fn waits(&self, server: usize) -> bool {
        self.waiting[server].is_some()
    }

    /// Writes wait no longer than was said, and seldom in vain, whoever lies.
    pub fn expect_nobody_waits_for_ever(&self, now: u64) {
        let is_over = |(_, until): &(u64, u64)| *until + 1000 < now;
        let forgotten = self.waiting.iter().flatten().find(|wait| is_over(wait));
        assert_eq!(forgotten, None, "writes wait at {now}");
        let most = now / VAIN_PART + WAIT_MAX;
        assert!(
            self.vain.iter().all(|vain| *vain <= most),
            "{:?}",
            self.vain
        );
    }

    /// Requests are held as long as a failover takes, by the words of the group.
    pub fn expect_patience(&self) {
        assert_eq!(self.hold, Some(DOWN_AFTER + BESIDES));
    }

    /// Where a server is.
    pub fn at(&self, server: usize) -> Option<SocketAddr> {
        self.servers[server].at
    }

    /// Another watcher goes on: it measures replicas anew, and has heard nobody yet.
    pub fn begins_anew(&mut self, allows_writes: bool) {
        self.read.iter_mut().for_each(BTreeSet::clear);
        self.doubted.clear();
        self.fenced = self.fences && !allows_writes;
        self.majority = None;
    }

    /// A server has said of itself what it is.
    pub fn said(&mut self, asked: SocketAddr, answer: &Probed) {
        let there = self.servers.iter_mut().filter(|k| k.at == Some(asked));
        there.for_each(|known| known.last_word = Some(answer.clone()));
    }

    /// The watcher has heard what a server has: one that lacks too much is read no longer, though a
    /// Sentinel that lies may have made another server of the pool ask it first.
    pub fn has_measured(&mut self, now: u64) {
        let Some((Measured::Answer { at, says }, staleness)) = self.measured.take() else {
            return;
        };
        let good = !says.is_master && says.link_is_up && staleness <= STALENESS_MAX;
        if good || !self.read.iter().any(|read| read.contains(&at)) {
            self.doubted.remove(&at);
            return;
        }
        let since = *self.doubted.entry(at).or_insert(now);
        assert!(
            since + 700_000 > now,
            "read on: {says:?}, {staleness} behind"
        );
    }

    /// Takes a fact; what it is to be counted as.
    pub fn hear(&mut self, fact: &Fact, now: u64) -> Option<&'static str> {
        let late = self.displaced.iter().find(|(_, until)| *until < now);
        assert_eq!(late, None, "two servers at one address");
        match fact {
            Fact::Master {
                server,
                at,
                epoch,
                source,
                ..
            } => {
                let just_said = Some(Probed::Master { at: *at });
                assert_eq!(self.answer, just_said, "it did not say that it is a master");
                self.moves(*server, *at, *epoch, *source, now);
                Some(match source {
                    Source::Epoch => "moved by epoch",
                    Source::Promotion => "moved by promotion",
                    Source::Majority => "moved back by majority",
                })
            }
            Fact::Replica {
                server, at, unfit, ..
            } => {
                let read = &mut self.read[server.index()];
                if unfit.is_some() {
                    assert!(read.remove(at), "it was not read");
                    return Some("replica left");
                }
                assert!(read.insert(*at), "it is read already");
                let Some((Measured::Answer { at: measured, says }, staleness)) = &self.measured
                else {
                    panic!("it has not just said what it has");
                };
                assert_eq!(measured, at);
                assert!(!says.is_master && says.link_is_up, "{says:?}");
                assert!(
                    *staleness <= STALENESS_MAX,
                    "{staleness} microseconds behind"
                );
                Some("replica read")
            }
            Fact::Fenced(fenced) => {
                assert_ne!(self.fenced, *fenced, "told twice");
                if !*fenced {
                    assert_eq!(self.majority, Some(true), "lifted without a majority");
                    let known = self.servers.iter().all(|known| known.at.is_some());
                    assert!(known, "lifted before every master is known");
                }
                self.fenced = *fenced;
                Some(match fenced {
                    true => "fenced",
                    false => "fence lifted",
                })
            }
            Fact::Majority { seen, heard, of } => {
                assert_ne!(self.majority, Some(*seen), "told twice");
                assert_eq!(*seen, heard * 2 > *of);
                self.majority = Some(*seen);
                None
            }
            Fact::Hold { down_after, hold } => {
                assert!(*down_after >= DOWN_AFTER, "too short: {down_after:?}");
                assert!(*hold <= HOLD_MAX, "nearly for ever: {hold:?}");
                let again = self.hold.replace(*hold) == Some(*hold);
                assert!(!again || self.is_new, "told twice");
                match *down_after == DOWN_AFTER {
                    true => None,
                    false => Some("held too long on a liar's word"),
                }
            }
            Fact::Foreign { .. } => Some("stranger found out"),
            Fact::HoldWrites { server, within, .. } => {
                let micros = u64::try_from(within.as_micros()).unwrap();
                assert!(micros <= WAIT_MAX, "for {within:?}");
                let known = &mut self.waiting[server.index()];
                let since = known.map_or(now, |(since, _)| since);
                assert!(known.is_none() || self.is_new, "told twice");
                *known = Some((since, now + micros));
                Some("writes waited")
            }
            Fact::ReleaseWrites { server, why, .. } => {
                let known = self.waiting[server.index()].take();
                let (since, _) = known.expect("writes wait");
                if *why == HoldEnd::Moved {
                    return Some("waited until the move");
                }
                self.vain[server.index()] += now - since;
                Some("waited in vain")
            }
            Fact::Taken { .. } => Some("refused a taken address"),
            _ => None,
        }
    }

    fn moves(&mut self, server: ServerIdx, at: SocketAddr, epoch: u64, source: Source, now: u64) {
        let IpAddr::V4(ip) = at.ip() else {
            panic!("not one of the model's: {at}")
        };
        assert_eq!(&ip.octets()[..2], [10, 0], "a server outside the group");
        self.displaced.retain(|(other, _)| *other != server.index());
        for (place, other) in self.servers.iter().enumerate() {
            if place != server.index() && other.at == Some(at) {
                self.displaced.push((place, now + 3_000_000));
            }
        }
        assert_eq!(self.majority, Some(true), "followed a minority");
        let known = &mut self.servers[server.index()];
        // A promotion is newer than its epoch.
        let back = match source {
            Source::Promotion => epoch < known.epoch,
            Source::Epoch | Source::Majority => {
                epoch < known.epoch || (known.promoted && epoch == known.epoch)
            }
        };
        if back {
            assert_eq!(
                source,
                Source::Majority,
                "back from {} to {epoch}",
                known.epoch
            );
            let denied = known.last_word
                != Some(Probed::Master {
                    at: known.at.unwrap(),
                });
            let unconfirmed_for_long = known.since + 10_000_000 <= now;
            assert!(denied || unconfirmed_for_long, "left a good master");
        }
        *known = Known {
            at: Some(at),
            epoch,
            promoted: source == Source::Promotion,
            since: now,
            last_word: None,
        };
    }
}
