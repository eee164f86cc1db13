//! Clients whose requests have filled a server connection's queue, and that are read no further
//! before it is half empty.
//!
//! Owns: who is stopped for which queue, and who goes on. A queue gets shorter in many ways: it is
//! sent, its requests time out, are refused, go elsewhere, or their clients have gone. None of these
//! has to tell: before the proxy says what is to be done, every full queue is looked at. There are
//! few of them, mostly none.

use std::collections::BTreeMap;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::proxy::Proxy;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::dispatch::bypass::is_late;
use crate::proxy::server_conn::ServerPhase;

/// By server connection: whom it has stopped.
#[derive(Debug, Default)]
pub(in crate::proxy) struct FullQueues {
    /// Whose requests have found its queue full, once for each.
    stopped: BTreeMap<Key, Vec<Key>>,
    /// Whose writes have timed out on it and may still be done, while a reload has given them other
    /// connections: what they ask next would be done before.
    late: BTreeMap<Key, Vec<Key>>,
}

impl FullQueues {
    /// One connection has taken over the queue of another.
    pub(in crate::proxy) fn succeed(&mut self, from: Key, to: Key) {
        if let Some(clients) = self.stopped.remove(&from) {
            self.stopped.entry(to).or_default().extend(clients);
        }
    }

    /// How many full queues, and late writes, have stopped a client.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn counts_of(&self, client: Key) -> (usize, usize) {
        let count = |by: &BTreeMap<Key, Vec<Key>>| {
            let all = by.values().flatten();
            all.filter(|stopped| **stopped == client).count()
        };
        (count(&self.stopped), count(&self.late))
    }
}

impl Proxy {
    /// Stops a client whose request was put into a queue, if that is full.
    #[inline]
    pub(in crate::proxy) fn stop_if_full(&mut self, conn: Key, client: Key) {
        let of = &self.servers[conn];
        let limit = self.pools[of.pool.index()].config.limits.server_queue_bytes;
        if of.unsent_bytes() >= limit {
            let stopped = &mut self.full_queues.stopped;
            stopped.entry(conn).or_default().push(client);
            self.clients.slab[client].pauses.add(PauseReason::FullQueue);
        }
    }

    /// A write that was sent on a connection has timed out, and its client is about to hear of that.
    pub(in crate::proxy) fn write_is_late(&mut self, conn: Key, client: Key) {
        let found = self.clients.slab.find(client);
        if found.is_some_and(|client| client.pauses.has(PauseReason::OrderBarrier)) {
            self.stop_late(conn, client);
        }
    }

    /// A pool's clients have other connections from now on.
    pub(in crate::proxy) fn stop_late_writers(&mut self, pool: PoolIdx) {
        let graves = std::mem::take(&mut self.graves);
        for conn in graves.iter().copied() {
            let found = self.servers.find(conn).filter(|conn| conn.pool == pool);
            let late = found.map(|conn| conn.requests.late_writers());
            for client in late.unwrap_or_default() {
                self.stop_late(conn, client);
            }
        }
        self.graves = graves;
    }

    fn stop_late(&mut self, conn: Key, client: Key) {
        let stopped = self.full_queues.late.entry(conn).or_default();
        if let (Some(found), false) = (
            self.clients.slab.find_mut(client),
            stopped.contains(&client),
        ) {
            stopped.push(client);
            found.pauses.add(PauseReason::LateWrite);
        }
    }

    /// Lets stopped clients go on whose queue is half empty, so that they can go on for a while, or
    /// is no longer.
    #[inline]
    pub(in crate::proxy) fn release_stopped(&mut self) {
        if !self.full_queues.stopped.is_empty() || !self.full_queues.late.is_empty() {
            self.look_at_full_queues();
        }
    }

    fn look_at_full_queues(&mut self) {
        let conns = self.full_queues.stopped.keys().copied();
        let short: Vec<Key> = conns.filter(|conn| !self.is_full(*conn)).collect();
        let conns = self.full_queues.late.keys().copied();
        let settled: Vec<Key> = conns
            .filter(|conn| !is_late(&self.servers, *conn))
            .collect();
        let queues = &mut self.full_queues;
        let short = short.iter().filter_map(|conn| queues.stopped.remove(conn));
        let unblocked: Vec<Key> = short.flatten().collect();
        let settled = settled.iter().filter_map(|conn| queues.late.remove(conn));
        let answered: Vec<Key> = settled.flatten().collect();
        self.release(PauseReason::FullQueue, unblocked);
        self.release(PauseReason::LateWrite, answered);
    }

    /// Something that stopped these clients has ended.
    pub(in crate::proxy) fn release(&mut self, reason: PauseReason, clients: Vec<Key>) {
        for client in clients {
            if let Some(found) = self.clients.slab.find_mut(client) {
                found.pauses.remove(reason);
                self.clients.update_pause(client, &mut self.wire);
            }
        }
    }

    /// Whether a queue that was full is still more than half so.
    fn is_full(&self, conn: Key) -> bool {
        let Some(conn) = self.servers.find(conn) else {
            return false;
        };
        let limit = self.pools[conn.pool.index()]
            .config
            .limits
            .server_queue_bytes;
        conn.phase != ServerPhase::Closed && conn.unsent_bytes() > limit / 2
    }
}
