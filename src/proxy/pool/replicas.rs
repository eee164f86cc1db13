//! Reads that replicas answer.
//!
//! ```text
//!   reads ──► the client's replica ── fails, is left, or is silent ──► the master (prefer-replica),
//!                                                                      another replica (replica)
//! ```
//!
//! Owns: which replica a client reads from, and what becomes of its reads when that ends: they
//! change nothing, so they are asked elsewhere, sent or not. Never: decides which replicas keep up
//! with their master; the control plane measures that and tells. A failed replica is nobody's
//! failure: not reported, not counted against its server.
//!
//! A client keeps to one replica of a server as long as it may be read: its reads do not go back in
//! time more than a change of replicas needs. What it reads may be older than what it has written.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::ByteQueue;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::ReadFrom;
use crate::proxy::Proxy;
use crate::proxy::dispatch::quarantine;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::pool;
use crate::proxy::pool::Pool;
use crate::proxy::pool::replica::Replica;
use crate::proxy::pool::replica::Target;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::disposition::Cause;
use crate::proxy::server_conn::disposition::Disposition;
use crate::proxy::server_conn::disposition::Peer;
use crate::proxy::server_conn::disposition::Stage;
use crate::proxy::server_conn::disposition::disposition;
use crate::proxy::server_conn::queue::Pending;

/// A replica that cannot be connected to in this time is not waited for: another server can answer.
const CONNECT_WITHIN: Duration = Duration::from_millis(200);

/// After a failure. By then the control plane knows whether it is one that lasts.
const AVOID_FOR: Duration = Duration::from_secs(1);

/// Nobody else can be asked.
const LOST: Answer<'static> = Answer::Server(&Failure::ClosedByServer, Outcome::NotDone);

impl Pool {
    /// Where the next request of a client with this id goes for a server, which a `replica` may answer,
    /// or only the master; `None` if only a replica is to be asked, and none can be.
    #[inline]
    pub(in crate::proxy) fn choose_target(
        &self,
        client: u64,
        server: ServerIdx,
        replica: bool,
        now: Time,
    ) -> Option<Target> {
        let read_from = self.config.replicas.read_from;
        if read_from == ReadFrom::Master || !replica {
            return Some(Target::Master);
        }
        let replicas = self.servers[server.index()].replicas.iter().enumerate();
        let usable = replicas.filter(|(_, replica)| replica.avoided_until <= now);
        let chosen = usable.max_by_key(|(_, replica)| replica.number_for(client));
        match chosen {
            Some((nth, _)) => Some(Target::Replica(nth)),
            None if read_from == ReadFrom::PreferReplica => Some(Target::Master),
            None => None,
        }
    }
}

impl Proxy {
    /// These replicas may be read from now on, and no other.
    pub(in crate::proxy) fn set_replicas(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        addresses: &[SocketAddr],
        now: Time,
    ) {
        let of_pool = &mut self.pools[pool.index()];
        let config = &of_pool.config;
        let known = &mut of_pool.servers[server.index()];
        let mut left = Vec::new();
        for replica in std::mem::take(&mut known.replicas) {
            match addresses.contains(&replica.at) {
                true => known.replicas.push(replica),
                false => left.push(replica),
            }
        }
        for at in addresses {
            if !known.replicas.iter().any(|replica| replica.at == *at) {
                let conns = pool::conn_table(config);
                known.replicas.push(Replica::new(*at, conns));
            }
        }
        self.leave_replicas(&left, now);
    }

    /// Reads the same replicas on new connections: there are other places for them, or they are
    /// greeted otherwise.
    pub(in crate::proxy) fn renew_replicas(&mut self, pool: PoolIdx, server: ServerIdx, now: Time) {
        let of_pool = &mut self.pools[pool.index()];
        let config = &of_pool.config;
        let known = &mut of_pool.servers[server.index()];
        let before = std::mem::take(&mut known.replicas);
        let renewed = before
            .iter()
            .map(|replica| Replica::new(replica.at, pool::conn_table(config)));
        known.replicas = renewed.collect();
        self.leave_replicas(&before, now);
    }

    fn leave_replicas(&mut self, left: &[Replica], now: Time) {
        for (_, key) in left.iter().flat_map(|replica| replica.conns.open()) {
            self.leave_replica_conn(key, now);
        }
    }

    // A client that has a part of a reply can have the rest from nobody else: that is waited for.
    fn leave_replica_conn(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        if !conn.requests.is_streaming() {
            return self.fail_replica_conn(key, &Failure::Left, now);
        }
        conn.tenure.set_leaving(true);
        self.ask_unsent_elsewhere(key, now);
    }

    /// How long connecting may take, greetings included.
    pub(in crate::proxy) fn connect_within(&self, key: Key) -> Duration {
        let conn = &self.servers[key];
        let within = self.pools[conn.pool.index()].config.timeouts.connect;
        match conn.replica {
            Some(_) => within.min(CONNECT_WITHIN),
            None => within,
        }
    }

    /// Looks at the deadlines of a connection to a replica.
    pub(in crate::proxy) fn replica_due(&mut self, key: Key, now: Time) {
        let conn = &self.servers[key];
        let due = match conn.life.phase() {
            ServerPhase::Closed => return,
            ServerPhase::Ready => {
                if self.close_if_unused(key, now) {
                    return;
                }
                let conn = &self.servers[key];
                let timeout = self.pools[conn.pool.index()].config.timeouts.request;
                let since = match conn.requests.is_streaming() {
                    // Only a standstill ends what its client has a part of.
                    true => Some(conn.incoming.last_heard()),
                    false => conn.requests.oldest_since(),
                };
                since.zip(timeout).map(|(since, timeout)| since + timeout)
            }
            _ => Some(conn.incoming.last_heard() + self.connect_within(key)),
        };
        match due {
            Some(due) if due <= now => self.fail_replica_conn(key, &Failure::TimedOut, now),
            Some(due) => self.look_again(key, due),
            None => {}
        }
    }

