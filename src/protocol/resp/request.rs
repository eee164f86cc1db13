//! A request: an array of bulk strings.

use thiserror::Error;

use crate::protocol::request::Arg;
use crate::protocol::request::IN_SKELETON;
use crate::protocol::resp::ARGS_MAX;
use crate::protocol::resp::BULK_BYTES_MAX;
use crate::protocol::resp::REQUEST_BYTES_MAX;
use crate::protocol::resp::foreign::Foreign;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;

/// The client's bytes are not a request. Closes that client, after saying so; the texts are
/// Redis's (redis: src/networking.c, processMultibulkBuffer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// `*` is not followed by a canonical number of arguments that we accept.
    #[error("invalid multibulk length")]
    BadCount,
    /// `$` is not followed by a canonical length that we accept.
    #[error("invalid bulk length")]
    BadLength,
    /// An argument begins with another byte than `$`.
    #[error("expected '$', got '{}'", got.escape_ascii())]
    NotABulk {
        /// That byte.
        got: u8,
    },
    /// An argument is not followed by CR LF.
    #[error("expected CRLF after bulk string")]
    NoLineEnd,
    /// More in all than [`REQUEST_BYTES_MAX`].
    #[error("request too big")]
    RequestTooBig,
    /// An inline command without a line end.
    #[error("too big inline request")]
    InlineTooBig,
    /// Another protocol, which has no business here.
    #[error("{0} is not spoken here")]
    Foreign(Foreign),
    /// An inline command's quotes do not close.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
}

/// Cuts the request that begins at `buf[0]` if it is an array that lies whole in `buf`: how many
/// bytes it has, and into `args` where its arguments lie. `*0` and `*-1` have none. An inline
/// command is left to [`RequestAssembly`](crate::protocol::resp::RequestAssembly).
///
/// # Errors
/// What makes the bytes no request, as soon as it is certain.
#[inline]
pub fn cut_request(buf: &[u8], args: &mut Vec<Arg>) -> Result<Option<usize>, ProtocolError> {
    args.clear();
    if buf.first() != Some(&b'*') {
        return Ok(None);
    }
    let (count, mut at) = match read_header(buf, 0) {
        Header::Number { value, end } if value <= ARGS_MAX => (value, end),
        Header::Null { end } => (0, end),
        Header::Incomplete => return Ok(None),
        Header::Number { .. } | Header::Broken => return Err(ProtocolError::BadCount),
    };
    for _ in 0..count {
        let Some(&mark) = buf.get(at) else {
            return Ok(None);
        };
        if mark != b'$' {
            return Err(ProtocolError::NotABulk { got: mark });
        }
        let (len, start) = match read_header(buf, at) {
            Header::Number { value, end } if value <= BULK_BYTES_MAX => (value, end),
            Header::Incomplete => return Ok(None),
            _ => return Err(ProtocolError::BadLength),
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most BULK_BYTES_MAX")]
        let len = len as u32;
        let end = start + len as usize;
        let Some(line_end) = buf.get(end..end + 2) else {
            return match buf.get(end) {
                None | Some(b'\r') => Ok(None),
                Some(_) => Err(ProtocolError::NoLineEnd),
            };
        };
        if line_end != b"\r\n" {
            return Err(ProtocolError::NoLineEnd);
        }
        if end > REQUEST_BYTES_MAX {
            return Err(ProtocolError::RequestTooBig);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most REQUEST_BYTES_MAX")]
        args.push(Arg {
            start: start as u32,
            len,
            body: IN_SKELETON,
        });
        at = end + 2;
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Request;
    use crate::protocol::command::Args;

    fn args_of(frame: &[u8]) -> Vec<Vec<u8>> {
        let mut args = Vec::new();
        assert_eq!(cut_request(frame, &mut args), Ok(Some(frame.len())));
        let request = Request::whole(frame, &args);
        (0..request.len())
            .map(|i| request.arg(i).to_vec())
            .collect()
    }

    #[test]
    fn a_whole_request_is_cut_into_its_arguments() {
        assert_eq!(
            args_of(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"),
            [b"GET".to_vec(), b"k".to_vec()]
        );
        assert_eq!(
            args_of(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n"),
            [b"GET".to_vec(), Vec::new()]
        );
        assert!(args_of(b"*0\r\n").is_empty());
        assert!(args_of(b"*-1\r\n").is_empty());
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let cut = |bytes: &[u8]| cut_request(bytes, &mut Vec::new());
        assert_eq!(cut(b"*02\r\n"), Err(ProtocolError::BadCount));
        assert_eq!(cut(b"*-2\r\n"), Err(ProtocolError::BadCount));
        assert_eq!(cut(b"*1000000000\r\n"), Err(ProtocolError::BadCount));
        assert_eq!(cut(b"*1\r\n$05\r\n"), Err(ProtocolError::BadLength));
        assert_eq!(cut(b"*1\r\n$+5\r\n"), Err(ProtocolError::BadLength));
        assert_eq!(cut(b"*1\r\n$-1\r\n"), Err(ProtocolError::BadLength));
        assert_eq!(cut(b"*1\r\n$9999999999\r\n"), Err(ProtocolError::BadLength));
        assert_eq!(cut(b"*1\r\n$4294967299\r\n"), Err(ProtocolError::BadLength));
        assert_eq!(
            cut(b"*1\r\n:3\r\n"),
            Err(ProtocolError::NotABulk { got: b':' })
        );
        assert_eq!(cut(b"*1\r\n$1\r\nkk\r\n"), Err(ProtocolError::NoLineEnd));
        assert_eq!(cut(b"*1\r\n$1\r\nk\rk"), Err(ProtocolError::NoLineEnd));
    }
}
