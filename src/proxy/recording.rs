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
use crate::telemetry::Family;
use crate::telemetry::slow;
use crate::telemetry::slow::SlowRequest;

/// As much of a request as is looked at, to say what it was.
pub(in crate::proxy) const HEAD_BYTES_MAX: usize = 512;

/// What an error is counted under whose command is not known any more.
const UNKNOWN: &str = "unknown";

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

    /// Whether the first request on this connection, whose reply is here, took so long that it is looked
    /// at.
    #[inline]
    pub(in crate::proxy) fn is_looked_at(&self, key: Key, now: Time) -> bool {
        let conn = &self.servers[key];
        let Some(pending) = conn.requests.next_sent() else {
            return false;
        };
        let sent_at = conn.requests.next_sent_at();
        let took = now.micros_since(sent_at) + pending.micros_in_proxy(sent_at);
        took >= self.pools[conn.pool.index()].looked_at_micros
    }

    /// Looks at it, whose reply has so many bytes: keeps it in the slow log, and shows it.
    #[cold]
    pub(in crate::proxy) fn look_at_reply(&mut self, key: Key, reply_bytes: usize, now: Time) {
        if !self.observers.is_empty() {
            self.observe_reply(key, reply_bytes);
        }
        self.record_slow(key, reply_bytes, now);
    }

    fn record_slow(&mut self, key: Key, reply_bytes: usize, now: Time) {
        let conn = &self.servers[key];
        let pool = conn.pool;
        let slow_micros = self.pools[pool.index()].slow_micros;
        // Whoever waits by his own wish is not slow, and nobody waits for a late reply any more.
        let counts = |pending: &&Pending| {
            pending.family() != Family::Blocking && !pending.awaiter.is_buried()
        };
        let Some(pending) = conn.requests.next_sent().filter(counts) else {
            return;
        };
        let sent_at = conn.requests.next_sent_at();
        if now.micros_since(sent_at) + pending.micros_in_proxy(sent_at) < slow_micros {
            return;
        }
        let slow = SlowRequest {
            reply_bytes: reply_bytes as u64,
            ..self.describe_slow(key, pending, sent_at, now)
        };
        let most = self.pools[pool.index()].config.slow_log.length as usize;
        self.records.pool(pool).slow.push(slow, most);
    }

    fn describe_slow(&self, key: Key, pending: &Pending, sent_at: Time, now: Time) -> SlowRequest {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let head = conn.requests.first_head(HEAD_BYTES_MAX);
        let args = pool.protocol.leading_args(&head);
        let command = pool.protocol.command_of(&args);
        let first_key = command.and_then(|command| command.first_key(&args[..]).ok().flatten());
        let first_key = first_key.filter(|_| pool.config.slow_log.keys);
        let first_key = first_key.and_then(|index| args.get(index));
        let client = self.clients.slab.find(pending.awaiter.client);
        SlowRequest {
            at: self.worker.epoch_micros(now),
            client: client.and_then(|client| client.session.peer()),
            name: client.map_or_else(String::new, |client| {
                slow::shown_name(client.session.name())
            }),
            command: command.map_or(UNKNOWN, |command| command.name),
            key: first_key.map_or_else(String::new, |key| slow::shown_key(key)),
            request_bytes: pending.bytes.into(),
            reply_bytes: 0,
            server: conn.server,
            held: pending.held_micros(),
            queued: sent_at.micros_since(pending.since()),
            at_server: now.micros_since(sent_at),
        }
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
