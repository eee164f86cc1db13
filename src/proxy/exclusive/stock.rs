//! The exclusive connections of each server: how many there are, which are free, who waits for one.
//!
//! ```text
//!   free ──► held by a client ──► free ──► closed after a while
//!               ▲       └─ its client goes, it breaks ──► closed
//!   clients that wait, first come first served
//! ```
//!
//! Owns: these sets. Never: opens or closes a connection, knows what is asked on one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::proxy::pubsub::feed::Feed;

/// A server of a pool.
pub(in crate::proxy) type At = (PoolIdx, ServerIdx);

/// What a connection is beside a shared one.
#[derive(Debug)]
pub(in crate::proxy) struct Exclusive {
    /// The client that holds it; `Key::NONE` while it is free.
    pub(in crate::proxy) owner: Key,
    /// Since when.
    pub(in crate::proxy) free_since: Time,
    /// The server remembers something of its owner: nobody else gets it.
    pub(in crate::proxy) is_marked: bool,
    /// What is listened to on it, if it is for that.
    pub(in crate::proxy) feed: Option<Box<Feed>>,
}

/// The exclusive connections of one server.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Stock {
    conns: BTreeSet<Key>,
    // The one that became free last is used first: the others may be closed.
    free: Vec<Key>,
    waiting: VecDeque<Waiter>,
    // On which all of this worker listen who share one; it is not counted.
    shared_feed: Option<Key>,
}

/// A client that waits for a connection.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    client: Key,
    since: Time,
}

/// Those of all servers of a worker.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Stocks {
    stocks: BTreeMap<At, Stock>,
    /// Servers of which a connection was closed while clients wait for one.
    pub(in crate::proxy) has_room: Vec<At>,
    waiting: usize,
}

/// How many connections there are, how many of them clients hold, and how many clients wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) struct StockLoad {
    pub(in crate::proxy) open: usize,
    pub(in crate::proxy) held: usize,
    pub(in crate::proxy) waiting: usize,
}

impl Stocks {
    /// All exclusive connections to a server.
    pub(in crate::proxy) fn conns(&self, at: At) -> Vec<Key> {
        let stock = self.stocks.get(&at);
        stock.map_or_else(Vec::new, |stock| {
            stock
                .conns
                .iter()
                .copied()
                .chain(stock.shared_feed)
                .collect()
        })
    }

    /// The one on which all listen who share one.
    pub(in crate::proxy) fn shared_feed(&self, at: At) -> Option<Key> {
        self.stocks.get(&at)?.shared_feed
    }

    /// Those of all servers of a pool.
    pub(in crate::proxy) fn shared_feeds(&self, pool: PoolIdx) -> Vec<Key> {
        let of_pool = (pool, ServerIdx(0))..=(pool, ServerIdx(u16::MAX));
        let stocks = self.stocks.range(of_pool);
        stocks.filter_map(|(_, stock)| stock.shared_feed).collect()
    }

    /// There is one.
    pub(in crate::proxy) fn set_shared_feed(&mut self, at: At, conn: Key) {
        let stock = self.stocks.entry(at).or_default();
        debug_assert!(stock.shared_feed.is_none(), "one to a server");
        stock.shared_feed = Some(conn);
    }

    /// Those of them that nobody holds.
    pub(in crate::proxy) fn free(&self, at: At) -> Vec<Key> {
        let stock = self.stocks.get(&at);
        stock.map_or_else(Vec::new, |stock| stock.free.clone())
    }

    pub(in crate::proxy) fn load(&self, at: At) -> StockLoad {
        let load = |stock: &Stock| StockLoad {
            open: stock.conns.len(),
            held: stock.conns.len() - stock.free.len(),
            waiting: stock.waiting.len(),
        };
        self.stocks.get(&at).map(load).unwrap_or_default()
    }

    /// A connection was opened for a client.
    pub(in crate::proxy) fn opened(&mut self, at: At, conn: Key) {
        self.stocks.entry(at).or_default().conns.insert(conn);
    }

    /// It is closed.
    pub(in crate::proxy) fn closed(&mut self, at: At, conn: Key) {
        let Some(stock) = self.stocks.get_mut(&at) else {
            return;
        };
        if stock.conns.remove(&conn) && !stock.waiting.is_empty() {
            self.has_room.push(at);
        }
        stock.free.retain(|free| *free != conn);
        stock.shared_feed = stock.shared_feed.filter(|shared| *shared != conn);
        self.forget_if_empty(at);
    }

