//! Who belongs to the Sentinels, who only says so, and whether their truth is heard.
//!
//! Sentinels hear of each other by messages that can be forged; they come back elsewhere, are
//! replaced for ever, and are told to forget the dead (`SENTINEL RESET`). Another installation has
//! Sentinels, too, and masters of the same names.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coremux::base::Random;

use super::sentinel::Sentinel;
use super::sentinel::View;
use super::sentinel::foreign_master;
use super::world::MS;
use super::world::SERVERS;
use super::world::World;

/// What the pool gives its Sentinels.
pub const PASSWORD: &str = "for-the-sentinels-alone";

/// For so long writes may be refused, or allowed, on account of what has just changed: a newcomer
/// has its time, what nobody names any more is forgotten, what is slow is asked again.
const FINDING_OUT: u64 = 12_000 * MS;

/// Sentinels in the file, and what was last done to the group.
#[derive(Debug)]
pub struct Membership {
    /// The first is there by a name.
    pub listed: Vec<SocketAddr>,
    pub has_password: bool,
    /// A stranger is in the file from the start, or has taken an address of it.
    stranger: Option<usize>,
    forged: bool,
    next: u8,
    /// When the members, or what can be heard of them, last changed.
    changed: u64,
    was_quorate: bool,
}

impl Membership {
    /// All know each other; in some runs the file has one of another installation.
    pub fn new(in_file: u64, ours: &mut Vec<Sentinel>, random: &mut Random) -> Membership {
        let has_password = random.below(2) == 0;
        for sentinel in ours.iter_mut() {
            sentinel.password = has_password.then(|| PASSWORD.to_owned());
        }
        introduce(ours);
        let in_file = usize::try_from(in_file).unwrap();
        let mut listed: Vec<SocketAddr> = ours.iter().take(in_file).map(|s| s.at).collect();
        // A stranger among two would be no minority.
        let mut stranger = None;
        if random.below(3) == 0 {
            let first = ours.len();
            let epoch = [0, 7, u64::MAX][usize::try_from(random.below(3)).unwrap()];
            let mut strangers: Vec<Sentinel> = (0..4)
                .map(|number| foreign(([10, 2, 0, number], 26379).into(), number, epoch))
                .collect();
            introduce(&mut strangers);
            ours.extend(strangers);
            match listed.len() {
                2 => listed.push(ours[first].at),
                len => listed[len - 1] = ours[first].at,
            }
            stranger = Some(first);
        }
        Membership {
            listed,
            has_password,
            stranger,
            forged: false,
            next: 100,
            changed: 0,
            was_quorate: false,
        }
    }

    pub fn listed_stranger(&self) -> Option<usize> {
        self.stranger
    }

    /// Whether the file has this address.
    pub fn lists(&self, at: SocketAddr) -> bool {
        self.listed.contains(&at)
    }

    fn number(&mut self) -> u8 {
        self.next += 1;
        self.next
    }
}

fn introduce(sentinels: &mut [Sentinel]) {
    let all: Vec<(String, SocketAddr)> = sentinels.iter().map(|s| (s.id.clone(), s.at)).collect();
    for sentinel in sentinels {
        for (id, at) in &all {
            sentinel.hear_of(id, *at);
        }
    }
}

/// One that has other masters of the same names.
fn foreign(at: SocketAddr, number: u8, epoch: u64) -> Sentinel {
    let view = |server| View {
        at: foreign_master(server),
        epoch,
        promoted: None,
    };
    Sentinel {
        at,
        id: format!("f{number:039}"),
        up: true,
        cut: false,
        asleep: false,
        lies: false,
        leads: Vec::new(),
        known: BTreeMap::new(),
        foreign: true,
        gone: false,
        password: None,
        views: (0..SERVERS).map(view).collect(),
        links: BTreeMap::new(),
    }
}

impl World {
    /// The Sentinels of the group that are not gone for ever.
    pub fn ours(&self) -> impl Iterator<Item = usize> {
        let all = self.sentinels.iter().enumerate();
        all.filter(|(_, s)| !s.foreign && !s.gone)
            .map(|(place, _)| place)
    }

    /// As many as the one that knows most takes the group to be.
    pub fn group_size(&self) -> usize {
        let deciding = self.sentinels.iter().filter(|s| s.decides());
        deciding
            .map(|s| s.known.len() + 1)
            .max()
            .unwrap_or(usize::MAX)
    }

