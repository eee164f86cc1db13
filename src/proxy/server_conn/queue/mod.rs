//! The requests of one server connection, in the order in which their replies will come.
//!
//! ```text
//!   push ──► │ not sent: `bytes` has them │ sent, awaiting replies: `sent` keeps them │ ──► pair
//!            back of the FIFO             ▲ front of the FIFO
//!                                     take_batch
//! ```
//!
//! Owns: the FIFO, where in it what was sent ends, the bytes of what was not, and what is kept of
//! what was. It is the only way in and out, and so counts what is inside (`in_queue`, `out_queue`).
//! Never: decides what becomes of a request; reads a clock; knows a connection's phase.

mod batch;
mod departure;
pub(in crate::proxy) mod heads;
mod in_flight;
mod moving;
mod pending;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::Spare;
use crate::base::Time;
use crate::protocol::Expect;
use crate::protocol::command::ErrorsBy;
use crate::proxy::client::Awaiter;
use crate::proxy::server_conn::queue::in_flight::SentBatches;
use crate::proxy::server_conn::queue::moving::Refused;
use crate::proxy::server_conn::queue::moving::take_refused;
use crate::stats::ServerCounters;

pub(in crate::proxy) use batch::Refusal;
pub(in crate::proxy) use batch::Turn;
pub(in crate::proxy) use departure::Expired;
pub(in crate::proxy) use moving::Requests;
pub(in crate::proxy) use moving::Unanswered;
pub(in crate::proxy) use pending::Pending;
pub(in crate::proxy) use pending::Retry;
pub(in crate::proxy) use pending::Terms;

/// A batch is no longer than this, unless one request alone is. What is being sent cannot be taken
/// back; so what waits for a server that does not read is mostly still ours to give up. And what is
/// sent again is kept by the batch.
pub(in crate::proxy) const BATCH_BYTES_MAX: usize = 1 << 20;

/// What a request costs that waits, besides its bytes, so that a limit in bytes is one in number, too.
const HELD_REQUEST_BYTES: usize = 128;

/// One server connection's requests.
#[derive(Debug, Default)]
pub(in crate::proxy) struct RequestQueue {
    fifo: VecDeque<Pending>,
    // How many at the back of the FIFO are not sent.
    unsent: usize,
    // Their bytes, and behind them those of the request that is being written.
    bytes: ByteQueue,
    // Without the latter.
    unsent_bytes: usize,
    sent: SentBatches,
    // The first in the FIFO has been given a part of its reply.
    streaming: bool,
    // How many replies have come that the first in the FIFO swallows.
    swallowed: u16,
    // What the server has refused of it meanwhile.
    refusal: Option<Box<Refusal>>,
    // How many at the front of the FIFO, behind that one, have been answered with a time-out
    // already.
    tombstones: usize,
    // Of those in the FIFO that were refused and taken back: when they first were.
    refused: Refused,
}

