//! Bytes on their way out: small ones copied together, large ones shared with where they came from.
//!
//! Owns: the rule what is copied and what is shared. Never: knows what the bytes mean.

use std::collections::VecDeque;

use bytes::Bytes;

/// From this size on a piece is shared, below it is copied. A shared piece pins the whole receive
/// buffer that it lies in: with a quarter of a buffer as the least, what is held never takes more
/// than four times its size.
pub const SHARE_BYTES_MIN: usize = 16 << 10;

/// A tail is not grown beyond this: its buffer would have to be copied as it grows, and be mapped
/// afresh each time, where one that stays smaller is used again.
const TAIL_BYTES_MAX: usize = 48 << 10;

/// A receive buffer's content as it is handed up: to be read in place, or to be kept.
pub trait Chunk {
    /// What was received.
    fn bytes(&self) -> &[u8];
    /// The same bytes, to be kept: a reference to the buffer, not a copy of it.
    fn share(&self) -> Bytes;
    /// The bytes from `at` on, to be kept: a reference or, if they are few, a copy.
    fn keep_from(&self, at: usize) -> Bytes {
        let rest = &self.bytes()[at..];
        if rest.len() < SHARE_BYTES_MIN {
            Bytes::copy_from_slice(rest)
        } else {
            self.share().slice(at..)
        }
    }
}

impl Chunk for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn share(&self) -> Bytes {
        self.clone()
    }
}

/// A stretch of bytes.
#[derive(Debug)]
pub enum Segment {
    /// Small pieces, copied together.
    Copied(Vec<u8>),
    /// A large piece, where it was received.
    Shared(Bytes),
}

impl Segment {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Segment::Copied(bytes) => bytes,
            Segment::Shared(bytes) => bytes,
        }
    }
}

/// Buffers that are empty and warm: the last one given back is the next one taken.
#[derive(Debug, Default)]
pub struct Spare {
    buffers: Vec<Vec<u8>>,
}

impl Spare {
    /// A fresh buffer's capacity: a page, because most batches are smaller.
    const FRESH_BYTES: usize = 4096;
    /// A buffer that grew beyond this is given back to the allocator.
    const KEPT_BYTES_MAX: usize = 64 << 10;
    /// At most this many are kept: 4 MiB if all of them grew.
    const KEPT_MAX: usize = 64;

    /// An empty buffer.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.buffers
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(Spare::FRESH_BYTES))
    }

    /// Gives a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        let kept = Spare::FRESH_BYTES..=Spare::KEPT_BYTES_MAX;
        if self.buffers.len() < Spare::KEPT_MAX && kept.contains(&buffer.capacity()) {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Gives back the buffers of a batch that was sent.
    pub fn give_batch(&mut self, batch: Batch) {
        for segment in batch.segments {
            if let Segment::Copied(buffer) = segment {
                self.give(buffer);
            }
        }
        self.give(batch.tail);
    }
}

/// Bytes in order, to be sent together. Whoever sends them owns them until they are sent.
#[derive(Debug, Default)]
pub struct Batch {
    segments: VecDeque<Segment>,
    tail: Vec<u8>,
}

impl Batch {
    /// The stretches, in order, none of them empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let tail = Some(self.tail.as_slice()).filter(|tail| !tail.is_empty());
        self.segments.iter().map(Segment::as_slice).chain(tail)
    }

    /// The only stretch, if there is just one: it can be sent without a table of stretches.
    #[must_use]
    pub fn single(&self) -> Option<&[u8]> {
        if self.segments.is_empty() {
            Some(&self.tail)
        } else {
            None
        }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slices().map(<[u8]>::len).sum()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.segments.is_empty()
    }
}

/// Bytes in order, appended at the tail, taken all at once. Empty, it owns no memory.
#[derive(Debug, Default)]
pub struct ByteQueue {
    segments: VecDeque<Segment>,
    // Behind all segments. Not one of them, because nearly every queue is only this.
    tail: Vec<u8>,
    // Of the segments, without the tail.
    segment_bytes: usize,
}

