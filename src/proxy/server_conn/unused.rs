//! Connections of a kind that clients have to ask for: another database, another protocol version.
//!
//! Owns: that they end when nobody has used them for long, and that a server that refuses one has not
//! failed: any client can ask for a database that a server does not have. Never: opens a connection.

use std::time::Duration;

use crate::base::Key;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::failure::Answer;
use crate::proxy::failure::Failure;
use crate::proxy::failure::Outcome;
use crate::proxy::server_conn::ServerPhase;

/// Longer than the pause of a job that comes every minute, and short enough that a database that was
/// looked into once does not cost every server a connection for days.
const UNUSED: Duration = Duration::from_secs(300);

impl Proxy {
    /// Sees that a connection is looked at when nobody may have used it for long.
    pub(in crate::proxy) fn time_unused(&mut self, key: Key) {
        let conn = &self.servers[key];
        if self.pools[conn.pool.index()].is_extra(conn.kind) {
            self.look_again(key, conn.incoming.last_heard() + UNUSED);
        }
    }

    /// Closes a connection on which requests could flow, if nobody has used it for long: whether so.
    pub(in crate::proxy) fn close_if_unused(&mut self, key: Key, now: Time) -> bool {
        let conn = &self.servers[key];
        let pool = &self.pools[conn.pool.index()];
        if !pool.is_extra(conn.kind) {
            return false;
        }
        let is_idle = conn.requests.is_empty() && conn.sending.is_idle();
        if !is_idle || now < conn.incoming.last_heard() + UNUSED {
            self.look_again(key, now.max(conn.incoming.last_heard()) + UNUSED);
            return false;
        }
        let (name, server) = (&pool.config.name, &pool.servers[conn.server.index()].name);
        let database = conn.kind.database;
        tracing::debug!(pool = %name, %server, database, "server connection closed: nobody uses it");
        self.standing(conn.pool, conn.server)
            .unused_connections
            .add(1);
        self.close_server_conn(key);
        true
    }

    /// A server does not have what the clients of a connection want of it: they are told, and it is not
    /// asked again before the next request.
    pub(in crate::proxy) fn refuse_kind(&mut self, key: Key, failure: &Failure) {
        self.vacate(key);
        let conn = &mut self.servers[key];
        debug_assert!(
            conn.life.phase() == ServerPhase::Closed,
            "refused in its greeting"
        );
        conn.incoming.forget();
        let (pool, server) = (&self.pools[conn.pool.index()], conn.server.index());
        let (pool, server) = (&pool.config.name, &pool.servers[server].name);
        tracing::info!(%pool, %server, %failure, "server refused what a client has asked for");
        let count = conn.requests.len();
        self.fail_unsent(key, count, Answer::Server(failure, Outcome::NotDone));
    }
}
