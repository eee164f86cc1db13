//! The error replies to a request that the table has no place for, in Redis's words.
//!
//! Texts are those of Redis 7.0 (`src/server.c`, `commandCheckExistence`, `commandCheckArity`),
//! which clients compare; `tests/command_table/` compares them with a real server's.

use super::Command;
use super::args::Args;
use super::handling::Refusal;
use super::keys::KeyError;

/// The most bytes of a client's text that Redis repeats in an error.
const ECHO_BYTES_MAX: usize = 128;

/// What Redis says instead of `ERR` when an `EXEC` is wrong in itself.
const EXEC_PREFIX: &[u8] = b"-EXECABORT Transaction discarded because of: ";

/// Why a request is answered with an error. [`write_reply`](CommandError::write_reply) says it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum CommandError {
    /// No row has this name.
    #[error("unknown command")]
    Unknown,
    /// The container has no such subcommand.
    #[error("unknown subcommand of '{}'", .0.name)]
    UnknownSubcommand(&'static Command),
    /// Too few or too many arguments.
    #[error("wrong number of arguments for '{}' command", .0.name)]
    WrongArity(&'static Command),
    /// Its keys cannot be found.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// It is none, and its client goes on: the error, in its protocol's words.
    #[error("{0}")]
    Broken(&'static str),
    /// The table says no.
    #[error("'{command}' is refused: {why}", command = .0.name, why = .1)]
    Refused(&'static Command, Refusal),
}

impl CommandError {
    /// A word for it, by which it is counted.
    #[must_use]
    pub const fn cause(&self) -> &'static str {
        match self {
            CommandError::Unknown | CommandError::UnknownSubcommand(_) => "unknown_command",
            CommandError::WrongArity(_) | CommandError::Keys(_) => "wrong_arguments",
            CommandError::Broken(_) => "broken_request",
            CommandError::Refused(..) => "command_refused",
        }
    }

    /// Appends the error reply to the request `args`, line end included.
    pub fn write_reply<A: Args + ?Sized>(&self, args: &A, out: &mut Vec<u8>) {
        out.extend_from_slice(match self {
            CommandError::WrongArity(exec) if exec.name == "exec" => EXEC_PREFIX,
            _ => b"-ERR ",
        });
        let text = out.len();
        match self {
            CommandError::Unknown => push_unknown_command(args, out),
            CommandError::UnknownSubcommand(container) => {
                out.extend_from_slice(b"unknown subcommand '");
                push_echo(echo(args, 1), ECHO_BYTES_MAX, out);
                out.extend_from_slice(b"'. Try ");
                out.extend(container.name.bytes().map(|b| b.to_ascii_uppercase()));
                out.extend_from_slice(b" HELP.");
            }
            CommandError::Refused(_, Refusal::ClusterDisabled) => {
                push(Refusal::ClusterDisabled, out);
            }
            CommandError::WrongArity(_)
            | CommandError::Keys(_)
            | CommandError::Broken(_)
            | CommandError::Refused(..) => {
                push(self, out);
            }
        }
        // A line end inside would break the protocol.
        for byte in &mut out[text..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `unknown command 'x', with args beginning with: 'a' 'b' `, the space at the end included.
fn push_unknown_command<A: Args + ?Sized>(args: &A, out: &mut Vec<u8>) {
    out.extend_from_slice(b"unknown command '");
    push_echo(echo(args, 0), ECHO_BYTES_MAX, out);
    out.extend_from_slice(b"', with args beginning with: ");
    let begin = out.len();
    for i in 1..args.len() {
        let used = out.len() - begin;
        if used >= ECHO_BYTES_MAX {
            break;
        }
        out.push(b'\'');
        push_echo(args.arg(i), ECHO_BYTES_MAX - used, out);
        out.extend_from_slice(b"' ");
    }
}

fn echo<A: Args + ?Sized>(args: &A, i: usize) -> &[u8] {
    if i < args.len() { args.arg(i) } else { b"" }
}

/// As C's `%.*s` does: no further than a zero byte.
fn push_echo(text: &[u8], max: usize, out: &mut Vec<u8>) {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    out.extend_from_slice(&text[..end.min(max)]);
}

fn push(text: impl std::fmt::Display, out: &mut Vec<u8>) {
    out.extend_from_slice(text.to_string().as_bytes());
}
