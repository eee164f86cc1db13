//! Errors, and what a server says of itself.

use std::fmt::Display;

use crate::protocol::ErrorClass;
use crate::protocol::Greeting;
use crate::protocol::Question;
use crate::protocol::Told;

const PING: &[u8] = b"0 ping\n";
const PONG: &[u8] = b"0 pong\n";

/// Appends the request of these words.
pub fn write_words(words: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(&words.join(&b' '));
    out.push(b'\n');
}

/// Appends an error.
pub fn write_error(text: impl Display, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("- {text}\n").as_bytes());
}

/// An error's text.
#[must_use]
pub fn error_text(head: &[u8]) -> String {
    let text = head.strip_prefix(b"- ").unwrap_or(head);
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// What an error says of its server.
#[must_use]
pub fn classify(head: &[u8]) -> ErrorClass {
    match head.starts_with(b"- loading") {
        true => ErrorClass::Loading,
        false => ErrorClass::Request,
    }
}

/// Nobody logs in here.
#[must_use]
pub fn greeting(question: Option<Question>) -> Greeting {
    match question {
        Some(_) => Greeting {
            bytes: PING.to_vec(),
            replies: 1,
            ..Greeting::default()
        },
        None => Greeting::default(),
    }
}

/// What a server says of itself.
#[must_use]
pub fn told(head: &[u8]) -> Told {
    match head {
        PONG => Told::Well,
        _ if head.starts_with(b"-") => Told::Refused(error_text(head)),
        _ => Told::Unexpected,
    }
}

/// Whether it has answered that all is well.
#[must_use]
pub fn all_well(answer: &[u8]) -> Option<bool> {
    answer.ends_with(b"\n").then(|| answer == PONG)
}
