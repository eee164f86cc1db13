use std::sync::Arc;

use super::*;
use crate::stats::PoolShape;

struct World {
    health: Health,
    workers: Vec<Arc<WorkerStats>>,
    now: Micros,
}

impl World {
    fn new() -> World {
        let shape = Shape {
            pools: vec![PoolShape {
                name: Arc::from("p"),
                servers: ["a", "b", "c", "d"].map(Arc::from).to_vec(),
            }],
        };
        let workers: Vec<_> = (0..2).map(|_| Arc::new(WorkerStats::new(&shape))).collect();
        World {
            health: Health::new(&shape, &[2], &workers, 0),
            workers,
            now: 0,
        }
    }

    fn started() -> World {
        let mut world = World::new();
        world.health.started(0);
        world
    }

    /// A sample in a world where these workers turn; who was asked.
    fn sample(&mut self, turning: &[usize]) -> Vec<u16> {
        for worker in turning {
            self.workers[*worker].counters.passes.add(1);
        }
        self.now += u64::try_from(PERIOD.as_micros()).unwrap();
        let (asked, _) = self.health.sample(self.now);
        asked.into_iter().map(|worker| worker.0).collect()
    }
}

#[test]
fn it_is_healthy_as_soon_as_all_workers_serve_and_not_before() {
    let mut world = World::new();
    for _ in 0..10 {
        assert_eq!(
            world.sample(&[]),
            [0; 0],
            "nobody is asked before it serves"
        );
        assert!(!world.health.is_healthy());
    }
    world.health.started(world.now);
    assert!(world.health.is_healthy());
    assert_eq!(world.health.weight(), 100);
}

#[test]
fn a_drain_is_seen_at_once_and_its_end_after_some_good_samples() {
    let mut world = World::started();
    world.health.add_reason(UnhealthyReason::Draining, 7);
    assert!(!world.health.is_healthy());
    assert_eq!(world.health.reasons().collect::<Vec<_>>(), ["draining"]);
    assert_eq!((world.health.since, world.health.weight()), (7, 0));
    world.health.remove_reason(UnhealthyReason::Draining);
    for _ in 1..RISE {
        world.sample(&[0, 1]);
        assert!(!world.health.is_healthy());
    }
    world.sample(&[0, 1]);
    assert!(world.health.is_healthy());
}

#[test]
fn a_stuck_worker_is_asked_and_then_makes_it_unhealthy_until_it_turns() {
    let mut world = World::started();
    assert_eq!(world.sample(&[0, 1]), [0; 0]);
    assert_eq!(world.sample(&[0]), [1]);
    assert!(world.health.is_healthy());
    let mut samples = 0;
    while world.health.is_healthy() {
        assert_eq!(world.sample(&[0]), [0; 0]);
        samples += 1;
    }
    assert_eq!(samples, 3);
    assert_eq!(world.health.reasons().collect::<Vec<_>>(), ["worker stuck"]);
    (0..RISE).for_each(|_| _ = world.sample(&[0, 1]));
    assert!(world.health.is_healthy());
}

#[test]
fn a_fence_of_any_pool_keeps_it_unhealthy() {
    let mut world = World::new();
    let (a, b) = (PoolIdx(0), PoolIdx(1));
    world.health.set_fenced(a, true, 0);
    world.health.set_fenced(b, true, 0);
    world.health.started(0);
    assert!(!world.health.is_healthy(), "nothing is confirmed yet");
    world.health.set_fenced(b, false, 0);
    assert_eq!(world.health.reasons().collect::<Vec<_>>(), ["fenced"]);
    world.health.set_fenced(a, false, 0);
    (0..RISE).for_each(|_| _ = world.sample(&[0, 1]));
    assert!(world.health.is_healthy());
}

#[test]
fn a_process_that_ends_asks_nobody_and_stays_unhealthy() {
    let mut world = World::started();
    world.sample(&[0, 1]);
    world.health.add_reason(UnhealthyReason::Ending, world.now);
    for _ in 0..10 {
        assert_eq!(world.sample(&[]), [0; 0]);
        assert!(!world.health.is_healthy());
    }
    assert_eq!(world.health.reasons().collect::<Vec<_>>(), ["ending"]);
}

#[test]
fn failing_servers_take_weight_and_readiness_and_not_health() {
    let mut world = World::started();
    let fail = |world: &World, server: usize| {
        let standing = &world.workers[0].pools[0].standings[server];
        standing.failing_since.set(1);
        standing.failed_at.set(1);
    };
    fail(&world, 0);
    (0..5).for_each(|_| _ = world.sample(&[0, 1]));
    assert!(world.health.pools()[0].is_ready());
    assert_eq!(world.health.weight(), 75);
    fail(&world, 1);
    fail(&world, 2);
    (0..5).for_each(|_| _ = world.sample(&[0, 1]));
    assert!(!world.health.pools()[0].is_ready());
    assert_eq!(world.health.weight(), 0);
    assert!(world.health.is_healthy());
}
