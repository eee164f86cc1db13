//! Where the configuration comes from, as the control plane needs it.
//!
//! Owns: the words between the control plane, which decides when to reload and tells the workers,
//! and whoever reads the file and opens sockets. Never: either of the two.

use std::sync::Arc;

use crate::config::Config;
use crate::config::Table;
use crate::proxy::Reload;
use crate::reactor::ToWorker;
use crate::stats::WorkerStats;

/// The configuration file, and the sockets that pools listen on.
pub trait Source: Send + Sync {
    /// Reads the file, and opens the sockets that it asks for and `served` does not have. Nothing of
    /// what is served changes by it, and what is dropped was never opened. It may take a second.
    ///
    /// # Errors
    ///
    /// Every problem and its place, a line each.
    fn prepare(&self, served: &Config) -> Result<Prepared, Vec<String>>;

    /// What the file looks like from outside, to see whether it was changed; `None` without a file.
    fn stamp(&self) -> Option<Stamp>;
}

/// A file that looks the same twice has not been changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file's own number: another one was put in its place.
    pub inode: (u64, u64),
    /// When it was written, in nanoseconds since 1970.
    pub written: i128,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A valid configuration, whose sockets are open.
pub struct Prepared {
    /// What the file says.
    pub config: Config,
    /// Makes of it what each worker is told.
    pub commit: Box<dyn FnOnce(Commit<'_>) -> Vec<ToWorker> + Send>,
}

/// What was read, or every problem.
pub(super) type Outcome = Result<Prepared, Vec<String>>;

/// What workers need to know besides the sockets.
#[derive(Debug)]
pub struct Commit<'a> {
    /// What was served.
    pub was: &'a Table,
    /// What is served.
    pub reload: Reload,
    /// Each worker's numbers, in the table's places.
    pub stats: Vec<Arc<WorkerStats>>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}
