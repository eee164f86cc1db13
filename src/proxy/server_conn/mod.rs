//! A server's side: pairs replies with the requests that await them, one FIFO per connection.
//!
//! ```text
//!   requests ──► │ not yet handed over │ sent, awaiting replies │ ◄── replies
//!                back of the FIFO        front of the FIFO
//! ```
//!
//! Owns: the send queue and the FIFO. Never: reads a clock, opens a socket, looks at a key.

pub(in crate::proxy) mod address_change;
pub(in crate::proxy) mod backoff;
pub(in crate::proxy) mod deadlines;
pub(in crate::proxy) mod in_flight;
mod lifecycle;
pub(in crate::proxy) mod opinion;
pub(in crate::proxy) mod reader;
pub(in crate::proxy) mod reconnect;
pub(in crate::proxy) mod retry;
mod streaming;

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Spare;
use crate::base::Time;
use crate::messages::SocketAddress;
use crate::protocol::command::ErrorsBy;
use crate::protocol::resp::ReplyAssembly;
use crate::proxy::client::Awaiter;
use crate::proxy::effects::Sending;
use crate::proxy::failure::Failure;
use crate::proxy::server_conn::in_flight::SentBatches;
use crate::proxy::server_conn::opinion::Opinion;

/// A batch is no longer than this, unless one request alone is. What is being sent cannot be taken
/// back; so what waits for a server that does not read is mostly still ours to give up. And what is
/// sent again is kept by the batch: see [`Taken::kept`].
pub(in crate::proxy) const BATCH_BYTES_MAX: usize = 1 << 20;

/// How far a server connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum ServerPhase {
    /// The last attempt to connect has failed; there is no socket before the next one.
    Down {
        /// When the last one failed.
        since: Time,
        /// When the next one is made.
        retry_at: Time,
    },
    /// The server's name is being looked up.
    Resolving,
    /// The socket is being connected.
    Connecting,
    /// The greeting was sent; so many replies are to come before the first request is sent.
    Greeting {
        /// How many.
        left: u8,
    },
    /// Requests flow.
    Ready,
    /// The socket is being closed.
    Closed,
}

/// What may be done with a request that was sent when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Retry {
    /// It changes nothing: it may be sent once more.
    Once,
    /// It changes nothing, and is not sent again all the same.
    Used,
    /// It may have been executed, and is not sent again.
    Never,
}

impl Retry {
    /// Of a command that is, or is not, safe to retry.
    pub(in crate::proxy) fn of(safe: bool) -> Retry {
        if safe { Retry::Once } else { Retry::Never }
    }
}

/// A request that awaits its reply.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Pending {
    pub(in crate::proxy) awaiter: Awaiter,
    /// The request's size.
    pub(in crate::proxy) bytes: u32,
    pub(in crate::proxy) retry: Retry,
    /// Whose words an error is.
    pub(in crate::proxy) errors: ErrorsBy,
    /// When it was queued.
    pub(in crate::proxy) since: Time,
    /// It has been refused and taken back: `since` when it was first.
    pub(in crate::proxy) refused: Option<Time>,
}

/// Requests that are to be sent.
#[derive(Debug)]
pub(in crate::proxy) struct Taken {
    pub(in crate::proxy) requests: usize,
    pub(in crate::proxy) batch: Batch,
    /// Whether the bytes are kept until all replies have come, in case they must be sent again.
    /// Those of a large request that changes something are not: its value would stay in memory for
    /// as long as its server takes to answer, and it is sent once.
    pub(in crate::proxy) kept: bool,
}

