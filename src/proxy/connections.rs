//! Server connections: opened when first needed, greeted, timed, and given up.
//!
//! Owns: the life of a server connection, and what becomes of its requests when it ends.

use std::time::Duration;

use bytes::Bytes;

use crate::base::Batch;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::client::Reply;
use crate::proxy::failure::Failure;
use crate::proxy::failure::RequestError;
use crate::proxy::output::ConnId;
use crate::proxy::output::Output;
use crate::proxy::output::Report;
use crate::proxy::output::SocketAddress;
use crate::proxy::server::Pending;
use crate::proxy::server::ServerConn;
use crate::proxy::server::ServerPhase;
use crate::stats::ServerCounters;

/// A server connection that is silent for so many times the pool's `timeout` is given up.
const SILENCE_TIMEOUTS: u32 = 3;

/// What ends a connection before it was ready counts as never sent.
fn was_connecting(phase: ServerPhase) -> bool {
    !matches!(phase, ServerPhase::Ready | ServerPhase::Closed)
}

impl Proxy {
    pub(super) fn preconnect(&mut self, pool: PoolIdx, now: Time) {
        let servers = self.pools[pool.index()].servers.len();
        for (server, _) in (0u16..).zip(0..servers) {
            for place in 0..self.pools[pool.index()].servers[usize::from(server)]
                .conns
                .len()
            {
                self.open(pool, ServerIdx(server), place, now);
            }
        }
    }

    /// The client's own connection to a server, opened if need be. Always the same one, so that a
    /// client's requests never overtake each other.
    #[inline]
    pub(super) fn server_conn(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        client: Key,
        now: Time,
    ) -> Key {
        let conns = &self.pools[pool.index()].servers[server.index()].conns;
        let place = match conns.len() {
            1 => 0,
            several => client.index as usize % several,
        };
        match conns[place] {
            Key::NONE => self.open(pool, server, place, now),
            key => key,
        }
    }

    fn open(&mut self, pool: PoolIdx, server: ServerIdx, place: usize, now: Time) -> Key {
        let key = self.servers.insert(ServerConn::new(pool, server, now));
        self.servers[key].key = key;
        self.pools[pool.index()].servers[server.index()].conns[place] = key;
        self.stats.total_connections.add(1);
        self.stats.curr_connections.add(1);
        self.server_stats(pool, server).server_connections.add(1);
        let connect_timeout = self.pools[pool.index()].config.connect_timeout;
        self.look_again(key, now + connect_timeout);
        if self.pools[pool.index()].servers[server.index()]
            .addresses
            .is_empty()
        {
            self.wire.put(Output::Resolve { pool, server });
        } else {
            self.connect(key);
        }
        key
    }

    fn connect(&mut self, key: Key) {
        let conn = &mut self.servers[key];
        let server = &self.pools[conn.pool.index()].servers[conn.server.index()];
        let address = server.addresses[conn.attempt % server.addresses.len()].clone();
        conn.phase = ServerPhase::Connecting;
        self.wire.put(Output::Connect {
            conn: ConnId::Server(key),
            address,
            keepalive: true,
        });
    }

    pub(super) fn server_resolved(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        addresses: &[SocketAddress],
        now: Time,
    ) {
        let known = &mut self.pools[pool.index()].servers[server.index()];
        // An answer without addresses is the resolver's trouble: the last known ones may serve.
        if !addresses.is_empty() && !known.moved {
            known.addresses = addresses.to_vec();
        }
        let waiting: Vec<Key> = known
            .conns
            .iter()
            .copied()
            .filter(|key| {
                self.servers
                    .find(*key)
                    .is_some_and(|c| c.phase == ServerPhase::Resolving)
            })
            .collect();
        for key in waiting {
            if self.pools[pool.index()].servers[server.index()]
                .addresses
                .is_empty()
            {
                self.fail_server_conn(key, &Failure::Unresolved, now);
            } else {
                self.connect(key);
            }
        }
    }

