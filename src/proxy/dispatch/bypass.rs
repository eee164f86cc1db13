//! The way around a server connection that carries something large.
//!
//! Owns: which of two connections to a server a client uses: its own, or the one beside it, while
//! its own is busy with a large request or reply of another's. A client changes over only while
//! none of its requests is under way, so its requests never overtake each other: also none that has
//! timed out and may still be done. Never: opens a connection.

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::way::Way;
use crate::proxy::pool::replicas::Target;
use crate::proxy::server_conn::ServerConn;
use crate::proxy::server_conn::queue::BATCH_BYTES_MAX;
use crate::proxy::server_conn::queue::Pending;

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
    pub(in crate::proxy) fn choose_way(
        &mut self,
        client: Key,
        pool: PoolIdx,
        servers: impl IntoIterator<Item = (ServerIdx, Target)>,
        now: Time,
    ) {
        if self.clients.slab[client].replies.in_flight() > 0 {
            return;
        }
        let servers_of_pool = &self.pools[pool.index()].servers;
        let detour = servers.into_iter().any(|(server, target)| {
            let server = &servers_of_pool[server.index()];
            let conn = server.conns_to(target)[server.own_place(client)];
            let has_room = server.room_again.is_none();
            has_room && conn != Key::NONE && self.servers[conn].is_busy()
        });
        let before = &self.clients.slab[client];
        let way = match (before.breaks.are_a_habit(now), detour) {
            (true, _) => Way::Apart,
            (_, true) => Way::Around,
            _ => Way::Own,
        };
        if before.way != way && !self.may_be_done_late(client) {
            self.clients.slab[client].way = way;
        }
    }

    /// A request has timed out on a connection on which it was sent.
    pub(in crate::proxy) fn bury(&mut self, conn: Key, buried: &Pending) {
        if buried.writes() {
            if !self.graves.contains(&conn) {
                self.forget_graves();
                self.graves.push(conn);
            }
            self.write_is_late(conn, buried.awaiter.client);
        }
    }

    /// Whether a write of a client that has timed out may still be done somewhere.
    fn may_be_done_late(&mut self, client: Key) -> bool {
        self.forget_graves();
        let mut graves = self.graves.iter();
        graves.any(|conn| {
            self.servers[*conn]
                .requests
                .late_writers()
                .contains(&client)
        })
    }

    fn forget_graves(&mut self) {
        let mut graves = std::mem::take(&mut self.graves);
        graves.retain(|conn| self.is_late(*conn));
        self.graves = graves;
    }
}
