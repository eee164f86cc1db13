//! One worker's data plane, without any I/O: bytes and events in, bytes and acts out.
//!
//! Owns: clients, server connections, and which request awaits which reply. Never: a socket, a
//! clock, a thread. Time is an argument, randomness is a seed: one seed gives one run.
//! Lives on: every worker, one each.
//!
//! | room | owns |
//! |---|---|
//! | `client` | a client: what it has sent, the order of its replies, what it has said of itself |
//! | `plan` | what one request asks of the servers, and how their replies join |
//! | `dispatch` | from a request to the queue of the server connection that carries it |
//! | `server_conn` | a server connection: its life, its FIFO, what becomes of requests when it ends |
//! | `exclusive` | connections that one client has for itself, and what waits on them |
//! | `inquiry` | what one client asks about those of all workers |
//! | `scripts` | sources of scripts, for servers that do not know them |
//! | `pubsub` | what clients listen to, and the connections on which messages come |
//! | `pool` | a pool's rules, its servers, their connections and replicas |
//!
//! A file that adds methods to [`Proxy`], or to the `Desk` of `dispatch`, is a flow: it takes several
//! rooms, and says what they do in which order. All others are a room's state, which uses no flow and
//! can be tested by itself, and words: `effects`, `failure`, `timers`, `worker`. `tests/tidy/layers`
//! checks it, and says what the state of a room may use of another's.
//!
//! A request's way: `client/requests` cuts it and asks the command table what it is, `plan`
//! decides what is done with it and where its keys live, `dispatch` chooses the
//! connection, `server_conn` queues it and remembers who waits. The reply comes back through
//! `server_conn/reader`, which pairs it, `plan/gather`, which joins fragments, and `client`, which
//! keeps the order.
//!
//! Its owner calls, after every event or batch of events, [`Proxy::poll_output`] and
//! [`Proxy::poll_transmit`] until they give nothing.

mod census;
mod client;
mod dispatch;
mod effects;
mod exclusive;
mod failure;
mod inquiry;
mod invariants;
mod load_shedding;
mod observing;
mod plan;
mod pool;
mod pubsub;
mod recording;
mod reload;
mod rolling_drain;
mod scripts;
mod server_conn;
mod slow_log;
mod timers;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Batch;
use crate::base::Chunk;
use crate::base::Key;
use crate::base::PoolIdx;
use crate::base::Random;
use crate::base::Slab;
use crate::base::Time;
use crate::base::WorkerIdx;
use crate::config::Config;
use crate::messages::Change;
use crate::protocol::Arg;
use crate::stats::WorkerStats;
use crate::telemetry::Records;
use crate::telemetry::observed::Observers;

pub use client::ClientLoad;
pub use client::mute::Mute;
pub use client::state::Carried;
pub use client::state::ClientState;
pub use client::state::StateError;
pub use client::unmet::Unmet;
pub use effects::ConnId;
pub use effects::Output;
pub use failure::Failure;
pub use failure::RequestError;
pub use load_shedding::Holdings;
pub use load_shedding::Pressure;
pub use pool::spoken;
pub use reload::Reload;

use census::Census;
use client::Client;
use client::Clients;
use client::backpressure::FullQueues;
use client::ids::ClientIds;
use client::others::ClientPauses;
use dispatch::curious::Curious;
use dispatch::forward::Share;
use dispatch::late_writes::LateWrites;
use effects::Wire;
use exclusive::stock::Stocks;
use inquiry::Inquiries;
use plan::Parts;
use pool::Pool;
use pool::write_hold::WriteHolds;
use rolling_drain::RollingDrain;
use scripts::Scripts;
use server_conn::ServerConn;
use timers::Timers;
use worker::Worker;

/// What a [`Proxy`] is built from.
#[derive(Clone, Debug)]
pub struct ProxySetup {
    /// The pools.
    pub config: Arc<Config>,
    /// Where it counts; it is the only writer.
    pub stats: Arc<WorkerStats>,
    /// Which of the process's workers it serves.
    pub worker: WorkerIdx,
    /// How many workers there are.
    pub workers: u16,
    /// Where its random numbers begin.
    pub seed: u64,
    /// The time of day at [`Time::ZERO`], since 1970.
    pub epoch: Duration,
    /// The process's id, for `INFO`.
    pub process: u32,
}

/// One worker's data plane.
#[derive(Debug)]
pub struct Proxy {
    worker: Worker,
    stats: Arc<WorkerStats>,
    pools: Vec<Pool>,
    clients: Clients,
    servers: Slab<ServerConn>,
    // What stops clients, apart from themselves.
    full_queues: FullQueues,
    late_writes: LateWrites,
    write_holds: WriteHolds,
    client_pauses: ClientPauses,
    inquiries: Inquiries,
    // Connections that one client has for itself.
    stocks: Stocks,
    curious: Curious,
    scripts: Scripts,
    wire: Wire,
    timers: Timers,
    random: Random,
    draining: bool,
    rolling_drain: RollingDrain,
    records: Box<Records>,
    census: Census,
    // Who wants to see requests as they come.
    observers: Observers,
    scratch: Scratch,
}

