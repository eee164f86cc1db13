//! What must be true between two events, counted anew from what is there. In debug builds only.
//!
//! Owns: the comparison of every count that is kept with what it counts: a count whose give-back is
//! forgotten stops a client for ever, or lies to whoever reads statistics.

use crate::proxy::Proxy;

#[cfg(debug_assertions)]
use std::collections::BTreeMap;

#[cfg(debug_assertions)]
use crate::base::Key;
#[cfg(debug_assertions)]
use crate::base::PoolIdx;
#[cfg(debug_assertions)]
use crate::base::ServerIdx;
#[cfg(debug_assertions)]
use crate::proxy::pool::conns::ConnTable;
#[cfg(debug_assertions)]
use crate::proxy::pubsub::subscriptions::Passage;
#[cfg(debug_assertions)]
use crate::proxy::server_conn::ServerPhase;
#[cfg(debug_assertions)]
use crate::proxy::server_conn::queue::Load;

/// With more clients, or more requests under way, counts are not compared: tests under load would
/// wait for nothing else.
#[cfg(debug_assertions)]
const COUNTED_MAX: usize = 300;

impl Proxy {
    /// Our own mistakes panic, in builds that can afford to look for them.
    pub(super) fn check_invariants(&self) {
        #[cfg(debug_assertions)]
        {
            let mut requests = 0;
            for key in self.servers.keys() {
                self.servers[key].requests.check_invariants();
                requests += self.servers[key].requests.len();
            }
            if requests <= COUNTED_MAX && self.clients.slab.len() <= COUNTED_MAX {
                self.check_gauges();
                self.check_clients();
                self.check_places();
                self.check_feeds();
            }
        }
    }

    #[cfg(debug_assertions)]
    fn check_gauges(&self) {
        let mut under_way: BTreeMap<(PoolIdx, ServerIdx), Load> = BTreeMap::new();
        for key in self.servers.keys() {
            let conn = &self.servers[key];
            let (sum, load) = (
                under_way.entry((conn.pool, conn.server)).or_default(),
                conn.requests.load(),
            );
            sum.unsent += load.unsent;
            sum.unsent_bytes += load.unsent_bytes;
            sum.sent += load.sent;
            sum.sent_bytes += load.sent_bytes;
        }
        for (pool, of_pool) in (0..).map(PoolIdx).zip(&self.pools) {
            for (server, _) in (0..).map(ServerIdx).zip(&of_pool.servers) {
                let stats = self.server_stats(pool, server);
                let value = |gauge: u64| usize::try_from(gauge).unwrap_or(usize::MAX);
                let shown = Load {
                    unsent: value(stats.in_queue.value()),
                    unsent_bytes: value(stats.in_queue_bytes.value()),
                    sent: value(stats.out_queue.value()),
                    sent_bytes: value(stats.out_queue_bytes.value()),
                };
                let counted = under_way.get(&(pool, server)).copied().unwrap_or_default();
                assert_eq!(shown, counted, "the gauges of {server:?} of {pool:?}");
            }
        }
    }

    /// Whoever looks a connection up by its place finds one that is there, and of that kind.
    #[cfg(debug_assertions)]
    fn check_places(&self) {
        let servers = self.pools.iter().flat_map(|pool| &pool.servers);
        let tables = servers.flat_map(|server| {
            let replicas = server.replicas.iter().map(|replica| &replica.conns);
            replicas.chain([&server.conns])
        });
        for (place, key) in tables.flat_map(ConnTable::open) {
            let conn = self.servers.find(key).expect("a connection in a place");
            assert_eq!(conn.kind, place.kind, "the kind of {key:?}");
            assert_ne!(conn.life.phase(), ServerPhase::Closed, "{place:?}");
        }
    }

    /// Nobody is given a message that it has not asked for, and every connection on which somebody listens
    /// is found by who does.
    #[cfg(debug_assertions)]
    fn check_feeds(&self) {
        for key in self.servers.keys() {
            let conn = &self.servers[key];
            let feed = conn.exclusive.as_ref().and_then(|it| it.feed.as_deref());
            let Some(feed) = feed else {
                continue;
            };
            assert_ne!(conn.life.phase(), ServerPhase::Closed, "{key:?} has a feed");
            assert!(conn.requests.is_empty(), "{key:?} is asked for something");
            for (topic, client) in feed.listeners() {
                let of_client = self.clients.slab.find(client);
                let of_client = of_client.and_then(|it| it.subscriptions.as_deref());
                let it = of_client.expect("a listener that listens");
                assert_ne!(it.passage(topic), Passage::Never, "{client:?}: {topic:?}");
                let found = self.feed_of(client, conn.server);
                assert_eq!(found, Some(key), "where {client:?} listens");
            }
        }
    }

    #[cfg(debug_assertions)]
    fn check_clients(&self) {
        let mut awaited: BTreeMap<Key, (usize, usize)> = BTreeMap::new();
        for key in self.servers.keys() {
            for pending in self.servers[key].requests.awaited() {
                let (requests, bytes) = awaited.entry(pending.awaiter.client).or_default();
                *requests += 1;
                *bytes += pending.bytes as usize;
            }
        }
        for key in self.clients.slab.keys() {
            let client = &self.clients.slab[key];
            let full = self.full_queues.count_of(key);
            let late = self.late_writes.count_of(key);
            let holds = self.write_holds.count_of(key);
            client.pauses.check_counts([full, late, holds]);
            let (requests, bytes) = awaited.get(&key).copied().unwrap_or_default();
            let inquiries = self.inquiries.count_of(key);
            client.check_invariants((requests + inquiries, bytes));
        }
    }
}