    pub(super) fn server_connected(&mut self, key: Key, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.phase != ServerPhase::Connecting {
            return;
        }
        conn.last_heard = now;
        let pool = &self.pools[conn.pool.index()];
        if pool.greeting_replies == 0 {
            self.server_ready(key, now);
            return;
        }
        conn.phase = ServerPhase::Greeting {
            left: pool.greeting_replies,
        };
        conn.greeting
            .push(Bytes::copy_from_slice(&pool.greeting), &mut self.wire.spare);
        conn.sending.list(ConnId::Server(key), &mut self.wire);
    }

    pub(super) fn server_ready(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        conn.phase = ServerPhase::Ready;
        conn.last_heard = now;
        if conn.has_bytes() {
            conn.sending.list(ConnId::Server(key), &mut self.wire);
        }
        let pool = &self.pools[conn.pool.index()];
        tracing::debug!(
            pool = %pool.config.name,
            server = %pool.servers[conn.server.index()].name,
            "server connected"
        );
        let (pool, server) = (conn.pool, conn.server);
        self.standing(pool, server).ready_connections.add(1);
    }

    /// Counts a request that was put into the FIFO, and sees that it is sent and timed.
    #[inline]
    pub(super) fn request_queued(&mut self, key: Key, bytes: usize, now: Time) {
        let conn = &mut self.servers[key];
        if conn.phase == ServerPhase::Ready {
            conn.sending.list(ConnId::Server(key), &mut self.wire);
        }
        let pool = &self.pools[conn.pool.index()];
        if let Some(timeout) = pool.config.timeout {
            let due = now + timeout;
            if conn.due.is_none_or(|earlier| due < earlier) {
                conn.due = Some(due);
                self.timers.set(due, ConnId::Server(key));
            }
        }
        let stats = &self.stats.pools[conn.pool.index()].servers[conn.server.index()];
        stats.requests.add(1);
        stats.request_bytes.add(bytes);
        stats.in_queue.add(1);
        stats.in_queue_bytes.add(bytes);
    }

    pub(super) fn take_server_batch(&mut self, key: Key) -> Option<Batch> {
        let conn = self.servers.find_mut(key)?;
        conn.sending.unlist();
        if !conn.sending.is_idle() || !conn.has_bytes() {
            return None;
        }
        if let ServerPhase::Greeting { .. } = conn.phase {
            let batch = conn.greeting.take();
            conn.sending.begin(&batch);
            return Some(batch);
        }
        let (requests, batch) = conn.take_requests();
        let bytes = conn.sending.bytes;
        let stats = &self.stats.pools[conn.pool.index()].servers[conn.server.index()];
        stats.in_queue.sub(requests);
        stats.in_queue_bytes.sub(bytes);
        stats.out_queue.add(requests);
        stats.out_queue_bytes.add(bytes);
        Some(batch)
    }

    pub(super) fn server_failed(&mut self, key: Key, errno: i32, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        let addresses = &self.pools[conn.pool.index()].servers[conn.server.index()].addresses;
        if conn.phase == ServerPhase::Connecting && conn.attempt + 1 < addresses.len() {
            conn.attempt += 1;
            self.connect(key);
            return;
        }
        self.fail_server_conn(key, &Failure::System(errno), now);
    }

