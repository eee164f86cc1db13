//! A server connection's deadlines: of connecting, of each request, of silence, of the next
//! attempt.
//!
//! Owns: what happens when one has passed. The timer has one entry a connection that counts; what
//! comes up looks at all of them.

use std::time::Duration;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::Expired;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::RequestQueue;
use crate::proxy::timers::Timers;

/// A server connection that is silent for so many times the pool's `timeout` is given up.
const SILENCE_TIMEOUTS: u32 = 3;

impl ServerConn {
    /// Its deadlines are looked at when `due`, if not before.
    #[inline]
    pub(in crate::proxy) fn look_again(&mut self, due: Time, timers: &mut Timers) {
        if self.life.set_due(due) {
            timers.set(due, ConnId::Server(self.key));
        }
    }
}

impl Proxy {
    /// Looks at a server connection's deadlines at `due`, if not before.
    pub(in crate::proxy) fn look_again(&mut self, key: Key, due: Time) {
        self.servers[key].look_again(due, &mut self.timers);
    }

    /// How long the oldest request of a connection may wait: for its reply, or for a connection
    /// where requests are held.
    fn patience(&self, key: Key) -> Option<Duration> {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let config = &pool.config;
        // A replica's requests wait for nothing: there are other ways.
        let held = config.failure.policy == OnServerFailure::Hold && conn.replica.is_none();
        if held && conn.life.phase() != ServerPhase::Ready {
            Some(pool.hold_time)
        } else {
            config.timeouts.request
        }
    }

    /// Sees that a request that has just been queued is timed.
    pub(in crate::proxy) fn time_request(&mut self, key: Key, now: Time) {
        if let Some(patience) = self.patience(key) {
            self.look_again(key, now + patience);
        }
    }

    /// Sees that the oldest request is timed that was handed on to a new connection.
    pub(in crate::proxy) fn time_first(&mut self, key: Key) {
        let oldest = self.servers[key].requests.oldest_since();
        if let (Some(since), Some(patience)) = (oldest, self.patience(key)) {
            self.look_again(key, since + patience);
        }
    }

    /// The Sentinels have said how long a failover takes: what is held already is held for so long.
    pub(in crate::proxy) fn hold_for(&mut self, pool: PoolIdx, needed: Duration) {
        self.pools[pool.index()].set_hold_needed(needed);
        let servers = 0..self.pools[pool.index()].servers.len();
        for (server, _) in (0..).map(ServerIdx).zip(servers) {
            for key in self.conns_of(pool, server) {
                self.time_first(key);
            }
        }
    }

    /// What was held has all of `timeout` from the moment that it can be sent.
    pub(in crate::proxy) fn time_held(&mut self, key: Key, now: Time) {
        let conn = &self.servers[key];
        let config = &self.pools[conn.pool.index()].config;
        if config.failure.policy == OnServerFailure::Hold && conn.replica.is_none() {
            let standing = self.standing(conn.pool, conn.server);
            standing.held.add(conn.requests.len());
        }
        self.time_anew(key, |requests| requests.time_from(now));
    }

    /// What is handed on is held from now on, and what was refused from when it first was.
    pub(in crate::proxy) fn time_handed_on(&mut self, key: Key, now: Time) {
        self.time_anew(key, |requests| requests.time_from_refusal(now));
    }

    fn time_anew(&mut self, key: Key, time: impl Fn(&mut RequestQueue)) {
        let conn = &mut self.servers[key];
        let config = &self.pools[conn.pool.index()].config;
        let holds = config.failure.policy == OnServerFailure::Hold && conn.replica.is_none();
        if holds && !conn.requests.is_empty() {
            time(&mut conn.requests);
            self.time_first(key);
        }
    }

