//! The proxy that a pid file names.
//!
//! Owns: whether the process of that number is a Coremux, and the one that wrote the file. A pid file outlives its
//! process, and the number is given to others: no process is signalled by its number alone. Never:
//! writes the file (`pid_file`).

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::pidfd_open;
use rustix::process::pidfd_send_signal;
use thiserror::Error;

use crate::process::cli;
use crate::process::cli::Action;
use crate::process::cli::NAME;

/// A process begins before it writes its pid file. The system counts in steps of 10 ms, and a clock
/// that is being adjusted loses no second in a second.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Why there is no proxy that could be told something.
#[derive(Debug, Error)]
pub(super) enum NotRunning {
    #[error("cannot read the pid file {}: {why}", .path.display())]
    Unreadable { path: PathBuf, why: io::Error },
    #[error("the pid file {} is stale: there is no process {pid}", .path.display())]
    Gone { path: PathBuf, pid: i32 },
    #[error("the pid file {} is stale: process {pid} is `{program}`, and no {NAME}", .path.display())]
    Stranger {
        path: PathBuf,
        pid: i32,
        program: String,
    },
    #[error(
        "the pid file {} is stale: process {pid} is a {NAME}, but one that began after the file \
         was written",
        .path.display()
    )]
    Later { path: PathBuf, pid: i32 },
    #[error("cannot reach process {pid} of {}: {why}", .path.display())]
    System { path: PathBuf, pid: i32, why: Errno },
}

/// A running proxy. However long this is kept, it never means another process.
#[derive(Debug)]
pub(super) struct Running {
    pid: Pid,
    process: OwnedFd,
}

impl Running {
    /// The proxy whose number is in `path`.
    ///
    /// # Errors
    ///
    /// When it is none, or not the one that wrote the file.
    pub(super) fn named_by(path: &Path) -> Result<Running, NotRunning> {
        let here = || path.to_owned();
        let pid = read(path).map_err(|why| NotRunning::Unreadable { path: here(), why })?;
        let number = pid.as_raw_nonzero().get();
        // What is found out from here on is about this process, as long as it is there at the end.
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|why| match why {
            Errno::SRCH | Errno::INVAL => NotRunning::Gone {
                path: here(),
                pid: number,
            },
            why => NotRunning::System {
                path: here(),
                pid: number,
                why,
            },
        })?;
        let about = PathBuf::from(format!("/proc/{number}"));
        if !is_coremux(&about) {
            return Err(NotRunning::Stranger {
                path: here(),
                pid: number,
                program: program_of(&about),
            });
        }
        if !wrote(&about, path) {
            return Err(NotRunning::Later {
                path: here(),
                pid: number,
            });
        }
        let running = Running { pid, process };
        match running.ends_within(Duration::ZERO) {
            false => Ok(running),
            true => Err(NotRunning::Gone {
                path: here(),
                pid: number,
            }),
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it `signal`, if it runs still.
    ///
    /// # Errors
    ///
    /// When it has ended, or is another user's.
    pub(super) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        pidfd_send_signal(&self.process, signal)
    }

    /// Waits until it has ended, at most so long; whether it has.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        let mut process = [PollFd::new(&self.process, PollFlags::IN)];
        let time = Timespec::try_from(time).ok();
        poll(&mut process, time.as_ref()).is_ok_and(|ended| ended > 0)
    }
}

/// The number in a pid file.
///
/// # Errors
///
/// When the file cannot be read, or there is none in it.
pub(super) fn read(pid_file: &Path) -> io::Result<Pid> {
    let text = fs::read_to_string(pid_file)?;
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    let pid = number.and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no number in it"))
}

/// Whether the process of `/proc/PID` runs this program, perhaps another version of it. The file may
/// be another one by now, or be gone, which is what an upgrade is for; so names count as well.
fn is_coremux(about: &Path) -> bool {
    let own = Path::new("/proc/self");
    let identity = |of: &Path| {
        let file = fs::metadata(of.join("exe")).ok()?;
        Some((file.dev(), file.ino()))
    };
    if identity(about).is_some_and(|theirs| identity(own) == Some(theirs)) {
        return true;
    }
    let is_own = |name: OsString| name.as_bytes().starts_with(NAME.as_bytes());
    let same = |name: fn(&Path) -> Option<OsString>| name(about) == name(own);
    // It is the name that it was called by, where the program's file cannot be seen.
    match executable_of(about) {
        Some(name) => is_own(name) || same(executable_of) || same(called_of),
        None => called_of(about).is_some_and(is_own) || same(called_of),
    }
}

