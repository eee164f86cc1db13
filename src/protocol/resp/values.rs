//! RESP3: what a value begins with, and what of a reply is still to come.
//!
//! ```text
//!   %2 +a :1 +b *? _ #t .      values left: 1 ─► 4 ─► 3 … ─► a stream in the fourth ─► its end ─► 0
//! ```
//!
//! Counting the values to come is enough, however deep they are nested, but for aggregates that say at
//! their end how long they were: those are kept by one another.
//!
//! Owns: the types of RESP3 (redis: the RESP3 specification). Never: a value's bytes.

use crate::protocol::resp::BULK_BYTES_MAX;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;
use crate::protocol::resp::reply::ELEMENTS_MAX;
use crate::protocol::resp::reply::ReplyError;
use crate::protocol::resp::reply::add_values;
use crate::protocol::resp::reply::cut_line;

/// Streamed aggregates in one another; no server is known to send even one.
const STREAMS_MAX: usize = 32;

/// What a streamed value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Values,
    Pairs,
    /// A string, of pieces.
    Text,
}

/// What a header line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The line is the value.
    Value,
    /// So many bytes follow, and a line end.
    Bytes(u64),
    /// The same: a piece of a streamed string; none is its end.
    Piece(u64),
    /// So many values follow, and are this one.
    Values(u64),
    /// So many values follow, and then the one that they tell something of.
    Attribute(u64),
    /// A message that nobody has asked for, of so many values.
    Message(u64),
    /// Values follow up to an end.
    Stream(Stream),
    /// That end.
    End,
}

/// Whether a value that begins so is one line, of any length.
pub(super) fn is_line(mark: u8) -> bool {
    matches!(mark, b'+' | b'-' | b',' | b'(')
}

/// Reads the header line at `buf[at..]` of a value that is not a line: what it says, and where it ends;
/// `None` while it is not all there.
///
/// # Errors
/// What makes it none, as soon as it is certain.
pub(super) fn read_head(buf: &[u8], at: usize) -> Result<Option<(Head, usize)>, ReplyError> {
    let mark = buf[at];
    match mark {
        b'_' => return exact(buf, at, &[b"_\r\n"], Head::Value),
        b'#' => return exact(buf, at, &[b"#t\r\n", b"#f\r\n"], Head::Value),
        b'.' => return exact(buf, at, &[b".\r\n"], Head::End),
        b':' => return read_integer(buf, at),
        _ => {}
    }
    let stream = match mark {
        b'$' => Some(Stream::Text),
        b'*' | b'~' => Some(Stream::Values),
        b'%' => Some(Stream::Pairs),
        b'!' | b'=' | b';' | b'>' | b'|' => None,
        got => return Err(ReplyError::UnknownType { got }),
    };
    if let (Some(b'?'), Some(stream)) = (buf.get(at + 1), stream) {
        return exact(buf, at + 1, &[b"?\r\n"], Head::Stream(stream));
    }
    let (value, end) = match read_header(buf, at) {
        Header::Number { value, end } => (value, end),
        Header::Null { end } if matches!(mark, b'$' | b'*') => return Ok(Some((Head::Value, end))),
        // A minus may become a null, or no number.
        Header::Incomplete if buf.get(at + 1) == Some(&b'-') && !matches!(mark, b'$' | b'*') => {
            return Err(ReplyError::BadNumber);
        }
        Header::Incomplete => return Ok(None),
        Header::Null { .. } | Header::Broken => return Err(ReplyError::BadNumber),
    };
    let limit = match mark {
        b'$' | b'!' | b'=' | b';' => BULK_BYTES_MAX,
        _ => ELEMENTS_MAX,
    };
    if value > limit {
        return Err(ReplyError::BadNumber);
    }
    let head = match mark {
        b'$' | b'!' | b'=' => Head::Bytes(value),
        b';' => Head::Piece(value),
        b'%' => Head::Values(2 * value),
        b'|' => Head::Attribute(2 * value),
        b'>' => Head::Message(value),
        _ => Head::Values(value),
    };
    Ok(Some((head, end)))
}