    /// They hear of each other, about once a second.
    pub fn gossip(&mut self) {
        let deciding: Vec<usize> = (0..self.sentinels.len())
            .filter(|place| self.sentinels[*place].decides())
            .collect();
        for hearer in &deciding {
            for other in &deciding {
                if hearer != other && self.chance(10) {
                    let (id, at) = (self.sentinels[*other].id.clone(), self.sentinels[*other].at);
                    self.sentinels[*hearer].hear_of(&id, at);
                }
            }
        }
    }

    /// A minority of the group, and of those of the file that belong to it, may lie.
    pub fn lie(&mut self, place: usize) -> bool {
        let ours: Vec<usize> = self.ours().collect();
        let is_listed = |place: &&usize| self.membership.lists(self.sentinels[**place].at);
        let listed = ours.iter().filter(is_listed).count();
        let liars = ours
            .iter()
            .filter(|place| self.sentinels[**place].lies)
            .count();
        let minority = (ours.len().min(listed).max(1) - 1) / 2;
        let may =
            ours.contains(&place) && self.membership.stranger.is_none() && !self.membership.forged;
        may && liars < minority && !std::mem::replace(&mut self.sentinels[place].lies, true)
    }

    /// Somebody publishes a hello of his own on a Redis server. Who is there says that it is the
    /// one, and of another installation.
    pub fn forge_hello(&mut self) -> bool {
        // One at a time is untrue: two among three would be no minority.
        let other = self.membership.forged || self.membership.stranger.is_some();
        if other || self.sentinels.iter().any(|s| s.lies) {
            return false;
        }
        let number = self.membership.number();
        let at = ([10, 66, 0, number], 26379).into();
        let stranger = foreign(at, number, u64::MAX);
        for sentinel in self.sentinels.iter_mut().filter(|s| s.decides()) {
            sentinel.hear_of(&stranger.id, at);
        }
        self.sentinels.push(stranger);
        self.membership.forged = true;
        self.membership.changed = self.now;
        true
    }

    /// Who changes the group knows to change one at a time, and not while others are missed, and to
    /// wait until that is known: who hears a minority only cannot be told where the others are.
    fn may_change(&self, place: usize) -> bool {
        let heard = |s: &Sentinel| s.decides() && !s.cut && !s.lies;
        let others = self.ours().filter(|other| *other != place);
        let others = others.filter(|other| heard(&self.sentinels[*other]));
        let is_ours = self.ours().any(|ours| ours == place) && !self.sentinels[place].lies;
        let settled = self.membership.changed + FINDING_OUT <= self.now;
        let known = self.oracle.majority == Some(true) && settled;
        is_ours && known && others.count() * 2 > self.group_size()
    }

    fn has_changed(&mut self) {
        self.membership.changed = self.now;
    }

    /// A Sentinel stops, and starts at another address with all that it knew.
    pub fn return_elsewhere(&mut self, place: usize) -> bool {
        if !self.may_change(place) {
            return false;
        }
        self.kill_sentinel(place);
        let pause = self.below(3000);
        self.run_for_ms(pause);
        let number = self.membership.number();
        let sentinel = &mut self.sentinels[place];
        sentinel.at = ([10, 1, 1, number], 26379).into();
        sentinel.up = true;
        self.has_changed();
        true
    }

    /// A Sentinel dies for ever, and another is started in its place, which has heard where the
    /// masters are and nothing of the others. As those who do so know, one at a time.
    pub fn replace(&mut self, place: usize) -> bool {
        if !self.may_change(place) {
            return false;
        }
        self.kill_sentinel(place);
        self.sentinels[place].gone = true;
        let pause = self.below(3000);
        self.run_for_ms(pause);
        let number = self.membership.number();
        let mut next = super::world::sentinel(number, &self.masters);
        next.at = ([10, 1, 2, number], 26379).into();
        next.views = (0..SERVERS).map(|server| self.truth(server)).collect();
        next.views.iter_mut().for_each(|view| {
            (view.at, view.promoted) = (view.says(), None);
        });
        next.password = self.membership.has_password.then(|| PASSWORD.to_owned());
        self.sentinels.push(next);
        self.has_changed();
        true
    }

