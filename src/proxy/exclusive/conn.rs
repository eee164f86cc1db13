//! The life of a connection that one client has for itself.
//!
//! Owns: that there are no more of them to a server than its pool allows, that a client which waits
//! gets the next one, and what follows when one breaks or its client goes. Never: knows what is asked.

use std::time::Duration;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;
use crate::proxy::exclusive::lease::Lease;
use crate::proxy::exclusive::lease::LeaseState;
use crate::proxy::exclusive::stock::At;
use crate::proxy::exclusive::stock::Exclusive;
use crate::proxy::failure::Failure;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::Pending;

/// A free connection is kept so long: who waits in a loop takes it again.
const KEPT_FREE: Duration = Duration::from_secs(10);

impl Proxy {
    /// Gives a client a connection of its own to a server, or a place in the queue for one.
    pub(in crate::proxy) fn lease(&mut self, client: Key, server: ServerIdx, now: Time) {
        let pool = self.clients.slab[client].pool;
        let state = match self.allot((pool, server), client, now) {
            Some(conn) => LeaseState::Granted(conn),
            None => {
                self.stocks.wait((pool, server), client, now);
                self.clients.slab[client].pauses.add(PauseReason::Exclusive);
                LeaseState::Waits
            }
        };
        self.clients.slab[client].lease = Some(Box::new(Lease { server, state }));
        self.publish_stock((pool, server));
    }

    pub(in crate::proxy) fn allot(&mut self, at: At, client: Key, now: Time) -> Option<Key> {
        let (pool, server) = at;
        let of_pool = &self.pools[pool.index()];
        let kind = of_pool.kind_of(&self.clients.slab[client]);
        let most = of_pool.config.connections.exclusive as usize;
        let servers = &self.servers;
        if let Some(conn) = self.stocks.take_free(at, |key| servers[key].kind == kind) {
            if let Some(exclusive) = &mut self.servers[conn].exclusive {
                exclusive.owner = client;
            }
            return Some(conn);
        }
        if self.stocks.load(at).open >= most {
            // One of another kind has to make room.
            let other = self.stocks.take_free(at, |_| true)?;
            self.close_free(other);
        }
        let mut conn = ServerConn::new((pool, server), kind, now);
        conn.exclusive = Some(Box::new(Exclusive {
            owner: client,
            free_since: now,
            is_marked: false,
            feed: None,
        }));
        conn.asked = true;
        let key = self.servers.insert(conn);
        self.servers[key].key = key;
        self.stocks.opened(at, key);
        self.attempt(key, now);
        Some(key)
    }

    /// Another connection in place of one that has ended, for the same client: its attempt is made at
    /// once, or after `delay`.
    pub(in crate::proxy) fn replace(
        &mut self,
        ended: Key,
        client: Key,
        delay: Duration,
        now: Time,
    ) -> Key {
        let before = &self.servers[ended];
        let at = (before.pool, before.server);
        let mut conn = ServerConn::new(at, before.kind, now);
        conn.attempts = before.attempts.clone();
        conn.exclusive = Some(Box::new(Exclusive {
            owner: client,
            free_since: now,
            is_marked: false,
            feed: None,
        }));
        conn.asked = true;
        let key = self.servers.insert(conn);
        self.servers[key].key = key;
        // One that is shared is its owner's to put where it belongs.
        if client != Key::NONE {
            self.stocks.opened(at, key);
        }
        if delay.is_zero() {
            self.attempt(key, now);
        } else {
            let retry_at = now + delay;
            self.servers[key].life.set_phase(ServerPhase::Down {
                since: now,
                retry_at,
            });
            self.look_again(key, retry_at);
        }
        key
    }

    /// Nobody holds a connection any more that owes no reply.
    pub(in crate::proxy) fn free(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        let at = (conn.pool, conn.server);
        let known = &self.pools[conn.pool.index()].servers[conn.server.index()];
        let address = conn.address.as_ref();
        let is_current = address.is_some_and(|address| known.addresses.contains(address));
        let is_marked = conn.exclusive.as_ref().is_some_and(|it| it.is_marked);
        let is_clean =
            conn.life.phase() == ServerPhase::Ready && conn.requests.is_empty() && !is_marked;
        if let Some(exclusive) = &mut conn.exclusive {
            (exclusive.owner, exclusive.free_since) = (Key::NONE, now);
        }
        let most = self.pools[at.0.index()].config.connections.exclusive as usize;
        let has_place = self.stocks.load(at).open <= most;
        if is_current && is_clean && has_place && !known.removed {
            self.stocks.freed(at, key);
            self.look_again(key, now + KEPT_FREE);
        } else {
            self.close_free(key);
        }
        self.serve_waiting(at, now);
        self.publish_stock(at);
    }

