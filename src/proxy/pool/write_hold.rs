//! Writes that wait because their server's master is about to be replaced.
//!
//! Until the moment at which another server becomes the master the old one takes writes, and those
//! that it acknowledges last are lost with it. So whoever sends one meanwhile is read no further:
//! the write, and what its client has sent behind it, stays where it was received. Reads go on.
//!
//! ```text
//!   HoldWrites ──► a write comes ──► its client is read no further ──┐
//!   Moved, ReleaseWrites, or the time is over ◄── its requests are read, and go where the master is
//! ```
//!
//! Owns: which servers' writes wait, until when, and which clients that has stopped. Never: decides
//! that a master is about to move. Lives on: every worker; a few milliseconds to seconds.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Parts;
use crate::proxy::plan::Plan;
use crate::proxy::pool::Pool;
use crate::proxy::server_conn::ServerConn;

/// All servers whose writes wait; there are hardly ever any.
#[derive(Debug, Default)]
pub(in crate::proxy) struct WriteHolds {
    servers: Vec<WriteHold>,
}

#[derive(Debug)]
struct WriteHold {
    pool: PoolIdx,
    server: ServerIdx,
    until: Time,
    clients: Vec<Key>,
}

impl WriteHolds {
    /// When the first of them is over.
    pub(in crate::proxy) fn next(&self) -> Option<Time> {
        self.servers.iter().map(|hold| hold.until).min()
    }

    /// Whether a client's next request waits, of which this is the plan; then the client is read no
    /// further.
    #[inline]
    pub(in crate::proxy) fn stop(
        &mut self,
        client: &mut Client,
        pool: &Pool,
        planned: &Result<Plan, RequestError>,
        parts: &Parts,
    ) -> bool {
        !self.servers.is_empty() && self.stop_if_held(client, pool, planned, parts)
    }

    fn stop_if_held(
        &mut self,
        client: &mut Client,
        pool: &Pool,
        planned: &Result<Plan, RequestError>,
        parts: &Parts,
    ) -> bool {
        // Behind a fence it is refused at once.
        let (false, Ok(plan)) = (pool.fenced, planned) else {
            return false;
        };
        let mut holds = self.servers.iter_mut();
        let held =
            |hold: &&mut WriteHold| hold.pool == client.pool && plan.writes_to(hold.server, parts);
        let Some(hold) = holds.find(held) else {
            return false;
        };
        client.pauses.add(PauseReason::WriteHold);
        hold.clients.push(client.key());
        true
    }

    fn is_of(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|hold| (hold.pool, hold.server) == (pool, server))
    }

    /// How many of them have stopped a client.
    #[cfg(debug_assertions)]
    pub(in crate::proxy) fn count_of(&self, client: Key) -> usize {
        let all = self.servers.iter().flat_map(|hold| &hold.clients);
        all.filter(|stopped| **stopped == client).count()
    }

    /// Whether what waits on a connection is not to be sent now.
    #[inline]
    pub(in crate::proxy) fn stops(&self, conn: &ServerConn) -> bool {
        !self.servers.is_empty()
            && conn.replica.is_none()
            && self.is_of(conn.pool, conn.server)
            && conn.requests.has_unsent_writes()
    }
}

impl Proxy {
    /// Writes to a server wait from now on, `until` then at the latest.
    pub(in crate::proxy) fn hold_writes(&mut self, pool: PoolIdx, server: ServerIdx, until: Time) {
        if self.pools[pool.index()].servers[server.index()].removed {
            return;
        }
        let mut servers = self.write_holds.servers.iter_mut();
        match servers.find(|hold| (hold.pool, hold.server) == (pool, server)) {
            Some(hold) => hold.until = until,
            None => self.write_holds.servers.push(WriteHold {
                pool,
                server,
                until,
                clients: Vec::new(),
            }),
        }
    }

    /// They wait no longer.
    pub(in crate::proxy) fn let_writes(&mut self, pool: PoolIdx, server: ServerIdx) {
        let mut servers = self.write_holds.servers.iter();
        let is_it = |hold: &WriteHold| (hold.pool, hold.server) == (pool, server);
        if let Some(place) = servers.position(is_it) {
            self.end_write_hold(place);
        }
    }

    /// Lets those go on whose time is over.
    pub(in crate::proxy) fn end_write_holds(&mut self, now: Time) {
        let is_over = |hold: &WriteHold| hold.until <= now;
        while let Some(place) = self.write_holds.servers.iter().position(is_over) {
            self.end_write_hold(place);
        }
    }

    fn end_write_hold(&mut self, place: usize) {
        let hold = self.write_holds.servers.swap_remove(place);
        for key in self.conns_of(hold.pool, hold.server) {
            let conn = &mut self.servers[key];
            if conn.has_bytes() {
                conn.sending.list(ConnId::Server(key), &mut self.wire);
            }
        }
        self.send_exclusives(hold.pool, hold.server);
        let reason = PauseReason::WriteHold;
        self.clients.release(reason, &hold.clients, &mut self.wire);
    }
}
