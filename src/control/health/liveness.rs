//! Whether every worker turns.
//!
//! A worker counts its passes. One that works counts thousands a second and is never asked. One
//! that has not passed since the last sample sleeps or is stuck: it is asked, once, for a pass. A
//! message wakes one that sleeps; from one that is stuck nothing comes.
//!
//! The alternative, a timer in every worker's ring, would wake it as often, and also where nobody
//! wants to know. And a worker that stamped its passes with the time would need no question only
//! while it has clients.

use crate::base::WorkerIdx;
use crate::control::clock::Micros;
use crate::stats::WorkerStats;

/// So many samples after the question a worker without a pass is called stuck. With the sample that
/// asks, and the one before, that is a second at most after its last pass.
const MISSES_MAX: u32 = 3;

/// One worker's passes.
#[derive(Debug)]
pub(super) struct Liveness {
    passes: u64,
    passed_at: Micros,
    asked: bool,
    misses: u32,
}

impl Liveness {
    pub(super) fn new(now: Micros) -> Liveness {
        Liveness {
            passes: 0,
            passed_at: now,
            asked: false,
            misses: 0,
        }
    }

    /// Looks at the worker's count; whether it must be asked for a pass.
    pub(super) fn sample(&mut self, stats: &WorkerStats, now: Micros) -> bool {
        let passes = stats.counters.passes.value();
        if passes != self.passes {
            *self = Liveness {
                passes,
                ..Liveness::new(now)
            };
            return false;
        }
        if self.asked {
            self.misses = self.misses.saturating_add(1);
        }
        !std::mem::replace(&mut self.asked, true)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.misses >= MISSES_MAX
    }

    /// How long ago its last pass was seen.
    pub(super) fn age(&self, now: Micros) -> Micros {
        now.saturating_sub(self.passed_at)
    }
}

/// What a sample found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PassReports {
    /// To be asked for a pass.
    pub(super) ask: Vec<WorkerIdx>,
    /// A worker is stuck.
    pub(super) stuck: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::health::PERIOD;

    const STEP: Micros = 1_000 * PERIOD.subsec_millis() as Micros;

    #[test]
    fn a_worker_that_passes_is_not_asked_and_one_that_sleeps_is_asked_once() {
        let stats = WorkerStats::default();
        let mut liveness = Liveness::new(0);
        stats.counters.passes.add(1);
        assert!(!liveness.sample(&stats, STEP));
        assert!(liveness.sample(&stats, 2 * STEP), "it sleeps");
        assert!(!liveness.sample(&stats, 3 * STEP), "asked already");
        stats.counters.passes.add(1);
        assert!(!liveness.sample(&stats, 4 * STEP));
        assert!(liveness.sample(&stats, 5 * STEP), "it sleeps again");
        assert!(!liveness.is_stuck());
    }

    #[test]
    fn a_worker_without_a_pass_is_stuck_within_a_second_and_well_with_the_next_pass() {
        let stats = WorkerStats::default();
        let mut liveness = Liveness::new(0);
        stats.counters.passes.add(1);
        liveness.sample(&stats, 0);
        let mut now = 0;
        while !liveness.is_stuck() {
            now += STEP;
            liveness.sample(&stats, now);
        }
        // It may have stopped just after the sample that saw its last pass.
        assert!(now <= 1_000_000, "{now}");
        assert_eq!(liveness.age(now), now);
        stats.counters.passes.add(1);
        liveness.sample(&stats, now + STEP);
        assert!(!liveness.is_stuck());
        assert_eq!(liveness.age(now + STEP), 0);
    }
}
