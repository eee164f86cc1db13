//! A request: an array of bulk strings, and where its arguments lie.

use std::cell::OnceCell;

use bytes::Bytes;
use thiserror::Error;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::protocol::command::Args;
use crate::protocol::resp::ARGS_MAX;
use crate::protocol::resp::BULK_BYTES_MAX;
use crate::protocol::resp::REQUEST_BYTES_MAX;
use crate::protocol::resp::foreign::Foreign;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::header_bytes;
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

/// Where one argument lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    // In the skeleton; of an argument held apart, where its bytes would be.
    pub(super) start: u32,
    pub(super) len: u32,
    // Which body holds the bytes; `IN_SKELETON` if none does.
    pub(super) body: u32,
}

/// The mark of an argument that lies in the skeleton.
pub(super) const IN_SKELETON: u32 = u32::MAX;

/// A large argument, held apart from the skeleton in the buffers where it was received.
#[derive(Debug)]
pub struct Body {
    /// Where in the skeleton its bytes belong.
    pub(super) at: usize,
    pub(super) pieces: Vec<Bytes>,
    // For the rare command that must look at a large argument, such as a key of 1 MiB.
    pub(super) joined: OnceCell<Vec<u8>>,
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self.pieces.as_slice() {
            [only] => only,
            pieces => self.joined.get_or_init(|| pieces.concat()),
        }
    }
}

/// One request: a canonical frame. Its skeleton is the frame without the large arguments' bytes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) skeleton: &'a [u8],
    pub(super) args: &'a [Arg],
    pub(super) bodies: &'a [Body],
}

impl<'a> Request<'a> {
    /// A request whose frame lies whole in `frame`, cut by [`cut_request`] into `args`.
    #[must_use]
    pub fn whole(frame: &'a [u8], args: &'a [Arg]) -> Request<'a> {
        Request {
            skeleton: frame,
            args,
            bodies: &[],
        }
    }

    /// How many arguments, the command's name included.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty array is never a request"
    )]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Appends the frame as it is. `chunk`, if given, is the buffer in which a whole frame lies,
    /// from byte `at` on.
    #[inline]
    pub fn write_to<C: Chunk>(
        &self,
        queue: &mut ByteQueue,
        chunk: Option<(&C, usize)>,
        spare: &mut Spare,
    ) {
        match chunk {
            Some((chunk, at)) if self.bodies.is_empty() => {
                queue.push_from(chunk, at..at + self.skeleton.len(), spare);
            }
            _ => self.write_range(0..self.skeleton.len(), self.bodies, queue, spare),
        }
    }

    /// Appends argument `index` as a bulk string.
    pub fn write_arg(&self, index: usize, queue: &mut ByteQueue, spare: &mut Spare) {
        let arg = self.args[index];
        let (start, len) = (arg.start as usize, arg.len as usize);
        let header = start - header_bytes(len);
        if arg.body == IN_SKELETON {
            queue.push_copy(&self.skeleton[header..start + len + 2], spare);
        } else {
            let body = arg.body as usize;
            self.write_range(header..start + 2, &self.bodies[body..=body], queue, spare);
        }
    }

    /// How many bytes the frame has.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        let bodies = self.bodies.iter().flat_map(|body| &body.pieces);
        self.skeleton.len() + bodies.map(Bytes::len).sum::<usize>()
    }

    fn write_range(
        &self,
        range: std::ops::Range<usize>,
        bodies: &[Body],
        queue: &mut ByteQueue,
        spare: &mut Spare,
    ) {
        let mut from = range.start;
        for body in bodies {
            queue.push_copy(&self.skeleton[from..body.at], spare);
            for piece in &body.pieces {
                queue.push(piece.clone(), spare);
            }
            from = body.at;
        }
        queue.push_copy(&self.skeleton[from..range.end], spare);
    }
}

impl Args for Request<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.args.len()
    }

    #[inline]
    fn arg(&self, index: usize) -> &[u8] {
        let arg = self.args[index];
        match self.bodies.get(arg.body as usize) {
            None => &self.skeleton[arg.start as usize..][..arg.len as usize],
            Some(body) => body.bytes(),
        }
    }
}

/// Cuts the request that begins at `buf[0]`, which is `*`, if it lies whole in `buf`: how many
/// bytes it has, and into `args` where its arguments lie. `*0` and `*-1` have none.
///
/// # Errors
/// What makes the bytes no request, as soon as it is certain.
#[inline]
pub fn cut_request(buf: &[u8], args: &mut Vec<Arg>) -> Result<Option<usize>, ProtocolError> {
    args.clear();
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

    #[test]
    fn an_argument_is_written_with_its_header() {
        let frame = b"*2\r\n$4\r\nMGET\r\n$12\r\n0123456789ab\r\n";
        let (mut args, mut queue, mut spare) = (Vec::new(), ByteQueue::default(), Spare::default());
        assert!(cut_request(frame, &mut args).is_ok());
        Request::whole(frame, &args).write_arg(1, &mut queue, &mut spare);
        assert_eq!(queue.to_vec(), b"$12\r\n0123456789ab\r\n");
    }
}