/// One socket to one server.
#[derive(Debug)]
pub(in crate::proxy) struct ServerConn {
    pub(in crate::proxy) key: Key,
    pub(in crate::proxy) pool: PoolIdx,
    pub(in crate::proxy) server: ServerIdx,
    pub(in crate::proxy) phase: ServerPhase,
    pub(in crate::proxy) sending: Sending,
    pub(in crate::proxy) greeting: ByteQueue,
    pub(in crate::proxy) queue: ByteQueue,
    /// What was sent and is not answered.
    pub(in crate::proxy) sent: SentBatches,
    pub(in crate::proxy) assembly: Option<Box<ReplyAssembly>>,
    pub(in crate::proxy) fifo: VecDeque<Pending>,
    /// How many at the back of the FIFO lie in `queue`.
    pub(in crate::proxy) unsent: usize,
    /// The first in the FIFO has been given a part of its reply.
    pub(in crate::proxy) streaming: bool,
    /// How many at the front of the FIFO, behind that one, have been answered with a time-out
    /// already.
    pub(in crate::proxy) tombstones: usize,
    /// When a byte last came; before the first one, when the attempt to connect began.
    pub(in crate::proxy) last_heard: Time,
    /// When it was opened.
    pub(in crate::proxy) opened: Time,
    /// How many attempts to connect have failed since a connection last worked.
    pub(in crate::proxy) attempts: u32,
    /// Why the last of them failed.
    pub(in crate::proxy) cause: Option<Failure>,
    /// A request has been queued since the connection was opened, or was handed on to it.
    pub(in crate::proxy) asked: bool,
    /// It counts as a connection, because a socket was asked for.
    pub(in crate::proxy) counted: bool,
    /// When the timer is to look at this connection; what it has for other times is out of date.
    pub(in crate::proxy) due: Option<Time>,
    /// Which of the server's addresses it connects to.
    pub(in crate::proxy) attempt: usize,
    /// Where it connects to, or is connected.
    pub(in crate::proxy) address: Option<SocketAddress>,
    /// At the other end is not the server itself but this replica of it.
    pub(in crate::proxy) replica: Option<SocketAddr>,
    /// That is not its server's any more: nothing is sent there now.
    pub(in crate::proxy) leaving: bool,
    /// Another connection has its place, which is this one: it only awaits replies.
    pub(in crate::proxy) succeeded: Option<usize>,
    /// It is closed when nothing is left to do on it: its server is served no longer.
    pub(in crate::proxy) last: bool,
    /// It does not serve yet: nothing is sent until then.
    pub(in crate::proxy) rests_until: Option<Time>,
    /// How many times it was given such a rest.
    pub(in crate::proxy) rests: u32,
    /// When the first of them began.
    pub(in crate::proxy) rested: Option<Time>,
    /// Whose request the server could not read, and closes for: nothing behind it is executed.
    pub(in crate::proxy) unreadable: Option<Key>,
    /// What the server is asked of itself.
    pub(in crate::proxy) opinion: Opinion,
}

impl ServerConn {
    pub(in crate::proxy) fn new(pool: PoolIdx, server: ServerIdx, now: Time) -> ServerConn {
        ServerConn {
            key: Key::NONE,
            pool,
            server,
            phase: ServerPhase::Resolving,
            sending: Sending::default(),
            greeting: ByteQueue::default(),
            queue: ByteQueue::default(),
            sent: SentBatches::default(),
            assembly: None,
            fifo: VecDeque::new(),
            unsent: 0,
            streaming: false,
            tombstones: 0,
            last_heard: now,
            opened: now,
            attempts: 0,
            cause: None,
            asked: false,
            counted: false,
            due: None,
            attempt: 0,
            address: None,
            replica: None,
            leaving: false,
            succeeded: None,
            last: false,
            rests_until: None,
            rests: 0,
            rested: None,
            unreadable: None,
            opinion: Opinion::default(),
        }
    }

    /// Puts a request, whose bytes have just been appended to `queue`, into the FIFO.
    #[inline]
    pub(in crate::proxy) fn enqueue(
        &mut self,
        awaiter: Awaiter,
        bytes: usize,
        (retry, errors): (Retry, ErrorsBy),
        now: Time,
    ) {
        #[expect(clippy::cast_possible_truncation, reason = "at most REQUEST_BYTES_MAX")]
        let bytes = bytes as u32;
        self.fifo.push_back(Pending {
            awaiter,
            bytes,
            retry,
            errors,
            since: now,
            refused: None,
        });
        self.unsent += 1;
        self.asked = true;
    }