    /// Takes a connection that nobody holds and that `fits`.
    pub(in crate::proxy) fn take_free(
        &mut self,
        at: At,
        fits: impl Fn(Key) -> bool,
    ) -> Option<Key> {
        let free = &mut self.stocks.get_mut(&at)?.free;
        let place = free.iter().rposition(|conn| fits(*conn))?;
        Some(free.remove(place))
    }

    /// Nobody holds it any more.
    pub(in crate::proxy) fn freed(&mut self, at: At, conn: Key) {
        if let Some(stock) = self.stocks.get_mut(&at) {
            debug_assert!(stock.conns.contains(&conn), "only what is open can be free");
            stock.free.push(conn);
        }
    }

    /// A client waits for one.
    pub(in crate::proxy) fn wait(&mut self, at: At, client: Key, since: Time) {
        let waiter = Waiter { client, since };
        self.stocks.entry(at).or_default().waiting.push_back(waiter);
        self.waiting += 1;
    }

    /// It waits no longer.
    pub(in crate::proxy) fn wait_no_more(&mut self, at: At, client: Key) {
        if let Some(stock) = self.stocks.get_mut(&at) {
            let before = stock.waiting.len();
            stock.waiting.retain(|waiter| waiter.client != client);
            self.waiting -= before - stock.waiting.len();
            self.forget_if_empty(at);
        }
    }

    /// Whose turn it is.
    pub(in crate::proxy) fn next_waiting(&mut self, at: At) -> Option<Key> {
        let next = self.stocks.get_mut(&at)?.waiting.pop_front()?;
        self.waiting -= 1;
        self.forget_if_empty(at);
        Some(next.client)
    }

    /// Whether anybody waits anywhere: mostly nobody does.
    #[inline]
    pub(in crate::proxy) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Since when the first client waits for a connection to each server where one does.
    pub(in crate::proxy) fn first_waiting(&self) -> impl Iterator<Item = (At, Time)> {
        let stocks = self.stocks.iter();
        stocks.filter_map(|(at, stock)| Some((*at, stock.waiting.front()?.since)))
    }

    fn forget_if_empty(&mut self, at: At) {
        let stock = self.stocks.get(&at);
        let is_empty = |stock: &Stock| {
            stock.conns.is_empty() && stock.waiting.is_empty() && stock.shared_feed.is_none()
        };
        if stock.is_some_and(is_empty) {
            self.stocks.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At = (PoolIdx(0), ServerIdx(1));

    fn key(index: u32) -> Key {
        Key {
            index,
            generation: 0,
        }
    }

    fn load(open: usize, held: usize, waiting: usize) -> StockLoad {
        StockLoad {
            open,
            held,
            waiting,
        }
    }

    #[test]
    fn a_connection_is_held_or_free_until_it_is_closed() {
        let mut stocks = Stocks::default();
        assert_eq!(stocks.take_free(AT, |_| true), None);
        stocks.opened(AT, key(1));
        stocks.opened(AT, key(2));
        assert_eq!(stocks.load(AT), load(2, 2, 0));
        stocks.freed(AT, key(1));
        stocks.freed(AT, key(2));
        assert_eq!(stocks.load(AT), load(2, 0, 0));
        assert_eq!(
            stocks.take_free(AT, |_| true),
            Some(key(2)),
            "the last one is used first"
        );
        stocks.closed(AT, key(1));
        assert_eq!(stocks.load(AT), load(1, 1, 0));
        stocks.freed(AT, key(2));
        assert_eq!(stocks.take_free(AT, |_| false), None, "of another kind");
        stocks.closed(AT, key(2));
        assert_eq!(stocks.load(AT), load(0, 0, 0));
        assert!(
            stocks.stocks.is_empty(),
            "a server that nobody uses costs nothing"
        );
    }

    #[test]
    fn who_came_first_is_served_first_and_who_goes_is_not() {
        let mut stocks = Stocks::default();
        stocks.opened(AT, key(9));
        for index in 1..4 {
            stocks.wait(AT, key(index), Time::from_micros(u64::from(index)));
        }
        stocks.wait_no_more(AT, key(1));
        assert_eq!(
            stocks.first_waiting().collect::<Vec<_>>(),
            [(AT, Time::from_micros(2))]
        );
        assert!(stocks.has_room.is_empty());
        stocks.closed(AT, key(9));
        assert_eq!(stocks.has_room, [AT]);
        assert_eq!(stocks.next_waiting(AT), Some(key(2)));
        assert_eq!(stocks.next_waiting(AT), Some(key(3)));
        assert_eq!(stocks.next_waiting(AT), None);
        assert_eq!((stocks.waiting, stocks.first_waiting().count()), (0, 0));
    }
}
