//! A model server: reads requests strictly, executes them in order, answers, and fails in every
//! way that a server can.

mod execution;
mod transaction;

use std::collections::BTreeMap;
use std::collections::VecDeque;

use bytes::Bytes;
use coremux::base::Time;

use crate::oracle::STREAMED_BYTES_MIN;
use crate::store::Store;
use crate::tally::Happening;
use crate::trace::trace;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// One server, alive or not.
#[derive(Debug, Default)]
pub struct Server {
    /// By database.
    pub stores: BTreeMap<u32, Store>,
    pub conns: BTreeMap<LinkId, ServerConn>,
    /// Which of its addresses is the right one.
    pub home: u8,
    /// What is wrong with it at the moment.
    pub faults: Vec<Happening>,
    /// What will go wrong with the next request.
    pub armed: Vec<Happening>,
    /// The fault by which it hangs when it has something to do.
    pub hangs_next: Option<usize>,
}

impl Server {
    pub fn has(&self, fault: Happening) -> bool {
        self.faults.contains(&fault)
    }
}

/// One connection as its server sees it.
#[derive(Debug, Default)]
pub struct ServerConn {
    received: Vec<u8>,
    replies: VecDeque<(Time, Bytes)>,
    authenticated: bool,
    database: u32,
    /// It speaks RESP3.
    resp3: bool,
    /// It has said that it serves.
    proved: bool,
    /// What waits for `EXEC`.
    transaction: Option<transaction::Queued>,
    /// It ends, in this way, when the replies are sent.
    ending: Option<End>,
}

impl ServerConn {
    /// It has taken the password and the database.
    pub fn is_greeted(&self, pool: &coremux::config::PoolConfig) -> bool {
        (self.authenticated || pool.greeting.redis_auth.is_none())
            && (self.proved || self.database == pool.greeting.redis_db && !self.resp3)
    }

    /// It is in its pool's own database, or still on the way there.
    pub fn is_greeted_for_all(&self, pool: &coremux::config::PoolConfig) -> bool {
        let is_base = self.database == pool.greeting.redis_db && !self.resp3;
        is_base || !self.proved
    }

    /// No request is half there, no reply is still to be sent.
    pub fn is_idle(&self) -> bool {
        self.received.is_empty() && self.replies.is_empty()
    }
}

impl World {
    /// A server reads what has arrived.
    pub fn server_reads(&mut self, link: LinkId) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        let conn = self.servers[pool][server].conns.get(&link);
        if conn.is_none_or(|conn| conn.ending.is_some()) || self.hangs(pool, server) {
            return;
        }
        let most = match self.servers[pool][server].has(Happening::SlowReads) {
            true => self.dice.between(1, 40),
            false => 64 << 10,
        };
        let wire = &mut self.links[link.0].to_peer;
        let bytes = wire.read(most);
        let (left, end) = (wire.arrived(), wire.end);
        self.proxy_has_room(link);
        if let Some(conn) = self.servers[pool][server].conns.get_mut(&link) {
            conn.received.extend_from_slice(&bytes);
        }
        self.execute_received(pool, server, link);
        if left > 0 {
            let pause = match self.servers[pool][server].has(Happening::SlowReads) {
                true => self.dice.micros(1000, 5000),
                false => self.dice.micros(1, 50),
            };
            self.schedule(self.now + pause, Event::ServerReads(link));
        } else if end.is_some() {
            self.server_closes(link, End::Fin);
        }
    }

    /// Puts a reply behind those that are still to be sent.
    fn reply(&mut self, link: LinkId, reply: Bytes) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        let service = match self.servers[pool][server].has(Happening::SlowReplies) {
            true => self.dice.millis(50, 700),
            false => self.dice.micros(1, 60),
        };
        let ready = self.now + service;
        let Some(conn) = self.servers[pool][server].conns.get_mut(&link) else {
            return;
        };
        let ready = conn
            .replies
            .back()
            .map_or(ready, |(last, _)| ready.max(*last));
        if conn.resp3 && conn.proved && self.dice.percent(5) {
            self.tally.count(Happening::Push);
            let push: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";
            conn.replies.push_back((ready, Bytes::from_static(push)));
        }
        let large = reply.len() > STREAMED_BYTES_MIN;
        conn.replies.push_back((ready, reply));
        self.schedule(ready, Event::ServerWrites(link));
        if large {
            self.maybe_interrupt(link, ready);
        }
    }

    /// A server sends the replies that are ready, as far as there is room.
    pub fn server_writes(&mut self, link: LinkId) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        let state = &mut self.servers[pool][server];
        if state.has(Happening::Stalled) {
            return;
        }
        let Some(conn) = state.conns.get_mut(&link) else {
            return;
        };
        let wire = &mut self.links[link.0].to_proxy;
        let mut arrivals = Vec::new();
        while conn
            .replies
            .front()
            .is_some_and(|(ready, _)| *ready <= self.now)
        {
            let Some((_, reply)) = conn.replies.front_mut() else {
                break;
            };
            let step = wire.room().min(reply.len());
            if step == 0 && !reply.is_empty() {
                break;
            }
            arrivals.extend(wire.write(reply.split_to(step), self.now, &mut self.dice));
            if reply.is_empty() {
                conn.replies.pop_front();
            }
        }
        let over = conn.replies.is_empty();
        let ending = conn.ending.filter(|_| over);
        self.land_at(link, true, arrivals);
        if let Some(end) = ending {
            self.server_closes(link, end);
        }
    }

    /// A server closes its end.
    pub fn server_closes(&mut self, link: LinkId, end: End) {
        let Some((pool, server)) = self.server_of(link) else {
            return;
        };
        if self.servers[pool][server].conns.remove(&link).is_none() {
            return;
        }
        trace!(
            self.now,
            "server {pool}.{server} closes {link:?} by {end:?}"
        );
        let connection = &mut self.links[link.0];
        connection.peer_gone = true;
        // The kernel resets a connection that is closed with bytes unread.
        let end = if connection.to_peer.arrived() > 0 {
            End::Reset
        } else {
            end
        };
        let arrival = connection.to_proxy.finish(end, self.now, &mut self.dice);
        self.land_at(link, true, arrival);
        self.proxy_has_room(link);
    }

    /// After a stall everything goes on.
    pub fn wake_server(&mut self, pool: usize, server: usize) {
        let links: Vec<LinkId> = self.servers[pool][server].conns.keys().copied().collect();
        for link in links {
            self.schedule(self.now, Event::ServerReads(link));
            self.schedule(self.now, Event::ServerWrites(link));
        }
    }
}
