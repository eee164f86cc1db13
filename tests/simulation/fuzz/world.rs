//! One run: a proxy, and around it peers that keep no rule but those of sockets.

mod config;
mod peers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coremux::base::Batch;
use coremux::base::PoolIdx;
use coremux::base::Time;
use coremux::config::Table;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Proxy;
use coremux::stats::WorkerStats;

use crate::data_plane;
use crate::dice::Dice;
use crate::fuzz::material::Material;
use peers::Socket;

/// How often the end of a run goes around until all has been answered.
const ROUNDS_MAX: usize = 400;

/// What happened in runs; what never happens is not tested.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests_to_servers: usize,
    pub requests_to_replicas: usize,
    pub replies_to_clients: usize,
    pub errors_to_clients: usize,
    pub clients_closed: usize,
    pub servers_closed: usize,
    pub pauses: usize,
    pub changes: usize,
    pub reloads: usize,
}

impl Seen {
    pub fn add(&mut self, other: &Seen) {
        self.requests_to_servers += other.requests_to_servers;
        self.requests_to_replicas += other.requests_to_replicas;
        self.replies_to_clients += other.replies_to_clients;
        self.errors_to_clients += other.errors_to_clients;
        self.clients_closed += other.clients_closed;
        self.servers_closed += other.servers_closed;
        self.pauses += other.pauses;
        self.changes += other.changes;
        self.reloads += other.reloads;
    }

    /// `replicas` are asked where there are some.
    pub fn assert_worth_while(&self, replicas: bool) {
        assert_eq!(self.requests_to_replicas > 100, replicas, "{self:?}");
        let counts = [
            self.requests_to_servers,
            self.replies_to_clients - self.errors_to_clients,
            self.errors_to_clients,
            self.clients_closed,
            self.servers_closed,
            self.pauses,
            self.changes,
            self.reloads,
        ];
        assert!(counts.iter().all(|count| *count > 100), "{self:?}");
    }
}

pub struct World<M> {
    proxy: Proxy,
    table: Arc<Table>,
    stats: Arc<WorkerStats>,
    sockets: BTreeMap<ConnId, Socket>,
    material: M,
    dice: Dice,
    now: Time,
    seen: Seen,
    // All that peers send is right.
    kind: bool,
}

impl<M: Material> World<M> {
    pub fn new(seed: u64) -> World<M> {
        let mut dice = Dice::new(seed);
        let config = Arc::new(config::config(M::REDIS, &mut dice));
        let (proxy, stats) = data_plane::single(&config, dice.seed());
        World {
            proxy,
            table: Arc::new(Table::new(config)),
            stats,
            sockets: BTreeMap::new(),
            material: M::default(),
            dice,
            now: Time::ZERO,
            seen: Seen::default(),
            kind: false,
        }
    }