    /// `SENTINEL RESET` at all that are there, when they are a majority.
    pub fn forget_the_dead(&mut self) -> bool {
        let deciding = self.sentinels.iter().filter(|s| s.decides()).count();
        if deciding * 2 <= self.group_size() {
            return false;
        }
        for sentinel in self.sentinels.iter_mut().filter(|s| s.decides()) {
            sentinel.known.clear();
        }
        self.membership.forged = false;
        self.membership.changed = self.now;
        true
    }

    /// At an address of the file whose Sentinel is gone one of another installation is started.
    pub fn take_address(&mut self) -> bool {
        let free = self
            .sentinels
            .iter()
            .skip(1)
            .find(|s| s.gone && self.membership.lists(s.at));
        let Some(at) = free.map(|s| s.at) else {
            return false;
        };
        let other = self.membership.forged || self.membership.stranger.is_some();
        if other || self.sentinels.iter().any(|s| s.lies) {
            return false;
        }
        let number = self.membership.number();
        self.membership.stranger = Some(self.sentinels.len());
        self.sentinels.push(foreign(at, number, 99));
        self.membership.changed = self.now;
        true
    }

    /// Whether `SENTINEL CKQUORUM` says yes at a majority of those that the proxy can reach.
    fn is_quorate(&self) -> bool {
        let there = |s: &&Sentinel| s.decides() && !s.cut;
        let usable = |s: &Sentinel| {
            let known = |id: &String| {
                let other = self
                    .sentinels
                    .iter()
                    .filter(there)
                    .find(|other| other.id == *id);
                other.is_some_and(|other| s.known.get(id) == Some(&other.at))
            };
            s.known.keys().filter(|id| known(id)).count() + 1
        };
        let mut all = self.sentinels.iter().filter(there).peekable();
        all.peek().is_some() && all.all(|s| usable(s) * 2 > s.known.len() + 1)
    }

    /// The Sentinels, a line each, and what the watcher makes of them.
    pub fn picture(&self) -> String {
        let mut text = format!(
            "at {} ms, listed {:?}\n",
            self.now / MS,
            self.membership.listed
        );
        for sentinel in &self.sentinels {
            let signs = [
                (sentinel.foreign, "foreign"),
                (sentinel.gone, "gone"),
                (!sentinel.up, "down"),
                (sentinel.cut, "cut"),
                (sentinel.asleep, "asleep"),
                (sentinel.lies, "lies"),
            ];
            let signs: Vec<&str> = signs.iter().filter(|s| s.0).map(|s| s.1).collect();
            let known = sentinel.known.iter();
            let known = known.map(|(id, at)| format!("{}@{at}", id.replace('0', "")));
            let known: Vec<String> = known.collect();
            let views = sentinel.views.iter().map(|v| (v.says(), v.epoch));
            let views: Vec<(SocketAddr, u64)> = views.collect();
            let (id, at) = (sentinel.id.replace('0', ""), sentinel.at);
            text += &format!("{id}@{at} {signs:?} knows {known:?} says {views:?}\n");
        }
        let view = self.watcher.view(self.time());
        for sentinel in &view.sentinels {
            text += &format!("seen {} answers {}\n", sentinel.address, sentinel.answers);
        }
        text + &format!("{view:?}\n")
    }

    /// Whoever is there is heard, each once, and no stranger is among those that have a vote.
    pub fn expect_group_is_heard(&self) {
        let view = self.watcher.view(self.time());
        let heard = view.sentinels.iter().filter(|s| s.answers);
        let heard: Vec<usize> = heard.filter_map(|s| self.place_of(&s.address)).collect();
        let mut ours: Vec<usize> = heard
            .iter()
            .copied()
            .filter(|p| !self.sentinels[*p].foreign)
            .collect();
        ours.sort_unstable();
        assert_eq!(ours, self.ours().collect::<Vec<_>>(), "{}", self.picture());
        let strangers = heard.len() - ours.len();
        assert_eq!(strangers, 0, "{}", self.picture());
    }

    /// Writes are refused only while the Sentinels are no majority, and for the time that it takes
    /// to find out.
    pub fn watch_the_fence(&mut self) {
        let is_quorate = self.is_quorate();
        if std::mem::replace(&mut self.membership.was_quorate, is_quorate) != is_quorate {
            self.membership.changed = self.now;
        }
        let settled = self.membership.changed + FINDING_OUT <= self.now;
        if self.oracle.majority == Some(false) && settled && is_quorate {
            panic!("a majority is there, and not heard: {}", self.picture());
        }
    }
}
