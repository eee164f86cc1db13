//! The watcher among simulated Sentinels and servers, seed by seed.
//!
//! Servers die, are cut off and come back; Sentinels crash, sleep, lie, are cut off from the proxy
//! or from each other; failovers are planned, forced, given up half-way, and follow each other at
//! once. Whatever happens:
//!
//! - a master is announced only when its `ROLE` has just said that it is one;
//! - no server ever takes another's place;
//! - the way goes to newer epochs only, except where a majority leads back from what is no master
//!   or was never confirmed;
//! - writes wait for a failover from before the replica is the master, but never for ever, and for
//!   no more than a tenth of the time on the word of a Sentinel that lies;
//! - requests are held for no less than the group's failover takes, and never for ever, and in the
//!   end for just that;
//! - writes are allowed again after a loss of the majority only when one agrees on every master;
//! - a replica is read only after it has just said that it has nearly all that its master has;
//! - no server outside the group is ever announced, and no stranger is given the password, whatever
//!   a minority of the Sentinels says;
//! - a majority of the Sentinels that is there, by its own `CKQUORUM`, is heard, but for the time
//!   that finding out takes;
//! - when the faults stop, every server's master is found, and all of its replicas are read.
//!
//! `SIM_SEED=<seed> cargo test --test sentinel_simulation -- --nocapture` replays a run.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "all of this is tests: what fails, fails the test"
)]

mod faults;
mod membership;
mod model;
mod oracle;
mod requests;
mod sentinel;
mod world;

use std::collections::BTreeMap;

use world::World;

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..count).collect(),
    }
}

/// Runs `run` for `count` seeds, on two threads; one that fails names its seed.
fn each_seed(count: u64, run: fn(u64) -> World) -> BTreeMap<&'static str, u64> {
    let seeds = seeds(count);
    let mut sums = BTreeMap::new();
    std::thread::scope(|scope| {
        let halves = seeds.chunks(seeds.len().div_ceil(2)).map(|seeds| {
            scope.spawn(move || {
                let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
                for seed in seeds {
                    let outcome = std::panic::catch_unwind(|| run(*seed));
                    let world = outcome.unwrap_or_else(|_| panic!("failed: SIM_SEED={seed}"));
                    for (what, count) in world.tally {
                        *sums.entry(what).or_default() += count;
                    }
                }
                sums
            })
        });
        let halves: Vec<_> = halves.collect();
        for half in halves {
            for (what, count) in half.join().unwrap() {
                *sums.entry(what).or_default() += count;
            }
        }
    });
    sums
}

#[test]
fn whatever_happens_only_masters_are_announced_and_all_are_found_in_the_end() {
    let sums = each_seed(300, |seed| {
        let mut world = World::new(seed, false);
        world.suffer(20);
        world.heal();
        world.expect_all_found();
        world.expect_all_read();
        world.expect_patience();
        world
    });
    println!("{sums:#?}");
    if std::env::var_os("SIM_SEED").is_none() {
        for what in faults::ALL.iter().chain(world::COUNTED) {
            // A fault that never happened was not survived.
            assert!(sums.get(what).is_some_and(|n| *n >= 5), "{what}: {sums:?}");
        }
    }
}

#[test]
fn where_a_quorum_is_required_writes_are_fenced_without_one_and_allowed_with_one() {
    let sums = each_seed(40, |seed| {
        let mut world = World::new(seed, true);
        world.suffer(15);
        world.heal();
        world.expect_all_found();
        world.expect_writes_allowed();
        world.cut_most_sentinels();
        world.expect_fence_within_a_second_or_so();
        world
    });
    println!("{sums:#?}");
    assert!(sums["fenced"] >= 1 && sums["fence lifted"] >= 1, "{sums:?}");
}

#[test]
fn a_group_that_is_replaced_one_by_one_is_followed_without_a_write_refused() {
    let sums = each_seed(40, |seed| {
        let mut world = World::new(seed, true);
        world.run_for_ms(9000);
        world.expect_writes_allowed();
        world.change_the_group(12);
        world.heal();
        world.expect_all_found();
        world.expect_writes_allowed();
        world.expect_group_is_heard();
        world
    });
    println!("{sums:#?}");
    if std::env::var_os("SIM_SEED").is_none() {
        for what in faults::OF_MEMBERSHIP {
            assert!(sums.get(what).is_some_and(|n| *n >= 2), "{what}: {sums:?}");
        }
        assert!(!sums.contains_key("fenced"), "{sums:?}");
    }
}

#[test]
fn without_faults_a_failover_is_followed_at_once() {
    each_seed(20, |seed| {
        let mut world = World::new(seed, false);
        world.run_for_ms(3000);
        world.expect_all_found();
        world.kill_master(0);
        world.expect_followed_within_ms(0, 300);
        world
    });
}

#[test]
fn without_faults_writes_wait_from_before_a_planned_promotion_until_it_is_followed() {
    let sums = each_seed(20, |seed| {
        let mut world = World::new(seed, false);
        world.run_for_ms(3000);
        let old = world.truth(0).says();
        world.fail_over(0);
        world.run_for_ms(3000);
        assert_ne!(world.truth(0).says(), old);
        world.expect_all_found();
        world
    });
    assert_eq!(sums.get("promoted while writes went on"), None, "{sums:?}");
    let seeds = seeds(20).len() as u64;
    for what in ["promoted while writes waited", "waited until the move"] {
        assert_eq!(sums.get(what), Some(&seeds), "{what}: {sums:?}");
    }
}
