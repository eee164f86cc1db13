//! The process's limit of memory: how much is in use, and what each worker gives up for it.
//!
//! Owns: the thresholds, and each worker's share of what has to be given up. Never: knows whose
//! the memory is; the `Proxy` does.
//!
//! ```text
//!   0 ─────────── watch ───────── soft ────────── hard ────── limit
//!     nothing        │ looked at     │ clients with  │ the biggest
//!     is done        │ closely       │ much under way│ consumers are
//!                    │               │ are stopped   │ closed
//! ```

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::Time;
use crate::base::WorkerIdx;
use crate::proxy::Holdings;
use crate::proxy::Pressure;
use crate::proxy::Proxy;
use crate::reactor::Sender;
use crate::reactor::allocator;
use crate::reactor::block::BLOCK_BYTES;
use crate::reactor::block::Blocks;
use crate::reactor::message::FromWorker;
use crate::reactor::ring::BUFFERS;

/// The program itself, its control plane, its log: measured 9 MiB in a release build. Never counted as
/// less: what the system says falls short of it while the rings' buffers are still untouched, and
/// those are touched all at once.
const OWN_BYTES: usize = 16 << 20;
/// A worker's ring with its buffers, which receives may fill at any time, and its spare buffers.
const WORKER_BYTES: usize = BUFFERS as usize * BLOCK_BYTES + (2 << 20);

/// A client may always have so much under way, however short memory is: two receives.
const CLIENT_BYTES_MIN: usize = 128 << 10;

/// Who has less than this share of what the largest client of the process has is not closed.
const SPARED_SHARE: usize = 4;

/// How often memory is looked at while more is in use than the watch allows.
const LOOK_PERIOD: Duration = Duration::from_millis(10);
/// How often the allocator is asked to give back what it keeps: it takes milliseconds.
const GIVE_BACK_PERIOD: Duration = Duration::from_secs(1);

/// The least limit that so many workers can work with: twice what they have without a client.
#[must_use]
pub fn limit_min(workers: usize) -> usize {
    2 * (OWN_BYTES + workers * WORKER_BYTES)
}

/// What the whole process uses, and its limit.
#[derive(Debug)]
pub struct Memory {
    limit: Option<NonZeroUsize>,
    // What the system says that the process has (`proc_pid_statm(5)`), if it says anything.
    statm: Option<File>,
    // By how much that is more than what is counted: the program's own pages, stacks, and what the
    // allocator has lost between its blocks.
    uncounted: AtomicUsize,
    // By worker: what its clients and servers hold.
    held: Vec<Held>,
}

/// [`Holdings`] as a worker tells the others.
#[derive(Debug, Default)]
struct Held {
    bytes: AtomicUsize,
    largest: AtomicUsize,
}

impl Held {
    fn tell(&self, holdings: Holdings) {
        self.bytes.store(holdings.bytes, Ordering::Relaxed);
        self.largest.store(holdings.largest, Ordering::Relaxed);
    }
}

impl Memory {
    /// For so many workers; `None` is without a limit.
    #[must_use]
    pub fn new(limit: Option<NonZeroUsize>, workers: usize) -> Memory {
        let memory = Memory {
            limit,
            statm: limit.and_then(|_| File::open("/proc/self/statm").ok()),
            uncounted: AtomicUsize::new(OWN_BYTES),
            held: (0..workers).map(|_| Held::default()).collect(),
        };
        memory.measure();
        memory
    }

    /// Bytes in use, as far as is known.
    fn used(&self) -> usize {
        allocator::allocated() + self.uncounted.load(Ordering::Relaxed)
    }

    /// What all workers hold, and the largest of their clients.
    fn held(&self) -> Holdings {
        let of = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        Holdings {
            bytes: self.held.iter().map(|held| of(&held.bytes)).sum(),
            largest: self
                .held
                .iter()
                .map(|held| of(&held.largest))
                .max()
                .unwrap_or(0),
        }
    }

