//! A server's name has other addresses than before.
//!
//! Owns: how a connection to an old one is left. No request is lost by it, and none overtakes
//! another: what was sent is answered there, what was not goes to the new address afterwards.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::server_conn::ServerPhase;

impl Proxy {
    /// Leaves the connections to addresses that a server has no longer. In which order it has the
    /// others does not matter.
    pub(in crate::proxy) fn leave_old_addresses(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        now: Time,
    ) {
        // What is free is not worth a look; what is held goes on where it is.
        self.close_all_free(pool, server);
        for key in self.conns_of(pool, server) {
            let addresses = &self.pools[pool.index()].servers[server.index()].addresses;
            let conn = &mut self.servers[key];
            let address = conn.address.as_ref();
            let is_old = address.is_some_and(|address| !addresses.contains(address));
            match conn.life.phase() {
                ServerPhase::Connecting | ServerPhase::Greeting { .. } if is_old => {
                    self.attempt_anew(key, now);
                }
                ServerPhase::Ready => {
                    conn.tenure.set_leaving(is_old);
                    // An address may come back before its connection was left.
                    if conn.has_bytes() {
                        conn.sending.list(ConnId::Server(key), &mut self.wire);
                    }
                    self.leave_if_settled(key, now);
                }
                _ => {}
            }
        }
    }

    /// Closes a connection that is to be left, once nothing that was sent there awaits its reply.
    #[inline]
    pub(in crate::proxy) fn leave_if_settled(&mut self, key: Key, now: Time) {
        let conn = self.servers.find(key);
        if conn.is_some_and(|conn| conn.tenure.is_last() || conn.tenure.is_leaving()) {
            self.leave_settled(key, now);
        }
    }

    fn leave_settled(&mut self, key: Key, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.tenure.is_last()
            && conn.requests.is_empty()
            && conn.life.phase() != ServerPhase::Closed
        {
            self.close_server_conn(key);
            return;
        }
        let is_settled = !conn.requests.awaits_replies() && conn.sending.is_idle();
        if !conn.tenure.is_leaving() || conn.life.phase() != ServerPhase::Ready || !is_settled {
            return;
        }
        let (pool, server, replica) = (conn.pool, conn.server, conn.replica);
        self.close(key);
        if replica.is_some() {
            return;
        }
        let pool = &self.pools[pool.index()];
        let (pool, server) = (&pool.config.name, &pool.servers[server.index()].name);
        tracing::info!(%pool, %server, "server connection left: the server is elsewhere");
        self.open_next(key, now);
    }
}
