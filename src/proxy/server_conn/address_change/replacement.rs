//! A server connection is succeeded by another although it worked: its server is elsewhere, is
//! greeted otherwise, or has fewer connections than before.
//!
//! ```text
//!   sent, awaiting replies ──► stays, and is answered where it was sent
//!   not sent, by a client that has sent nothing there ──► goes on at once ──┐
//!   not sent, by one that has ──► goes on when the rest is answered ────────┴─► the successor
//! ```
//!
//! Owns: that no request is lost by it, and that none of a client's overtakes another. Unlike
//! `stale`, nobody waits for others' replies: where the server was it may have gone silent. Never:
//! decides why.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Outcome;
use crate::proxy::pool::conns::Lane;
use crate::proxy::pool::conns::Place;
use crate::proxy::pool::replica::Target;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::Requests;

impl Proxy {
    /// Replaces every connection to a server; those that have something to do at once.
    pub(in crate::proxy) fn renew_conns(&mut self, pool: PoolIdx, server: ServerIdx, now: Time) {
        self.close_all_free(pool, server);
        let conns = &self.pools[pool.index()].servers[server.index()].conns;
        for (place, key) in conns.open().collect::<Vec<_>>() {
            self.succeed(key, place, now);
        }
    }

    /// Lets clients share so many connections of each kind to a server.
    pub(in crate::proxy) fn set_shared(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        shared: usize,
        now: Time,
    ) {
        let conns = &self.pools[pool.index()].servers[server.index()].conns;
        for (place, key) in conns.open().collect::<Vec<_>>() {
            if matches!(place.lane, Lane::Shared(nth) if nth >= shared) {
                let lane = Lane::Shared(0);
                self.succeed(key, Place { lane, ..place }, now);
            }
        }
        let known = &mut self.pools[pool.index()].servers[server.index()];
        known.conns.set_shared(shared);
    }

    /// Takes a connection out of its server's places; what it is not to do any more is done by the
    /// one that has `place`.
    fn succeed(&mut self, key: Key, place: Place, now: Time) {
        self.vacate(key);
        let conn = &mut self.servers[key];
        let (pool, server, phase) = (conn.pool, conn.server, conn.life.phase());
        let busy = conn.requests.awaits_replies() || !conn.sending.is_idle();
        if phase == ServerPhase::Ready && busy {
            conn.tenure.succeed(place);
            let gauges = conn.counters(&self.stats);
            let requests = conn.requests.take_unbound(&mut self.wire.spare, gauges);
            self.give_requests((pool, server, place), requests, now);
            return;
        }
        self.close(key);
        self.give_rest(key, place, now);
    }

    /// Gives what is left on a connection that has ended to the one that has `place`.
    pub(in crate::proxy) fn give_rest(&mut self, key: Key, place: Place, now: Time) {
        let conn = &mut self.servers[key];
        debug_assert!(
            !conn.requests.awaits_replies(),
            "what was sent is settled before"
        );
        let requests = conn.requests.take_unsent(conn.counters(&self.stats));
        let (pool, server) = (conn.pool, conn.server);
        self.give_requests((pool, server, place), requests, now);
    }

    /// Puts requests behind those of the connection in a server's place, opened if need be. Each
    /// client has all its requests for the server among those that were there, or among these.
    pub(in crate::proxy) fn give_requests(
        &mut self,
        (pool, server, place): (PoolIdx, ServerIdx, Place),
        requests: Requests,
        now: Time,
    ) {
        if requests.is_empty() {
            return;
        }
        let conns = &self.pools[pool.index()].servers[server.index()].conns;
        let place = conns.nearest(place);
        let key = match conns.get(place) {
            Key::NONE => self.open(pool, (server, Target::Master), place, now),
            key => key,
        };
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        conn.requests.append(requests, &mut self.wire.spare, gauges);
        conn.asked = true;
        self.refuse_newer(key);
        let conn = &mut self.servers[key];
        if conn.life.phase() == ServerPhase::Ready {
            if conn.has_bytes() {
                conn.sending.list(ConnId::Server(key), &mut self.wire);
            }
        } else if conn.is_down() {
            let config = &self.pools[pool.index()].config;
            if config.failure.policy == OnServerFailure::Hold {
                self.refuse_excess(key);
            } else {
                let count = self.servers[key].requests.len();
                let cause = self.cause_of(key).clone();
                self.fail_unsent(key, count, Answer::Server(&cause, Outcome::NotDone));
            }
        }
        // They may be older than what is before them: those are looked at when it is their turn.
        self.time_first(key);
    }
}
