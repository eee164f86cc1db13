//! Clients that wait (`BLPOP`), on connections that each has for itself, while everything fails.
//!
//! A world of its own, smaller than the other: bytes arrive when a send completes, and chance says what
//! happens next. Whatever happens, no client gets what another has asked, no connection carries the
//! requests of two clients at once, there are no more of them than allowed, none outlives its client or is
//! forgotten, and who waits holds up nobody.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::messages::Change;
use coremux::messages::SocketAddress;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use crate::by_hand::Bench;
use crate::dice::Dice;
use crate::frame::elements;
use crate::frame::parse_reply;
use crate::frame::parse_request;
use crate::frame::write_bulk;
use crate::frame::write_request;

const SEEDS: u64 = 300;
const STEPS: usize = 600;
const CLIENTS: usize = 6;
/// The connections that one client each may have for itself.
const EXCLUSIVE: u64 = 3;

#[derive(Debug, Default)]
struct Client {
    /// The keys of its requests that are not answered, in order.
    asked: VecDeque<String>,
    received: Vec<u8>,
    next: usize,
    /// What its next transaction depends on.
    watching: Option<String>,
}

#[derive(Debug, Default)]
struct Server {
    connected: bool,
    received: Vec<u8>,
    /// What is not answered yet.
    asked: VecDeque<Vec<String>>,
    /// What it has ever carried.
    waited: bool,
    shared: bool,
    /// What is watched on it, and by whom.
    watched: Option<(String, ConnId)>,
    /// The transaction that has begun to come.
    sets: Option<String>,
}

/// What has happened, so that nothing is tested that never does.
#[derive(Debug, Default)]
struct Seen {
    popped: usize,
    over: usize,
    refused: usize,
    asked_again: usize,
    left: usize,
    errors: usize,
    done: usize,
    void: usize,
}

