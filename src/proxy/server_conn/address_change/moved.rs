//! A server is elsewhere from now on: its name and its keys stay.
//!
//! Owns: what a new address means for the connections to the old one.

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::messages::SocketAddress;
use crate::proxy::Proxy;
use crate::proxy::failure::Failure;
use crate::proxy::server_conn::ServerPhase;

impl Proxy {
    /// Uses `addresses` and no other, and that at once. What waits goes to the new one.
    pub(in crate::proxy) fn server_moved(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        addresses: &[SocketAddress],
        now: Time,
    ) {
        let known = &mut self.pools[pool.index()].servers[server.index()];
        // From here on its address comes from elsewhere, and a name's answer that is still on its
        // way is an old one.
        known.has_name = false;
        known.moved = true;
        if known.addresses == addresses {
            return self.let_writes(pool, server);
        }
        known.addresses = addresses.to_vec();
        for key in self.conns_of(pool, server) {
            let conn = &mut self.servers[key];
            if conn.life.phase() == ServerPhase::Ready {
                self.fail_server_conn(key, &Failure::Moved, now);
                continue;
            }
            // What has failed was another server.
            conn.attempts.worked();
            self.attempt_anew(key, now);
        }
        self.exclusives_moved(pool, server, now);
        // One of them may be the master now.
        self.set_replicas(pool, server, &[], now);
        self.let_writes(pool, server);
    }
}
