//! A request as a line of Redis's `MONITOR`, in which every value is its length.
//!
//! ```text
//! 1339518083.107412 [0 127.0.0.1:60866] "set" "user:1" (5 bytes)
//! ```

use std::fmt::Write;
use std::net::SocketAddr;

use crate::telemetry::slow::KEY_BYTES_MAX;

/// A line shows so many arguments.
pub const ARGUMENTS_MAX: usize = 32;

/// A line on its way.
#[derive(Debug)]
pub struct Line {
    text: String,
}

impl Line {
    /// Of a request that was read at `at`, in microseconds since 1970. `pool` is its pool's name, where
    /// that is not known otherwise.
    #[must_use]
    pub fn new(at: u64, database: u32, peer: Option<SocketAddr>, pool: Option<&str>) -> Line {
        let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
        let mut text = format!("{seconds}.{micros:06} [{database} ");
        // A `String` takes whatever is written.
        let _ = match peer {
            Some(peer) => write!(text, "{peer}"),
            None => write!(text, "unix:"),
        };
        if let Some(pool) = pool {
            text.push(' ');
            text.push_str(pool);
        }
        text.push(']');
        Line { text }
    }

    /// A command's name, or a key: as Redis quotes it (src/sds.c, `sdscatrepr`), cut as keys are.
    pub fn quoted(&mut self, bytes: &[u8]) {
        let head = &bytes[..bytes.len().min(KEY_BYTES_MAX)];
        self.text.push_str(" \"");
        for byte in head {
            let _ = match byte {
                b'\\' => self.text.write_str("\\\\"),
                b'"' => self.text.write_str("\\\""),
                b'\n' => self.text.write_str("\\n"),
                b'\r' => self.text.write_str("\\r"),
                b'\t' => self.text.write_str("\\t"),
                0x07 => self.text.write_str("\\a"),
                0x08 => self.text.write_str("\\b"),
                b' '..=b'~' => self.text.write_char(char::from(*byte)),
                other => write!(self.text, "\\x{other:02x}"),
            };
        }
        let end = if head.len() < bytes.len() {
            "\"..."
        } else {
            "\""
        };
        self.text.push_str(end);
    }

    /// A value, or what may be one.
    pub fn hidden(&mut self, bytes: usize) {
        let _ = write!(self.text, " ({bytes} bytes)");
    }

    /// What may be a secret: not even its length is told.
    pub fn redacted(&mut self) {
        self.text.push_str(" \"(redacted)\"");
    }

    /// All of it, but for so many arguments.
    #[must_use]
    pub fn finish(mut self, left_out: usize) -> Box<str> {
        if left_out > 0 {
            let _ = write!(self.text, " ... ({left_out} more)");
        }
        self.text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_redis_writes_it_but_for_values() {
        let mut line = Line::new(
            1_339_518_083_007_412,
            3,
            "127.0.0.1:60866".parse().ok(),
            None,
        );
        line.quoted(b"set");
        line.quoted(b"a \"b\"\\\r\n\t\x07\x08\x00\xff");
        line.hidden(5);
        line.redacted();
        assert_eq!(
            &*line.finish(0),
            "1339518083.007412 [3 127.0.0.1:60866] \"set\" \
             \"a \\\"b\\\"\\\\\\r\\n\\t\\a\\b\\x00\\xff\" (5 bytes) \"(redacted)\""
        );
    }

    #[test]
    fn it_is_short_however_long_the_request() {
        let mut line = Line::new(1, 0, None, Some("alpha"));
        line.quoted(b"mset");
        for _ in 0..ARGUMENTS_MAX / 2 {
            line.quoted(&[b'\n'; 1_000]);
            line.hidden(1 << 30);
        }
        let line = line.finish(1_969);
        assert!(line.starts_with("0.000001 [0 unix: alpha] \"mset\" \"\\n"));
        assert!(line.ends_with(" ... (1969 more)"), "{line}");
        assert!(line.len() < 8 << 10);
    }
}
