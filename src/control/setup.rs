//! What the control plane works with.
//!
//! Owns: the list of all that the process has prepared for it. Never: what becomes of it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Table;
use crate::control::health::HealthFile;
use crate::control::health::HealthMeans;
use crate::control::probe::Probes;
use crate::control::recent::RecentEvents;
use crate::control::resolve::Names;
use crate::control::sentinel::Sentinels;
use crate::control::signals::Signals;
use crate::control::source::Source;
use crate::control::source::Stamp;
use crate::control::stats_port::StatsSource;
use crate::ejection::Ejector;
use crate::reactor::FromWorker;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::ToWorker;
use crate::reactor::hand_over::Predecessor;

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

/// The page may ask for actions.
#[derive(Clone, Debug)]
pub struct AdminActions {
    /// The names by which the page is known; an address is always one.
    pub names: Vec<String>,
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
    /// `--admin-actions`: what the page may ask for.
    pub actions: Option<AdminActions>,
    /// What the log has to tell.
    pub recent: RecentEvents,
}

impl AdminSetup {
    // Nobody else could see what workers have recorded.
    pub(super) fn shows_numbers(&self) -> bool {
        self.http.is_some() || self.ctl.is_some()
    }

    // Without anybody who could see it, health is not looked at, and no worker is asked for a pass.
    pub(super) fn is_empty(&self) -> bool {
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

/// What an upgrade needs of the process.
pub struct UpgradeSetup {
    /// Starts this program again, as it was started.
    pub command: Box<dyn Fn() -> Command>,
    /// Takes the pid file again, after a new process was lost.
    pub reclaim: Box<dyn Fn()>,
    /// The process that hands over to this one.
    pub predecessor: Option<Predecessor>,
    /// The servers of which only the Sentinels know where they are.
    pub masters: BTreeSet<(PoolIdx, ServerIdx)>,
}
