//! Clients that go from one `Proxy` to another at any moment, with whatever they have under way: each
//! request is done once, and gets its own reply, in order. No socket, no clock; a seed is a run.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coremux::base::Batch;
use coremux::base::PoolIdx;
use coremux::base::Random;
use coremux::base::Time;
use coremux::config::Config;
use coremux::protocol::TopicKind;
use coremux::protocol::Version;
use coremux::proxy::Carried;
use coremux::proxy::ClientState;
use coremux::proxy::ConnId;
use coremux::proxy::Mute;
use coremux::proxy::Output;
use coremux::proxy::Proxy;
use coremux::proxy::Unmet;

use crate::data_plane;

const SEEDS: u64 = 100;
const STEPS: usize = 2_000;
const CLIENTS: usize = 5;
const DATABASES: usize = 4;

/// A client: what it has sent and nobody has received, what it has got, and what it should get.
#[derive(Default)]
struct Client {
    wire: Vec<u8>,
    got: Vec<u8>,
    expected: Vec<u8>,
    // By database.
    counted: [u64; DATABASES],
    // Since its MULTI: what each part will get, or nothing more where one was refused.
    transaction: Option<Option<Vec<Part>>>,
    database: usize,
}

/// What a part of a transaction gets.
#[derive(Clone, Copy)]
enum Part {
    Count,
    Says(&'static str),
}

const WRONG_DATABASE: &[u8] =
    b"-ERR not done: SELECT was refused, and a SELECT that is not, or RESET, has not come yet\r\n";
const ABORTED: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
const SELECT: [&str; DATABASES] = ["SELECT 0", "SELECT 1", "SELECT 2", "SELECT 3"];
const NOT_WITHIN: &[u8] = b"-ERR Command not allowed inside a transaction\r\n";

impl Client {
    /// What a request gets, now or within its transaction.
    fn expects(&mut self, part: Part) {
        let reply = match &mut self.transaction {
            Some(begun) => {
                if let Some(parts) = begun {
                    parts.push(part);
                }
                b"+QUEUED\r\n".to_vec()
            }
            None => self.gets(part),
        };
        self.expected.extend(reply);
    }

    fn gets(&mut self, part: Part) -> Vec<u8> {
        match part {
            Part::Says(reply) => reply.as_bytes().to_vec(),
            Part::Count => {
                let counted = &mut self.counted[self.database];
                *counted += 1;
                format!(":{counted}\r\n").into_bytes()
            }
        }
    }

