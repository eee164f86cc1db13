//! A reply that arrives in pieces, each byte looked at once.

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::protocol::Assembled;
use crate::protocol::Expect;
use crate::protocol::ReplyKind;
use crate::protocol::memcached::reply::LINE_BYTES_MAX;
use crate::protocol::memcached::reply::Next;
use crate::protocol::memcached::reply::ReplyError;
use crate::protocol::memcached::reply::read_line;

/// What is kept of a reply that nobody awaits: enough to tell what kind of reply it was.
const HEAD_BYTES: usize = 16;

/// One unfinished reply. Its large stretches stay in the buffers where they were received.
#[derive(Debug)]
pub struct ReplyAssembly {
    expect: Expect,
    state: State,
    // Of the line that it is in, what has come.
    line: Vec<u8>,
    values: usize,
    is_last: bool,
    kind: ReplyKind,
    bytes: ByteQueue,
    come: usize,
    forgotten: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Line,
    /// In data, so much of it to come.
    Data {
        left: usize,
    },
    /// In the line end behind it, so much of it seen.
    LineEnd {
        seen: usize,
    },
    Done,
}

impl ReplyAssembly {
    /// Of a request that expects this.
    #[must_use]
    pub fn new(expect: Expect) -> ReplyAssembly {
        ReplyAssembly {
            expect,
            state: State::Line,
            line: Vec::new(),
            values: 0,
            is_last: false,
            kind: ReplyKind::Value,
            bytes: ByteQueue::default(),
            come: 0,
            forgotten: false,
        }
    }

    /// Takes the next bytes: those of `chunk` from `at` on.
    ///
    /// # Errors
    /// What makes the bytes no reply.
    pub fn feed(
        &mut self,
        chunk: &impl Chunk,
        at: usize,
        spare: &mut Spare,
    ) -> Result<Assembled, ReplyError> {
        let used = self.step_over(&chunk.bytes()[at..])?;
        let kept = match self.forgotten {
            true => used.min(HEAD_BYTES.saturating_sub(self.bytes.len())),
            false => used,
        };
        self.bytes.push_from(chunk, at..at + kept, spare);
        self.come += used;
        Ok(Assembled {
            used,
            complete: self.is_done(),
        })
    }

    /// Nobody awaits the reply any more: what has come is given up, but for the first few bytes.
    pub fn forget(&mut self) {
        if std::mem::replace(&mut self.forgotten, true) || self.bytes.is_empty() {
            return;
        }
        let all = self.bytes.slices().flatten();
        let head: Vec<u8> = all.take(HEAD_BYTES).copied().collect();
        self.bytes = ByteQueue::default();
        self.bytes.push_copy(&head, &mut Spare::default());
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ReplyKind {
        self.kind
    }

    /// How many bytes of the reply have come, kept or not.
    #[must_use]
    pub fn come_bytes(&self) -> usize {
        self.come
    }

    /// Takes the bytes that have come and were not taken before.
    #[must_use]
    pub fn take_bytes(&mut self) -> ByteQueue {
        std::mem::take(&mut self.bytes)
    }

    /// The reply, once it is complete, or what was not taken of it.
    #[must_use]
    pub fn into_bytes(self) -> ByteQueue {
        debug_assert!(self.is_done(), "the reply is not complete");
        self.bytes
    }

    /// How many bytes are still to come of the value that it is in.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn step_over(&mut self, buf: &[u8]) -> Result<usize, ReplyError> {
        let mut at = 0;
        while at < buf.len() && !self.is_done() {
            at = match self.state {
                State::Line => self.step_line(buf, at)?,
                State::Data { left } => {
                    let step = left.min(buf.len() - at);
                    self.begin_data(left - step);
                    at + step
                }
                State::LineEnd { seen } => {
                    if buf[at] != b"\r\n"[seen] {
                        return Err(ReplyError::NoLineEnd);
                    }
                    self.state = match (seen, self.is_last) {
                        (0, _) => State::LineEnd { seen: 1 },
                        (_, true) => State::Done,
                        (_, false) => State::Line,
                    };
                    at + 1
                }
                State::Done => at,
            };
        }
        Ok(at)
    }

    fn begin_data(&mut self, left: usize) {
        self.state = match left {
            0 => State::LineEnd { seen: 0 },
            left => State::Data { left },
        };
    }

