//! The life of the process as its workers tell it: starting, serving, draining, stopping.
//!
//! Owns: the decision what comes next. Never: sends anything, reads a clock.
//!
//! ```text
//! Starting ── all started ──► Serving ── SIGTERM ──► Draining ── all drained ──► Stopping ──► end
//!     └──────────────── a worker fails ──────────────────┘   └─ time is up, 2nd signal ─┘
//! ```

use std::time::Duration;

use crate::base::WorkerIdx;

/// How the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every client was answered, or had its time.
    Drained,
    /// A new process has taken over.
    HandedOver,
    /// The process that this one was to take over from serves on.
    CalledOff,
    /// A second signal did not want to wait.
    Interrupted,
    /// A worker ended by itself.
    WorkerFailed {
        /// The first one.
        worker: WorkerIdx,
        /// Its last words.
        error: String,
    },
}

/// Where the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving,
    Draining,
    Stopping,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Every worker serves: say so.
    Ready,
    /// Tell every worker to drain.
    Drain(Duration),
    /// Tell every worker to stop.
    Stop,
    /// The end.
    End(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Starting,
    Serving,
    Drained,
    Stopped,
}

/// When a worker has failed the others only finish what they have: a new process serves better.
const DRAIN_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Follows the workers.
#[derive(Debug)]
pub(super) struct Supervisor {
    workers: Vec<Life>,
    phase: Phase,
    drain_within: Duration,
    ending: Ending,
}

