use super::*;

const OLD: u16 = 1;
const NEW: u16 = 2;

fn socket(port: u16) -> SocketAddr {
    ([10, 0, 0, 1], port).into()
}

fn at(port: u16) -> HostPort {
    HostPort::Ip(socket(port))
}

fn ms(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

fn rank(epoch: u64, promoted: bool) -> Rank {
    Rank { epoch, promoted }
}

/// A master, and the servers that it asks.
struct Bed {
    master: Master,
    probes: u64,
}

impl Bed {
    fn new() -> Bed {
        let master = Master::new();
        Bed { master, probes: 0 }
    }

    /// One that uses `OLD` by epoch 3.
    fn settled() -> Bed {
        let mut bed = Bed::new();
        bed.weigh(&[(OLD, 3, false)], ms(0));
        assert_eq!(bed.run(&[OLD], ms(0)), [(OLD, Source::Epoch)]);
        bed.weigh(&[], ms(0));
        bed
    }

    fn weigh(&mut self, contenders: &[(u16, u64, bool)], now: Time) {
        let contenders = contenders.iter().map(|(port, epoch, only)| Contender {
            address: at(*port),
            rank: rank(*epoch, false),
            only_by_majority: *only,
        });
        let contenders = contenders.collect();
        let verdict = Verdict {
            contenders,
            confirmed: None,
            by_majority: true,
        };
        self.master.weighed(verdict, now);
    }

    fn questions(&mut self, now: Time) -> Vec<Question> {
        let probes = &mut self.probes;
        let number = || {
            *probes += 1;
            ProbeId(*probes)
        };
        self.master.questions(number, now)
    }

    /// Asks what is due, where `masters` are masters and the rest are not; the moves.
    fn run(&mut self, masters: &[u16], now: Time) -> Vec<(u16, Source)> {
        let mut moves = Vec::new();
        for question in self.questions(now) {
            let HostPort::Ip(address) = question.address else {
                panic!("an ip")
            };
            let answer = match masters.contains(&address.port()) {
                true => Probed::Master { at: address },
                false => Probed::NotMaster,
            };
            let outcome = self.master.probed(question.probe, &answer, |_| true, now);
            if let Outcome::Moved(source) = outcome {
                moves.push((self.used(), source));
            }
        }
        moves
    }

    fn used(&self) -> u16 {
        self.master.in_use.as_ref().unwrap().at.port()
    }

    fn rank(&self) -> Rank {
        self.master.in_use.as_ref().unwrap().rank
    }
}

#[test]
fn an_address_is_used_only_when_it_says_that_it_is_a_master() {
    let mut bed = Bed::settled();
    bed.weigh(&[(NEW, 4, false)], ms(100));
    assert_eq!(bed.run(&[OLD], ms(100)), []);
    assert_eq!(bed.used(), OLD);
    assert_eq!(bed.questions(ms(101)), [], "not at once again");
    let due = bed.master.due(ms(101)).unwrap();
    assert!(due <= ms(200), "{due:?}");
    assert_eq!(bed.run(&[NEW], due), [(NEW, Source::Epoch)]);
    assert_eq!(bed.rank(), rank(4, false));
}

#[test]
fn a_replica_that_is_being_promoted_is_used_before_the_epoch_is_known() {
    let mut bed = Bed::settled();
    bed.master.promotion(&at(OLD), at(NEW), ms(100));
    assert_eq!(bed.run(&[], ms(100)), []);
    // Meanwhile every Sentinel still says what it said.
    bed.weigh(&[], ms(110));
    assert_eq!(bed.run(&[NEW], ms(150)), [(NEW, Source::Promotion)]);
    assert_eq!(bed.rank(), rank(3, true));
    bed.master.weighed(
        Verdict {
            contenders: Vec::new(),
            confirmed: Some(4),
            by_majority: true,
        },
        ms(200),
    );
    assert_eq!(bed.rank(), rank(4, false));
}

#[test]
fn a_promotion_is_not_followed_while_only_a_few_sentinels_are_heard() {
    let mut bed = Bed::settled();
    bed.master.weighed(Verdict::default(), ms(50));
    bed.master.promotion(&at(OLD), at(NEW), ms(100));
    assert_eq!(bed.run(&[NEW], ms(100)), []);
    assert_eq!(bed.used(), OLD);
    // They are back before it has come to nothing.
    bed.weigh(&[], ms(110));
    assert_eq!(bed.run(&[NEW], ms(150)), [(NEW, Source::Promotion)]);
}

#[test]
fn what_another_watcher_has_followed_is_not_left_for_an_older_epoch() {
    let mut bed = Bed::settled();
    bed.master.promotion(&at(OLD), at(NEW), ms(100));
    bed.run(&[NEW], ms(100));
    let in_use = bed.master.in_use.clone().unwrap();
    bed.master = Master::going_on(in_use, std::iter::once(at(7)), ms(0));
    assert_eq!(
        bed.master.promotions().collect::<Vec<_>>(),
        [] as [&HostPort; 0]
    );
    // What most Sentinels still say for a second.
    bed.weigh(&[(OLD, 3, true)], ms(10));
    assert_eq!(bed.run(&[OLD, NEW], ms(10)), []);
    assert_eq!((bed.used(), bed.rank()), (NEW, rank(3, true)));
}

#[test]
fn a_promotion_that_another_watcher_has_begun_to_follow_is_followed_on() {
    let bed = Bed::settled();
    let in_use = bed.master.in_use.clone().unwrap();
    let master = Master::going_on(in_use, std::iter::once(at(NEW)), ms(0));
    let mut bed = Bed { master, probes: 0 };
    bed.weigh(&[], ms(10));
    assert_eq!(bed.run(&[OLD, NEW], ms(10)), [(NEW, Source::Promotion)]);
}

#[test]
fn a_promotion_that_departs_from_another_master_is_not_followed() {
    let mut bed = Bed::settled();
    bed.master.promotion(&at(7), at(NEW), ms(100));
    assert_eq!(bed.run(&[NEW], ms(100)), []);
    let mut nothing_known = Bed::new();
    nothing_known.master.promotion(&at(OLD), at(NEW), ms(0));
    assert_eq!(nothing_known.run(&[NEW], ms(0)), []);
}

#[test]
fn a_promotion_that_comes_to_nothing_is_forgotten() {
    let mut bed = Bed::settled();
    bed.master.promotion(&at(OLD), at(NEW), ms(0));
    let mut now = ms(0);
    let mut questions = 0;
    while let Some(due) = bed.master.due(now) {
        assert!(due >= now && due <= ms(11_000), "{due:?}");
        now = due;
        questions += 1;
        assert_eq!(bed.run(&[OLD], now), []);
    }
    assert!((50..150).contains(&questions), "{questions}");
}

#[test]
fn a_promotion_that_was_given_up_is_left_for_what_most_say() {
    let mut bed = Bed::settled();
    bed.master.promotion(&at(OLD), at(NEW), ms(0));
    assert_eq!(bed.run(&[NEW], ms(0)), [(NEW, Source::Promotion)]);
    bed.weigh(&[(OLD, 3, true)], ms(100));
    // As long as it says that it is a master, it is.
    assert_eq!(bed.run(&[OLD, NEW], ms(100)), []);
    assert_eq!(bed.run(&[OLD, NEW], ms(700)), []);
    // Then it does not.
    let mut moves = Vec::new();
    let mut now = ms(700);
    while moves.is_empty() {
        now = bed.master.due(now).unwrap();
        assert!(now < ms(4000), "too late");
        moves = bed.run(&[OLD], now);
    }
    assert_eq!(moves, [(OLD, Source::Majority)]);
    assert!(now >= ms(1700), "{now:?}");
}

#[test]
fn a_newer_configuration_has_a_head_start_and_no_more() {
    let mut bed = Bed::new();
    bed.weigh(&[(NEW, 999, false), (OLD, 3, false)], ms(0));
    let asked = |questions: Vec<Question>| questions.into_iter().map(|q| q.address).collect();
    let first: Vec<HostPort> = asked(bed.questions(ms(0)));
    assert_eq!(first, [at(NEW)], "the newest alone");
    assert_eq!(bed.run(&[OLD], ms(1000)), [(OLD, Source::Epoch)]);
}

#[test]
fn an_address_that_another_server_has_is_not_used() {
    let mut bed = Bed::settled();
    bed.weigh(&[(NEW, 4, false)], ms(0));
    let question = bed.questions(ms(0)).remove(0);
    let answer = Probed::Master { at: socket(NEW) };
    let outcome = bed.master.probed(question.probe, &answer, |_| false, ms(0));
    assert_eq!((outcome, bed.used()), (Outcome::Nothing, OLD));
}

#[test]
fn a_name_that_leads_elsewhere_is_followed() {
    let mut bed = Bed::settled();
    bed.master.check_soon(ms(100));
    let question = bed.questions(ms(100)).remove(0);
    assert_eq!(question.address, at(OLD));
    let answer = Probed::Master { at: socket(NEW) };
    let outcome = bed
        .master
        .probed(question.probe, &answer, |_| true, ms(100));
    assert_eq!(outcome, Outcome::Moved(Source::Epoch));
    assert_eq!(bed.used(), NEW);
}

#[test]
fn what_no_majority_has_ever_named_is_left_for_what_one_names_in_the_end() {
    // One Sentinel was heard alone, and it was wrong; then the others are back.
    let mut bed = Bed::new();
    bed.weigh(&[(NEW, 999, false)], ms(0));
    assert_eq!(bed.run(&[OLD, NEW], ms(0)), [(NEW, Source::Epoch)]);
    bed.weigh(&[(OLD, 3, true)], ms(1000));
    let (mut now, mut moves) = (ms(1000), Vec::new());
    while moves.is_empty() {
        now = bed.master.due(now).unwrap();
        assert!(now <= ms(13_000), "never");
        moves = bed.run(&[OLD, NEW], now);
    }
    assert_eq!(moves, [(OLD, Source::Majority)]);
    assert!(now >= ms(11_000), "{now:?}");
}

#[test]
fn what_a_majority_has_named_is_not_left_as_long_as_it_says_that_it_is_a_master() {
    let mut bed = Bed::settled();
    let confirmed = Some(3);
    let contenders = Vec::new();
    let verdict = Verdict {
        contenders,
        confirmed,
        by_majority: true,
    };
    bed.master.weighed(verdict, ms(0));
    bed.weigh(&[(NEW, 2, true)], ms(0));
    let mut now = ms(0);
    while now < ms(60_000) {
        assert_eq!(bed.run(&[OLD, NEW], now), []);
        now = bed.master.due(now).unwrap();
    }
}
