//! The program as its users have it, in tests that need the machine for themselves: they measure memory,
//! fill it, stop a worker, or swap the program for another. Two tests of one file run beside each
//! other, and nothing beside them (`alone`).
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "all of this is tests: what fails, fails the test"
)]

mod admin_abuse;
mod browser;
mod large;
mod line;
mod memcached;
mod memory;
mod page;
mod signs;
mod stuck_worker;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a part of it is used here")]
mod support;
mod systemd;
mod thread;
mod upgrade;

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Whose tests run, and how many of them.
#[derive(Debug)]
struct Machine {
    of: &'static str,
    tests: usize,
}

/// More would not fit into a small machine's memory: some have values of 512 MiB under way.
const BESIDE_EACH_OTHER: usize = 2;

static MACHINE: Mutex<Machine> = Mutex::new(Machine { of: "", tests: 0 });
static IS_FREE: Condvar = Condvar::new();

fn machine() -> MutexGuard<'static, Machine> {
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test that has the machine, with others of its file at the most.
#[derive(Debug)]
struct Alone;

/// Waits until no test of another promise runs; a test begins with it (`tests/tidy.rs`).
fn alone(module: &'static str) -> Alone {
    let promise = module.split("::").nth(1).expect("a module of this program");
    let mut machine = machine();
    while machine.tests > 0 && (machine.of != promise || machine.tests == BESIDE_EACH_OTHER) {
        machine = IS_FREE
            .wait(machine)
            .unwrap_or_else(PoisonError::into_inner);
    }
    machine.of = promise;
    machine.tests += 1;
    Alone
}

impl Drop for Alone {
    fn drop(&mut self) {
        machine().tests -= 1;
        IS_FREE.notify_all();
    }
}
