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
//! `CLIENT PAUSE … WRITE` holds the writes to all of a pool's servers in the same way: those that have not
//! come yet.
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
    // `None`: every server's, since a client has asked for it.
    server: Option<ServerIdx>,
    until: Time,
    clients: Vec<Key>,
}

impl WriteHolds {
    /// Whether no server's writes wait.
    #[inline]
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

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
        let writes = |server: Option<ServerIdx>| match server {
            Some(server) => plan.writes_to(server, parts),
            None => plan.writes(),
        };
        let held = |hold: &&mut WriteHold| hold.pool == client.pool && writes(hold.server);
        let Some(hold) = holds.find(held) else {
            return false;
        };
        client.pauses.add(PauseReason::WriteHold);
        hold.clients.push(client.key());
        true
    }

    /// That of a server, or of all of a pool's; a new one is over at once.
    fn hold(&mut self, pool: PoolIdx, server: Option<ServerIdx>) -> &mut WriteHold {
        let mut servers = self.servers.iter();
        let place = servers.position(|hold| (hold.pool, hold.server) == (pool, server));
        let place = place.unwrap_or_else(|| {
            self.servers.push(WriteHold {
                pool,
                server,
                until: Time::ZERO,
                clients: Vec::new(),
            });
            self.servers.len() - 1
        });
        &mut self.servers[place]
    }

    fn is_of(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|hold| (hold.pool, hold.server) == (pool, Some(server)))
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
        self.write_holds.hold(pool, Some(server)).until = until;
    }

    /// They wait no longer.
    pub(in crate::proxy) fn let_writes(&mut self, pool: PoolIdx, server: ServerIdx) {
        self.end_write_hold_of(pool, Some(server));
    }

    /// Writes to every server of a pool wait from now on, `until` then or longer: those that come.
    pub(in crate::proxy) fn hold_all_writes(&mut self, pool: PoolIdx, until: Time) {
        let hold = self.write_holds.hold(pool, None);
        hold.until = until.max(hold.until);
    }

    /// They wait no longer, unless their server's master is about to be replaced.
    pub(in crate::proxy) fn let_all_writes(&mut self, pool: PoolIdx) {
        self.end_write_hold_of(pool, None);
    }

    fn end_write_hold_of(&mut self, pool: PoolIdx, server: Option<ServerIdx>) {
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
        if let Some(server) = hold.server {
            for key in self.conns_of(hold.pool, server) {
                let conn = &mut self.servers[key];
                if conn.has_bytes() {
                    conn.sending.list(ConnId::Server(key), &mut self.wire);
                }
            }
            self.send_exclusives(hold.pool, server);
        }
        let reason = PauseReason::WriteHold;
        self.clients.release(reason, &hold.clients, &mut self.wire);
    }
}
