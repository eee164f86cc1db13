//! A reply that arrives in pieces, each byte looked at once.

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::protocol::Assembled;
use crate::protocol::ReplyKind;
use crate::protocol::Version;
use crate::protocol::resp::BULK_BYTES_MAX;
use crate::protocol::resp::LINE_BYTES_MAX;
use crate::protocol::resp::header::Header;
use crate::protocol::resp::header::read_header;
use crate::protocol::resp::reply::ELEMENTS_MAX;
use crate::protocol::resp::reply::ReplyError;
use crate::protocol::resp::reply::add_values;
use crate::protocol::resp::reply::cut_values;
use crate::protocol::resp::reply::kind;
use crate::protocol::resp::values;
use crate::protocol::resp::values::Head;
use crate::protocol::resp::values::Left;

/// One unfinished reply. Its large stretches stay in the buffers where they were received.
#[derive(Debug)]
pub struct ReplyAssembly {
    bytes: ByteQueue,
    // What it begins with.
    mark: u8,
    // How many have come, kept or not.
    come: usize,
    // Nobody awaits the reply any more: of what comes only the head is kept.
    forgotten: bool,
    left: Outstanding,
    state: State,
}

/// What is still to come.
#[derive(Debug)]
enum Outstanding {
    /// So many values.
    V2(u64),
    V3(Left),
}

/// What is kept of a reply that nobody awaits: enough to tell what kind of reply it was.
const HEAD_BYTES: usize = 16;

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a value.
    Mark,
    /// In a header line or a short value; so much of it is in `line`.
    Number { line: [u8; LINE], len: usize },
    /// In a line of so many bytes yet, behind its CR or not.
    Line { len: usize, cr: bool },
    /// In a bulk string's bytes, so many of them to come.
    Bytes { left: usize },
    /// In the CR LF behind a bulk string, so much of it seen.
    LineEnd { seen: usize },
}

/// A mark, a sign, 19 digits, CR LF.
const LINE: usize = 24;

impl Default for ReplyAssembly {
    fn default() -> Self {
        ReplyAssembly::new(Version::default())
    }
}

