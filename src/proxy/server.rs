//! A server's side: pairs replies with the requests that await them, one FIFO per connection.
//!
//! ```text
//!   requests ──► │ not yet handed over │ sent, awaiting replies │ ◄── replies
//!                back of the FIFO        front of the FIFO
//! ```
//!
//! Owns: the send queue and the FIFO. Never: reads a clock, opens a socket, looks at a key.

use std::collections::VecDeque;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Spare;
use crate::base::Time;
use crate::protocol::resp::ReplyAssembly;
use crate::proxy::client::Awaiter;
use crate::proxy::output::Sending;

/// A batch is not made longer by another request from this size on. What is being sent cannot be
/// taken back; so what waits for a server that does not read is mostly still ours to give up.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// How far a server connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerPhase {
    /// The server's name is being looked up.
    Resolving,
    /// The socket is being connected.
    Connecting,
    /// AUTH and SELECT were sent; so many replies are to come before the first request is sent.
    Greeting {
        /// How many.
        left: u8,
    },
    /// Requests flow.
    Ready,
    /// The socket is being closed.
    Closed,
}

/// A request that awaits its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) awaiter: Awaiter,
    /// The request's size.
    pub(super) bytes: u32,
    /// When it was queued.
    pub(super) since: Time,
}

/// One socket to one server.
#[derive(Debug)]
pub(super) struct ServerConn {
    pub(super) key: Key,
    pub(super) pool: PoolIdx,
    pub(super) server: ServerIdx,
    pub(super) phase: ServerPhase,
    pub(super) sending: Sending,
    pub(super) greeting: ByteQueue,
    pub(super) queue: ByteQueue,
    pub(super) assembly: Option<Box<ReplyAssembly>>,
    pub(super) fifo: VecDeque<Pending>,
    /// How many at the back of the FIFO lie in `queue`.
    pub(super) unsent: usize,
    /// How many at the front of the FIFO have been answered with a time-out already.
    pub(super) tombstones: usize,
    pub(super) last_heard: Time,
    /// When the timer is to look at this connection; what it has for other times is out of date.
    pub(super) due: Option<Time>,
    /// Which of the server's addresses it connects to.
    pub(super) attempt: usize,
}

impl ServerConn {
    pub(super) fn new(pool: PoolIdx, server: ServerIdx, now: Time) -> ServerConn {
        ServerConn {
            key: Key::NONE,
            pool,
            server,
            phase: ServerPhase::Resolving,
            sending: Sending::default(),
            greeting: ByteQueue::default(),
            queue: ByteQueue::default(),
            assembly: None,
            fifo: VecDeque::new(),
            unsent: 0,
            tombstones: 0,
            last_heard: now,
            due: None,
            attempt: 0,
        }
    }

    /// Puts a request, whose bytes have just been appended to `queue`, into the FIFO.
    #[inline]
    pub(super) fn enqueue(&mut self, awaiter: Awaiter, bytes: usize, now: Time) {
        #[expect(clippy::cast_possible_truncation, reason = "at most REQUEST_BYTES_MAX")]
        let bytes = bytes as u32;
        self.fifo.push_back(Pending {
            awaiter,
            bytes,
            since: now,
        });
        self.unsent += 1;
    }

    /// The request that the next reply belongs to, if one was sent.
    #[inline]
    pub(super) fn pair(&mut self) -> Option<Pending> {
        if self.fifo.len() == self.unsent {
            return None;
        }
        self.tombstones = self.tombstones.saturating_sub(1);
        self.fifo.pop_front()
    }

    /// Who awaits the next reply, if a request was sent.
    pub(super) fn next_awaiter(&self) -> Option<Awaiter> {
        let sent = self.awaits_replies();
        self.fifo.front().filter(|_| sent).map(|next| next.awaiter)
    }

    /// Whether requests have been handed over whose replies are still to come.
    pub(super) fn awaits_replies(&self) -> bool {
        self.fifo.len() > self.unsent
    }

    /// Takes requests to be sent: how many, and their bytes.
    pub(super) fn take_requests(&mut self) -> (usize, Batch) {
        let (mut requests, mut bytes) = (self.unsent, self.queue.len());
        if bytes > BATCH_BYTES_MAX {
            (requests, bytes) = (0, 0);
            let unsent = self.fifo.range(self.fifo.len() - self.unsent..);
            for pending in unsent {
                if bytes >= BATCH_BYTES_MAX {
                    break;
                }
                (requests, bytes) = (requests + 1, bytes + pending.bytes as usize);
            }
        }
        let batch = match requests == self.unsent {
            true => self.queue.take(),
            false => self.queue.take_front(bytes),
        };
        self.unsent -= requests;
        self.sending.begin(&batch);
        (requests, batch)
    }

    /// Takes requests of clients that are `gone` out of the queue: how many, and their bytes.
    pub(super) fn drop_unsent(
        &mut self,
        gone: impl Fn(Awaiter) -> bool,
        spare: &mut Spare,
    ) -> (usize, usize) {
        let unsent = self.fifo.split_off(self.fifo.len() - self.unsent);
        let (mut requests, mut bytes) = (0, 0);
        // Neighbours of the same fate are one stretch.
        let mut stretches: Vec<(usize, bool)> = Vec::new();
        for pending in unsent {
            let len = pending.bytes as usize;
            let stays = !gone(pending.awaiter);
            match stretches.last_mut() {
                Some((before, same)) if *same == stays => *before += len,
                _ => stretches.push((len, stays)),
            }
            if stays {
                self.fifo.push_back(pending);
            } else {
                (requests, bytes) = (requests + 1, bytes + len);
            }
        }
        if requests > 0 {
            self.queue.retain(stretches, spare);
            self.unsent -= requests;
        }
        (requests, bytes)
    }

    /// Whether there is something that may be sent now.
    pub(super) fn has_bytes(&self) -> bool {
        match self.phase {
            ServerPhase::Ready => !self.queue.is_empty(),
            ServerPhase::Greeting { .. } => !self.greeting.is_empty(),
            _ => false,
        }
    }

    #[cfg(debug_assertions)]
    pub(super) fn check_invariants(&self) {
        assert!(
            self.unsent <= self.fifo.len(),
            "more unsent requests than requests"
        );
        assert!(
            self.tombstones + self.unsent <= self.fifo.len(),
            "an unsent tombstone"
        );
        let unsent = self.fifo.range(self.fifo.len() - self.unsent..);
        let bytes: usize = unsent.map(|pending| pending.bytes as usize).sum();
        assert_eq!(
            bytes,
            self.queue.len(),
            "the queue is not the unsent requests"
        );
    }
}
