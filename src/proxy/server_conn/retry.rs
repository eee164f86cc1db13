//! What becomes of a connection's requests when it ends.
//!
//! | the request was      | and then                                                       |
//! |----------------------|----------------------------------------------------------------|
//! | not sent             | it is sent on the next connection, unless its client has gone   |
//! | sent, changes nothing| it is sent on the next connection, once, unless its client has  |
//! |                      | written behind it                                               |
//! | half answered        | its client is closed: `streaming`                               |
//! | sent behind one that the server could not read | it is sent on the next connection: `quarantine` |
//! | sent, else           | it gets an error that says that its outcome is unknown          |
//! | not sent, and the next connection cannot be made | it gets an error, or is held: `on_server_failure` |
//!
//! Owns: the order of what goes on: as it was asked. Never: opens a connection.

use std::collections::HashSet;

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::proxy::Proxy;
use crate::proxy::client::Reply;
use crate::proxy::dispatch::quarantine;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::server_conn::Pending;
use crate::proxy::server_conn::Retry;

impl Proxy {
    /// Of a connection that worked: leaves in its queue what is to be sent on the next one.
    pub(in crate::proxy) fn salvage_sent(&mut self, key: Key, failure: &Failure, now: Time) {
        let conn = &mut self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        let sent = conn.fifo.len() - conn.unsent;
        conn.tombstones = 0;
        conn.assembly = None;
        let streaming = std::mem::take(&mut conn.streaming);
        let mut pendings: Vec<Pending> = conn.fifo.drain(..sent).collect();
        let unreadable = conn.unreadable.take();
        let next = pendings.first().map(|next| next.awaiter.client);
        let next = next.filter(|_| quarantine::may_be_provoked(failure));
        // Behind what the server could not read nothing was executed.
        let unread = unreadable.is_some();
        if !unread {
            leave_out_overtaken(&mut pendings);
        }
        let mut bytes = conn.sent.take();
        let mut again = ByteQueue::default();
        let (mut retried, mut failed) = (Vec::new(), Vec::new());
        for (place, mut pending) in pendings.iter().copied().enumerate() {
            let size = pending.bytes as usize;
            let half_given = streaming && place == 0;
            if half_given && self.cut_short(key, pending.awaiter, failure, now) {
                bytes.skip_next(size);
                continue;
            }
            let allowed = pending.retry == Retry::Once && failure.allows_retry(place == 0);
            let is_awaited = !pending.awaiter.is_buried() && pending.awaiter.client != Key::NONE;
            let may_go = bytes.has_next() && is_awaited && (unread || allowed);
            if may_go {
                bytes.move_next(size, &mut again, &mut self.wire.spare);
                if !unread {
                    pending.retry = Retry::Used;
                }
                retried.push(pending);
            } else {
                bytes.skip_next(size);
                failed.push(pending);
            }
        }
        let stats = &self.stats.pools[pool.index()].servers[server.index()];
        stats.out_queue.sub(sent);
        stats.out_queue_bytes.sub(sizes(&pendings));
        stats.in_queue.add(retried.len());
        stats.in_queue_bytes.add(again.len());
        let conn = &mut self.servers[key];
        again.append(std::mem::take(&mut conn.queue), &mut self.wire.spare);
        conn.queue = again;
        conn.unsent += retried.len();
        for pending in retried.into_iter().rev() {
            conn.fifo.push_front(pending);
        }
        for pending in &failed {
            let outcome = match pending.retry {
                Retry::Never if !unread => Outcome::Unknown,
                _ => Outcome::NotDone,
            };
            self.answer_failed(key, pending, Answer::Server(failure, outcome));
        }
        if let Some(client) = unreadable.or(next) {
            self.charge(client, now);
        }
    }

    /// Of an attempt to connect that failed: leaves in its queue what waits for the next one.
    pub(in crate::proxy) fn salvage_unsent(&mut self, key: Key, failure: &Failure, now: Time) {
        let conn = &mut self.servers[key];
        conn.greeting = ByteQueue::default();
        conn.assembly = None;
        let config = &self.pools[conn.pool.index()].config;
        if config.failure.policy == OnServerFailure::Hold {
            self.expire_held(key, now);
            self.refuse_excess(key);
        } else {
            let count = self.servers[key].fifo.len();
            self.fail_unsent(key, count, Answer::Server(failure, Outcome::NotDone));
        }
    }