/// What is asked of a queue: nothing changes by it.
impl RequestQueue {
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.fifo.is_empty()
    }

    /// How many requests there are, sent or not.
    pub(in crate::proxy) fn len(&self) -> usize {
        self.fifo.len()
    }

    /// Whether there is something to send.
    #[inline]
    pub(in crate::proxy) fn has_unsent(&self) -> bool {
        self.unsent > 0
    }

    /// Bytes that are not sent.
    #[inline]
    pub(in crate::proxy) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// What the requests cost that are held here.
    pub(in crate::proxy) fn held_bytes(&self) -> usize {
        self.unsent_bytes + self.fifo.len() * HELD_REQUEST_BYTES
    }

    /// Bytes that were sent and are kept to be sent again, maybe.
    pub(in crate::proxy) fn kept_bytes(&self) -> usize {
        self.sent.bytes()
    }

    /// Whether requests have been handed over whose replies are still to come.
    #[inline]
    pub(in crate::proxy) fn awaits_replies(&self) -> bool {
        self.fifo.len() > self.unsent
    }

    /// The request that the next reply belongs to, if one was sent.
    #[inline]
    pub(in crate::proxy) fn next_sent(&self) -> Option<&Pending> {
        self.fifo.front().filter(|_| self.awaits_replies())
    }

    /// When it was handed over.
    #[inline]
    pub(in crate::proxy) fn next_sent_at(&self) -> Time {
        self.sent.oldest_at()
    }

    /// What comes next, if something was asked for.
    #[inline]
    pub(in crate::proxy) fn next_expected(&self) -> Expect {
        let expect = self.next_sent().map_or(Expect::ONE, Pending::expect);
        match expect.swallowed() {
            0 => expect,
            // What comes last of a batch is for the client, but for what is not told as it is.
            all if all == self.swallowed && self.refusal.is_none() => Expect::ONE,
            _ => expect,
        }
    }

    /// From when the oldest request's time counts.
    pub(in crate::proxy) fn oldest_since(&self) -> Option<Time> {
        self.fifo.front().map(Pending::since)
    }

    /// The same of the oldest one that may still time out.
    pub(in crate::proxy) fn next_timed(&self) -> Option<Time> {
        self.fifo.get(self.untimed()).map(Pending::since)
    }

    /// When the request that the next reply belongs to was first refused.
    pub(in crate::proxy) fn first_refused(&self) -> Option<Time> {
        self.fifo.front().and_then(|first| self.refused_at(first))
    }

    /// Whether a part of the next reply has been given.
    #[inline]
    pub(in crate::proxy) fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// Whose request has been given a part of its reply.
    pub(in crate::proxy) fn half_given(&self) -> Option<Awaiter> {
        let first = self.fifo.front().filter(|_| self.streaming);
        first.map(|first| first.awaiter)
    }

    /// Whether requests have timed out whose replies may still come.
    pub(in crate::proxy) fn has_tombstones(&self) -> bool {
        self.tombstones > 0
    }

    /// Whether some of what was sent is not timed, or not any more.
    pub(in crate::proxy) fn has_untimed(&self) -> bool {
        self.untimed() > 0
    }

    /// Whether every reply that is still to come will be swallowed.
    pub(in crate::proxy) fn owes_nobody(&self) -> bool {
        !self.streaming && self.tombstones == self.sent_len()
    }

    /// Those that were not sent, oldest first.
    pub(in crate::proxy) fn unsent(&self) -> impl Iterator<Item = &Pending> {
        self.fifo.range(self.sent_len()..)
    }

    /// Whether a request that may change something is not sent.
    pub(in crate::proxy) fn has_unsent_writes(&self) -> bool {
        self.unsent().any(Pending::writes)
    }

    /// Whose writes have timed out here, were sent, and are not answered: they may still be done.
    pub(in crate::proxy) fn late_writers(&self) -> Vec<Key> {
        let buried = self.fifo.range(..self.untimed());
        let late = buried.filter(|late| late.awaiter.is_buried() && late.writes());
        late.map(|late| late.awaiter.client).collect()
    }

    /// Whether the request that the next reply belongs to can be asked again without being overtaken
    /// by a later one of its client.
    pub(in crate::proxy) fn may_ask_first_again(&self) -> bool {
        let mut sent = self.fifo.range(..self.sent_len());
        let mut sent = sent.by_ref().map(|pending| pending.awaiter.client);
        sent.next()
            .is_some_and(|first| !sent.any(|later| later == first))
    }

    fn sent_len(&self) -> usize {
        self.fifo.len() - self.unsent
    }

    // How many at the front of the FIFO are not timed, or not any more.
    fn untimed(&self) -> usize {
        usize::from(self.streaming) + self.tombstones
    }

    fn refused_at(&self, pending: &Pending) -> Option<Time> {
        match pending.was_refused() {
            true => self.refused.get(&pending.awaiter).copied(),
            false => None,
        }
    }
}

/// The way of a request through it.
impl RequestQueue {
    /// Where the bytes of the next request are appended, before it is pushed.
    #[inline]
    pub(in crate::proxy) fn writer(&mut self) -> &mut ByteQueue {
        &mut self.bytes
    }

    /// Makes a request of what was written last: of how many bytes.
    #[inline]
    pub(in crate::proxy) fn push(
        &mut self,
        awaiter: Awaiter,
        terms: Terms,
        now: Time,
        gauges: &ServerCounters,
    ) -> usize {
        let bytes = self.bytes.len() - self.unsent_bytes;
        self.fifo
            .push_back(Pending::new(awaiter, bytes, terms, now));
        self.count_in(1, bytes, gauges);
        bytes
    }

    /// Takes requests to be sent.
    pub(in crate::proxy) fn take_batch(&mut self, now: Time, gauges: &ServerCounters) -> Batch {
        // Whether the bytes are kept until all replies have come, in case they must be sent again.
        // Those of a large request that changes something are not: its value would stay in memory
        // for as long as its server takes to answer, and it is sent once.
        let (mut requests, mut bytes, mut kept) = (self.unsent, self.unsent_bytes, true);
        if bytes > BATCH_BYTES_MAX {
            (requests, bytes) = (0, 0);
            for pending in self.fifo.range(self.sent_len()..) {
                let more = bytes + pending.bytes as usize;
                if requests > 0 && more > BATCH_BYTES_MAX {
                    break;
                }
                (requests, bytes) = (requests + 1, more);
                kept = more <= BATCH_BYTES_MAX || !pending.writes();
            }
        }
        let batch = match requests == self.unsent {
            true => self.bytes.take(),
            false => self.bytes.take_front(bytes),
        };
        self.sent.begin(requests, kept, now);
        self.count_out(requests, bytes, gauges);
        count_sent(requests, bytes, gauges);
        batch
    }

