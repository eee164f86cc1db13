//! Why the proxy could not start, each cause with what an operator can do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::control::ControlError;
use crate::process::cores::CoresError;
use crate::process::daemon::DaemonError;
use crate::process::limits::LimitError;
use crate::process::memory_limit::MemoryLimitError;
use crate::process::pid_file::PidFileError;
use crate::reactor::RingError;
use crate::reactor::listener::ListenError;

#[derive(Debug, Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("--cores: {0}")]
    Cores(#[from] CoresError),
    #[error("--memory-limit: {0}")]
    Memory(#[from] MemoryLimitError),
    #[error("{0} workers are too many")]
    Workers(usize),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error("the sockets of systemd: {0}")]
    Systemd(io::Error),
    #[error("the system gives no {what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error("cannot write the health file {}: {source}", .path.display())]
    HealthFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// A refusal of the system, of what it was asked for.
pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}