/// Space that one request at a time needs, kept to be used again.
#[derive(Debug, Default)]
struct Scratch {
    args: Vec<Arg>,
    parts: Parts,
    shares: Vec<Share>,
    hearers: Vec<Key>,
}

impl Proxy {
    /// A data plane without any connection.
    #[must_use]
    pub fn new(setup: ProxySetup) -> Proxy {
        Proxy {
            worker: Worker {
                idx: setup.worker,
                epoch: setup.epoch,
                process: setup.process,
                workers: setup.workers.max(1),
            },
            stats: setup.stats,
            pools: setup.config.pools.iter().cloned().map(Pool::new).collect(),
            clients: Clients::new(ClientIds::new(setup.worker.0, setup.workers)),
            servers: Slab::default(),
            full_queues: FullQueues::default(),
            late_writes: LateWrites::default(),
            write_holds: WriteHolds::default(),
            client_pauses: ClientPauses::default(),
            inquiries: Inquiries::default(),
            stocks: Stocks::default(),
            curious: Curious::default(),
            scripts: Scripts::default(),
            wire: Wire::default(),
            timers: Timers::default(),
            random: Random::new(setup.seed),
            draining: false,
            rolling_drain: RollingDrain::default(),
            scratch: Scratch::default(),
            records: Box::default(),
            census: Census::default(),
            observers: Observers::default(),
        }
    }

    /// Opens the connections of pools with `preconnect`.
    pub fn start(&mut self, now: Time) {
        for (index, pool) in (0u16..).zip(0..self.pools.len()) {
            if self.pools[pool].config.connections.preconnect {
                self.preconnect(PoolIdx(index), now);
            }
        }
    }

    /// A client has connected to a pool. It is `admitted` unless the process has as many clients
    /// as the pool may have; then it is told so and closed.
    pub fn client_accepted(
        &mut self,
        pool: PoolIdx,
        peer: Option<SocketAddr>,
        admitted: bool,
        now: Time,
    ) -> ConnId {
        ConnId::Client(self.begin_client(pool, peer, admitted, now))
    }

    /// A client has connected to this address of ours.
    pub fn client_reached(&mut self, conn: ConnId, local: Option<SocketAddr>) {
        if let ConnId::Client(key) = conn {
            if let Some(client) = self.clients.slab.find_mut(key) {
                client.session.set_local(local);
            }
        }
    }

    /// A socket that was asked for is connected.
    pub fn connected(&mut self, conn: ConnId, now: Time) {
        match conn {
            ConnId::Server(key) => self.server_connected(key, now),
            ConnId::Client(_) => debug_assert!(false, "clients connect to us"),
        }
    }

    /// Bytes have come.
    pub fn received<C: Chunk>(&mut self, conn: ConnId, chunk: &C, now: Time) {
        match conn {
            ConnId::Client(key) => self.client_received(key, chunk, now),
            ConnId::Server(key) => self.server_received(key, chunk, now),
        }
        self.check_invariants();
    }

    /// The peer has closed its sending half; all it sent before was given to `received`.
    pub fn received_end(&mut self, conn: ConnId, now: Time) {
        match conn {
            ConnId::Client(key) => self.client_received_end(key, now),
            ConnId::Server(key) => self.fail_server_conn(key, &Failure::ClosedByServer, now),
        }
        self.check_invariants();
    }

    /// The connection broke, or could not be made: the system's error number.
    pub fn failed(&mut self, conn: ConnId, errno: i32, now: Time) {
        match conn {
            ConnId::Client(key) => self.client_failed(key),
            ConnId::Server(key) => self.server_failed(key, errno, now),
        }
        self.check_invariants();
    }

    /// A batch from `poll_transmit` was sent whole, or the connection broke meanwhile.
    pub fn sent(&mut self, conn: ConnId, batch: Batch, now: Time) {
        match conn {
            ConnId::Client(key) => self.client_sent(key, batch, now),
            ConnId::Server(key) => {
                self.server_sent(key, batch, now);
                self.leave_if_settled(key, now);
            }
        }
    }

    /// The socket of a connection that was to be closed is closed: its id names nothing any more.
    pub fn closed(&mut self, conn: ConnId) {
        match conn {
            ConnId::Client(key) => self.client_closed(key),
            ConnId::Server(key) => self.server_closed(key),
        }
    }

