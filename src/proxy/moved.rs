//! A server is elsewhere from now on: its name and its keys stay.
//!
//! Owns: what a new address means for the connections to the old one.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::failure::Failure;
use crate::proxy::output::SocketAddress;

impl Proxy {
    /// Uses `addresses` and no other. What was sent to another gets an error, what was not goes to
    /// the new one.
    pub(super) fn server_moved(
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
            return;
        }
        known.addresses = addresses.to_vec();
        let conns: Vec<Key> = known.conns.clone();
        for key in conns {
            self.fail_server_conn(key, &Failure::Moved, now);
        }
    }
}
