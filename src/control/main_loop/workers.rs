//! What the workers say, and what all of them are told.

use std::sync::Arc;

use tracing::error;

use crate::base::WorkerIdx;
use crate::control::supervisor::Step;
use crate::reactor::FromWorker;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::ToWorker;
use crate::stats::WorkerStats;

use super::Control;

/// The workers, as control knows them.
pub(in crate::control) struct Workers {
    /// By worker: where it is told.
    pub(super) to: Vec<Sender<ToWorker>>,
    /// Where all of them tell.
    pub(super) inbox: Receiver<FromWorker>,
    /// By worker: its numbers, in the table's places.
    pub(super) counters: Vec<Arc<WorkerStats>>,
}

impl Control {
    pub(super) fn hear(&mut self, message: FromWorker) -> Step {
        match message {
            FromWorker::Started(worker) => self.supervisor.started(worker),
            FromWorker::Drained(worker) => self.supervisor.drained(worker),
            FromWorker::Stopped { worker, error } => {
                if let Some(error) = &error {
                    error!(worker = worker.0, error, "worker failed");
                }
                self.supervisor.stopped(worker, error)
            }
            FromWorker::ShortOfMemory => {
                self.tell_all(&ToWorker::ShortOfMemory);
                Step::Nothing
            }
            FromWorker::Resolve { pool, server } => {
                self.name_wanted(pool, server);
                Step::Nothing
            }
            FromWorker::Records { worker, records } => {
                self.collected(worker, *records);
                Step::Nothing
            }
            FromWorker::Seen {
                worker,
                observer,
                seen,
            } => {
                self.seen(worker, observer, *seen);
                Step::Nothing
            }
            FromWorker::Report(report) => {
                self.reported(report);
                Step::Nothing
            }
            FromWorker::Script(news) => {
                self.tell_others(news.teller, &ToWorker::Script(Arc::clone(&news)));
                Step::Nothing
            }
            FromWorker::Ask(inquiry) => {
                self.tell_others(inquiry.asker, &ToWorker::Ask(Arc::clone(&inquiry)));
                Step::Nothing
            }
            FromWorker::Answer(finding) => {
                if let Some(asker) = self.workers.to.get(finding.asker.index()) {
                    asker.send(ToWorker::Answer(finding));
                }
                Step::Nothing
            }
        }
    }

    fn tell_others(&self, teller: WorkerIdx, message: &ToWorker) {
        for (place, worker) in self.workers.to.iter().enumerate() {
            if place != teller.index() {
                worker.send(message.clone());
            }
        }
    }

    pub(in crate::control) fn tell_all(&self, message: &ToWorker) {
        for worker in &self.workers.to {
            worker.send(message.clone());
        }
    }
}