    /// Asks the system how much the process really has.
    fn measure(&self) {
        let mut text = [0; 128];
        let read = self.statm.as_ref().map(|file| file.read_at(&mut text, 0));
        let Some(Ok(length)) = read else { return };
        if let Some(resident) = resident_bytes(&text[..length]) {
            let uncounted = resident.saturating_sub(allocator::allocated());
            self.uncounted
                .store(uncounted.max(OWN_BYTES), Ordering::Relaxed);
        }
    }
}

/// The second number of `statm`, in bytes.
fn resident_bytes(statm: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(statm).ok()?;
    let pages: usize = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}

/// What follows from how much is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thresholds {
    watch: usize,
    soft: usize,
    hard: usize,
}

impl Thresholds {
    /// Between `hard` and the limit there is room for what comes between two looks.
    fn of(limit: usize) -> Thresholds {
        Thresholds {
            watch: limit / 2,
            soft: limit / 4 * 3,
            hard: limit / 8 * 7,
        }
    }

    /// What a worker's clients may have, and what it is to give up, when `used` bytes are in use
    /// and it holds `own` bytes for its `clients`, of `all` that the workers hold.
    fn pressure(&self, used: usize, own: usize, all: Holdings, clients: usize) -> Pressure {
        let workers_part = |bytes: usize| match all.bytes {
            0 => 0,
            all => (bytes as u128 * own as u128 / all as u128)
                .try_into()
                .unwrap_or(bytes),
        };
        let shed_bytes = match used > self.hard {
            // A little further, or the next receive would bring it here again.
            true => workers_part(used - self.hard + self.hard / 32),
            false => 0,
        };
        let client_bytes_max = match used > self.soft {
            // Half of an equal share: who has more is one of those that have the most.
            true => workers_part(self.soft) / (2 * clients.max(1)),
            false => self.soft / 16,
        };
        Pressure {
            client_bytes_max: client_bytes_max.max(CLIENT_BYTES_MIN),
            shed_bytes,
            spared_bytes: all.largest / SPARED_SHARE,
        }
    }
}

/// A worker's eye on the process's memory.
#[derive(Debug)]
pub(super) struct Watch {
    memory: Arc<Memory>,
    worker: WorkerIdx,
    thresholds: Option<Thresholds>,
    // With more in use than this, memory is looked at now.
    look_above: usize,
    look_at: Option<Time>,
    give_back_at: Time,
}

impl Watch {
    pub(super) fn new(memory: Arc<Memory>, worker: WorkerIdx) -> Watch {
        let thresholds = memory.limit.map(|limit| Thresholds::of(limit.get()));
        Watch {
            memory,
            worker,
            thresholds,
            look_above: thresholds.map_or(usize::MAX, |t| t.watch),
            look_at: None,
            give_back_at: Time::ZERO,
        }
    }

    /// What a client may have under way while there is memory enough.
    pub(super) fn at_rest(&self) -> Pressure {
        match &self.thresholds {
            Some(thresholds) => {
                let (bytes, largest) = (0, 0);
                thresholds.pressure(0, 0, Holdings { bytes, largest }, 0)
            }
            None => Pressure::NONE,
        }
    }

    /// When to look next, whatever happens.
    pub(super) fn look_at(&self) -> Option<Time> {
        self.look_at
    }

    /// Whether so much has come that memory is to be looked at now.
    #[inline]
    pub(super) fn is_high(&self) -> bool {
        self.look_above != usize::MAX && self.memory.used() > self.look_above
    }