    /// It begins a transaction, or ends it; or asks for another database.
    fn relies(&mut self, what: usize) {
        let word = match what {
            0 => "MULTI",
            1 | 2 => "EXEC",
            _ => SELECT[what % DATABASES],
        };
        let reply = match (what, self.transaction.take()) {
            (0, None) => {
                self.transaction = Some(Some(Vec::new()));
                b"+OK\r\n".to_vec()
            }
            (0, begun) => {
                self.transaction = begun;
                b"-ERR MULTI calls can not be nested\r\n".to_vec()
            }
            (1 | 2, None) => b"-ERR EXEC without MULTI\r\n".to_vec(),
            (1 | 2, Some(None)) => ABORTED.to_vec(),
            (1 | 2, Some(Some(parts))) => {
                let mut reply = format!("*{}\r\n", parts.len()).into_bytes();
                parts
                    .into_iter()
                    .for_each(|part| reply.extend(self.gets(part)));
                reply
            }
            (_, Some(_)) => {
                self.transaction = Some(None);
                NOT_WITHIN.to_vec()
            }
            (_, None) => {
                self.database = what % DATABASES;
                b"+OK\r\n".to_vec()
            }
        };
        self.wire.extend(format!("{word}\r\n").bytes());
        self.expected.extend(reply);
    }
}

/// What a process has of a connection to the server.
#[derive(Default)]
struct Server {
    database: usize,
    asked: Vec<u8>,
    replies: Vec<u8>,
    // What is to be said to EXEC, and to how many commands.
    within: Option<(usize, String)>,
}

/// A process: its proxy, and its sockets.
struct Side {
    proxy: Proxy,
    clients: BTreeMap<ConnId, usize>,
    servers: BTreeMap<ConnId, Server>,
    unread: BTreeSet<ConnId>,
    // May go as soon as nothing is being received from them.
    going: Vec<ConnId>,
    sending: Vec<(ConnId, Batch)>,
}

impl Side {
    fn new(config: &Arc<Config>, seed: u64, first_id: u64) -> Side {
        let (mut proxy, _) = data_plane::single(config, seed);
        proxy.number_clients_from(first_id);
        Side {
            proxy,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            unread: BTreeSet::new(),
            going: Vec::new(),
            sending: Vec::new(),
        }
    }
}

struct World {
    random: Random,
    now: Time,
    config: Arc<Config>,
    old: Side,
    // There while it takes over.
    new: Option<Side>,
    clients: Vec<Client>,
    counters: Vec<[u64; DATABASES]>,
    generation: u64,
    moved: usize,
    stayed: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let text = "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n  redis_auth: secret\n  \
                    servers:\n  - 127.0.0.1:2:1 one\n";
        let config = Arc::new(Config::parse(text, "test.yml").expect("a good configuration"));
        let mut world = World {
            random: Random::new(seed),
            now: Time::ZERO,
            old: Side::new(&config, seed, 0),
            config,
            new: None,
            clients: Vec::new(),
            counters: vec![[0; DATABASES]; CLIENTS],
            generation: 0,
            moved: 0,
            stayed: 0,
        };
        for nth in 0..CLIENTS {
            let conn = world
                .old
                .proxy
                .client_accepted(PoolIdx(0), None, true, world.now);
            world.old.clients.insert(conn, nth);
            world.clients.push(Client {
                wire: b"AUTH secret\r\n".to_vec(),
                expected: b"+OK\r\n".to_vec(),
                ..Client::default()
            });
        }
        world
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.next_u32()).unwrap() % bound.max(1)
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.now = self.now + Duration::from_micros(50);
            match self.below(20) {
                0..4 => self.ask(),
                4 => self.turn(),
                _ => self.step(),
            }
        }
        // Nobody asks any more, and whoever is to go goes.
        for _ in 0..20 * STEPS {
            self.now = self.now + Duration::from_micros(50);
            self.step();
            let mut clients = self.clients.iter();
            if clients.all(|client| client.got.len() >= client.expected.len()) {
                break;
            }
        }
        for (nth, client) in self.clients.iter().enumerate() {
            let (got, expected) = (client.got.as_slice(), client.expected.as_slice());
            assert!(
                got == expected,
                "client {nth}: {} of {} bytes",
                got.len(),
                expected.len()
            );
            assert_eq!(self.counters[nth], client.counted, "client {nth}");
        }
    }

    fn ask(&mut self) {
        let (nth, kind) = (self.below(CLIENTS), self.below(10));
        let (large, relies) = (1 + self.below(60_000), self.below(8));
        let client = &mut self.clients[nth];
        match kind {
            0..5 => {
                let written = match kind {
                    0..3 => format!("*2\r\n$4\r\nINCR\r\n$2\r\nc{nth}\r\n"),
                    _ => format!("INCR c{nth}\r\n"),
                };
                client.wire.extend(written.bytes());
                client.expects(Part::Count);
            }
            5 => {
                client
                    .wire
                    .extend(format!("*3\r\n$3\r\nSET\r\n$2\r\nc{nth}\r\n${large}\r\n").bytes());
                client.wire.extend(std::iter::repeat_n(b'v', large));
                client.wire.extend(b"\r\n");
                client.expects(Part::Says("+OK\r\n"));
            }
            6 | 7 => {
                client.wire.extend(b"PING\r\n");
                client.expects(Part::Says("+PONG\r\n"));
            }
            _ => client.relies(relies),
        }
    }

    /// A new process begins to take over, or is lost on the way.
    fn turn(&mut self) {
        match &mut self.new {
            None => {
                self.generation += 1;
                let seed = self.random.next_u64();
                self.new = Some(Side::new(&self.config, seed, self.generation * 1_000));
                self.old.proxy.hand_over(vec![true], self.now);
            }
            Some(new) if new.clients.is_empty() && !self.old.clients.is_empty() => {
                self.old.proxy.keep_clients();
                self.old.going.clear();
                self.new = None;
                self.stayed += 1;
            }
            Some(_) => {}
        }
    }

    fn step(&mut self) {
        let which = self.below(2);
        let act = self.below(5);
        let (now, amount, pick) = (self.now, 1 + self.below(40_000), self.below(64));
        let few = 1 + amount % 7;
        let side = match (&mut self.new, which) {
            (Some(new), 1) => new,
            _ => &mut self.old,
        };
        match act {
            0 => deliver_requests(
                side,
                &mut self.clients,
                (pick, if pick % 3 == 0 { few } else { amount }),
                now,
            ),
            1 => serve(side, &mut self.counters),
            2 => deliver_replies(side, (pick, if pick % 3 == 0 { few } else { amount }), now),
            3 if !side.sending.is_empty() => {
                let (conn, batch) = side.sending.swap_remove(pick % side.sending.len());
                side.proxy.sent(conn, batch, now);
            }
            _ => {}
        }
        pass(side, &mut self.clients, now);
        if which == 0 && act == 4 {
            self.hand_over();
        }
    }

    /// One client goes, if one can; the process that all have left is gone.
    fn hand_over(&mut self) {
        let now = self.now;
        let Some(new) = &mut self.new else { return };
        if let Some(conn) = self.old.going.pop() {
            // It may have been named before it was told to stay.
            let Some((pool, state)) = self.old.proxy.take_client(conn, now) else {
                return;
            };
            let nth = self.old.clients.remove(&conn).unwrap();
            self.old.proxy.closed(conn);
            let mut state = ClientState::decode(&state.encode().unwrap()).unwrap();
            assert!(state.authenticated || self.clients[nth].got.is_empty());
            let input = std::mem::take(&mut state.input);
            let conn = new.proxy.client_adopted(pool, None, &state, now);
            new.clients.insert(conn, nth);
            if !input.is_empty() {
                new.proxy.received(conn, &Bytes::from(input), now);
            }
            pass(new, &mut self.clients, now);
            self.moved += 1;
        }
        if self.old.clients.is_empty() {
            assert!(
                self.old.servers.values().all(|s| s.asked.is_empty()),
                "nothing is left behind"
            );
            self.old = self.new.take().unwrap();
        }
    }
}

