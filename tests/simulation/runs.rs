//! Runs many seeds, and says of a failing one which it is and what happened last in it.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

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

/// Runs all seeds, on as many threads as there are cores; the first failure ends it.
pub fn run_all(seeds: Range<u64>) -> Result<Tally, String> {
    let next = AtomicU64::new(seeds.start);
    let result: Mutex<(Tally, Option<u64>)> = Mutex::default();
    let lock = || result.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || lock().1.is_some() {
                return;
            }
            let outcome = outcome(|| World::new(seed).run());
            let mut result = lock();
            match outcome {
                Ok(tally) => result.0.add(&tally),
                // The least is the same in every run of the test.
                Err(_) => result.1 = Some(result.1.map_or(seed, |other| other.min(seed))),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(work);
        });
    });
    let (tally, failed) = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failed {
        None => Ok(tally),
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
