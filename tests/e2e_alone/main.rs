//! The program as its users have it, in tests that need the machine for themselves: they measure memory,
//! fill it, stop a worker, or swap the program for another. One runs at a time (`alone`).
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "all of this is tests: what fails, fails the test"
)]

mod admin_abuse;
mod large;
mod line;
mod memory;
mod signs;
mod stuck_worker;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a part of it is used here")]
mod support;
mod systemd;
mod thread;
mod upgrade;

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

static ALONE: Mutex<()> = Mutex::new(());

/// Waits for the tests before; whoever holds this is alone. A test begins with it (`tests/tidy.rs`).
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