fn pass(side: &mut Side, clients: &mut [Client], now: Time) {
    while let Some(output) = side.proxy.poll_output(now) {
        match output {
            Output::Connect { conn, .. } => {
                side.servers.insert(conn, Server::default());
                side.proxy.connected(conn, now);
            }
            Output::Pause(conn) => _ = side.unread.insert(conn),
            Output::Resume(conn) => _ = side.unread.remove(&conn),
            Output::HandOver(conn) => {
                assert!(side.clients.contains_key(&conn));
                side.going.push(conn);
            }
            Output::Report(_)
            | Output::Resolve { .. }
            | Output::Ask(_)
            | Output::Answer(_)
            | Output::Script(_) => {}
            other => panic!("{other:?}"),
        }
    }
    while let Some((conn, batch)) = side.proxy.poll_transmit(now) {
        let to = match side.clients.get(&conn) {
            Some(nth) => &mut clients[*nth].got,
            None => &mut side.servers.get_mut(&conn).unwrap().asked,
        };
        batch.slices().for_each(|slice| to.extend_from_slice(slice));
        side.sending.push((conn, batch));
    }
}

fn deliver_requests(
    side: &mut Side,
    clients: &mut [Client],
    (pick, most): (usize, usize),
    now: Time,
) {
    let Some((conn, nth)) = side.clients.iter().nth(pick % side.clients.len().max(1)) else {
        return;
    };
    // Until the kernel has heard of it, receives go on: also of one that may go.
    if side.unread.contains(conn) && pick % 4 != 0 {
        return;
    }
    let (conn, wire) = (*conn, &mut clients[*nth].wire);
    let chunk: Vec<u8> = wire.drain(..most.min(wire.len())).collect();
    if !chunk.is_empty() {
        side.proxy.received(conn, &Bytes::from(chunk), now);
    }
}

