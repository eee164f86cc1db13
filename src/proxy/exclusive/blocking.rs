//! Requests that wait on their server until something happens there (`BLPOP`).
//!
//! | what happens | what its client gets |
//! |---|---|
//! | the server answers | that |
//! | its time and the pool's `timeout` are over | an error; the outcome of a write is unknown |
//! | it goes | the connection ends at once: nothing is popped for who is not there |
//! | the connection breaks, the server is replaced or refuses because it is no master any more | with `ask_again_when_lost` it is asked once more, with the time that is left; an error else |
//! | the server is not used any more, the process drains | it is let finish for a while, then `-UNBLOCKED` |
//!
//! Asked once more is only what has no part of its reply. Owns: this table. Never: lets a request wait
//! on a connection that clients share.

use std::time::Duration;

use crate::base::Chunk;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::protocol::ErrorClass;
use crate::protocol::Request;
use crate::protocol::command::Args;
use crate::protocol::command::TimeoutAt;
use crate::proxy::Proxy;
use crate::proxy::client::Due;
use crate::proxy::client::Phase;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::exclusive::lease::Blocked;
use crate::proxy::exclusive::lease::Lease;
use crate::proxy::exclusive::lease::LeaseState;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Ask;
use crate::proxy::pubsub::subscriptions::Subscriptions;
use crate::proxy::server_conn::deadlines::timed_out;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::reconnect;

/// A longer request is not kept to be asked again.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// A connection that has held so long was well: what ends it is another trouble.
const HELD_WELL: Duration = Duration::from_secs(1);

/// Who waits is let finish for so long where it has to end.
const FINISHES_WITHIN: Duration = Duration::from_secs(5);

/// Behind its client's end a request that has just been sent may be answered: a shell's pipe ends at
/// once. One that waits longer waits for nobody.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

