//! Holds a proxy's sockets, and obeys it just as the reactor's worker does: one pass handles what
//! has completed, then does what the proxy asks, then sends what it has to send.

mod doors;
mod sending;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use coremux::base::Time;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Proxy;
use coremux::stats::WorkerStats;

use crate::link::Link;
use crate::link::Peer;
use crate::records::Taken;
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
    /// It has something to do in this pass.
    pub awake: bool,
    /// Sends that have completed and wake nobody.
    pub silent: Vec<LinkId>,
    /// It is to be woken to look at those.
    pub looks_again: bool,
    /// Its clients were told to go.
    pub drained_at: Option<Time>,
    pub taken: Taken,
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
                Output::HandOver(conn) => unreachable!("{conn:?}: nobody hands over"),
                Output::Close(conn) => self.close(worker, conn),
                Output::Abort(conn) => {
                    assert!(self.done.was_short, "a client is thrown out without need");
                    if let Some(link) = self.link_of(worker, conn) {
                        self.tally.count(Happening::Shed);
                        self.links[link.0].is_shed = true;
                    }
                    self.close(worker, conn);
                }
                Output::Resolve { pool, server } => {
                    self.name_wanted(pool.index(), server.index());
                }
                Output::Report(report) => {
                    let arrival = self.now + self.dice.micros(5, 300);
                    self.schedule(arrival, Event::Hear(report));
                }
                Output::Script(news) => {
                    for other in (0..self.workers.len()).filter(|other| *other != worker) {
                        let arrival = self.mail_arrives(other);
                        self.schedule(arrival, Event::Script(other, news.clone()));
                    }
                }
                Output::Ask(inquiry) => {
                    for other in (0..self.workers.len()).filter(|other| *other != worker) {
                        let arrival = self.mail_arrives(other);
                        self.schedule(arrival, Event::Ask(other, inquiry.clone()));
                    }
                }
                Output::Answer(finding) => {
                    let arrival = self.mail_arrives(finding.asker.index());
                    self.schedule(arrival, Event::Answer(finding));
                }
            }
        }
        self.transmit(worker);
        self.take_records_in_turn(worker);
    }

    /// Something completes for which a worker wakes: it sees first what has completed silently.
    pub fn wake(&mut self, worker: usize) {
        if !std::mem::replace(&mut self.workers[worker].awake, true) {
            for link in std::mem::take(&mut self.workers[worker].silent) {
                self.send_completes(link);
            }
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
        if link.to_proxy.arrived() == 0 && link.to_proxy.end.is_none() {
            return;
        }
        self.wake(worker);
        let link = &mut self.links[id.0];
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
        if let Some(socket) = &mut link.socket {
            socket.ended = true;
            socket.receiving = false;
            socket.under_way -= 1;
        }
        trace!(self.now, "{id:?} {:?} ends by {end:?}", link.peer);
        if let Peer::Client(client) = link.peer {
            self.oracle.ended(client, self.now);
        }
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
            // Reads that were sent may have joined them.
            assert!(
                self.unsent(id) >= unsent,
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
        if config.connections.per_server.get() > 1 || !link.has_served || self.reloads[pool] {
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
        let pools = self.control.held.iter();
        let mut held = pools.filter(|((of, ..), until)| *of == worker && self.now < **until);
        if held.next().is_some() {
            self.tally.count(Happening::WriteWaited);
        }
        self.links[id.0].was_paused = true;
        if self.queue_stops(worker, id) {
            self.tally.count(Happening::QueueFull);
        }
        if let Some(socket) = &mut self.links[id.0].socket {
            socket.wants_receive = false;
            // Until the kernel has heard of it, receives go on.
            let cancelled = self.now + self.dice.micros(0, 30);
            self.schedule(cancelled, Event::ReceiveCancelled(id));
        }
    }

    /// Whether a client that is stopped has nothing near its own limits.
    fn queue_stops(&self, worker: usize, id: LinkId) -> bool {
        let link = &self.links[id.0];
        let (Peer::Client(client), Some(load)) =
            (link.peer, self.workers[worker].proxy.client_load(link.conn))
        else {
            return false;
        };
        let pool = &self.config.pools[self.clients[client].pool];
        pool.limits.server_queue_bytes < 1 << 20
            && pool.limits.client_output_bytes > 10 << 20
            && load.requests_in_flight < 5
            && load.requests_in_flight < pool.limits.client_requests_in_flight.get() as usize
            && load.owed_bytes < 1 << 20
            && !self.done.was_short
    }

    pub fn receive_cancelled(&mut self, id: LinkId) {
        self.wake(self.links[id.0].worker);
        if let Some(socket) = &mut self.links[id.0].socket {
            if socket.receiving && !socket.closing {
                socket.receiving = false;
                socket.under_way -= 1;
            }
        }
        self.receive_again(id);
        self.close_if_idle(id);
    }
}

/// The last number of an address where nobody listens.
pub const DEAD_HOME: u8 = 250;
