//! Clients whose requests break server connections time and again, apart from all others.
//!
//! A request may be one that a server ends its connection for: a value that is larger than the server's
//! `proto-max-bulk-len`, a script that crashes it. Who shares the connection loses what was sent. So who
//! does that again and again gets a connection that only the likes of it use.
//!
//! Owns: who has broken a connection, as far as that can be told, and for how long it is kept apart.
//! Never: refuses a request; opens a connection.

use crate::base::Key;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::failure::Failure;

/// Whether the request whose reply was the next to come may be the reason.
pub(in crate::proxy) fn may_be_provoked(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::ClosedByServer | Failure::System(_) | Failure::BadReply(_)
    )
}

impl Proxy {
    /// A connection has ended, it seems by this client's request.
    pub(in crate::proxy) fn charge(&mut self, client: Key, now: Time) {
        let Some(client) = self.clients.slab.find_mut(client) else {
            return;
        };
        let before = client.breaks.are_a_habit(now);
        client.breaks.add(now);
        if !before && client.breaks.are_a_habit(now) {
            tracing::warn!(
                pool = %self.pools[client.pool.index()].config.name,
                client = client.session.id(),
                command = client.session.command(),
                "client keeps breaking server connections: it gets others than its neighbours"
            );
        }
    }
}