    /// The request that the next reply belongs to, if one was sent.
    #[inline]
    pub(in crate::proxy) fn pair(&mut self, spare: &mut Spare) -> Option<Pending> {
        if self.fifo.len() == self.unsent {
            return None;
        }
        if !std::mem::take(&mut self.streaming) {
            self.tombstones = self.tombstones.saturating_sub(1);
        }
        let pending = self.fifo.pop_front()?;
        self.sent.answered(pending.bytes as usize, spare);
        Some(pending)
    }

    /// How many at the front of the FIFO are not timed, or not any more.
    pub(in crate::proxy) fn untimed(&self) -> usize {
        usize::from(self.streaming) + self.tombstones
    }

    /// Makes a tombstone of the request that has been given a part of its reply.
    pub(in crate::proxy) fn bury_streamed(&mut self) -> Option<Pending> {
        if !std::mem::take(&mut self.streaming) {
            return None;
        }
        let first = self.fifo.front_mut()?;
        let buried = *first;
        first.awaiter = first.awaiter.buried();
        self.tombstones += 1;
        Some(buried)
    }

    /// Whose writes have timed out here, were sent, and are not answered: they may still be done.
    pub(in crate::proxy) fn late_writers(&self) -> Vec<Key> {
        let buried = self.fifo.range(..self.untimed());
        let late = buried.filter(|late| late.awaiter.is_buried() && late.retry == Retry::Never);
        late.map(|late| late.awaiter.client).collect()
    }

    /// Bytes of requests that are not sent yet.
    pub(in crate::proxy) fn unsent_bytes(&self) -> usize {
        self.queue.len() + self.sending.bytes
    }

    /// The last attempt to connect has failed, and no later one has succeeded yet.
    pub(in crate::proxy) fn is_down(&self) -> bool {
        self.attempts > 0 && self.phase != ServerPhase::Ready
    }

    /// The request that the next reply belongs to, if one was sent.
    pub(in crate::proxy) fn next_sent(&self) -> Option<&Pending> {
        self.fifo.front().filter(|_| self.awaits_replies())
    }

    /// Who awaits the next reply, if a request was sent.
    pub(in crate::proxy) fn next_awaiter(&self) -> Option<Awaiter> {
        self.next_sent().map(|next| next.awaiter)
    }

    /// Whether requests have been handed over whose replies are still to come.
    pub(in crate::proxy) fn awaits_replies(&self) -> bool {
        self.fifo.len() > self.unsent
    }

    /// Takes requests to be sent.
    pub(in crate::proxy) fn take_requests(&mut self) -> Taken {
        let (mut requests, mut bytes, mut kept) = (self.unsent, self.queue.len(), true);
        if bytes > BATCH_BYTES_MAX {
            (requests, bytes) = (0, 0);
            let unsent = self.fifo.range(self.fifo.len() - self.unsent..);
            for pending in unsent {
                let more = bytes + pending.bytes as usize;
                if requests > 0 && more > BATCH_BYTES_MAX {
                    break;
                }
                (requests, bytes) = (requests + 1, more);
                kept = more <= BATCH_BYTES_MAX || pending.retry != Retry::Never;
            }
        }
        let batch = match requests == self.unsent {
            true => self.queue.take(),
            false => self.queue.take_front(bytes),
        };
        self.unsent -= requests;
        self.sending.begin(&batch);
        Taken {
            requests,
            batch,
            kept,
        }
    }

    /// Takes requests that are `gone` out of the queue.
    pub(in crate::proxy) fn drop_unsent(
        &mut self,
        gone: impl Fn(&Pending) -> bool,
        spare: &mut Spare,
    ) -> Vec<Pending> {
        let unsent = self.fifo.split_off(self.fifo.len() - self.unsent);
        let mut dropped = Vec::new();
        // Neighbours of the same fate are one stretch.
        let mut stretches: Vec<(usize, bool)> = Vec::new();
        for pending in unsent {
            let len = pending.bytes as usize;
            let stays = !gone(&pending);
            match stretches.last_mut() {
                Some((before, same)) if *same == stays => *before += len,
                _ => stretches.push((len, stays)),
            }
            match stays {
                true => self.fifo.push_back(pending),
                false => dropped.push(pending),
            }
        }
        if !dropped.is_empty() {
            self.queue.retain(stretches, spare);
            self.unsent -= dropped.len();
        }
        dropped
    }