/// The name of the program's file, `None` where it may not be known.
fn executable_of(about: &Path) -> Option<OsString> {
    let file = fs::read_link(about.join("exe")).ok()?;
    let name = file.file_name()?.as_bytes();
    // As the kernel calls a file that has been replaced.
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    Some(OsStr::from_bytes(name).to_owned())
}

/// The name that it was called by, its first 15 bytes (proc(5)).
fn called_of(about: &Path) -> Option<OsString> {
    let name = fs::read(about.join("comm")).ok()?;
    Some(OsString::from_vec(name.trim_ascii_end().to_vec()))
}

fn program_of(about: &Path) -> String {
    let name = executable_of(about).or_else(|| called_of(about));
    name.map_or_else(
        || "unknown".to_owned(),
        |name| name.as_bytes().escape_ascii().to_string(),
    )
}

/// Whether it is the one that wrote `pid_file`: it was there when it was written. If the clock was
/// set forward since, it seems to have begun later; but then its command line names the file.
fn wrote(about: &Path, pid_file: &Path) -> bool {
    let written = fs::metadata(pid_file).and_then(|file| file.modified());
    let was_there = match (began(about), written) {
        (Some(began), Ok(written)) => began <= written + CLOCK_SLACK,
        _ => true,
    };
    was_there || was_started_with(about, pid_file)
}

/// When a process began. This one has just begun, so the difference of their beginnings, which the
/// system keeps by a clock that nobody sets, says it.
fn began(about: &Path) -> Option<SystemTime> {
    #[allow(clippy::disallowed_methods, reason = "the top floor has a clock")]
    let now = SystemTime::now();
    let earlier = began_ticks(Path::new("/proc/self"))?.checked_sub(began_ticks(about)?)?;
    let seconds = earlier / rustix::param::clock_ticks_per_second().max(1);
    now.checked_sub(Duration::from_secs(seconds))
}

/// `starttime` of proc(5).
fn began_ticks(about: &Path) -> Option<u64> {
    let text = fs::read_to_string(about.join("stat")).ok()?;
    // The second field is a name in brackets, in which anything may stand.
    let (_, behind_name) = text.rsplit_once(')')?;
    behind_name.split_whitespace().nth(19)?.parse().ok()
}

fn was_started_with(about: &Path, pid_file: &Path) -> bool {
    let Ok(line) = fs::read(about.join("cmdline")) else {
        return false;
    };
    let words = line.split(|byte| *byte == 0);
    let words = words.map(|word| OsStr::from_bytes(word).to_owned());
    let mut words: Vec<OsString> = words.collect();
    // Each word ends with a zero.
    words.pop();
    let Ok(Action::Serve { options, .. }) = cli::parse(words) else {
        return false;
    };
    let same = |path: &Path| {
        let identity = |path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        identity(path).is_some_and(|file| identity(pid_file) == Some(file))
    };
    let folder = fs::read_link(about.join("cwd")).unwrap_or_default();
    options
        .pid_file
        .is_some_and(|path| same(&folder.join(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_began_before_now_and_runs_this_program() {
        let about = PathBuf::from(format!("/proc/{}", std::process::id()));
        assert!(is_coremux(&about));
        let own = began(&about).unwrap();
        #[allow(clippy::disallowed_methods, reason = "of the real clock")]
        let now = SystemTime::now();
        let age = now.duration_since(own).unwrap();
        assert!(age < Duration::from_secs(60), "{age:?}");
        let init = began(Path::new("/proc/1")).unwrap();
        assert!(init <= own);
    }

    #[test]
    fn the_first_process_is_none_of_ours() {
        assert!(!is_coremux(Path::new("/proc/1")));
    }
}