    fn step_line(&mut self, buf: &[u8], at: usize) -> Result<usize, ReplyError> {
        let found = memchr::memchr(b'\n', &buf[at..]);
        let end = found.map_or(buf.len(), |found| at + found + 1);
        if self.line.len() + (end - at) > LINE_BYTES_MAX {
            return Err(ReplyError::LineTooLong);
        }
        self.line.extend_from_slice(&buf[at..end]);
        if found.is_none() {
            return Ok(end);
        }
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\r\n").ok_or(ReplyError::NoLineEnd)?;
        match read_line(self.expect, text, self.values)? {
            Next::End(kind) => {
                (self.kind, self.state) = (kind, State::Done);
            }
            Next::Line => self.values += 1,
            Next::Data { bytes, last } => {
                self.is_last = last;
                self.values += 1;
                self.begin_data(bytes);
            }
        }
        Ok(end)
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
    use crate::protocol::memcached::cut_reply;
    use crate::protocol::memcached::reply::Form;

    type Outcome = Result<Option<(usize, ReplyKind)>, ReplyError>;

    fn assemble(expect: Expect, bytes: &[u8], cuts: &[usize]) -> Outcome {
        let (mut assembly, mut spare) = (ReplyAssembly::new(expect), Spare::default());
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        bounds.extend([0, bytes.len()]);
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            let chunk = Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]);
            let fed = assembly.feed(&chunk, 0, &mut spare)?;
            if fed.complete {
                let (used, kind) = (pair[0] + fed.used, assembly.kind());
                assert_eq!(assembly.come_bytes(), used);
                assert_eq!(assembly.into_bytes().to_vec(), bytes[..used]);
                return Ok(Some((used, kind)));
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn any_cut_of_the_same_bytes_gives_the_same_verdict(
            words in vec(proptest::sample::select(vec![
                "VALUE a 0 3\r\n", "VALUE b 0 0 7\r\n", "abc\r\n", "\r\n", "END\r\n", "VA 3 t1\r\n",
                "STORED\r\n", "SERVER_ERROR no\r\n", "HD\r\n", "x", "\n", "ERROR\r\n", "STAT a 1\r\n", "OK\r\n",
            ]), 0..6),
            form in 0u8..17,
            cuts in vec(any::<usize>(), 0..6),
        ) {
            let bytes = words.concat().into_bytes();
            for detail in [u16::MAX, crate::protocol::memcached::reply::tag_of(b"a")] {
                let expect = Expect::ONE.of_form(form, detail);
                let whole = cut_reply(expect, &bytes).map(|cut| cut.map(|cut| (cut.bytes, cut.kind)));
                prop_assert_eq!(assemble(expect, &bytes, &cuts), whole);
            }
        }
    }

    #[test]
    fn half_a_line_end_is_looked_at_in_both_ways() {
        let expect = Expect::ONE.of_form(4, u16::MAX);
        for (bytes, is_wrong) in [
            (&b"VALUE b 0 0 7\r\nx"[..], true),
            (b"VALUE b 0 0 7\r\n\r", false),
            (b"VALUE b 0 1 7\r\nx", false),
            (b"VALUE b 0 1 7\r\nxx", true),
        ] {
            let whole = cut_reply(expect, bytes).map(|cut| cut.map(|cut| (cut.bytes, cut.kind)));
            assert_eq!(assemble(expect, bytes, &[]), whole);
            assert_eq!(whole.is_err(), is_wrong, "{bytes:?}");
        }
    }

    #[test]
    fn a_forgotten_reply_leaves_only_its_head() {
        let reply = [&b"VA 100000\r\n"[..], &[b'v'; 100_000], b"\r\nHD\r\n"].concat();
        let expect = Expect::ONE.of_form(Form::MetaGet as u8, 0);
        let (mut assembly, mut spare) = (ReplyAssembly::new(expect), Spare::default());
        let chunk = Bytes::copy_from_slice(&reply[..50_000]);
        assert!(!assembly.feed(&chunk, 0, &mut spare).unwrap().complete);
        assert_eq!(assembly.left_bytes(), 100_000 - 50_000 + 11);
        assembly.forget();
        assert!(assembly.held_bytes() <= HEAD_BYTES);
        let chunk = Bytes::copy_from_slice(&reply[50_000..]);
        let fed = assembly.feed(&chunk, 0, &mut spare).unwrap();
        assert!(fed.complete && 50_000 + fed.used == 100_013);
        assert_eq!(assembly.into_bytes().to_vec(), &reply[..HEAD_BYTES]);
    }
}
