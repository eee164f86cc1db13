//! Holds a proxy's sockets, and obeys it just as the reactor's worker does: one pass handles what
//! has completed, then does what the proxy asks, then sends what it has to send.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use coremux::base::PoolIdx;
use coremux::base::Time;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Proxy;
use coremux::proxy::SocketAddress;
use coremux::reactor::Entry;
use coremux::stats::WorkerStats;

use crate::link::Link;
use crate::link::Outgoing;
use crate::link::Peer;
use crate::link::Socket;
use crate::server::ServerConn;
use crate::tally::Happening;
use crate::trace::trace;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

/// One worker.
#[derive(Debug)]
pub struct Worker {
    pub proxy: Proxy,
    pub stats: Arc<WorkerStats>,
    /// By the place that the reactor would give it: the generation is not looked at.
    pub sockets: BTreeMap<(bool, u32), LinkId>,
    /// Connections that could not be made, until the proxy closes them.
    pub refused: BTreeSet<ConnId>,
    /// Its clients were told to go.
    pub drained_at: Option<Time>,
}

fn place(conn: ConnId) -> (bool, u32) {
    match conn {
        ConnId::Client(key) => (false, key.index),
        ConnId::Server(key) => (true, key.index),
    }
}

impl World {
    /// The end of a pass.
    pub fn act_and_transmit(&mut self, worker: usize) {
        while let Some(output) = self.workers[worker].proxy.poll_output(self.now) {
            trace!(self.now, "worker {worker} {output:?}");
            match output {
                Output::Connect { conn, address, .. } => self.connect(worker, conn, &address),
                Output::Pause(conn) => self.pause(worker, conn),
                Output::Resume(conn) => {
                    if let Some(link) = self.link_of(worker, conn) {
                        if let Some(socket) = &mut self.links[link.0].socket {
                            socket.wants_receive = true;
                        }
                        self.receive_again(link);
                    }
                }
                Output::ShutdownWrite(conn) => self.shut_down(worker, conn),
                Output::Close(conn) => self.close(worker, conn),
                Output::Resolve { pool, server } => {
                    self.name_wanted(pool.index(), server.index());
                }
                Output::Report(report) => {
                    let arrival = self.now + self.dice.micros(5, 300);
                    self.schedule(arrival, Event::Hear(report));
                }
            }
        }
        while let Some((conn, batch)) = self.workers[worker].proxy.poll_transmit() {
            let link = self
                .link_of(worker, conn)
                .expect("bytes for a socket that is not there");
            let outgoing = Outgoing::new(batch);
            let link_state = &mut self.links[link.0];
            let so_far = link_state.emitted.last().map_or(0, |(end, _)| *end);
            link_state
                .emitted
                .push((so_far + outgoing.rest.len() as u64, self.now));
            assert!(
                link_state.ended_by_proxy.is_none(),
                "bytes behind the end of a stream"
            );
            let socket = link_state
                .socket
                .as_mut()
                .expect("a link of a worker has a socket");
            assert!(
                socket.outgoing.is_none(),
                "a second batch before the first was sent"
            );
            socket.outgoing = Some(outgoing);
            socket.under_way += 1;
            let completion = self.now + self.dice.micros(0, 40);
            self.schedule(completion, Event::Send(link));
        }
    }

    fn link_of(&self, worker: usize, conn: ConnId) -> Option<LinkId> {
        let link = *self.workers[worker].sockets.get(&place(conn))?;
        assert_eq!(
            self.links[link.0].conn, conn,
            "an id of a connection that is gone"
        );
        Some(link)
    }

    fn insert(&mut self, link: Link) -> LinkId {
        let id = LinkId(self.links.len());
        let before = self.workers[link.worker]
            .sockets
            .insert(place(link.conn), id);
        assert!(before.is_none(), "a place is given twice");
        self.links.push(link);
        id
    }

    // --- receiving ---

