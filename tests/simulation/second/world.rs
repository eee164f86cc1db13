//! One run: who does what when, by a seed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::base::Time;
use coremux::config::Config;
use coremux::config::Difference;
use coremux::config::Table;
use coremux::messages::Change;
use coremux::messages::SocketAddress;
use coremux::proxy::ClientState;
use coremux::proxy::Reload;

use crate::dice::Dice;

use super::Client;
use super::Count;
use super::Link;
use super::Spoken;
use super::side::Side;

const STEPS: usize = 3_000;
const STEP: Duration = Duration::from_micros(200);
const CLIENTS: usize = 4;
const POOL: PoolIdx = PoolIdx(0);

pub struct World<S: Spoken> {
    dice: Dice,
    now: Time,
    table: Arc<Table>,
    servers: S::Servers,
    clients: Vec<S::Client>,
    side: Side,
    // There while it takes over.
    next: Option<Side>,
    generation: u64,
    number: u64,
    faults: bool,
}

fn config<S: Spoken>(dice: &mut Dice, faults: bool) -> Config {
    let timeout = if faults { "  timeout: 100\n" } else { "" };
    let policy = dice.pick(&["", "  on_server_failure: hold\n"]);
    let text = format!(
        "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  preconnect: true\n\
         {timeout}{policy}  servers:\n  - 10.0.0.1:1:1 a\n  - 10.0.0.2:1:1 b\n  - 10.0.0.3:1:1 c\n"
    );
    let mut pools = Config::parse(&text, "test.yml").unwrap().pools;
    pools[0].protocol = S::PROTOCOL;
    Config::from_pools(pools)
}

impl<S: Spoken> World<S> {
    pub fn new(seed: u64) -> World<S> {
        let mut dice = Dice::new(seed);
        let faults = dice.percent(75);
        let config = Arc::new(config::<S>(&mut dice, faults));
        let mut side = Side::new(&config, seed, 0);
        side.proxy.start(Time::ZERO);
        let clients = (0..CLIENTS).map(|nth| {
            let conn = side.proxy.client_accepted(POOL, None, true, Time::ZERO);
            side.clients.insert(conn, nth);
            S::Client::default()
        });
        World {
            clients: clients.collect(),
            faults,
            dice,
            now: Time::ZERO,
            table: Arc::new(Table::new(config)),
            servers: S::Servers::default(),
            side,
            next: None,
            generation: 0,
            number: 0,
        }
    }

