//! A request that arrives in pieces, or not as it is sent to a server.
//!
//! ```text
//!   Line ─► Data ─► LineEnd ─► Done
//!     │       └─ the end is elsewhere ─► Rest, up to a line end ─► Done, with a fault
//!     └─ a fault ─► Passing, over its data ─► Done, with that fault
//! ```
//!
//! Owns: the bytes of one unfinished request. Those of a large value stay in the buffers where they
//! were received; those of a data block that nobody will get are not kept.

use std::cell::OnceCell;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::SHARE_BYTES_MIN;
use crate::base::Spare;
use crate::protocol::Arg;
use crate::protocol::Assembled;
use crate::protocol::Request;
use crate::protocol::memcached::KEYS_BYTES_MAX;
use crate::protocol::memcached::LINE_BYTES_MAX;
use crate::protocol::memcached::base64;
use crate::protocol::memcached::fault::Fault;
use crate::protocol::memcached::fault::ProtocolError;
use crate::protocol::memcached::line::Line;
use crate::protocol::memcached::line::read_line;
use crate::protocol::memcached::table::is_keyless;
use crate::protocol::request::Body;
use crate::protocol::request::IN_SKELETON;
use crate::protocol::resp::Foreign;

/// The mark of the last argument of a request of which its client wants to hear nothing, or not
/// everything.
pub(super) const QUIET: u32 = IN_SKELETON - 1;

/// The mark of the only argument of a request that is none: where it starts is the fault's number.
pub(super) const FAULTY: u32 = IN_SKELETON - 2;

/// One unfinished request.
#[derive(Debug, Default)]
pub struct RequestAssembly {
    state: State,
    // As it was received, until the request is complete: another process may have to read it.
    line: Vec<u8>,
    asks: Line,
    skeleton: Vec<u8>,
    frame: usize,
    args: Vec<Arg>,
    bodies: Vec<Body>,
    // The large value that is arriving.
    body: ByteQueue,
    held: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Line,
    /// In the data, so much of it to come.
    Data {
        left: usize,
    },
    /// In the line end behind it, so much of it seen.
    LineEnd {
        seen: usize,
    },
    /// In data that nobody gets, so much of it to come.
    Passing {
        left: usize,
    },
    /// In what is behind a data block that does not end where it should.
    Rest,
    Done,
}

impl RequestAssembly {
    /// Takes the next bytes: those of `chunk` from `at` on.
    ///
    /// # Errors
    /// What makes the bytes no line.
    pub fn feed(
        &mut self,
        chunk: &impl Chunk,
        at: usize,
        spare: &mut Spare,
    ) -> Result<Assembled, ProtocolError> {
        let (buf, mut position) = (chunk.bytes(), at);
        while position < buf.len() && !self.is_done() {
            position = match self.state {
                State::Line => self.feed_line(buf, position)?,
                State::Data { left } => self.feed_data(chunk, position, left, spare),
                State::LineEnd { seen } => self.feed_line_end(buf, position, seen),
                State::Passing { left } => {
                    let step = left.min(buf.len() - position);
                    self.state = match left - step {
                        0 => State::LineEnd { seen: 0 },
                        left => State::Passing { left },
                    };
                    position + step
                }
                State::Rest => match memchr::memchr(b'\n', &buf[position..]) {
                    None => buf.len(),
                    Some(found) => {
                        self.complete();
                        position + found + 1
                    }
                },
                State::Done => position,
            };
        }
        Ok(Assembled {
            used: position - at,
            complete: self.is_done(),
        })
    }

    /// The request, once it is complete.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        debug_assert!(self.is_done(), "the request is not complete");
        Request {
            skeleton: &self.skeleton,
            frame: self.frame,
            args: &self.args,
            bodies: &self.bodies,
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held
    }

    /// Appends what was fed or, of data that nobody gets, what makes another process pass over the
    /// rest of it.
    pub fn copy_raw(&self, into: &mut Vec<u8>) {
        match self.state {
            State::Passing { left } => {
                // A key that is none: its data is passed over, and its client is told.
                into.extend_from_slice(b"set \x01 0 0 ");
                into.extend_from_slice(left.to_string().as_bytes());
                self.copy_quiet(into);
            }
            State::Rest => {
                into.extend_from_slice(b"set k 0 0 0");
                self.copy_quiet(into);
                into.extend_from_slice(b"xx");
            }
            State::LineEnd { seen } if self.asks.fault.is_some() => {
                into.extend_from_slice(b"set \x01 0 0 0");
                self.copy_quiet(into);
                into.extend_from_slice(&b"\r\n"[..seen]);
            }
            _ => self.copy_taken(into),
        }
    }

    fn copy_quiet(&self, into: &mut Vec<u8>) {
        let end: &[u8] = match self.asks.quiet && !self.is_meta() {
            true => b" noreply\r\n",
            false => b"\r\n",
        };
        into.extend_from_slice(end);
    }

    fn copy_taken(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.line);
        let mut from = self.frame;
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

