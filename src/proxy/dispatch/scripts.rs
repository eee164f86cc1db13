//! Scripts that a server does not know.
//!
//! ```text
//!   EVALSHA … ──► server ──► -NOSCRIPT     it has restarted, or a client has shown the script to another
//!   EVAL source … ──► server ──► reply     the same place in the order, on the same connection
//! ```
//!
//! `NOSCRIPT` means that nothing was done, so asking again is safe, unless the client has sent something behind
//! it that would be overtaken. A script that could have said `NOSCRIPT` itself is not asked again.
//!
//! Owns: what is asked again. Never: keeps a source, which is `scripts`'s.

use std::sync::Arc;

use crate::base::Key;
use crate::messages::ScriptFact;
use crate::messages::ScriptNews;
use crate::protocol::Request;
use crate::proxy::Proxy;
use crate::proxy::dispatch::desk::Desk;
use crate::proxy::effects::ConnId;
use crate::proxy::effects::Output;

impl Desk<'_> {
    /// A client says something that may be about a script.
    #[cold]
    pub(in crate::proxy) fn hear_of_script(&mut self, request: &Request<'_>) {
        let pool = self.client.pool;
        let told = self.scripts.hear(pool, request);
        if let Some(what) = told.filter(|_| self.worker.workers > 1) {
            self.wire.put(Output::Script(ScriptNews {
                teller: self.worker.idx,
                pool,
                what,
            }));
        }
    }
}

impl Proxy {
    /// Another worker's client has told something of a script.
    pub fn hear_script(&mut self, news: &ScriptNews) {
        match &news.what {
            ScriptFact::Flushed => self.scripts.forget(news.pool),
            ScriptFact::Source { sha1, source } => {
                self.scripts.keep((news.pool, *sha1), Arc::clone(source));
            }
        }
    }

    /// A server does not know the script that the request whose turn it is calls: whether that is asked
    /// again, with the source.
    pub(in crate::proxy) fn asks_with_source(&mut self, key: Key) -> bool {
        let conn = &mut self.servers[key];
        let protocol = self.pools[conn.pool.index()].protocol;
        let Some(first) = conn.requests.next_sent().copied() else {
            return false;
        };
        if !self.clients.awaits(first.awaiter) || !conn.requests.may_ask_first_again() {
            return false;
        }
        let size = first.bytes as usize;
        let (frame, mut args) = (conn.requests.first_head(size), Vec::new());
        // It may not be kept.
        let whole = frame.len() == size && protocol.cut_request(&frame, &mut args).is_ok();
        if !whole || args.is_empty() {
            return false;
        }
        let again = self
            .scripts
            .again(conn.pool, &Request::whole(&frame, &args));
        let Some(words) = again else {
            return false;
        };
        let mut frame = Vec::new();
        protocol.write_words(&words, &mut frame);
        let (spare, gauges) = (&mut self.wire.spare, conn.counters(&self.stats));
        conn.requests.requeue_first_as(&frame, spare, gauges);
        if let Some(client) = self.clients.slab.find_mut(first.awaiter.client) {
            client.replies.request_resized(size, frame.len());
        }
        conn.sending.list(ConnId::Server(key), &mut self.wire);
        true
    }
}
