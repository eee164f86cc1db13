//! Opens and closes sockets: the same states, in the same order, as in the reactor.

use std::time::Duration;

use coremux::base::PoolIdx;
use coremux::base::Time;
use coremux::messages::SocketAddress;
use coremux::proxy::ConnId;
use coremux::reactor::Entry;

use crate::link::Link;
use crate::link::Peer;
use crate::link::Socket;
use crate::reload::is_home;
use crate::server::ServerConn;
use crate::tally::Happening;
use crate::wire::End;
use crate::worker::DEAD_HOME;
use crate::worker::place;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// How long a connection for another database is kept that nobody uses.
const UNUSED: Duration = Duration::from_secs(300);

impl World {
    /// A client has connected; whether it was admitted.
    pub fn accept(&mut self, worker: usize, pool: usize, client: usize) -> (LinkId, bool) {
        let pool = PoolIdx(u16::try_from(pool).expect("few pools"));
        let admitted = self.admission.enter(pool) == Entry::Admitted;
        let port = 10_000 + u16::try_from(client).expect("few clients");
        let peer = Some(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
        self.wake(worker);
        let conn = self.workers[worker]
            .proxy
            .client_accepted(pool, peer, admitted, self.now);
        let mut link = Link::new(worker, conn, Peer::Client(client), &mut self.dice);
        link.socket = Some(Socket {
            connecting: false,
            receiving: false,
            wants_receive: true,
            ended: false,
            closing: false,
            under_way: 0,
            outgoing: None,
        });
        let id = self.insert(link);
        self.open_clients.push(id);
        self.receive_again(id);
        (id, admitted)
    }

    pub(super) fn connect(&mut self, worker: usize, conn: ConnId, address: &SocketAddress) {
        let (pool, server, home) = self.locate(address);
        if self.take_fault(pool, server, Happening::ConnectFailsAtOnce) {
            let touch = self
                .oracle
                .touch(pool, server, Happening::ConnectFailsAtOnce, self.now);
            self.oracle.end_touch(touch, self.now);
            self.workers[worker].refused.insert(conn);
            self.workers[worker]
                .proxy
                .failed(conn, libc::EMFILE, self.now);
            return;
        }
        // The next address of the same server.
        self.workers[worker].refused.remove(&conn);
        let mut link = Link::new(worker, conn, Peer::Server { pool, server }, &mut self.dice);
        link.peer_gone = true;
        link.home = home;
        link.socket = Some(Socket {
            connecting: true,
            receiving: false,
            wants_receive: false,
            ended: false,
            closing: false,
            under_way: 1,
            outgoing: None,
        });
        let id = self.insert(link);
        let state = &self.servers[pool][server];
        let (fault, errno) = if !is_home(state.home, home) {
            let fault = if home == DEAD_HOME {
                Happening::DeadAddress
            } else {
                Happening::Moved
            };
            (Some(fault), libc::ECONNREFUSED)
        } else if state.has(Happening::ConnectSilent) {
            (Some(Happening::ConnectSilent), 0)
        } else if state.has(Happening::ConnectUnreachable) {
            (Some(Happening::ConnectUnreachable), libc::EHOSTUNREACH)
        } else if state.has(Happening::ConnectRefused) {
            (Some(Happening::ConnectRefused), libc::ECONNREFUSED)
        } else {
            (None, 0)
        };
        if let Some(fault) = fault {
            self.tally.count(fault);
            self.touch_link(id, fault);
        }
        if fault != Some(Happening::ConnectSilent) {
            let answer = self.now + self.dice.micros(20, 500);
            self.schedule(answer, Event::Connected(id, errno));
        }
    }

    /// An attempt to connect has come to its end.
    pub fn connected(&mut self, id: LinkId, errno: i32) {
        let link = &mut self.links[id.0];
        let (worker, conn, peer) = (link.worker, link.conn, link.peer);
        let Some(socket) = &mut link.socket else {
            return;
        };
        if socket.closing || !socket.connecting {
            return;
        }
        let Peer::Server { pool, server } = peer else {
            return;
        };
        socket.connecting = false;
        socket.under_way -= 1;
        self.wake(worker);
        let refuses = self.servers[pool][server].has(Happening::ConnectRefused);
        let errno = if refuses && errno == 0 {
            libc::ECONNREFUSED
        } else {
            errno
        };
        if errno != 0 {
            // The next attempt has a socket of its own.
            self.links[id.0].socket = None;
            if refuses {
                self.touch_link(id, Happening::ConnectRefused);
            }
            self.workers[worker].sockets.remove(&place(conn));
            self.workers[worker].refused.insert(conn);
            self.workers[worker].proxy.failed(conn, errno, self.now);
            self.end_link_touches(id);
            return;
        }
        let link = &mut self.links[id.0];
        link.peer_gone = false;
        link.connected = Some(self.now);
        if let Some(socket) = &mut link.socket {
            socket.wants_receive = true;
        }
        self.servers[pool][server]
            .conns
            .insert(id, ServerConn::default());
        self.receive_again(id);
        self.workers[worker].proxy.connected(conn, self.now);
    }

    pub(super) fn shut_down(&mut self, worker: usize, conn: ConnId) {
        let Some(id) = self.link_of(worker, conn) else {
            return;
        };
        let link = &mut self.links[id.0];
        let sends = link
            .socket
            .as_ref()
            .is_some_and(|socket| socket.outgoing.is_some());
        assert!(!sends, "the end of a stream in the middle of a batch");
        link.ended_by_proxy = Some(self.now);
        let arrival = link.to_peer.finish(End::Fin, self.now, &mut self.dice);
        self.land_at(id, false, arrival);
    }

    pub(super) fn close(&mut self, worker: usize, conn: ConnId) {
        let Some(id) = self.link_of(worker, conn) else {
            // It could not connect, or it was not yet known where to.
            if !self.workers[worker].refused.remove(&conn) {
                self.oracle.given_up(None, self.now);
            }
            self.workers[worker].proxy.closed(conn);
            return;
        };
        self.check_close(id);
        let link = &mut self.links[id.0];
        link.ended_by_proxy.get_or_insert(self.now);
        if let Some(socket) = &mut link.socket {
            assert!(!socket.closing, "closed twice");
            socket.closing = true;
            if socket.under_way > 0 {
                socket.under_way += 1;
                let cancelled = self.now + self.dice.micros(0, 50);
                self.schedule(cancelled, Event::AllCancelled(id));
            }
        }
        self.close_if_idle(id);
    }

    /// A connection to a server is shared: it is closed only when it is of no use any more.
    fn check_close(&mut self, id: LinkId) {
        let link = &self.links[id.0];
        let (Peer::Server { pool, server }, Some(socket)) = (link.peer, &link.socket) else {
            return;
        };
        let is_bad = link.is_bad && link.has_served;
        if socket.ended || link.to_proxy.end.is_some() || is_bad {
            return;
        }
        // It could not be made, or the server has been silent for three times as long as a request
        // may take, or twice while it answered a probe.
        if link.has_served {
            let silent = self.now.since(link.last_received.unwrap_or(Time::ZERO));
            // Another connection has its place since a reload.
            let conn = self.servers[pool][server].conns.get(&id);
            let quiet = conn.is_none_or(|conn| conn.is_idle() && link.to_peer.is_empty());
            if self.reloads[pool] && quiet {
                return;
            }
            // Nobody has used another database for long.
            let other = conn.is_some_and(|conn| !conn.is_greeted_for_all(&self.config.pools[pool]));
            if other && quiet && silent >= UNUSED {
                return;
            }
            let timeout = self.config.pools[pool].timeouts.request;
            let answered = self.control.answered.get(&(pool, server));
            let times = match answered {
                Some(at) if self.now.since(*at) < Duration::from_millis(2) => 2,
                _ => 3,
            };
            // Or it has a successor, and all that it owes replies to have had an error.
            let may_have_one = self.reloads[pool] && timeout.is_some();
            if !may_have_one && timeout.is_none_or(|timeout| silent < timeout * times) {
                // The server is elsewhere, and nobody asks anything here any more.
                let home = &self.servers[pool][server];
                let quiet = home.conns.get(&id).is_none_or(ServerConn::is_idle);
                assert!(
                    !is_home(home.home, link.home) && quiet,
                    "the connection to server {pool}.{server} is closed without a reason"
                );
                self.tally.count(Happening::LeftAddress);
                return;
            }
        }
        self.oracle.given_up(Some((pool, server)), self.now);
    }

    /// The operations on a socket that is being closed complete, one after the other.
    pub fn all_cancelled(&mut self, id: LinkId) {
        self.wake(self.links[id.0].worker);
        if let Some(socket) = &mut self.links[id.0].socket {
            socket.under_way -= 1;
            if std::mem::take(&mut socket.receiving) {
                socket.under_way -= 1;
            }
            if std::mem::take(&mut socket.connecting) {
                socket.under_way -= 1;
            }
        }
        self.sent(id, None);
        self.close_if_idle(id);
    }

    pub(super) fn close_if_idle(&mut self, id: LinkId) {
        let link = &mut self.links[id.0];
        let Some(socket) = &link.socket else {
            return;
        };
        if !socket.closing || socket.under_way > 0 {
            return;
        }
        let (worker, conn, peer) = (link.worker, link.conn, link.peer);
        link.socket = None;
        // The kernel resets a connection that is closed with bytes unread.
        let end = if link.to_proxy.arrived() > 0 {
            End::Reset
        } else {
            End::Fin
        };
        let arrival = link.to_peer.finish(end, self.now, &mut self.dice);
        self.land_at(id, false, arrival);
        self.workers[worker].sockets.remove(&place(conn));
        if let Peer::Client(client) = peer {
            let pool = self.clients[client].pool;
            self.admission
                .leave(PoolIdx(u16::try_from(pool).expect("few pools")));
        }
        self.end_link_touches(id);
        self.workers[worker].proxy.closed(conn);
    }
}
