//! Asks the workers for what they have recorded.

use std::sync::Arc;

use crate::base::WorkerIdx;
use crate::reactor::ToWorker;
use crate::telemetry::Records;

use super::Control;

impl Control {
    /// The time to ask has come.
    pub(super) fn collect(&mut self) {
        let asked = self.shown.telemetry.borrow_mut().ask();
        for (worker, spare) in asked {
            self.workers.to[worker.index()].send(ToWorker::TellRecords(Arc::new(spare)));
        }
    }

    /// A worker has answered.
    pub(super) fn collected(&mut self, worker: WorkerIdx, records: Records) {
        let uptime = self.clock.uptime();
        self.shown
            .telemetry
            .borrow_mut()
            .take(worker, records, uptime);
    }
}
