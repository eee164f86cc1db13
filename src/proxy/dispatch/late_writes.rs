//! Writes that have timed out on a connection on which they were sent, and may still be done.
//!
//! What their clients ask next must not be done before: so they change to no other connection, and
//! where a reload gives them one, they are read no further until it is settled.
//!
//! Owns: on which connections there may be such writes, and whom they have stopped. Never: knows what
//! a request says.

use std::collections::BTreeMap;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Slab;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::Pending;

/// All such writes of a worker; there are hardly ever any.
#[derive(Debug, Default)]
pub(in crate::proxy) struct LateWrites {
    // Where there may be some: each connection once.
    conns: Vec<Key>,
    // By connection, whom it has stopped.
    stopped: BTreeMap<Key, Vec<Key>>,
}

impl LateWrites {
    /// Whether one of this client's may still be done somewhere.
    pub(in crate::proxy) fn any_of(&mut self, client: Key, servers: &Slab<ServerConn>) -> bool {
        self.forget_done(servers);
        let mut conns = self.conns.iter();
        conns.any(|conn| servers[*conn].requests.late_writers().contains(&client))
    }

    fn add(&mut self, conn: Key, servers: &Slab<ServerConn>) {
        if !self.conns.contains(&conn) {
            self.forget_done(servers);
            self.conns.push(conn);
        }
    }

    fn forget_done(&mut self, servers: &Slab<ServerConn>) {
        self.conns.retain(|conn| may_be_done_on(servers, *conn));
    }

    /// Reads a client no further before what it has written on `conn` is settled.
    fn stop(&mut self, conn: Key, client: &mut Client) {
        let stopped = self.stopped.entry(conn).or_default();
        if !stopped.contains(&client.key()) {
            stopped.push(client.key());
            client.pauses.add(PauseReason::LateWrite);
        }
    }

    /// Who need not wait any longer.
    fn take_settled(&mut self, servers: &Slab<ServerConn>) -> Vec<Key> {
        let conns = self.stopped.keys().copied();
        let settled: Vec<Key> = conns
            .filter(|conn| !may_be_done_on(servers, *conn))
            .collect();
        let settled = settled.iter().filter_map(|conn| self.stopped.remove(conn));
        settled.flatten().collect()
    }

    /// How many of these connections have stopped a client.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn count_of(&self, client: Key) -> usize {
        let all = self.stopped.values().flatten();
        all.filter(|stopped| **stopped == client).count()
    }
}

/// Whether something that has timed out on a connection may still be done.
fn may_be_done_on(servers: &Slab<ServerConn>, conn: Key) -> bool {
    let conn = servers.find(conn);
    conn.is_some_and(|conn| conn.life.phase() != ServerPhase::Closed && conn.requests.has_untimed())
}

impl Proxy {
    /// A request has timed out on a connection on which it was sent, and its client is about to hear
    /// of that.
    pub(in crate::proxy) fn bury(&mut self, conn: Key, buried: &Pending) {
        if !buried.writes() {
            return;
        }
        self.late_writes.add(conn, &self.servers);
        let client = self.clients.slab.find_mut(buried.awaiter.client);
        let waits = |client: &&mut Client| client.pauses.has(PauseReason::OrderBarrier);
        if let Some(client) = client.filter(waits) {
            self.late_writes.stop(conn, client);
        }
    }

    /// A pool's clients have other connections from now on.
    pub(in crate::proxy) fn stop_late_writers(&mut self, pool: PoolIdx) {
        let is_of_pool = |conn: &Key| self.servers.find(*conn).is_some_and(|c| c.pool == pool);
        let conns = self.late_writes.conns.iter().copied().filter(is_of_pool);
        for conn in conns.collect::<Vec<Key>>() {
            for client in self.servers[conn].requests.late_writers() {
                if let Some(client) = self.clients.slab.find_mut(client) {
                    self.late_writes.stop(conn, client);
                }
            }
        }
    }

    /// The same of one client.
    pub(in crate::proxy) fn stop_late_writer(&mut self, key: Key) {
        let conns = self.late_writes.conns.iter().copied();
        let is_late = |conn: &Key| {
            let conn = self.servers.find(*conn);
            conn.is_some_and(|conn| conn.requests.late_writers().contains(&key))
        };
        for conn in conns.filter(is_late).collect::<Vec<Key>>() {
            if let Some(client) = self.clients.slab.find_mut(key) {
                self.late_writes.stop(conn, client);
            }
        }
    }

    /// Lets those go on whose late writes are answered, or cannot be done any more.
    #[inline]
    pub(in crate::proxy) fn release_late_writers(&mut self) {
        if !self.late_writes.stopped.is_empty() {
            let settled = self.late_writes.take_settled(&self.servers);
            let reason = PauseReason::LateWrite;
            self.clients.release(reason, &settled, &mut self.wire);
        }
    }
}
