use std::time::Duration;

use super::*;
use crate::base::ServerIdx;
use crate::sentinel::agreement::Claim;
use crate::sentinel::other_sentinels::OtherSentinel;

const WITHIN: Duration = Duration::from_secs(3);

fn id(name: &str) -> RunId {
    RunId::new(name.as_bytes()).unwrap()
}

/// Every Sentinel is at the address that its name stands for.
fn at(name: &str) -> HostPort {
    let host = name.bytes().fold(0, u8::wrapping_add);
    HostPort::Ip(([10, 0, 0, host], 26379).into())
}

/// The Sentinels of one master.
struct Bed {
    roster: Roster,
    sentinels: Vec<Sentinel>,
    now: Time,
}

impl Bed {
    /// A file that lists these.
    fn new(listed: &[&str]) -> Bed {
        let now = Time::ZERO;
        let sentinel = |name: &&str| Sentinel::new(at(name), true, (1, false), now);
        Bed {
            roster: Roster::default(),
            sentinels: listed.iter().map(sentinel).collect(),
            now,
        }
    }

    fn hearing(&self) -> Hearing {
        Hearing {
            within: WITHIN,
            now: self.now,
        }
    }

    /// The one at `place` is `name`, and names others.
    fn says(&mut self, place: usize, name: &str, others: &[&str]) {
        let other = |name: &&str| OtherSentinel {
            id: id(name),
            address: at(name),
        };
        let sentinel = &mut self.sentinels[place];
        sentinel.identified(Some(id(name)));
        let others = others.iter().map(other).collect();
        sentinel.others.say(ServerIdx(0), Some(others));
        sentinel.has_answered(self.now);
        self.roster.update(&self.sentinels, self.hearing());
    }

    /// The one at `place` takes the master to be on a host of that number.
    fn claims(&mut self, place: usize, host: u8) {
        let address = HostPort::Ip(([10, 1, 0, host], 6379).into());
        self.sentinels[place].claims[0] = Some(Some(Claim { address, epoch: 1 }));
    }

    /// Whom most name and nobody hears; they are connected to.
    fn connect(&mut self) -> Vec<String> {
        let missing = self.roster.missing(&self.sentinels, self.hearing());
        let mut names = Vec::new();
        for (id, address) in missing {
            let mut there = self
                .sentinels
                .iter()
                .filter(|sentinel| sentinel.address == address);
            if there.next().is_none() {
                let mut sentinel = Sentinel::new(address, false, (1, false), self.now);
                sentinel.expected_id = Some(id.clone());
                self.sentinels.push(sentinel);
            }
            names.push(format!("{id:?}"));
        }
        names
    }

    /// How many are heard, of how many.
    fn count(&self) -> (usize, usize) {
        let electorate = self.roster.electorate(&self.sentinels, self.hearing());
        (electorate.voters.len(), electorate.of)
    }

    fn has(&self, name: &str) -> bool {
        self.roster.knows(Some(&id(name)))
    }
}

#[test]
fn those_whom_most_of_the_file_name_belong_to_the_group() {
    let mut bed = Bed::new(&["a", "b", "x"]);
    assert_eq!(bed.count(), (0, 3));
    bed.says(0, "a", &["b", "c"]);
    assert!(!bed.has("c"), "one of three names it");
    bed.says(2, "x", &["y", "z", "w"]);
    assert_eq!(bed.count(), (2, 3));
    bed.says(1, "b", &["a", "c"]);
    assert!(bed.has("a") && bed.has("b") && bed.has("c"));
    for friend in ["x", "y", "z", "w"] {
        assert!(!bed.has(friend), "{friend}");
    }
    assert_eq!(bed.connect().len(), 1);
    assert_eq!(bed.count(), (3, 4), "the file's own have votes");
    bed.says(3, "c", &["a", "b"]);
    assert_eq!(bed.count(), (4, 4));
}

