//! `coremux ctl`: brings a command to a running proxy, and shows what it says.
//!
//! Never: knows what a command means. That is the proxy's, whose table is also what help shows.

use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::process::cli::NAME;
use crate::process::http;
use crate::process::http::Request;
use crate::process::say;

/// Longer than the proxy itself gives a command.
const WITHIN: Duration = Duration::from_secs(65);

/// Refused, or not so.
const REFUSED: u8 = 1;

/// Nobody is there, or does not answer.
pub(super) const UNREACHABLE: u8 = 2;

/// Sends `words`, a command and its arguments; exit code 0 if it was done, 1 if it was refused, 2
/// if the proxy cannot be reached.
pub(super) fn run(socket: &Path, words: &[String]) -> ExitCode {
    let (Some(target), Some((name, arguments))) = (absolute(socket), words.split_first()) else {
        say(&format!("{NAME}: {}: no such path\n", socket.display()));
        return ExitCode::from(UNREACHABLE);
    };
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
    match http::ask(&target, request, WITHIN) {
        Ok(answer) => {
            // What is not read need not be written.
            let _ = io::stdout().write_all(answer.body.as_bytes());
            match answer.status {
                200 => ExitCode::SUCCESS,
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

fn absolute(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    path.into_os_string().into_string().ok()
}
