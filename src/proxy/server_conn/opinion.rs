//! A second opinion on a server, from itself.
//!
//! ```text
//!   EVAL … ◄── -LOADING anything ──┐          the client is told, and nobody else
//!   PING   ◄── +PONG ──────────────┘          and the server is well
//! ```
//!
//! The text of an error may be a script's, and one request decides nothing for others. So what such
//! a text seems to say of a server is asked on the same connection, behind what was sent.
//!
//! Owns: the question, when it is put, and what its answer means. Never: delays a request.

use crate::base::Key;
use crate::base::Time;
use crate::protocol::ErrorClass;
use crate::protocol::Login;
use crate::protocol::Question;
use crate::protocol::Role;
use crate::protocol::Told;
use crate::proxy::Proxy;
use crate::proxy::effects::ConnId;
use crate::proxy::failure::Failure;
use crate::proxy::server_conn::ServerPhase;

impl Proxy {
    /// An error of this class seems to say something of its server: asks the server.
    pub(in crate::proxy) fn ask_server(&mut self, key: Key, class: ErrorClass, now: Time) {
        let conn = &mut self.servers[key];
        if conn.life.phase() != ServerPhase::Ready
            || conn.tenure.is_leaving()
            || !conn.doubt.may_ask(now)
        {
            return;
        }
        let pool = &self.pools[conn.pool.index()];
        let question = match conn.replica {
            _ if class.is_transient() => Question::Serves,
            Some(_) if class.is_demoted() => Question::Role,
            None if class.is_demoted() && pool.follows_sentinels => Question::Role,
            _ => return,
        };
        let question = pool.protocol.greeting(&Login::default(), Some(question));
        conn.greeting
            .push_copy(&question.bytes, &mut self.wire.spare);
        conn.doubt.ask(now);
        conn.sending.list(ConnId::Server(key), &mut self.wire);
    }

    /// The server has answered what it was asked of itself.
    pub(in crate::proxy) fn server_answered(
        &mut self,
        key: Key,
        answer: &[u8],
        now: Time,
    ) -> Result<(), Failure> {
        let conn = &mut self.servers[key];
        let gauges = conn.counters(&self.stats);
        let Some(pending) = conn.requests.pair(&mut self.wire.spare, gauges) else {
            return Err(Failure::Unasked);
        };
        conn.doubt.end();
        let protocol = self.pools[conn.pool.index()].protocol;
        let class = protocol.classify(answer);
        let told = protocol.told(answer);
        if self.servers[key].replica.is_some() {
            if class.is_unfit() {
                return Err(Failure::Unfit(protocol.error_text(answer)));
            }
            if matches!(told, Told::Role(role) if role != Role::ReplicaInStep) {
                return Err(Failure::NotInStep);
            }
        } else if matches!(told, Told::Role(role) if role != Role::Master) {
            return Err(Failure::NotMaster);
        }
        self.server_spoke(key, class, pending.since(), now);
        Ok(())
    }
}
