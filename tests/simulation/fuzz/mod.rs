//! Whatever bytes clients, servers and Sentinels send, whenever connections come and go, whatever the control
//! plane says: nothing panics, a server gets whole requests only, a client whole replies only and
//! never more than it made requests, what is owed stays within the limits, and all of it ends.
//!
//! The simulation knows which reply is right, and so must know what was asked. Here nobody does:
//! bytes are requests, replies, and what is left of them after dice were thrown.
//!
//! `FUZZ_SEED=17` replays the seed of a failure; `FUZZ_SEEDS=20000` runs so many.

mod material;
mod sentinels;
mod world;

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;

use material::Material;
use material::Memcached;
use material::Resp;
use sentinels::Heard;
use world::Seen;
use world::World;

/// Some seconds in a build with all assertions.
const SEEDS: u64 = 400;
const STEPS: usize = 1000;

#[test]
fn arbitrary_bytes_and_events_break_no_promise() {
    try_to_break::<Resp>(true);
}

/// A server gets what nobody may ask it if it was smuggled there.
#[test]
fn arbitrary_bytes_and_events_smuggle_nothing_to_a_memcached() {
    try_to_break::<Memcached>(false);
}

fn try_to_break<M: Material>(replicas: bool) {
    let mut seen = Seen::default();
    let whole = for_each_seed(|seed| seen.add(&World::<M>::new(seed).run(STEPS)));
    println!("{seen:?}");
    if whole {
        seen.assert_worth_while(replicas);
    }
}

#[test]
fn no_word_of_a_sentinel_makes_a_master() {
    let mut heard = Heard::default();
    let whole = for_each_seed(|seed| heard.add(&sentinels::World::new(seed).run(STEPS)));
    println!("{heard:?}");
    if whole {
        heard.assert_worth_while();
    }
}

/// Runs all seeds, or the one that is asked for; whether they are enough to be judged.
fn for_each_seed(mut run: impl FnMut(u64)) -> bool {
    let seeds = match (number("FUZZ_SEED"), number("FUZZ_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    };
    let whole = seeds.end - seeds.start >= SEEDS;
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("FUZZ_SEED={seed} replays it");
            resume_unwind(panic);
        }
    }
    whole
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}
