//! Server connections: opened when first needed, greeted, given up, and opened again.
//!
//! ```text
//!              ┌───────────────── Reachable, or its time ───────────────┐
//!              ▼                                                        │
//!   Resolving ─► Connecting ─► Greeting ─► Ready ─ breaks ─► at once    │
//!        └───────────┴─────────────┴──── fails ────────────► Down ──────┘
//! ```
//!
//! Owns: the life of a server connection. What becomes of its requests when it ends is
//! `retry`'s.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::messages::Report;
use crate::messages::SocketAddress;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;
use crate::proxy::failure::Failure;
use crate::proxy::pool::conns::ConnKind;
use crate::proxy::pool::conns::Place;
use crate::proxy::pool::greetings::Greeted;
use crate::proxy::pool::replica::Target;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::reconnect;
use crate::stats::Counter;
use crate::stats::ServerCounters;

/// A connection that is silent for so many times the pool's `timeout` is given up if its server
/// answers a probe meanwhile.
const STUCK_TIMEOUTS: u32 = 2;

/// An attempt to connect that is younger is left alone.
const ROUND_TRIP: Duration = Duration::from_millis(10);

impl Proxy {
    pub(in crate::proxy) fn preconnect(&mut self, pool: PoolIdx, now: Time) {
        let servers = self.pools[pool.index()].servers.len();
        for (server, _) in (0u16..).zip(0..servers) {
            if self.pools[pool.index()].servers[usize::from(server)].removed {
                continue;
            }
            let conns = &self.pools[pool.index()].servers[usize::from(server)].conns;
            for place in conns.idle_shared() {
                self.open(pool, (ServerIdx(server), Target::Master), place, now);
            }
        }
    }

    /// The client's connection of a kind to a server, opened if need be. The same one as long as any of its
    /// requests is under way, so that they never overtake each other.
    #[inline]
    pub(in crate::proxy) fn server_conn(
        &mut self,
        pool: PoolIdx,
        (server, target): (ServerIdx, Target),
        (client, kind): (Key, ConnKind),
        now: Time,
    ) -> Key {
        let conns = self.pools[pool.index()].servers[server.index()].conns_to(target);
        match conns.of_client(kind, client, self.clients.slab[client].way) {
            (place, Key::NONE) => self.open(pool, (server, target), place, now),
            (_, key) => key,
        }
    }

    pub(in crate::proxy) fn open(
        &mut self,
        pool: PoolIdx,
        (server, target): (ServerIdx, Target),
        place: Place,
        now: Time,
    ) -> Key {
        let replica = match target {
            Target::Master => None,
            Target::Replica(nth) => {
                let known = &self.pools[pool.index()].servers[server.index()];
                Some(known.replicas[nth].at)
            }
        };
        let key = self.put_conn((pool, server), replica, place, now);
        self.attempt(key, now);
        key
    }

    /// A new connection in a place of its server, or of a replica, without a socket.
    fn put_conn(
        &mut self,
        (pool, server): (PoolIdx, ServerIdx),
        replica: Option<SocketAddr>,
        place: Place,
        now: Time,
    ) -> Key {
        let conn = ServerConn::new((pool, server), place.kind, now);
        let key = self.servers.insert(conn);
        let known = &mut self.pools[pool.index()].servers[server.index()];
        let conn = &mut self.servers[key];
        (conn.key, conn.replica) = (key, replica);
        conn.tenure.set_last(replica.is_none() && known.removed);
        if let Some(conns) = known.conns_of_peer(replica) {
            conns.put(place, key);
        }
        key
    }

    /// Begins to connect.
    pub(in crate::proxy) fn attempt(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        let (pool, server) = (conn.pool, conn.server);
        conn.life.begin(now);
        conn.incoming.heard(now);
        conn.attempts.begin();
        self.look_again(key, now + self.connect_within(key));
        if self.servers[key].replica.is_some() {
            self.connect(key);
        } else if self.pools[pool.index()].servers[server.index()]
            .addresses
            .is_empty()
        {
            let life = &mut self.servers[key].life;
            life.set_phase(ServerPhase::Resolving);
            self.wire.put(Output::Resolve { pool, server });
        } else {
            self.connect(key);
        }
    }

