//! What the statistics call a client's end.
//!
//! Owns: that each is counted once, by what came first (twemproxy: src/nc_client.c,
//! client_close_stats). Never: ends one.

use crate::base::Key;
use crate::proxy::Proxy;

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum End {
    /// By its own wish: it has sent its last word, or `QUIT`, whose answer it need not await.
    Eof,
    /// By anything else.
    Err,
}

impl Proxy {
    pub(in crate::proxy) fn count_end(&mut self, key: Key, end: End) {
        let client = &mut self.clients.slab[key];
        if !client.life.take_end_count() {
            return;
        }
        let counters = &self.stats.pools[client.pool.index()].counters;
        match end {
            End::Eof => counters.client_eof.add(1),
            End::Err => counters.client_err.add(1),
        }
    }
}