    /// Closes a connection that nobody holds.
    fn close_free(&mut self, key: Key) {
        let conn = &self.servers[key];
        let at = (conn.pool, conn.server);
        self.close(key);
        self.stocks.closed(at, key);
        self.publish_stock(at);
    }

    /// Closes those that nobody holds: they are of a kind, or lead to an address, of before.
    pub(in crate::proxy) fn close_all_free(&mut self, pool: PoolIdx, server: ServerIdx) {
        for key in self.stocks.free((pool, server)) {
            self.close_free(key);
        }
    }

    /// Gives those who wait what has become free.
    fn serve_waiting(&mut self, at: At, now: Time) {
        while self.stocks.load(at).waiting > 0 {
            let most = self.pools[at.0.index()].config.connections.exclusive as usize;
            let load = self.stocks.load(at);
            if load.held >= most {
                return;
            }
            let Some(client) = self.stocks.next_waiting(at) else {
                return;
            };
            if let Some(conn) = self.allot(at, client, now) {
                self.set_lease(client, LeaseState::Granted(conn));
                self.let_go_on(client, now);
            }
        }
    }

    /// The same where connections were closed. To be called when there is time.
    pub(in crate::proxy) fn serve_all_waiting(&mut self, now: Time) {
        for at in std::mem::take(&mut self.stocks.has_room) {
            self.serve_waiting(at, now);
            self.publish_stock(at);
        }
    }

    /// Those who have waited for a connection as long as they may get an error.
    pub(in crate::proxy) fn expire_waiting(&mut self, now: Time) {
        let late = |(at, since): (At, Time)| {
            let timeout = self.pools[at.0.index()].config.timeouts.request?;
            (since + timeout <= now).then_some(at)
        };
        let late: Vec<At> = self.stocks.first_waiting().filter_map(late).collect();
        for at in late {
            if let Some(client) = self.stocks.next_waiting(at) {
                self.standing(at.0, at.1).exclusive_refused.add(1);
                self.set_lease(client, LeaseState::Refused);
                self.let_go_on(client, now);
            }
            self.publish_stock(at);
        }
    }

    /// When the first of them has.
    #[inline]
    pub(in crate::proxy) fn next_waiting_timeout(&self) -> Option<Time> {
        match self.stocks.has_waiting() {
            true => self.first_waiting_timeout(),
            false => None,
        }
    }

    fn first_waiting_timeout(&self) -> Option<Time> {
        let due = self
            .stocks
            .first_waiting()
            .filter_map(|((pool, _), since)| {
                let timeout = self.pools[pool.index()].config.timeouts.request?;
                Some(since + timeout)
            });
        due.min()
    }

    fn set_lease(&mut self, client: Key, state: LeaseState) {
        if let Some(lease) = &mut self.clients.slab[client].lease {
            lease.state = state;
        }
    }

    /// A client reads on, which has waited for a connection, or for a reply on it.
    pub(in crate::proxy) fn let_go_on(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(key) else {
            return;
        };
        if !client.pauses.has(PauseReason::Exclusive) {
            return;
        }
        if client.input.has_unparsed() && client.pauses.stop() {
            self.wire.put(Output::Pause(ConnId::Client(key)));
        }
        let client = &mut self.clients.slab[key];
        client.pauses.remove(PauseReason::Exclusive);
        if client.input.has_ended() && !client.input.has_unparsed() && client.life.is_open() {
            self.end_client(key, false, now);
        }
        self.clients.update_pause(key, &mut self.wire);
    }