    pub fn run(mut self, steps: usize) -> Seen {
        self.proxy.start(self.now);
        self.obey();
        for _ in 0..steps {
            self.step();
            self.obey();
            self.check_limits();
        }
        self.end();
        self.seen
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..5 => self.accept(),
            5..25 => self.with_client(World::client_sends),
            25..47 => self.with_server(World::server_sends),
            47..63 => self.with_server(World::connects),
            63..90 => self.send_completes(),
            90 => self.with_client(World::peer_ends),
            91 => self.with_server(World::peer_ends),
            92 => self.change(),
            93 if self.dice.percent(20) => self.let_go(),
            _ => {
                let most = *self.dice.pick(&[100, 5_000, 300_000]);
                let time = self.dice.micros(0, most);
                self.pass(time);
            }
        }
    }

    fn accept(&mut self) {
        if self.proxy.client_count() >= 12 {
            return;
        }
        let pools: Vec<PoolIdx> = self.table.pools().map(|(pool, _)| pool).collect();
        let pool = *self.dice.pick(&pools);
        let admitted = self.dice.percent(97);
        let conn = self.proxy.client_accepted(pool, None, admitted, self.now);
        let before = self.sockets.insert(conn, Socket::accepted());
        assert!(before.is_none(), "an id is given twice");
    }

    fn let_go(&mut self) {
        if self.dice.percent(20) {
            self.proxy.let_go(Duration::from_millis(20), self.now);
        } else {
            self.proxy.keep();
        }
    }

    fn change(&mut self) {
        if self.dice.percent(15) {
            self.reload();
        }
        let change = config::change(&self.table, &mut self.dice);
        self.proxy.apply(&change, self.now);
        self.seen.changes += 1;
    }

    fn reload(&mut self) {
        let reload = config::reload(&self.table, M::REDIS, &mut self.dice);
        self.table = Arc::clone(&reload.table);
        self.stats = Arc::new(self.stats.grown(self.table.places()));
        let stats = Arc::clone(&self.stats);
        self.proxy.reload(&reload, stats, self.now);
        self.obey();
        self.seen.reloads += 1;
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        if self.proxy.next_timeout().is_some_and(|due| due <= self.now) {
            self.proxy.handle_timeout(self.now);
        }
    }

    /// Does what the proxy asks.
    fn obey(&mut self) {
        while let Some(output) = self.proxy.poll_output(self.now) {
            match output {
                Output::Connect { conn, address, .. } => {
                    // The same connection may try again, with another socket.
                    let socket = Socket::connecting(config::is_replica(&address));
                    self.sockets.insert(conn, socket);
                }
                Output::Pause(conn) => {
                    self.seen.pauses += 1;
                    self.socket(conn).receiving = false;
                }
                Output::Resume(conn) => self.socket(conn).receiving = true,
                Output::HandOver(conn) => unreachable!("{conn:?}: nobody hands over"),
                Output::ShutdownWrite(conn) => self.socket(conn).shut = true,
                Output::Close(conn) | Output::Abort(conn) => self.close(conn),
                Output::Resolve { pool, server } => {
                    let change = config::found(pool, server);
                    self.proxy.apply(&change, self.now);
                }
                Output::Report(_) | Output::Answer(_) | Output::Script(_) => {}
                Output::Ask(inquiry) => unreachable!("{inquiry:?}: there is one worker"),
            }
        }
        while let Some((conn, batch)) = self.proxy.poll_transmit(self.now) {
            assert!(!batch.is_empty(), "nothing to send");
            let socket = self.socket(conn);
            assert!(!socket.shut, "bytes behind the end");
            assert!(
                socket.batch.replace(batch).is_none(),
                "two batches at a time"
            );
        }
    }

    fn close(&mut self, conn: ConnId) {
        match conn {
            ConnId::Client(_) => self.seen.clients_closed += 1,
            ConnId::Server(_) => self.seen.servers_closed += 1,
        }
        // Without a socket it was not known where to.
        if let Some(batch) = self.sockets.remove(&conn).and_then(|socket| socket.batch) {
            self.proxy.sent(conn, batch, self.now);
        }
        self.proxy.closed(conn);
    }

    #[track_caller]
    fn socket(&mut self, conn: ConnId) -> &mut Socket {
        self.sockets.get_mut(&conn).expect("a connection that is")
    }

    fn send_completes(&mut self) {
        let sending = self.sockets.iter().filter(|(_, s)| s.batch.is_some());
        let sending: Vec<ConnId> = sending.map(|(conn, _)| *conn).collect();
        if !sending.is_empty() {
            let conn = *self.dice.pick(&sending);
            self.sent(conn);
        }
    }

    fn sent(&mut self, conn: ConnId) {
        let socket = self.sockets.get_mut(&conn).expect("a connection that is");
        let batch: Batch = socket.batch.take().expect("something is sent");
        let is_broken = socket.ended;
        if !is_broken {
            for piece in batch.slices() {
                socket.arrived.extend_from_slice(piece);
            }
            match conn {
                ConnId::Client(_) => socket.take_replies::<M>(&mut self.seen),
                ConnId::Server(_) => socket.take_requests::<M>(&mut self.seen),
            }
        }
        self.proxy.sent(conn, batch, self.now);
    }

    fn deliver(&mut self, conn: ConnId, bytes: Vec<u8>) {
        if let ConnId::Client(_) = conn {
            self.socket(conn).counts_lines(&bytes);
        }
        let chunk = Bytes::from(bytes);
        if !chunk.is_empty() {
            self.proxy.received(conn, &chunk, self.now);
        }
    }

    fn check_limits(&mut self) {
        for conn in self.sockets.keys() {
            let Some(load) = self.proxy.client_load(*conn) else {
                continue;
            };
            assert!(
                load.requests_in_flight <= config::IN_FLIGHT_MAX,
                "{load:?} of {conn:?}"
            );
            let owed_max = config::OUTPUT_LIMIT + config::IN_FLIGHT_MAX * config::REPLY_BYTES_MAX;
            assert!(load.owed_bytes <= owed_max, "{load:?} of {conn:?}");
        }
    }

    /// All peers do what they should from now on: everything is answered, and everybody goes.
    fn end(&mut self) {
        self.kind = true;
        self.proxy.drain(self.now);
        for _ in 0..ROUNDS_MAX {
            self.obey();
            if self.proxy.is_drained() {
                return;
            }
            let conns: Vec<ConnId> = self.sockets.keys().copied().collect();
            for conn in conns {
                self.behave(conn);
                self.obey();
            }
            self.pass(Duration::from_millis(20));
        }
        panic!("it does not end: {} clients", self.proxy.client_count());
    }
}
