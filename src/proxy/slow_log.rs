//! Requests that took long: what is kept of them for people, and for clients who ask (`SLOWLOG`).
//!
//! It is kept twice, for each may be forgotten without the other: in the records, which the control plane
//! takes, and in the pool, which is what clients of the pool are told.
//!
//! Owns: which requests count, and how one is described. Never: a value.

use std::time::Duration;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::recording::UNKNOWN;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::heads::HEAD_BYTES_MAX;
use crate::proxy::server_conn::queue::heads::OnItsWay;
use crate::telemetry::Family;
use crate::telemetry::slow;
use crate::telemetry::slow::SlowRequest;

/// Whoever waits by his own wish is not slow, and nobody waits for a late reply any more.
fn counts(pending: &Pending) -> bool {
    pending.family() != Family::Blocking && !pending.awaiter.is_buried()
}

impl Proxy {
    /// Keeps the first request on this connection, whose reply of so many bytes is here, if it took long.
    pub(in crate::proxy) fn record_slow(&mut self, key: Key, reply_bytes: usize, now: Time) {
        let conn = &self.servers[key];
        let Some(first) = conn.requests.next_sent().copied() else {
            return;
        };
        let sent_at = conn.requests.next_sent_at();
        let took = now.micros_since(sent_at) + first.micros_in_proxy(sent_at);
        if took < self.pools[conn.pool.index()].slow_micros || !counts(&first) {
            return;
        }
        let asked = OnItsWay {
            pending: first,
            sent_at: Some(sent_at),
            head: conn.requests.first_head(HEAD_BYTES_MAX),
        };
        let slow = SlowRequest {
            reply_bytes: reply_bytes as u64,
            ..self.describe_slow(key, &asked, now)
        };
        self.keep_slow(conn.pool, slow);
    }

    /// Keeps those on this connection that get an error now, because they wait for longer than `timeout`.
    pub(in crate::proxy) fn record_late(&mut self, key: Key, timeout: Duration, now: Time) {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        if u128::from(pool.slow_micros) > timeout.as_micros() {
            return;
        }
        let most = pool.config.slow_log.length as usize;
        for asked in conn.requests.latest(timeout, now, most) {
            if counts(&asked.pending) && asked.pending.awaiter.client != Key::NONE {
                let slow = SlowRequest {
                    timed_out: true,
                    ..self.describe_slow(key, &asked, now)
                };
                self.keep_slow(self.servers[key].pool, slow);
            }
        }
    }

    fn keep_slow(&mut self, idx: PoolIdx, slow: SlowRequest) {
        let worker = &self.worker;
        let pool = &mut self.pools[idx.index()];
        let most = pool.config.slow_log.length as usize;
        let nth = pool.slow_log.count * u64::from(worker.workers) + worker.idx.index() as u64;
        let slow = SlowRequest {
            id: slow::id(slow.at, nth),
            ..slow
        };
        pool.slow_log.push(slow.clone(), most);
        self.records.pool(idx).slow.push(slow, most);
    }

    fn describe_slow(&self, key: Key, asked: &OnItsWay, now: Time) -> SlowRequest {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        let args = pool.protocol.leading_args(&asked.head);
        let command = pool.protocol.command_of(&args);
        let first_key = command.and_then(|command| command.first_key(&args[..]).ok().flatten());
        let first_key = first_key.filter(|_| pool.config.slow_log.keys);
        let first_key = first_key.and_then(|index| args.get(index));
        let pending = &asked.pending;
        let client = self.clients.slab.find(pending.awaiter.client);
        let sent_at = asked.sent_at.unwrap_or(now);
        SlowRequest {
            id: 0,
            number: 0,
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
            timed_out: false,
        }
    }
}
