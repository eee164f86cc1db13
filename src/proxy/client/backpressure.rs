//! Clients whose requests have filled a server connection's queue, and that are read no further
//! before it is half empty.
//!
//! Owns: who is stopped for which queue, and who goes on. A queue gets shorter in many ways: it is
//! sent, its requests time out, are refused, go elsewhere, or their clients have gone. None of these
//! has to tell: before the proxy says what is to be done, every full queue is looked at. There are
//! few of them, mostly none.

use std::collections::BTreeMap;

use crate::base::Key;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;

/// By server connection: whose requests have found its queue full, once for each.
#[derive(Debug, Default)]
pub(in crate::proxy) struct FullQueues {
    stopped: BTreeMap<Key, Vec<Key>>,
}

impl FullQueues {
    /// Stops a client whose request was put into a queue of at most `limit` bytes, if that is full.
    #[inline]
    pub(in crate::proxy) fn stop_if_full(
        &mut self,
        (key, conn): (Key, &ServerConn),
        client: &mut Client,
        limit: usize,
    ) {
        if conn.unsent_bytes() >= limit {
            self.stopped.entry(key).or_default().push(client.key());
            client.pauses.add(PauseReason::FullQueue);
        }
    }

    /// One connection has taken over the queue of another.
    pub(in crate::proxy) fn succeed(&mut self, from: Key, to: Key) {
        if let Some(clients) = self.stopped.remove(&from) {
            self.stopped.entry(to).or_default().extend(clients);
        }
    }

    /// How many full queues have stopped a client.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn count_of(&self, client: Key) -> usize {
        let all = self.stopped.values().flatten();
        all.filter(|stopped| **stopped == client).count()
    }
}

impl Proxy {
    /// Lets clients go on whose queue is half empty, so that they can go on for a while, or is no
    /// longer.
    #[inline]
    pub(in crate::proxy) fn release_stopped(&mut self) {
        if !self.full_queues.stopped.is_empty() {
            self.look_at_full_queues();
        }
    }

    fn look_at_full_queues(&mut self) {
        let conns = self.full_queues.stopped.keys().copied();
        let short: Vec<Key> = conns.filter(|conn| !self.is_full(*conn)).collect();
        let stopped = &mut self.full_queues.stopped;
        let short = short.iter().filter_map(|conn| stopped.remove(conn));
        let clients: Vec<Key> = short.flatten().collect();
        let reason = PauseReason::FullQueue;
        self.clients.release(reason, &clients, &mut self.wire);
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
        conn.life.phase() != ServerPhase::Closed && conn.unsent_bytes() > limit / 2
    }
}
