//! What comes back for a transaction that was sent in one piece.
//!
//! ```text
//!   MULTI   SET …     INCR …    EXEC
//!   +OK     +QUEUED   -OOM …    -EXECABORT … previous errors.
//!   swallowed, each looked at ──┘      │
//!              the client reads: -EXECABORT Transaction discarded because of: OOM …
//! ```
//!
//! Owns: that a client is told what its server has refused, and not only that it has; that a server
//! that is left within a transaction, or was never in one, gets no other's request on that
//! connection. Never: sends a transaction again.

use crate::base::Chunk;
use crate::base::Key;
use crate::base::Time;
use crate::protocol::BatchPart;
use crate::protocol::Cut;
use crate::protocol::ErrorClass;
use crate::protocol::ReplyKind;
use crate::proxy::Proxy;
use crate::proxy::client::Reply;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;

/// As much of a refusal as is told.
const REFUSAL_BYTES_MAX: usize = 512;

impl Proxy {
    /// A reply to a part of a batch, behind so many: its client hears nothing of it.
    pub(in crate::proxy) fn take_part<C: Chunk>(
        &mut self,
        key: Key,
        before: u16,
        reply: &Reply<'_, C>,
    ) -> Result<(), Failure> {
        let conn = &mut self.servers[key];
        let protocol = self.pools[conn.pool.index()].protocol;
        let head = reply.head(REFUSAL_BYTES_MAX);
        let began = conn.requests.refusal().is_none_or(|first| !first.at_once);
        match protocol.batch_part(before == 0, &head) {
            BatchPart::Taken => Ok(()),
            BatchPart::Refused => {
                conn.requests.refuse_part(|| protocol.error_text(&head));
                Ok(())
            }
            // Where no transaction began, each request is answered for itself.
            BatchPart::Odd if !began => Ok(()),
            BatchPart::Odd => Err(Failure::OddBatch),
        }
    }

    /// The last reply to a batch.
    pub(in crate::proxy) fn end_batch<C: Chunk>(
        &mut self,
        key: Key,
        reply: Reply<'_, C>,
        cut: Cut,
        now: Time,
    ) -> Result<(), Failure> {
        let requests = &self.servers[key].requests;
        let (refusal, refused_all) = (requests.refusal().cloned(), requests.refused_all());
        let is_error = cut.kind == ReplyKind::Error && !requests.is_streaming();
        let protocol = self.pools[self.servers[key].pool.index()].protocol;
        let head = is_error.then(|| reply.head(REFUSAL_BYTES_MAX));
        let Some(head) = head else {
            return match refusal {
                None => self.give_reply(key, reply, cut.bytes, ErrorClass::Request, now),
                // It has done what it had refused.
                Some(_) => Err(Failure::OddBatch),
            };
        };
        let (mut told, reason) = (Vec::new(), refusal.map(|first| (first.text, first.at_once)));
        let class = match reason {
            // Of what began no transaction, some may have been done, each part by itself.
            Some((text, true)) => {
                let outcome = match refused_all {
                    true => Outcome::NotDone,
                    false => Outcome::Unknown,
                };
                told = Answer::Server(&Failure::Refused(text.clone()), outcome).encode(protocol);
                protocol.classify_text(&text)
            }
            // The server is within the transaction still.
            _ if !protocol.is_discarded(&head) => return Err(Failure::OddBatch),
            Some((text, false)) => {
                protocol.write_discarded(&text, &mut told);
                protocol.classify_text(&text)
            }
            None => {
                let reason = protocol.discarded_for(&head);
                reason.map_or(ErrorClass::Request, |error| protocol.classify(&error))
            }
        };
        if class.is_demoted() {
            self.ask_server(key, class, now);
        }
        self.record_batch_error(key);
        match told.is_empty() {
            true => self.give_reply(key, reply, cut.bytes, class, now),
            false => self.give_reply(key, Reply::<C>::Own(&told), cut.bytes, class, now),
        }
    }
}