    /// A receive completes.
    pub fn receive(&mut self, id: LinkId) {
        let link = &mut self.links[id.0];
        let Some(socket) = &mut link.socket else {
            return;
        };
        if !socket.receiving || socket.closing {
            return;
        }
        let (worker, conn) = (link.worker, link.conn);
        if link.to_proxy.arrived() > 0 {
            let most = match link.byte_by_byte && link.received < 2000 {
                true => 1,
                false => 64 << 10,
            };
            let whole = self.dice.percent(70);
            let most = if whole {
                most
            } else {
                self.dice.between(1, most)
            };
            let chunk = link.to_proxy.read(most);
            link.received += chunk.len() as u64;
            if link.ended_by_proxy.is_none() {
                link.last_received = Some(self.now);
            }
            let (received, peer) = (link.received, link.peer);
            if link.to_proxy.arrived() > 0 || link.to_proxy.end.is_some() {
                let next = self.now + self.dice.micros(0, 5);
                self.schedule(next, Event::Receive(id));
            }
            if let Peer::Client(client) = peer {
                self.oracle.arrived(client, received, self.now);
            }
            self.peer_has_room(id);
            self.workers[worker].proxy.received(conn, &chunk, self.now);
            return;
        }
        let Some(end) = link.to_proxy.end else {
            return;
        };
        socket.ended = true;
        socket.receiving = false;
        socket.under_way -= 1;
        trace!(self.now, "{id:?} {:?} ends by {end:?}", link.peer);
        match end {
            End::Fin => self.ends(id, None),
            End::Reset => self.ends(id, Some(libc::ECONNRESET)),
        }
    }

    /// The proxy hears of a connection's end.
    fn ends(&mut self, id: LinkId, errno: Option<i32>) {
        let (worker, conn) = (self.links[id.0].worker, self.links[id.0].conn);
        let unsent = self.unsent(id);
        let proxy = &mut self.workers[worker].proxy;
        match errno {
            None => proxy.received_end(conn, self.now),
            Some(errno) => proxy.failed(conn, errno, self.now),
        }
        if unsent > 0 {
            assert_eq!(
                self.unsent(id),
                unsent,
                "requests that were not sent are lost"
            );
            self.tally.count(Happening::SentAgain);
        }
    }

    /// How many requests wait to be sent on the only connection to a server that serves.
    fn unsent(&self, id: LinkId) -> u64 {
        let link = &self.links[id.0];
        let Some((pool, server)) = self.server_of(id) else {
            return 0;
        };
        let config = &self.config.pools[pool];
        if config.server_connections.get() > 1 || !link.has_served {
            return 0;
        }
        let stats = &self.workers[link.worker].stats.pools[pool].servers[server];
        stats.in_queue.value()
    }

    fn receive_again(&mut self, id: LinkId) {
        let Some(socket) = &mut self.links[id.0].socket else {
            return;
        };
        if socket.wants_receive && !socket.receiving && !socket.ended && !socket.closing {
            socket.receiving = true;
            socket.under_way += 1;
            self.schedule(self.now, Event::Receive(id));
        }
    }

    fn pause(&mut self, worker: usize, conn: ConnId) {
        let Some(id) = self.link_of(worker, conn) else {
            return;
        };
        self.tally.count(Happening::ClientPaused);
        self.links[id.0].was_paused = true;
        if let Some(socket) = &mut self.links[id.0].socket {
            socket.wants_receive = false;
            // Until the kernel has heard of it, receives go on.
            let cancelled = self.now + self.dice.micros(0, 30);
            self.schedule(cancelled, Event::ReceiveCancelled(id));
        }
    }

    pub fn receive_cancelled(&mut self, id: LinkId) {
        if let Some(socket) = &mut self.links[id.0].socket {
            if socket.receiving && !socket.closing {
                socket.receiving = false;
                socket.under_way -= 1;
            }
        }
        self.receive_again(id);
        self.close_if_idle(id);
    }

    // --- sending ---

