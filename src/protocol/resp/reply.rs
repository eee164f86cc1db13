//! A reply: one value, with whatever is nested in it.

use thiserror::Error;

use crate::protocol::Cut;
use crate::protocol::ReplyKind;
use crate::protocol::Version;
use crate::protocol::resp::BULK_BYTES_MAX;
use crate::protocol::resp::LINE_BYTES_MAX;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;
use crate::protocol::resp::values;

/// 2^31, more elements than any reply of Redis has.
pub(super) const ELEMENTS_MAX: u64 = 1 << 31;

/// The server's bytes are not a reply. Closes that server connection and fails what awaits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// A value begins with a byte that its version of the protocol does not know.
    #[error("unknown reply type '{}'", got.escape_ascii())]
    UnknownType {
        /// That byte.
        got: u8,
    },
    /// A length, a count or an integer is not a canonical number, or too large.
    #[error("bad number in reply")]
    BadNumber,
    /// A bulk string or a line does not end with CR LF.
    #[error("reply without CRLF")]
    NoLineEnd,
    /// A status or an error longer than [`LINE_BYTES_MAX`].
    #[error("reply line too long")]
    LineTooLong,
    /// A part of a streamed value where there is none, or a message inside a reply.
    #[error("a value that cannot be there in reply")]
    OutOfPlace,
}

/// Cuts the reply that begins at `buf[0]` if it lies whole in `buf`: how many bytes it has.
///
/// However deep arrays are nested, counting the values still to come is enough.
///
/// # Errors
/// What makes the bytes no reply, as soon as it is certain.
#[inline]
pub fn cut_reply(version: Version, buf: &[u8]) -> Result<Option<usize>, ReplyError> {
    if version == Version::V3 {
        let mut left = values::Left::default();
        let at = values::cut_values(buf, 0, &mut left)?;
        return Ok(left.is_nothing().then_some(at));
    }
    let mut values_left: u64 = 1;
    let at = cut_values(buf, 0, &mut values_left)?;
    Ok((values_left == 0).then_some(at))
}

/// What a reply is that begins with this byte.
#[inline]
pub(super) fn kind(mark: u8) -> ReplyKind {
    match mark {
        b'-' | b'!' => ReplyKind::Error,
        b'>' => ReplyKind::Message,
        _ => ReplyKind::Value,
    }
}

/// The same, and what it is.
///
/// # Errors
/// As [`cut_reply`].
#[inline]
pub fn cut(version: Version, buf: &[u8]) -> Result<Option<Cut>, ReplyError> {
    let bytes = cut_reply(version, buf)?;
    Ok(bytes.map(|bytes| Cut {
        bytes,
        kind: kind(buf[0]),
    }))
}

/// Steps over the values at `buf[at..]` that lie whole in `buf`, of `values_left` that are to
/// come: where it got to.
///
/// # Errors
/// What makes the bytes no reply, as soon as it is certain.
#[inline]
pub(super) fn cut_values(
    buf: &[u8],
    mut at: usize,
    values_left: &mut u64,
) -> Result<usize, ReplyError> {
    while *values_left > 0 {
        let Some(&mark) = buf.get(at) else {
            break;
        };
        let mut left = *values_left - 1;
        let end = match mark {
            b'$' => cut_bulk(buf, at)?,
            b'+' | b'-' => cut_line(buf, at)?,
            b':' => cut_integer(buf, at)?,
            b'*' => match read_header(buf, at) {
                Header::Number { value, end } if value <= ELEMENTS_MAX => {
                    left = add_values(left, value)?;
                    Some(end)
                }
                Header::Null { end } => Some(end),
                Header::Incomplete => None,
                _ => return Err(ReplyError::BadNumber),
            },
            got => return Err(ReplyError::UnknownType { got }),
        };
        let Some(end) = end else { break };
        at = end;
        *values_left = left;
    }
    Ok(at)
}

/// How many values are to come when one of `left` turns out to hold `more`.
pub(super) fn add_values(left: u64, more: u64) -> Result<u64, ReplyError> {
    match left.checked_add(more) {
        Some(sum) if sum <= ELEMENTS_MAX * 2 => Ok(sum),
        _ => Err(ReplyError::BadNumber),
    }
}

#[inline]
fn cut_bulk(buf: &[u8], at: usize) -> Result<Option<usize>, ReplyError> {
    let (len, start) = match read_header(buf, at) {
        Header::Number { value, end } if value <= BULK_BYTES_MAX => (value, end),
        Header::Null { end } => return Ok(Some(end)),
        Header::Incomplete => return Ok(None),
        _ => return Err(ReplyError::BadNumber),
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most BULK_BYTES_MAX")]
    let end = start + len as usize;
    match buf.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Some(end + 2)),
        None | Some([] | [b'\r']) => Ok(None),
        Some(_) => Err(ReplyError::NoLineEnd),
    }
}

pub(super) fn cut_line(buf: &[u8], at: usize) -> Result<Option<usize>, ReplyError> {
    let line = &buf[at..];
    match memchr::memchr2(b'\r', b'\n', line) {
        Some(found) if found > LINE_BYTES_MAX => Err(ReplyError::LineTooLong),
        None if line.len() > LINE_BYTES_MAX => Err(ReplyError::LineTooLong),
        None => Ok(None),
        Some(found) => match line[found..] {
            [b'\r', b'\n', ..] => Ok(Some(at + found + 2)),
            [b'\r'] => Ok(None),
            _ => Err(ReplyError::NoLineEnd),
        },
    }
}

fn cut_integer(buf: &[u8], at: usize) -> Result<Option<usize>, ReplyError> {
    let negative = buf.get(at + 1) == Some(&b'-');
    match read_header(buf, if negative { at + 1 } else { at }) {
        Header::Number { value, end } if !(negative && value == 0) => Ok(Some(end)),
        Header::Incomplete => Ok(None),
        _ => Err(ReplyError::BadNumber),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_reply(buf: &[u8]) -> Result<Option<usize>, ReplyError> {
        super::cut_reply(Version::V2, buf)
    }

    #[test]
    fn every_type_of_resp2_is_cut() {
        for reply in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":0\r\n",
            ":-1\r\n",
            ":-9223372036854775808\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$3\r\nabc\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n$-1\r\n",
        ] {
            assert_eq!(
                cut_reply(reply.as_bytes()),
                Ok(Some(reply.len())),
                "{reply:?}"
            );
            let followed = [reply, "+next\r\n"].concat();
            assert_eq!(
                cut_reply(followed.as_bytes()),
                Ok(Some(reply.len())),
                "{reply:?}"
            );
            for cut in 0..reply.len() {
                assert_eq!(
                    cut_reply(&reply.as_bytes()[..cut]),
                    Ok(None),
                    "{reply:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for (reply, error) in [
            ("HTTP/1.1 400\r\n", ReplyError::UnknownType { got: b'H' }),
            ("%1\r\n+a\r\n+b\r\n", ReplyError::UnknownType { got: b'%' }),
            ("$03\r\nabc\r\n", ReplyError::BadNumber),
            ("$-2\r\n", ReplyError::BadNumber),
            (":+1\r\n", ReplyError::BadNumber),
            (":-0\r\n", ReplyError::BadNumber),
            ("*99999999999\r\n", ReplyError::BadNumber),
            ("$3\r\nabcd\r\n", ReplyError::NoLineEnd),
            ("+a\nb\r\n", ReplyError::NoLineEnd),
            ("+a\rb\r\n", ReplyError::NoLineEnd),
        ] {
            assert_eq!(cut_reply(reply.as_bytes()), Err(error), "{reply:?}");
        }
    }
}
