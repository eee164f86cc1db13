//! The end of a client: what leads to it, what is delivered before, what is counted.
//!
//! ```text
//!   Open ── end ──► Ending ── all is delivered ──► Lingering ── it has gone, or a second ──► Closed
//!                      └──────────────── it sends nothing more ────────────────────────────────┘
//! ```
//!
//! Owns: that a client gets the replies that are due to it before its socket is closed, its idle time,
//! and that each end is counted once, by what came first (twemproxy: src/nc_client.c,
//! client_close_stats). Never: reads a request.

use std::time::Duration;

use crate::base::Batch;
use crate::base::Key;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::Phase;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;

/// How long a client that was told its last word is given to read it before the socket closes.
const LINGER: Duration = Duration::from_secs(1);

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum End {
    /// By its own wish: it has sent its last word, or `QUIT`, whose answer it need not await.
    Eof,
    /// By anything else.
    Err,
}

impl Proxy {
    pub(in crate::proxy) fn count_end(&mut self, key: Key, end: End) {
        let client = &mut self.clients.slab[key];
        if !client.life.take_end_count() {
            return;
        }
        let counters = &self.stats.pools[client.pool.index()].counters;
        match end {
            End::Eof => counters.client_eof.add(1),
            End::Err => counters.client_err.add(1),
        }
    }

    pub(in crate::proxy) fn client_received_end(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        client.input.end(now);
        if client.is_migrating() {
            // Whoever takes it will see it end.
            return;
        }
        let (phase, holds) = (client.life.phase(), client.input.has_unparsed());
        self.count_end(key, End::Eof);
        if self.waiter_has_ended(key, now) {
            return;
        }
        match phase {
            // What it sent before is read first.
            Phase::Open if holds => {}
            Phase::Open => self.end_client(key, false, now),
            Phase::Ending { .. } => self.settle_client(key, now),
            Phase::Lingering { .. } => self.close_client(key),
            Phase::Closed => {}
        }
    }

    pub(in crate::proxy) fn client_failed(&mut self, key: Key) {
        if self.clients.slab.find(key).is_some() {
            self.count_end(key, End::Err);
            self.close_client(key);
        }
    }

    /// Reads no more requests of this client; closes it when it has its replies.
    pub(in crate::proxy) fn end_client(&mut self, key: Key, linger: bool, now: Time) {
        if let Some(client) = self.clients.slab.find_mut(key) {
            client.end(linger);
            self.end_subscriptions(key);
            self.finish_soon(key, now);
            self.settle_client(key, now);
        }
    }

    /// Brings a client that reads no more requests as far as it can go.
    pub(in crate::proxy) fn settle_client(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        let Phase::Ending { linger } = client.life.phase() else {
            return;
        };
        if !client.replies.is_settled() {
            return;
        }
        if !linger || client.input.has_ended() {
            self.close_client(key);
            return;
        }
        // A close with unread bytes would reset the connection, and destroy the last replies on
        // their way.
        let until = now + LINGER;
        client.life.linger(until);
        let conn = client.conn();
        self.wire.put(Output::ShutdownWrite(conn));
        if client.pauses.end() {
            self.wire.put(Output::Resume(conn));
        }
        self.time_client(key, until);
    }

    /// Brings clients on that have got nothing for a request: no send tells when they are settled.
    pub(in crate::proxy) fn settle_unheard(&mut self, now: Time) {
        for key in std::mem::take(&mut self.clients.unheard) {
            self.settle_client(key, now);
            self.migrate_if_settled(key);
        }
    }

    /// A batch of replies was sent.
    pub(in crate::proxy) fn client_sent(&mut self, key: Key, batch: Batch, now: Time) {
        let bytes = batch.len();
        self.wire.spare.give_batch(batch);
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        let traffic = &self.stats.pools[client.pool.index()].traffic;
        traffic.client_sent_bytes.add(bytes);
        client.replies.sent(client.conn(), &mut self.wire, now);
        let is_open = client.life.is_open();
        if client.pauses.is_stopped() {
            self.clients.update_pause(key, &mut self.wire);
        }
        if is_open {
            self.migrate_if_settled(key);
        } else {
            self.settle_client(key, now);
        }
    }

    /// Looks at a client at `due`, and not before.
    pub(in crate::proxy) fn time_client(&mut self, key: Key, due: Time) {
        if let Some(client) = self.clients.slab.find_mut(key) {
            client.life.set_due(due);
            self.timers.set(due, ConnId::Client(key));
        }
    }

    pub(in crate::proxy) fn client_due(&mut self, key: Key, due: Time, now: Time) {
        let Some(client) = self.clients.slab.find(key) else {
            return;
        };
        if !client.life.is_due(due) {
            return;
        }
        if self.waiter_has_ended(key, now) || self.subscription_due(key, now) {
            return;
        }
        let client = &self.clients.slab[key];
        let idle_timeout = self.pools[client.pool.index()].config.timeouts.client_idle;
        match (client.life.phase(), idle_timeout) {
            (Phase::Lingering { until }, _) if until <= now => self.close_client(key),
            (Phase::Open, Some(timeout)) => {
                // One that is stopped may have said anything since.
                let waits = client.pauses.is_stopped() || client.lease.is_some();
                // Who listens says nothing for as long as it likes.
                let waits = waits || client.subscriptions.is_some();
                let busy = waits || !client.replies.is_settled();
                let due = if busy {
                    now + timeout
                } else {
                    client.input.last_heard() + timeout
                };
                if due > now {
                    self.time_client(key, due);
                } else {
                    self.end_client(key, true, now);
                }
            }
            _ => {}
        }
    }

    pub(in crate::proxy) fn close_client(&mut self, key: Key) {
        self.end_socket(key, Output::Close(ConnId::Client(key)));
    }

    /// Closes a client that does not take its replies: the kernel need not keep them either.
    pub(in crate::proxy) fn abort_client(&mut self, key: Key) {
        self.end_socket(key, Output::Abort(ConnId::Client(key)));
    }

    fn end_socket(&mut self, key: Key, output: Output) {
        let client = self.clients.slab.find_mut(key);
        if client.is_some_and(Client::close) {
            self.wire.put(output);
            self.end_lease(key);
            self.end_subscriptions(key);
        }
    }

    /// A client's socket is closed: its key names nothing any more.
    pub(in crate::proxy) fn client_closed(&mut self, key: Key) {
        if let Some(client) = self.clients.slab.remove(key) {
            let counters = &self.stats.pools[client.pool.index()].counters;
            counters.client_connections.sub(1);
            self.stats.curr_connections.sub(1);
        }
    }
}