#[test]
fn one_of_the_file_names_all_and_of_two_one_does_if_it_knows_the_other() {
    let mut bed = Bed::new(&["a"]);
    bed.says(0, "a", &["b", "c"]);
    assert_eq!(bed.count(), (1, 3));
    assert_eq!(bed.connect().len(), 2);

    let mut bed = Bed::new(&["a", "b"]);
    bed.says(0, "a", &["b", "c"]);
    assert_eq!(bed.count(), (1, 3));

    let mut bed = Bed::new(&["a", "x"]);
    bed.says(0, "a", &["b", "c"]);
    assert_eq!((bed.count(), bed.connect().len()), ((1, 2), 0));
    bed.says(1, "x", &["y", "z"]);
    assert_eq!((bed.count(), bed.connect().len()), ((2, 2), 0));
}

#[test]
fn a_newcomer_counts_once_it_has_answered_or_had_its_time() {
    let mut bed = Bed::new(&["a", "b", "c"]);
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        bed.says(place, name, &["a", "b", "c"]);
    }
    bed.sentinels[2].is_lost();
    let all = ["a", "b", "c", "d"];
    bed.says(0, "a", &all);
    assert!(!bed.has("d"));
    bed.says(1, "b", &all);
    assert!(bed.has("d"));
    assert_eq!(bed.count(), (2, 3), "it is being asked");
    assert_eq!(bed.connect().len(), 2);
    bed.now = bed.now + Duration::from_millis(2900);
    assert_eq!(bed.count(), (2, 3));
    bed.now = bed.now + Duration::from_millis(100);
    bed.says(0, "a", &all);
    bed.says(1, "b", &all);
    assert_eq!(bed.count(), (2, 4), "it is not to be reached");
    bed.says(3, "d", &all);
    assert_eq!(bed.count(), (3, 4));
}

#[test]
fn the_group_is_replaced_one_by_one_until_nobody_of_the_file_is_left() {
    let mut names = ["a", "b", "c"];
    let mut bed = Bed::new(&names);
    let mut places = [0, 1, 2];
    for next in ["d", "e", "f", "g"] {
        // The oldest dies, the next comes; then the others are told to forget the dead.
        let dead = names[0];
        bed.sentinels[places[0]].is_lost();
        names = [names[1], names[2], next];
        let mut all = names.to_vec();
        all.push(dead);
        for place in [1, 2] {
            bed.says(places[place], names[place - 1], &all);
        }
        bed.connect();
        let there = bed
            .sentinels
            .iter()
            .position(|sentinel| sentinel.address == at(next));
        places = [places[1], places[2], there.unwrap()];
        bed.says(places[2], next, &all);
        assert_eq!(bed.count(), (3, 4), "{next}");
        for _ in 0..8 {
            for (place, name) in places.into_iter().zip(names) {
                bed.says(place, name, &names);
            }
            bed.now = bed.now + Duration::from_secs(1);
        }
        assert!(!bed.has(dead));
        assert_eq!(bed.count(), (3, 3), "{next}");
    }
}

#[test]
fn a_member_that_most_forget_for_a_moment_stays() {
    let mut bed = Bed::new(&["a", "b", "c"]);
    let all = ["a", "b", "c"];
    for (place, name) in all.into_iter().enumerate() {
        bed.says(place, name, &all);
    }
    for (place, name) in all.into_iter().enumerate() {
        bed.says(place, name, &[]);
    }
    bed.now = bed.now + Duration::from_secs(2);
    for (place, name) in all.into_iter().enumerate() {
        bed.says(place, name, &all);
    }
    bed.now = bed.now + UNNAMED_FOR;
    for (place, name) in all.into_iter().enumerate() {
        bed.says(place, name, &all);
    }
    assert_eq!(bed.count(), (3, 3));
}

