//! A server's side: pairs replies with the requests that await them, one FIFO per connection.
//!
//! Owns: the connection's life and its `RequestQueue`. Never: reads a clock, opens a socket, looks at a key.

pub(in crate::proxy) mod address_change;
pub(in crate::proxy) mod backoff;
mod batch;
pub(in crate::proxy) mod deadlines;
pub(in crate::proxy) mod disposition;
mod lifecycle;
pub(in crate::proxy) mod opinion;
mod plain;
pub(in crate::proxy) mod queue;
pub(in crate::proxy) mod reader;
pub(in crate::proxy) mod reconnect;
pub(in crate::proxy) mod retry;
mod streaming;
mod unused;

use std::net::SocketAddr;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::messages::SocketAddress;
use crate::protocol::ReplyAssembly;
use crate::proxy::client::Awaiter;
use crate::proxy::effects::Sending;
use crate::proxy::exclusive::stock::Exclusive;
use crate::proxy::failure::Failure;
use crate::proxy::pool::conns::ConnKind;
use crate::proxy::pool::conns::Place;
use crate::proxy::pubsub::feed::Feed;
use crate::proxy::server_conn::queue::RequestQueue;
use crate::stats::ServerCounters;
use crate::stats::WorkerStats;

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

/// What a server is asked of itself on one connection.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Opinion {
    /// When it was last asked.
    pub(in crate::proxy) asked: Option<Time>,
    /// The answer is still to come.
    pub(in crate::proxy) is_due: bool,
}

/// One socket to one server.
#[derive(Debug)]
pub(in crate::proxy) struct ServerConn {
    pub(in crate::proxy) key: Key,
    pub(in crate::proxy) pool: PoolIdx,
    pub(in crate::proxy) server: ServerIdx,
    pub(in crate::proxy) kind: ConnKind,
    pub(in crate::proxy) phase: ServerPhase,
    pub(in crate::proxy) sending: Sending,
    pub(in crate::proxy) greeting: ByteQueue,
    /// What is asked on it.
    pub(in crate::proxy) requests: RequestQueue,
    pub(in crate::proxy) assembly: Option<Box<ReplyAssembly>>,
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
    pub(in crate::proxy) succeeded: Option<Place>,
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
    /// The server has told that it lacks newer requests, and gets none.
    pub(in crate::proxy) older: bool,
    /// What the server is asked of itself.
    pub(in crate::proxy) opinion: Opinion,
    /// It is one that a client has for itself.
    pub(in crate::proxy) exclusive: Option<Box<Exclusive>>,
}

impl ServerConn {
    pub(in crate::proxy) fn new(
        (pool, server): (PoolIdx, ServerIdx),
        kind: ConnKind,
        now: Time,
    ) -> ServerConn {
        ServerConn {
            key: Key::NONE,
            pool,
            server,
            kind,
            phase: ServerPhase::Resolving,
            sending: Sending::default(),
            greeting: ByteQueue::default(),
            requests: RequestQueue::default(),
            assembly: None,
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
            older: false,
            opinion: Opinion::default(),
            exclusive: None,
        }
    }

    /// The client that has it for itself, if one has.
    #[inline]
    pub(in crate::proxy) fn owner(&self) -> Option<Key> {
        let owner = self.exclusive.as_ref().map(|exclusive| exclusive.owner);
        owner.filter(|owner| *owner != Key::NONE)
    }

    /// Whether clients listen on it.
    #[inline]
    pub(in crate::proxy) fn is_feed(&self) -> bool {
        let exclusive = self.exclusive.as_ref();
        exclusive.is_some_and(|exclusive| exclusive.feed.is_some())
    }

    /// What they listen to.
    pub(in crate::proxy) fn feed_mut(&mut self) -> Option<&mut Feed> {
        self.exclusive.as_mut()?.feed.as_deref_mut()
    }

    /// Puts the question behind what was sent: it leaves before what was not.
    pub(in crate::proxy) fn send_question(&mut self, gauges: &ServerCounters) -> Batch {
        let batch = self.greeting.take();
        let asked = self.opinion.asked.unwrap_or(self.last_heard);
        self.requests.push_own(batch.len(), asked, gauges);
        self.sending.begin(&batch);
        batch
    }

    /// Bytes of requests that are not sent yet.
    pub(in crate::proxy) fn unsent_bytes(&self) -> usize {
        self.requests.unsent_bytes() + self.sending.bytes
    }

    /// The last attempt to connect has failed, and no later one has succeeded yet.
    pub(in crate::proxy) fn is_down(&self) -> bool {
        self.attempts > 0 && self.phase != ServerPhase::Ready
    }

    /// Where what happens on it is counted.
    #[inline]
    pub(in crate::proxy) fn counters<'s>(&self, stats: &'s WorkerStats) -> &'s ServerCounters {
        &stats.pools[self.pool.index()].servers[self.server.index()]
    }

    /// Who awaits the next reply, if a request was sent.
    pub(in crate::proxy) fn next_awaiter(&self) -> Option<Awaiter> {
        self.requests.next_sent().map(|next| next.awaiter)
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
                let may_go = self.requests.has_unsent() && self.rests_until.is_none();
                may_go || !self.greeting.is_empty()
            }
            ServerPhase::Greeting { .. } => !self.greeting.is_empty(),
            _ => false,
        }
    }
}
