//! Whatever bytes clients and servers send, whenever connections come and go, whatever the control
//! plane says: nothing panics, a server gets whole requests only, a client whole replies only and
//! never more than it made requests, what is owed stays within the limits, and all of it ends.
//!
//! The simulation knows which reply is right, and so must know what was asked. Here nobody does:
//! bytes are requests, replies, and what is left of them after dice were thrown.
//!
//! `FUZZ_SEED=17` replays the seed of a failure; `FUZZ_SEEDS=20000` runs so many.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_docs,
    reason = "all of this is tests: what fails, fails the test"
)]

#[path = "../simulation/dice.rs"]
#[allow(dead_code, reason = "the simulation throws more")]
mod dice;
#[path = "../simulation/frame.rs"]
#[allow(dead_code, reason = "the simulation looks into frames, too")]
mod frame;
mod material;
mod world;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

use world::Seen;
use world::World;

/// A fraction of a minute in a build with all assertions.
const SEEDS: u64 = 600;
const STEPS: usize = 1000;

#[test]
fn arbitrary_bytes_and_events_break_no_promise() {
    let seeds = match (number("FUZZ_SEED"), number("FUZZ_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    };
    let whole = seeds.end - seeds.start >= SEEDS;
    let mut seen = Seen::default();
    for seed in seeds {
        let run = catch_unwind(AssertUnwindSafe(|| World::new(seed).run(STEPS)));
        match run {
            Ok(run) => seen.add(&run),
            Err(panic) => {
                eprintln!("FUZZ_SEED={seed} replays it");
                resume_unwind(panic);
            }
        }
    }
    println!("{seen:?}");
    if whole {
        seen.assert_worth_while();
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}
