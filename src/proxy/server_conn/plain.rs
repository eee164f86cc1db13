//! Replies of which nothing is to be known but whose they are: nearly all.
//!
//! Such a reply lies whole in what was received, is no error, and its request is one of a client's that
//! gets one reply; its connection is a shared one to the server itself, on which nothing else is going
//! on. It is paired, recorded and given, and nothing follows from it. So what that takes is looked
//! up once for all that have come together.
//!
//! Owns: what makes a reply plain. Never: takes one of which more is to be known: `reader` does.

use crate::base::Chunk;
use crate::base::Key;
use crate::base::Time;
use crate::protocol::ReplyKind;
use crate::proxy::Proxy;
use crate::proxy::client::Reply;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::ServerPhase;
use crate::proxy::server_conn::queue::count_answered;

impl ServerConn {
    /// Whether a reply here says nothing of the connection, unless it is an error.
    #[inline]
    fn is_plain(&self) -> bool {
        self.life.phase() == ServerPhase::Ready
            && !self.incoming.is_assembling()
            && !self.doubt.is_due()
            && self.incoming.unreadable().is_none()
            && self.exclusive.is_none()
            && self.replica.is_none()
            && self.tenure.successor().is_none()
    }
}

impl Proxy {
    /// Takes the plain replies at `chunk[at..]`, up to the first that is none: where that begins.
    #[inline]
    pub(super) fn take_plain<C: Chunk>(
        &mut self,
        key: Key,
        chunk: &C,
        mut at: usize,
        now: Time,
    ) -> usize {
        let Some(conn) = self.servers.find_mut(key).filter(|conn| conn.is_plain()) else {
            return at;
        };
        let pool = &self.pools[conn.pool.index()];
        // The next good reply of one that has failed is reported.
        if pool.servers[conn.server.index()].suspect {
            return at;
        }
        let protocol = pool.protocol;
        let (looked_at_micros, looked_at_bytes) = (pool.slow_micros, pool.looked_at_bytes);
        let (mut replies, mut reply_bytes, mut request_bytes) = (0, 0, 0);
        while let Some(pending) = conn.requests.next_plain().copied() {
            debug_assert_eq!(conn.requests.next_expected(), pending.expect());
            let cut = protocol.cut_reply(conn.kind.version, pending.expect(), &chunk.bytes()[at..]);
            let Ok(Some(cut)) = cut else { break };
            if matches!(cut.kind, ReplyKind::Error | ReplyKind::Message) {
                break;
            }
            let sent_at = conn.requests.next_sent_at();
            let at_server = now.micros_since(sent_at);
            let in_proxy = pending.micros_in_proxy(sent_at);
            let is_slow = at_server + in_proxy >= looked_at_micros;
            // One branch: hardly any is either.
            if is_slow | (cut.bytes >= looked_at_bytes) {
                break;
            }
            conn.requests.pair_plain(&mut self.wire.spare);
            let of = (conn.pool, conn.server, pending.family());
            self.records.latencies.record(of, at_server, in_proxy);
            let bytes = pending.bytes as usize;
            let reply = Reply::InChunk(chunk, at..at + cut.bytes);
            self.clients
                .deliver(pending.awaiter, reply, bytes, &mut self.wire);
            at += cut.bytes;
            replies += 1;
            reply_bytes += cut.bytes;
            request_bytes += bytes;
        }
        let stats = conn.counters(&self.stats);
        stats.responses.add(replies);
        stats.response_bytes.add(reply_bytes);
        count_answered(replies, request_bytes, stats);
        if replies > 0 && conn.requests.next_expected().is_none() && conn.sending.is_idle() {
            self.end_silent(key);
        }
        at
    }
}
