//! `--upgrade`, and what the program is started with again.
//!
//! Owns: which file is started, and how a running proxy is notified. What follows is
//! `control::main_loop::upgrade`'s.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::cli::NAME;
use crate::process::ctl_command;
use crate::process::fail;
use crate::process::running;
use crate::process::running::NotRunning;
use crate::process::running::Running;
use crate::process::say;

/// A new process has half a minute to get ready, and clients ten seconds to come to the end of a
/// request.
const DONE_WITHIN: Duration = Duration::from_secs(45);

/// How often the pid file is looked at.
const STEP: Duration = Duration::from_millis(20);

/// The program of this process, as it was called.
#[derive(Clone, Debug)]
pub(super) struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start: later the file may be another one, which is the point, and the
    /// working directory, too, which is not.
    ///
    /// # Errors
    ///
    /// When nothing says which file it is.
    pub(super) fn of_this_process() -> io::Result<Program> {
        let mut arguments = std::env::args_os();
        let called = arguments.next().unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        // As it was called, and not what a link of that name pointed to: the link is what an
        // installation changes.
        let file = match found(&called, &path) {
            Some(file) => std::path::absolute(file)?,
            None => std::env::current_exe()?,
        };
        Ok(Program {
            file,
            arguments: arguments.collect(),
        })
    }

    /// Starts it again, with the same arguments.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.args(&self.arguments);
        // They are about this very process. Without its number the watchdog is anyone's.
        for name in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        command
    }
}

/// As the shell finds it.
fn found(called: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let called = Path::new(called);
    if called.components().count() > 1 {
        return called.is_file().then(|| called.to_owned());
    }
    let folders = std::env::split_paths(path);
    let mut files = folders.map(|folder| folder.join(called));
    files.find(|file| file.is_file())
}

/// Tells a running proxy to hand over to a new process, and waits until it has: by its pid file if
/// that is known, else by its control socket, which can say more.
///
/// The exit code is 0 when the new process serves, 1 when the old one serves on, 2 when there is
/// none that could be told.
pub(super) fn run(pid_file: Option<&Path>, socket: &Path) -> ExitCode {
    let Some(pid_file) = pid_file else {
        return ctl_command::run(socket, &["upgrade".to_owned()]);
    };
    let old = match Running::named_by(pid_file) {
        Ok(old) => old,
        Err(why) => return untold(&why),
    };
    if let Err(why) = old.signal(Signal::USR2) {
        return untold(&NotRunning::System {
            path: pid_file.to_owned(),
            pid: old.pid().as_raw_nonzero().get(),
            why,
        });
    }
    let mut waited = Duration::ZERO;
    while waited < DONE_WITHIN {
        let ended = old.ends_within(STEP);
        waited += STEP;
        match running::read(pid_file) {
            Ok(new) if new != old.pid() => {
                say(&format!("process {} serves\n", new.as_raw_nonzero()));
                return ExitCode::SUCCESS;
            }
            _ if ended => break,
            _ => {}
        }
    }
    fail(&format!(
        "{NAME}: no new process serves; the log says why\n"
    ))
}

fn untold(why: &NotRunning) -> ExitCode {
    say(&format!("{NAME}: {why}\n"));
    ExitCode::from(ctl_command::UNREACHABLE)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_program_is_found_where_it_was_called_and_else_in_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("program");
        fs::write(&file, "").unwrap();
        let path = std::env::join_paths([Path::new("/nowhere"), dir.path()]).unwrap();
        let find = |called: &OsStr| found(called, &path);
        assert_eq!(find(OsStr::new("program")), Some(file.clone()));
        assert_eq!(find(file.as_os_str()), Some(file.clone()));
        assert_eq!(find(OsStr::new("another")), None);
        assert_eq!(find(OsStr::new("/nowhere/program")), None);
    }

    #[test]
    fn it_is_started_with_the_same_arguments_and_without_what_is_about_this_process() {
        let program = Program {
            file: PathBuf::from("/bin/program"),
            arguments: vec![OsString::from("-c"), OsString::from("x.yml")],
        };
        let command = program.command();
        assert_eq!(command.get_program(), "/bin/program");
        assert!(command.get_args().eq(["-c", "x.yml"]));
        assert!(
            command
                .get_envs()
                .any(|(name, value)| name == "WATCHDOG_PID" && value.is_none())
        );
    }
}