    /// Whether what is queued goes out at once.
    pub(in crate::proxy) fn is_open(&self) -> bool {
        self.phase == ServerPhase::Ready && self.rests_until.is_none()
    }

    /// Whether there is something that may be sent now.
    pub(in crate::proxy) fn has_bytes(&self) -> bool {
        match self.phase {
            ServerPhase::Ready if self.leaving => false,
            ServerPhase::Ready => {
                let may_go = !self.queue.is_empty() && self.rests_until.is_none();
                may_go || !self.greeting.is_empty()
            }
            ServerPhase::Greeting { .. } => !self.greeting.is_empty(),
            _ => false,
        }
    }

    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn check_invariants(&self) {
        assert!(
            self.unsent <= self.fifo.len(),
            "more unsent requests than requests"
        );
        assert!(
            self.untimed() + self.unsent <= self.fifo.len(),
            "an unsent tombstone, or a reply to what was not sent"
        );
        if self.phase == ServerPhase::Ready {
            let sent = self.fifo.len() - self.unsent;
            assert_eq!(self.sent.requests(), sent, "what was sent is not all there");
        }
        let unsent = self.fifo.range(self.fifo.len() - self.unsent..);
        let bytes: usize = unsent.map(|pending| pending.bytes as usize).sum();
        assert_eq!(
            bytes,
            self.queue.len(),
            "the queue is not the unsent requests"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::prelude::prop_assert;
    use proptest::prelude::prop_assert_eq;
    use proptest::prelude::prop_oneof;
    use proptest::proptest;

    use super::*;

    const SOMEBODY: Awaiter = Awaiter {
        client: Key::NONE,
        sequence: 0,
        fragment: 0,
    };

    fn conn_with(requests: &[(usize, Retry)]) -> ServerConn {
        let (mut conn, mut spare) = (
            ServerConn::new(PoolIdx(0), ServerIdx(0), Time::ZERO),
            Spare::default(),
        );
        for (bytes, retry) in requests {
            conn.queue.push_copy(&vec![b'q'; *bytes], &mut spare);
            conn.enqueue(SOMEBODY, *bytes, (*retry, ErrorsBy::Server), Time::ZERO);
        }
        conn
    }

    proptest! {
        #[test]
        fn whatever_changes_nothing_is_kept_however_full_its_batch_is(
            sizes in vec((prop_oneof![1..100usize, (1usize << 19)..(3 << 19)], any::<bool>()), 1..12),
        ) {
            let requests: Vec<(usize, Retry)> = sizes
                .iter()
                .map(|(bytes, safe)| (*bytes, Retry::of(*safe)))
                .collect();
            let mut conn = conn_with(&requests);
            let mut left = &requests[..];
            while conn.unsent > 0 {
                let taken = conn.take_requests();
                let (these, rest) = left.split_at(taken.requests);
                left = rest;
                let bytes: usize = these.iter().map(|(bytes, _)| bytes).sum();
                prop_assert_eq!(taken.batch.len(), bytes);
                prop_assert!(bytes <= BATCH_BYTES_MAX || these.len() == 1);
                let reads = these.iter().any(|(_, retry)| *retry == Retry::Once);
                prop_assert!(taken.kept || !reads, "a read is not kept");
                prop_assert!(taken.kept != (bytes > BATCH_BYTES_MAX && !reads));
                conn.sending.end();
            }
            prop_assert!(left.is_empty());
        }
    }

    #[test]
    fn a_batch_ends_at_the_border_and_not_behind_it() {
        let full = (BATCH_BYTES_MAX - 10, Retry::Once);
        let taken = conn_with(&[full, (10, Retry::Never)]).take_requests();
        assert_eq!((taken.requests, taken.kept), (2, true));
        let taken = conn_with(&[full, (11, Retry::Never)]).take_requests();
        assert_eq!((taken.requests, taken.kept), (1, true));
        let large = |retry| conn_with(&[(BATCH_BYTES_MAX + 1, retry), full]).take_requests();
        assert_eq!(large(Retry::Never).requests, 1);
        assert!(!large(Retry::Never).kept, "its value would stay in memory");
        assert!(large(Retry::Once).kept, "many keys are no less a read");
    }
}