    /// A client needs its connection no longer, or has gone: what it has asked there and is not
    /// answered ends with the connection, at once.
    pub(in crate::proxy) fn end_lease(&mut self, client: Key) {
        let Some(of_client) = self.clients.slab.find_mut(client) else {
            return;
        };
        let Some(lease) = of_client.lease.take() else {
            return;
        };
        let at = (of_client.pool, lease.server);
        match lease.conn() {
            None => self.stocks.wait_no_more(at, client),
            Some(conn) => {
                let conn_of = &mut self.servers[conn];
                let gauges = conn_of.counters(&self.stats);
                drop(conn_of.requests.take_sent(gauges));
                drop(conn_of.requests.take_unsent(gauges));
                conn_of.incoming.forget();
                if let Some(exclusive) = &mut conn_of.exclusive {
                    exclusive.owner = Key::NONE;
                }
                self.close_free(conn);
            }
        }
        self.publish_stock(at);
    }

    /// A client that is to go to another process waits for no connection here; what it waits for on one
    /// is let finish.
    pub(in crate::proxy) fn leave_exclusive(&mut self, key: Key, now: Time) {
        self.leave_watch(key);
        let client = &mut self.clients.slab[key];
        let waits = client.pauses.has(PauseReason::Exclusive);
        let is_asked = client.replies.in_flight() > 0 || self.awaits_confirmation(key);
        if !waits || is_asked {
            return self.finish_soon(key, now);
        }
        self.clients.slab[key].pauses.remove(PauseReason::Exclusive);
        self.end_lease(key);
    }

    /// Looks at the deadlines of a connection that is a client's own.
    pub(in crate::proxy) fn exclusive_due(&mut self, key: Key, now: Time) {
        let conn = &self.servers[key];
        if conn.is_feed() {
            return self.feed_due(key, now);
        }
        let owner = conn.owner();
        let free_until = conn.exclusive.as_ref().map(|it| it.free_since + KEPT_FREE);
        match (conn.life.phase(), owner) {
            (ServerPhase::Closed, _) => {}
            (_, None) => match free_until {
                Some(until) if until > now => self.look_again(key, until),
                _ => self.close_free(key),
            },
            (ServerPhase::Down { retry_at, .. }, Some(owner)) => {
                match retry_at <= now {
                    true => self.attempt(key, now),
                    false => self.look_again(key, retry_at),
                }
                self.blocked_due(key, owner, now);
            }
            (ServerPhase::Ready, Some(owner)) => {
                self.blocked_due(key, owner, now);
                self.watcher_due(key, owner, now);
            }
            (_, Some(owner)) => {
                let due = conn.incoming.last_heard() + self.connect_within(key);
                if due <= now {
                    return self.fail_exclusive(key, &Failure::TimedOut, now);
                }
                self.look_again(key, due);
                self.blocked_due(key, owner, now);
            }
        }
    }

    /// A request of a client that watches has to be answered in time, as any other.
    fn watcher_due(&mut self, key: Key, owner: Key, now: Time) {
        let client = self.clients.slab.find(owner);
        let lease = client.and_then(|client| client.lease.as_deref());
        if !lease.is_some_and(Lease::is_watching) {
            return;
        }
        let conn = &self.servers[key];
        let timeout = self.pools[conn.pool.index()].config.timeouts.request;
        match conn.requests.oldest_since().zip(timeout) {
            Some((since, timeout)) if since + timeout <= now => {
                self.fail_exclusive(key, &Failure::TimedOut, now);
            }
            Some((since, timeout)) => self.look_again(key, since + timeout),
            None => {}
        }
    }

    /// Requests flow on a connection that is a client's own.
    pub(in crate::proxy) fn exclusive_ready(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        conn.life.set_phase(ServerPhase::Ready);
        conn.incoming.heard(now);
        conn.attempts.worked();
        if conn.is_feed() {
            return self.feed_ready(key, now);
        }
        if let Some(owner) = self.servers[key].owner() {
            self.ask_what_is_left(key, owner, now);
        }
        let conn = &mut self.servers[key];
        if conn.has_bytes() {
            conn.sending.list(ConnId::Server(key), &mut self.wire);
        }
    }

