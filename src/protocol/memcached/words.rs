//! Errors, what the proxy answers itself, and what a server says of itself.

use std::fmt::Display;

use crate::protocol::ErrorClass;
use crate::protocol::Expect;
use crate::protocol::Greeting;
use crate::protocol::Release;
use crate::protocol::Request;
use crate::protocol::Told;
use crate::protocol::command::CommandError;
use crate::protocol::command::Local;
use crate::protocol::memcached::reply::Form;
use crate::protocol::memcached::reply::is_error;
use crate::protocol::memcached::table::is_quiet;

const VERSION: &[u8] = b"version\r\n";

/// The first one whose meta commands are those of today: before 1.6 there are none, and in 1.6.0 the
/// data of `ms` had its size elsewhere.
const WITH_META: Release = Release(1, 6, 12);

/// Appends the error of a proxy that may not do what it was asked.
pub fn write_denial(text: impl Display, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("CLIENT_ERROR {text}\r\n").as_bytes());
}

/// Appends the error of a proxy that could not do what it was asked.
pub fn write_error(text: impl Display, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("SERVER_ERROR {text}\r\n").as_bytes());
}

/// Appends the error that tells a client why a request is not done, unless it wants to hear nothing.
pub fn write_refusal(error: &CommandError, request: &Request<'_>, out: &mut Vec<u8>) {
    if is_quiet(request) {
        return;
    }
    let line = match error {
        CommandError::Broken(line) => format!("{line}\r\n"),
        error => format!("CLIENT_ERROR {error}\r\n"),
    };
    out.extend_from_slice(line.as_bytes());
}

/// Appends what the proxy answers by itself.
pub fn local_reply(local: Local, out: &mut Vec<u8>) {
    if local == Local::Ping {
        out.extend_from_slice(b"MN\r\n");
    }
}

fn line_of(head: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'\r', b'\n', head);
    &head[..end.unwrap_or(head.len())]
}

/// An error's text.
#[must_use]
pub fn error_text(head: &[u8]) -> String {
    let line = line_of(head);
    let text = [&b"SERVER_ERROR "[..], b"CLIENT_ERROR ", b"ERROR "]
        .iter()
        .find_map(|word| line.strip_prefix(*word));
    String::from_utf8_lossy(text.unwrap_or(line)).into_owned()
}

/// What an error says of its server.
#[must_use]
pub fn classify(head: &[u8]) -> ErrorClass {
    match head.starts_with(b"SERVER_ERROR out of memory") {
        true => ErrorClass::Overloaded,
        false => ErrorClass::Request,
    }
}

/// What is sent first: whether a server serves, and has meta commands, is known before it gets a request.
#[must_use]
pub fn greeting() -> Greeting {
    Greeting {
        bytes: VERSION.to_vec(),
        replies: 1,
        ..Greeting::default()
    }
}

/// What a server says of itself.
#[must_use]
pub fn told(head: &[u8]) -> Told {
    let line = line_of(head);
    match line.strip_prefix(b"VERSION ") {
        Some(release) if has_meta(release) => Told::Well,
        Some(_) => Told::Older,
        None if is_error(line) => Told::Refused(error_text(line)),
        None => Told::Unexpected,
    }
}

/// What cannot be read may be any release.
fn has_meta(release: &[u8]) -> bool {
    let number = release.split(|byte| *byte == b' ').next();
    let number = number.and_then(Release::parse);
    number.is_some_and(|number| number >= WITH_META)
}

/// What a server tells of itself alone: those of all servers together would mean nothing.
pub const DETAILS: &[&str] = &["items", "slabs", "settings", "conns"];

/// The request for one of them, and what comes for it.
#[must_use]
pub fn detail(what: &str) -> Option<(Vec<u8>, Expect)> {
    let expect = Expect::ONE.of_form(Form::Stats as u8, 0);
    DETAILS
        .contains(&what)
        .then(|| (format!("stats {what}\r\n").into_bytes(), expect))
}

/// Whether it has answered that all is well.
#[must_use]
pub fn all_well(answer: &[u8]) -> Option<bool> {
    let is_whole = answer.ends_with(b"\n");
    is_whole.then(|| matches!(told(answer), Told::Well | Told::Older))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_its_version_serves() {
        assert_eq!(all_well(b"VERSION 1.6"), None);
        assert_eq!(all_well(b"VERSION 1.6.18\r\n"), Some(true));
        assert_eq!(all_well(b"VERSION 1.4.15\r\n"), Some(true));
        assert_eq!(all_well(b"ERROR\r\n"), Some(false));
        assert_eq!(told(b"VERSION 1.6.18\r\n"), Told::Well);
        let full = told(b"SERVER_ERROR too many connections\r\n");
        assert_eq!(full, Told::Refused("too many connections".to_owned()));
        let full = told(b"ERROR Too many open connections\r\n");
        assert_eq!(full, Told::Refused("Too many open connections".to_owned()));
        assert_eq!(told(b"-ERR unknown command\r\n"), Told::Unexpected);
    }

    #[test]
    fn only_a_release_that_is_known_to_have_meta_commands_has_them() {
        for new in [
            "1.6.12",
            "1.6.18",
            "1.6.40_beta3",
            "1.7.0",
            "2.0",
            "1.6.21 (Ubuntu)",
        ] {
            let line = format!("VERSION {new}\r\n");
            assert_eq!(told(line.as_bytes()), Told::Well, "{new}");
        }
        for old in [
            "1.2.8",
            "1.4.5_4_gaa7839e",
            "1.5.22",
            "1.6.0",
            "1.6.11",
            "x",
            "",
            " 1.6.18",
        ] {
            let line = format!("VERSION {old}\r\n");
            assert_eq!(told(line.as_bytes()), Told::Older, "{old}");
        }
    }

    #[test]
    fn only_a_server_without_memory_is_thought_ill_of() {
        let too_large = b"SERVER_ERROR object too large for cache\r\n";
        assert_eq!(classify(too_large), ErrorClass::Request);
        let full = b"SERVER_ERROR out of memory storing object\r\n";
        assert_eq!(classify(full), ErrorClass::Overloaded);
        assert_eq!(error_text(too_large), "object too large for cache");
    }
}
