//! A server's side: pairs replies with the requests that await them, one FIFO per connection.
//!
//! Owns: the connection's life and its `RequestQueue`. Never: reads a clock, opens a socket, looks at a key.

pub(in crate::proxy) mod address_change;
mod attempts;
pub(in crate::proxy) mod backoff;
mod batch;
pub(in crate::proxy) mod deadlines;
pub(in crate::proxy) mod disposition;
mod doubt;
mod incoming;
mod life;
mod lifecycle;
pub(in crate::proxy) mod opinion;
mod plain;
pub(in crate::proxy) mod queue;
pub(in crate::proxy) mod reader;
pub(in crate::proxy) mod reconnect;
mod rests;
pub(in crate::proxy) mod retry;
mod streaming;
mod tenure;
mod unused;

use std::net::SocketAddr;

use crate::base::Batch;
use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::messages::SocketAddress;
use crate::proxy::client::Awaiter;
use crate::proxy::effects::Sending;
use crate::proxy::exclusive::stock::Exclusive;
use crate::proxy::pool::conns::ConnKind;
use crate::proxy::pubsub::feed::Feed;
use crate::proxy::server_conn::attempts::Attempts;
use crate::proxy::server_conn::doubt::Doubt;
use crate::proxy::server_conn::incoming::Incoming;
use crate::proxy::server_conn::life::Life;
use crate::proxy::server_conn::queue::RequestQueue;
use crate::proxy::server_conn::rests::Rests;
use crate::proxy::server_conn::tenure::Tenure;
use crate::stats::ServerCounters;
use crate::stats::WorkerStats;

pub(in crate::proxy) use life::ServerPhase;

/// One socket to one server.
#[derive(Debug)]
pub(in crate::proxy) struct ServerConn {
    pub(in crate::proxy) key: Key,
    pub(in crate::proxy) pool: PoolIdx,
    pub(in crate::proxy) server: ServerIdx,
    pub(in crate::proxy) kind: ConnKind,
    pub(in crate::proxy) life: Life,
    /// How often connecting has failed.
    pub(in crate::proxy) attempts: Attempts,
    pub(in crate::proxy) sending: Sending,
    pub(in crate::proxy) greeting: ByteQueue,
    /// What is asked on it.
    pub(in crate::proxy) requests: RequestQueue,
    pub(in crate::proxy) incoming: Incoming,
    /// A request has been queued since the connection was opened, or was handed on to it.
    pub(in crate::proxy) asked: bool,
    /// Where it connects to, or is connected.
    pub(in crate::proxy) address: Option<SocketAddress>,
    /// At the other end is not the server itself but this replica of it.
    pub(in crate::proxy) replica: Option<SocketAddr>,
    /// Whether its server is still reached by it.
    pub(in crate::proxy) tenure: Tenure,
    /// Rests that its server needs before it serves.
    pub(in crate::proxy) rests: Rests,
    /// The server has told that it lacks newer requests, and gets none.
    pub(in crate::proxy) older: bool,
    /// What the server is asked of itself.
    pub(in crate::proxy) doubt: Doubt,
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
            life: Life::new(now),
            attempts: Attempts::default(),
            sending: Sending::default(),
            greeting: ByteQueue::default(),
            requests: RequestQueue::default(),
            incoming: Incoming::new(now),
            asked: false,
            address: None,
            replica: None,
            tenure: Tenure::default(),
            rests: Rests::default(),
            older: false,
            doubt: Doubt::default(),
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
        let asked = self.doubt.asked().unwrap_or(self.incoming.last_heard());
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
        self.attempts.count() > 0 && self.life.phase() != ServerPhase::Ready
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
        self.life.phase() == ServerPhase::Ready && !self.rests.is_resting()
    }

    /// Whether there is something that may be sent now.
    pub(in crate::proxy) fn has_bytes(&self) -> bool {
        match self.life.phase() {
            ServerPhase::Ready if self.tenure.is_leaving() => false,
            ServerPhase::Ready => {
                let may_go = self.requests.has_unsent() && !self.rests.is_resting();
                may_go || !self.greeting.is_empty()
            }
            ServerPhase::Greeting { .. } => !self.greeting.is_empty(),
            _ => false,
        }
    }
}
