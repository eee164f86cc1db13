//! Other pools and servers than before, while clients are served.
//!
//! Owns: what a new table means for the clients and connections of each pool. What has not changed
//! is not touched: its connections stay, and nobody waits. Never: reads a file, decides what is
//! different; it is given the new table and its difference from the one before.
//!
//! **Order.** Where a pool's keys, or its connections, have other places than before, a client's
//! next request could overtake those that are on their way. So it is read when they are answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::Difference;
use crate::config::Effect;
use crate::config::PoolChanges;
use crate::config::PoolConfig;
use crate::config::PoolDifference;
use crate::config::ReadFrom;
use crate::config::Table;
use crate::proxy::Proxy;
use crate::proxy::pool;
use crate::proxy::pool::Pool;
use crate::proxy::pool::Server;
use crate::stats::WorkerStats;

/// A new table, the same for every worker.
#[derive(Clone, Debug)]
pub struct Reload {
    /// What is to be served.
    pub table: Arc<Table>,
    /// What is different from what was served.
    pub difference: Arc<Difference>,
    /// The servers that were there before and are elsewhere now: where the table says.
    pub moved: BTreeSet<(PoolIdx, ServerIdx)>,
}

impl Proxy {
    /// Serves what the new table says, and counts in `stats`, which has its places.
    ///
    /// Clients of a pool that is served no longer are answered what they have asked, and closed. The
    /// same is true of connections to servers.
    pub fn reload(&mut self, reload: &Reload, stats: Arc<WorkerStats>, now: Time) {
        self.stats = stats;
        let table = &*reload.table;
        for (idx, places) in (0..).map(PoolIdx).zip(table.places()) {
            match (reload.difference.pool(idx), table.pool(idx)) {
                (Some(PoolDifference::Added), Some(config)) => {
                    debug_assert!(idx.index() == self.pools.len(), "a new pool's place");
                    debug_assert!(places == config.servers.len(), "a new pool's places");
                    self.pools.push(Pool::new(config.clone()));
                }
                (Some(PoolDifference::Changed(changes)), Some(config)) => {
                    self.change_pool(idx, config.clone(), changes, reload, now);
                }
                (Some(PoolDifference::Removed), _) => self.retire_pool(idx, now),
                (None, _) | (Some(_), None) => {}
            }
            if table
                .pool(idx)
                .is_some_and(|config| config.connections.preconnect)
            {
                self.preconnect(idx, now);
            }
        }
        self.look_at_replies();
        self.check_invariants();
    }

    fn change_pool(
        &mut self,
        idx: PoolIdx,
        config: PoolConfig,
        changes: &PoolChanges,
        reload: &Reload,
        now: Time,
    ) {
        let is_moved = |server| reload.moved.contains(&(idx, server));
        let mut served = reload.table.server_order(idx).iter();
        let any_moved = served.any(|&server| is_moved(server));
        let shared = pool::shared_lanes(&config);
        let other_places = changes.has(Effect::Connections);
        let other_greeting = changes.regreets();
        let no_password = config.greeting.redis_auth.is_none();
        let idle = config.timeouts.client_idle;
        let other_idle = changes.has(Effect::IdleClients);
        let in_order = !changes.remaps()
            && !any_moved
            && !other_places
            && !other_greeting
            && !changes.has(Effect::Readers);
        if !in_order {
            self.stop_late_writers(idx);
        }
        let pool = &mut self.pools[idx.index()];
        let reads_masters = config.replicas.read_from == ReadFrom::Master;
        let before = pool.servers.len();
        for (server, of_server) in reload.table.servers(idx) {
            let known = pool.servers.len();
            if server.index() == known {
                let conns = pool::conn_table(&config);
                pool.servers.push(Server::new(of_server, conns));
            } else if is_moved(server) {
                pool.servers[server.index()].set_address(&of_server.address);
            }
        }
        pool.set_rules(config, reload.table.server_order(idx), changes.remaps());
        for key in self.clients_of(idx) {
            let client = &mut self.clients.slab[key];
            if no_password {
                client.session.set_authenticated(true);
            }
            if !in_order {
                client.raise_order_barrier();
            }
            let (heard, is_open) = (client.input.last_heard(), client.life.is_open());
            if let (Some(idle), true) = (idle, other_idle && is_open) {
                self.time_client(key, heard + idle);
            }
        }
        if changes.remaps() {
            self.rehome(idx, now);
        }
        for (server, _) in (0..).map(ServerIdx).zip(0..before) {
            if reload.table.server(idx, server).is_none() {
                self.remove_server(idx, server, now);
                continue;
            }
            if other_places {
                self.set_shared(idx, server, shared, now);
            }
            if other_greeting || is_moved(server) {
                self.renew_conns(idx, server, now);
            }
            if is_moved(server) || reads_masters {
                self.set_replicas(idx, server, &[], now);
            } else if other_greeting || other_places {
                self.renew_replicas(idx, server, now);
            }
            for key in self.conns_of(idx, server) {
                self.time_first(key);
            }
        }
    }

    fn retire_pool(&mut self, idx: PoolIdx, now: Time) {
        self.pools[idx.index()].retired = true;
        for key in self.clients_of(idx) {
            self.end_client(key, true, now);
        }
        let servers = self.pools[idx.index()].servers.len();
        for (server, _) in (0..).map(ServerIdx).zip(0..servers) {
            self.remove_server(idx, server, now);
        }
    }

    /// No key lives on a server any more; what is queued for it is still answered.
    fn remove_server(&mut self, pool: PoolIdx, server: ServerIdx, now: Time) {
        self.pools[pool.index()].servers[server.index()].removed = true;
        self.let_writes(pool, server);
        for key in self.conns_of(pool, server) {
            self.servers[key].tenure.set_last(true);
            self.leave_if_settled(key, now);
        }
        self.retire_exclusives(pool, server, now);
        self.set_replicas(pool, server, &[], now);
    }

    pub(super) fn clients_of(&self, pool: PoolIdx) -> Vec<Key> {
        let slab = &self.clients.slab;
        let keys = slab.keys().filter(|key| slab[*key].pool == pool);
        keys.collect()
    }
}
