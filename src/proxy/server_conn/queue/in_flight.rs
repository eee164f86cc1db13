//! What was sent on a server connection and is not answered yet, in case it must be sent again.
//!
//! Owns: the sent batches, until the last reply to each has come. Never: decides what is sent
//! again.

use std::collections::VecDeque;
use std::ops::Range;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Cursor;
use crate::base::Spare;
use crate::base::Time;
use crate::proxy::server_conn::queue::heads;

/// The batches, oldest first; the last one may still be with the socket's holder.
#[derive(Debug, Default)]
pub(super) struct SentBatches {
    back: VecDeque<SentBatch>,
    // Requests of the batch that is being sent.
    sending: Unanswered,
}

#[derive(Debug)]
struct SentBatch {
    // None if it is not kept.
    batch: Option<Batch>,
    // How it begins, if it is not: to say what was asked, that will do.
    head: Box<[u8]>,
    unanswered: Unanswered,
}

/// How many requests of a batch await replies, how many bytes those before them have, and when it was
/// handed over.
#[derive(Clone, Copy, Debug, Default)]
struct Unanswered {
    requests: usize,
    answered_bytes: usize,
    kept: bool,
    at: Time,
}

impl SentBatches {
    /// A batch with so many requests is handed over now, which is to be `kept` or not.
    pub(super) fn begin(&mut self, requests: usize, kept: bool, now: Time) {
        self.sending = Unanswered {
            requests,
            answered_bytes: 0,
            kept,
            at: now,
        };
    }

    /// It was sent.
    pub(super) fn end(&mut self, batch: Batch, spare: &mut Spare) {
        let unanswered = std::mem::take(&mut self.sending);
        if unanswered.requests == 0 {
            spare.give_batch(batch);
            return;
        }
        let (batch, head) = match unanswered.kept {
            true => (Some(batch), Box::default()),
            false => {
                let head = heads::copied(batch.slices(), 0, heads::HEAD_BYTES_MAX);
                spare.give_batch(batch);
                (None, head.into())
            }
        };
        self.back.push_back(SentBatch {
            batch,
            head,
            unanswered,
        });
    }

    /// The oldest request, of so many bytes, has its reply.
    #[inline]
    pub(super) fn answered(&mut self, bytes: usize, spare: &mut Spare) {
        let Some(oldest) = self.back.front_mut() else {
            self.sending.requests = self.sending.requests.saturating_sub(1);
            self.sending.answered_bytes += bytes;
            return;
        };
        oldest.unanswered.requests -= 1;
        oldest.unanswered.answered_bytes += bytes;
        if oldest.unanswered.requests == 0 {
            let sent = self.back.pop_front();
            if let Some(batch) = sent.and_then(|sent| sent.batch) {
                spare.give_batch(batch);
            }
        }
    }

    /// When the batch was handed over of which the oldest request is.
    #[inline]
    pub(super) fn oldest_at(&self) -> Time {
        let oldest = self
            .back
            .front()
            .map_or(&self.sending, |oldest| &oldest.unanswered);
        oldest.at
    }

    /// A copy of the first `bytes` of the request at `place`, counted from the oldest, for which `before`
    /// says how many bytes a range of places has; nothing where they are not kept.
    pub(super) fn head(
        &self,
        place: usize,
        before: impl Fn(Range<usize>) -> usize,
        bytes: usize,
    ) -> Vec<u8> {
        let mut first = 0;
        for sent in &self.back {
            let next = first + sent.unanswered.requests;
            if place >= next {
                first = next;
                continue;
            }
            let skip = sent.unanswered.answered_bytes + before(first..place);
            return match &sent.batch {
                Some(batch) => heads::copied(batch.slices(), skip, bytes),
                None => heads::copied([&*sent.head].into_iter(), skip, bytes),
            };
        }
        Vec::new()
    }

    /// When the batch was handed over of which the request at `place` is, counted from the oldest.
    pub(super) fn handed_over_at(&self, place: usize) -> Time {
        let mut first = 0;
        let found = self.back.iter().find(|sent| {
            first += sent.unanswered.requests;
            place < first
        });
        found.map_or(self.sending.at, |sent| sent.unanswered.at)
    }

    /// Appends a copy of the oldest request, of so many bytes, to `to`: whether it is kept.
    pub(super) fn copy_first(&self, bytes: usize, to: &mut ByteQueue, spare: &mut Spare) -> bool {
        let Some(SentBatch {
            batch: Some(batch),
            unanswered,
            ..
        }) = self.back.front()
        else {
            return false;
        };
        let (mut skip, mut left) = (unanswered.answered_bytes, bytes);
        for slice in batch.slices() {
            let from = skip.min(slice.len());
            let step = left.min(slice.len() - from);
            to.push_copy(&slice[from..from + step], spare);
            (skip, left) = (skip - from, left - step);
        }
        true
    }