fn read_integer(buf: &[u8], at: usize) -> Result<Option<(Head, usize)>, ReplyError> {
    let negative = buf.get(at + 1) == Some(&b'-');
    match read_header(buf, if negative { at + 1 } else { at }) {
        Header::Number { value, end } if !(negative && value == 0) => Ok(Some((Head::Value, end))),
        Header::Incomplete => Ok(None),
        _ => Err(ReplyError::BadNumber),
    }
}

/// One of these lines, and nothing else.
fn exact(
    buf: &[u8],
    at: usize,
    lines: &[&[u8]],
    head: Head,
) -> Result<Option<(Head, usize)>, ReplyError> {
    let there = &buf[at..];
    if let Some(line) = lines.iter().find(|line| there.starts_with(line)) {
        return Ok(Some((head, at + line.len())));
    }
    match lines.iter().any(|line| line.starts_with(there)) {
        true => Ok(None),
        false => Err(ReplyError::BadNumber),
    }
}

/// What of a reply is still to come.
#[derive(Debug)]
pub(super) struct Left {
    // In the innermost stream, or in all.
    values: u64,
    streams: Vec<Open>,
    begun: bool,
}

/// A streamed value that has not ended.
#[derive(Debug)]
struct Open {
    // To come behind it.
    outer: u64,
    of: Stream,
    // A key has come, and not what it is for.
    odd: bool,
}

impl Default for Left {
    fn default() -> Left {
        Left {
            values: 1,
            streams: Vec::new(),
            begun: false,
        }
    }
}

impl Left {
    /// Whether all has come.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        self.values == 0 && self.streams.is_empty()
    }

    /// Whether a value may begin so here: a streamed string is made of pieces, and nothing else is.
    #[inline]
    pub(super) fn admits(&self, mark: u8) -> Result<(), ReplyError> {
        match self.is_in_text() == (mark == b';') {
            true => Ok(()),
            false => Err(ReplyError::OutOfPlace),
        }
    }

    /// A value has come, or has begun.
    #[inline]
    pub(super) fn take(&mut self) -> Result<(), ReplyError> {
        self.begun = true;
        if self.values > 0 {
            self.values -= 1;
            return Ok(());
        }
        match self.streams.last_mut() {
            Some(stream) if stream.of != Stream::Text => {
                stream.odd = !stream.odd;
                Ok(())
            }
            _ => Err(ReplyError::OutOfPlace),
        }
    }

    /// A header has come.
    pub(super) fn open(&mut self, head: Head) -> Result<(), ReplyError> {
        match head {
            Head::Value | Head::Bytes(_) => self.take(),
            Head::Values(values) => {
                self.take()?;
                self.add(values)
            }
            Head::Message(_) if self.begun => Err(ReplyError::OutOfPlace),
            Head::Message(values) => {
                self.take()?;
                self.add(values)
            }
            Head::Attribute(values) => {
                self.begun = true;
                self.add(values)
            }
            Head::Stream(of) => {
                self.take()?;
                if self.streams.len() == STREAMS_MAX {
                    return Err(ReplyError::OutOfPlace);
                }
                let outer = std::mem::take(&mut self.values);
                self.streams.push(Open {
                    outer,
                    of,
                    odd: false,
                });
                Ok(())
            }
            Head::Piece(0) | Head::End => self.end(),
            Head::Piece(_) => Ok(()),
        }
    }

    fn is_in_text(&self) -> bool {
        let last = self.streams.last();
        self.values == 0 && last.is_some_and(|stream| stream.of == Stream::Text)
    }

    fn add(&mut self, values: u64) -> Result<(), ReplyError> {
        self.values = add_values(self.values, values)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), ReplyError> {
        match self.streams.pop() {
            Some(open) if self.values == 0 && !(open.odd && open.of == Stream::Pairs) => {
                self.values = open.outer;
                Ok(())
            }
            _ => Err(ReplyError::OutOfPlace),
        }
    }
}

