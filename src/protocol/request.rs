//! A request of any protocol: a canonical frame, and where its arguments lie in it.

use std::cell::OnceCell;

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::protocol::command::Args;

/// Where one argument lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg {
    // In the skeleton; of an argument held apart, where its bytes would be.
    pub(in crate::protocol) start: u32,
    pub(in crate::protocol) len: u32,
    // Which body holds the bytes; `IN_SKELETON` if none does.
    pub(in crate::protocol) body: u32,
}

/// The mark of an argument that lies in the skeleton.
pub(in crate::protocol) const IN_SKELETON: u32 = u32::MAX;

/// A large argument, held apart from the skeleton in the buffers where it was received.
#[derive(Debug)]
pub struct Body {
    /// Where in the skeleton its bytes belong.
    pub(in crate::protocol) at: usize,
    pub(in crate::protocol) pieces: Vec<Bytes>,
    // For the rare command that must look at a large argument, such as a key of 1 MiB.
    pub(in crate::protocol) joined: OnceCell<Vec<u8>>,
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
    pub(in crate::protocol) skeleton: &'a [u8],
    // Where the frame ends in the skeleton. Behind it are arguments that it has in another form.
    pub(in crate::protocol) frame: usize,
    pub(in crate::protocol) args: &'a [Arg],
    pub(in crate::protocol) bodies: &'a [Body],
}

impl<'a> Request<'a> {
    /// A request whose frame lies whole in `frame`, cut into `args`.
    #[must_use]
    pub fn whole(frame: &'a [u8], args: &'a [Arg]) -> Request<'a> {
        Request {
            skeleton: frame,
            frame: frame.len(),
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
                queue.push_from(chunk, at..at + self.frame, spare);
            }
            _ => self.write_range(0..self.frame, self.bodies, queue, spare),
        }
    }

    /// How many bytes an argument has.
    #[must_use]
    pub fn arg_bytes(&self, index: usize) -> usize {
        let arg = self.args[index];
        match self.bodies.get(arg.body as usize) {
            None => arg.len as usize,
            Some(body) => body.pieces.iter().map(Bytes::len).sum(),
        }
    }

    /// How many bytes the frame has.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        let bodies = self.bodies.iter().flat_map(|body| &body.pieces);
        self.frame + bodies.map(Bytes::len).sum::<usize>()
    }

    /// Appends a stretch of the skeleton with these `bodies`, which belong in it.
    pub(in crate::protocol) fn write_range(
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