    /// Ends a server connection. Requests that were not sent go to the next connection, unless
    /// this one was never ready; all others get an error.
    pub(super) fn fail_server_conn(&mut self, key: Key, failure: &Failure, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.phase == ServerPhase::Closed {
            return;
        }
        let phase = std::mem::replace(&mut conn.phase, ServerPhase::Closed);
        let (pool, server) = (conn.pool, conn.server);
        let idle = conn.fifo.is_empty();
        conn.assembly = None;
        conn.greeting = crate::base::ByteQueue::default();
        self.wire.put(Output::Close(ConnId::Server(key)));
        self.log_failure(pool, server, failure, idle);
        if phase == ServerPhase::Ready {
            self.standing(pool, server).ready_connections.sub(1);
        }
        let place = self.forget(key);
        self.fail_sent(key, failure);
        if was_connecting(phase) && *failure != Failure::Moved {
            self.fail_unsent(key, failure);
        } else if let Some(place) = place {
            self.send_again(key, place, now);
        }
        let stats = self.server_stats(pool, server);
        match failure {
            Failure::ClosedByServer => stats.server_eof.add(1),
            Failure::TimedOut => stats.server_timedout.add(1),
            _ => stats.server_err.add(1),
        }
        let server_of_pool = &mut self.pools[pool.index()].servers[server.index()];
        server_of_pool.suspect = true;
        if server_of_pool.has_name {
            self.wire.put(Output::Resolve { pool, server });
        }
        // A server that closes a connection on which nothing is asked has done nothing wrong, and
        // that one has been replaced is known to everybody.
        let is_news = match failure {
            Failure::ClosedByServer => !idle,
            Failure::Moved => false,
            _ => true,
        };
        if is_news {
            self.publish_failure(pool, server, now);
            self.wire
                .put(Output::Report(Report::ServerFailed { pool, server }));
        }
    }

    fn log_failure(&self, pool: PoolIdx, server: ServerIdx, failure: &Failure, idle: bool) {
        let pool = &self.pools[pool.index()];
        let (pool, server) = (&pool.config.name, &pool.servers[server.index()].name);
        match failure {
            Failure::Refused(_) => {
                tracing::error!(%pool, %server, %failure, "server refused AUTH or SELECT");
            }
            Failure::ClosedByServer if idle => {
                tracing::info!(%pool, %server, "server closed an idle connection");
            }
            Failure::Moved => {}
            failure => tracing::warn!(%pool, %server, %failure, "server connection failed"),
        }
    }

    /// Takes the connection out of its server's places: which one it had.
    fn forget(&mut self, key: Key) -> Option<usize> {
        let conn = &self.servers[key];
        let conns = &mut self.pools[conn.pool.index()].servers[conn.server.index()].conns;
        let place = conns.iter().position(|other| *other == key)?;
        conns[place] = Key::NONE;
        Some(place)
    }

    fn fail_sent(&mut self, key: Key, failure: &Failure) {
        let conn = &mut self.servers[key];
        let sent = conn.fifo.len() - conn.unsent;
        conn.tombstones = 0;
        let failed: Vec<Pending> = conn.fifo.drain(..sent).collect();
        let stats = &self.stats.pools[conn.pool.index()].servers[conn.server.index()];
        stats.out_queue.sub(sent);
        stats
            .out_queue_bytes
            .sub(failed.iter().map(|pending| pending.bytes as usize).sum());
        self.answer_all(key, &failed, &failure.reply());
    }

    fn fail_unsent(&mut self, key: Key, failure: &Failure) {
        let conn = &mut self.servers[key];
        let failed: Vec<Pending> = conn.fifo.drain(..).collect();
        conn.unsent = 0;
        conn.queue = crate::base::ByteQueue::default();
        let stats = &self.stats.pools[conn.pool.index()].servers[conn.server.index()];
        stats.in_queue.sub(failed.len());
        stats
            .in_queue_bytes
            .sub(failed.iter().map(|pending| pending.bytes as usize).sum());
        self.answer_all(key, &failed, &failure.reply());
    }

    /// What was not sent is not lost: it goes to a new connection.
    fn send_again(&mut self, key: Key, place: usize, now: Time) {
        let conn = &mut self.servers[key];
        if conn.unsent == 0 {
            return;
        }
        let (pool, server) = (conn.pool, conn.server);
        let fifo = std::mem::take(&mut conn.fifo);
        let queue = std::mem::take(&mut conn.queue);
        let unsent = std::mem::take(&mut conn.unsent);
        let oldest = fifo.front().map_or(now, |pending| pending.since);
        let key = self.open(pool, server, place, now);
        let next = &mut self.servers[key];
        (next.fifo, next.queue, next.unsent) = (fifo, queue, unsent);
        if let Some(timeout) = self.pools[pool.index()].config.timeout {
            self.look_again(key, oldest + timeout);
        }
    }

