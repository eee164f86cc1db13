//! Requests that a server has refused because it cannot serve them yet, and that are asked again.
//!
//! A new master refuses writes until replicas have connected to it (`-NOREPLICAS`, with
//! `min-replicas-to-write`), a server that has started until it has read its data (`-LOADING`), one
//! that is no master any more for good (`-READONLY`, `-MASTERDOWN`). What a server has refused was
//! not done: where requests wait for their server (`on_server_failure: hold`), these wait, too.
//!
//! ```text
//!   FIFO:  │ unsent … │ sent: C, B, A │ ──► A is refused ──► │ A, unsent … │ sent: C, B │
//! ```
//!
//! Owns: which refusals are not told, and the rest that a connection takes before it sends on. A
//! client's later request must not be done before an earlier one: if one of them is sent already,
//! the refusal is told. Never: takes back what a script answers, who may have done its work before
//! it said so; keeps a request for longer than `hold_ms` after it was first sent, or goes on for
//! longer on one connection: a server that refuses later means it.

use crate::base::Key;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::protocol::ErrorClass;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::server_conn::reconnect;

impl Proxy {
    /// Whether a request waits whose reply would be this error.
    pub(in crate::proxy) fn waits_though_refused(
        &mut self,
        key: Key,
        class: ErrorClass,
        now: Time,
    ) -> bool {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        // Whoever awaits a replica's reply can be answered elsewhere.
        if conn.replica.is_some() || pool.config.failure.policy != OnServerFailure::Hold {
            return false;
        }
        let Some(first) = conn.requests.next_sent().copied() else {
            return false;
        };
        let hold_time = pool.hold_time;
        let not_yet = class.is_not_yet();
        // Asked by `ROLE` it says so itself, and the next connection is to a master; or it does
        // not, and refuses as one that is not ready.
        let elsewhere = pool.follows_sentinels && class.is_demoted();
        let may_rest = match (not_yet, elsewhere) {
            (true, _) => now < conn.life.opened() + hold_time,
            (_, true) => conn.rests.are_younger(hold_time, now),
            _ => return false,
        };
        let refused = conn.requests.first_refused().unwrap_or(first.since());
        if !may_rest
            || now >= refused + hold_time
            || !self.clients.awaits(first.awaiter)
            || !conn.requests.may_ask_first_again()
            || conn.requests.held_bytes() > pool.config.failure.hold_bytes
        {
            return false;
        }
        let conn = &mut self.servers[key];
        let (spare, gauges) = (&mut self.wire.spare, conn.counters(&self.stats));
        if !conn.requests.requeue_first(refused, spare, gauges) {
            return false;
        }
        let (pool, server) = (conn.pool, conn.server);
        self.standing(pool, server).retried.add(1);
        self.rest(key, now);
        if elsewhere {
            self.ask_server(key, class, now);
        }
        true
    }

    /// Sends nothing more on a connection for a moment.
    fn rest(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        if conn.rests.is_resting() {
            return;
        }
        let nth = conn.rests.next();
        let rest = reconnect::delay(nth, &mut self.random).min(reconnect::ASKED);
        conn.rests.begin(now, rest);
        let (pool, first) = (&self.pools[conn.pool.index()], nth == 1);
        if first {
            let (pool, server) = (&pool.config.name, &pool.servers[conn.server.index()].name);
            tracing::info!(%pool, %server, "server does not serve yet: requests wait");
        }
        self.look_again(key, now + rest);
    }

    /// Sends on, if the rest is over.
    pub(in crate::proxy) fn end_rest(&mut self, key: Key, now: Time) {
        match self.servers[key].rests.until() {
            None => {}
            Some(until) if until > now => self.look_again(key, until),
            // What is sent now would be lost with the connection if the server is no master.
            Some(_) if self.servers[key].doubt.is_due() => {
                self.look_again(key, now + reconnect::ASKED);
            }
            Some(_) => {
                self.drop_abandoned(key, now);
                let conn = &mut self.servers[key];
                conn.rests.end();
                conn.sending.list(ConnId::Server(key), &mut self.wire);
                self.time_held(key, now);
            }
        }
    }
}
