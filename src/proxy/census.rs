//! What the clients of each pool are doing, for people.
//!
//! Owns: how far the count has come. A worker with very many clients looks at some of them at a time, so
//! that no request waits for it; what it says then is as old as the whole count takes. Never: changes a
//! client.

use crate::base::PoolIdx;
use crate::proxy::Proxy;
use crate::proxy::client::Client;

/// So many clients are looked at in a millisecond, whatever they are doing.
const CLIENTS_AT_ONCE: u32 = 4_096;

/// A count that is under way.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Census {
    // Which place of the slab is next.
    next: u32,
    pools: Vec<Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    asking: u64,
    exclusive: u64,
    in_transaction: u64,
    stopped: u64,
    idle: u64,
    owed_bytes: u64,
    unread_bytes: u64,
}

impl Count {
    fn add(&mut self, client: &Client) {
        let load = client.load();
        self.owed_bytes += load.owed_bytes as u64;
        self.unread_bytes += load.unread_bytes as u64;
        // Whoever is about to be closed asks for nothing.
        if !client.life.is_open() {
            return;
        }
        // One of them each, so that they add up.
        let state = if client.lease.is_some() {
            &mut self.exclusive
        } else if client.transaction.is_some() {
            &mut self.in_transaction
        } else if client.pauses.is_stopped() {
            &mut self.stopped
        } else if load.requests_in_flight > 0 {
            &mut self.asking
        } else {
            &mut self.idle
        };
        *state += 1;
    }
}

impl Proxy {
    /// Looks at what clients are doing, and says it of each pool when all were looked at.
    pub fn look_at_clients(&mut self) {
        let census = &mut self.census;
        census.pools.resize_with(self.pools.len(), Count::default);
        let slab = &self.clients.slab;
        let end = census.next.saturating_add(CLIENTS_AT_ONCE);
        for index in census.next..end.min(slab.places()) {
            if let Some(key) = slab.key_at(index) {
                let client = &slab[key];
                census.pools[client.pool.index()].add(client);
            }
        }
        census.next = end;
        if end >= slab.places() {
            self.tell_census();
        }
    }

    fn tell_census(&mut self) {
        let pools = std::mem::take(&mut self.census).pools;
        for (pool, count) in (0..).map(PoolIdx).zip(pools) {
            let traffic = &self.stats.pools[pool.index()].traffic;
            traffic.clients_asking.set(count.asking);
            traffic.clients_exclusive.set(count.exclusive);
            traffic.clients_in_transaction.set(count.in_transaction);
            traffic.clients_stopped.set(count.stopped);
            traffic.clients_idle.set(count.idle);
            traffic.client_owed_bytes.set(count.owed_bytes);
            traffic.client_unread_bytes.set(count.unread_bytes);
        }
    }
}
