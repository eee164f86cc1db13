//! Runs many seeds, and says of a failing one which it is and what happened last in it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::Once;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::tally::Tally;
use crate::trace;
use crate::trace::Mode;
use crate::world::World;

thread_local! {
    /// While a seed runs here: what its panic says, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of runs to themselves: they are reported with their seed.
fn catch_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let caught = PANIC.with_borrow_mut(|panic| match panic {
                Some(message) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !caught {
                default(info);
            }
        }));
    });
}

fn outcome<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_messages();
    PANIC.set(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(run));
    let message = PANIC.take().unwrap_or_default();
    outcome.map_err(|_| message)
}

/// The message of a seed whose run fails: with what happened last, when it is run again.
pub fn fails_with(seed: u64, run: impl Fn()) -> String {
    trace::set(Mode::keep());
    let message = outcome(run)
        .err()
        .unwrap_or_else(|| "it does not fail again".to_owned());
    let lines = trace::kept().join("\n");
    trace::set(Mode::Off);
    format!(
        "seed={seed} fails\n{message}\n\nwhat happened last:\n{lines}\n\n\
         the whole run: SIM_SEED={seed} cargo test --test simulation every_request"
    )
}

/// What the threads share.
struct Shared {
    next: AtomicU64,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    tally: Tally,
    failed: Option<u64>,
    /// Seeds that are running.
    running: BTreeSet<u64>,
    done: u64,
    threads_done: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, end: u64) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let mut progress = self.lock();
            if seed >= end || progress.failed.is_some() {
                progress.threads_done += 1;
                self.changed.notify_all();
                return;
            }
            progress.running.insert(seed);
            drop(progress);
            let outcome = outcome(|| World::new(seed).run());
            let mut progress = self.lock();
            progress.running.remove(&seed);
            progress.done += 1;
            self.changed.notify_all();
            match outcome {
                Ok(tally) => progress.tally.add(&tally),
                Err(_) => {
                    let least = progress.failed.map_or(seed, |other| other.min(seed));
                    progress.failed = Some(least);
                }
            }
        }
    }

    /// A proxy that turns in a loop of its own cannot be stopped, only named.
    fn watch(&self, threads: usize) {
        let mut progress = self.lock();
        while progress.threads_done < threads {
            let done = progress.done;
            let (woken, waited) = self
                .changed
                .wait_timeout(progress, HANGS_AFTER)
                .unwrap_or_else(PoisonError::into_inner);
            progress = woken;
            if waited.timed_out() && progress.done == done && progress.threads_done < threads {
                let seeds = &progress.running;
                eprintln!("a run hangs; replay with SIM_SEED, one of {seeds:?}");
                std::process::abort();
            }
        }
    }
}

/// A run takes a fraction of a second.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// Runs all seeds, on as many threads as there are cores; the first failure ends it.
pub fn run_all(seeds: Range<u64>) -> Result<Tally, String> {
    let shared = Shared {
        next: AtomicU64::new(seeds.start),
        progress: Mutex::default(),
        changed: Condvar::new(),
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(|| shared.work(seeds.end));
        });
        shared.watch(threads);
    });
    let progress = shared
        .progress
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match progress.failed {
        None => Ok(progress.tally),
        Some(seed) => Err(fails_with(seed, || {
            World::new(seed).run();
        })),
    }
}

/// A number from the environment.
pub fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}
