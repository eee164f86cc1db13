//! Another protocol goes through the same `Proxy`: each request is done at most once, each reply is
//! its own client's and in order, whatever fails, moves, is reloaded or handed over meanwhile.
//!
//! The protocol has what RESP2 has not: no reply, one that is not passed on, some that are
//! swallowed, a framing that depends on what was asked, and messages that nobody has asked for.

mod client;
mod server;
mod side;
mod world;

use world::World;

const SEEDS: u64 = 200;

/// What has happened in some runs.
#[derive(Debug, Default)]
pub struct Count {
    pub replies: usize,
    pub errors: usize,
    pub splits: usize,
    pub silent: usize,
    pub missed: usize,
    pub swallowed: usize,
    pub unasked: usize,
    pub resets: usize,
    pub refused: usize,
    pub stalls: usize,
    pub moves: usize,
    pub reloads: usize,
    pub handed_over: usize,
}

#[test]
fn a_second_protocol_goes_through_the_same_proxy() {
    let mut count = Count::default();
    let first = crate::env_number("SIM_FIRST").unwrap_or(0);
    for seed in first..first + SEEDS {
        let mut world = World::new(seed);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            world.run(&mut count);
        }));
        assert!(run.is_ok(), "seed {seed}");
    }
    let runs = usize::try_from(SEEDS).unwrap();
    for (what, happened, least) in [
        ("replies", count.replies, 100 * runs),
        ("errors", count.errors, runs),
        ("requests that were split", count.splits, 10 * runs),
        ("requests without a reply", count.silent, 10 * runs),
        ("replies that are not passed on", count.missed, 10 * runs),
        ("replies that are swallowed", count.swallowed, 10 * runs),
        ("messages unasked", count.unasked, 10 * runs),
        ("resets", count.resets, runs),
        ("connections refused", count.refused, runs / 10),
        ("servers that stall", count.stalls, runs / 2),
        ("servers that move", count.moves, runs / 2),
        ("reloads", count.reloads, runs / 2),
        ("clients handed over", count.handed_over, runs),
    ] {
        assert!(happened >= least, "{what}: {happened} in {count:?}");
    }
}