impl Proxy {
    /// Asks a server for something that waits there: whether that is done. If not, the request is to
    /// be put back: it has to wait itself.
    pub(in crate::proxy) fn ask_to_wait<C: Chunk>(
        &mut self,
        key: Key,
        (server, ask, at): (ServerIdx, Ask, TimeoutAt),
        (request, chunk): (&Request<'_>, Option<(&C, usize)>),
        now: Time,
    ) -> Result<bool, RequestError> {
        let pool = &self.pools[self.clients.slab[key].pool.index()];
        if ask.writes() && pool.fenced {
            return Err(RequestError::Fenced);
        }
        if !self.leases_for(key, server, now)? {
            return Ok(false);
        }
        let lease = self.clients.slab[key].lease.as_deref();
        let Some(conn) = lease.and_then(Lease::conn) else {
            return Ok(false);
        };
        let client = &mut self.clients.slab[key];
        let server_conn = &mut self.servers[conn];
        request.write_to(server_conn.requests.writer(), chunk, &mut self.wire.spare);
        let awaiter = client.expect(Due::One);
        let stats = server_conn.counters(&self.stats);
        let bytes = server_conn.requests.push(awaiter, ask.terms, now, stats);
        client.replies.request_sent(bytes);
        stats.requests.add(1);
        stats.request_bytes.add(bytes);
        if server_conn.is_open() {
            server_conn
                .sending
                .list(crate::proxy::effects::ConnId::Server(conn), &mut self.wire);
        }
        let may_ask_again = self.pools[client.pool.index()].config.failure.ask_again;
        let words = match may_ask_again && bytes <= KEPT_BYTES_MAX {
            true => (0..request.len())
                .map(|index| request.arg(index).to_vec())
                .collect(),
            false => Vec::new(),
        };
        let blocked = Blocked::new(words, (at, at.of(request)), now);
        client.pauses.add(PauseReason::Exclusive);
        client.lease = Some(Box::new(Lease {
            server,
            state: LeaseState::Blocked(conn, Box::new(blocked)),
        }));
        self.blocked_due(conn, key, now);
        Ok(true)
    }

    /// Whether a client has a connection of its own to a server on which nothing is asked. If not, its
    /// request is to be put back.
    pub(in crate::proxy) fn leases_for(
        &mut self,
        key: Key,
        server: ServerIdx,
        now: Time,
    ) -> Result<bool, RequestError> {
        let client = &mut self.clients.slab[key];
        let pool = &self.pools[client.pool.index()];
        if pool.config.connections.exclusive == 0 {
            return Err(RequestError::NoExclusive);
        }
        if client.replies.in_flight() > 0 {
            client.raise_order_barrier();
            return Ok(false);
        }
        let is_elsewhere = |lease: &Lease| lease.is_unused() && lease.server != server;
        if client.lease.as_deref().is_some_and(is_elsewhere) {
            self.end_lease(key);
        }
        if self.clients.slab[key].lease.is_none() {
            self.lease(key, server, now);
        }
        let lease = self.clients.slab[key].lease.as_deref();
        match lease.map(|lease| &lease.state) {
            Some(LeaseState::Granted(_)) => Ok(true),
            Some(LeaseState::Refused) => {
                self.end_lease(key);
                Err(RequestError::NoExclusive)
            }
            Some(LeaseState::Watching { .. } | LeaseState::Lost) => {
                Err(RequestError::WaitsWhileWatching)
            }
            Some(LeaseState::Waits | LeaseState::Blocked(..)) | None => Ok(false),
        }
    }

    /// A request that waits has its reply: its client reads on, and its connection is free.
    pub(in crate::proxy) fn waited(&mut self, conn: Key, now: Time) {
        let Some(owner) = self.servers[conn].owner() else {
            return;
        };
        let client = self.clients.slab.find_mut(owner);
        if let Some(client) = client {
            if client.lease.as_deref().is_some_and(Lease::is_watching) {
                return self.watcher_heard(conn);
            }
            client.lease = None;
        }
        self.free(conn, now);
        self.let_go_on(owner, now);
    }

    /// Whether what a connection's owner has asked is to be asked again, since its server answers with
    /// an error of this class: why.
    pub(in crate::proxy) fn refuses_to_wait(
        &self,
        conn: Key,
        class: ErrorClass,
        text: String,
    ) -> Option<Failure> {
        let conn = &self.servers[conn];
        let pool = &self.pools[conn.pool.index()];
        let holds = pool.config.failure.policy == OnServerFailure::Hold;
        let is_over = class == ErrorClass::Unblocked;
        let is_not_yet = class.is_not_yet() || class.is_demoted();
        let again = pool.config.failure.ask_again && (is_over || holds && is_not_yet);
        let client = self.clients.slab.find(conn.owner()?)?;
        let blocked = client.lease.as_deref()?;
        (again && blocked.may_ask_again()).then_some(Failure::Refused(text))
    }

    /// The connection on which a client waits, or might have, is lost.
    pub(in crate::proxy) fn lost_by(
        &mut self,
        owner: Key,
        conn: Key,
        failure: &Failure,
        worked: bool,
        now: Time,
    ) {
        let lease = self
            .clients
            .slab
            .find(owner)
            .and_then(|client| client.lease.as_deref());
        if lease.is_some_and(Lease::is_watching) {
            return self.watch_lost(owner, conn, failure, now);
        }
        let asked = self.take_asked(conn);
        let Some(client) = self.clients.slab.find_mut(owner) else {
            return;
        };
        let Some((pending, sent, partial)) = asked else {
            client.lease = None;
            return self.let_go_on(owner, now);
        };
        if partial && self.cut_short(conn, pending.awaiter, failure, now) {
            self.clients.slab[owner].lease = None;
            return self.let_go_on(owner, now);
        }
        let again = match failure {
            // It would be refused again.
            Failure::KindRefused(_) => None,
            _ => self.asks_again(owner, conn, worked, partial, now),
        };
        if let Some(delay) = again {
            self.servers[conn].attempts.failed(failure);
            let next = self.replace(conn, owner, delay, now);
            if let Some(lease) = &mut self.clients.slab[owner].lease {
                if let LeaseState::Blocked(conn, _) = &mut lease.state {
                    *conn = next;
                }
            }
            self.ask_again(next, owner, &pending, now);
            return self.blocked_due(next, owner, now);
        }
        let ended = worked
            && !self.pools[self.servers[conn].pool.index()]
                .config
                .failure
                .ask_again;
        let answer = match (sent && pending.writes(), failure) {
            _ if ended && !partial => Answer::Request(RequestError::Unblocked),
            (true, _) => Answer::Server(failure, Outcome::Unknown),
            (false, _) => Answer::Server(failure, Outcome::NotDone),
        };
        self.end_blocked(conn, owner, &pending, answer, now);
    }

    /// When a request that has lost its connection is asked again, if it is.
    fn asks_again(
        &mut self,
        owner: Key,
        conn: Key,
        worked: bool,
        partial: bool,
        now: Time,
    ) -> Option<Duration> {
        let of_conn = &self.servers[conn];
        let pool = &self.pools[of_conn.pool.index()];
        let holds = pool.config.failure.policy == OnServerFailure::Hold;
        let removed = pool.servers[of_conn.server.index()].removed;
        let (hold_time, attempts) = (pool.hold_time, of_conn.attempts.count() + 1);
        let is_new = worked && of_conn.life.opened() + HELD_WELL <= now;
        let lease = self.clients.slab[owner].lease.as_deref_mut()?;
        let may = lease.may_ask_again() && pool.config.failure.ask_again;
        let blocked = lease.blocked()?;
        let first = is_new || blocked.lost.is_none();
        if first {
            blocked.lost = Some(now);
        }
        let lost = blocked.lost.unwrap_or(now);
        if partial || removed || !may || blocked.finish_by.is_some() {
            return None;
        }
        match (first && worked, holds) {
            (true, _) => Some(Duration::ZERO),
            (false, true) if now < lost + hold_time => {
                Some(reconnect::delay(attempts, &mut self.random).min(reconnect::ASKED))
            }
            _ => None,
        }
    }

    /// Puts a client's request into the queue of another connection of its own.
    fn ask_again(&mut self, conn: Key, owner: Key, pending: &Pending, now: Time) {
        let client = &mut self.clients.slab[owner];
        let protocol = self.pools[client.pool.index()].protocol;
        let lease = client.lease.as_deref_mut();
        let Some(words) = lease.and_then(Lease::blocked).and_then(|it| it.again(now)) else {
            return;
        };
        let mut frame = Vec::new();
        protocol.write_words(&words, &mut frame);
        let of_conn = &mut self.servers[conn];
        let gauges = of_conn.counters(&self.stats);
        of_conn
            .requests
            .writer()
            .push_copy(&frame, &mut self.wire.spare);
        let bytes = of_conn
            .requests
            .push(pending.awaiter, pending.terms(), now, gauges);
        client
            .replies
            .request_resized(pending.bytes as usize, bytes);
    }

    /// A connection can be used: what was asked before waits for what is left of its time.
    pub(in crate::proxy) fn ask_what_is_left(&mut self, conn: Key, owner: Key, now: Time) {
        let lease = self.clients.slab[owner].lease.as_deref_mut();
        let lost = lease.and_then(Lease::blocked).and_then(|it| it.lost);
        if lost.is_none() {
            return;
        }
        let of_conn = &mut self.servers[conn];
        let gauges = of_conn.counters(&self.stats);
        if let Some(pending) = of_conn.requests.drop_last(gauges) {
            self.ask_again(conn, owner, &pending, now);
        }
    }

    /// Ends what has waited for too long; sets the timer for the rest.
    pub(in crate::proxy) fn blocked_due(&mut self, conn: Key, owner: Key, now: Time) {
        let of_conn = &self.servers[conn];
        let pool = &self.pools[of_conn.pool.index()];
        let timeout = pool.config.timeouts.request;
        let is_ready = of_conn.is_open();
        let hold_time = pool.hold_time;
        let Some(client) = self.clients.slab.find_mut(owner) else {
            return;
        };
        let Some(blocked) = client.lease.as_deref_mut().and_then(Lease::blocked) else {
            return;
        };
        let (deadline, finish_by) = (blocked.deadline(timeout), blocked.finish_by);
        let held = blocked
            .lost
            .filter(|_| !is_ready)
            .map(|lost| lost + hold_time);
        let first = [deadline, finish_by, held].into_iter().flatten().min();
        let Some(first) = first else {
            return;
        };
        if first > now {
            return self.look_again(conn, first);
        }
        let Some((pending, sent, partial)) = self.take_asked(conn) else {
            return;
        };
        let is_over = finish_by.is_some_and(|by| by <= now);
        let cause = self.cause_of(conn).clone();
        let answer = match (is_over, held) {
            (true, _) => Answer::Request(RequestError::Unblocked),
            (false, Some(held)) if held <= now => Answer::Server(&cause, Outcome::Held),
            _ => timed_out(&pending, sent),
        };
        if !(partial && self.cut_short(conn, pending.awaiter, &Failure::TimedOut, now)) {
            self.answer_failed(conn, &pending, answer);
        }
        self.end_lease(owner);
        self.let_go_on(owner, now);
    }

    fn end_blocked(
        &mut self,
        conn: Key,
        owner: Key,
        pending: &Pending,
        answer: Answer<'_>,
        now: Time,
    ) {
        self.answer_failed(conn, pending, answer);
        if let Some(client) = self.clients.slab.find_mut(owner) {
            client.lease = None;
        }
        self.let_go_on(owner, now);
    }

    /// A client that waits has to end, or its server: it is let finish for a while.
    pub(in crate::proxy) fn finish_soon(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        let Some(lease) = client.lease.as_deref_mut() else {
            return;
        };
        match &mut lease.state {
            LeaseState::Blocked(conn, blocked) => {
                let by = *blocked.finish_by.get_or_insert(now + FINISHES_WITHIN);
                let conn = *conn;
                self.look_again(conn, by);
            }
            _ if client.life.is_open() => {}
            LeaseState::Watching { .. } => self.unwatch(key),
            _ => self.end_lease(key),
        }
    }

    /// A client that waits has closed its sending half: what it waits for ends, unless it has just been
    /// asked. Whether there was such a client.
    pub(in crate::proxy) fn waiter_has_ended(&mut self, key: Key, now: Time) -> bool {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return false;
        };
        let is_open = client.life.phase() == Phase::Open;
        if !is_open || !client.pauses.has(PauseReason::Exclusive) || !client.input.has_ended() {
            return false;
        }
        let lease = client.lease.as_deref_mut();
        let since = lease.and_then(Lease::blocked).map(|blocked| blocked.since);
        let asked = client.subscriptions.as_deref();
        let since = since.or(asked.and_then(Subscriptions::pending_since));
        match since.map(|since| since + ANSWERED_WITHIN) {
            Some(until) if until > now => self.time_client(key, until),
            _ => self.close_client(key),
        }
        true
    }
}
