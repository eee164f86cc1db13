//! The way around a server connection that carries something large.
//!
//! Owns: which of two connections to a server a client uses: its own, or the one beside it, while
//! its own is busy with a large request or reply of another's. A client changes over only while
//! none of its requests is under way, so its requests never overtake each other: also none that has
//! timed out and may still be done. Never: opens a connection.

use crate::base::Key;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::client::way::Way;
use crate::proxy::dispatch::desk::Desk;
use crate::proxy::pool::replica::Target;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::queue::BATCH_BYTES_MAX;

/// Who comes behind no more bytes than these waits for them: they take less than a millisecond. A
/// batch has more only if one request alone has.
const LARGE_BYTES: usize = BATCH_BYTES_MAX;

impl ServerConn {
    /// Whether so much is still to pass that others had better not wait for it.
    fn is_busy(&self) -> bool {
        let to_come = self
            .incoming
            .assembly()
            .map_or(0, |reply| reply.left_bytes());
        self.sending.bytes > LARGE_BYTES || to_come > LARGE_BYTES
    }
}

impl Desk<'_> {
    /// Chooses the way of the client's next request, which goes to these `targets`; `beside` says that it
    /// must not wait for what is under way there.
    #[inline]
    pub(in crate::proxy) fn choose_way(
        &mut self,
        targets: impl IntoIterator<Item = (ServerIdx, Target)>,
        beside: bool,
        now: Time,
    ) {
        if self.client.replies.in_flight() > 0 {
            return;
        }
        let (pool, servers) = (self.pool, &*self.servers);
        let (kind, client) = (pool.kind_of(self.client), self.client.key());
        let detour = beside
            || targets.into_iter().any(|(server, target)| {
                let server = &pool.servers[server.index()];
                let (_, conn) = server.conns_to(target).of_client(kind, client, Way::Own);
                let has_room = server.room_again.is_none();
                has_room && conn != Key::NONE && servers[conn].is_busy()
            });
        let way = match (self.client.breaks.are_a_habit(now), detour) {
            (true, _) => Way::Apart,
            (_, true) => Way::Around,
            _ => Way::Own,
        };
        if self.client.way != way && !self.late_writes.any_of(client, servers) {
            self.client.way = way;
            if way != Way::Own {
                let traffic = &self.stats.pools[self.client.pool.index()].traffic;
                traffic.detours.add(1);
            }
        }
    }
}
