//! What the workers say, and what all of them are told.

use std::sync::Arc;

use tracing::error;

use crate::control::supervisor::Step;
use crate::reactor::FromWorker;
use crate::reactor::ToWorker;

use super::Control;

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
            FromWorker::Ask(inquiry) => {
                let asker = inquiry.asker.index();
                for (place, worker) in self.workers.iter().enumerate() {
                    if place != asker {
                        worker.send(ToWorker::Ask(Arc::clone(&inquiry)));
                    }
                }
                Step::Nothing
            }
            FromWorker::Answer(finding) => {
                if let Some(asker) = self.workers.get(finding.asker.index()) {
                    asker.send(ToWorker::Answer(finding));
                }
                Step::Nothing
            }
        }
    }

    pub(in crate::control) fn tell_all(&self, message: &ToWorker) {
        for worker in &self.workers {
            worker.send(message.clone());
        }
    }
}