    /// A send completes, in part or with an error.
    pub fn send(&mut self, id: LinkId) {
        let link = &mut self.links[id.0];
        let Some(socket) = &mut link.socket else {
            return;
        };
        let Some(outgoing) = &mut socket.outgoing else {
            return;
        };
        if socket.closing {
            return;
        }
        if link.to_proxy.end == Some(End::Reset) {
            let errno = *self.dice.pick(&[libc::ECONNRESET, libc::EPIPE]);
            self.sent(id, Some(errno));
            return;
        }
        let most = match self.dice.percent(80) {
            true => outgoing.rest.len(),
            false => self.dice.between(1, outgoing.rest.len()),
        };
        let step = most.min(link.to_peer.room());
        if step == 0 {
            outgoing.parked = true;
            link.was_parked = true;
            self.maybe_break(id);
            return;
        }
        let arrivals = link
            .to_peer
            .write(outgoing.rest.split_to(step), self.now, &mut self.dice);
        let done = outgoing.rest.is_empty();
        self.land_at(id, false, arrivals);
        if done {
            self.sent(id, None);
        } else {
            self.tally.count(Happening::PartialSend);
            let next = self.now + self.dice.micros(0, 100);
            self.schedule(next, Event::Send(id));
        }
    }

    fn sent(&mut self, id: LinkId, errno: Option<i32>) {
        let link = &mut self.links[id.0];
        let (worker, conn) = (link.worker, link.conn);
        let Some(socket) = &mut link.socket else {
            return;
        };
        let Some(outgoing) = socket.outgoing.take() else {
            return;
        };
        socket.under_way -= 1;
        // There may be room for more requests now.
        link.over_limit = None;
        if errno.is_some() {
            self.ends(id, errno);
        }
        let proxy = &mut self.workers[worker].proxy;
        proxy.sent(conn, outgoing.batch, self.now);
        self.close_if_idle(id);
    }

    /// There may be room again for what the proxy sends, or nobody left to read it.
    pub fn proxy_has_room(&mut self, id: LinkId) {
        if let Some(socket) = &mut self.links[id.0].socket {
            if let Some(outgoing) = &mut socket.outgoing {
                if std::mem::take(&mut outgoing.parked) {
                    self.schedule(self.now, Event::Send(id));
                }
            }
        }
    }

    // --- opening and closing ---

    /// A client has connected; whether it was admitted.
    pub fn accept(&mut self, worker: usize, pool: usize, client: usize) -> (LinkId, bool) {
        let pool = PoolIdx(u16::try_from(pool).expect("few pools"));
        let admitted = self.admission.enter(pool) == Entry::Admitted;
        let port = 10_000 + u16::try_from(client).expect("few clients");
        let peer = Some(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
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
        self.receive_again(id);
        (id, admitted)
    }

    fn connect(&mut self, worker: usize, conn: ConnId, address: &SocketAddress) {
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
        let (fault, errno) = if home != state.home {
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
        let refuses = self.servers[pool][server].has(Happening::ConnectRefused);
        let errno = if refuses && errno == 0 {
            libc::ECONNREFUSED
        } else {
            errno
        };
        if errno != 0 {
            // The next attempt has a socket of its own.
            link.socket = None;
            if refuses {
                self.touch_link(id, Happening::ConnectRefused);
            }
            self.workers[worker].sockets.remove(&place(conn));
            self.workers[worker].refused.insert(conn);
            self.workers[worker].proxy.failed(conn, errno, self.now);
            self.end_link_touches(id);
            return;
        }
        socket.wants_receive = true;
        link.peer_gone = false;
        self.servers[pool][server]
            .conns
            .insert(id, ServerConn::default());
        self.receive_again(id);
        self.workers[worker].proxy.connected(conn, self.now);
    }

    fn shut_down(&mut self, worker: usize, conn: ConnId) {
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

    fn close(&mut self, worker: usize, conn: ConnId) {
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
        if socket.ended || link.to_proxy.end.is_some() || link.is_bad {
            return;
        }
        // It could not be made, or the server has been silent for three times as long as a request
        // may take.
        if link.has_served {
            let silent = self.now.since(link.last_received.unwrap_or(Time::ZERO));
            let timeout = self.config.pools[pool].timeout;
            assert!(
                timeout.is_some_and(|timeout| silent >= timeout * 3),
                "the connection to server {pool}.{server} is closed without a reason"
            );
        }
        self.oracle.given_up(Some((pool, server)), self.now);
    }

    /// The operations on a socket that is being closed complete, one after the other.
    pub fn all_cancelled(&mut self, id: LinkId) {
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

    fn close_if_idle(&mut self, id: LinkId) {
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

/// The last number of an address where nobody listens.
pub const DEAD_HOME: u8 = 250;
