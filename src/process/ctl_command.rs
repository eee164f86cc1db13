//! `coremux ctl`: brings a command to a running proxy, and shows what it says.
//!
//! Never: knows what a command means. That is the proxy's, whose table is also what help shows.

use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::process::cli::NAME;
use crate::process::http;
use crate::process::http::Request;
use crate::process::say;
use crate::process::top;

/// Longer than the proxy itself gives a command.
const WITHIN: Duration = Duration::from_secs(65);

/// The command that is shown here.
const TOP: &str = "top";

/// The command whose answer does not end.
const MONITOR: &str = "monitor";

/// Refused, or not so.
pub(super) const REFUSED: u8 = 1;

/// Nobody is there, or does not answer.
pub(super) const UNREACHABLE: u8 = 2;

/// A process takes over: it could not be asked in all the time that this takes.
const AGAIN: u8 = 3;

/// How often it is asked anew while a process takes over: for a quarter of a minute.
const TRIES: u32 = 75;

/// How long between two of them.
const STEP: Duration = Duration::from_millis(200);

/// Sends `words`, a command and its arguments; exit code 0 if it was done, 1 if it was refused, 2
/// if the proxy cannot be reached, 3 if another process takes over and nobody was told.
pub(super) fn run(socket: &Path, words: &[String]) -> ExitCode {
    let (Some(target), Some((name, arguments))) = (absolute(socket), words.split_first()) else {
        say(&format!("{NAME}: {}: no such path\n", socket.display()));
        return ExitCode::from(UNREACHABLE);
    };
    // A view of this terminal: the proxy is only asked.
    if name == TOP && arguments.is_empty() {
        return top::run(&target);
    }
    // It becomes a part of a path, and arguments are lines.
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.chars().all(is_word) || arguments.iter().any(|word| word.contains(['\r', '\n'])) {
        say(&format!("{NAME}: `{}` is no command\n", words.join(" ")));
        return ExitCode::from(REFUSED);
    }
    let request = Request {
        method: "POST",
        path: &format!("/ctl/{name}"),
        body: &arguments.join("\n"),
    };
    let ask = || match name == MONITOR {
        true => http::follow(&target, request, WITHIN, show),
        false => http::ask(&target, request, WITHIN),
    };
    let mut answer = ask();
    let mut tries = 1;
    while tries < TRIES && answer.as_ref().is_ok_and(|answer| answer.status == 503) {
        if tries == 1 {
            say(&format!(
                "{NAME}: another process takes over, asking again\n"
            ));
        }
        thread::sleep(STEP);
        answer = ask();
        tries += 1;
    }
    match answer {
        Ok(answer) => {
            // What is not read need not be written.
            let _ = io::stdout().write_all(answer.body.as_bytes());
            match answer.status {
                200 => ExitCode::SUCCESS,
                503 => ExitCode::from(AGAIN),
                _ => ExitCode::from(REFUSED),
            }
        }
        Err(error) => {
            say(&format!(
                "{NAME}: cannot reach the proxy at {target}: {error}; does it run with `--ctl \
                 {target}`?\n"
            ));
            ExitCode::from(UNREACHABLE)
        }
    }
}

/// As it comes; it fails where nobody reads it any more.
fn show(piece: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(piece)?;
    stdout.flush()
}

fn absolute(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    path.into_os_string().into_string().ok()
}
