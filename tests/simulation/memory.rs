//! A proxy with little memory among clients that take more than they read, seed by seed.
//!
//! What it holds stays under the limit, but for one receive and what is still being sent to clients
//! that it has just closed; whoever reads is answered, in order, and is never closed; and when the
//! greedy have gone, who was stopped goes on.

use std::collections::BTreeMap;

use coremux::base::Time;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Pressure;

use crate::by_hand::Bench;
use crate::dice::Dice;
use crate::frame::parse_request;
use crate::frame::write_bulk;
use crate::frame::write_request;

const LIMIT: usize = 4 << 20;
/// As in the reactor: from here on clients are stopped, and closed.
const SOFT: usize = LIMIT / 4 * 3;
const HARD: usize = LIMIT / 8 * 7;
const RECEIVE_BYTES_MAX: usize = 64 << 10;
const STEPS: usize = 400;
const HOGS: usize = 12;
const READERS: usize = 4;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ways {
    /// Asks for small values and takes them.
    Reads,
    /// Asks for large values and takes none.
    Asks,
    /// Sends large values, of which the proxy must keep what the server does not take.
    Sends,
}

#[derive(Debug)]
struct Guest {
    ways: Ways,
    /// What is left of the request that it is sending.
    unsent: Vec<u8>,
    /// What it is to read, if it reads.
    due: Vec<u8>,
    asked: usize,
}

#[derive(Debug, Default)]
struct Seen {
    closed: usize,
    paused: usize,
    told: usize,
    forgotten: usize,
    most: usize,
}

struct Party {
    bench: Bench,
    dice: Dice,
    server: ConnId,
    guests: BTreeMap<ConnId, Guest>,
    /// Clients that the proxy has closed, until their sends have ended.
    closing: Vec<ConnId>,
    to_server: Vec<u8>,
    from_server: Vec<u8>,
    /// How much of it was given to the proxy.
    given: usize,
    server_reads: bool,
    seen: Seen,
}

impl Party {
    fn new(seed: u64) -> Party {
        let mut bench = Bench::new("  client_output_limit: 2000000\n");
        let first = bench.client();
        bench.receives(first, &write_request(&["GET", "1"]));
        let server = bench.connected();
        let mut party = Party {
            bench,
            dice: Dice::new(seed),
            server,
            guests: BTreeMap::new(),
            closing: Vec::new(),
            to_server: Vec::new(),
            from_server: Vec::new(),
            given: 0,
            server_reads: true,
            seen: Seen::default(),
        };
        let mut due = Vec::new();
        write_bulk(b"v", &mut due);
        party.guests.insert(
            first,
            Guest {
                ways: Ways::Reads,
                unsent: Vec::new(),
                due,
                asked: 1,
            },
        );
        (1..READERS).for_each(|_| party.comes(Ways::Reads));
        (0..HOGS).for_each(|_| party.hog_comes());
        party
    }

    fn hog_comes(&mut self) {
        let ways = *self.dice.pick(&[Ways::Asks, Ways::Asks, Ways::Sends]);
        self.comes(ways);
    }

    fn comes(&mut self, ways: Ways) {
        let conn = self.bench.client();
        let guest = Guest {
            ways,
            unsent: Vec::new(),
            due: Vec::new(),
            asked: 0,
        };
        self.guests.insert(conn, guest);
    }

    fn some_guest(&mut self, mine: impl Fn(&Guest) -> bool) -> Option<ConnId> {
        let guests = self.guests.iter().filter(|(_, guest)| mine(guest));
        let conns: Vec<ConnId> = guests.map(|(conn, _)| *conn).collect();
        (!conns.is_empty()).then(|| *self.dice.pick(&conns))
    }

    fn step(&mut self) {
        match self.dice.below(10) {
            0..3 => self.guest_asks(),
            3 => self.reader_takes(),
            4 => self.server_takes(),
            5..8 => self.server_gives(),
            8 => self.sends_end(),
            _ if self.dice.percent(10) => self.server_reads ^= true,
            _ => self.bench.passes(20),
        }
        self.hear();
        self.relieve();
        self.check();
    }

    fn guest_asks(&mut self) {
        let Some(conn) = self.some_guest(|guest| guest.ways != Ways::Reads || guest.asked < 3)
        else {
            return;
        };
        let Some(guest) = self.guests.get_mut(&conn) else {
            return;
        };
        if guest.unsent.is_empty() {
            let large = self.dice.between(100_000, 600_000);
            guest.unsent = match guest.ways {
                Ways::Asks => write_request(&["GET", &large.to_string()]),
                Ways::Sends => write_request(&[&b"SET"[..], b"k", &vec![b'w'; large]]),
                Ways::Reads => {
                    let small = self.dice.between(1, 30_000);
                    write_bulk(&vec![b'v'; small], &mut guest.due);
                    guest.asked += 1;
                    write_request(&["GET", &small.to_string()])
                }
            };
        }
        let step = guest.unsent.len().min(RECEIVE_BYTES_MAX);
        let piece: Vec<u8> = guest.unsent.drain(..step).collect();
        self.bench.receives(conn, &piece);
    }

    /// Who reads has exactly what is due to it.
    fn reader_takes(&mut self) {
        let Some(conn) = self.some_guest(|guest| guest.ways != Ways::Asks) else {
            return;
        };
        let bytes = self.bench.sends(conn);
        if bytes.is_empty() {
            return;
        }
        let Some(guest) = self.guests.get_mut(&conn) else {
            return;
        };
        if guest.ways == Ways::Reads {
            assert!(guest.due.starts_with(&bytes), "a reply that is not its own");
            guest.due.drain(..bytes.len());
            guest.asked = usize::from(!guest.due.is_empty());
        }
        self.bench.sent(conn);
    }

