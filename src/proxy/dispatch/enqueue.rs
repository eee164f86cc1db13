//! The way of a request into a server connection's queue, and of the queue onto the wire.
//!
//! Owns: which requests wait for a server that is down. Never: knows what a request says.

use crate::base::Batch;
use crate::base::Key;
use crate::base::Time;
use crate::config::OnServerFailure;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::failure::RequestError;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::Pending;
use crate::proxy::server_conn::queue::RequestQueue;
use crate::proxy::server_conn::reconnect;

impl Proxy {
    /// Sees that a request of `client` that was put into the FIFO, and counted, is sent and timed.
    pub(in crate::proxy) fn request_passed_on(&mut self, key: Key, client: Key, now: Time) {
        let conn = &mut self.servers[key];
        conn.asked = true;
        if self.refuse_newer(key) {
            return;
        }
        let conn = &mut self.servers[key];
        if conn.is_open() {
            conn.sending.list(ConnId::Server(key), &mut self.wire);
        } else if !self.may_wait(key, now) {
            return;
        }
        self.time_request(key, now);
        let conn = &self.servers[key];
        let limits = &self.pools[conn.pool.index()].config.limits;
        let client = &mut self.clients.slab[client];
        self.full_queues
            .stop_if_full((key, conn), client, limits.server_queue_bytes);
    }

    /// Whether the request that was queued last may wait for a connection; else it has its error.
    fn may_wait(&mut self, key: Key, now: Time) -> bool {
        let mut finds_out = false;
        if let ServerPhase::Down { since, retry_at } = self.servers[key].life.phase() {
            // Somebody asks: the next attempt comes sooner. If the last one was a while ago nobody
            // knows what the server would say now, and who asks first finds out.
            let soon = since + reconnect::ASKED;
            if soon <= now {
                finds_out = true;
                self.attempt(key, now);
            } else if soon < retry_at {
                let retry_at = soon;
                let sooner = ServerPhase::Down { since, retry_at };
                self.servers[key].life.set_phase(sooner);
                self.look_again(key, soon);
            }
        }
        let conn = &self.servers[key];
        if !conn.is_down() && !conn.rests.is_resting() {
            return true;
        }
        let config = &self.pools[conn.pool.index()].config;
        let excess = match config.failure.policy {
            OnServerFailure::Hold if conn.requests.held_bytes() <= config.failure.hold_bytes => {
                return true;
            }
            OnServerFailure::Hold => true,
            _ if finds_out => return true,
            _ => false,
        };
        if excess {
            self.fail_last(key, Answer::Request(RequestError::TooManyHeld));
        } else {
            let cause = self.cause_of(key).clone();
            self.fail_last(key, Answer::Server(&cause, Outcome::NotDone));
        }
        false
    }

    /// Answers the youngest requests of those that came while it was not yet known that they would
    /// have to be held, as far as they are too many.
    pub(in crate::proxy) fn refuse_excess(&mut self, key: Key) {
        let limit = self.pools[self.servers[key].pool.index()]
            .config
            .failure
            .hold_bytes;
        let answer = Answer::Request(RequestError::TooManyHeld);
        let too_much = |requests: &RequestQueue| requests.held_bytes() > limit;
        while too_much(&self.servers[key].requests) && self.fail_last(key, answer) {}
    }

    /// Why there is no connection.
    pub(in crate::proxy) fn cause_of(&self, key: Key) -> &Failure {
        let cause = self.servers[key].attempts.cause();
        cause.unwrap_or(&Failure::TimedOut)
    }

    /// Answers the requests that a server lacks which has told so, as far as they are not sent: whether
    /// there are any.
    pub(in crate::proxy) fn refuse_newer(&mut self, key: Key) -> bool {
        let conn = &mut self.servers[key];
        if !conn.older {
            return false;
        }
        let protocol = self.pools[conn.pool.index()].protocol;
        let gauges = conn.counters(&self.stats);
        let is_newer = |pending: &Pending| protocol.is_newer(pending.expect());
        let spare = &mut self.wire.spare;
        let refused = conn.requests.drop_unsent(is_newer, spare, gauges);
        for pending in &refused {
            self.answer_failed(key, pending, Answer::Request(RequestError::TooNew));
        }
        !refused.is_empty()
    }

    /// Answers the request that was queued last, if there is one that is not sent.
    fn fail_last(&mut self, key: Key, answer: Answer<'_>) -> bool {
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        let Some(last) = conn.requests.drop_last(gauges) else {
            return false;
        };
        self.answer_failed(key, &last, answer);
        true
    }

    pub(in crate::proxy) fn take_server_batch(&mut self, key: Key, now: Time) -> Option<Batch> {
        let conn = self.servers.find_mut(key)?;
        conn.sending.unlist();
        if conn.older {
            // Whatever way they have come here.
            self.refuse_newer(key);
        }
        let conn = self.servers.find_mut(key)?;
        if !conn.sending.is_idle() || !conn.has_bytes() || self.write_holds.stops(conn) {
            return None;
        }
        // Where clients listen, nothing is asked but that.
        if matches!(conn.life.phase(), ServerPhase::Greeting { .. }) || conn.is_feed() {
            let batch = conn.greeting.take();
            conn.sending.begin(&batch);
            return Some(batch);
        }
        let gauges = conn.counters(&self.stats);
        if !conn.greeting.is_empty() {
            return Some(conn.send_question(gauges));
        }
        let batch = conn.requests.take_batch(now, gauges);
        conn.sending.begin(&batch);
        Some(batch)
    }

    /// A batch was sent.
    pub(in crate::proxy) fn server_sent(&mut self, key: Key, batch: Batch, now: Time) {
        let Some(conn) = self.servers.find_mut(key) else {
            self.wire.spare.give_batch(batch);
            return;
        };
        conn.sending.end();
        if conn.life.phase() == ServerPhase::Closed {
            if conn.replica.is_some() && !conn.requests.is_empty() {
                conn.requests.batch_sent(batch, &mut self.wire.spare);
                self.ask_all_elsewhere(key, &Failure::ClosedByServer, now);
            } else {
                self.wire.spare.give_batch(batch);
            }
            return;
        }
        conn.requests.batch_sent(batch, &mut self.wire.spare);
        let is_silent = conn.requests.next_expected().is_none();
        if conn.has_bytes() {
            conn.sending.list(ConnId::Server(key), &mut self.wire);
        }
        if is_silent {
            self.end_silent(key);
        }
    }
}