    /// Looks how much memory is in use, and has the `Proxy` give up this worker's part if it is
    /// too much. The other workers are told to look, too, unless one of them has told this one.
    pub(super) fn look(
        &mut self,
        proxy: &mut Proxy,
        blocks: &Blocks,
        tell: Option<&Sender<FromWorker>>,
        now: Time,
    ) {
        let Some(thresholds) = self.thresholds else {
            return;
        };
        let is_turn = self.look_at.is_none_or(|at| at <= now);
        let is_much = self.memory.used() > thresholds.soft;
        if is_much {
            blocks.give_back();
        }
        if is_turn || is_much {
            self.memory.measure();
        }
        let used = self.memory.used();
        let mine = &self.memory.held[usize::from(self.worker.0)];
        if used <= thresholds.watch {
            mine.tell(Holdings {
                bytes: 0,
                largest: 0,
            });
            (self.look_above, self.look_at) = (thresholds.watch, None);
            proxy.relieve(self.at_rest(), now);
            return;
        }
        let own = proxy.holdings();
        mine.tell(own);
        let all = self.memory.held();
        let pressure = thresholds.pressure(used, own.bytes, all, proxy.client_count());
        proxy.relieve(pressure, now);
        if pressure.shed_bytes > 0 {
            blocks.give_back();
            mine.tell(proxy.holdings());
        }
        // One whose clients are silent would not notice by itself, and has the most, maybe.
        if let (Some(outbox), true) = (
            tell,
            is_turn && (self.look_at.is_none() || own.bytes < all.bytes),
        ) {
            outbox.send(FromWorker::ShortOfMemory);
        }
        self.give_back_lost_pages(&thresholds, now);
        self.look_above = used + thresholds.hard / 64;
        if is_turn {
            self.look_at = Some(now + LOOK_PERIOD);
        }
    }

    /// What the allocator keeps between blocks in use is given back when it is what is missing.
    fn give_back_lost_pages(&mut self, thresholds: &Thresholds, now: Time) {
        let uncounted = self.memory.uncounted.load(Ordering::Relaxed);
        let is_much = uncounted > OWN_BYTES + thresholds.hard / 16;
        if self.memory.used() > thresholds.soft && is_much && now >= self.give_back_at {
            self.give_back_at = now + GIVE_BACK_PERIOD;
            allocator::give_back_free_pages();
            self.memory.measure();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn all(mib: usize) -> Holdings {
        Holdings {
            bytes: mib * MIB,
            largest: 20 * MIB,
        }
    }

    #[test]
    fn without_pressure_nobody_is_stopped_or_closed() {
        let thresholds = Thresholds::of(1024 * MIB);
        let pressure = thresholds.pressure(500 * MIB, 400 * MIB, all(400), 10);
        assert_eq!(pressure.shed_bytes, 0);
        assert_eq!(pressure.client_bytes_max, 48 * MIB);
    }

    #[test]
    fn under_pressure_whoever_has_more_than_half_a_share_is_stopped() {
        let thresholds = Thresholds::of(1024 * MIB);
        let pressure = thresholds.pressure(800 * MIB, 400 * MIB, all(800), 48);
        assert_eq!(pressure.shed_bytes, 0);
        assert_eq!(pressure.client_bytes_max, 4 * MIB);
        let crowded = thresholds.pressure(800 * MIB, 400 * MIB, all(800), 1_000_000);
        assert_eq!(crowded.client_bytes_max, CLIENT_BYTES_MIN);
    }

    #[test]
    fn each_worker_gives_up_its_part_of_what_is_too_much() {
        let thresholds = Thresholds::of(1024 * MIB);
        let pressures =
            [100, 300, 0].map(|own| thresholds.pressure(900 * MIB, own * MIB, all(400), 10));
        let parts = pressures.map(|pressure| pressure.shed_bytes);
        assert_eq!(parts, [8 * MIB, 24 * MIB, 0]);
        // The smaller clients of one worker need not go while another has a giant.
        assert_eq!(pressures[0].spared_bytes, 5 * MIB);
    }

    #[test]
    fn the_system_says_how_much_there_is() {
        let page = rustix::param::page_size();
        assert_eq!(resident_bytes(b"100 25 3 1 0 9 0\n"), Some(25 * page));
        assert_eq!(resident_bytes(b""), None);
        let memory = Memory::new(NonZeroUsize::new(1 << 30), 1);
        assert!(memory.used() > MIB, "a test has that much");
        // However much of what is allocated is untouched as yet.
        allocator::count(1 << 40);
        memory.measure();
        assert_eq!(memory.uncounted.load(Ordering::Relaxed), OWN_BYTES);
        allocator::count(-(1 << 40));
    }
}
