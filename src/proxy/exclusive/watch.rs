//! `WATCH`, until `EXEC`, `DISCARD`, `UNWATCH` or `RESET`: a transaction that depends on keys.
//!
//! ```text
//!   WATCH k    GET k    MULTI … EXEC ──► the connection ends
//!      └─ all that the client asks of that server, on one connection of its own ─┘
//! ```
//!
//! | what happens | what `EXEC` says |
//! |---|---|
//! | a watched key has changed | nil, the server's own word |
//! | the connection is lost, the server replaced, another database chosen | nil: nothing is done |
//! | a `WATCH` was refused, the client has gone to another process | `-EXECABORT` |
//! | the keys of the transaction live at another server | `-CROSSSLOT` |
//!
//! Owns: this table. Never: lets a transaction through whose keys nobody watches any more.

use crate::base::Chunk;
use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::Request;
use crate::proxy::Proxy;
use crate::proxy::dispatch::forward::Forwarded;
use crate::proxy::exclusive::lease::Lease;
use crate::proxy::exclusive::lease::LeaseState;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Ask;

/// What a client's transaction depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Watched {
    /// Nothing.
    Nothing,
    /// Keys of this server.
    At(ServerIdx),
    /// Keys that are not watched any more.
    Lost,
}

impl Proxy {
    /// Watches keys: whether that is done. If not, the request is to be put back.
    pub(in crate::proxy) fn watch<C: Chunk>(
        &mut self,
        key: Key,
        (server, ask): (ServerIdx, Ask),
        (request, chunk): (&Request<'_>, Option<(&C, usize)>),
        now: Time,
    ) -> Result<bool, RequestError> {
        let done = self.watch_at(key, server, now);
        if done.is_err() {
            // What it sends behind it relies on it.
            self.rely_on_no_watch(key);
        }
        if !done? {
            return Ok(false);
        }
        let Some(mut desk) = self.desk(key) else {
            return Ok(true);
        };
        match desk.forward((server, ask), request, chunk, now)? {
            Forwarded::Waits(conn) => {
                self.request_passed_on(conn, key, now);
            }
            Forwarded::Sent => {}
            Forwarded::Unconnected(..) => {
                debug_assert!(false, "its connection is its own");
            }
        }
        Ok(true)
    }

    /// Sees that a client has a connection of its own to a server, on which it watches.
    fn watch_at(&mut self, key: Key, server: ServerIdx, now: Time) -> Result<bool, RequestError> {
        match self.watched(key) {
            Watched::At(at) if at == server => return Ok(true),
            Watched::At(_) => return Err(RequestError::CrossServer),
            // Its transaction is void already; it begins anew.
            Watched::Lost => return Err(RequestError::WatchLost),
            Watched::Nothing => {}
        }
        if !self.leases_for(key, server, now)? {
            return Ok(false);
        }
        if let Some(lease) = &mut self.clients.slab[key].lease {
            if let LeaseState::Granted(conn) = lease.state {
                lease.state = LeaseState::Watching {
                    conn,
                    ending: false,
                };
                if let Some(exclusive) = &mut self.servers[conn].exclusive {
                    exclusive.is_marked = true;
                }
            }
        }
        Ok(true)
    }

    /// What a client's transaction depends on now.
    pub(in crate::proxy) fn watched(&self, key: Key) -> Watched {
        let client = &self.clients.slab[key];
        let Some(lease) = client.lease.as_deref() else {
            return Watched::Nothing;
        };
        match lease.state {
            LeaseState::Watching { conn, .. } => {
                let kind = self.pools[client.pool.index()].kind_of(client);
                match self.servers[conn].kind == kind {
                    true => Watched::At(lease.server),
                    false => Watched::Lost,
                }
            }
            LeaseState::Lost => Watched::Lost,
            _ => Watched::Nothing,
        }
    }

    fn rely_on_no_watch(&mut self, key: Key) {
        let session = &mut self.clients.slab[key].session;
        let mut unmet = session.unmet();
        unmet.watch = true;
        session.set_unmet(unmet);
    }

    /// A client watches nothing any more. Where it has asked something that is not answered, its next
    /// request waits for that: it might overtake it.
    pub(in crate::proxy) fn unwatch(&mut self, key: Key) {
        let client = &mut self.clients.slab[key];
        let Some(lease) = client.lease.as_deref_mut() else {
            return;
        };
        match &mut lease.state {
            LeaseState::Watching { conn, ending } => {
                if self.servers[*conn].requests.is_empty() {
                    return self.end_lease(key);
                }
                *ending = true;
                client.raise_order_barrier();
            }
            LeaseState::Lost => client.lease = None,
            _ => {}
        }
    }

    /// A client that watches has a reply on its connection: whether it needs that no longer.
    pub(in crate::proxy) fn watcher_heard(&mut self, conn: Key) {
        let of_conn = &self.servers[conn];
        let Some(owner) = of_conn.owner().filter(|_| of_conn.requests.is_empty()) else {
            return;
        };
        let lease = self
            .clients
            .slab
            .find(owner)
            .and_then(|client| client.lease.as_deref());
        let is_over = lease.is_some_and(Lease::is_ending);
        if is_over {
            self.end_lease(owner);
        }
    }

    /// The connection is lost on which a client has watched keys: its transaction will not be done.
    pub(in crate::proxy) fn watch_lost(
        &mut self,
        owner: Key,
        conn: Key,
        failure: &Failure,
        now: Time,
    ) {
        let of_conn = &mut self.servers[conn];
        let gauges = of_conn.counters(&self.stats);
        of_conn.incoming.forget();
        let half_given = of_conn.requests.half_given();
        let sent = of_conn.requests.take_sent(gauges);
        let unsent = of_conn.requests.take_unsent(gauges);
        let lease = self.clients.slab[owner].lease.as_deref_mut();
        if let Some(lease) = lease {
            lease.state = LeaseState::Lost;
        }
        let is_cut = half_given.is_some_and(|awaiter| self.cut_short(conn, awaiter, failure, now));
        for pending in sent.pendings.iter().skip(usize::from(is_cut)) {
            let outcome = match pending.writes() {
                true => Outcome::Unknown,
                false => Outcome::NotDone,
            };
            self.answer_failed(conn, pending, Answer::Server(failure, outcome));
        }
        for (pending, _) in unsent.each() {
            let answer = Answer::Server(failure, Outcome::NotDone);
            self.answer_failed(conn, &pending, answer);
        }
    }

    /// A client goes to another process, which does not watch for it.
    pub(in crate::proxy) fn leave_watch(&mut self, key: Key) {
        let lease = self.clients.slab[key].lease.as_deref();
        let is_ending = lease.is_some_and(Lease::is_ending);
        if !is_ending && self.watched(key) != Watched::Nothing {
            self.rely_on_no_watch(key);
        }
        self.unwatch(key);
    }
}