    fn connect(&mut self, key: Key) {
        let conn = &mut self.servers[key];
        let server = &self.pools[conn.pool.index()].servers[conn.server.index()];
        let address = match conn.replica {
            Some(at) => SocketAddress::Tcp(at),
            None => server.addresses[conn.attempts.nth() % server.addresses.len()].clone(),
        };
        conn.life.set_phase(ServerPhase::Connecting);
        conn.address = Some(address.clone());
        // Attempts that nobody waits for are not counted, unless one succeeds: twemproxy, whose
        // numbers these are, makes none.
        let is_asked_for = conn.attempts.count() == 0 || conn.asked;
        if is_asked_for {
            self.count_conn(key);
        }
        self.wire.put(Output::Connect {
            conn: ConnId::Server(key),
            address,
            keepalive: true,
        });
    }

    fn count_conn(&mut self, key: Key) {
        let conn = &mut self.servers[key];
        if !conn.life.count() {
            return;
        }
        let (pool, server) = (conn.pool, conn.server);
        self.stats.total_connections.add(1);
        self.stats.curr_connections.add(1);
        self.server_stats(pool, server).server_connections.add(1);
    }

    pub(in crate::proxy) fn server_resolved(
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
            self.leave_old_addresses(pool, server, now);
        }
        for key in self.conns_of(pool, server) {
            if self.servers[key].life.phase() != ServerPhase::Resolving {
                continue;
            }
            if self.pools[pool.index()].servers[server.index()]
                .addresses
                .is_empty()
            {
                self.fail_server_conn(key, &Failure::Unresolved, now);
            } else {
                self.connect(key);
            }
        }
        self.exclusives_resolved(pool, server, now);
    }

    /// A server that had failed answers: who waits to connect to it waits no longer. What was begun
    /// while it did not answer may have lost its packets, and the kernel's next try may be as far
    /// away as the trouble was long: an attempt to connect, and a connection that is silent, are
    /// begun anew.
    pub(in crate::proxy) fn server_reachable(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        now: Time,
    ) {
        for key in self.conns_of(pool, server) {
            let conn = &self.servers[key];
            match conn.life.phase() {
                ServerPhase::Down { .. } => self.attempt(key, now),
                ServerPhase::Connecting | ServerPhase::Greeting { .. }
                    if conn.life.opened() + ROUND_TRIP < now =>
                {
                    self.attempt_anew(key, now);
                }
                ServerPhase::Ready if self.is_stuck(key, now) => {
                    self.fail_server_conn(key, &Failure::TimedOut, now);
                }
                _ => {}
            }
        }
        self.exclusives_reachable(pool, server, now);
    }

    /// Whether requests have timed out on a connection and nothing has come since, for as long again,
    /// although the server answers others. One slow command is no reason.
    fn is_stuck(&self, key: Key, now: Time) -> bool {
        let conn = &self.servers[key];
        let timeout = self.pools[conn.pool.index()].config.timeouts.request;
        let silent = |timeout| conn.incoming.last_heard() + timeout * STUCK_TIMEOUTS <= now;
        conn.requests.has_tombstones() && timeout.is_some_and(silent)
    }

    pub(in crate::proxy) fn conns_of(&self, pool: PoolIdx, server: ServerIdx) -> Vec<Key> {
        let conns = &self.pools[pool.index()].servers[server.index()].conns;
        conns.open().map(|(_, key)| key).collect()
    }

    pub(in crate::proxy) fn server_connected(&mut self, key: Key, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.life.phase() != ServerPhase::Connecting {
            return;
        }
        conn.incoming.heard(now);
        self.count_conn(key);
        let conn = &mut self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        // A server that has failed proves that it serves before it gets a request.
        // Of several connections to it each does: it may have no room for so many.
        let several = pool.config.connections.per_server.get() > 1 || pool.is_extra(conn.kind);
        let proves =
            several || conn.attempts.count() > 0 || pool.servers[conn.server.index()].suspect;
        let greeted = match conn.replica {
            Some(_) => Greeted::Replica,
            None if proves => Greeted::Proving,
            None => Greeted::Server,
        };
        let greeting = pool.greeting(conn.kind, greeted);
        if greeting.replies == 0 {
            self.server_ready(key, now);
            return;
        }
        conn.life.set_phase(ServerPhase::Greeting {
            left: greeting.replies,
        });
        conn.greeting.push(
            Bytes::copy_from_slice(&greeting.bytes),
            &mut self.wire.spare,
        );
        conn.sending.list(ConnId::Server(key), &mut self.wire);
    }

    pub(in crate::proxy) fn server_ready(&mut self, key: Key, now: Time) {
        if self.servers[key].exclusive.is_some() {
            return self.exclusive_ready(key, now);
        }
        self.drop_abandoned(key, now);
        self.refuse_newer(key);
        let conn = &mut self.servers[key];
        conn.life.set_phase(ServerPhase::Ready);
        conn.incoming.heard(now);
        let was_down = conn.attempts.worked();
        if conn.has_bytes() {
            conn.sending.list(ConnId::Server(key), &mut self.wire);
        }
        self.time_held(key, now);
        self.look_for_room(key, now);
        self.time_unused(key);
        self.ready_gauge(key).add(1);
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let (pool, server) = (&pool.config.name, &pool.servers[conn.server.index()].name);
        if was_down {
            tracing::info!(%pool, %server, "server connected again");
        } else {
            tracing::debug!(%pool, %server, "server connected");
        }
    }

    pub(in crate::proxy) fn server_failed(&mut self, key: Key, errno: i32, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        let addresses = &self.pools[conn.pool.index()].servers[conn.server.index()].addresses;
        let may_go_on = conn.replica.is_none() && conn.life.phase() == ServerPhase::Connecting;
        if may_go_on && conn.attempts.try_next(addresses.len()) {
            self.connect(key);
            return;
        }
        self.fail_server_conn(key, &Failure::System(errno), now);
    }

    /// Ends a server connection, and opens the next one if there is something for it to do.
    pub(in crate::proxy) fn fail_server_conn(&mut self, key: Key, failure: &Failure, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.replica.is_some() {
            return self.fail_replica_conn(key, failure, now);
        }
        if conn.exclusive.is_some() {
            return self.fail_exclusive(key, failure, now);
        }
        let Some(phase) = self.close(key) else {
            return;
        };
        let conn = &self.servers[key];
        let (pool, server, since) = (conn.pool, conn.server, conn.life.opened());
        let (idle, asked) = (conn.requests.is_empty(), conn.asked);
        let succeeded = conn.tenure.successor().is_some();
        // The server is well; it could not read one client's request.
        let unreadable = conn.incoming.unreadable().is_some();
        if let Some(other) = self.one_with_room(key, phase, failure) {
            return self.do_without(key, other, now);
        }
        if let Failure::KindRefused(_) = failure {
            return self.refuse_kind(key, failure);
        }
        self.forget_release(key);
        self.log_failure(key, failure, idle);
        let server_of_pool = &mut self.pools[pool.index()].servers[server.index()];
        // What fails where the server was says nothing of where it is.
        server_of_pool.suspect |= !succeeded && !unreadable;
        if server_of_pool.has_name && !succeeded {
            self.wire.put(Output::Resolve { pool, server });
        }
        // A server that closes a connection on which nothing is asked has done nothing wrong, one
        // that was replaced is known to everybody, and an attempt that nobody waited for has cost
        // nobody anything.
        let harmless = match phase {
            _ if *failure == Failure::Moved || succeeded || unreadable => true,
            ServerPhase::Ready => idle && *failure == Failure::ClosedByServer,
            _ => !asked,
        };
        if phase == ServerPhase::Ready || asked {
            self.count_failure(key, failure);
        }
        if !harmless {
            self.report_failure(pool, server, since, now);
        }
        if phase == ServerPhase::Ready {
            self.salvage_sent(key, failure, now);
            self.open_next(key, now);
        } else {
            self.salvage_unsent(key, failure, now);
            self.wait_to_retry(key, failure, now);
        }
    }

    pub(in crate::proxy) fn count_failure(&self, key: Key, failure: &Failure) {
        let stats = self.servers[key].counters(&self.stats);
        match failure {
            Failure::ClosedByServer => stats.server_eof.add(1),
            Failure::TimedOut => stats.server_timedout.add(1),
            _ => stats.server_err.add(1),
        }
    }

    pub(in crate::proxy) fn report_failure(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        since: Time,
        now: Time,
    ) {
        self.publish_failure(pool, server, now);
        self.wire.put(Output::Report(Report::ServerFailed {
            pool,
            server,
            since,
            at: now,
            answers: false,
        }));
    }

    fn log_failure(&self, key: Key, failure: &Failure, idle: bool) {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let (pool, server) = (&pool.config.name, &pool.servers[conn.server.index()].name);
        match failure {
            // One line a trouble, not one an attempt.
            failure if conn.attempts.have_failed_so(failure) => {
                tracing::debug!(%pool, %server, %failure, "server connection failed again");
            }
            Failure::Moved => {}
            Failure::Refused(_) => {
                tracing::error!(%pool, %server, %failure, "server refused the greeting");
            }
            Failure::ClosedByServer if idle => {
                tracing::info!(%pool, %server, "server closed an idle connection");
            }
            failure => tracing::warn!(%pool, %server, %failure, "server connection failed"),
        }
    }

    /// A connection that worked has ended: the next one is opened at once if requests are left.
    pub(in crate::proxy) fn open_next(&mut self, key: Key, now: Time) {
        if let Some(place) = self.servers[key].tenure.successor() {
            self.give_rest(key, place, now);
            return;
        }
        let Some(place) = self.vacate(key) else {
            return;
        };
        let conn = &self.servers[key];
        if conn.requests.is_empty() {
            return;
        }
        let next = self.put_conn((conn.pool, conn.server), None, place, now);
        self.hand_on(key, next);
        self.attempt(next, now);
        self.time_handed_on(next, now);
        self.time_first(next);
    }

    /// An attempt to connect has failed: the next one is made after a while, unless the server was
    /// taken out of the key space.
    fn wait_to_retry(&mut self, key: Key, failure: &Failure, now: Time) {
        let Some(place) = self.vacate(key) else {
            return;
        };
        let conn = &self.servers[key];
        let (pool, server, mut attempts) = (conn.pool, conn.server, conn.attempts.clone());
        attempts.failed(failure);
        if conn.requests.is_empty() && self.is_unwanted(key) {
            return;
        }
        let next = self.put_conn((pool, server), None, place, now);
        self.hand_on(key, next);
        let mut delay = reconnect::delay(attempts.count(), &mut self.random);
        let conn = &mut self.servers[next];
        conn.attempts = attempts;
        if conn.asked {
            delay = delay.min(reconnect::ASKED);
        }
        let retry_at = now + delay;
        conn.life.set_phase(ServerPhase::Down {
            since: now,
            retry_at,
        });
        self.look_again(next, retry_at);
        self.time_first(next);
    }

    /// Leaves an attempt that is under way, and begins another.
    pub(in crate::proxy) fn attempt_anew(&mut self, key: Key, now: Time) {
        self.close(key);
        let Some(place) = self.vacate(key) else {
            return;
        };
        let conn = &self.servers[key];
        let (pool, server, attempts) = (conn.pool, conn.server, conn.attempts.clone());
        let next = self.put_conn((pool, server), None, place, now);
        self.hand_on(key, next);
        self.servers[next].attempts = attempts;
        self.attempt(next, now);
        self.time_first(next);
    }

    /// Takes the connection out of its server's places: which one it had.
    pub(in crate::proxy) fn vacate(&mut self, key: Key) -> Option<Place> {
        let conn = &self.servers[key];
        let known = &mut self.pools[conn.pool.index()].servers[conn.server.index()];
        known.conns_of_peer(conn.replica)?.vacate(key)
    }

    /// Whether a connection that has nothing to do is not made again before somebody asks for it.
    pub(in crate::proxy) fn is_unwanted(&self, key: Key) -> bool {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let server = &pool.servers[conn.server.index()];
        server.ejected || server.removed || pool.is_extra(conn.kind)
    }

    /// A server connection that waits for nothing more is closed without a successor.
    pub(in crate::proxy) fn close_server_conn(&mut self, key: Key) {
        self.vacate(key);
        self.close(key);
    }

    /// Has a server connection's socket closed: the one place that does. Returns how far it had come;
    /// `None` if it is closed already, or gone. What becomes of its requests is its caller's to say.
    pub(in crate::proxy) fn close(&mut self, key: Key) -> Option<ServerPhase> {
        let conn = self.servers.find_mut(key)?;
        let phase = conn.life.close()?;
        // What was to be sent of our own is not asked any more.
        conn.greeting = ByteQueue::default();
        self.wire.put(Output::Close(ConnId::Server(key)));
        if phase == ServerPhase::Ready && self.servers[key].exclusive.is_none() {
            self.ready_gauge(key).sub(1);
        }
        Some(phase)
    }

    /// Where the connections are counted on which requests flow.
    fn ready_gauge(&self, key: Key) -> &Counter {
        let conn = &self.servers[key];
        let standing = self.standing(conn.pool, conn.server);
        match conn.replica {
            Some(_) => &standing.replica_connections,
            None => &standing.ready_connections,
        }
    }

    /// A server connection's socket is closed: its key names nothing any more.
    pub(in crate::proxy) fn server_closed(&mut self, key: Key) {
        self.fail_rest(key);
        let conn = self.servers.remove(key);
        if let Some(conn) = conn.filter(|conn| conn.life.is_counted()) {
            conn.counters(&self.stats).server_connections.sub(1);
            self.stats.curr_connections.sub(1);
        }
    }

    pub(in crate::proxy) fn server_stats(
        &self,
        pool: PoolIdx,
        server: ServerIdx,
    ) -> &ServerCounters {
        &self.stats.pools[pool.index()].servers[server.index()]
    }
}
