//! Which Sentinels belong to the group, and which of them have a vote.
//!
//! Owns: the group's members, by their run ids, and when each of them counts. Never: a claim about a
//! master, except to recognise a Sentinel of another installation.
//!
//! The file comes first: each of its entries has a seat. A Sentinel that most of the seats name
//! becomes a member, and from then on the members have the seats (and so does a Sentinel at an
//! address of the file, whatever its id). So the group can be replaced one by one until none of the
//! file's entries is left, and no minority can bring in other Sentinels.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::Time;
use crate::config::HostPort;
use crate::sentinel::instance::Sentinel;
use crate::sentinel::other_sentinels::RunId;

/// A newcomer that cannot be reached for so long counts nevertheless.
const NEWCOMER_WITHIN: Duration = Duration::from_secs(3);

/// Sentinels that were told to forget the others (`SENTINEL RESET`) know them again after 2 s.
const UNNAMED_FOR: Duration = Duration::from_secs(5);

/// A Sentinel that has just started knows nobody and may have an old address, for about 2 s.
const FOREIGN_FOR: Duration = Duration::from_secs(5);

/// So long no majority of the members is heard, but one of the file's entries is, until these say
/// anew who belongs to the group: all may have got other ids, as in containers without a disk.
const FOUNDED_ANEW_AFTER: Duration = Duration::from_secs(10);

/// Nobody runs more than seven; more would be made up.
const MEMBERS_MAX: usize = 32;

/// One that belongs to the group.
#[derive(Debug)]
struct Member {
    id: RunId,
    /// Where it was last said to be, by as many as it takes to belong to the group.
    address: Option<HostPort>,
    /// From when on it counts though it has not answered; `None` once it has, and of the first.
    counts_from: Option<Time>,
    /// Since when most do not name it.
    unnamed_since: Option<Time>,
}

/// The group.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Empty until most of the file's have said whom they know.
    members: Vec<Member>,
    /// Since when no majority of them is heard.
    lost_since: Option<Time>,
}

/// How old a word may be, and the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    pub(super) within: Duration,
    pub(super) now: Time,
}

impl Hearing {
    fn hears(self, sentinel: &Sentinel) -> bool {
        sentinel.is_heard(self.within, self.now)
    }
}

/// The right to be asked who belongs to the group.
#[derive(Clone, Copy)]
struct Seat<'a> {
    id: Option<&'a RunId>,
    address: Option<&'a HostPort>,
    /// Who sits there, if it is heard and has said whom it knows.
    voice: Option<&'a Sentinel>,
}

/// Whose words count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Electorate {
    /// Those that are heard, each once.
    pub(super) voters: Vec<usize>,
    /// How many there are.
    pub(super) of: usize,
    /// How many of the voters are in the file, and how many the file has.
    pub(super) listed: (usize, usize),
}

fn names(voice: &Sentinel, id: &RunId) -> bool {
    voice.id() == Some(id) || voice.others.name(id)
}

/// Where most of those that name a Sentinel take it to be, and how many they are.
fn place_of<'a>(voices: &[&'a Sentinel], id: &RunId) -> Option<(&'a HostPort, usize)> {
    let said = voices.iter().filter_map(|v| v.others.address_of(id));
    let mut votes: BTreeMap<String, (&HostPort, usize)> = BTreeMap::new();
    for address in said {
        votes.entry(address.to_string()).or_insert((address, 0)).1 += 1;
    }
    votes.into_values().max_by_key(|(_, votes)| *votes)
}

impl Roster {
    fn has(&self, id: &RunId) -> bool {
        self.members.iter().any(|member| member.id == *id)
    }