    fn answer_all(&mut self, key: Key, failed: &[Pending], reply: &[u8]) {
        let pool = self.servers[key].pool;
        for pending in failed {
            if pending.awaiter != Awaiter::NOBODY {
                self.stats.pools[pool.index()].counters.forward_error.add(1);
                let reply = Reply::<Bytes>::Own(reply);
                let bytes = pending.bytes as usize;
                self.clients
                    .deliver(pending.awaiter, reply, bytes, &mut self.wire);
            }
        }
    }

    /// Looks at a server connection's deadlines at `due`, if not before.
    fn look_again(&mut self, key: Key, due: Time) {
        let conn = &mut self.servers[key];
        if conn.due.is_none_or(|earlier| due < earlier) {
            conn.due = Some(due);
            self.timers.set(due, ConnId::Server(key));
        }
    }

    /// Looks at a server connection's deadlines, of which the nearest was thought to be `due`.
    pub(super) fn server_due(&mut self, key: Key, due: Time, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.due != Some(due) {
            return;
        }
        conn.due = None;
        let config = &self.pools[conn.pool.index()].config;
        let timeout = config.timeout;
        if was_connecting(conn.phase) {
            let due = conn.last_heard + config.connect_timeout;
            if due <= now {
                self.fail_server_conn(key, &Failure::TimedOut, now);
                return;
            }
            self.look_again(key, due);
        }
        // A request's time includes that of connecting.
        if let Some(timeout) = timeout {
            self.expire_requests(key, timeout, now);
            self.time_next(key, timeout, now);
        }
    }

    /// Answers requests that have waited too long, each for itself: a sent one leaves a tombstone
    /// that swallows its late reply, an unsent one is not sent any more.
    fn expire_requests(&mut self, key: Key, timeout: Duration, now: Time) {
        let conn = &mut self.servers[key];
        let expired: Vec<Pending> = conn
            .fifo
            .range(conn.tombstones..)
            .take_while(|pending| pending.since + timeout <= now)
            .copied()
            .collect();
        let sent = (conn.fifo.len() - conn.unsent - conn.tombstones).min(expired.len());
        for pending in conn.fifo.range_mut(conn.tombstones..conn.tombstones + sent) {
            pending.awaiter = Awaiter::NOBODY;
        }
        conn.tombstones += sent;
        let unsent_bytes = expired[sent..]
            .iter()
            .map(|pending| pending.bytes as usize)
            .sum();
        conn.queue.drop_front(unsent_bytes);
        conn.fifo
            .drain(conn.tombstones..conn.tombstones + expired.len() - sent);
        conn.unsent -= expired.len() - sent;
        let (pool, server) = (conn.pool, conn.server);
        let stats = &self.stats.pools[pool.index()].servers[server.index()];
        stats.in_queue.sub(expired.len() - sent);
        stats.in_queue_bytes.sub(unsent_bytes);
        stats.server_timedout.add(expired.len());
        self.answer_all(key, &expired, &RequestError::TimedOut.reply());
        if !expired.is_empty() {
            self.publish_failure(pool, server, now);
            self.pools[pool.index()].servers[server.index()].suspect = true;
            self.wire
                .put(Output::Report(Report::ServerFailed { pool, server }));
        }
    }

    /// Gives up a connection that has been silent for too long; sets the timer for the rest.
    fn time_next(&mut self, key: Key, timeout: Duration, now: Time) {
        let conn = &mut self.servers[key];
        let Some(oldest) = conn.fifo.front() else {
            return;
        };
        let silent_until = conn.last_heard.max(oldest.since) + timeout * SILENCE_TIMEOUTS;
        if conn.awaits_replies() && silent_until <= now {
            self.fail_server_conn(key, &Failure::TimedOut, now);
            return;
        }
        let next = conn
            .fifo
            .get(conn.tombstones)
            .map(|pending| pending.since + timeout);
        let due = next.map_or(silent_until, |next| next.min(silent_until));
        self.look_again(key, due);
    }

    pub(super) fn server_stats(&self, pool: PoolIdx, server: ServerIdx) -> &ServerCounters {
        &self.stats.pools[pool.index()].servers[server.index()]
    }
}
