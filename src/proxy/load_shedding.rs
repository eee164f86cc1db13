//! What becomes of clients when the process is short of memory.
//!
//! Owns: who is stopped, who is closed, and what is said of it. First, whoever has much under way
//! is read no further until it has taken its replies; then the biggest consumers are closed, until
//! enough is given up. Who takes its replies is served throughout. Never: measures the process's
//! memory; its owner does, and says how short it is.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Key;
use crate::base::Time;
use crate::proxy::Proxy;
use crate::proxy::client::Awaiter;
use crate::proxy::client::ending::End;
use crate::proxy::client::pause::PauseReason;
use crate::proxy::failure::RequestError;

/// How short of memory the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// The most that one client may have under way, in bytes of replies and in bytes of requests,
    /// whatever its pool allows: with more it is read no further.
    pub client_bytes_max: usize,
    /// So many bytes are to be given up now, by closing clients.
    pub shed_bytes: usize,
    /// Clients with less are not closed: other workers have bigger ones.
    pub spared_bytes: usize,
}

/// What a `Proxy` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// For all clients and servers, bytes that are being sent included.
    pub bytes: usize,
    /// For the one that costs most, whether it is being closed already or not.
    pub largest: usize,
}

impl Pressure {
    /// There is memory enough.
    pub const NONE: Pressure = Pressure {
        client_bytes_max: usize::MAX,
        shed_bytes: 0,
        spared_bytes: 0,
    };
}

/// Who is closed first: the biggest, and of two that are as big the one that has neither asked nor
/// taken anything for longer. A client that has just asked for a large value is about to take it.
fn rank(bytes: usize, idle: Duration) -> u128 {
    let weight = Duration::from_millis(1) + idle.min(Duration::from_secs(1));
    bytes as u128 * weight.as_micros()
}

impl Proxy {
    /// What it holds for clients and servers. Looks at each of them.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let (mut bytes, mut largest) = (0, 0);
        for key in self.clients.slab.keys() {
            let load = self.clients.slab[key].load();
            let client = load.owed_bytes + load.unread_bytes;
            bytes += client;
            largest = largest.max(client);
        }
        for key in self.servers.keys() {
            let conn = &self.servers[key];
            let reply = conn.incoming.assembly().map_or(0, |a| a.held_bytes());
            bytes += conn.unsent_bytes() + conn.requests.kept_bytes() + reply;
            largest = largest.max(reply);
        }
        Holdings { bytes, largest }
    }

    /// Takes less memory, or may take more again. Its owner calls this when the pressure has
    /// changed, and again from time to time while it lasts.
    pub fn relieve(&mut self, pressure: Pressure, now: Time) {
        for pool in &mut self.pools {
            pool.limits.bytes = pool
                .config
                .limits
                .client_output_bytes
                .min(pressure.client_bytes_max);
        }
        if pressure.shed_bytes > 0 {
            self.shed(pressure, now);
        }
        let keys: Vec<Key> = self.clients.slab.keys().collect();
        for key in keys {
            self.stop_or_go_on(key);
        }
    }

    /// Stops a client that has more under way than it may have now; lists one that was stopped, to
    /// see whether it may go on.
    fn stop_or_go_on(&mut self, key: Key) {
        let client = &mut self.clients.slab[key];
        if !client.life.is_open() {
            return;
        }
        if client
            .replies
            .is_beyond(self.pools[client.pool.index()].limits)
        {
            client.pauses.add(PauseReason::OverLimits);
        }
        self.clients.update_pause(key, &mut self.wire);
    }

    /// Closes the biggest consumers until enough is given up, counting what will be as soon as the
    /// sends to closed clients have ended.
    fn shed(&mut self, pressure: Pressure, now: Time) {
        // What is kept only to be sent again, maybe, goes first.
        let keys: Vec<Key> = self.servers.keys().collect();
        let mut given_up = 0;
        for key in keys {
            given_up += self.servers[key].requests.forget_kept_bytes();
        }
        let waiting = self.waiting_bytes();
        let mut consumers = Vec::new();
        for key in self.clients.slab.keys() {
            let client = &self.clients.slab[key];
            if client.life.is_closed() {
                given_up += client.replies.sending_bytes();
                continue;
            }
            let load = client.load();
            let elsewhere = waiting.get(&key).copied().unwrap_or(0);
            let consumed = load.owed_bytes + load.unread_bytes + elsewhere;
            if consumed > pressure.spared_bytes {
                let idle = now.since(client.input.last_heard().max(client.replies.last_taken()));
                consumers.push((Reverse(rank(consumed, idle)), consumed, key));
            }
        }
        consumers.sort_unstable();
        let mut closed = false;
        for (_, consumed, key) in consumers {
            if given_up >= pressure.shed_bytes {
                break;
            }
            given_up += consumed;
            self.close_for_memory(key, consumed, now);
            closed = true;
        }
        if closed {
            self.forget_the_closed();
        }
    }

    /// What is held for each client on server connections, where closing it sets it free: a reply
    /// of which parts have come, and requests that were not sent.
    fn waiting_bytes(&self) -> BTreeMap<Key, usize> {
        let mut waiting: BTreeMap<Key, usize> = BTreeMap::new();
        let mut add = |awaiter: Awaiter, bytes: usize| {
            *waiting.entry(awaiter.client).or_default() += bytes;
        };
        for key in self.servers.keys() {
            let conn = &self.servers[key];
            if let (Some(awaiter), Some(reply)) = (conn.next_awaiter(), conn.incoming.assembly()) {
                add(awaiter, reply.held_bytes());
            }
            for pending in conn.requests.unsent() {
                add(pending.awaiter, pending.bytes as usize);
            }
        }
        waiting
    }

    fn close_for_memory(&mut self, key: Key, consumed: usize, now: Time) {
        self.count_end(key, End::Err);
        let client = &mut self.clients.slab[key];
        let pool = client.pool.index();
        self.stats.counters.clients_shed.add(1);
        tracing::warn!(
            pool = %self.pools[pool].config.name,
            client = client.session.id(),
            bytes = consumed,
            "client closed for want of memory"
        );
        // Who takes its replies, and has sent too much, can be told.
        if client.life.is_open() && client.replies.is_settled() {
            self.reply_error(key, RequestError::NoMemory);
            self.end_client(key, true, now);
        } else {
            client.replies.give_up();
            self.abort_client(key);
        }
    }

    /// Gives up what is held on server connections for clients that are closed.
    fn forget_the_closed(&mut self) {
        let keys: Vec<Key> = self.servers.keys().collect();
        for key in keys {
            let conn = &mut self.servers[key];
            if let (Some(awaiter), Some(reply)) =
                (conn.next_awaiter(), conn.incoming.assembly_mut())
            {
                if !self.clients.awaits(awaiter) {
                    reply.forget();
                }
            }
            self.drop_orphans(key);
        }
    }
}