    fn seats<'a>(&'a self, sentinels: &'a [Sentinel], hearing: Hearing) -> Vec<Seat<'a>> {
        let voice_of = |sentinel: &'a Sentinel| {
            let speaks = hearing.hears(sentinel) && sentinel.others.are_known();
            speaks.then_some(sentinel)
        };
        let loyal = || sentinels.iter().filter(|sentinel| !sentinel.is_foreign());
        let mut seats: Vec<Seat<'_>> = Vec::new();
        for member in &self.members {
            let mut holders = loyal().filter(|sentinel| sentinel.id() == Some(&member.id));
            seats.push(Seat {
                id: Some(&member.id),
                address: None,
                voice: holders.find_map(voice_of),
            });
        }
        let is_founded = !self.members.is_empty();
        for sentinel in loyal().filter(|sentinel| sentinel.is_configured) {
            let taken = sentinel.id().and_then(|id| {
                let mut taken = seats.iter_mut();
                taken.find(|seat| seat.id == Some(id))
            });
            match taken {
                Some(seat) => seat.voice = seat.voice.or(voice_of(sentinel)),
                None if is_founded && !hearing.hears(sentinel) => {}
                None => seats.push(Seat {
                    id: sentinel.id(),
                    address: Some(&sentinel.address),
                    voice: voice_of(sentinel),
                }),
            }
        }
        seats
    }

    /// The members, and where they are.
    pub(super) fn members(&self) -> impl Iterator<Item = (&RunId, &HostPort)> {
        let members = self.members.iter();
        members.filter_map(|member| Some((&member.id, member.address.as_ref()?)))
    }

    /// Begins with those that another watcher has known.
    pub(super) fn go_on(members: impl Iterator<Item = (RunId, HostPort)>) -> Roster {
        let member = |(id, address)| Member {
            id,
            address: Some(address),
            counts_from: None,
            unnamed_since: None,
        };
        Roster {
            members: members.take(MEMBERS_MAX).map(member).collect(),
            lost_since: None,
        }
    }

    /// Most of the seats' words as to who belongs to the group may have changed.
    pub(super) fn update(&mut self, sentinels: &[Sentinel], hearing: Hearing) {
        let now = hearing.now;
        self.begin_anew_if_lost(sentinels, hearing);
        let (mut joining, mut words) = (Vec::new(), Vec::new());
        {
            let seats = self.seats(sentinels, hearing);
            let voices: Vec<&Sentinel> = seats.iter().filter_map(|seat| seat.voice).collect();
            let mut votes: BTreeMap<&RunId, usize> = BTreeMap::new();
            for voice in &voices {
                let others = voice.others.iter().map(|other| &other.id);
                let named: BTreeSet<&RunId> = voice.id().into_iter().chain(others).collect();
                for id in named {
                    *votes.entry(id).or_default() += 1;
                }
            }
            for (id, yes) in votes.iter().filter(|(id, _)| !self.has(id)) {
                let yes = *yes;
                let is_first = self.members.is_empty();
                let half = is_first && is_half_that_knows_the_rest(&seats, yes);
                if half || yes * 2 > seats.len() {
                    let address = place_of(&voices, id).map(|(address, _)| address);
                    joining.push(((*id).clone(), address.cloned()));
                }
            }
            for member in &self.members {
                let no = voices.len() - votes.get(&member.id).copied().unwrap_or_default();
                // By most of the others: nobody has a say in this about itself.
                let is_unnamed = no * 2 > seats.len() - 1;
                let moved = place_of(&voices, &member.id)
                    .filter(|(_, votes)| *votes * 2 > seats.len())
                    .map(|(address, _)| address.clone());
                words.push((is_unnamed, moved));
            }
        }
        for (member, (unnamed, address)) in self.members.iter_mut().zip(words) {
            let since = member.unnamed_since.unwrap_or(now);
            member.unnamed_since = unnamed.then_some(since);
            member.address = address.or(member.address.take());
        }
        let of_member = |member: &Member| {
            let mut its = sentinels
                .iter()
                .filter(|sentinel| sentinel.id() == Some(&member.id));
            its.find(|sentinel| hearing.hears(sentinel))
        };
        self.members.retain_mut(|member| {
            let sentinel = of_member(member);
            if sentinel.is_some() {
                member.counts_from = None;
            }
            let unnamed = member.unnamed_since.is_some_and(|s| s + UNNAMED_FOR <= now);
            !unnamed && !sentinel.is_some_and(Sentinel::is_foreign)
        });
        let newcomer = (!self.members.is_empty()).then_some(now + NEWCOMER_WITHIN);
        let room = MEMBERS_MAX.saturating_sub(self.members.len());
        let joining = joining.into_iter().take(room);
        self.members.extend(joining.map(|(id, address)| Member {
            id,
            address,
            counts_from: newcomer,
            unnamed_since: None,
        }));
    }

    fn begin_anew_if_lost(&mut self, sentinels: &[Sentinel], hearing: Hearing) {
        let heard = |id: &RunId| {
            let mut its = sentinels
                .iter()
                .filter(|sentinel| sentinel.id() == Some(id));
            its.any(|sentinel| hearing.hears(sentinel))
        };
        let heard = self.members.iter().filter(|m| heard(&m.id)).count();
        if heard * 2 > self.members.len() || self.members.is_empty() {
            self.lost_since = None;
            return;
        }
        let since = *self.lost_since.get_or_insert(hearing.now);
        let listed = || {
            sentinels
                .iter()
                .filter(|p| p.is_configured && !p.is_foreign())
        };
        let speak =
            listed().filter(|sentinel| hearing.hears(sentinel) && sentinel.others.are_known());
        let most_speak = speak.count() * 2 > listed().count();
        if most_speak && since + FOUNDED_ANEW_AFTER <= hearing.now {
            (self.members, self.lost_since) = (Vec::new(), None);
        }
    }

    /// At an address of the file another Sentinel answers now than before: it has the seat.
    pub(super) fn succeed(&mut self, before: &RunId, id: &RunId) {
        let known = self.has(id);
        let member = self.members.iter_mut().find(|m| m.id == *before);
        if let Some(member) = member.filter(|_| !known) {
            member.id = id.clone();
        }
    }

    /// Whether its word counts, while it is heard.
    pub(super) fn has_vote(&self, sentinel: &Sentinel) -> bool {
        !sentinel.is_foreign() && (sentinel.is_configured || self.knows(sentinel.id()))
    }

    /// Whose words count now.
    pub(super) fn electorate(&self, sentinels: &[Sentinel], hearing: Hearing) -> Electorate {
        let is_member = |sentinel: &Sentinel| sentinel.id().is_some_and(|id| self.has(id));
        let mut voters: Vec<usize> = Vec::with_capacity(sentinels.len());
        for (place, sentinel) in sentinels.iter().enumerate() {
            let is_twin =
                |other: &usize| sentinel.id().is_some() && sentinels[*other].id() == sentinel.id();
            if self.has_vote(sentinel) && hearing.hears(sentinel) && !voters.iter().any(is_twin) {
                voters.push(place);
            }
        }
        let listed = sentinels
            .iter()
            .filter(|p| p.is_configured && !p.is_foreign());
        let mut ids: Vec<&RunId> = listed.clone().filter_map(Sentinel::id).collect();
        ids.sort_unstable();
        ids.dedup();
        let listed = ids.len() + listed.filter(|sentinel| sentinel.id().is_none()).count();
        let of = match self.members.is_empty() {
            true => listed,
            false => {
                let counts =
                    |member: &&Member| member.counts_from.is_none_or(|from| from <= hearing.now);
                let others = voters
                    .iter()
                    .filter(|place| !is_member(&sentinels[**place]));
                self.members.iter().filter(counts).count() + others.count()
            }
        };
        let heard = voters
            .iter()
            .filter(|place| sentinels[**place].is_configured);
        Electorate {
            listed: (heard.count(), listed),
            of: of.max(voters.len()),
            voters,
        }
    }

    /// Members that are not heard, and where they are said to be.
    pub(super) fn missing(
        &self,
        sentinels: &[Sentinel],
        hearing: Hearing,
    ) -> Vec<(RunId, HostPort)> {
        let is_missing = |member: &&Member| {
            let mut its = sentinels.iter().filter(|p| p.id() == Some(&member.id));
            !its.any(|sentinel| hearing.hears(sentinel))
        };
        let missing = self.members.iter().filter(is_missing);
        missing
            .filter_map(|member| Some((member.id.clone(), member.address.clone()?)))
            .collect()
    }

    /// Whether a member of this id is known.
    pub(super) fn knows(&self, id: Option<&RunId>) -> bool {
        id.is_some_and(|id| self.has(id))
    }

    /// Which of the Sentinels most of the seats neither name nor are named by, though they say that
    /// the masters are elsewhere: those of another installation.
    pub(super) fn strangers(&self, sentinels: &[Sentinel], hearing: Hearing) -> Vec<usize> {
        let seats = self.seats(sentinels, hearing);
        let is_stranger = |place: &usize| {
            let sentinel = &sentinels[*place];
            if !hearing.hears(sentinel) || !sentinel.others.are_known() {
                return false;
            }
            let is_own = |seat: &&Seat<'_>| {
                let same = sentinel.id().is_some() && seat.id == sentinel.id();
                same || seat.address == Some(&sentinel.address)
            };
            let others: Vec<&Seat<'_>> = seats.iter().filter(|seat| !is_own(seat)).collect();
            let names_one = others.iter().any(|seat| {
                let by_id = seat.id.is_some_and(|id| sentinel.others.name(id));
                by_id || seat.address.is_some_and(|at| sentinel.others.are_at(at))
            });
            let voices: Vec<&Sentinel> = others.iter().filter_map(|seat| seat.voice).collect();
            let named = |voice: &Sentinel| {
                let by_id = sentinel.id().is_some_and(|id| voice.others.name(id));
                by_id || voice.others.are_at(&sentinel.address)
            };
            let against = voices.iter().filter(|voice| !named(voice)).count();
            // Of two none can tell which of them is the stranger.
            let enough = against > 1 && against * 2 > others.len();
            !names_one && enough && contradicts(sentinel, &voices)
        };
        (0..sentinels.len()).filter(is_stranger).collect()
    }
}

