//! A model server: reads requests strictly, executes them in order, answers, and fails in every
//! way that a server can.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use bytes::Bytes;
use coremux::base::Time;

use crate::fault::NO_SUCH_DATABASE;
use crate::fault::WRONG_PASSWORD;
use crate::frame::parse_request;
use crate::store::Store;
use crate::tally::Happening;
use crate::trace::head;
use crate::trace::trace;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// One server, alive or not.
#[derive(Debug, Default)]
pub struct Server {
    pub store: Store,
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
    /// It ends, in this way, when the replies are sent.
    ending: Option<End>,
}

impl ServerConn {
    /// It has taken the password and the database.
    pub fn is_greeted(&self, pool: &coremux::config::PoolConfig) -> bool {
        (self.authenticated || pool.redis_auth.is_none()) && self.database == pool.redis_db
    }

    /// No request is half there, no reply is still to be sent.
    pub fn is_idle(&self) -> bool {
        self.received.is_empty() && self.replies.is_empty()
    }
}

/// What a server says when it cannot serve now.
const TRANSIENT: [&[u8]; 3] = [
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-BUSY Redis is busy running a script.\r\n",
];

const GARBAGE: [&[u8]; 7] = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"$-2\r\n",
    b":12a\r\n",
    b"$3\r\nabcdef\r\n",
    b"+fine\n",
    b"*1\r\n%1\r\n",
    b"\0\0\0\0",
];

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

    fn execute_received(&mut self, pool: usize, server: usize, link: LinkId) {
        let Some(conn) = self.servers[pool][server].conns.get_mut(&link) else {
            return;
        };
        let received = std::mem::take(&mut conn.received);
        let mut at = 0;
        loop {
            match parse_request(&received[at..]) {
                Ok(Some((args, end))) => {
                    let args: Vec<&[u8]> =
                        args.into_iter().map(|arg| &received[at..][arg]).collect();
                    let goes_on = self.take_request(pool, server, link, &args);
                    at += end;
                    if !goes_on {
                        return;
                    }
                }
                Ok(None) => break,
                Err(why) => panic!(
                    "what reached server {server} of pool {pool} is no frame: {why}: {}",
                    head(&received[at..])
                ),
            }
        }
        if let Some(conn) = self.servers[pool][server].conns.get_mut(&link) {
            conn.received = received[at..].to_vec();
        }
    }

    /// Executes one request and sees that its reply is sent; whether the connection goes on.
    fn take_request(&mut self, pool: usize, server: usize, link: LinkId, args: &[&[u8]]) -> bool {
        if args[0] == b"AUTH" || args[0] == b"SELECT" {
            let reply = self.greet(pool, server, link, args);
            self.reply(link, reply);
            return true;
        }
        let config = &self.config.pools[pool];
        let Some(conn) = self.servers[pool][server].conns.get(&link) else {
            return false;
        };
        assert!(
            conn.authenticated || config.redis_auth.is_none(),
            "a request came before the server had the password"
        );
        assert_eq!(
            conn.database, config.redis_db,
            "a request is for another database"
        );
        trace!(
            self.now,
            "server {pool}.{server} executes {}",
            head(&args.join(&b' '))
        );
        let mut execution =
            self.oracle
                .executing((pool, server), link, args, self.now, &mut self.tally);
        let fault = self.armed_fault(pool, server, self.oracle.is_fragment(&execution));
        let reply = match fault {
            Some(Happening::Transient) => self.dice.pick(&TRANSIENT).to_vec(),
            Some(Happening::BadFragment) => self
                .dice
                .pick(&[&b"*0\r\n"[..], b"$1\r\nx\r\n", b"*1\r\n*0\r\n"])
                .to_vec(),
            _ => self.servers[pool][server].store.execute(args),
        };
        let reply = Bytes::from(reply);
        execution.reply = reply.clone();
        self.oracle.executed(execution);
        self.links[link.0].has_served = true;
        let Some(fault) = fault else {
            self.reply(link, reply);
            return true;
        };
        self.tally.count(fault);
        self.touch_link(link, fault);
        match fault {
            Happening::ClosedBeforeReply => {
                let end = *self.dice.pick(&[End::Fin, End::Reset]);
                self.server_closes(link, end);
                false
            }
            Happening::ClosedMidReply => {
                let cut = self.dice.between(1, reply.len() - 1);
                self.reply(link, reply.slice(..cut));
                let end = *self.dice.pick(&[End::Fin, End::Reset]);
                if let Some(conn) = self.servers[pool][server].conns.get_mut(&link) {
                    conn.ending = Some(end);
                }
                false
            }
            Happening::Garbage => {
                let garbage = *self.dice.pick(&GARBAGE);
                self.reply(link, Bytes::from_static(garbage));
                true
            }
            _ => {
                self.reply(link, reply);
                true
            }
        }
    }

    fn armed_fault(&mut self, pool: usize, server: usize, fragment: bool) -> Option<Happening> {
        let state = &mut self.servers[pool][server];
        if state.has(Happening::Transient) {
            return Some(Happening::Transient);
        }
        let fits = |fault: &Happening| fragment || *fault != Happening::BadFragment;
        let at = state.armed.iter().position(fits)?;
        Some(state.armed.remove(at))
    }

    fn greet(&mut self, pool: usize, server: usize, link: LinkId, args: &[&[u8]]) -> Bytes {
        let config = &self.config.pools[pool];
        let state = &mut self.servers[pool][server];
        let (refuses_auth, refuses_select) = (
            state.has(Happening::AuthRefused),
            state.has(Happening::SelectRefused),
        );
        let Some(conn) = state.conns.get_mut(&link) else {
            return Bytes::new();
        };
        let password = config.redis_auth.as_ref().map(|secret| secret.expose());
        assert!(
            conn.replies.len() < 2 && args.len() == 2 && conn.database == 0,
            "an odd greeting: {}",
            head(&args.join(&b' '))
        );
        if args[0] == b"AUTH" {
            assert_eq!(Some(args[1]), password, "the server got another password");
            if refuses_auth {
                self.tally.count(Happening::AuthRefused);
                self.touch_link(link, Happening::AuthRefused);
                return Bytes::from([b"-", WRONG_PASSWORD, b"\r\n"].concat());
            }
            conn.authenticated = true;
            return Bytes::from_static(b"+OK\r\n");
        }
        if password.is_some() && !conn.authenticated {
            assert!(refuses_auth, "SELECT came before AUTH");
            return Bytes::from_static(b"-NOAUTH Authentication required.\r\n");
        }
        if refuses_select {
            self.tally.count(Happening::SelectRefused);
            self.touch_link(link, Happening::SelectRefused);
            return Bytes::from([b"-", NO_SUCH_DATABASE, b"\r\n"].concat());
        }
        conn.database = config.redis_db;
        Bytes::from_static(b"+OK\r\n")
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
        conn.replies.push_back((ready, reply));
        self.schedule(ready, Event::ServerWrites(link));
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
