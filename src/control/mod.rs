//! The control plane: all that a proxy does beside passing requests on.
//!
//! Owns: the statistics port, the admin side, signals, the lookup of servers' names, the start and the
//! end of workers, and what is decided for the whole process: reloads, ejections, masters. Never: a
//! client's or a server's byte; it meets the workers only in mailboxes and in numbers that they publish,
//! so that nothing here can delay a request. Lives on the main thread, in one glommio executor, and
//! sleeps when nothing happens.

mod accept;
mod actions;
mod admin;
mod admission;
mod adopt;
mod asked;
mod clock;
mod endpoints;
mod event;
mod exchange;
mod health;
mod history;
mod main_loop;
mod notify;
mod observed;
mod probe;
mod recent;
mod resolve;
mod sentinel;
mod setup;
mod shown;
mod signals;
mod source;
mod stats_port;
mod supervisor;
mod telemetry;
mod watchdog;

use std::io;

use glommio::LocalExecutorBuilder;
use glommio::Placement;
use glommio::PoolPlacement;
use thiserror::Error;

pub use admission::DESCRIPTORS_OF_ENDPOINTS;
pub use health::HealthFile;
pub use health::HealthMeans;
pub use main_loop::ctl;
pub use probe::Probes;
pub use recent::RecentEvents;
pub use resolve::Lookup;
pub use resolve::Names;
pub use resolve::system_lookup;
pub use sentinel::Sentinels;
pub use setup::AdminActions;
pub use setup::AdminSetup;
pub use setup::Log;
pub use setup::Setup;
pub use setup::UpgradeSetup;
pub use signals::Signals;
pub use source::Commit;
pub use source::Prepared;
pub use source::Source;
pub use source::Stamp;
pub use stats_port::Numbers;
pub use stats_port::StatsSource;
pub use supervisor::Ending;

/// Why there is no control plane.
#[derive(Debug, Error)]
pub enum ControlError {
    /// glommio could not make its rings.
    #[error("the control plane's io_uring cannot be made: {0}")]
    Executor(String),
    /// No descriptor left.
    #[error("the control plane cannot listen to the workers: {0}")]
    Mailbox(#[from] io::Error),
}

/// glommio's least; nothing here is read from disk.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// Some two hundred sockets at most; what does not fit at once is submitted in turn.
const RING_DEPTH: usize = 64;

/// For the names of Sentinels and masters: a lookup that hangs leaves the others free.
const LOOKUP_THREADS: usize = 4;

/// Runs the control plane on this thread until the process should end.
///
/// # Errors
///
/// When it cannot be set up; the workers then run on and must be stopped by the caller.
pub fn run(setup: Setup) -> Result<Ending, ControlError> {
    let inbox_wake = setup.inbox.wake_socket()?;
    let names_wake = setup.names.wake_socket()?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("control")
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(RING_DEPTH)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(LOOKUP_THREADS))
        .make()
        .map_err(|e| ControlError::Executor(e.to_string()))?;
    Ok(executor.run(main_loop::run(setup, inbox_wake, names_wake)))
}
