//! The way around a server connection that carries something large.
//!
//! Owns: which of two connections to a server a client uses: its own, or the one beside it, while
//! its own is busy with a large request or reply of another's. A client changes over only while
//! none of its requests is under way, so its requests never overtake each other. Never: opens a
//! connection.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::proxy::Proxy;
use crate::proxy::replicas::End;
use crate::proxy::server::BATCH_BYTES_MAX;
use crate::proxy::server::ServerConn;

/// Who comes behind no more bytes than these waits for them: they take less than a millisecond. A
/// batch has more only if one request alone has.
const LARGE_BYTES: usize = BATCH_BYTES_MAX;

impl ServerConn {
    /// Whether so much is still to pass that others had better not wait for it.
    fn is_busy(&self) -> bool {
        let to_come = self.assembly.as_ref().map_or(0, |reply| reply.left_bytes());
        self.sending.bytes > LARGE_BYTES || to_come > LARGE_BYTES
    }
}

impl Proxy {
    /// Chooses the way of a client's next request, which goes to `servers`.
    #[inline]
    pub(super) fn choose_way(
        &mut self,
        client: Key,
        pool: PoolIdx,
        servers: impl IntoIterator<Item = (ServerIdx, End)>,
    ) {
        if self.clients.slab[client].requests_in_flight() > 0 {
            return;
        }
        let servers_of_pool = &self.pools[pool.index()].servers;
        let detour = servers.into_iter().any(|(server, end)| {
            let server = &servers_of_pool[server.index()];
            let conn = server.conns_to(end)[server.own_place(client)];
            conn != Key::NONE && self.servers[conn].is_busy()
        });
        self.clients.slab[client].detour = detour;
    }
}
