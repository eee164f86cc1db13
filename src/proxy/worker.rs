//! What a proxy knows of the process that it works in.
//!
//! Owns: the time of day, and which of how many workers this one is. Never: changes.

use std::time::Duration;

use crate::base::Time;
use crate::base::WorkerIdx;

/// What does not change as long as the worker lives.
#[derive(Debug)]
pub(super) struct Worker {
    /// Which of the process's workers.
    pub(super) idx: WorkerIdx,
    /// The time of day at [`Time::ZERO`], since 1970.
    pub(super) epoch: Duration,
    /// The process's id.
    pub(super) process: u32,
    /// How many workers the process has.
    pub(super) workers: u16,
}

impl Worker {
    /// Every worker hears of a change of the whole process; the first one counts it.
    pub(super) fn is_first(&self) -> bool {
        self.idx == WorkerIdx(0)
    }

    /// The time of day.
    pub(super) fn since_1970(&self, now: Time) -> Duration {
        self.epoch + now.since(Time::ZERO)
    }

    /// The same in microseconds, as statistics tell it.
    pub(super) fn epoch_micros(&self, now: Time) -> u64 {
        u64::try_from(self.since_1970(now).as_micros()).unwrap_or(u64::MAX)
    }
}
