//! What the control plane and the workers say to each other.
//!
//! Never: anything that happens once per request.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::WorkerIdx;
use crate::messages::Change;
use crate::messages::Finding;
use crate::messages::Inquiry;
use crate::messages::Report;
use crate::messages::ScriptNews;
use crate::proxy::Reload;
use crate::reactor::Admission;
use crate::stats::WorkerStats;
use crate::telemetry::Records;
use crate::telemetry::observed::Observer;
use crate::telemetry::observed::ObserverId;
use crate::telemetry::observed::Seen;

use super::Sender;
use super::hand_over::Parcel;
use super::hand_over::Shown;

/// From the control plane to a worker.
#[derive(Clone, Debug)]
pub enum ToWorker {
    /// A fact that every worker applies in the same order.
    Change(Arc<Change>),
    /// Serve other pools and servers from now on.
    Reload(Arc<Renewal>),
    /// Close the listeners, answer what was asked, then close the clients.
    Drain {
        /// What is not answered by then is cut.
        within: Duration,
    },
    /// Let the clients go, one after the other, and serve on.
    LetGo {
        /// Over this time.
        within: Duration,
    },
    /// Let no more clients go.
    Keep,
    /// Much of the memory that the process may have is in use: look what is to be given up.
    ShortOfMemory,
    /// Show your listening sockets.
    Show(mpsc::Sender<Shown>),
    /// Accept clients from now on, of a worker that stood by, or rests.
    Accept,
    /// Accept no clients until told to; to be said as soon as the kernel accepts none either. Those
    /// who wait in the sockets' queues wait there.
    Rest(mpsc::Sender<()>),
    /// Give clients away as soon as each can go; drop `to` when no more can.
    HandOver {
        /// Those of which pools, as `PoolIdx` counts them.
        pools: Arc<Vec<bool>>,
        /// Where to.
        to: mpsc::Sender<Parcel>,
        /// Who cannot go until then stays.
        within: Duration,
    },
    /// Give no more clients away.
    KeepClients,
    /// Serve this client, which another process has served; it is given to one worker alone.
    Adopt(Arc<Parcel>),
    /// A client of another worker has told something of a script.
    Script(Arc<ScriptNews>),
    /// Another worker asks about your clients.
    Ask(Arc<Inquiry>),
    /// What another worker has answered to you; it is given to one worker alone.
    Answer(Arc<Finding>),
    /// Make a pass and count it, to show that you live.
    Pass,
    /// Say what was recorded of requests, and go on with these records, in which there is nothing;
    /// they are given to one worker alone.
    TellRecords(Arc<Records>),
    /// Keep what somebody wants to see of requests, from now on.
    Observe(Arc<Observer>),
    /// Say what you have seen for him since this was asked last.
    TellSeen(ObserverId),
    /// Keep nothing for him any more.
    Disregard(ObserverId),
    /// Close everything now.
    Stop,
}

/// What one worker needs to serve other pools and servers.
#[derive(Debug)]
pub struct Renewal {
    /// What is served.
    pub reload: Reload,
    /// Where it counts from now on: the numbers that it had, and those of what is new.
    pub stats: Arc<WorkerStats>,
    /// Which clients the process has room for.
    pub admission: Arc<Admission>,
    /// The listeners that stay; all others are closed.
    pub kept: Vec<Kept>,
    /// New listeners.
    pub opened: Vec<(PoolIdx, Arc<OwnedFd>)>,
}

/// A listener that stays, perhaps for another pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose it was.
    pub was: PoolIdx,
    /// Whose it is.
    pub is: PoolIdx,
    /// `backlog`.
    pub backlog: u32,
    /// `tcpkeepalive`.
    pub keepalive: bool,
}

/// From a worker to the control plane.
#[derive(Clone, Debug)]
pub enum FromWorker {
    /// The worker's ring is up and its listeners accept.
    Started(WorkerIdx),
    /// A server's name must be looked up (again): a connection to it is wanted or failed.
    Resolve {
        /// Its pool.
        pool: PoolIdx,
        /// Its place in the pool.
        server: ServerIdx,
    },
    /// A fact that the other workers must hear, such as a server's failure.
    Report(Report),
    /// A client has told something of a script: the other workers must hear of it.
    Script(Arc<ScriptNews>),
    /// Every other worker is asked about its clients.
    Ask(Arc<Inquiry>),
    /// What was found, for the worker that has asked.
    Answer(Arc<Finding>),
    /// Much of the memory that the process may have is in use: the other workers must hear of it.
    ShortOfMemory,
    /// What was recorded of requests, since this was said last.
    Records {
        /// By which worker.
        worker: WorkerIdx,
        /// All of it.
        records: Box<Records>,
    },
    /// What was seen for an observer, since this was said last.
    Seen {
        /// By which worker.
        worker: WorkerIdx,
        /// For whom.
        observer: ObserverId,
        /// All of it.
        seen: Box<Seen>,
    },
    /// All clients of the worker are served and closed; nothing is left to do.
    Drained(WorkerIdx),
    /// The worker's thread is about to end.
    Stopped {
        /// Which.
        worker: WorkerIdx,
        /// Why, when it was not told to.
        error: Option<String>,
    },
}

/// Says that a worker has ended, however it ends: kept on the worker's stack, it speaks also when
/// a panic takes the thread away, which nobody else would notice.
#[derive(Debug)]
pub struct Farewell {
    worker: WorkerIdx,
    outbox: Sender<FromWorker>,
    last_words: Option<Option<String>>,
}

impl Farewell {
    /// For `worker`, at the beginning of its thread.
    #[must_use]
    pub fn of(worker: WorkerIdx, outbox: Sender<FromWorker>) -> Farewell {
        Farewell {
            worker,
            outbox,
            last_words: None,
        }
    }

    /// The orderly end: `None` when the worker was told to stop, else why it could not go on.
    pub fn say(mut self, error: Option<String>) {
        self.last_words = Some(error);
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let error = self
            .last_words
            .take()
            .unwrap_or_else(|| Some("panicked".to_owned()));
        let worker = self.worker;
        self.outbox.send(FromWorker::Stopped { worker, error });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::mailbox;

    #[test]
    fn a_worker_that_panics_says_so_and_one_that_was_told_has_no_error() {
        let (outbox, mut inbox) = mailbox().unwrap();
        Farewell::of(WorkerIdx(0), outbox.clone()).say(None);
        Farewell::of(WorkerIdx(1), outbox.clone()).say(Some("no ring".to_owned()));
        let thread = std::thread::spawn(move || {
            let _farewell = Farewell::of(WorkerIdx(2), outbox);
            panic!("on purpose");
        });
        thread.join().unwrap_err();
        let mut messages = Vec::new();
        inbox.take(&mut messages);
        let said: Vec<_> = messages
            .iter()
            .map(|m| match m {
                FromWorker::Stopped { worker, error } => (worker.0, error.as_deref()),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [(0, None), (1, Some("no ring")), (2, Some("panicked"))];
        assert_eq!(said, expected);
    }
}