impl ByteQueue {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segment_bytes + self.tail.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.segments.is_empty()
    }

    /// Appends a copy.
    #[inline]
    pub fn push_copy(&mut self, bytes: &[u8], spare: &mut Spare) {
        self.writer(spare).extend_from_slice(bytes);
    }

    /// Appends a large piece without copying it, a small one by copying.
    pub fn push(&mut self, bytes: Bytes, spare: &mut Spare) {
        if bytes.len() < SHARE_BYTES_MIN {
            self.push_copy(&bytes, spare);
            return;
        }
        self.seal_tail();
        self.segment_bytes += bytes.len();
        self.segments.push_back(Segment::Shared(bytes));
    }

    /// Appends `chunk[range]`: copied if small, shared if large.
    #[inline]
    pub fn push_from(
        &mut self,
        chunk: &impl Chunk,
        range: std::ops::Range<usize>,
        spare: &mut Spare,
    ) {
        if range.len() < SHARE_BYTES_MIN {
            self.push_copy(&chunk.bytes()[range], spare);
        } else {
            self.push_shared(chunk, range, spare);
        }
    }

    // Apart from the rest, so that what nearly every piece needs is inlined.
    #[inline(never)]
    fn push_shared(
        &mut self,
        chunk: &impl Chunk,
        range: std::ops::Range<usize>,
        spare: &mut Spare,
    ) {
        self.push(chunk.share().slice(range), spare);
    }

    /// The tail, to be appended to and not to be shortened.
    #[inline]
    pub fn writer(&mut self, spare: &mut Spare) -> &mut Vec<u8> {
        // One look for both: that it has no memory yet, and that it is long enough.
        if self.tail.len() >= self.tail.capacity().min(TAIL_BYTES_MAX) {
            self.renew_tail(spare);
        }
        &mut self.tail
    }

    #[inline(never)]
    fn renew_tail(&mut self, spare: &mut Spare) {
        if self.tail.len() >= TAIL_BYTES_MAX {
            self.seal_tail();
        }
        if self.tail.capacity() == 0 {
            self.tail = spare.take();
        }
    }

    /// Appends all of `other`, moving what can be moved.
    pub fn append(&mut self, other: ByteQueue, spare: &mut Spare) {
        for segment in other.segments {
            match segment {
                Segment::Copied(bytes) if bytes.len() >= SHARE_BYTES_MIN => {
                    self.seal_tail();
                    self.segment_bytes += bytes.len();
                    self.segments.push_back(Segment::Copied(bytes));
                }
                Segment::Copied(bytes) => {
                    self.push_copy(&bytes, spare);
                    spare.give(bytes);
                }
                Segment::Shared(bytes) => self.push(bytes, spare),
            }
        }
        if !other.tail.is_empty() {
            self.push_copy(&other.tail, spare);
            spare.give(other.tail);
        }
    }

    /// Takes everything, to be sent.
    #[must_use]
    pub fn take(&mut self) -> Batch {
        self.segment_bytes = 0;
        Batch {
            segments: std::mem::take(&mut self.segments),
            tail: std::mem::take(&mut self.tail),
        }
    }

    /// Takes the first `count` bytes, to be sent.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn take_front(&mut self, count: usize) -> Batch {
        self.seal_tail();
        let mut front = ByteQueue::default();
        while front.segment_bytes < count {
            let Some(segment) = self.segments.pop_front() else {
                panic!("the queue is shorter than what is to be taken")
            };
            let len = segment.as_slice().len();
            let step = len.min(count - front.segment_bytes);
            let (taken, left) = match segment {
                whole if step == len => (whole, None),
                Segment::Shared(bytes) => (
                    Segment::Shared(bytes.slice(..step)),
                    Some(Segment::Shared(bytes.slice(step..))),
                ),
                Segment::Copied(mut bytes) => {
                    let left = bytes.split_off(step);
                    (Segment::Copied(bytes), Some(Segment::Copied(left)))
                }
            };
            self.segment_bytes -= step;
            front.segment_bytes += step;
            front.segments.push_back(taken);
            if let Some(left) = left {
                self.segments.push_front(left);
            }
        }
        front.take()
    }

    /// Puts back what was taken and not sent, in front of what has come since.
    pub fn untake(&mut self, batch: Batch) {
        let Batch { mut segments, tail } = batch;
        if !tail.is_empty() {
            segments.push_back(Segment::Copied(tail));
        }
        self.segment_bytes += segments
            .iter()
            .map(|segment| segment.as_slice().len())
            .sum::<usize>();
        segments.append(&mut self.segments);
        self.segments = segments;
    }

    /// Throws away the first `count` bytes.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn drop_front(&mut self, mut count: usize) {
        self.seal_tail();
        while count > 0 {
            let Some(segment) = self.segments.front_mut() else {
                panic!("the queue is shorter than what is to be dropped")
            };
            let step = segment.as_slice().len().min(count);
            if step == segment.as_slice().len() {
                self.segments.pop_front();
            } else {
                match segment {
                    Segment::Copied(bytes) => drop(bytes.drain(..step)),
                    Segment::Shared(bytes) => *bytes = bytes.slice(step..),
                }
            }
            self.segment_bytes -= step;
            count -= step;
        }
    }

    /// Throws away the last `count` bytes.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn drop_back(&mut self, mut count: usize) {
        let of_tail = self.tail.len().min(count);
        self.tail.truncate(self.tail.len() - of_tail);
        count -= of_tail;
        while count > 0 {
            let Some(segment) = self.segments.back_mut() else {
                panic!("the queue is shorter than what is to be dropped")
            };
            let len = segment.as_slice().len();
            let step = len.min(count);
            if step == len {
                self.segments.pop_back();
            } else {
                match segment {
                    Segment::Copied(bytes) => bytes.truncate(len - step),
                    Segment::Shared(bytes) => bytes.truncate(len - step),
                }
            }
            self.segment_bytes -= step;
            count -= step;
        }
    }

    /// Takes some bytes out of the middle. Each stretch, from the front on, says how many bytes it
    /// has and whether they stay; together they are the whole queue.
    ///
    /// # Panics
    /// If the stretches are longer than the queue.
    pub fn retain(
        &mut self,
        stretches: impl IntoIterator<Item = (usize, bool)>,
        spare: &mut Spare,
    ) {
        self.seal_tail();
        let mut from = std::mem::take(self);
        for (mut len, stays) in stretches {
            while len > 0 {
                let Some(front) = from.segments.front() else {
                    panic!("the queue is shorter than its stretches")
                };
                let step = front.as_slice().len().min(len);
                match front {
                    // As it is, if it is large enough to stand alone.
                    _ if stays && step == front.as_slice().len() && step >= SHARE_BYTES_MIN => {
                        self.seal_tail();
                        self.segment_bytes += step;
                        self.segments.extend(from.segments.pop_front());
                        from.segment_bytes -= step;
                        len -= step;
                        continue;
                    }
                    Segment::Shared(bytes) if stays => self.push(bytes.slice(..step), spare),
                    Segment::Copied(bytes) if stays => self.push_copy(&bytes[..step], spare),
                    _ => {}
                }
                from.drop_front(step);
                len -= step;
            }
        }
    }

    /// Everything in order as pieces that can be kept, copying nothing.
    #[must_use]
    pub fn into_pieces(mut self) -> Vec<Bytes> {
        self.seal_tail();
        let pieces = self.segments.into_iter().map(|segment| match segment {
            Segment::Copied(bytes) => Bytes::from(bytes),
            Segment::Shared(bytes) => bytes,
        });
        pieces.collect()
    }

    /// The stretches, in order, none of them empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let tail = Some(self.tail.as_slice()).filter(|tail| !tail.is_empty());
        self.segments.iter().map(Segment::as_slice).chain(tail)
    }

    /// A copy of everything, for tests and for what is known to be short.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.slices().flatten().copied().collect()
    }

    /// Reads on from the front without taking anything away.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::default()
    }

    fn segment(&self, index: usize) -> Option<&[u8]> {
        match self.segments.get(index) {
            Some(segment) => Some(segment.as_slice()),
            None if index == self.segments.len() && !self.tail.is_empty() => Some(&self.tail),
            None => None,
        }
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.segment_bytes += self.tail.len();
            self.segments
                .push_back(Segment::Copied(std::mem::take(&mut self.tail)));
        }
    }
}