    /// Runs so many seeds, from SIM_FIRST on: what has happened in all of them.
    pub fn run_all(seeds: u64) -> Count {
        let mut count = Count::default();
        let first = crate::env_number("SIM_FIRST").unwrap_or(0);
        for seed in first..first + seeds {
            let mut world = World::<S>::new(seed);
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                world.run(&mut count);
            }));
            assert!(run.is_ok(), "seed {seed}");
        }
        count
    }

    pub fn run(&mut self, count: &mut Count) {
        for _ in 0..STEPS {
            self.now = self.now + STEP;
            if self.dice.percent(15) {
                self.ask(count);
            }
            if self.faults && self.dice.percent(1) {
                self.fail(count);
            }
            if self.dice.below(400) == 0 {
                self.reload(count);
            }
            if self.next.is_none() && self.dice.below(800) == 0 {
                self.begin_hand_over();
            }
            self.step(count);
        }
        // Nothing more fails, and nobody asks.
        for _ in 0..40 * STEPS {
            self.now = self.now + STEP;
            self.step(count);
            if self.clients.iter().all(S::Client::has_all) {
                break;
            }
        }
        // What nobody awaits arrives as well.
        for _ in 0..STEPS {
            self.now = self.now + STEP;
            self.step(count);
        }
        for (nth, client) in self.clients.iter().enumerate() {
            assert!(client.has_all(), "client {nth} waits for {}", client.due());
            S::settled(client, &self.servers, self.faults);
        }
    }

    fn ask(&mut self, count: &mut Count) {
        self.number += 1;
        let nth = self.dice.below(CLIENTS);
        S::ask(&mut self.clients[nth], self.number, &mut self.dice, count);
    }

    fn step(&mut self, count: &mut Count) {
        let (now, pick, act) = (self.now, self.dice.below(64), self.dice.below(6));
        let most = match self.dice.percent(40) {
            true => self.dice.between(1, 9),
            false => 4_096,
        };
        let busy = self.faults && self.dice.percent(3);
        let of_next = self.dice.percent(50);
        let side = match &mut self.next {
            Some(next) if of_next => next,
            _ => &mut self.side,
        };
        match act {
            0 => side.receive_requests(&mut self.clients, pick, most, now),
            1 => {
                let nth = pick % side.links.len().max(1);
                if let Some(link) = side.links.values_mut().nth(nth) {
                    S::serve(&mut self.servers, link, busy, count);
                }
            }
            2 | 3 => side.receive_replies(pick, most, now),
            4 if !side.sending.is_empty() => {
                let (conn, batch) = side.sending.remove(pick % side.sending.len());
                side.proxy.sent(conn, batch, now);
            }
            5 => {
                if let Some((conn, server)) = side.connecting.pop() {
                    let link = Link {
                        server,
                        older: self.faults && self.dice.percent(20),
                        ..Link::default()
                    };
                    side.links.insert(conn, link);
                    side.proxy.connected(conn, now);
                }
            }
            _ => {}
        }
        for side in [Some(&mut self.side), self.next.as_mut()]
            .into_iter()
            .flatten()
        {
            if side.proxy.next_timeout().is_some_and(|due| due <= now) {
                side.proxy.handle_timeout(now);
            }
            side.pass(&mut self.clients, now);
            for link in &mut side.left.drain(..).collect::<Vec<_>>() {
                link.stalled = 0;
                S::serve(&mut self.servers, link, false, count);
            }
        }
        for client in &mut self.clients {
            let (replies, errors) = client.check(self.faults);
            count.replies += replies;
            count.errors += errors;
        }
        if act == 4 {
            self.hand_over(count);
        }
    }

    fn fail(&mut self, count: &mut Count) {
        let (now, kind) = (self.now, self.dice.below(8));
        let side = &mut self.side;
        let nth = self.dice.below(side.links.len().max(1));
        let link = side
            .links
            .iter()
            .nth(nth)
            .map(|(conn, link)| (*conn, link.server));
        match (kind, link) {
            (0, _) => {
                if let Some((conn, _)) = side.connecting.pop() {
                    count.refused += 1;
                    side.proxy.failed(conn, 111, now);
                }
            }
            (1, _) => {
                if let Some(link) = side.links.values_mut().nth(nth) {
                    count.stalls += 1;
                    link.stalled = self.dice.between(1, 60);
                }
            }
            (2, Some((_, server))) => {
                count.moves += 1;
                let octet = u8::try_from(self.dice.below(200)).unwrap();
                let last = u8::try_from(server + 1).unwrap();
                let address = SocketAddr::from(([10, 1, octet, last], 1));
                let change = Change::Moved {
                    pool: POOL,
                    server: ServerIdx(u16::try_from(server).unwrap()),
                    addresses: vec![SocketAddress::Tcp(address)],
                };
                side.proxy.apply(&change, now);
            }
            (_, Some((conn, _))) => {
                count.resets += 1;
                side.return_batches(conn, now);
                match kind % 2 {
                    0 => side.proxy.received_end(conn, now),
                    _ => side.proxy.failed(conn, 104, now),
                }
            }
            (_, None) => {}
        }
        self.side.pass(&mut self.clients, now);
    }

    /// The pool has more connections, or fewer.
    fn reload(&mut self, count: &mut Count) {
        count.reloads += 1;
        let mut pools = self.table.config().pools.clone();
        let several = u32::try_from(self.dice.between(1, 3)).unwrap();
        pools[0].connections.per_server = NonZeroU32::new(several).unwrap();
        let next = self.table.next(Arc::new(Config::from_pools(pools)));
        let next = Arc::new(next.unwrap());
        let difference = Difference::between(&self.table, &next);
        self.table = next;
        let reload = Reload {
            table: Arc::clone(&self.table),
            difference: Arc::new(difference),
            moved: BTreeSet::new(),
        };
        for side in [Some(&mut self.side), self.next.as_mut()]
            .into_iter()
            .flatten()
        {
            side.stats = Arc::new(side.stats.grown(self.table.places()));
            let stats = Arc::clone(&side.stats);
            side.proxy.reload(&reload, stats, self.now);
        }
    }

    fn begin_hand_over(&mut self) {
        self.generation += 1;
        let config = Arc::clone(self.table.config());
        let mut next = Side::new(&config, self.dice.seed(), self.generation * 1_000);
        next.proxy.start(self.now);
        self.next = Some(next);
        self.side.proxy.hand_over(vec![true], self.now);
    }

    /// One client goes, if one can; the process that all have left is gone.
    fn hand_over(&mut self, count: &mut Count) {
        let Some(next) = &mut self.next else { return };
        if let Some(conn) = self.side.going.pop() {
            let taken = self.side.proxy.take_client(conn, self.now);
            let Some((pool, state)) = taken else { return };
            let nth = self.side.clients.remove(&conn).unwrap();
            self.side.return_batches(conn, self.now);
            self.side.proxy.closed(conn);
            let mut state = ClientState::decode(&state.encode().unwrap()).unwrap();
            let input = std::mem::take(&mut state.input);
            let conn = next.proxy.client_adopted(pool, None, &state, self.now);
            next.clients.insert(conn, nth);
            if !input.is_empty() {
                next.proxy.received(conn, &Bytes::from(input), self.now);
            }
            count.handed_over += 1;
        }
        if self.side.clients.is_empty() {
            // What was sent arrives all the same.
            for link in self.side.links.values_mut() {
                link.stalled = 0;
                S::serve(&mut self.servers, link, false, count);
            }
            self.side = self.next.take().unwrap();
        }
    }
}