    /// Takes a change of the world.
    pub fn apply(&mut self, change: &Change, now: Time) {
        match change {
            Change::Addresses {
                pool,
                server,
                addresses,
            } => {
                self.server_resolved(*pool, *server, addresses, now);
            }
            Change::Moved {
                pool,
                server,
                addresses,
            } => self.server_moved(*pool, *server, addresses, now),
            Change::Replicas {
                pool,
                server,
                addresses,
            } => self.set_replicas(*pool, *server, addresses, now),
            Change::Fence { pool, fenced } => self.pools[pool.index()].fenced = *fenced,
            Change::Hold { pool, within } => self.hold_for(*pool, *within),
            Change::HoldWrites {
                pool,
                server,
                within,
            } => self.hold_writes(*pool, *server, now + *within),
            Change::ReleaseWrites { pool, server } => self.let_writes(*pool, *server),
            Change::Suspect { pool, server } => self.suspect(*pool, *server),
            Change::Eject { pool, server } => self.eject(*pool, *server, now),
            Change::Reachable { pool, server } => self.server_reachable(*pool, *server, now),
            Change::Readmit { pool, server } => {
                if self.pools[pool.index()].set_ejected(*server, false) {
                    self.rehome(*pool, now);
                }
            }
        }
    }

    /// Reads no more requests; clients are closed when what they asked is answered.
    pub fn drain(&mut self, now: Time) {
        self.draining = true;
        let keys: Vec<Key> = self.clients.slab.keys().collect();
        for key in keys {
            self.end_client(key, true, now);
        }
    }

    /// Whether every client has gone.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.draining && self.clients.slab.is_empty()
    }

    /// When `handle_timeout` is to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        // Without a loop: it is asked twice a pass, and mostly there is none but the timers'.
        let clients = sooner(self.rolling_drain.next(), self.client_pauses.next());
        let servers = sooner(self.write_holds.next(), self.inquiries.next());
        let others = sooner(sooner(clients, servers), self.next_waiting_timeout());
        sooner(self.timers.next(), others)
    }

    /// Does what time has made due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.part(now);
        self.end_write_holds(now);
        self.end_client_pauses(now);
        self.expire_inquiries(now);
        self.expire_waiting(now);
        while let Some((due, conn)) = self.timers.pop_due(now) {
            match conn {
                ConnId::Client(key) => self.client_due(key, due, now),
                ConnId::Server(key) => self.server_due(key, due, now),
            }
        }
        self.check_invariants();
    }

    /// The next act for the holder of the sockets.
    pub fn poll_output(&mut self, now: Time) -> Option<Output> {
        if self.wire.outputs.is_empty() {
            self.release_stopped();
            self.release_late_writers();
        }
        if !self.stocks.has_room.is_empty() {
            self.serve_all_waiting(now);
        }
        if !self.clients.unheard.is_empty() {
            self.settle_unheard(now);
        }
        if !self.curious.is_empty() {
            self.satisfy_curious(now);
        }
        if !self.clients.resumable.is_empty() {
            self.resume_clients(now);
            // Who goes on may be curious, and what it asks may be known by now.
            self.satisfy_curious(now);
            self.resume_clients(now);
        }
        self.wire.outputs.pop_front()
    }

    /// The next connection that has bytes to send, and the bytes: send them all, in order, then
    /// call `sent`. A connection has one batch at a time. It is handed over `now`.
    pub fn poll_transmit(&mut self, now: Time) -> Option<(ConnId, Batch)> {
        while let Some(conn) = self.wire.writable.pop() {
            let batch = match conn {
                ConnId::Client(key) => self.clients.slab.find_mut(key).and_then(Client::take_batch),
                ConnId::Server(key) => self.take_server_batch(key, now),
            };
            if let Some(batch) = batch {
                return Some((conn, batch));
            }
        }
        None
    }

    /// Whether something is to be done as soon as a batch of this connection was sent: other than
    /// that, its holder may call `sent` at leisure, if all of it went out at once.
    #[must_use]
    pub fn awaits_sent(&self, conn: ConnId) -> bool {
        match conn {
            ConnId::Client(key) => self
                .clients
                .slab
                .find(key)
                .is_some_and(|client| client.pauses.is_stopped() || !client.life.is_open()),
            // What was queued meanwhile is sent in the pass after the one that queued it.
            ConnId::Server(_) => false,
        }
    }

    /// Takes what was recorded of requests, and goes on with `spare`, in which there is nothing.
    #[must_use]
    pub fn take_records(&mut self, spare: Box<Records>) -> Box<Records> {
        std::mem::replace(&mut self.records, spare)
    }

    /// How many clients there are.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.clients.slab.len()
    }

    /// What a client costs in memory now; `None` once it has gone.
    #[must_use]
    pub fn client_load(&self, conn: ConnId) -> Option<ClientLoad> {
        match conn {
            ConnId::Client(key) => self.clients.slab.find(key).map(Client::load),
            ConnId::Server(_) => None,
        }
    }
}

/// The sooner of two moments, of which there may be none.
#[inline]
fn sooner(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (some, None) | (None, some) => some,
    }
}