fn deliver_replies(side: &mut Side, (pick, most): (usize, usize), now: Time) {
    let count = side.servers.len().max(1);
    let Some((conn, server)) = side.servers.iter_mut().nth(pick % count) else {
        return;
    };
    let most = most.min(server.replies.len());
    let chunk: Vec<u8> = server.replies.drain(..most).collect();
    if !chunk.is_empty() {
        side.proxy.received(*conn, &Bytes::from(chunk), now);
    }
}

/// The server does what it was asked, which is the same for both processes.
fn serve(side: &mut Side, counters: &mut [[u64; DATABASES]]) {
    for server in side.servers.values_mut() {
        while let Some((words, used)) = frame(&server.asked) {
            let nth = |key: &[u8]| usize::from(key[1] - b'0');
            let word = words[0].to_ascii_uppercase();
            if word == b"MULTI" {
                server.within = Some((0, String::new()));
            }
            let reply = match word.as_slice() {
                b"MULTI" => "+OK\r\n".to_owned(),
                b"EXEC" => {
                    let (count, replies) = server.within.take().expect("MULTI comes before EXEC");
                    format!("*{count}\r\n{replies}")
                }
                b"INCR" => {
                    let counter = &mut counters[nth(&words[1])][server.database];
                    *counter += 1;
                    format!(":{counter}\r\n")
                }
                b"SELECT" => {
                    server.database = usize::from(words[1][0] - b'0');
                    "+OK\r\n".to_owned()
                }
                b"SET" | b"AUTH" => "+OK\r\n".to_owned(),
                b"PING" => "+PONG\r\n".to_owned(),
                other => panic!("{}", String::from_utf8_lossy(other)),
            };
            // Done at once, and told later: nobody is between.
            let reply = match &mut server.within {
                Some((count, replies)) if word != b"MULTI" => {
                    *count += 1;
                    replies.push_str(&reply);
                    "+QUEUED\r\n".to_owned()
                }
                _ => reply,
            };
            server.replies.extend(reply.bytes());
            server.asked.drain(..used);
        }
    }
}

/// The first request in `bytes`, if it is whole, and how long it is.
fn frame(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let line = |at: usize| {
        let end = at + bytes.get(at..)?.iter().position(|byte| *byte == b'\n')?;
        let number = std::str::from_utf8(&bytes[at + 1..end - 1]).unwrap();
        Some((number.parse::<usize>().unwrap(), end + 1))
    };
    let (count, mut at) = line(0)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (length, start) = line(at)?;
        words.push(bytes.get(start..start + length)?.to_vec());
        at = start + length + 2;
        bytes.get(at - 1)?;
    }
    Some((words, at))
}

#[test]
fn clients_that_go_at_any_moment_get_each_reply_once_and_in_order() {
    let (mut moved, mut stayed) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
        assert!(run.is_ok(), "seed {seed}");
        moved += world.moved;
        stayed += world.stayed;
    }
    let runs = usize::try_from(SEEDS).unwrap();
    assert!(moved > 10 * runs && stayed > runs, "{moved} {stayed}");
}

/// A client of the first release with everything set, as that has told it.
const CLIENT: &[u8] = include_bytes!("../fixtures/hand_over/client-0.1.bin");

fn client_of_the_first_release() -> ClientState {
    ClientState {
        id: 0x0102_0304_0506_0708,
        authenticated: true,
        age: Duration::from_micros(90_000_001),
        name: b"name".to_vec(),
        library_name: b"lib".to_vec(),
        library_version: b"1.2.3".to_vec(),
        command: b"client|setinfo".to_vec(),
        unmet: Unmet {
            watch: false,
            database: true,
        },
        database: None,
        // It was refused MULTI there, and must have nothing done of what follows.
        transaction: Carried::Aborted,
        version: Version::V2,
        mute: Mute::Heard,
        subscriptions: Vec::new(),
        input: b"*2\r\n$3\r\nGET\r\n$5\r\nhel".to_vec(),
    }
}

