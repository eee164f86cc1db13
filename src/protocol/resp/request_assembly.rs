//! A request that arrives in pieces, each byte looked at once.
//!
//! Owns: the bytes of one unfinished request. Small arguments gather in the skeleton; the bytes of
//! a large one stay in the buffers where they were received.

use std::cell::OnceCell;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Spare;
use crate::protocol::Assembled;
use crate::protocol::Request;
use crate::protocol::request::Arg;
use crate::protocol::request::Body;
use crate::protocol::request::IN_SKELETON;
use crate::protocol::resp::ARGS_MAX;
use crate::protocol::resp::BULK_BYTES_MAX;
use crate::protocol::resp::INLINE_BYTES_MAX;
use crate::protocol::resp::REQUEST_BYTES_MAX;
use crate::protocol::resp::foreign::Foreign;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;
use crate::protocol::resp::inline::split_words;
use crate::protocol::resp::request::ProtocolError;
use crate::protocol::resp::request::cut_request;
use crate::protocol::resp::write::write_words;

/// One unfinished request.
#[derive(Debug)]
pub struct RequestAssembly {
    state: State,
    skeleton: Vec<u8>,
    args: Vec<Arg>,
    bodies: Vec<Body>,
    // The large argument that is arriving.
    body: ByteQueue,
    args_left: u64,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the first line, of which nothing is known yet.
    Start,
    /// In the line of an inline command.
    Inline,
    /// In the header line that begins there in the skeleton.
    Header {
        from: usize,
    },
    /// In an argument's bytes, so many of them to come.
    Bytes {
        left: usize,
    },
    /// In the CR LF behind an argument, so much of it seen.
    LineEnd {
        seen: usize,
    },
    Complete,
}

impl Default for RequestAssembly {
    fn default() -> Self {
        RequestAssembly {
            state: State::Start,
            skeleton: Vec::new(),
            args: Vec::new(),
            bodies: Vec::new(),
            body: ByteQueue::default(),
            args_left: 0,
            bytes: 0,
        }
    }
}

impl RequestAssembly {
    /// Takes the next bytes: those of `chunk` from `at` on.
    ///
    /// # Errors
    /// What makes the bytes no request.
    pub fn feed(
        &mut self,
        chunk: &impl Chunk,
        at: usize,
        spare: &mut Spare,
    ) -> Result<Assembled, ProtocolError> {
        let mut position = at;
        while position < chunk.bytes().len() && !matches!(self.state, State::Complete) {
            position = match self.state {
                State::Start => {
                    let first = chunk.bytes()[position];
                    if let Some(foreign) = Foreign::by_first_byte(first) {
                        return Err(ProtocolError::Foreign(foreign));
                    }
                    self.state = match first {
                        b'*' => State::Header { from: 0 },
                        _ => State::Inline,
                    };
                    position
                }
                State::Inline => self.feed_inline(chunk.bytes(), position)?,
                State::Header { from } => self.feed_header(chunk.bytes(), position, from)?,
                State::Bytes { left } => self.feed_bytes(chunk, position, left, spare),
                State::LineEnd { seen } => self.feed_line_end(chunk.bytes(), position, seen)?,
                State::Complete => position,
            };
        }
        self.bytes += position - at;
        if self.bytes > REQUEST_BYTES_MAX {
            return Err(ProtocolError::RequestTooBig);
        }
        Ok(Assembled {
            used: position - at,
            complete: matches!(self.state, State::Complete),
        })
    }