/// Whether half of the seats say so, nobody says otherwise, and they know those that are silent, who
/// would say the same. Of two in the file one is not a minority.
fn is_half_that_knows_the_rest(seats: &[Seat<'_>], yes: usize) -> bool {
    let voices: Vec<&Sentinel> = seats.iter().filter_map(|seat| seat.voice).collect();
    let knows = |voice: &&Sentinel, seat: &Seat<'_>| {
        let by_id = seat.id.is_some_and(|id| names(voice, id));
        by_id || seat.address.is_some_and(|at| voice.others.are_at(at))
    };
    let mut silent = seats.iter().filter(|seat| seat.voice.is_none());
    let all_are_known = silent.all(|seat| voices.iter().all(|voice| knows(voice, seat)));
    yes > 0 && yes * 2 == seats.len() && yes == voices.len() && all_are_known
}

/// Whether a Sentinel says of no master what any of the others does.
fn contradicts(sentinel: &Sentinel, voices: &[&Sentinel]) -> bool {
    let mut told = false;
    for (server, said) in sentinel.claims.iter().enumerate() {
        let Some(Some(claim)) = said else { continue };
        let others = voices
            .iter()
            .filter_map(|voice| voice.claims[server].as_ref()?.as_ref());
        let mut any = false;
        for other in others {
            if other.address == claim.address {
                return false;
            }
            any = true;
        }
        told |= any;
    }
    told
}

/// When a Sentinel that has looked foreign since `since` is taken for one.
pub(super) fn foreign_from(since: Time) -> Time {
    since + FOREIGN_FOR
}

#[cfg(test)]
mod tests;
