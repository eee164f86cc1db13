//! What Debian's nutcracker does, Coremux does: the program itself is asked, test by test.
#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests: what fails, fails the test"
)]

mod cli;
mod config;
mod identity;
mod memcached;
mod routing;
mod stats;
mod stats_counts;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a part of it is used here")]
mod support;