    /// The batch that was taken last is sent.
    pub(in crate::proxy) fn batch_sent(&mut self, batch: Batch, spare: &mut Spare) {
        self.sent.end(batch, spare);
    }

    /// Puts a question of our own, which is sent now, behind what was sent, before what was not.
    pub(in crate::proxy) fn push_own(
        &mut self,
        bytes: usize,
        asked: Time,
        gauges: &ServerCounters,
    ) {
        let place = self.sent_len();
        // The FIFO is sorted by time.
        let since = self.fifo.get(place).map_or(asked, Pending::since);
        let terms = Terms::new(Retry::Never, ErrorsBy::Server, Expect::ONE);
        let pending = Pending::new(Awaiter::OURS, bytes, terms, since);
        self.fifo.insert(place, pending);
        self.sent.begin(1, false, asked);
        count_sent(1, bytes, gauges);
    }

    /// The request that the next reply belongs to, if one was sent: it has its reply.
    #[inline]
    pub(in crate::proxy) fn pair(
        &mut self,
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) -> Option<Pending> {
        if !self.awaits_replies() {
            return None;
        }
        if !std::mem::take(&mut self.streaming) {
            self.tombstones = self.tombstones.saturating_sub(1);
        }
        self.begin_turn();
        let pending = self.fifo.pop_front()?;
        take_refused(&mut self.refused, &pending);
        let bytes = pending.bytes as usize;
        self.sent.answered(bytes, spare);
        count_answered(1, bytes, gauges);
        Some(pending)
    }

    /// The request that the next reply belongs to, where nothing is to be known but that: no reply has
    /// come in part, or late, and none is swallowed.
    #[inline]
    pub(in crate::proxy::server_conn) fn next_plain(&self) -> Option<&Pending> {
        let is_plain = !self.streaming && self.tombstones == 0;
        self.next_sent()
            .filter(|first| is_plain && first.is_plain())
    }

    /// The same as [`pair`](RequestQueue::pair) for a [plain](RequestQueue::next_plain) one. Whoever
    /// asks counts it: [`count_answered`].
    #[inline]
    pub(in crate::proxy::server_conn) fn pair_plain(&mut self, spare: &mut Spare) {
        debug_assert!(self.next_plain().is_some(), "no plain request is next");
        debug_assert!(
            (self.swallowed, self.refusal.is_none()) == (0, true),
            "what was swallowed is not this one's"
        );
        if let Some(pending) = self.fifo.pop_front() {
            self.sent.answered(pending.bytes as usize, spare);
        }
    }

    /// A part of the next reply is given: whether that is the first part.
    pub(in crate::proxy) fn stream(&mut self) -> bool {
        debug_assert!(self.awaits_replies(), "a reply to what was not sent");
        !std::mem::replace(&mut self.streaming, true)
    }

    /// No part of the next reply was given: what was is taken back.
    pub(in crate::proxy) fn unstream(&mut self) {
        self.streaming = false;
    }

    /// Makes a tombstone of the request that has been given a part of its reply.
    pub(in crate::proxy) fn bury_streamed(&mut self) -> Option<Pending> {
        if !std::mem::take(&mut self.streaming) {
            return None;
        }
        let buried = self.bury(0)?;
        self.tombstones += 1;
        Some(buried)
    }

    /// Puts the request that the next reply belongs to, which was refused, before those that are not
    /// sent: whether its bytes are still there.
    pub(in crate::proxy) fn requeue_first(
        &mut self,
        refused: Time,
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) -> bool {
        let Some(first) = self.next_sent().copied() else {
            return false;
        };
        let mut again = Requests::default();
        let size = first.bytes as usize;
        if !self.sent.copy_first(size, &mut again.bytes, spare) {
            return false;
        }
        let Some(mut pending) = self.pair(spare, gauges) else {
            return false;
        };
        pending.mark_refused(true);
        again.refused.insert(pending.awaiter, refused);
        again.pendings.push(pending);
        self.requeue(again, spare, gauges);
        true
    }

