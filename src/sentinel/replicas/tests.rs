use super::*;
use crate::sentinel::replication::Replication;

const LAG_MS: u64 = 500;

fn ms(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

fn address(port: u16) -> HostPort {
    HostPort::Ip(([10, 0, 0, 1], port).into())
}

fn says(port: u16, is_master: bool, offset: u64) -> Measured {
    Measured::Answer {
        at: ([10, 0, 0, 1], port).into(),
        says: Replication {
            is_master,
            link_is_up: !is_master,
            history: b"aa".to_vec(),
            previous: None,
            replicas: Vec::new(),
            offset,
        },
    }
}

fn replica(offset: u64) -> Measured {
    says(2, false, offset)
}

/// A master at port 1 and a replica at port 2.
struct World {
    replicas: Replicas,
    probes: u64,
    now: u64,
}

impl World {
    fn new() -> World {
        let mut replicas = Replicas::new(Duration::from_millis(LAG_MS), ms(0));
        assert_eq!(replicas.named(&[address(2)]), []);
        World {
            replicas,
            probes: 0,
            now: 0,
        }
    }

    fn questions(&mut self) -> Vec<(ProbeId, HostPort)> {
        let probes = &mut self.probes;
        let number = || {
            *probes += 1;
            ProbeId(*probes)
        };
        self.replicas.questions(&address(1), number, ms(self.now))
    }

    /// A round in which the master and then the replica answer, and what follows.
    fn round(&mut self, master: &Measured, replica: &Measured) -> Option<Turn> {
        let due = self.replicas.due().expect("a round is to come");
        assert_eq!(due, ms(self.now));
        let (probe, to) = self.questions().pop().expect("the master is asked");
        assert_eq!(to, address(1));
        assert_eq!(self.questions(), [], "once");
        assert_eq!(self.replicas.measured(probe, master), None);
        let (probe, to) = self.questions().pop().expect("the replica is asked");
        assert_eq!(to, address(2));
        self.now += 250;
        self.replicas.measured(probe, replica)
    }

    fn read(&mut self) {
        for _ in 1..RISE {
            assert_eq!(self.round(&says(1, true, 100), &replica(100)), None);
        }
        let turn = self.round(&says(1, true, 100), &replica(100));
        let turn = turn.expect("it is read now");
        assert_eq!((turn.at, turn.unfit), (([10, 0, 0, 1], 2).into(), None));
    }
}

fn why(turn: Option<Turn>) -> Option<Unfit> {
    turn.and_then(|turn| turn.unfit)
}

#[test]
fn a_replica_is_read_after_some_good_answers_and_until_the_first_bad_one() {
    let unlike = |change: fn(&mut Replication)| {
        let mut measured = replica(100);
        if let Measured::Answer { says, .. } = &mut measured {
            change(says);
        }
        measured
    };
    for (answer, unfit) in [
        (Measured::Failed, Unfit::Silent),
        (unlike(|says| says.link_is_up = false), Unfit::Cut),
        (unlike(|says| says.is_master = true), Unfit::Master),
        (
            unlike(|says| says.history = b"bb".to_vec()),
            Unfit::OtherData,
        ),
        (unlike(|says| says.offset = 99), Unfit::Behind),
    ] {
        let mut world = World::new();
        world.read();
        let turn = world.round(&says(1, true, 100), &answer);
        assert_eq!(why(turn), Some(unfit));
        world.read();
    }
}

#[test]
fn a_replica_that_is_behind_by_less_than_the_limit_is_read_on() {
    let mut world = World::new();
    world.read();
    // At each round it has what the master had at the last.
    for offset in 2..20 {
        let turn = world.round(&says(1, true, offset * 100), &replica(offset * 100 - 100));
        assert_eq!(turn, None);
        assert_eq!(world.replicas.all[0].lag, Some(Duration::from_millis(250)));
    }
    // It has stopped.
    assert_eq!(world.round(&says(1, true, 2000), &replica(1950)), None);
    let turn = world.round(&says(1, true, 2100), &replica(1950));
    assert_eq!(turn, None);
    let turn = world.round(&says(1, true, 2200), &replica(1950));
    assert_eq!(why(turn), Some(Unfit::Behind));
}

#[test]
fn where_nothing_is_written_nobody_falls_behind() {
    let mut world = World::new();
    world.read();
    for _ in 0..100 {
        assert_eq!(world.round(&says(1, true, 100), &replica(100)), None);
    }
    assert_eq!(world.replicas.moments.len(), 1);
}

#[test]
fn a_master_that_is_silent_leaves_its_replicas_readable_for_as_long_as_they_may_lag() {
    let mut world = World::new();
    world.read();
    assert_eq!(world.round(&Measured::Failed, &replica(100)), None);
    assert_eq!(world.round(&Measured::Failed, &replica(100)), None);
    let turn = world.round(&Measured::Failed, &replica(100));
    assert_eq!(why(turn), Some(Unfit::Behind));
}

#[test]
fn another_master_makes_all_begin_anew() {
    let mut world = World::new();
    world.read();
    let asked = world.questions();
    let turns = world.replicas.master_moved(ms(world.now));
    assert_eq!(why(turns.into_iter().next()), Some(Unfit::MasterMoved));
    let late = says(1, true, 1_000_000);
    assert_eq!(world.replicas.measured(asked[0].0, &late), None);
    assert!(world.replicas.moments.is_empty(), "that was about another");
    world.read();
}

#[test]
fn a_replica_that_is_named_no_longer_is_not_asked_and_a_new_one_is() {
    let mut world = World::new();
    world.read();
    let turns = world.replicas.named(&[address(3)]);
    assert_eq!(why(turns.into_iter().next()), Some(Unfit::NotNamed));
    let (probe, _) = world.questions().pop().unwrap();
    world.replicas.measured(probe, &Measured::Failed);
    let asked: Vec<HostPort> = world.questions().into_iter().map(|q| q.1).collect();
    assert_eq!(asked, [address(3)]);
    let many: Vec<HostPort> = (3..100).map(address).collect();
    world.replicas.named(&many);
    assert_eq!(world.replicas.all.len(), REPLICAS_MAX);
}