    fn server_takes(&mut self) {
        let bytes = self.bench.sends(self.server);
        if bytes.is_empty() || !self.server_reads {
            return;
        }
        self.to_server.extend_from_slice(&bytes);
        self.bench.sent(self.server);
        let mut at = 0;
        while let Ok(Some((args, len))) = parse_request(&self.to_server[at..]) {
            let args: Vec<&[u8]> = args
                .iter()
                .map(|arg| &self.to_server[at..][arg.clone()])
                .collect();
            match args[0] {
                b"GET" => {
                    let size: usize = std::str::from_utf8(args[1]).unwrap().parse().unwrap();
                    write_bulk(&vec![b'v'; size], &mut self.from_server);
                }
                _ => self.from_server.extend_from_slice(b"+OK\r\n"),
            }
            at += len;
        }
        self.to_server.drain(..at);
    }

    fn server_gives(&mut self) {
        let most = (self.from_server.len() - self.given).min(RECEIVE_BYTES_MAX);
        if most > 0 {
            let step = self.dice.between(1, most);
            let piece = self.from_server[self.given..][..step].to_vec();
            self.given += step;
            let before = self.bench.proxy.holdings().bytes;
            self.bench.receives(self.server, &piece);
            let after = self.bench.proxy.holdings().bytes;
            self.seen.forgotten += usize::from(step > 40_000 && after <= before);
        }
    }

    /// The sockets of closed clients are closed.
    fn sends_end(&mut self) {
        for conn in std::mem::take(&mut self.closing) {
            if !self.bench.sends(conn).is_empty() {
                self.bench.sent(conn);
            }
            self.bench.proxy.closed(conn);
        }
    }

    fn hear(&mut self) {
        for output in std::mem::take(&mut self.bench.outputs) {
            match output {
                Output::Close(conn) | Output::Abort(conn) => {
                    let guest = self.guests.remove(&conn);
                    let ways = guest.map(|guest| guest.ways);
                    assert_ne!(ways, Some(Ways::Reads), "who reads is closed");
                    self.seen.closed += 1;
                    self.closing.push(conn);
                    self.hog_comes();
                }
                // It has been told why; then it is closed.
                Output::ShutdownWrite(_) => self.seen.told += 1,
                Output::Pause(_) => self.seen.paused += 1,
                _ => {}
            }
        }
    }

    fn relieve(&mut self) {
        let holdings = self.bench.proxy.holdings();
        let used = holdings.bytes;
        let pressure = Pressure {
            client_bytes_max: match used > SOFT {
                true => SOFT / (2 * (HOGS + READERS)),
                false => usize::MAX,
            },
            shed_bytes: match used > HARD {
                true => used - HARD + HARD / 32,
                false => 0,
            },
            spared_bytes: holdings.largest / 4,
        };
        self.bench.proxy.relieve(pressure, self.bench.now);
        self.bench.turn();
        self.hear();
    }

    fn check(&mut self) {
        let sending = self
            .closing
            .iter()
            .map(|conn| self.bench.sends(*conn).len());
        let closing: usize = sending.sum();
        let held = self.bench.proxy.holdings().bytes;
        self.seen.most = self.seen.most.max(held);
        assert!(
            held - closing.min(held) <= HARD + RECEIVE_BYTES_MAX,
            "{held} bytes are held, {closing} of them for closed clients"
        );
    }

    /// The greedy go; whoever reads has all that it has asked for.
    fn ends(mut self) -> Seen {
        self.server_reads = true;
        let hogs: Vec<ConnId> = self
            .guests
            .iter()
            .filter(|(_, guest)| guest.ways != Ways::Reads)
            .map(|(conn, _)| *conn)
            .collect();
        for conn in hogs {
            self.guests.remove(&conn);
            self.bench
                .proxy
                .failed(conn, libc::ECONNRESET, self.bench.now);
            self.bench.turn();
            self.closing.push(conn);
        }
        self.bench.outputs.clear();
        let mut rounds = 0;
        while self.guests.values().any(|guest| !guest.due.is_empty())
            || self.given < self.from_server.len()
            || !self.bench.sends(self.server).is_empty()
        {
            rounds += 1;
            assert!(rounds < 5000, "who reads still waits: {:?}", self.seen);
            self.sends_end();
            self.server_takes();
            self.server_gives();
            self.reader_takes();
            self.relieve();
        }
        assert!(self.bench.proxy.holdings().bytes < LIMIT / 8);
        assert!(self.bench.now > Time::ZERO);
        self.seen
    }
}

#[test]
fn a_proxy_with_little_memory_keeps_to_it_and_serves_who_reads() {
    let mut all = Seen::default();
    for seed in 0..24 {
        let mut party = Party::new(seed);
        (0..STEPS).for_each(|_| party.step());
        let seen = party.ends();
        all.closed += seen.closed;
        all.paused += seen.paused;
        all.told += seen.told;
        all.forgotten += seen.forgotten;
        all.most = all.most.max(seen.most);
    }
    println!("{all:?}");
    assert!(all.closed > 24 && all.paused > 24, "{all:?}");
    assert!(all.told > 0 && all.forgotten > 0, "{all:?}");
}