/// A client's fields by the rules of the first release: what it reads of one that it is given.
fn read_by_the_first_release(mut bytes: &[u8]) -> Result<BTreeMap<u8, Vec<u8>>, u8> {
    let mut fields = BTreeMap::new();
    while let Some((&number, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk().ok_or(number)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| number)?;
        let (field, rest) = rest.split_at_checked(length).ok_or(number)?;
        bytes = rest;
        match number {
            1..=9 => _ = fields.insert(number, field.to_vec()),
            128.. => {}
            unknown => return Err(unknown),
        }
    }
    Ok(fields)
}

#[test]
fn a_client_of_the_first_release_is_taken_over() {
    assert_eq!(
        ClientState::decode(CLIENT),
        Ok(client_of_the_first_release())
    );
}

#[test]
fn the_first_release_takes_over_a_client_that_has_nothing_newer() {
    let told = client_of_the_first_release().encode().unwrap();
    let read = read_by_the_first_release(&told).unwrap();
    assert_eq!(read, read_by_the_first_release(CLIENT).unwrap());
    // It expects the first eight of every client, and not to be told of the ninth in vain.
    let told = ClientState::default().encode().unwrap();
    let read = read_by_the_first_release(&told).unwrap();
    let numbers: Vec<u8> = read.into_keys().collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_client_that_another_release_has_refused_a_database_waits_for_one() {
    let mut world = World::new(1);
    let state = ClientState {
        id: 5,
        authenticated: true,
        unmet: Unmet {
            watch: false,
            database: true,
        },
        ..ClientState::default()
    };
    let side = &mut world.old;
    let conn = side
        .proxy
        .client_adopted(PoolIdx(0), None, &state, world.now);
    side.clients.insert(conn, 0);
    for request in ["GET c0", "SELECT 99", "GET c0", "SELECT 0", "PING"] {
        let request = Bytes::from(format!("{request}\r\n"));
        side.proxy.received(conn, &request, world.now);
    }
    pass(side, &mut world.clients, world.now);
    let none = b"-ERR DB index is out of range\r\n";
    let all = [WRONG_DATABASE, none, WRONG_DATABASE, b"+OK\r\n+PONG\r\n"].concat();
    assert_eq!(world.clients[0].got, all);
}

#[test]
fn what_is_newer_is_told_and_who_does_not_know_it_refuses_the_client() {
    let state = ClientState {
        id: 5,
        database: Some(3),
        ..ClientState::default()
    };
    let told = state.encode().unwrap();
    assert_eq!(read_by_the_first_release(&told), Err(10));
    assert_eq!(ClientState::decode(&told), Ok(state));
    // And of a transaction it would do the rest, each command by itself.
    let state = ClientState {
        id: 5,
        transaction: Carried::Open(b"*1\r\n$4\r\nPING\r\n".to_vec()),
        ..ClientState::default()
    };
    let told = state.encode().unwrap();
    assert_eq!(read_by_the_first_release(&told), Err(11));
    assert_eq!(ClientState::decode(&told), Ok(state));
    // And it would answer in a version that the client does not read.
    let state = ClientState {
        id: 5,
        version: Version::V3,
        ..ClientState::default()
    };
    let told = state.encode().unwrap();
    assert_eq!(read_by_the_first_release(&told), Err(12));
    assert_eq!(ClientState::decode(&told), Ok(state));
    // And it would wait for messages that nobody there listens to.
    let state = ClientState {
        id: 5,
        subscriptions: vec![
            (TopicKind::Channel, Bytes::from_static(b"news")),
            (TopicKind::Pattern, Bytes::from_static(b"")),
            (TopicKind::Shard, Bytes::from_static(b"\r\n")),
        ],
        ..ClientState::default()
    };
    let told = state.encode().unwrap();
    assert_eq!(read_by_the_first_release(&told), Err(14));
    assert_eq!(ClientState::decode(&told), Ok(state));
}
