//! One place in the order of a client's replies, and what comes into it.
//!
//! | a request gets | its slot |
//! |---|---|
//! | no reply | none: it is counted until its server has it |
//! | one reply | `Waiting`, then `Streaming` or `Ready` |
//! | one, of which each server has a part | `Gathering` |
//!
//! Owns: the forms that a reply can wait in. Never: the order.

use std::ops::Range;

use crate::base::ByteQueue;
use crate::base::Chunk;
use crate::base::Spare;
use crate::proxy::plan::gather::Gathering;

/// Where one request's reply stands.
#[derive(Debug)]
pub(in crate::proxy) enum Slot {
    /// No reply yet.
    Waiting,
    /// The reply is due and large, and so many bytes of it are in `out`, or were.
    Streaming(usize),
    /// The reply is here, and others are due before it.
    Ready(Vec<u8>),
    /// The same, too large to be copied.
    ReadyLarge(Box<ByteQueue>),
    /// Some fragments' replies are here.
    Gathering(Box<Gathering>),
}

/// What a request gets.
#[derive(Debug)]
pub(in crate::proxy) enum Due {
    /// One reply.
    One,
    /// One that is joined from those of several servers.
    Gathered(Box<Gathering>),
    /// No reply, whatever becomes of it.
    Nothing,
}

impl Due {
    /// How many servers' replies come.
    pub(in crate::proxy) fn parts(&self) -> u32 {
        match self {
            Due::Gathered(gathering) => gathering.waiting(),
            Due::One | Due::Nothing => 1,
        }
    }
}

/// A reply on its way to a client.
pub(in crate::proxy) enum Reply<'a, C: Chunk> {
    /// It lies whole in a receive buffer.
    InChunk(&'a C, Range<usize>),
    /// It was assembled.
    Assembled(ByteQueue),
    /// It is our own.
    Own(&'a [u8]),
}

impl<C: Chunk> Reply<'_, C> {
    pub(in crate::proxy) fn write_to(self, out: &mut ByteQueue, spare: &mut Spare) {
        match self {
            Reply::InChunk(chunk, range) => out.push_from(chunk, range, spare),
            Reply::Assembled(bytes) => out.append(bytes, spare),
            Reply::Own(bytes) => out.push_copy(bytes, spare),
        }
    }

    /// A copy of its first bytes, at most `count`.
    pub(in crate::proxy) fn head(&self, count: usize) -> Vec<u8> {
        match self {
            Reply::InChunk(chunk, range) => chunk.bytes()[range.clone()]
                .iter()
                .take(count)
                .copied()
                .collect(),
            Reply::Assembled(bytes) => bytes.slices().flatten().take(count).copied().collect(),
            Reply::Own(bytes) => bytes.iter().take(count).copied().collect(),
        }
    }

    pub(in crate::proxy) fn len(&self) -> usize {
        match self {
            Reply::InChunk(_, range) => range.len(),
            Reply::Assembled(bytes) => bytes.len(),
            Reply::Own(bytes) => bytes.len(),
        }
    }

    pub(in crate::proxy) fn into_slot(self, spare: &mut Spare) -> Slot {
        const COPIED_BYTES_MAX: usize = crate::base::SHARE_BYTES_MIN;
        match self {
            Reply::InChunk(chunk, range) if range.len() < COPIED_BYTES_MAX => {
                Slot::Ready(chunk.bytes()[range].to_vec())
            }
            Reply::Own(bytes) => Slot::Ready(bytes.to_vec()),
            reply => {
                let mut bytes = ByteQueue::default();
                reply.write_to(&mut bytes, spare);
                Slot::ReadyLarge(Box::new(bytes))
            }
        }
    }
}