    /// Puts the request that the next reply belongs to before those that are not sent, with other bytes.
    pub(in crate::proxy) fn requeue_first_as(
        &mut self,
        frame: &[u8],
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) {
        let mut again = Requests::default();
        if let Some(pending) = self.pair(spare, gauges) {
            again.bytes.push_copy(frame, spare);
            again.pendings.push(pending.resized(frame.len()));
            self.requeue(again, spare, gauges);
        }
    }

    /// Puts requests before those that are not sent.
    pub(in crate::proxy) fn requeue(
        &mut self,
        requests: Requests,
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) {
        let (place, count) = (self.sent_len(), requests.pendings.len());
        let size = requests.bytes.len();
        let later = std::mem::replace(&mut self.bytes, requests.bytes);
        self.bytes.append(later, spare);
        self.fifo.extend(requests.pendings);
        self.fifo.make_contiguous()[place..].rotate_right(count);
        self.refused.extend(requests.refused);
        self.count_in(count, size, gauges);
    }

    /// Puts requests behind all others.
    pub(in crate::proxy) fn append(
        &mut self,
        requests: Requests,
        spare: &mut Spare,
        gauges: &ServerCounters,
    ) {
        let (count, size) = (requests.pendings.len(), requests.bytes.len());
        self.fifo.extend(requests.pendings);
        self.bytes.append(requests.bytes, spare);
        self.refused.extend(requests.refused);
        self.count_in(count, size, gauges);
    }
}

/// The only places where what is in a queue is counted.
impl RequestQueue {
    #[inline]
    fn count_in(&mut self, requests: usize, bytes: usize, gauges: &ServerCounters) {
        self.unsent += requests;
        self.unsent_bytes += bytes;
        gauges.in_queue.add(requests);
        gauges.in_queue_bytes.add(bytes);
    }

    #[inline]
    fn count_out(&mut self, requests: usize, bytes: usize, gauges: &ServerCounters) {
        self.unsent -= requests;
        self.unsent_bytes -= bytes;
        gauges.in_queue.sub(requests);
        gauges.in_queue_bytes.sub(bytes);
    }
}

#[inline]
fn count_sent(requests: usize, bytes: usize, gauges: &ServerCounters) {
    gauges.out_queue.add(requests);
    gauges.out_queue_bytes.add(bytes);
}

/// So many requests, of so many bytes, have their replies.
#[inline]
pub(in crate::proxy::server_conn) fn count_answered(
    requests: usize,
    bytes: usize,
    gauges: &ServerCounters,
) {
    gauges.out_queue.sub(requests);
    gauges.out_queue_bytes.sub(bytes);
}

fn sizes(pendings: &[Pending]) -> usize {
    pendings.iter().map(|pending| pending.bytes as usize).sum()
}

/// What it holds, counted anew: the gauges must say the same.
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Load {
    pub(in crate::proxy) unsent: usize,
    pub(in crate::proxy) unsent_bytes: usize,
    pub(in crate::proxy) sent: usize,
    pub(in crate::proxy) sent_bytes: usize,
}

#[cfg(debug_assertions)]
impl RequestQueue {
    pub(in crate::proxy) fn load(&self) -> Load {
        let bytes = |pending: &Pending| pending.bytes as usize;
        Load {
            unsent: self.unsent,
            unsent_bytes: self.unsent().map(bytes).sum(),
            sent: self.sent_len(),
            sent_bytes: self.fifo.range(..self.sent_len()).map(bytes).sum(),
        }
    }

    /// All requests that nobody has given up, sent or not.
    pub(in crate::proxy) fn awaited(&self) -> impl Iterator<Item = &Pending> {
        let all = self.fifo.iter();
        all.filter(|pending| !pending.awaiter.is_buried())
    }

    pub(in crate::proxy) fn check_invariants(&self) {
        assert!(
            self.unsent <= self.fifo.len(),
            "more unsent requests than requests"
        );
        assert!(
            self.untimed() + self.unsent <= self.fifo.len(),
            "an unsent tombstone, or a reply to what was not sent"
        );
        assert_eq!(
            self.sent.requests(),
            self.sent_len(),
            "what was sent is not all there"
        );
        assert_eq!(
            (self.load().unsent_bytes, self.bytes.len()),
            (self.unsent_bytes, self.unsent_bytes),
            "the bytes are not those of the unsent requests"
        );
        let refused = self.fifo.iter().filter(|pending| pending.was_refused());
        let known = refused.filter(|pending| self.refused_at(pending).is_some());
        assert_eq!(known.count(), self.refused.len(), "whose refusal is kept");
    }
}
