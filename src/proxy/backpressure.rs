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
use crate::proxy::server::ServerPhase;

/// By server connection: whom its queue has stopped, once for each request that found it full.
#[derive(Debug, Default)]
pub(super) struct FullQueues {
    stopped: BTreeMap<Key, Vec<Key>>,
}

impl FullQueues {
    /// One connection has taken over the queue of another.
    pub(super) fn succeed(&mut self, from: Key, to: Key) {
        if let Some(clients) = self.stopped.remove(&from) {
            self.stopped.entry(to).or_default().extend(clients);
        }
    }

    /// How many queues have stopped a client.
    #[cfg(debug_assertions)]
    pub(super) fn count_of(&self, client: Key) -> usize {
        let all = self.stopped.values().flatten();
        all.filter(|stopped| **stopped == client).count()
    }
}

impl Proxy {
    /// Stops a client whose request was put into a queue, if that is full.
    #[inline]
    pub(super) fn stop_if_full(&mut self, conn: Key, client: Key) {
        let of = &self.servers[conn];
        let limit = self.pools[of.pool.index()].config.server_queue_bytes;
        if of.unsent_bytes() >= limit {
            self.full_queues
                .stopped
                .entry(conn)
                .or_default()
                .push(client);
            self.clients.slab[client].blocked_by += 1;
        }
    }

    /// Lets stopped clients go on whose queue is half empty, so that they can go on for a while, or
    /// is no longer.
    #[inline]
    pub(super) fn release_stopped(&mut self) {
        if !self.full_queues.stopped.is_empty() {
            self.look_at_full_queues();
        }
    }

    fn look_at_full_queues(&mut self) {
        let conns = self.full_queues.stopped.keys().copied();
        let short: Vec<Key> = conns.filter(|conn| !self.is_full(*conn)).collect();
        for conn in short {
            for client in self.full_queues.stopped.remove(&conn).unwrap_or_default() {
                let Some(found) = self.clients.slab.find_mut(client) else {
                    continue;
                };
                found.blocked_by -= 1;
                if found.blocked_by == 0 && found.paused && !found.listed_for_resume {
                    found.listed_for_resume = true;
                    self.clients.resumable.push(client);
                }
            }
        }
    }

    /// Whether a queue that was full is still more than half so.
    fn is_full(&self, conn: Key) -> bool {
        let Some(conn) = self.servers.find(conn) else {
            return false;
        };
        let limit = self.pools[conn.pool.index()].config.server_queue_bytes;
        conn.phase != ServerPhase::Closed && conn.unsent_bytes() > limit / 2
    }
}
