//! The control plane: one glommio executor on an ordinary thread.
//!
//! Owns: the statistics port, the admin side, signals, the lookup of servers' names, the life and
//! death of the workers. Never: a client's or a server's byte; it meets the workers only in mailboxes and in
//! numbers that they publish. Lives on the main thread, and sleeps when nothing happens.

mod accept;
mod admin;
mod adopt;
mod bequest;
mod clock;
mod conduct;
pub mod ctl;
mod doors;
mod event;
mod health;
mod inside;
mod notify;
mod probe;
mod resolve;
mod sentinel;
mod signals;
mod signs;
mod source;
mod stats_port;
mod supervisor;
mod upgrade;
mod watchdog;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use glommio::LocalExecutorBuilder;
use glommio::Placement;
use glommio::PoolPlacement;
use thiserror::Error;

use crate::config::Table;
use crate::ejection::Ejector;
use crate::reactor::FromWorker;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::ToWorker;

pub use health::HealthFile;
pub use inside::DESCRIPTORS_OF_DOORS;
pub use probe::Probes;
pub use resolve::Lookup;
pub use resolve::Names;
pub use resolve::system_lookup;
pub use sentinel::Sentinels;
pub use signals::Signals;
pub use source::Commit;
pub use source::Prepared;
pub use source::Source;
pub use source::Stamp;
pub use stats_port::Numbers;
pub use stats_port::StatsSource;
pub use supervisor::Ending;
pub use upgrade::UpgradeSetup;

/// The log as the control plane needs it: signals turn it.
pub trait Log {
    /// Opens the file again, after it was moved away.
    fn reopen(&self);
    /// Changes what is written by `by` of twemproxy's levels; the level now.
    fn change_level(&self, by: i8) -> u8;
    /// Writes what belongs to this one of twemproxy's levels; the level now.
    fn set_level(&self, level: u8) -> u8;
    /// The level, if it is another by somebody's word than by the command line.
    fn told_level(&self) -> Option<u8>;
}

/// What it means that the health port is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthMeans {
    /// That this process is healthy. All proxies see the same servers, so to close the port when
    /// servers fail would take away all of them at once, and heal nothing.
    #[default]
    Live,
    /// That its pools can serve, too: for who has something better to send clients to.
    Ready,
}

/// What people, monitors and load balancers reach the process by; nothing of it need be there.
#[derive(Debug, Default)]
pub struct AdminSetup {
    /// `--admin`: bound and listening.
    pub http: Option<std::net::TcpListener>,
    /// `--health`: bound and not listening.
    pub health_port: Option<std::net::TcpListener>,
    /// `--health-means`.
    pub health_means: HealthMeans,
    /// `--health-file`.
    pub health_file: Option<HealthFile>,
    /// `--ctl`: bound and listening.
    pub ctl: Option<std::os::unix::net::UnixListener>,
}

impl AdminSetup {
    // Without anybody who could see it, health is not looked at, and no worker is asked for a pass.
    fn is_empty(&self) -> bool {
        let sockets = self.http.is_none() && self.health_port.is_none() && self.ctl.is_none();
        sockets && self.health_file.is_none()
    }
}

/// What the control plane works with.
pub struct Setup {
    /// What the statistics port prints.
    pub stats: StatsSource,
    /// Bound and listening.
    pub stats_listener: std::net::TcpListener,
    /// What was asked for.
    pub admin: AdminSetup,
    /// What the workers serve.
    pub table: Arc<Table>,
    /// Where the configuration comes from.
    pub source: Arc<dyn Source>,
    /// As the file looked before it was read for `table`: what was changed since is to be read.
    pub read: Option<Stamp>,
    /// Whether to look for changes of the file.
    pub reload_on_change: bool,
    /// How many servers each pool needs to be ready, as `PoolIdx` counts them.
    pub required_servers: Vec<usize>,
    /// One for each worker, as `WorkerIdx` counts them.
    pub workers: Vec<Sender<ToWorker>>,
    /// Where all workers speak.
    pub inbox: Receiver<FromWorker>,
    /// The servers' names.
    pub names: Names,
    /// Who says where servers are.
    pub sentinels: Sentinels,
    /// Which servers are good.
    pub ejector: Ejector,
    /// How servers that have failed are asked whether they serve again.
    pub probes: Probes,
    /// Registered before the workers started.
    pub signals: Signals,
    /// Turned by signals.
    pub log: Box<dyn Log>,
    /// Called once, when every worker serves.
    pub ready: Box<dyn FnOnce()>,
    /// What an upgrade needs.
    pub upgrade: UpgradeSetup,
    /// How long clients have to get their answers after SIGTERM.
    pub drain_within: Duration,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

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
    Ok(executor.run(conduct::conduct(setup, inbox_wake, names_wake)))
}
