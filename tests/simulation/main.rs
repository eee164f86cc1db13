//! A small world around the real `Proxy`: model clients and servers, wires that cut, delay and
//! reset, and a clock that only this test moves. No socket, no thread, no chance but a seed.
//!
//! Every request gets exactly one reply, in order, its own; an error only where a fault touched
//! its servers; what is held for a client stays within its limits; and when the faults stop, all is
//! answered.
//!
//! ```text
//!   client ──► wire ──► worker (the sockets' holder) ──► Proxy ──► worker ──► wire ──► server
//!      └───────────────────► oracle: is this its own reply? ◄──────────────────────────┘
//! ```
//!
//! A seed is a run. `SIM_SEED=17` replays one and writes down what happens; `SIM_SEEDS=5000` runs
//! so many, from `SIM_FIRST` on.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_docs,
    reason = "all of this is tests: what fails, fails the test"
)]

mod by_hand;
mod client;
mod clients;
mod control;
mod course;
mod data_plane;
mod dice;
mod fault;
mod frame;
mod fuzz;
mod gathered;
mod hand_over;
mod interludes;
mod leases;
mod link;
mod listeners;
mod mark;
mod memcached;
mod memory;
mod neighbours;
mod numbered;
mod oracle;
mod plan;
mod queues;
mod records;
mod refusals;
mod reload;
mod replicas;
mod request;
mod retries;
mod room;
mod routes;
mod runs;
mod scenario;
mod scripts;
mod second;
mod server;
mod shares;
mod store;
mod streaming;
mod tally;
mod together;
mod trace;
mod transactions;
mod trouble;
mod wire;
mod worker;
mod workload;
mod world;

use runs::env_number;
use runs::fails_with;
use runs::run_all;
use tally::Tally;
use trace::Mode;

/// What one `cargo test` runs.
const SEEDS: u64 = 500;

#[test]
fn every_request_gets_its_own_reply_whatever_fails() {
    if let Some(seed) = env_number("SIM_SEED") {
        trace::set(Mode::Print);
        let tally = world::World::new(seed).run();
        println!("seed={seed} holds: {tally}");
        return;
    }
    let seeds = env_number("SIM_SEEDS").unwrap_or(SEEDS);
    let first = env_number("SIM_FIRST").unwrap_or(0);
    let tally: Tally = match run_all(first..first + seeds) {
        Ok(tally) => tally,
        Err(failure) => panic!("{failure}"),
    };
    println!("{seeds} seeds from {first} on: {tally}");
    let missing = tally.missing();
    assert!(
        missing.is_empty() || seeds < SEEDS,
        "never happened in {seeds} seeds: {missing:?}\n{tally}"
    );
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 1000..1010 {
        let trace_of = || {
            trace::set(Mode::keep());
            let tally = world::World::new(seed).run();
            (format!("{tally}"), trace::kept())
        };
        let (first, second) = (trace_of(), trace_of());
        assert!(!first.1.is_empty());
        assert_eq!(first, second, "seed={seed}");
    }
}

#[test]
fn a_failure_says_its_seed_and_how_to_replay_it() {
    let message = fails_with(17, || panic!("on purpose"));
    assert!(message.contains("seed=17"), "{message}");
    assert!(message.contains("on purpose"), "{message}");
    assert!(message.contains("SIM_SEED=17"), "{message}");
}
