//! A server that has no room for another connection.
//!
//! ```text
//!   shared lanes: │ a │ b │ c: refused │ d │ ──► │ a │ b │ d │
//!                           └─ its requests go to one of its kind that is not
//! ```
//!
//! Who refuses a connection has executed nothing, and serves on those that it has. So its requests, and
//! the clients that would have used it, go by these, and all are tried again later.
//!
//! Owns: how many connections to a server are used of those that it may have. Never: lets it count as
//! a failure, as long as there are others.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::failure::Failure;
use crate::proxy::pool::conns::Lane;
use crate::proxy::pool::conns::Place;
use crate::proxy::server_conn::ServerPhase;

/// What Redis says at its `maxclients`, and closes.
const NO_ROOM: &str = "ERR max number of clients reached";

impl Proxy {
    /// Which connection of its server there is beside one whose attempt ends so, if that says that
    /// there is no room for more.
    pub(in crate::proxy) fn one_with_room(
        &self,
        key: Key,
        phase: ServerPhase,
        failure: &Failure,
    ) -> Option<Key> {
        let Failure::Refused(text) = failure else {
            return None;
        };
        let greets = matches!(phase, ServerPhase::Greeting { .. });
        let conn = &self.servers[key];
        if !greets || !text.starts_with(NO_ROOM) || conn.tenure.successor().is_some() {
            return None;
        }
        let known = &self.pools[conn.pool.index()].servers[conn.server.index()];
        let others = known.conns.open().filter(|(place, other)| {
            let is_shared = matches!(place.lane, Lane::Shared(_));
            is_shared && place.kind == conn.kind && *other != key
        });
        let usable = others.map(|(_, other)| other).filter(|other| {
            let other = &self.servers[*other];
            !other.is_down()
                && !other.tenure.is_leaving()
                && other.life.phase() != ServerPhase::Closed
        });
        usable.max_by_key(|other| self.servers[*other].life.phase() == ServerPhase::Ready)
    }

    /// Does without a connection whose attempt has failed: its requests go by another.
    pub(in crate::proxy) fn do_without(&mut self, key: Key, other: Key, now: Time) {
        let Some(place) = self.vacate(key) else {
            return;
        };
        let conn = &mut self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        conn.incoming.forget();
        let requests = conn.requests.take_unsent(conn.counters(&self.stats));
        let again = now + self.pools[pool.index()].config.failure.retry_timeout;
        let known = &mut self.pools[pool.index()].servers[server.index()];
        known.conns.remove(place);
        if known.room_again.replace(again).is_none() {
            self.log_no_room(pool, server);
        }
        self.places_changed(pool);
        self.look_again(other, again);
        let known = &self.pools[pool.index()].servers[server.index()];
        let first = Place {
            lane: Lane::Shared(0),
            ..place
        };
        let place = known.conns.place_of(other).unwrap_or(first);
        self.give_requests((pool, server, place), requests, now);
    }

    /// Uses as many connections to a server as it may have, if it is time to try that again.
    pub(in crate::proxy) fn look_for_room(&mut self, key: Key, now: Time) {
        let conn = &self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        let known = &mut self.pools[pool.index()].servers[server.index()];
        match known.room_again {
            None => {}
            Some(again) if again > now => self.look_again(key, again),
            Some(_) => {
                known.room_again = None;
                known.conns.restore();
                self.places_changed(pool);
            }
        }
    }

    fn log_no_room(&self, pool: PoolIdx, server: ServerIdx) {
        let pool = &self.pools[pool.index()];
        let (pool, server) = (&pool.config.name, &pool.servers[server.index()].name);
        tracing::warn!(%pool, %server, "server has no room for more connections: it gets fewer");
    }

    /// Clients have other connections than before: none of them uses one before what it has asked on
    /// another is answered.
    fn places_changed(&mut self, pool: PoolIdx) {
        self.stop_late_writers(pool);
        for key in self.clients_of(pool) {
            self.clients.slab[key].raise_order_barrier();
        }
    }
}
