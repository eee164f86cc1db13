//! What is recorded of requests, at the places where a reply is paired and where an error is made.
//!
//! Owns: which numbers a reply makes. Never: a clock; times are those of the passes that read the
//! request and its reply, and of the moment before the pass that sent it did.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::failure::Answer;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::heads::HEAD_BYTES_MAX;

/// What an error is counted under whose command is not known any more.
pub(in crate::proxy) const UNKNOWN: &str = "unknown";

impl Proxy {
    /// Records where a request that has its reply spent its time; it was handed over at `sent_at`.
    #[inline]
    pub(in crate::proxy) fn record_reply(
        &mut self,
        (pool, server): (PoolIdx, ServerIdx),
        pending: &Pending,
        sent_at: Time,
        now: Time,
    ) {
        let of = (pool, server, pending.family());
        let at_server = now.micros_since(sent_at);
        self.records
            .latencies
            .record(of, at_server, pending.micros_in_proxy(sent_at));
    }

    /// Whether the first request on this connection, whose reply of so many bytes is here, took so long that
    /// it is looked at, or the reply is so large.
    #[inline]
    pub(in crate::proxy) fn is_looked_at(&self, key: Key, bytes: usize, now: Time) -> bool {
        let conn = &self.servers[key];
        let Some(pending) = conn.requests.next_sent() else {
            return false;
        };
        let sent_at = conn.requests.next_sent_at();
        let took = now.micros_since(sent_at) + pending.micros_in_proxy(sent_at);
        let pool = &self.pools[conn.pool.index()];
        took >= pool.slow_micros || bytes >= pool.looked_at_bytes
    }

    /// Looks at it, whose reply has so many bytes: keeps it in the slow log, and shows it.
    #[cold]
    pub(in crate::proxy) fn look_at_reply(&mut self, key: Key, reply_bytes: usize, now: Time) {
        if !self.observers.is_empty() {
            self.observe_reply(key, reply_bytes);
        }
        self.record_slow(key, reply_bytes, now);
    }

    /// Counts an error that is the reply to the first request on this connection.
    pub(in crate::proxy) fn record_error(&mut self, key: Key) {
        let conn = &self.servers[key];
        let protocol = self.pools[conn.pool.index()].protocol;
        let head = conn.requests.first_head(HEAD_BYTES_MAX);
        let args = protocol.leading_args(&head);
        let command = protocol.command_of(&args);
        let name = command.map_or(UNKNOWN, |command| command.name);
        self.records.pool(conn.pool).errors.count(name);
    }

    /// Counts an error that a server has given to a transaction.
    pub(in crate::proxy) fn record_batch_error(&mut self, key: Key) {
        let pool = self.servers[key].pool;
        self.records.pool(pool).errors.count("exec");
    }

    /// Counts an error of our own.
    pub(in crate::proxy) fn record_failure(&mut self, pool: PoolIdx, answer: Answer<'_>) {
        self.records.pool(pool).failures.count(answer.cause());
    }
}
