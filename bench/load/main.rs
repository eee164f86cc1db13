//! An open-loop load generator that checks every reply.
//!
//! ```text
//! coremux route -c proxy.yml $(seq -f key:%g 400) | cargo run --release --example load -- \
//!     --address 127.0.0.1:22121 --rate 20000 --connections 50 --seconds 10 --keys -
//! ```
//!
//! **Open loop**: the moment at which each request is due is fixed before the run, and its latency
//! counts from there. A proxy that stalls for a second does not hide the requests that were due in
//! that second (coordinated omission). **Unique values**: each SET writes a value that was never
//! written before, each client has keys of its own, and knows what each of them may hold.
//!
//! Owns: the clients and what they saw. Never: starts or stops a server, knows what kind of proxy
//! it talks to.
#![allow(
    clippy::disallowed_methods,
    reason = "a load generator measures with the real clock"
)]

mod client;
mod keys;
mod ledger;
mod memcached;
mod options;
mod protocol;
mod reply;
mod report;
mod run;
mod schedule;
mod tally;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;
use crate::run::Outcome;

/// What the run needs is not there.
const CANNOT_RUN: u8 = 2;
/// A client got a reply that is not its own.
const MIXED: u8 = 3;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = run::run(&options).and_then(|outcome| {
        report::write(&options, &outcome)?;
        Ok(outcome)
    });
    match outcome {
        Ok(Outcome { wrong: None, .. }) => ExitCode::SUCCESS,
        Ok(Outcome {
            wrong: Some(what), ..
        }) => {
            eprintln!("load: a reply that is not the request's own: {what}");
            ExitCode::from(MIXED)
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}
