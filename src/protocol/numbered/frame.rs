//! Where a request ends, and a reply, which depends on what was asked.

use thiserror::Error;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::protocol::Arg;
use crate::protocol::Assembled;
use crate::protocol::Cut;
use crate::protocol::Expect;
use crate::protocol::ReplyKind;
use crate::protocol::Request;
use crate::protocol::request::IN_SKELETON;

/// No line is longer.
const LINE_BYTES_MAX: usize = 4096;

/// Bytes are no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// It has no end.
    #[error("a line without an end")]
    TooLong,
    /// It has other bytes than words with one blank between them.
    #[error("a line with other bytes than words")]
    NotWords,
}

/// Where the line at `buf[at..]` ends.
fn line_end(buf: &[u8], at: usize) -> Result<Option<usize>, Broken> {
    let line = &buf[at..];
    match memchr::memchr(b'\n', line) {
        Some(found) if found > LINE_BYTES_MAX => Err(Broken::TooLong),
        None if line.len() > LINE_BYTES_MAX => Err(Broken::TooLong),
        found => Ok(found.map(|found| at + found + 1)),
    }
}

/// Cuts a request: one line of words.
///
/// # Errors
/// What makes it none.
pub fn cut_request(buf: &[u8], args: &mut Vec<Arg>) -> Result<Option<usize>, Broken> {
    args.clear();
    let Some(end) = line_end(buf, 0)? else {
        return Ok(None);
    };
    let mut start = 0;
    for word in buf[..end - 1].split(|byte| *byte == b' ') {
        if word.is_empty() || !word.iter().all(u8::is_ascii_graphic) {
            return Err(Broken::NotWords);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most LINE_BYTES_MAX")]
        args.push(Arg {
            start: start as u32,
            len: word.len() as u32,
            body: IN_SKELETON,
        });
        start += word.len() + 1;
    }
    Ok(Some(end))
}

/// Whether a message of a server that begins like this was asked for by nobody.
#[must_use]
pub fn is_unasked(buf: &[u8]) -> bool {
    buf.first() == Some(&b'!')
}

fn kind(buf: &[u8]) -> ReplyKind {
    match buf.first() {
        Some(b'!') => ReplyKind::Message,
        Some(b'-') => ReplyKind::Error,
        _ => ReplyKind::Value,
    }
}

/// Cuts a message of a server: a line or, of several values, up to the line that ends them.
///
/// # Errors
/// What makes it none.
pub fn cut_reply(expect: Expect, buf: &[u8]) -> Result<Option<Cut>, Broken> {
    let kind = kind(buf);
    let mut at = 0;
    loop {
        let Some(end) = line_end(buf, at)? else {
            return Ok(None);
        };
        let line = &buf[at..end - 1];
        if line.iter().any(|byte| !(b' '..=b'~').contains(byte)) {
            return Err(Broken::NotWords);
        }
        at = end;
        if expect != Expect::VALUES || kind != ReplyKind::Value || line.ends_with(b" .") {
            return Ok(Some(Cut { bytes: at, kind }));
        }
    }
}

/// A request that comes in pieces.
#[derive(Debug, Default)]
pub struct RequestAssembly {
    line: Vec<u8>,
    args: Vec<Arg>,
}

impl RequestAssembly {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// What makes them no request.
    pub fn feed(&mut self, chunk: &impl Chunk, at: usize) -> Result<Assembled, Broken> {
        let before = self.line.len();
        self.line.extend_from_slice(&chunk.bytes()[at..]);
        let end = cut_request(&self.line, &mut self.args)?;
        self.line.truncate(end.unwrap_or(self.line.len()));
        Ok(Assembled {
            used: self.line.len() - before,
            complete: end.is_some(),
        })
    }

    /// The request, once it is complete.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request::whole(&self.line, &self.args)
    }

    /// What has come of it.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// A reply that comes in pieces.
#[derive(Debug)]
pub struct ReplyAssembly {
    expect: Expect,
    bytes: Vec<u8>,
}

impl ReplyAssembly {
    /// Of a request that expects this.
    #[must_use]
    pub fn new(expect: Expect) -> ReplyAssembly {
        ReplyAssembly {
            expect,
            bytes: Vec::new(),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// What makes them no reply.
    pub fn feed(&mut self, chunk: &impl Chunk, at: usize) -> Result<Assembled, Broken> {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&chunk.bytes()[at..]);
        let cut = cut_reply(self.expect, &self.bytes)?;
        self.bytes
            .truncate(cut.map_or(self.bytes.len(), |cut| cut.bytes));
        Ok(Assembled {
            used: self.bytes.len() - before,
            complete: cut.is_some(),
        })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ReplyKind {
        kind(&self.bytes)
    }

    /// How many bytes have come.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The reply, once it is complete.
    #[must_use]
    pub fn into_bytes(self) -> ByteQueue {
        let mut queue = ByteQueue::default();
        queue.push_copy(&self.bytes, &mut Spare::default());
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_reply_ends_depends_on_what_was_asked() {
        let values = b"7 a 1\n7 b 2\n7 .\n8 x\n";
        let cut = |expect, bytes| cut_reply(expect, bytes).map(|cut| cut.map(|cut| cut.bytes));
        assert_eq!(cut(Expect::ONE, values), Ok(Some(6)));
        assert_eq!(cut(Expect::VALUES, values), Ok(Some(16)));
        for end in 0..16 {
            assert_eq!(cut(Expect::VALUES, &values[..end]), Ok(None));
        }
        assert_eq!(cut(Expect::VALUES, b"- no\n7 .\n"), Ok(Some(5)));
        assert_eq!(cut(Expect::ONE, b"7\ta\n"), Err(Broken::NotWords));
    }

    #[test]
    fn a_request_is_words_with_one_blank_between_them() {
        let mut args = Vec::new();
        assert_eq!(cut_request(b"7 get a b\n8", &mut args), Ok(Some(10)));
        assert_eq!(args.len(), 4);
        assert_eq!(cut_request(b"7 get", &mut args), Ok(None));
        for broken in [&b"7  a\n"[..], b"\n", b"7 a\r\n", b" 7\n"] {
            assert_eq!(cut_request(broken, &mut args), Err(Broken::NotWords));
        }
    }
}