#[test]
fn at_an_address_of_the_file_whoever_is_there_has_the_seat() {
    let mut bed = Bed::new(&["a", "b", "c"]);
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        bed.says(place, name, &["a", "b", "c"]);
    }
    // All start anew without a file of their own: each has another id.
    bed.sentinels.iter_mut().for_each(Sentinel::is_lost);
    for (place, (before, name)) in [("a", "d"), ("b", "e")].into_iter().enumerate() {
        bed.roster.succeed(&id(before), &id(name));
        bed.says(place, name, &["d", "e"]);
    }
    assert_eq!(bed.count(), (2, 3));
}

#[test]
fn a_group_in_which_all_have_got_other_ids_is_founded_anew_by_the_file() {
    let mut bed = Bed::new(&["a"]);
    bed.says(0, "a", &["b", "c"]);
    bed.roster.succeed(&id("a"), &id("d"));
    for second in 0..=10 {
        assert!(!bed.has("e"), "after {second} s");
        bed.says(0, "d", &["e", "f"]);
        bed.now = bed.now + Duration::from_secs(1);
    }
    assert!(bed.has("d") && bed.has("e") && !bed.has("b"));
    assert_eq!(bed.count(), (1, 3));
    // A minority that is heard does not make the rest of the group another.
    let mut bed = Bed::new(&["a", "b", "c"]);
    for (place, name) in ["a", "b", "c"].into_iter().enumerate() {
        bed.says(place, name, &["a", "b", "c"]);
    }
    for _ in 0..30 {
        bed.now = bed.now + Duration::from_secs(1);
        bed.says(0, "a", &["x", "y"]);
    }
    assert!(bed.has("b") && !bed.has("x"));
    assert_eq!(bed.count(), (1, 3));
}

#[test]
fn one_id_is_one_vote() {
    let mut bed = Bed::new(&["a", "b", "c"]);
    bed.says(0, "a", &["b"]);
    bed.says(1, "a", &["b"]);
    assert_eq!(bed.count(), (1, 2));
    bed.says(2, "b", &["a"]);
    assert_eq!(bed.count(), (2, 2));
}

#[test]
fn a_sentinel_of_another_installation_is_one_that_has_other_friends_and_another_master() {
    let strangers = |bed: &Bed| bed.roster.strangers(&bed.sentinels, bed.hearing());
    let mut bed = Bed::new(&["a", "b", "x"]);
    bed.says(0, "a", &["b"]);
    bed.says(1, "b", &["a"]);
    bed.says(2, "x", &[]);
    for (place, host) in [(0, 1), (1, 1), (2, 1)] {
        bed.claims(place, host);
    }
    assert_eq!(strangers(&bed), [0; 0], "one that has just started");
    bed.claims(2, 9);
    assert_eq!(strangers(&bed), [2]);
    assert!(!bed.sentinels[2].looks_foreign(true, bed.now));
    bed.now = bed.now + FOREIGN_FOR;
    assert!(bed.sentinels[2].looks_foreign(true, bed.now));
    assert!(!bed.sentinels[2].looks_foreign(true, bed.now), "told once");
    bed.says(0, "a", &["b"]);
    bed.says(1, "b", &["a"]);
    bed.says(2, "x", &["y", "z"]);
    assert_eq!(bed.count(), (2, 2));
    assert_eq!(strangers(&bed), [2], "it stays one");
    // It was only slow to find the others.
    bed.says(2, "x", &["a"]);
    assert_eq!(strangers(&bed), [0; 0]);
    bed.sentinels[2].looks_foreign(false, bed.now);
    assert_eq!(bed.count(), (3, 3));
    // Of two entries none can tell who is the stranger.
    let mut bed = Bed::new(&["a", "x"]);
    bed.says(0, "a", &["b"]);
    bed.says(1, "x", &["y"]);
    (0..2).for_each(|place| bed.claims(place, u8::try_from(place).unwrap()));
    assert_eq!(strangers(&bed), [0; 0]);
}