/// Steps over the values at `buf[at..]` that lie whole in `buf`: where it got to.
///
/// # Errors
/// What makes the bytes no reply, as soon as it is certain.
pub(super) fn cut_values(buf: &[u8], mut at: usize, left: &mut Left) -> Result<usize, ReplyError> {
    while !left.is_nothing() {
        let Some(&mark) = buf.get(at) else { break };
        left.admits(mark)?;
        if is_line(mark) {
            let Some(end) = cut_line(buf, at)? else {
                break;
            };
            left.take()?;
            at = end;
            continue;
        }
        let Some((head, end)) = read_head(buf, at)? else {
            break;
        };
        let bytes = match head {
            Head::Bytes(bytes) => bytes,
            Head::Piece(bytes) if bytes > 0 => bytes,
            head => {
                left.open(head)?;
                at = end;
                continue;
            }
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most BULK_BYTES_MAX")]
        let end = end + bytes as usize;
        match buf.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            None | Some([] | [b'\r']) => break,
            Some(_) => return Err(ReplyError::NoLineEnd),
        }
        left.open(head)?;
        at = end + 2;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Version;
    use crate::protocol::resp::cut_reply;

    fn cut(reply: &[u8]) -> Result<Option<usize>, ReplyError> {
        cut_reply(Version::V3, reply)
    }

    #[test]
    fn every_type_of_resp3_is_cut() {
        for reply in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-1\r\n",
            "$3\r\nabc\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "_\r\n",
            "#t\r\n",
            "#f\r\n",
            ",1.5e-7\r\n",
            ",inf\r\n",
            "(3492890328409238509324850943850943825024385\r\n",
            "!5\r\nERR a\r\n",
            "=7\r\ntxt:abc\r\n",
            "%0\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
            "~2\r\n+a\r\n#t\r\n",
            "|1\r\n+ttl\r\n:3\r\n*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n",
            ">2\r\n+message\r\n%1\r\n+a\r\n+b\r\n",
            "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
            "*?\r\n:1\r\n*2\r\n:2\r\n:3\r\n%?\r\n+a\r\n~?\r\n.\r\n.\r\n.\r\n",
            "*2\r\n*?\r\n.\r\n$?\r\n;0\r\n",
        ] {
            let whole = reply.len();
            assert_eq!(cut(reply.as_bytes()), Ok(Some(whole)), "{reply:?}");
            let followed = [reply, "+next\r\n"].concat();
            assert_eq!(cut(followed.as_bytes()), Ok(Some(whole)), "{reply:?}");
            for end in 0..whole {
                assert_eq!(
                    cut(&reply.as_bytes()[..end]),
                    Ok(None),
                    "{reply:?} to {end}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_canonical_or_out_of_its_place_is_refused() {
        for (reply, error) in [
            ("HTTP/1.1\r\n", ReplyError::UnknownType { got: b'H' }),
            ("#x\r\n", ReplyError::BadNumber),
            ("_x\r\n", ReplyError::BadNumber),
            ("%-1\r\n", ReplyError::BadNumber),
            ("!-1\r\n", ReplyError::BadNumber),
            ("~01\r\n", ReplyError::BadNumber),
            ("!?\r\n", ReplyError::BadNumber),
            ("%99999999999\r\n", ReplyError::BadNumber),
            ("=3\r\nabcd\r\n", ReplyError::NoLineEnd),
            (".\r\n", ReplyError::OutOfPlace),
            (";1\r\na\r\n", ReplyError::OutOfPlace),
            ("*1\r\n>1\r\n+a\r\n", ReplyError::OutOfPlace),
            ("$?\r\n+a\r\n", ReplyError::OutOfPlace),
            ("$?\r\n.\r\n", ReplyError::OutOfPlace),
            ("*?\r\n*1\r\n.\r\n", ReplyError::OutOfPlace),
            ("%?\r\n+a\r\n.\r\n", ReplyError::OutOfPlace),
            ("*?\r\n;0\r\n", ReplyError::OutOfPlace),
        ] {
            assert_eq!(cut(reply.as_bytes()), Err(error), "{reply:?}");
        }
        let deep = "*?\r\n".repeat(STREAMS_MAX + 1);
        assert_eq!(cut(deep.as_bytes()), Err(ReplyError::OutOfPlace));
    }
}