    /// Whether it is a meta command, which tells of errors however quiet it is.
    fn is_meta(&self) -> bool {
        self.line.trim_ascii_start().starts_with(b"m")
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn feed_line(&mut self, buf: &[u8], at: usize) -> Result<usize, ProtocolError> {
        if self.line.is_empty() {
            if let Some(foreign) = Foreign::by_first_byte(buf[at]) {
                return Err(ProtocolError::Foreign(foreign));
            }
        }
        let found = memchr::memchr(b'\n', &buf[at..]);
        let end = found.map_or(buf.len(), |found| at + found + 1);
        let limit = match self.line.first().copied().unwrap_or(buf[at]) {
            b'g' => KEYS_BYTES_MAX,
            _ => LINE_BYTES_MAX,
        };
        if self.line.len() + (end - at) > limit {
            return Err(ProtocolError::LineTooLong);
        }
        self.line.extend_from_slice(&buf[at..end]);
        self.held = self.line.len();
        if found.is_some() {
            self.take_line()?;
        }
        Ok(end)
    }

    fn take_line(&mut self) -> Result<(), ProtocolError> {
        let line = std::mem::take(&mut self.line);
        let (text, has_return) = match line.strip_suffix(b"\r\n") {
            Some(text) => (text, true),
            None => (&line[..line.len() - 1], false),
        };
        self.asks = read_line(text, &mut self.args);
        let name = self.args.first().map_or(&[][..], |arg| {
            &text[arg.start as usize..][..arg.len as usize]
        });
        if !has_return && !is_keyless(name) && !text.is_empty() {
            return Err(ProtocolError::BareLineFeed);
        }
        if let Some(foreign) = foreign(text) {
            return Err(ProtocolError::Foreign(foreign));
        }
        if self.asks.fault.is_none() {
            self.write_line(text);
        }
        self.line = line;
        self.state = match (self.asks.fault, self.asks.data) {
            (_, None) => {
                self.complete();
                return Ok(());
            }
            (None, Some(left)) if left > 0 => State::Data { left },
            (Some(_), Some(left)) if left > 0 => State::Passing { left },
            (_, Some(_)) => State::LineEnd { seen: 0 },
        };
        self.begin_data();
        Ok(())
    }

    /// Writes the words with one blank between them, and behind the frame a key that is base64.
    fn write_line(&mut self, text: &[u8]) {
        for (nth, arg) in self.args.iter_mut().enumerate() {
            if nth > 0 {
                self.skeleton.push(b' ');
            }
            let word = &text[arg.start as usize..][..arg.len as usize];
            #[expect(clippy::cast_possible_truncation, reason = "at most KEYS_BYTES_MAX")]
            let start = self.skeleton.len() as u32;
            arg.start = start;
            self.skeleton.extend_from_slice(word);
        }
        self.skeleton.extend_from_slice(b"\r\n");
        self.frame = self.skeleton.len();
        if self.asks.encoded && decoded(&self.skeleton, self.args[1]).is_none() {
            self.asks.fault = Some(Fault::Encoding);
        }
    }

    fn begin_data(&mut self) {
        let large = self.asks.data.is_some_and(|bytes| bytes >= SHARE_BYTES_MIN);
        if large && self.asks.fault.is_none() {
            self.bodies.push(Body {
                at: self.frame,
                pieces: Vec::new(),
                joined: OnceCell::new(),
            });
        }
    }

    fn feed_data(
        &mut self,
        chunk: &impl Chunk,
        at: usize,
        left: usize,
        spare: &mut Spare,
    ) -> usize {
        let step = left.min(chunk.bytes().len() - at);
        match self.bodies.last_mut() {
            Some(_) => self.body.push_from(chunk, at..at + step, spare),
            None => self
                .skeleton
                .extend_from_slice(&chunk.bytes()[at..at + step]),
        }
        self.held += step;
        self.state = State::Data { left: left - step };
        if step == left {
            self.state = State::LineEnd { seen: 0 };
            if let Some(body) = self.bodies.last_mut() {
                body.pieces = std::mem::take(&mut self.body).into_pieces();
            }
        }
        at + step
    }

    fn feed_line_end(&mut self, buf: &[u8], at: usize, seen: usize) -> usize {
        if buf[at] != b"\r\n"[seen] {
            let fault = self.asks.fault.or(Some(Fault::Data));
            self.forget_data();
            self.asks.fault = fault;
            self.state = State::Rest;
            return at;
        }
        if self.asks.fault.is_none() {
            self.skeleton.push(buf[at]);
        }
        self.state = State::LineEnd { seen: seen + 1 };
        if seen == 1 {
            self.complete();
        }
        at + 1
    }

    fn forget_data(&mut self) {
        self.skeleton.truncate(self.frame);
        self.bodies = Vec::new();
        self.body = ByteQueue::default();
        self.held = self.line.len();
    }

    /// Marks what its client hears of it, or why it is none.
    fn complete(&mut self) {
        self.state = State::Done;
        if let Some(fault) = self.asks.fault {
            self.forget_data();
            self.skeleton.clear();
            self.args.clear();
            self.args.push(mark(FAULTY, fault.number()));
        }
        self.frame = self.skeleton.len();
        if self.asks.encoded && self.asks.fault.is_none() {
            let key = decoded(&self.skeleton, self.args[1]).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, reason = "a key, behind a line")]
            let (start, len) = (self.frame as u32, key.len() as u32);
            self.skeleton.extend_from_slice(&key);
            self.args[1] = Arg {
                start,
                len,
                body: IN_SKELETON,
            };
        }
        if self.asks.quiet && !(self.is_meta() && self.asks.fault.is_some()) {
            self.args.push(mark(QUIET, 0));
        }
    }
}

/// An argument that says something of the others.
fn mark(mark: u32, start: u32) -> Arg {
    Arg {
        start,
        len: 0,
        body: mark,
    }
}

fn decoded(skeleton: &[u8], key: Arg) -> Option<Vec<u8>> {
    let text = &skeleton[key.start as usize..][..key.len as usize];
    let mut bytes = Vec::new();
    base64::decode(text, &mut bytes).map(|()| bytes)
}

/// What a browser, or a proxy of another kind, begins with.
fn foreign(line: &[u8]) -> Option<Foreign> {
    if !line.first().is_some_and(u8::is_ascii_uppercase) {
        return None;
    }
    let words = line.split(|byte| *byte == b' ').map(<[u8]>::to_vec);
    Foreign::by_words(&words.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