    /// The request, once it is complete. Without arguments (`*0`, an empty line) it asks nothing.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        debug_assert!(
            matches!(self.state, State::Complete),
            "the request is not complete"
        );
        Request {
            skeleton: &self.skeleton,
            frame: self.skeleton.len(),
            args: &self.args,
            bodies: &self.bodies,
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Appends all that was fed, byte for byte, to `into`.
    pub fn copy_raw(&self, into: &mut Vec<u8>) {
        let mut from = 0;
        for body in &self.bodies {
            into.extend_from_slice(&self.skeleton[from..body.at]);
            from = body.at;
            body.pieces
                .iter()
                .for_each(|piece| into.extend_from_slice(piece));
        }
        into.extend_from_slice(&self.skeleton[from..]);
        self.body
            .slices()
            .for_each(|slice| into.extend_from_slice(slice));
    }

    fn feed_inline(&mut self, buf: &[u8], at: usize) -> Result<usize, ProtocolError> {
        let line_end = memchr::memchr(b'\n', &buf[at..]).map(|found| at + found);
        let end = line_end.unwrap_or(buf.len());
        self.skeleton.extend_from_slice(&buf[at..end]);
        if self.skeleton.len() > INLINE_BYTES_MAX {
            return Err(ProtocolError::InlineTooBig);
        }
        let Some(line_end) = line_end else {
            return Ok(end);
        };
        let line = std::mem::take(&mut self.skeleton);
        let words = split_words(line.strip_suffix(b"\r").unwrap_or(&line))?;
        if let Some(foreign) = Foreign::by_words(&words) {
            return Err(ProtocolError::Foreign(foreign));
        }
        write_words(&mut self.skeleton, &words);
        cut_request(&self.skeleton, &mut self.args)?;
        self.state = State::Complete;
        Ok(line_end + 1)
    }

    fn feed_header(
        &mut self,
        buf: &[u8],
        mut at: usize,
        mut from: usize,
    ) -> Result<usize, ProtocolError> {
        if from > 0 && self.skeleton.len() == from {
            at = self.copy_whole_args(buf, at);
            if self.args_left == 0 {
                self.state = State::Complete;
                return Ok(at);
            }
            from = self.skeleton.len();
        }
        // Byte by byte, because the number's end is not known; it is a short line.
        loop {
            let Some(&byte) = buf.get(at) else {
                self.state = State::Header { from };
                return Ok(at);
            };
            if from > 0 && self.skeleton.len() == from && byte != b'$' {
                return Err(ProtocolError::NotABulk { got: byte });
            }
            self.skeleton.push(byte);
            at += 1;
            match read_header(&self.skeleton, from) {
                Header::Incomplete => {}
                Header::Null { .. } if from == 0 => return Ok(self.begin_args(0, at)),
                Header::Number { value, .. } if from == 0 && value <= ARGS_MAX => {
                    return Ok(self.begin_args(value, at));
                }
                Header::Number { value, .. } if from > 0 && value <= BULK_BYTES_MAX => {
                    self.begin_arg(value);
                    return Ok(at);
                }
                _ if from == 0 => return Err(ProtocolError::BadCount),
                _ => return Err(ProtocolError::BadLength),
            }
        }
    }

    /// Takes the small arguments that lie whole in `buf`: where the first other one begins.
    fn copy_whole_args(&mut self, buf: &[u8], mut at: usize) -> usize {
        while self.args_left > 0 && buf.get(at) == Some(&b'$') {
            let Header::Number { value, end } = read_header(buf, at) else {
                break;
            };
            if value >= SHARE_BYTES_MIN as u64 {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "below SHARE_BYTES_MIN")]
            let len = value as u32;
            let behind = end + len as usize + 2;
            if buf.get(behind - 2..behind) != Some(b"\r\n") {
                break;
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most REQUEST_BYTES_MAX")]
            let start = (self.skeleton.len() + end - at) as u32;
            self.args.push(Arg {
                start,
                len,
                body: IN_SKELETON,
            });
            self.skeleton.extend_from_slice(&buf[at..behind]);
            self.args_left -= 1;
            at = behind;
        }
        at
    }

    fn begin_args(&mut self, count: u64, at: usize) -> usize {
        self.args_left = count;
        self.next_arg();
        at
    }

    fn next_arg(&mut self) {
        self.state = match self.args_left {
            0 => State::Complete,
            _ => State::Header {
                from: self.skeleton.len(),
            },
        };
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most BULK_BYTES_MAX, REQUEST_BYTES_MAX and ARGS_MAX"
    )]
    fn begin_arg(&mut self, len: u64) {
        let large = len as usize >= SHARE_BYTES_MIN;
        let body = if large {
            self.bodies.len() as u32
        } else {
            IN_SKELETON
        };
        self.args.push(Arg {
            start: self.skeleton.len() as u32,
            len: len as u32,
            body,
        });
        self.state = match len {
            0 => State::LineEnd { seen: 0 },
            _ => State::Bytes { left: len as usize },
        };
    }

    fn feed_bytes(
        &mut self,
        chunk: &impl Chunk,
        at: usize,
        left: usize,
        spare: &mut Spare,
    ) -> usize {
        let step = left.min(chunk.bytes().len() - at);
        let large = self.args.last().is_some_and(|arg| arg.body != IN_SKELETON);
        if large {
            self.body.push_from(chunk, at..at + step, spare);
        } else {
            self.skeleton
                .extend_from_slice(&chunk.bytes()[at..at + step]);
        }
        self.state = State::Bytes { left: left - step };
        if step == left {
            self.state = State::LineEnd { seen: 0 };
            if large {
                let pieces = std::mem::take(&mut self.body).into_pieces();
                let at = self.skeleton.len();
                self.bodies.push(Body {
                    at,
                    pieces,
                    joined: OnceCell::new(),
                });
            }
        }
        at + step
    }

    fn feed_line_end(
        &mut self,
        buf: &[u8],
        at: usize,
        seen: usize,
    ) -> Result<usize, ProtocolError> {
        if buf[at] != b"\r\n"[seen] {
            return Err(ProtocolError::NoLineEnd);
        }
        self.skeleton.push(buf[at]);
        self.state = State::LineEnd { seen: seen + 1 };
        if seen == 1 {
            self.args_left -= 1;
            self.next_arg();
        }
        Ok(at + 1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::prelude::prop_assert_eq;
    use proptest::proptest;

    use super::*;
    use crate::protocol::command::Args;

    fn frame(args: &[Vec<u8>]) -> Vec<u8> {
        let mut frame = Vec::new();
        write_words(&mut frame, args);
        frame
    }

    /// Feeds `bytes` cut at `cuts`; the first request's arguments and forwarded bytes, or the error.
    type Outcome = Result<Option<(Vec<Vec<u8>>, Vec<u8>, usize)>, ProtocolError>;

    fn assemble(bytes: &[u8], cuts: &[usize]) -> Outcome {
        let (mut assembly, mut spare) = (RequestAssembly::default(), Spare::default());
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        bounds.extend([0, bytes.len()]);
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            let chunk = Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]);
            let fed = assembly.feed(&chunk, 0, &mut spare)?;
            if fed.complete {
                let request = assembly.request();
                let args = (0..request.len())
                    .map(|i| request.arg(i).to_vec())
                    .collect();
                let mut queue = ByteQueue::default();
                request.write_to::<Bytes>(&mut queue, None, &mut spare);
                assert_eq!(queue.len(), request.frame_bytes());
                return Ok(Some((args, queue.to_vec(), pair[0] + fed.used)));
            }
        }
        Ok(None)
    }

    fn cut_whole(bytes: &[u8]) -> Outcome {
        let mut args = Vec::new();
        Ok(cut_request(bytes, &mut args)?.map(|used| {
            let request = Request::whole(&bytes[..used], &args);
            let args = (0..request.len())
                .map(|i| request.arg(i).to_vec())
                .collect();
            (args, bytes[..used].to_vec(), used)
        }))
    }

    proptest! {
        #[test]
        fn any_cut_of_the_same_bytes_gives_the_same_result(
            args in vec(vec(any::<u8>(), 0..40), 1..6),
            large in 0usize..60_000,
            cuts in vec(any::<usize>(), 0..12),
        ) {
            let mut args = args;
            args.push(vec![b'v'; large]);
            let bytes = frame(&args);
            let assembled = assemble(&bytes, &cuts);
            prop_assert_eq!(&assembled, &cut_whole(&bytes));
            prop_assert_eq!(assembled, Ok(Some((args, bytes.clone(), bytes.len()))));
        }

        #[test]
        fn what_was_fed_can_be_had_back_until_the_request_is_complete(
            args in vec(vec(any::<u8>(), 0..40), 1..6),
            large in vec(0usize..60_000, 0..3),
            cuts in vec(any::<usize>(), 0..12),
            inline in any::<bool>(),
        ) {
            let large = large.into_iter().map(|len| vec![b'v'; len]);
            let args: Vec<Vec<u8>> = args.into_iter().chain(large).collect();
            let bytes = if inline { b"SET key value\r\n".to_vec() } else { frame(&args) };
            let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).collect();
            bounds.push(0);
            bounds.sort_unstable();
            let (mut assembly, mut spare) = (RequestAssembly::default(), Spare::default());
            for pair in bounds.windows(2) {
                let chunk = Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]);
                prop_assert_eq!(assembly.feed(&chunk, 0, &mut spare).map(|fed| fed.complete), Ok(false));
                let mut raw = Vec::new();
                assembly.copy_raw(&mut raw);
                prop_assert_eq!(raw.as_slice(), &bytes[..pair[1]]);
            }
        }

        #[test]
        fn any_garbage_gives_the_same_verdict_whole_and_in_pieces(
            bytes in vec(proptest::sample::select(b"*$0123-+\r\nGk".to_vec()), 0..40),
            cuts in vec(any::<usize>(), 0..6),
        ) {
            let bytes = [b"*", bytes.as_slice()].concat();
            prop_assert_eq!(assemble(&bytes, &cuts), cut_whole(&bytes));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), cuts in vec(any::<usize>(), 0..6)) {
            let _ = assemble(&bytes, &cuts);
        }
    }

    #[test]
    fn a_large_argument_is_kept_in_the_buffers_where_it_came() {
        let bytes = Bytes::from(frame(&[
            b"SET".to_vec(),
            b"k".to_vec(),
            vec![b'v'; 100_000],
        ]));
        let (mut assembly, mut spare) = (RequestAssembly::default(), Spare::default());
        let (first, second) = (bytes.slice(..60_000), bytes.slice(60_000..));
        assert_eq!(
            assembly.feed(&first, 0, &mut spare).map(|fed| fed.complete),
            Ok(false)
        );
        assert_eq!(
            assembly
                .feed(&second, 0, &mut spare)
                .map(|fed| fed.complete),
            Ok(true)
        );
        let mut queue = ByteQueue::default();
        assembly
            .request()
            .write_to::<Bytes>(&mut queue, None, &mut spare);
        let range = bytes.as_ptr_range();
        let shared = queue
            .slices()
            .filter(|slice| range.contains(&slice.as_ptr()));
        assert_eq!(shared.map(<[u8]>::len).sum::<usize>(), 100_000);
    }

    #[test]
    fn an_inline_command_becomes_a_canonical_frame() {
        let outcome = assemble(b"SET k \"a b\"\r\nrest", &[3]);
        let args = vec![b"SET".to_vec(), b"k".to_vec(), b"a b".to_vec()];
        assert_eq!(outcome, Ok(Some((args.clone(), frame(&args), 13))));
        assert_eq!(
            assemble(b"\r\n", &[]).map(|o| o.map(|o| o.0)),
            Ok(Some(Vec::new()))
        );
        assert_eq!(
            assemble(b"POST / HTTP/1.1\r\nHost: h\r\n\r\nSET k v\r\n", &[]),
            Err(ProtocolError::Foreign(Foreign::Http))
        );
        let endless = vec![b'x'; INLINE_BYTES_MAX + 1];
        assert_eq!(assemble(&endless, &[]), Err(ProtocolError::InlineTooBig));
    }
}
