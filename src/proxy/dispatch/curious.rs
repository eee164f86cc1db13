//! Clients whose next request is answered by what servers say of themselves: `HELLO`, `INFO`.
//!
//! ```text
//!   HELLO, INFO ──► is it known of every server? ── no ──► the client is read no further, and each
//!                                                          server is asked on a connection of RESP3
//!   all have answered, or cannot be asked ──► the request is read, and answered by what is known
//! ```
//!
//! Owns: who waits for a server's word, and that it is asked for. Never: delays a client that does not ask;
//! keeps what servers have said, which is `pool/knowledge`'s.

use std::time::Duration;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::protocol::Version;
use crate::protocol::command::Local;
use crate::proxy::Proxy;
use crate::proxy::client::Client;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::failure::RequestError;
use crate::proxy::plan::Plan;
use crate::proxy::pool::Pool;
use crate::proxy::pool::conns::ConnKind;
use crate::proxy::pool::conns::Lane;
use crate::proxy::pool::conns::Place;
use crate::proxy::pool::knowledge::Knowledge;
use crate::proxy::pool::replica::Target;
use crate::proxy::server_conn::ServerPhase;

/// A server that could not be asked is asked again after so long.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// Clients that are read no further before servers have said what they are.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Curious {
    clients: Vec<Key>,
}

impl Curious {
    /// Whether nobody waits for a server's word.
    #[inline]
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Stops a client whose next request is answered by what servers have said, if they have not.
    #[inline]
    pub(in crate::proxy) fn stop(
        &mut self,
        client: &mut Client,
        pool: &Pool,
        planned: &Result<Plan, RequestError>,
        now: Time,
    ) -> bool {
        match planned {
            Ok(Plan::Answer(Local::Hello | Local::Info)) => self.stop_if_unknown(client, pool, now),
            _ => false,
        }
    }

    fn stop_if_unknown(&mut self, client: &mut Client, pool: &Pool, now: Time) -> bool {
        let is_enough = pool.knowledge().all(|known| known.is_enough(now));
        if !is_enough {
            client.pauses.add(PauseReason::Curious);
            self.clients.push(client.key());
        }
        !is_enough
    }
}

impl Proxy {
    /// Asks the servers whose word is waited for, and lets those go on who need not wait any more.
    pub(in crate::proxy) fn satisfy_curious(&mut self, now: Time) {
        let clients = std::mem::take(&mut self.curious.clients);
        let slab = &self.clients.slab;
        let pools = clients
            .iter()
            .filter_map(|client| slab.find(*client).map(|client| client.pool));
        let mut pools: Vec<PoolIdx> = pools.collect();
        pools.sort_unstable();
        pools.dedup();
        pools.retain(|pool| {
            let servers = self.pools[pool.index()].live_servers();
            let known = servers
                .into_iter()
                .map(|server| self.ask_release(*pool, server, now));
            // Each of them is asked.
            known.filter(|known| !known.is_enough(now)).count() > 0
        });
        let waits = |client: &Key| {
            let client = self.clients.slab.find(*client);
            client.is_some_and(|client| pools.contains(&client.pool))
        };
        let (waiting, done) = clients.into_iter().partition(waits);
        self.curious.clients = waiting;
        let done: Vec<Key> = done;
        self.clients
            .release(PauseReason::Curious, &done, &mut self.wire);
    }

    /// What is known of a server; if it is nothing, the server is asked.
    fn ask_release(&mut self, pool: PoolIdx, server: ServerIdx, now: Time) -> Knowledge {
        let of_pool = &self.pools[pool.index()];
        let known = &of_pool.servers[server.index()];
        let place = Place {
            kind: ConnKind {
                version: Version::V3,
                ..of_pool.base_kind
            },
            lane: Lane::Shared(0),
        };
        let knowledge = match known.knowledge {
            Knowledge::Asked(conn) if self.is_being_made(conn) => return known.knowledge,
            Knowledge::Asked(_) => Knowledge::Silent(now + ASKED_AGAIN),
            enough if enough.is_enough(now) => return enough,
            _ => match known.conns.get(place) {
                Key::NONE => {
                    let target = Target::Master;
                    Knowledge::Asked(self.open(pool, (server, target), place, now))
                }
                conn if self.is_being_made(conn) => Knowledge::Asked(conn),
                _ => Knowledge::Silent(now + ASKED_AGAIN),
            },
        };
        self.pools[pool.index()].servers[server.index()].knowledge = knowledge;
        knowledge
    }

    fn is_being_made(&self, conn: Key) -> bool {
        let conn = self.servers.find(conn);
        conn.is_some_and(|conn| {
            matches!(
                conn.life.phase(),
                ServerPhase::Resolving | ServerPhase::Connecting | ServerPhase::Greeting { .. }
            )
        })
    }

    /// A server has said what it is.
    pub(in crate::proxy) fn learn_release(&mut self, key: Key, knowledge: Knowledge) {
        let conn = &self.servers[key];
        if conn.replica.is_none() && conn.tenure.successor().is_none() {
            let known = &mut self.pools[conn.pool.index()].servers[conn.server.index()];
            known.knowledge = knowledge;
        }
    }

    /// A connection to a server has ended: the next one may lead to another release, unless one is
    /// left on which it has said what it is.
    pub(in crate::proxy) fn forget_release(&mut self, key: Key) {
        let conn = &self.servers[key];
        let known = &mut self.pools[conn.pool.index()].servers[conn.server.index()];
        let newer =
            |(place, other): (Place, Key)| place.kind.version == Version::V3 && other != key;
        let is_said = matches!(known.knowledge, Knowledge::Speaks(_) | Knowledge::SpeaksNot);
        if is_said && !known.conns.open().any(newer) {
            known.knowledge = Knowledge::Unknown;
        }
    }
}
