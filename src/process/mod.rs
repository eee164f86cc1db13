//! The program: its command line, its subcommands, and the order in which a proxy starts.
//!
//! Owns: exit codes, what is said on stdout and stderr before there is a log, the log itself, the pid
//! file, limits. What can fail fails here, while the operator still looks at the terminal. Never: a rule
//! of the configuration, a byte of a client.
//!
//! As twemproxy: 0 after showing or a good test; 1 after a wrong argument or file. Unlike it, 0
//! also after a proxy's orderly end, so that a service manager does not take it for a failure.

mod check;
pub mod cli;
mod conf_file;
pub mod cores;
mod ctl_command;
mod daemon;
mod http;
mod limits;
mod log;
pub mod memory_limit;
mod pid_file;
pub mod route_command;
mod running;
pub mod serve;
pub mod test_conf;
mod top;
mod upgrade;

use std::io;
use std::io::BufWriter;
use std::io::StdoutLock;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;

use crate::config::Config;
use crate::process::cli::Action;
use crate::process::cli::NAME;
use crate::reactor::hand_over::Predecessor;
use crate::stats;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(action) => act(action),
        Err(error) => {
            say(&format!("{error}\n{}", cli::usage()));
            ExitCode::FAILURE
        }
    }
}

fn act(action: Action) -> ExitCode {
    match action {
        Action::Show { usage, stats } => show(usage, stats),
        Action::ShowText(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Action::TestConf { conf_file } => match test_conf::test_conf(&conf_file) {
            Ok(lines) => {
                say(&lines);
                ExitCode::SUCCESS
            }
            Err(lines) => fail(&lines),
        },
        Action::Route { conf_file, keys } => print(&conf_file, |config, out| {
            route_command::route(config, &keys, out)
        }),
        Action::Ctl { socket, words } => ctl_command::run(&socket, &words),
        Action::Upgrade { pid_file, socket } => upgrade::run(pid_file.as_deref(), &socket),
        Action::Check { target, dynamic } => check::run(&target, dynamic),
        Action::Ring { conf_file } => print(&conf_file, route_command::ring),
        Action::Serve {
            options,
            mbuf_size_given,
        } => {
            if mbuf_size_given {
                say(&format!("{NAME}: option -m is accepted and of no effect\n"));
            }
            serve(&options)
        }
    }
}

/// Serves, alone or after the process that has started this one.
fn serve(options: &cli::Options) -> ExitCode {
    let predecessor = match Predecessor::find() {
        Ok(predecessor) => predecessor,
        Err(error) => return fail(&format!("{NAME}: cannot take over: {error}\n")),
    };
    // Before it is read: a change that comes meanwhile is seen as one.
    let read = serve::stamp_of(&options.conf_file);
    match test_conf::read(&options.conf_file) {
        Ok(config) => serve::serve(options, config, read, predecessor),
        Err(lines) => {
            if let Some((predecessor, _)) = predecessor {
                predecessor.refuse(lines.trim_end());
            }
            fail(&lines)
        }
    }
}

/// The version; what else is asked for comes after it.
fn show(usage: bool, stats: bool) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    say(&format!(
        "This is {NAME}-{version}\nasync event backend: io_uring\n\n"
    ));
    if usage {
        say(&cli::usage());
    }
    if stats {
        say(&stats::describe());
    }
    ExitCode::SUCCESS
}

/// Prints on stdout what a sub-command finds in a configuration.
fn print(
    conf_file: &Path,
    find: impl FnOnce(&Config, &mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> ExitCode {
    let config = match test_conf::read(conf_file) {
        Ok(config) => config,
        Err(lines) => return fail(&lines),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match find(&config, &mut out).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // `coremux ring | head` has shown what was wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{NAME}: cannot write: {error}\n")),
    }
}

fn fail(text: &str) -> ExitCode {
    say(text);
    ExitCode::FAILURE
}

/// On stderr, where twemproxy says everything that is not in its log. If that is a pipe that is full
/// and that nobody reads, it stays unsaid: the process's work is not to wait for it.
fn say(text: &str) {
    let within = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let stderr = io::stderr();
    let taken = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&within));
    if taken != Ok(0) {
        // The exit code counts, whether somebody reads this or not.
        let _ = stderr.lock().write_all(text.as_bytes());
    }
}
