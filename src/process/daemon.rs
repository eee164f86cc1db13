//! Becoming a daemon, as twemproxy does: two forks, a session of its own, stdio to /dev/null.
//!
//! Unlike twemproxy the first process stays until the daemon serves, and its exit code says
//! whether it does; until then the daemon's stderr is the terminal's.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Write;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::pipe::pipe_with;
use rustix::process::WaitOptions;
use rustix::process::setsid;
use rustix::process::umask;
use rustix::process::waitpid;
use thiserror::Error;

/// Why there is no daemon.
#[derive(Debug, Error)]
#[error("cannot become a daemon: {what}: {source}")]
pub(super) struct DaemonError {
    what: &'static str,
    source: io::Error,
}

/// A daemon that has not said yet that it serves. Dropped, it says that it does not.
#[derive(Debug)]
pub(super) struct Daemon {
    parent: File,
}

/// What files of a daemon are made with: as they ask, nothing taken away (twemproxy: `nc_daemonize`).
/// A Unix socket without a mode in the configuration is open to all.
pub(super) fn clear_umask() {
    umask(Mode::empty());
}

/// Goes on in a process without a terminal. The calling process never returns from here: it waits
/// for [`Daemon::ready`] and exits with 0, or with 1 when the daemon ends before.
///
/// # Errors
///
/// When the system gives no pipe, process or session.
///
/// # Panics
///
/// When this process has other threads: they would not be in the daemon.
pub(super) fn daemonize() -> Result<Daemon, DaemonError> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert_eq!(threads, 1, "a daemon is made before there are threads");
    let (from_daemon, to_parent) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    let null = OpenOptions::new()
        .read(true)
        .open("/dev/null")
        .map_err(failed_io("open /dev/null"))?;
    if let Some(child) = fork()? {
        drop(to_parent);
        std::process::exit(wait_for_daemon(child, File::from(from_daemon)));
    }
    drop(from_daemon);
    setsid().map_err(failed("setsid"))?;
    // Not a session's leader any more, it can never come by a terminal again.
    if fork()?.is_some() {
        std::process::exit(0);
    }
    rustix::stdio::dup2_stdin(null).map_err(failed("stdin"))?;
    Ok(Daemon {
        parent: File::from(to_parent),
    })
}

impl Daemon {
    /// Lets the first process go, with success, and lets go of the terminal.
    ///
    /// # Errors
    ///
    /// When /dev/null cannot be opened.
    pub(super) fn ready(mut self) -> io::Result<()> {
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        // Nobody waits when the first process was killed meanwhile; the daemon serves all the same.
        let _ = self.parent.write_all(&[1]);
        Ok(())
    }
}

fn wait_for_daemon(child: rustix::process::Pid, mut from_daemon: File) -> i32 {
    while let Err(Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
    match from_daemon.read_exact(&mut [0]) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

// The child is None.
fn fork() -> Result<Option<rustix::process::Pid>, DaemonError> {
    #[allow(unsafe_code, reason = "there is no safe fork")]
    // SAFETY: there is one thread (asserted above, and none is made here), so no lock is held and
    // no invariant is broken in the child.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(failed_io("fork")(io::Error::last_os_error()));
    }
    Ok(rustix::process::Pid::from_raw(pid))
}

fn failed(what: &'static str) -> impl FnOnce(Errno) -> DaemonError {
    move |errno| failed_io(what)(errno.into())
}

fn failed_io(what: &'static str) -> impl FnOnce(io::Error) -> DaemonError {
    move |source| DaemonError { what, source }
}
