//! Moves a connection's requests on when it ends, as `disposition` says of each.
//!
//! Beside that table: a read behind which its own client has written is not sent again; the client of a
//! half answered one is closed (`streaming`); a client that has gone is not served any more; what waits
//! for longer than it may gets an error.
//!
//! Owns: the order of what goes on: as it was asked. Never: opens a connection.

use std::collections::HashSet;

use bytes::Bytes;

use crate::base::Key;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::proxy::Proxy;
use crate::proxy::client::Reply;
use crate::proxy::dispatch::quarantine;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::RequestError;
use crate::proxy::server_conn::disposition::Cause;
use crate::proxy::server_conn::disposition::Disposition;
use crate::proxy::server_conn::disposition::Peer;
use crate::proxy::server_conn::disposition::Stage;
use crate::proxy::server_conn::disposition::disposition;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::Requests;
use crate::proxy::server_conn::queue::Retry;

impl Proxy {
    /// Of a connection that worked: leaves in its queue what is to be sent on the next one.
    pub(in crate::proxy) fn salvage_sent(&mut self, key: Key, failure: &Failure, now: Time) {
        let conn = &mut self.servers[key];
        conn.incoming.forget();
        let mut sent = conn.requests.take_sent(conn.counters(&self.stats));
        let unreadable = conn.incoming.take_unreadable();
        let next = sent.pendings.first().map(|next| next.awaiter.client);
        let next = next.filter(|_| quarantine::may_be_provoked(failure));
        // Behind what the server could not read nothing was executed.
        let unread = unreadable.is_some();
        if !unread {
            leave_out_overtaken(&mut sent.pendings);
        }
        let (cause, peer) = (
            match unread {
                true => Cause::Unreadable(failure),
                false => Cause::Broke(failure),
            },
            self.peer(key),
        );
        let (mut again, mut failed) = (Requests::default(), Vec::new());
        let mut retried = 0;
        for (place, mut pending) in std::mem::take(&mut sent.pendings).into_iter().enumerate() {
            let half_given = sent.half_given && place == 0;
            if half_given && self.cut_short(key, pending.awaiter, failure, now) {
                sent.skip(&pending);
                continue;
            }
            let stage = Stage::Sent {
                kept: sent.has_next(),
                next: place == 0,
            };
            match disposition(&pending, stage, cause, peer) {
                Disposition::Resend => {
                    pending.set_retry(Retry::Used);
                    sent.resend(pending, &mut again, &mut self.wire.spare);
                    retried += 1;
                }
                Disposition::Requeue => {
                    sent.resend(pending, &mut again, &mut self.wire.spare);
                    retried += 1;
                }
                Disposition::Fail(outcome) => {
                    sent.skip(&pending);
                    failed.push((pending, outcome));
                }
                Disposition::Forget | Disposition::Reroute => sent.skip(&pending),
            }
        }
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        conn.requests.requeue(again, &mut self.wire.spare, gauges);
        let (pool, server) = (conn.pool, conn.server);
        self.standing(pool, server).retried.add(retried);
        for (pending, outcome) in &failed {
            self.answer_failed(key, pending, Answer::Server(failure, *outcome));
        }
        if let Some(client) = unreadable.or(next) {
            self.charge(client, now);
        }
    }

    /// Of an attempt to connect that failed: leaves in its queue what waits for the next one.
    pub(in crate::proxy) fn salvage_unsent(&mut self, key: Key, failure: &Failure, now: Time) {
        let conn = &mut self.servers[key];
        conn.incoming.forget();
        let Some(first) = conn.requests.unsent().next().copied() else {
            return;
        };
        // The same becomes of all that was not sent.
        match disposition(&first, Stage::Unsent, Cause::NotMade, self.peer(key)) {
            Disposition::Fail(outcome) => {
                let count = self.servers[key].requests.len();
                self.fail_unsent(key, count, Answer::Server(failure, outcome));
            }
            _ => {
                self.expire_held(key, now);
                self.refuse_excess(key);
            }
        }
    }

    /// Whom a connection leads to.
    pub(in crate::proxy) fn peer(&self, key: Key) -> Peer {
        let conn = &self.servers[key];
        let policy = self.pools[conn.pool.index()].config.failure.policy;
        match conn.replica {
            Some(_) => Peer::Replica,
            None => Peer::Master {
                holds: policy == OnServerFailure::Hold,
            },
        }
    }

    /// Answers the first `count` requests of a connection on which nothing was sent.
    pub(in crate::proxy) fn fail_unsent(&mut self, key: Key, count: usize, answer: Answer<'_>) {
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        let failed = conn.requests.drop_first(count, gauges);
        for pending in &failed {
            self.answer_failed(key, pending, answer);
        }
    }

    /// Requests of clients that have gone are not sent any more: nobody would expect what was
    /// held for a second to be done then.
    pub(in crate::proxy) fn drop_orphans(&mut self, key: Key) {
        let clients = &self.clients;
        let gone = |pending: &Pending| !clients.awaits(pending.awaiter);
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        conn.requests
            .drop_unsent(gone, &mut self.wire.spare, gauges);
    }

    /// The same where requests have waited for their server; and the writes of those that have closed
    /// their sending half meanwhile get an error.
    pub(in crate::proxy) fn drop_abandoned(&mut self, key: Key, now: Time) {
        self.drop_orphans(key);
        let clients = &self.clients;
        let abandoned =
            |pending: &Pending| pending.writes() && !clients.may_still_write(pending.awaiter, now);
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        let dropped = conn
            .requests
            .drop_unsent(abandoned, &mut self.wire.spare, gauges);
        let answer = Answer::Request(RequestError::Abandoned);
        for pending in &dropped {
            self.answer_failed(key, pending, answer);
        }
    }

    /// Gives all that waits on a connection that has ended to the next one.
    pub(in crate::proxy) fn hand_on(&mut self, from: Key, to: Key) {
        let conn = &mut self.servers[from];
        debug_assert!(
            !conn.requests.awaits_replies(),
            "what was sent is settled before"
        );
        let requests = std::mem::take(&mut conn.requests);
        let next = &mut self.servers[to];
        next.asked = !requests.is_empty();
        next.requests = requests;
        self.full_queues.succeed(from, to);
    }

    pub(in crate::proxy) fn answer_failed(
        &mut self,
        key: Key,
        pending: &Pending,
        answer: Answer<'_>,
    ) {
        if pending.awaiter.is_buried() || pending.awaiter.client == Key::NONE {
            return;
        }
        let pool = self.servers[key].pool;
        self.stats.pools[pool.index()].counters.forward_error.add(1);
        self.record_failure(pool, answer);
        if pending.expect().is_unheard() {
            return self.deliver_nothing(pending);
        }
        let bytes = pending.bytes as usize;
        let answer = answer.encode(self.pools[pool.index()].protocol);
        let reply = Reply::<Bytes>::Own(&answer);
        self.clients
            .deliver(pending.awaiter, reply, bytes, &mut self.wire);
    }
}

/// A read behind which its own client has written is not sent again: the write may have been
/// executed, and the read would see what it must not.
fn leave_out_overtaken(sent: &mut [Pending]) {
    let mut writers = HashSet::new();
    for pending in sent.iter_mut().rev() {
        match pending.retry() {
            Retry::Never => {
                writers.insert(pending.awaiter.client);
            }
            _ if writers.contains(&pending.awaiter.client) => {
                pending.set_retry(Retry::Used);
            }
            _ => {}
        }
    }
}