impl ReplyAssembly {
    /// Of which nothing has come.
    #[must_use]
    pub fn new(version: Version) -> Self {
        ReplyAssembly {
            bytes: ByteQueue::default(),
            mark: 0,
            come: 0,
            forgotten: false,
            left: match version {
                Version::V2 => Outstanding::V2(1),
                Version::V3 => Outstanding::V3(Left::default()),
            },
            state: State::Mark,
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
        if self.come == 0 {
            self.mark = chunk.bytes().get(at).copied().unwrap_or(0);
        }
        let used = self.step_over(&chunk.bytes()[at..])?;
        let kept = match self.forgotten {
            true => used.min(HEAD_BYTES.saturating_sub(self.bytes.len())),
            false => used,
        };
        self.bytes.push_from(chunk, at..at + kept, spare);
        self.come += used;
        Ok(Assembled {
            used,
            complete: self.is_complete(),
        })
    }

    /// Nobody awaits the reply any more: from now on its bytes are stepped over, and those that
    /// have come are given up, but for the first few.
    pub fn forget(&mut self) {
        if std::mem::replace(&mut self.forgotten, true) || self.bytes.is_empty() {
            return;
        }
        let all = self.bytes.slices().flatten();
        let head: Vec<u8> = all.take(HEAD_BYTES).copied().collect();
        self.bytes = ByteQueue::default();
        self.bytes.push_copy(&head, &mut Spare::default());
    }

    /// What it is: whether it begins as an error does.
    #[must_use]
    pub fn kind(&self) -> ReplyKind {
        kind(self.mark)
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

    /// The reply, once it is complete, or what was not taken of it; its first bytes if it was
    /// forgotten.
    #[must_use]
    pub fn into_bytes(self) -> ByteQueue {
        debug_assert!(self.is_complete(), "the reply is not complete");
        self.bytes
    }

    /// How many bytes are still to come of the value that it is in.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        match self.state {
            State::Bytes { left } => left,
            _ => 0,
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn is_complete(&self) -> bool {
        let all = match &self.left {
            Outstanding::V2(values) => *values == 0,
            Outstanding::V3(left) => left.is_nothing(),
        };
        all && matches!(self.state, State::Mark)
    }

    fn step_over(&mut self, buf: &[u8]) -> Result<usize, ReplyError> {
        let mut at = 0;
        while at < buf.len() && !self.is_complete() {
            at = match self.state {
                State::Mark => match self.step_over_whole(buf, at)? {
                    // Only the value that does not lie whole in `buf` is looked at in steps.
                    end if end > at => end,
                    _ => self.begin_value(buf[at], at)?,
                },
                State::Number { line, len } => self.step_number(buf[at], at, line, len)?,
                State::Line { len, cr } => self.step_line(&buf[at..], at, len, cr)?,
                State::Bytes { left } => {
                    let step = left.min(buf.len() - at);
                    self.state = match left - step {
                        0 => State::LineEnd { seen: 0 },
                        left => State::Bytes { left },
                    };
                    at + step
                }
                State::LineEnd { seen } => {
                    if buf[at] != b"\r\n"[seen] {
                        return Err(ReplyError::NoLineEnd);
                    }
                    self.state = if seen == 0 {
                        State::LineEnd { seen: 1 }
                    } else {
                        State::Mark
                    };
                    at + 1
                }
            };
        }
        Ok(at)
    }

    fn step_over_whole(&mut self, buf: &[u8], at: usize) -> Result<usize, ReplyError> {
        match &mut self.left {
            Outstanding::V2(values) => cut_values(buf, at, values),
            Outstanding::V3(left) => values::cut_values(buf, at, left),
        }
    }

    fn begin_value(&mut self, mark: u8, at: usize) -> Result<usize, ReplyError> {
        let is_line = match &mut self.left {
            Outstanding::V2(values) => {
                if !b"$*:+-".contains(&mark) {
                    return Err(ReplyError::UnknownType { got: mark });
                }
                *values -= 1;
                matches!(mark, b'+' | b'-')
            }
            Outstanding::V3(left) => {
                left.admits(mark)?;
                let is_line = values::is_line(mark);
                match is_line {
                    true => left.take()?,
                    false => _ = values::read_head(&[mark], 0)?,
                }
                is_line
            }
        };
        self.state = match is_line {
            true => State::Line { len: 1, cr: false },
            false => {
                let mut line = [0; LINE];
                line[0] = mark;
                State::Number { line, len: 1 }
            }
        };
        Ok(at + 1)
    }

    /// The next byte of a header line of RESP3.
    fn step_head(&mut self, line: [u8; LINE], len: usize) -> Result<(), ReplyError> {
        let Outstanding::V3(left) = &mut self.left else {
            return Ok(());
        };
        let head = values::read_head(&line[..len], 0)?.map(|(head, _)| head);
        if let Some(head) = head {
            left.open(head)?;
        }
        self.state = match head {
            None => State::Number { line, len },
            Some(Head::Bytes(0)) => State::LineEnd { seen: 0 },
            Some(Head::Bytes(bytes) | Head::Piece(bytes)) if bytes > 0 => {
                #[expect(clippy::cast_possible_truncation, reason = "at most BULK_BYTES_MAX")]
                let left = bytes as usize;
                State::Bytes { left }
            }
            Some(_) => State::Mark,
        };
        Ok(())
    }

    fn step_number(
        &mut self,
        byte: u8,
        at: usize,
        mut line: [u8; LINE],
        len: usize,
    ) -> Result<usize, ReplyError> {
        line[len] = byte;
        let len = len + 1;
        let Outstanding::V2(values_left) = &mut self.left else {
            self.step_head(line, len)?;
            return Ok(at + 1);
        };
        let negative = line[0] == b':' && line[1] == b'-';
        if negative && len == 2 {
            self.state = State::Number { line, len };
            return Ok(at + 1);
        }
        let header = read_header(&line[..len], usize::from(negative));
        self.state = match (line[0], header) {
            (_, Header::Incomplete) => State::Number { line, len },
            (b':', Header::Number { value, .. }) if !(negative && value == 0) => State::Mark,
            (b'$' | b'*', Header::Null { .. }) => State::Mark,
            (b'*', Header::Number { value, .. }) if value <= ELEMENTS_MAX => {
                *values_left = add_values(*values_left, value)?;
                State::Mark
            }
            (b'$', Header::Number { value: 0, .. }) => State::LineEnd { seen: 0 },
            (b'$', Header::Number { value, .. }) if value <= BULK_BYTES_MAX => {
                #[expect(clippy::cast_possible_truncation, reason = "at most BULK_BYTES_MAX")]
                let left = value as usize;
                State::Bytes { left }
            }
            _ => return Err(ReplyError::BadNumber),
        };
        Ok(at + 1)
    }

    fn step_line(
        &mut self,
        buf: &[u8],
        at: usize,
        len: usize,
        cr: bool,
    ) -> Result<usize, ReplyError> {
        if cr {
            if buf[0] != b'\n' {
                return Err(ReplyError::NoLineEnd);
            }
            self.state = State::Mark;
            return Ok(at + 1);
        }
        let found = memchr::memchr2(b'\r', b'\n', buf);
        let len = len + found.unwrap_or(buf.len());
        if len > LINE_BYTES_MAX {
            return Err(ReplyError::LineTooLong);
        }
        match found {
            None => {
                self.state = State::Line { len, cr: false };
                Ok(at + buf.len())
            }
            Some(found) if buf[found] == b'\r' => {
                self.state = State::Line { len, cr: true };
                Ok(at + found + 1)
            }
            Some(_) => Err(ReplyError::NoLineEnd),
        }
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
    use crate::protocol::resp::cut_reply;

    fn assemble(
        version: Version,
        bytes: &[u8],
        cuts: &[usize],
    ) -> Result<Option<usize>, ReplyError> {
        let (mut assembly, mut spare) = (ReplyAssembly::new(version), Spare::default());
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        bounds.extend([0, bytes.len()]);
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            let chunk = Bytes::copy_from_slice(&bytes[pair[0]..pair[1]]);
            let fed = assembly.feed(&chunk, 0, &mut spare)?;
            if fed.complete {
                let used = pair[0] + fed.used;
                assert_eq!(assembly.into_bytes().to_vec(), bytes[..used]);
                return Ok(Some(used));
            }
        }
        Ok(None)
    }

    fn write_value(random: &mut crate::base::Random, depth: u64, out: &mut Vec<u8>) {
        match random.below(if depth > 3 { 5 } else { 6 }) {
            0 => out.extend_from_slice(b"+OK\r\n"),
            1 => out.extend_from_slice(b"-ERR some text\r\n"),
            2 => out.extend_from_slice(format!(":{}\r\n", random.next_u32() as i32).as_bytes()),
            3 if random.below(2) == 0 => out.extend_from_slice(b"$-1\r\n"),
            3 => out.extend_from_slice(b"*-1\r\n"),
            4 => {
                let len = random.below(40_000) * random.below(2);
                out.extend_from_slice(format!("${len}\r\n").as_bytes());
                (0..len).for_each(|_| out.push(b'v'));
                out.extend_from_slice(b"\r\n");
            }
            _ => {
                let count = random.below(5);
                out.extend_from_slice(format!("*{count}\r\n").as_bytes());
                (0..count).for_each(|_| write_value(random, depth + 1, out));
            }
        }
    }

    /// One value of RESP3, and any of those that it alone has.
    fn write_newer(random: &mut crate::base::Random, depth: u64, out: &mut Vec<u8>) {
        let pairs = |random: &mut crate::base::Random, count: u64, out: &mut Vec<u8>| {
            (0..count).for_each(|_| write_newer(random, depth + 1, out));
        };
        let count = random.below(4);
        match random.below(if depth > 3 { 6 } else { 13 }) {
            0 => out.extend_from_slice(b"_\r\n"),
            1 => out.extend_from_slice(b"#t\r\n"),
            2 => out.extend_from_slice(b",-1.25e+308\r\n"),
            3 => out.extend_from_slice(b"(123456789012345678901234567890\r\n"),
            4 => out.extend_from_slice(b"!5\r\nERR x\r\n=5\r\ntxt:a\r\n".split_at(11).0),
            5 => out.extend_from_slice(b"=5\r\ntxt:a\r\n"),
            6 => {
                out.extend_from_slice(format!("%{count}\r\n").as_bytes());
                pairs(random, 2 * count, out);
            }
            7 => {
                out.extend_from_slice(format!("~{count}\r\n").as_bytes());
                pairs(random, count, out);
            }
            8 => {
                out.extend_from_slice(format!("|{count}\r\n").as_bytes());
                pairs(random, 2 * count + 1, out);
            }
            9 => {
                out.extend_from_slice(b"*?\r\n");
                pairs(random, count, out);
                out.extend_from_slice(b".\r\n");
            }
            10 => {
                out.extend_from_slice(b"%?\r\n");
                pairs(random, 2 * count, out);
                out.extend_from_slice(b".\r\n");
            }
            11 => out.extend_from_slice(b"$?\r\n;3\r\nabc\r\n;1\r\nd\r\n;0\r\n"),
            _ => write_value(random, depth, out),
        }
    }

    proptest! {
        #[test]
        fn any_cut_of_the_same_newer_reply_gives_the_same_result(
            seed in any::<u64>(),
            cuts in vec(any::<usize>(), 0..12),
        ) {
            let mut reply = Vec::new();
            write_newer(&mut crate::base::Random::new(seed), 0, &mut reply);
            let len = reply.len();
            reply.extend_from_slice(b"+next\r\n");
            prop_assert_eq!(cut_reply(Version::V3, &reply), Ok(Some(len)));
            prop_assert_eq!(assemble(Version::V3, &reply, &cuts), Ok(Some(len)));
        }

        #[test]
        fn any_newer_garbage_gives_the_same_verdict_whole_and_in_pieces(
            bytes in vec(proptest::sample::select(b"*$:+-012\r\nG?%~|>_#tf,(!=;.".to_vec()), 0..40),
            cuts in vec(any::<usize>(), 0..6),
        ) {
            prop_assert_eq!(assemble(Version::V3, &bytes, &cuts), cut_reply(Version::V3, &bytes));
        }

        #[test]
        fn any_cut_of_the_same_reply_gives_the_same_result(
            seed in any::<u64>(),
            cuts in vec(any::<usize>(), 0..12),
        ) {
            let mut reply = Vec::new();
            write_value(&mut crate::base::Random::new(seed), 0, &mut reply);
            let len = reply.len();
            reply.extend_from_slice(b"+next\r\n");
            for version in [Version::V2, Version::V3] {
                prop_assert_eq!(cut_reply(version, &reply), Ok(Some(len)));
                prop_assert_eq!(assemble(version, &reply, &cuts), Ok(Some(len)));
            }
        }

        #[test]
        fn a_forgotten_reply_ends_where_it_would_have_and_leaves_only_its_head(
            seed in any::<u64>(),
            cuts in vec(any::<usize>(), 0..6),
            forgotten_after in 0usize..8,
        ) {
            let mut reply = Vec::new();
            write_value(&mut crate::base::Random::new(seed), 0, &mut reply);
            let len = reply.len();
            reply.extend_from_slice(b"+next\r\n");
            let (mut assembly, mut spare) = (ReplyAssembly::new(Version::V3), Spare::default());
            let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % len).collect();
            bounds.extend([0, reply.len()]);
            bounds.sort_unstable();
            for (number, pair) in bounds.windows(2).enumerate() {
                if number >= forgotten_after.min(bounds.len() - 2) {
                    assembly.forget();
                    assert!(assembly.held_bytes() <= HEAD_BYTES);
                }
                let chunk = Bytes::copy_from_slice(&reply[pair[0]..pair[1]]);
                let fed = assembly.feed(&chunk, 0, &mut spare).expect("a reply");
                if fed.complete {
                    prop_assert_eq!(pair[0] + fed.used, len);
                    break;
                }
            }
            prop_assert_eq!(assembly.come_bytes(), len);
            prop_assert_eq!(assembly.into_bytes().to_vec(), &reply[..len.min(HEAD_BYTES)]);
        }

        #[test]
        fn any_garbage_gives_the_same_verdict_whole_and_in_pieces(
            bytes in vec(proptest::sample::select(b"*$:+-012\r\nG".to_vec()), 0..40),
            cuts in vec(any::<usize>(), 0..6),
        ) {
            prop_assert_eq!(assemble(Version::V2, &bytes, &cuts), cut_reply(Version::V2, &bytes));
        }
    }
}