    /// How many requests of the batch that is being sent await replies.
    pub(super) fn in_sending(&self) -> usize {
        self.sending.requests
    }

    /// Everything unanswered, to be read from front to back. What is still being sent is not
    /// among it: nobody can say how much of it has arrived.
    pub(super) fn take(&mut self) -> SentBytes {
        let mut left = VecDeque::new();
        for sent in self.back.drain(..) {
            let bytes = sent.batch.map(|batch| {
                let mut bytes = ByteQueue::default();
                bytes.untake(batch);
                bytes.drop_front(sent.unanswered.answered_bytes);
                bytes
            });
            left.push_back((bytes, sent.unanswered.requests));
        }
        SentBytes {
            left,
            cursor: Cursor::default(),
        }
    }

    /// Gives up what is kept: nothing of it can be sent again. How many bytes that were.
    pub(super) fn forget_bytes(&mut self) -> usize {
        let bytes = self.bytes();
        for sent in &mut self.back {
            sent.batch = None;
        }
        bytes
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> usize {
        let kept = self.back.iter().filter_map(|sent| sent.batch.as_ref());
        kept.map(Batch::len).sum()
    }

    #[cfg(debug_assertions)]
    pub(super) fn requests(&self) -> usize {
        let back: usize = self.back.iter().map(|sent| sent.unanswered.requests).sum();
        back + self.sending.requests
    }
}

/// The bytes of requests that were sent and not answered, oldest first.
#[derive(Debug)]
pub(super) struct SentBytes {
    left: VecDeque<(Option<ByteQueue>, usize)>,
    cursor: Cursor,
}

impl SentBytes {
    /// Whether the next request is among them.
    pub(super) fn has_next(&self) -> bool {
        matches!(self.left.front(), Some((Some(_), _)))
    }

    /// Appends the next request, of so many bytes, to `to`.
    pub(super) fn move_next(&mut self, bytes: usize, to: &mut ByteQueue, spare: &mut Spare) {
        if let Some((Some(queue), _)) = self.left.front() {
            self.cursor.move_to(queue, bytes, to, spare);
        }
        self.step();
    }

    /// Leaves the next request, of so many bytes, out.
    pub(super) fn skip_next(&mut self, bytes: usize) {
        if let Some((Some(queue), _)) = self.left.front() {
            self.cursor.pass(queue, bytes);
        }
        self.step();
    }

    fn step(&mut self) {
        let Some((_, requests)) = self.left.front_mut() else {
            return;
        };
        *requests -= 1;
        if *requests == 0 {
            self.left.pop_front();
            self.cursor = Cursor::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: &[u8], spare: &mut Spare) -> Batch {
        let mut queue = ByteQueue::default();
        queue.push_copy(bytes, spare);
        queue.take()
    }

    #[test]
    fn what_is_unanswered_can_be_read_again_request_by_request() {
        let (mut sent, mut spare) = (SentBatches::default(), Spare::default());
        sent.begin(3, true, Time::ZERO);
        sent.answered(2, &mut spare);
        sent.end(batch(b"aabbbc", &mut spare), &mut spare);
        sent.begin(2, true, Time::ZERO);
        sent.end(batch(b"ddee", &mut spare), &mut spare);
        sent.answered(3, &mut spare);
        sent.begin(1, true, Time::ZERO);
        let mut bytes = sent.take();
        let mut again = ByteQueue::default();
        bytes.move_next(1, &mut again, &mut spare);
        bytes.skip_next(2);
        bytes.move_next(2, &mut again, &mut spare);
        assert!(!bytes.has_next(), "the last batch is still being sent");
        assert_eq!(again.to_vec(), b"cee");
    }

    #[test]
    fn a_batch_that_is_not_kept_is_counted() {
        let (mut sent, mut spare) = (SentBatches::default(), Spare::default());
        sent.begin(2, false, Time::ZERO);
        sent.end(batch(b"aabb", &mut spare), &mut spare);
        sent.begin(1, true, Time::ZERO);
        sent.end(batch(b"c", &mut spare), &mut spare);
        assert_eq!(sent.bytes(), 1);
        let mut bytes = sent.take();
        assert!(!bytes.has_next());
        bytes.skip_next(2);
        assert!(!bytes.has_next());
        bytes.skip_next(2);
        assert!(bytes.has_next());
    }

    #[test]
    fn nothing_is_kept_of_a_batch_whose_replies_have_come() {
        let (mut sent, mut spare) = (SentBatches::default(), Spare::default());
        sent.begin(2, true, Time::ZERO);
        sent.answered(2, &mut spare);
        sent.end(batch(b"aabb", &mut spare), &mut spare);
        sent.answered(2, &mut spare);
        sent.begin(1, true, Time::ZERO);
        sent.answered(1, &mut spare);
        sent.end(batch(b"c", &mut spare), &mut spare);
        assert!(!sent.take().has_next());
        assert!(sent.back.is_empty());
    }
}
