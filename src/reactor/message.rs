//! What the control plane and the workers say to each other.
//!
//! Never: anything that happens once per request.

use std::sync::Arc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::WorkerIdx;
use crate::proxy::Change;
use crate::proxy::Report;

/// From the control plane to a worker.
#[derive(Clone, Debug)]
pub enum ToWorker {
    /// A fact that every worker applies in the same order.
    Change(Arc<Change>),
    /// Close the listeners, answer what was asked, then close the clients.
    Drain {
        /// What is not answered by then is cut.
        within: Duration,
    },
    /// Close everything now.
    Stop,
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
