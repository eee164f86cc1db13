//! Passes a large reply on while it comes.
//!
//! ```text
//!   server ──► │ assembly: STEP_BYTES at most │ ──► the client's `out` ──► client
//! ```
//!
//! Owns: which reply is given in parts, and what becomes of its client when the rest does not come:
//! nothing else may stand in the middle of a reply, so that client is closed, behind the replies
//! that it has whole. Never: stops reading from the server, whom others await, too; what a slow
//! client does not take lies in its own `out`, for which it is stopped and closed like any other.

use std::time::Duration;

use crate::base::Key;
use crate::base::Time;
use crate::protocol::ReplyAssembly;
use crate::protocol::ReplyKind;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::failure::Failure;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::deadlines::timed_out;

/// A reply is passed on in parts of so many bytes at least; one that is hardly longer is cheaper to
/// pass on whole, by one system call.
const STEP_BYTES: usize = 256 << 10;

impl Proxy {
    /// Gives what has come of the reply that a connection is receiving to who awaits it, if that is
    /// worth while, and if it is what its client is to get next.
    #[inline]
    pub(in crate::proxy) fn pass_on(&mut self, key: Key, assembly: &mut ReplyAssembly) {
        if assembly.held_bytes() < STEP_BYTES || assembly.kind() == ReplyKind::Message {
            return;
        }
        let conn = &mut self.servers[key];
        // In the greeting, and without a request, nobody awaits it.
        if conn.life.phase() != ServerPhase::Ready
            || !conn.requests.next_expected().passes_at_once()
        {
            return;
        }
        let Some(awaiter) = conn.next_awaiter() else {
            return;
        };
        if self.clients.is_due(awaiter) {
            if conn.requests.stream() {
                self.stats.counters.replies_streamed.add(1);
            }
            let part = assembly.take_bytes();
            self.clients.deliver_part(awaiter, part, &mut self.wire);
        }
    }

    /// Ends the client that has got a part of a reply whose rest will not come; `false` if nothing
    /// of the part is on its way yet: it is taken back, and the request can have any other end.
    pub(in crate::proxy) fn cut_short(
        &mut self,
        key: Key,
        awaiter: Awaiter,
        failure: &Failure,
        now: Time,
    ) -> bool {
        if self.clients.take_back(awaiter) {
            return false;
        }
        let conn = &self.servers[key];
        let (pool, server) = (&self.pools[conn.pool.index()], conn.server.index());
        let counters = &self.stats.pools[conn.pool.index()].counters;
        counters.forward_error.add(1);
        let failures = &mut self.records.pool(conn.pool).failures;
        failures.count("reply_cut_short");
        self.stats.counters.replies_cut.add(1);
        if let Some(client) = self.clients.slab.find_mut(awaiter.client) {
            tracing::warn!(
                pool = %pool.config.name,
                server = %pool.servers[server].name,
                client = client.session.id(),
                %failure,
                "client closed: a part of a reply has not come"
            );
            client.cut_off();
            self.settle_client(awaiter.client, now);
        }
        true
    }

    /// A reply that is being passed on may take its time, but not stand still for as long as a
    /// request may wait.
    pub(in crate::proxy) fn expire_standstill(&mut self, key: Key, timeout: Duration, now: Time) {
        let conn = &mut self.servers[key];
        if !conn.requests.is_streaming() || conn.incoming.last_heard() + timeout > now {
            return;
        }
        let Some(stalled) = conn.requests.bury_streamed() else {
            return;
        };
        let (awaiter, since) = (stalled.awaiter, stalled.since());
        let (pool, server) = (conn.pool, conn.server);
        self.bury(key, &stalled);
        self.server_stats(pool, server).server_timedout.add(1);
        if !self.cut_short(key, awaiter, &Failure::TimedOut, now) {
            self.answer_failed(key, &stalled, timed_out(&stalled, true));
        }
        self.pools[pool.index()].servers[server.index()].suspect = true;
        self.report_failure(pool, server, since, now);
    }
}