impl Supervisor {
    pub(super) fn new(workers: usize, drain_within: Duration) -> Supervisor {
        Supervisor {
            workers: vec![Life::Starting; workers],
            phase: Phase::Starting,
            drain_within,
            ending: Ending::Drained,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn started(&mut self, worker: WorkerIdx) -> Step {
        self.workers[worker.index()] = Life::Serving;
        if self.phase == Phase::Starting && self.all(Life::Serving) {
            self.phase = Phase::Serving;
            return Step::Ready;
        }
        Step::Nothing
    }

    pub(super) fn drained(&mut self, worker: WorkerIdx) -> Step {
        self.workers[worker.index()] = Life::Drained;
        self.after_a_worker_left()
    }

    pub(super) fn stopped(&mut self, worker: WorkerIdx, error: Option<String>) -> Step {
        self.workers[worker.index()] = Life::Stopped;
        let told = matches!(self.phase, Phase::Draining | Phase::Stopping);
        let error = error.or_else(|| (!told).then(|| "ended without being told to".to_owned()));
        if let Some(error) = error {
            if !matches!(self.ending, Ending::WorkerFailed { .. }) {
                self.ending = Ending::WorkerFailed { worker, error };
            }
            if matches!(self.phase, Phase::Starting | Phase::Serving) && !self.all_gone() {
                self.phase = Phase::Draining;
                return Step::Drain(DRAIN_AFTER_FAILURE.min(self.drain_within));
            }
        }
        self.after_a_worker_left()
    }

    /// SIGTERM or SIGINT.
    pub(super) fn told_to_end(&mut self) -> Step {
        match self.phase {
            Phase::Starting | Phase::Serving => {
                self.phase = Phase::Draining;
                Step::Drain(self.drain_within)
            }
            Phase::Draining => {
                if self.ending == Ending::Drained {
                    self.ending = Ending::Interrupted;
                }
                self.phase = Phase::Stopping;
                Step::Stop
            }
            Phase::Stopping => self.end(),
        }
    }

    /// `phase` was given a time, which is over.
    pub(super) fn overdue(&mut self, phase: Phase) -> Step {
        match phase {
            Phase::Draining if self.phase == phase => {
                self.phase = Phase::Stopping;
                Step::Stop
            }
            Phase::Stopping if self.phase == phase => self.end(),
            _ => Step::Nothing,
        }
    }

    /// How many workers have not finished.
    pub(super) fn unfinished(&self) -> usize {
        let finished = |life: &&Life| matches!(life, Life::Drained | Life::Stopped);
        self.workers.len() - self.workers.iter().filter(finished).count()
    }

    fn after_a_worker_left(&mut self) -> Step {
        if self.all_gone() {
            return self.end();
        }
        if self.phase == Phase::Draining && self.unfinished() == 0 {
            self.phase = Phase::Stopping;
            return Step::Stop;
        }
        Step::Nothing
    }

    fn all_gone(&self) -> bool {
        self.all(Life::Stopped)
    }

    fn all(&self, life: Life) -> bool {
        self.workers.iter().all(|w| *w == life)
    }

    fn end(&self) -> Step {
        Step::End(self.ending.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAIN: Duration = Duration::from_secs(10);
    const A: WorkerIdx = WorkerIdx(0);
    const B: WorkerIdx = WorkerIdx(1);

    fn serving() -> Supervisor {
        let mut supervisor = Supervisor::new(2, DRAIN);
        assert_eq!(supervisor.started(B), Step::Nothing);
        assert_eq!(supervisor.started(A), Step::Ready);
        supervisor
    }

    fn failed(worker: WorkerIdx, error: &str) -> Step {
        let error = error.to_owned();
        Step::End(Ending::WorkerFailed { worker, error })
    }

    #[test]
    fn a_signal_drains_then_stops_then_ends() {
        let mut supervisor = serving();
        assert_eq!(supervisor.told_to_end(), Step::Drain(DRAIN));
        assert_eq!(supervisor.drained(A), Step::Nothing);
        assert_eq!(supervisor.drained(B), Step::Stop);
        assert_eq!(supervisor.stopped(B, None), Step::Nothing);
        assert_eq!(supervisor.stopped(A, None), Step::End(Ending::Drained));
    }

    #[test]
    fn clients_that_do_not_finish_are_cut_and_a_worker_that_hangs_is_left() {
        let mut supervisor = serving();
        supervisor.told_to_end();
        supervisor.drained(A);
        assert_eq!(supervisor.unfinished(), 1);
        assert_eq!(supervisor.overdue(Phase::Draining), Step::Stop);
        assert_eq!(
            supervisor.overdue(Phase::Draining),
            Step::Nothing,
            "an old timer"
        );
        assert_eq!(supervisor.stopped(A, None), Step::Nothing);
        assert_eq!(
            supervisor.overdue(Phase::Stopping),
            Step::End(Ending::Drained)
        );
    }

    #[test]
    fn a_second_signal_does_not_wait_and_a_third_neither() {
        let mut supervisor = serving();
        supervisor.told_to_end();
        assert_eq!(supervisor.told_to_end(), Step::Stop);
        assert_eq!(supervisor.told_to_end(), Step::End(Ending::Interrupted));
    }

    #[test]
    fn a_worker_that_cannot_start_ends_the_others() {
        let mut supervisor = Supervisor::new(2, DRAIN);
        let step = supervisor.stopped(A, Some("no ring".to_owned()));
        assert_eq!(step, Step::Drain(DRAIN_AFTER_FAILURE));
        assert_eq!(supervisor.started(B), Step::Nothing, "never ready");
        assert_eq!(supervisor.drained(B), Step::Stop);
        assert_eq!(supervisor.stopped(B, None), failed(A, "no ring"));
    }

    #[test]
    fn a_worker_that_ends_while_serving_is_a_failure_also_without_a_word() {
        let mut supervisor = serving();
        assert_eq!(
            supervisor.stopped(B, None),
            Step::Drain(DRAIN_AFTER_FAILURE)
        );
        assert_eq!(
            supervisor.stopped(A, Some("late".to_owned())),
            failed(B, "ended without being told to")
        );
    }

    #[test]
    fn the_only_worker_takes_the_process_with_it() {
        let mut supervisor = Supervisor::new(1, DRAIN);
        supervisor.started(A);
        assert_eq!(
            supervisor.stopped(A, Some("panicked".to_owned())),
            failed(A, "panicked")
        );
    }
}