struct World {
    bench: Bench,
    dice: Dice,
    clients: BTreeMap<ConnId, Client>,
    servers: BTreeMap<ConnId, Server>,
    looked: usize,
    named: usize,
    /// Which servers have seen each key, and how often.
    seen: BTreeMap<String, usize>,
    /// Whose key it is.
    owners: BTreeMap<String, ConnId>,
    tally: Seen,
    calm: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let policy = *dice.pick(&["fail", "hold"]);
        let again = *dice.pick(&["true", "false"]);
        let keys = format!(
            "  timeout: 400\n  exclusive_connections: {EXCLUSIVE}\n  on_server_failure: {policy}\n  ask_blocked_again: {again}\n"
        );
        World {
            bench: Bench::new(&keys),
            dice,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            looked: 0,
            named: 0,
            seen: BTreeMap::new(),
            owners: BTreeMap::new(),
            tally: Seen::default(),
            calm: false,
        }
    }

    /// Sees what the proxy has asked for.
    fn look(&mut self) {
        self.bench.turn();
        while self.looked < self.bench.outputs.len() {
            let output = self.bench.outputs[self.looked].clone();
            self.looked += 1;
            match output {
                Output::Connect { conn, .. } => {
                    // A second address of the same server is tried on the same connection.
                    self.servers.insert(conn, Server::default());
                }
                Output::Close(conn) | Output::Abort(conn) => {
                    self.servers.remove(&conn);
                    self.clients.remove(&conn);
                    self.bench.proxy.closed(conn);
                }
                Output::ShutdownWrite(conn) => {
                    self.clients.remove(&conn);
                    self.bench.proxy.received_end(conn, self.bench.now);
                    self.bench.turn();
                }
                _ => {}
            }
        }
        self.check();
    }

    fn check(&self) {
        let standing = &self.bench.stats.pools[0].standings[0];
        assert!(standing.exclusive_connections.value() <= EXCLUSIVE);
        assert!(standing.exclusive_held.value() <= standing.exclusive_connections.value());
        for (conn, server) in &self.servers {
            if let Some((_, watcher)) = &server.watched {
                let mut owners = server
                    .asked
                    .iter()
                    .filter_map(|asked| self.owners.get(asked.get(1)?));
                assert!(
                    owners.all(|owner| owner == watcher),
                    "{conn:?} has two owners"
                );
                continue;
            }
            assert!(
                !(server.waited && server.shared),
                "{conn:?} is shared, and waits"
            );
            if server.waited {
                assert!(
                    server.asked.len() <= 1,
                    "{conn:?} serves two: {:?}",
                    server.asked
                );
                for asked in &server.asked {
                    let key = &asked[1];
                    let mut clients = self.clients.values();
                    let owned = clients.any(|client| client.asked.contains(key));
                    assert!(owned, "{key} waits for nobody");
                }
            }
        }
    }

    /// A send completes: the peer reads what was sent.
    fn send_completes(&mut self, conn: ConnId) {
        let bytes = self.bench.sends(conn);
        if bytes.is_empty() {
            return;
        }
        if let Some(client) = self.clients.get_mut(&conn) {
            client.received.extend_from_slice(&bytes);
            self.client_reads(conn);
        } else if let Some(server) = self.servers.get_mut(&conn) {
            server.received.extend_from_slice(&bytes);
            self.server_reads(conn);
        }
        self.bench.sent(conn);
        self.look();
    }

    fn client_reads(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(&conn) else {
            return;
        };
        while let Ok(Some(len)) = parse_reply(&client.received) {
            let reply: Vec<u8> = client.received.drain(..len).collect();
            let key = client.asked.pop_front().expect("nobody has asked for this");
            if key.contains(':') {
                Self::reads_of_transaction(&mut self.tally, &key, &reply);
                continue;
            }
            let mut value = Vec::new();
            write_bulk(key.as_bytes(), &mut value);
            match reply[0] {
                b'$' => assert_eq!(reply, value, "another's value"),
                b'*' if reply == b"*-1\r\n" => self.tally.over += 1,
                b'*' => {
                    let pair = elements(&reply).expect("a pair");
                    assert_eq!(pair, [value.as_slice(), &value], "another's element");
                    self.tally.popped += 1;
                }
                b'-' if reply.starts_with(b"-ERR No exclusive") => self.tally.refused += 1,
                b'-' => self.tally.errors += 1,
                _ => panic!("{}", String::from_utf8_lossy(&reply)),
            }
        }
    }

    fn reads_of_transaction(tally: &mut Seen, asked: &str, reply: &[u8]) {
        let Some((what, key)) = asked.split_once(':') else {
            return;
        };
        let mut value = Vec::new();
        write_bulk(key.as_bytes(), &mut value);
        match (what, reply) {
            (_, [b'-', ..]) => tally.errors += 1,
            ("ok", b"+OK\r\n") | ("queued", b"+QUEUED\r\n") => {}
            ("exec", b"*-1\r\n") => tally.void += 1,
            ("exec", reply) if elements(reply).is_some_and(|it| it == [value.as_slice()]) => {
                tally.done += 1;
            }
            _ => panic!("{asked}: {}", String::from_utf8_lossy(reply)),
        }
    }

    fn server_reads(&mut self, conn: ConnId) {
        let Some(server) = self.servers.get_mut(&conn) else {
            return;
        };
        while let Ok(Some((args, len))) = parse_request(&server.received) {
            let words = args.into_iter().map(|arg| &server.received[arg]);
            let words: Vec<String> = words.map(|it| String::from_utf8_lossy(it).into()).collect();
            server.received.drain(..len);
            server.waited |= words[0] == "BLPOP";
            server.shared |= words[0] == "GET";
            if let "WATCH" = words[0].as_str() {
                server.watched = Some((words[1].clone(), self.owners[&words[1]]));
            }
            if let "SET" = words[0].as_str() {
                server.sets = Some(words[1].clone());
            }
            if words[0] == "EXEC" {
                let sets = server.sets.take();
                let watched = server.watched.as_ref().map(|(key, _)| key.clone());
                assert_eq!(sets, watched, "a transaction goes through blindly");
                server
                    .asked
                    .push_back(vec!["EXEC".to_owned(), watched.unwrap_or_default()]);
                continue;
            }
            if words[0] == "BLPOP" {
                let times = self.seen.entry(words[1].clone()).or_default();
                *times += 1;
                self.tally.asked_again += usize::from(*times > 1);
            }
            server.asked.push_back(words);
        }
    }

    /// A server answers what it was asked first, or does not, or in another way.
    fn server_answers(&mut self, conn: ConnId) {
        let calm = self.calm;
        let Some(server) = self.servers.get_mut(&conn) else {
            return;
        };
        let Some(asked) = server.asked.pop_front() else {
            return;
        };
        let reply = match asked[0].as_str() {
            "PING" => b"+PONG\r\n".to_vec(),
            "WATCH" | "MULTI" => b"+OK\r\n".to_vec(),
            "SET" => b"+QUEUED\r\n".to_vec(),
            "EXEC" if self.dice.percent(30) => b"*-1\r\n".to_vec(),
            "EXEC" => write_request(&[&asked[1]]),
            "GET" => {
                let mut value = Vec::new();
                write_bulk(asked[1].as_bytes(), &mut value);
                value
            }
            _ if !calm && self.dice.percent(10) => {
                self.dice.pick(&[
                    &b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n"[..],
                    b"-READONLY You can't write against a read only replica.\r\n",
                    b"-LOADING Redis is loading the dataset in memory\r\n",
                    b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                ]).to_vec()
            }
            _ if self.dice.percent(30) => b"*-1\r\n".to_vec(),
            _ => write_request(&[&asked[1], &asked[1]]),
        };
        // It may break in the middle.
        let cut = !calm && self.dice.percent(5);
        let end = if cut {
            self.dice.between(1, reply.len() - 1)
        } else {
            reply.len()
        };
        self.bench.receives(conn, &reply[..end]);
        self.look();
        if cut {
            self.server_closes(conn);
        }
    }

    fn server_closes(&mut self, conn: ConnId) {
        if self
            .servers
            .get(&conn)
            .is_some_and(|server| server.connected)
        {
            match self.dice.percent(50) {
                true => self.bench.proxy.received_end(conn, self.bench.now),
                false => self.bench.proxy.failed(conn, 104, self.bench.now),
            }
            self.look();
        }
    }

    fn connects(&mut self, conn: ConnId) {
        let succeeds = self.calm || self.dice.percent(80);
        if let Some(server) = self.servers.get_mut(&conn) {
            if server.connected {
                return;
            }
            server.connected = succeeds;
            match succeeds {
                true => self.bench.proxy.connected(conn, self.bench.now),
                false => self.bench.proxy.failed(conn, 111, self.bench.now),
            }
            self.look();
        }
    }

    fn client_asks(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(&conn) else {
            return;
        };
        let mut bytes = Vec::new();
        for _ in 0..self.dice.between(1, 3) {
            self.named += 1;
            client.next += 1;
            let key = format!("key-{}", self.named);
            self.owners.insert(key.clone(), conn);
            if self.dice.percent(30) {
                let watching = client.watching.take();
                let (frames, asked) = match watching {
                    None => {
                        client.watching = Some(key.clone());
                        (vec![vec!["WATCH", &key]], vec![format!("ok:{key}")])
                    }
                    Some(_) if self.dice.percent(20) => {
                        (vec![vec!["UNWATCH"]], vec!["ok:".to_owned()])
                    }
                    Some(key) => {
                        let frames = [&["MULTI"][..], &["SET", &key, "x"], &["EXEC"]];
                        bytes.extend(frames.iter().flat_map(|frame| write_request(frame)));
                        let asked = ["ok", "queued", "exec"];
                        (
                            Vec::new(),
                            asked.map(|what| format!("{what}:{key}")).to_vec(),
                        )
                    }
                };
                bytes.extend(frames.iter().flat_map(|frame| write_request(frame)));
                client.asked.extend(asked);
                continue;
            }
            bytes.extend(match self.dice.percent(60) {
                true => {
                    write_request(&["BLPOP", &key, *self.dice.pick::<&str>(&["0", "0.3", "5"])])
                }
                false => write_request(&["GET", &key]),
            });
            client.asked.push_back(key);
        }
        self.bench.receives(conn, &bytes);
        self.look();
    }

    fn client_leaves(&mut self, conn: ConnId) {
        if self.clients.remove(&conn).is_some() {
            self.tally.left += 1;
            // Its end is seen, whatever it waits for. A reset, for an end alone is that of a pipe.
            self.bench.proxy.failed(conn, 104, self.bench.now);
            self.look();
        }
    }

    fn step(&mut self) {
        if self.clients.len() < CLIENTS {
            let conn = self.bench.client();
            self.clients.insert(conn, Client::default());
        }
        let clients: Vec<ConnId> = self.clients.keys().copied().collect();
        let servers: Vec<ConnId> = self.servers.keys().copied().collect();
        let client = *self.dice.pick(&clients);
        let server = (!servers.is_empty()).then(|| *self.dice.pick(&servers));
        match (self.dice.below(100), server) {
            (0..20, _) if self.clients[&client].asked.len() < 4 => self.client_asks(client),
            (20..23, _) => self.client_leaves(client),
            (23..40, _) => self.send_completes(client),
            (40..55, Some(server)) => self.send_completes(server),
            (55..65, Some(server)) => self.connects(server),
            (65..84, Some(server)) => self.server_answers(server),
            (84..86, Some(server)) => self.server_closes(server),
            (86..87, _) => self.moves(),
            (87..88, _) => self.hand_over(),
            (88..100, _) => {
                let millis = self.dice.between(1, 60) as u64;
                self.bench.passes(millis);
                self.look();
            }
            _ => {}
        }
    }

    fn moves(&mut self) {
        let port = self.dice.between(6379, 6381) as u16;
        let change = Change::Moved {
            pool: PoolIdx(0),
            server: ServerIdx(0),
            addresses: vec![SocketAddress::Tcp(([10, 0, 0, 1], port).into())],
        };
        self.bench.proxy.apply(&change, self.bench.now);
        self.look();
    }

    /// An upgrade begins, and is called off.
    fn hand_over(&mut self) {
        self.bench.proxy.hand_over(vec![true], self.bench.now);
        self.look();
        self.bench.proxy.keep_clients();
        self.look();
    }

    /// No fault any more: everything is answered.
    fn calm_down(&mut self) {
        self.calm = true;
        for _ in 0..400 {
            let conns: Vec<ConnId> = self
                .servers
                .keys()
                .chain(self.clients.keys())
                .copied()
                .collect();
            for conn in conns {
                self.connects(conn);
                self.send_completes(conn);
                self.server_answers(conn);
            }
            self.bench.passes(20);
            self.look();
        }
        let watchers: Vec<ConnId> = self.clients.keys().copied().collect();
        for conn in watchers {
            self.bench.receives(conn, &write_request(&["UNWATCH"]));
            self.look();
        }
        for (conn, client) in &self.clients {
            assert!(
                client.asked.is_empty(),
                "{conn:?} waits for ever: {client:?}"
            );
        }
        let held = &self.bench.stats.pools[0].standings[0].exclusive_held;
        assert_eq!(held.value(), 0, "a connection is held by nobody");
        self.bench.passes(11_000);
        self.look();
        let standing = &self.bench.stats.pools[0].standings[0];
        assert_eq!(
            standing.exclusive_connections.value(),
            0,
            "a free one is kept for ever"
        );
        assert_eq!(standing.exclusive_waiting.value(), 0);
    }
}

#[test]
fn who_waits_gets_its_own_and_no_connection_is_shared_or_lost() {
    let first = crate::runs::env_number("SIM_LEASE_SEED");
    let seeds = first.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut all = Seen::default();
    for seed in seeds {
        let mut world = World::new(seed);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                world.step();
            }
            world.calm_down();
        }));
        assert!(ran.is_ok(), "SIM_LEASE_SEED={seed} fails");
        let seen = world.tally;
        all.popped += seen.popped;
        all.over += seen.over;
        all.refused += seen.refused;
        all.asked_again += seen.asked_again;
        all.left += seen.left;
        all.errors += seen.errors;
        all.done += seen.done;
        all.void += seen.void;
    }
    println!("{all:?}");
    let counts = [
        all.popped,
        all.over,
        all.refused,
        all.asked_again,
        all.left,
        all.errors,
        all.done,
        all.void,
    ];
    assert!(
        first.is_some() || counts.iter().all(|count| *count > 20),
        "{all:?}"
    );
}