/// A place in a [`ByteQueue`] that is read from front to back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    segment: usize,
    offset: usize,
}

impl Cursor {
    /// What lies contiguous at the cursor; empty at the end.
    #[must_use]
    #[inline]
    pub fn ahead<'q>(&mut self, queue: &'q ByteQueue) -> &'q [u8] {
        while let Some(segment) = queue.segment(self.segment) {
            if self.offset < segment.len() {
                return &segment[self.offset..];
            }
            self.segment += 1;
            self.offset = 0;
        }
        &[]
    }

    /// The next byte.
    pub fn next_byte(&mut self, queue: &ByteQueue) -> Option<u8> {
        let byte = *self.ahead(queue).first()?;
        self.offset += 1;
        Some(byte)
    }

    /// Moves on by `count` bytes, at most to the end of what lies contiguous.
    pub fn skip(&mut self, count: usize) {
        self.offset += count;
    }

    /// Moves on by `count` bytes, across stretches.
    pub fn pass(&mut self, queue: &ByteQueue, mut count: usize) {
        while count > 0 {
            let step = self.ahead(queue).len().min(count);
            if step == 0 {
                return;
            }
            self.offset += step;
            count -= step;
        }
    }

    /// Appends the next `count` bytes to `to`, large stretches without copying, and moves on.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn move_to(
        &mut self,
        queue: &ByteQueue,
        mut count: usize,
        to: &mut ByteQueue,
        spare: &mut Spare,
    ) {
        while count > 0 {
            let step = self.ahead(queue).len().min(count);
            assert!(step > 0, "the queue ends before the cursor's goal");
            match queue.segments.get(self.segment) {
                Some(Segment::Shared(bytes)) if step >= SHARE_BYTES_MIN => {
                    to.push(bytes.slice(self.offset..self.offset + step), spare);
                }
                _ => to.push_copy(&self.ahead(queue)[..step], spare),
            }
            self.offset += step;
            count -= step;
        }
    }
}

#[cfg(test)]
mod tests;