    /// Ends a connection to a replica, and asks elsewhere what was asked there.
    pub(in crate::proxy) fn fail_replica_conn(&mut self, key: Key, failure: &Failure, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.life.is_closed() {
            return;
        }
        let (pool, server, replica) = (conn.pool, conn.server, conn.replica);
        let unreadable = conn.incoming.unreadable().is_some();
        let next = conn.next_awaiter().map(|next| next.client);
        let next = next.filter(|_| quarantine::may_be_provoked(failure));
        if let Some(client) = conn.incoming.unreadable().or(next) {
            self.charge(client, now);
        }
        self.close(key);
        if let Failure::KindRefused(_) = failure {
            return self.refuse_kind(key, failure);
        }
        let of_pool = &mut self.pools[pool.index()];
        let known = &mut of_pool.servers[server.index()];
        let of_server = known.replicas.iter_mut();
        if let Some(known) = of_server
            .into_iter()
            .find(|known| Some(known.at) == replica)
        {
            known.conns.vacate(key);
            // One that could not read one client's request is as good as before for the others.
            if *failure != Failure::Left && !unreadable {
                known.avoided_until = now + AVOID_FOR;
            }
        }
        if let (Some(replica), true) = (replica, *failure != Failure::Left) {
            let (pool, server) = (&of_pool.config.name, &known.name);
            tracing::warn!(%pool, %server, %replica, %failure, "replica connection failed");
            self.count_failure(key, failure);
        }
        self.ask_all_elsewhere(key, failure, now);
    }

    /// Asks elsewhere what was asked on a connection to a replica that has ended, but for what is
    /// still being sent: its bytes come back when that has ended.
    pub(in crate::proxy) fn ask_all_elsewhere(&mut self, key: Key, failure: &Failure, now: Time) {
        self.end_half_given(key, failure, now);
        let conn = &mut self.servers[key];
        conn.incoming.forget();
        let mut sent = conn.requests.take_arrived(conn.counters(&self.stats));
        for (place, pending) in std::mem::take(&mut sent.pendings).iter().enumerate() {
            let stage = Stage::Sent {
                kept: sent.has_next(),
                next: place == 0,
            };
            match disposition(pending, stage, Cause::Broke(failure), Peer::Replica) {
                Disposition::Fail(outcome) => {
                    sent.skip(pending);
                    // That a replica was left, or is unfit, says nothing to a client.
                    let answer = match failure {
                        Failure::BadReply(_) => Answer::Server(failure, outcome),
                        _ => LOST,
                    };
                    if self.clients.awaits(pending.awaiter) {
                        self.answer_failed(key, pending, answer);
                    }
                }
                Disposition::Forget => sent.skip(pending),
                Disposition::Reroute | Disposition::Requeue | Disposition::Resend => {
                    if let Some(bytes) = sent.take(pending, &mut self.wire.spare) {
                        self.ask_elsewhere(key, pending, bytes, now);
                    }
                }
            }
        }
        self.ask_unsent_elsewhere(key, now);
    }

    // Nobody else can give the rest of a reply of which a part is on its way.
    fn end_half_given(&mut self, key: Key, failure: &Failure, now: Time) {
        let Some(awaiter) = self.servers[key].requests.half_given() else {
            return;
        };
        let is_cut = self.cut_short(key, awaiter, failure, now);
        let requests = &mut self.servers[key].requests;
        match is_cut {
            true => drop(requests.bury_streamed()),
            false => requests.unstream(),
        }
    }

    /// Asks elsewhere what was not sent to a replica yet.
    fn ask_unsent_elsewhere(&mut self, key: Key, now: Time) {
        let conn = &mut self.servers[key];
        let unsent = conn.requests.take_unsent(conn.counters(&self.stats));
        for (pending, bytes) in unsent.each() {
            self.ask_elsewhere(key, &pending, bytes, now);
        }
    }

    fn ask_elsewhere(&mut self, from: Key, pending: &Pending, bytes: ByteQueue, now: Time) {
        if !self.clients.awaits(pending.awaiter) {
            return;
        }
        let (pool, server) = (self.servers[from].pool, self.servers[from].server);
        let client = pending.awaiter.client;
        let of_pool = &self.pools[pool.index()];
        let target = match of_pool.config.replicas.read_from {
            ReadFrom::Replica => {
                let id = self.clients.slab[client].session.id();
                of_pool.choose_target(id, server, true, now)
            }
            ReadFrom::Master | ReadFrom::PreferReplica => Some(Target::Master),
        };
        let Some(target) = target else {
            let answer = Answer::Request(RequestError::NoReplica);
            return self.answer_failed(from, pending, answer);
        };
        let kind = self.servers[from].kind;
        let to = self.server_conn(pool, (server, target), (client, kind), now);
        let conn = &mut self.servers[to];
        let (gauges, requests) = (conn.counters(&self.stats), &mut conn.requests);
        requests.writer().append(bytes, &mut self.wire.spare);
        requests.push(pending.awaiter, pending.terms(), now, gauges);
        self.request_passed_on(to, client, now);
    }

    /// A connection is closed whose last batch never came back: what was in it is answered.
    pub(in crate::proxy) fn fail_rest(&mut self, key: Key) {
        let Some(conn) = self.servers.find_mut(key) else {
            return;
        };
        if conn.replica.is_none() {
            return;
        }
        let rest = conn.requests.take_sent(conn.counters(&self.stats));
        for pending in &rest.pendings {
            self.answer_failed(key, pending, LOST);
        }
    }
}
