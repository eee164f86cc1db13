//! Requests and replies that arrive in pieces, of any protocol.

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::protocol::ProtocolError;
use crate::protocol::ReplyError;
use crate::protocol::ReplyKind;
use crate::protocol::Request;
use crate::protocol::memcached;
#[cfg(any(test, debug_assertions))]
use crate::protocol::numbered;
use crate::protocol::resp;

/// What feeding an assembly has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// How many bytes it used.
    pub used: usize,
    /// Whether the message is complete; if not, all bytes were used.
    pub complete: bool,
}

/// One unfinished request.
#[derive(Debug)]
pub enum RequestAssembly {
    /// Redis's.
    Resp(resp::RequestAssembly),
    /// memcached's.
    Memcached(memcached::RequestAssembly),
    /// Of the tests.
    #[cfg(any(test, debug_assertions))]
    Numbered(numbered::RequestAssembly),
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
        match self {
            RequestAssembly::Resp(request) => Ok(request.feed(chunk, at, spare)?),
            RequestAssembly::Memcached(request) => Ok(request.feed(chunk, at, spare)?),
            #[cfg(any(test, debug_assertions))]
            RequestAssembly::Numbered(request) => Ok(request.feed(chunk, at)?),
        }
    }

    /// The request, once it is complete. One without arguments asks nothing.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        match self {
            RequestAssembly::Resp(request) => request.request(),
            RequestAssembly::Memcached(request) => request.request(),
            #[cfg(any(test, debug_assertions))]
            RequestAssembly::Numbered(request) => request.request(),
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match self {
            RequestAssembly::Resp(request) => request.held_bytes(),
            RequestAssembly::Memcached(request) => request.held_bytes(),
            #[cfg(any(test, debug_assertions))]
            RequestAssembly::Numbered(request) => request.line().len(),
        }
    }

    /// Appends all that was fed, byte for byte, to `into`.
    pub fn copy_raw(&self, into: &mut Vec<u8>) {
        match self {
            RequestAssembly::Resp(request) => request.copy_raw(into),
            RequestAssembly::Memcached(request) => request.copy_raw(into),
            #[cfg(any(test, debug_assertions))]
            RequestAssembly::Numbered(request) => into.extend_from_slice(request.line()),
        }
    }
}

/// One unfinished reply. Its large stretches stay in the buffers where they were received.
#[derive(Debug)]
pub enum ReplyAssembly {
    /// Redis's.
    Resp(resp::ReplyAssembly),
    /// memcached's.
    Memcached(memcached::ReplyAssembly),
    /// Of the tests.
    #[cfg(any(test, debug_assertions))]
    Numbered(numbered::ReplyAssembly),
}

impl ReplyAssembly {
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
        match self {
            ReplyAssembly::Resp(reply) => Ok(reply.feed(chunk, at, spare)?),
            ReplyAssembly::Memcached(reply) => Ok(reply.feed(chunk, at, spare)?),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(reply) => Ok(reply.feed(chunk, at)?),
        }
    }

    /// Nobody awaits the reply any more: from now on its bytes are stepped over, and those that
    /// have come are given up, but for the first few.
    pub fn forget(&mut self) {
        match self {
            ReplyAssembly::Resp(reply) => reply.forget(),
            ReplyAssembly::Memcached(reply) => reply.forget(),
            // Its replies are short.
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(_) => {}
        }
    }

    /// What it is, as far as its first bytes say.
    #[must_use]
    pub fn kind(&self) -> ReplyKind {
        match self {
            ReplyAssembly::Resp(reply) => reply.kind(),
            ReplyAssembly::Memcached(reply) => reply.kind(),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(reply) => reply.kind(),
        }
    }

    /// How many bytes of the reply have come, kept or not.
    #[must_use]
    pub fn come_bytes(&self) -> usize {
        match self {
            ReplyAssembly::Resp(reply) => reply.come_bytes(),
            ReplyAssembly::Memcached(reply) => reply.come_bytes(),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(reply) => reply.bytes(),
        }
    }

    /// Takes the bytes that have come and were not taken before.
    #[must_use]
    pub fn take_bytes(&mut self) -> ByteQueue {
        match self {
            ReplyAssembly::Resp(reply) => reply.take_bytes(),
            ReplyAssembly::Memcached(reply) => reply.take_bytes(),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(_) => ByteQueue::default(),
        }
    }

    /// The reply, once it is complete, or what was not taken of it; its first bytes if it was
    /// forgotten.
    #[must_use]
    pub fn into_bytes(self) -> ByteQueue {
        match self {
            ReplyAssembly::Resp(reply) => reply.into_bytes(),
            ReplyAssembly::Memcached(reply) => reply.into_bytes(),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(reply) => reply.into_bytes(),
        }
    }

    /// How many bytes are still to come of the value that it is in.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        match self {
            ReplyAssembly::Resp(reply) => reply.left_bytes(),
            ReplyAssembly::Memcached(reply) => reply.left_bytes(),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(_) => 0,
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match self {
            ReplyAssembly::Resp(reply) => reply.held_bytes(),
            ReplyAssembly::Memcached(reply) => reply.held_bytes(),
            #[cfg(any(test, debug_assertions))]
            ReplyAssembly::Numbered(reply) => reply.bytes(),
        }
    }
}