    /// A connection that was a client's own, or was free, has ended.
    pub(in crate::proxy) fn fail_exclusive(&mut self, key: Key, failure: &Failure, now: Time) {
        let Some(phase) = self.close(key) else {
            return;
        };
        let conn = &mut self.servers[key];
        let owner = conn.owner();
        let mut feed = None;
        if let Some(exclusive) = &mut conn.exclusive {
            exclusive.owner = Key::NONE;
            feed = exclusive.feed.take();
        }
        let (at, since) = ((conn.pool, conn.server), conn.life.opened());
        self.stocks.closed(at, key);
        if owner.is_some() || feed.is_some() {
            self.log_exclusive(key, failure);
            // A server that is elsewhere, or not used any more, has not failed; nor has one that refuses
            // what its client has asked for.
            // Nor has one that closes where it owes nothing: it may do so to who takes its messages slowly.
            let owes_nothing = feed.as_ref().is_some_and(|feed| !feed.awaits());
            let well = match failure {
                Failure::Moved | Failure::Removed | Failure::KindRefused(_) => true,
                Failure::ClosedByServer => owes_nothing && phase == ServerPhase::Ready,
                _ => false,
            };
            if !well {
                self.count_failure(key, failure);
                self.pools[at.0.index()].servers[at.1.index()].suspect = true;
                self.report_failure(at.0, at.1, since, now);
            }
            let worked = phase == ServerPhase::Ready;
            match (feed, owner) {
                (Some(feed), _) => {
                    self.feed_lost((key, feed), owner, (failure, worked), now);
                }
                (None, Some(owner)) => self.lost_by(owner, key, failure, worked, now),
                (None, None) => {}
            }
        }
        self.publish_stock(at);
    }

    /// Takes the one request out of a connection that has ended: whether it was sent, and whether a
    /// part of its reply has come.
    pub(in crate::proxy) fn take_asked(&mut self, key: Key) -> Option<(Pending, bool, bool)> {
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        let partial = conn.incoming.take_assembly().is_some();
        let sent = conn.requests.take_sent(gauges);
        if let Some(pending) = sent.pendings.first() {
            return Some((*pending, true, partial || sent.half_given));
        }
        let unsent = conn.requests.take_unsent(gauges);
        let first = unsent.each().next();
        first.map(|(pending, _)| (pending, false, false))
    }

    fn log_exclusive(&self, key: Key, failure: &Failure) {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let (pool, server) = (&pool.config.name, &pool.servers[conn.server.index()].name);
        tracing::debug!(%pool, %server, %failure, "exclusive server connection failed");
    }

    /// The server's name has addresses now, or none is found.
    pub(in crate::proxy) fn exclusives_resolved(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        now: Time,
    ) {
        for key in self.stocks.conns((pool, server)) {
            if self.servers[key].life.phase() != ServerPhase::Resolving {
                continue;
            }
            let known = &self.pools[pool.index()].servers[server.index()];
            match known.addresses.is_empty() {
                true => self.fail_exclusive(key, &Failure::Unresolved, now),
                false => self.attempt(key, now),
            }
        }
    }

    /// A server that had failed answers: who waits to connect to it waits no longer.
    pub(in crate::proxy) fn exclusives_reachable(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        now: Time,
    ) {
        for key in self.stocks.conns((pool, server)) {
            if matches!(self.servers[key].life.phase(), ServerPhase::Down { .. }) {
                self.attempt(key, now);
            }
        }
    }

    /// The server is elsewhere from now on.
    pub(in crate::proxy) fn exclusives_moved(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        now: Time,
    ) {
        self.close_all_free(pool, server);
        for key in self.stocks.conns((pool, server)) {
            self.fail_exclusive(key, &Failure::Moved, now);
        }
    }

    /// No key lives on a server any more: who has something to wait for there is let finish.
    pub(in crate::proxy) fn retire_exclusives(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        now: Time,
    ) {
        self.close_all_free(pool, server);
        for key in self.stocks.conns((pool, server)) {
            // Who listens there is told nothing: where its channels live has been seen to.
            let is_feed = self.servers[key].is_feed();
            if let Some(owner) = self.servers[key].owner().filter(|_| !is_feed) {
                self.finish_soon(owner, now);
            }
        }
    }

    /// What was held back by a write hold goes out.
    pub(in crate::proxy) fn send_exclusives(&mut self, pool: PoolIdx, server: ServerIdx) {
        for key in self.stocks.conns((pool, server)) {
            let conn = &mut self.servers[key];
            if conn.has_bytes() {
                conn.sending.list(ConnId::Server(key), &mut self.wire);
            }
        }
    }

    pub(in crate::proxy) fn publish_stock(&self, at: At) {
        let (load, standing) = (self.stocks.load(at), self.standing(at.0, at.1));
        standing.exclusive_connections.set(load.open as u64);
        standing.exclusive_held.set(load.held as u64);
        standing.exclusive_waiting.set(load.waiting as u64);
    }
}
