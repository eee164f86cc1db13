//! The beginning of a client.
//!
//! Owns: what a client that has connected begins with, and who is turned away at once. Never: reads a
//! request.

use std::net::SocketAddr;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::Session;
use crate::proxy::failure::RequestError;

impl Proxy {
    /// A client has connected; it is `admitted`, or told that there are too many.
    pub(in crate::proxy) fn begin_client(
        &mut self,
        pool: PoolIdx,
        peer: Option<SocketAddr>,
        admitted: bool,
        now: Time,
    ) -> Key {
        let mut session = Session::new(self.clients.ids.take(), peer, now);
        session.set_authenticated(!self.pools[pool.index()].needs_password());
        let key = self.insert_client(Client::new(pool, session, now));
        if admitted {
            self.greet_client(key, now);
            self.pause_newcomer(key);
            self.get_ready_to_migrate(key, now);
        } else {
            let traffic = &self.stats.pools[pool.index()].traffic;
            traffic.clients_refused.add(1);
            self.reply_error(key, RequestError::TooManyClients);
            self.end_client(key, true, now);
        }
        key
    }

    pub(in crate::proxy) fn insert_client(&mut self, client: Client) -> Key {
        let pool = client.pool;
        let key = self.clients.insert(client);
        self.stats.total_connections.add(1);
        self.stats.curr_connections.add(1);
        let counters = &self.stats.pools[pool.index()].counters;
        counters.client_connections.add(1);
        key
    }

    /// Turns a client away that cannot be served; begins its idle time.
    pub(in crate::proxy) fn greet_client(&mut self, key: Key, now: Time) {
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        if self.draining || pool.retired {
            self.end_client(key, true, now);
        } else if let Some(idle) = pool.config.timeouts.client_idle {
            self.time_client(key, now + idle);
        }
    }
}