    /// Answers the first `count` requests of a connection on which nothing was sent.
    pub(in crate::proxy) fn fail_unsent(&mut self, key: Key, count: usize, answer: Answer<'_>) {
        let conn = &mut self.servers[key];
        let failed: Vec<Pending> = conn.fifo.drain(..count).collect();
        let bytes = sizes(&failed);
        conn.unsent -= failed.len();
        conn.queue.drop_front(bytes);
        if conn.queue.is_empty() {
            conn.queue = ByteQueue::default();
        }
        let stats = &self.stats.pools[conn.pool.index()].servers[conn.server.index()];
        stats.in_queue.sub(failed.len());
        stats.in_queue_bytes.sub(bytes);
        for pending in &failed {
            self.answer_failed(key, pending, answer);
        }
    }

    /// Requests of clients that have gone are not sent any more: nobody would expect what was
    /// held for a second to be done then.
    pub(in crate::proxy) fn drop_orphans(&mut self, key: Key) {
        let clients = &self.clients;
        let gone = |pending: &Pending| !clients.awaits(pending.awaiter);
        let conn = &mut self.servers[key];
        let dropped = conn.drop_unsent(gone, &mut self.wire.spare);
        self.count_dropped(key, &dropped);
    }

    /// The same where requests have waited for their server; and the writes of those that have closed
    /// their sending half meanwhile get an error.
    pub(in crate::proxy) fn drop_abandoned(&mut self, key: Key, now: Time) {
        self.drop_orphans(key);
        let clients = &self.clients;
        let abandoned = |pending: &Pending| {
            pending.retry == Retry::Never && !clients.may_still_write(pending.awaiter, now)
        };
        let conn = &mut self.servers[key];
        let dropped = conn.drop_unsent(abandoned, &mut self.wire.spare);
        self.count_dropped(key, &dropped);
        let answer = Answer::Request(RequestError::Abandoned);
        for pending in &dropped {
            self.answer_failed(key, pending, answer);
        }
    }

    fn count_dropped(&self, key: Key, dropped: &[Pending]) {
        let conn = &self.servers[key];
        let stats = &self.stats.pools[conn.pool.index()].servers[conn.server.index()];
        stats.in_queue.sub(dropped.len());
        stats.in_queue_bytes.sub(sizes(dropped));
    }

    /// Gives all that waits on a connection that has ended to the next one.
    pub(in crate::proxy) fn hand_on(&mut self, from: Key, to: Key) {
        let conn = &mut self.servers[from];
        let fifo = std::mem::take(&mut conn.fifo);
        let queue = std::mem::take(&mut conn.queue);
        let unsent = std::mem::take(&mut conn.unsent);
        debug_assert!(fifo.len() == unsent, "what was sent is settled before");
        let next = &mut self.servers[to];
        next.asked = unsent > 0;
        (next.fifo, next.queue, next.unsent) = (fifo, queue, unsent);
        self.full_queues.succeed(from, to);
    }

    pub(in crate::proxy) fn answer_failed(
        &mut self,
        key: Key,
        pending: &Pending,
        answer: Answer<'_>,
    ) {
        if pending.awaiter.is_buried() || pending.awaiter.client == Key::NONE {
            return;
        }
        let pool = self.servers[key].pool;
        self.stats.pools[pool.index()].counters.forward_error.add(1);
        let bytes = pending.bytes as usize;
        let answer = answer.encode(self.pools[pool.index()].protocol);
        let reply = Reply::<Bytes>::Own(&answer);
        self.clients
            .deliver(pending.awaiter, reply, bytes, &mut self.wire);
    }
}

/// A read behind which its own client has written is not sent again: the write may have been
/// executed, and the read would see what it must not.
fn leave_out_overtaken(sent: &mut [Pending]) {
    let mut writers = HashSet::new();
    for pending in sent.iter_mut().rev() {
        match pending.retry {
            Retry::Never => {
                writers.insert(pending.awaiter.client);
            }
            _ if writers.contains(&pending.awaiter.client) => pending.retry = Retry::Used,
            _ => {}
        }
    }
}

pub(in crate::proxy) fn sizes(pendings: &[Pending]) -> usize {
    pendings.iter().map(|pending| pending.bytes as usize).sum()
}