    /// Looks at a server connection's deadlines, of which the nearest was thought to be `due`.
    pub(in crate::proxy) fn server_due(&mut self, key: Key, due: Time, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if !conn.life.take_due(due) {
            return;
        }
        if conn.replica.is_some() {
            return self.replica_due(key, now);
        }
        if conn.exclusive.is_some() {
            return self.exclusive_due(key, now);
        }
        let pool = conn.pool;
        match conn.life.phase() {
            ServerPhase::Closed => return,
            ServerPhase::Down { retry_at, .. } if retry_at <= now => {
                if conn.requests.is_empty() && self.is_unwanted(key) {
                    self.close_server_conn(key);
                    return;
                }
                self.attempt(key, now);
            }
            ServerPhase::Down { retry_at, .. } => self.look_again(key, retry_at),
            ServerPhase::Ready => {
                if self.close_if_unused(key, now) {
                    return;
                }
                self.look_for_room(key, now);
                self.end_rest(key, now);
            }
            _ => {
                let due =
                    conn.incoming.last_heard() + self.pools[pool.index()].config.timeouts.connect;
                if due <= now {
                    self.fail_server_conn(key, &Failure::TimedOut, now);
                    return;
                }
                self.look_again(key, due);
            }
        }
        let is_ready = self.servers[key].life.phase() == ServerPhase::Ready;
        let config = &self.pools[self.servers[key].pool.index()].config;
        if config.failure.policy == OnServerFailure::Hold && !is_ready {
            self.expire_held(key, now);
            if !self.servers[key].requests.is_empty() {
                self.time_first(key);
            }
        } else if let Some(timeout) = config.timeouts.request {
            // A request's time includes that of connecting.
            self.expire_standstill(key, timeout, now);
            self.expire_requests(key, timeout, now);
            self.time_next(key, timeout, now);
        }
        self.leave_if_settled(key, now);
    }

    /// Answers requests that have waited for a server as long as they may.
    pub(in crate::proxy) fn expire_held(&mut self, key: Key, now: Time) {
        let conn = &self.servers[key];
        let hold_time = self.pools[conn.pool.index()].hold_time;
        let expired = conn.requests.late(hold_time, now);
        if expired > 0 {
            let cause = self.cause_of(key).clone();
            self.fail_unsent(key, expired, Answer::Server(&cause, Outcome::Held));
        }
    }

    /// Answers requests that have waited too long, each for itself: a sent one leaves a tombstone
    /// that swallows its late reply, an unsent one is not sent any more.
    fn expire_requests(&mut self, key: Key, timeout: Duration, now: Time) {
        self.record_late(key, timeout, now);
        let conn = &mut self.servers[key];
        let (pool, server, gauges) = (conn.pool, conn.server, conn.counters(&self.stats));
        let Expired { sent, unsent } = conn.requests.expire(timeout, now, gauges);
        let Some(oldest) = sent.first().or(unsent.first()) else {
            return;
        };
        let since = oldest.since();
        if sent.iter().any(|sent| sent.awaiter == Awaiter::OURS) {
            conn.doubt.end();
        }
        gauges.server_timedout.add(sent.len() + unsent.len());
        for pending in &sent {
            self.bury(key, pending);
        }
        for (pendings, sent) in [(&sent, true), (&unsent, false)] {
            for pending in pendings {
                self.answer_failed(key, pending, timed_out(pending, sent));
            }
        }
        let conn = &self.servers[key];
        // Where the server was it may fail.
        if conn.tenure.successor().is_none() {
            self.pools[pool.index()].servers[server.index()].suspect = true;
            self.report_failure(pool, server, since, now);
        } else if conn.requests.owes_nobody() {
            // Nobody awaits anything here, and some may wait for its end.
            self.fail_server_conn(key, &Failure::TimedOut, now);
        }
    }

    /// Gives up a connection that has been silent for too long; sets the timer for the rest.
    fn time_next(&mut self, key: Key, timeout: Duration, now: Time) {
        let conn = &mut self.servers[key];
        let Some(oldest) = conn.requests.oldest_since() else {
            return;
        };
        let silent_until = conn.incoming.last_heard().max(oldest) + timeout * SILENCE_TIMEOUTS;
        if conn.requests.awaits_replies() && silent_until <= now {
            self.fail_server_conn(key, &Failure::TimedOut, now);
            return;
        }
        let next = conn.requests.next_timed().map(|since| since + timeout);
        let standstill = conn.requests.is_streaming();
        let standstill = standstill.then(|| conn.incoming.last_heard() + timeout);
        let due = [next, standstill].into_iter().flatten().min();
        self.look_again(key, due.map_or(silent_until, |due| due.min(silent_until)));
    }
}

/// What a request is told whose time is over: one that was `sent` and changes something may be done
/// all the same, or later.
pub(in crate::proxy) fn timed_out(pending: &Pending, sent: bool) -> Answer<'static> {
    match sent && pending.writes() {
        true => Answer::Server(&Failure::TimedOut, Outcome::Unknown),
        false => Answer::Request(RequestError::TimedOut),
    }
}
