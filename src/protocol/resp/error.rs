//! Errors: how they are written, and what those of a server say of it.

use std::fmt::Display;
use std::io::Write;

use crate::protocol::ErrorClass;

/// By how the error begins, with the blank behind its code.
const CLASSES: [(&[u8], ErrorClass); 9] = [
    (b"-OOM ", ErrorClass::Overloaded),
    (b"-BUSY ", ErrorClass::Overloaded),
    (b"-LOADING ", ErrorClass::Loading),
    (b"-NOSCRIPT ", ErrorClass::NoScript),
    (b"-MASTERDOWN ", ErrorClass::MasterAway),
    (b"-READONLY ", ErrorClass::NotMaster),
    (b"-NOREPLICAS ", ErrorClass::TooFewReplicas),
    // Not that of `CLIENT UNBLOCK`, which is meant for who waits.
    (b"-UNBLOCKED force unblock", ErrorClass::Unblocked),
    // And then it closes (redis: src/networking.c, setProtocolError).
    (b"-ERR Protocol error", ErrorClass::Unreadable),
];

/// What an error says of its server.
#[must_use]
pub fn classify(head: &[u8]) -> ErrorClass {
    let row = CLASSES.iter().find(|(mark, _)| head.starts_with(mark));
    row.map_or(ErrorClass::Request, |(_, class)| *class)
}

/// An error without what makes it one.
#[must_use]
pub fn error_text(head: &[u8]) -> String {
    let text = head.strip_prefix(b"-").unwrap_or(head);
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// Appends an error of our own.
pub fn write_error(code: &str, text: impl Display, out: &mut Vec<u8>) {
    write_error_line(&format!("{code} {text}"), out);
}

/// Appends an error, its code included.
pub fn write_error_line(text: &str, out: &mut Vec<u8>) {
    debug_assert!(
        !text.contains(['\r', '\n']),
        "a line end would break the protocol"
    );
    // Writing to a vector does not fail.
    let _ = write!(out, "-{text}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_only_as_a_whole_word() {
        assert_eq!(classify(b"-LOADING wait\r\n"), ErrorClass::Loading);
        assert_eq!(classify(b"-LOADINGS wait\r\n"), ErrorClass::Request);
        assert_eq!(classify(b"+LOADING wait\r\n"), ErrorClass::Request);
        assert_eq!(classify(b""), ErrorClass::Request);
    }

    #[test]
    fn what_follows_from_an_error() {
        let all = |is: fn(ErrorClass) -> bool| -> Vec<&str> {
            let rows = CLASSES.iter().filter(|(_, class)| is(*class));
            rows.map(|(mark, _)| std::str::from_utf8(mark).expect("text"))
                .collect()
        };
        assert_eq!(
            all(ErrorClass::is_transient),
            ["-OOM ", "-BUSY ", "-LOADING "]
        );
        assert_eq!(all(ErrorClass::is_unfit), ["-LOADING ", "-MASTERDOWN "]);
        assert_eq!(all(ErrorClass::is_demoted), ["-MASTERDOWN ", "-READONLY "]);
        assert_eq!(all(ErrorClass::is_not_yet), ["-LOADING ", "-NOREPLICAS "]);
    }

    #[test]
    fn an_error_is_one_line() {
        let mut out = Vec::new();
        write_error("ERR", "no", &mut out);
        assert_eq!(out, b"-ERR no\r\n");
        assert_eq!(error_text(&out), "ERR no");
    }
}
