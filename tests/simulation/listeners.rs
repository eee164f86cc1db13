//! Clients that listen to channels, while everything fails.
//!
//! A world of its own, as that of `leases`. Whatever happens, no client hears what it does not listen to,
//! nor before it was told that it does, nor after it was told that it does not; the messages of a channel
//! come once each and in their order; each request is confirmed with the right counts, or fails as a whole;
//! and when the faults stop, each topic is listened to where it lives and nowhere else, once for each
//! client, or once for all, and nothing is held for who has gone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
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
use crate::frame::integer;
use crate::frame::parse_reply;
use crate::frame::parse_request;
use crate::frame::write_bulk;
use crate::frame::write_request;

const SEEDS: u64 = 300;
const STEPS: usize = 700;
const CLIENTS: usize = 5;
const SERVERS: [&str; 2] = ["one", "two"];
/// The connections that one client each may have for itself.
const EXCLUSIVE: u64 = 4;
const CHANNELS: [&str; 5] = ["a", "b", "c", "ab", "__keyevent@0__:del"];
const PATTERNS: [&str; 3] = ["a*", "*", "__key*"];
const VERBS: [&str; 3] = ["subscribe", "psubscribe", "ssubscribe"];
const WORDS: [&str; 3] = ["message", "pmessage", "smessage"];

/// Which kind, and the name.
type Topic = (usize, String);

#[derive(Debug)]
enum Asked {
    /// To listen, or to do so no longer, to these of a kind; so many are confirmed.
    Topics(usize, bool, Option<Vec<String>>, usize),
    Get(String),
    Ping,
    Hello,
}

#[derive(Debug, Default)]
struct Client {
    is_newer: bool,
    /// It has not taken what is sent to it.
    is_slow: bool,
    asked: VecDeque<Asked>,
    received: Vec<u8>,
    topics: BTreeSet<Topic>,
    /// The last message of each topic, channel and server.
    last: BTreeMap<(Topic, String, usize), usize>,
    heard: usize,
}

#[derive(Debug, Default)]
struct Server {
    place: usize,
    connected: bool,
    is_newer: bool,
    received: Vec<u8>,
    topics: BTreeSet<Topic>,
    /// What it says and has not sent.
    says: Vec<u8>,
    /// Requests that are none of listening.
    other: usize,
}

/// What has happened, so that nothing is tested that never does.
#[derive(Debug, Default)]
struct Seen {
    begun: usize,
    ended: usize,
    heard: usize,
    refused: usize,
    lost: usize,
    again: usize,
    slow: usize,
    homeless: usize,
    left: usize,
    replies: usize,
}

impl Seen {
    fn counts(&self) -> [usize; 10] {
        [
            self.begun,
            self.ended,
            self.heard,
            self.refused,
            self.lost,
            self.again,
            self.slow,
            self.homeless,
            self.left,
            self.replies,
        ]
    }
}

struct World {
    bench: Bench,
    dice: Dice,
    is_shared: bool,
    clients: BTreeMap<ConnId, Client>,
    servers: BTreeMap<ConnId, Server>,
    looked: usize,
    published: usize,
    tally: Seen,
    calm: bool,
}

/// As Redis's `stringmatch`, of what is used here.
fn matches(pattern: &str, channel: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => channel.starts_with(prefix),
        None => pattern == channel,
    }
}

fn text(bulk: &[u8]) -> Option<String> {
    let at = memchr::memchr(b'\n', bulk)? + 1;
    let text = bulk.get(at..)?.strip_suffix(b"\r\n")?;
    Some(String::from_utf8_lossy(text).into())
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let is_shared = dice.percent(40);
        let mode = if is_shared { "shared" } else { "exclusive" };
        let policy = *dice.pick(&["fail", "hold"]);
        let keys = format!(
            "  timeout: 400\n  exclusive_connections: {EXCLUSIVE}\n  on_server_failure: {policy}\n  \
             pubsub: {mode}\n  pubsub_output_limit: 2000\n  pubsub_output_soft_limit: 500\n  pubsub_output_soft_ms: 300\n"
        );
        World {
            bench: Bench::over(&keys, &SERVERS),
            dice,
            is_shared,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            looked: 0,
            published: 0,
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
                Output::Connect { conn, address, .. } => {
                    let SocketAddress::Tcp(at) = address else {
                        panic!("{address:?}");
                    };
                    let place = match at.ip().to_string().as_str() {
                        "10.0.0.1" => 0,
                        _ => 1,
                    };
                    let server = Server {
                        place,
                        ..Server::default()
                    };
                    self.servers.insert(conn, server);
                }
                Output::Close(conn) | Output::Abort(conn) => {
                    self.servers.remove(&conn);
                    if let Some(client) = self.clients.remove(&conn) {
                        self.tally.slow += usize::from(client.is_slow);
                        self.tally.homeless += usize::from(!client.is_slow);
                    }
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
        if self.is_shared {
            let listening = |place| {
                let servers = self.servers.values();
                let of_place = servers.filter(|server| server.place == place);
                of_place.filter(|server| !server.topics.is_empty()).count()
            };
            assert!(
                listening(0) <= 1 && listening(1) <= 1,
                "more than one listens"
            );
        }
        for standing in &self.bench.stats.pools[0].standings {
            assert!(standing.exclusive_connections.value() <= EXCLUSIVE);
        }
    }

    /// A send completes: the peer reads what was sent.
    fn send_completes(&mut self, conn: ConnId) {
        let bytes = self.bench.sends(conn);
        if bytes.is_empty() {
            return;
        }
        if let Some(client) = self.clients.get_mut(&conn) {
            if client.is_slow && !self.calm {
                return;
            }
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
        while let Some(len) = parse_reply(&client.received).expect("a frame") {
            let mut frame: Vec<u8> = client.received.drain(..len).collect();
            assert!(client.is_newer || frame[0] != b'>', "a push in RESP2");
            let is_push = frame[0] == b'>' || frame[0] == b'*' && !client.is_newer;
            if frame[0] == b'>' {
                frame[0] = b'*';
            }
            let parts = match is_push {
                true => elements(&frame).unwrap_or_default(),
                false => Vec::new(),
            };
            match parts.first().and_then(|word| text(word)) {
                Some(word) if WORDS.contains(&&*word) => {
                    client.hears(&word, &parts);
                    self.tally.heard += 1;
                }
                Some(word) if word.ends_with("subscribe") => {
                    client.is_told(&word, &parts, &mut self.tally);
                }
                _ => {
                    client.is_answered(&frame, &mut self.tally);
                }
            }
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
            let verb = words[0].to_lowercase();
            match (
                verb.as_str(),
                VERBS
                    .iter()
                    .position(|known| *known == verb.replace("un", "")),
            ) {
                (_, Some(kind)) => {
                    let refuses = !self.calm && self.dice.percent(4);
                    let begins = !verb.contains("un");
                    if refuses && begins {
                        server.says.extend(b"-NOPERM no\r\n");
                        continue;
                    }
                    let topic = (kind, words[1].clone());
                    match begins {
                        true => server.topics.insert(topic),
                        false => server.topics.remove(&topic),
                    };
                    assert_eq!(server.other, 0, "asked on a connection of others");
                    let mut frame = vec![if server.is_newer { b'>' } else { b'*' }];
                    frame.extend(b"3\r\n");
                    write_bulk(verb.as_bytes(), &mut frame);
                    write_bulk(words[1].as_bytes(), &mut frame);
                    frame.extend(format!(":{}\r\n", server.topics.len()).into_bytes());
                    server.says.extend(frame);
                }
                ("hello", _) => {
                    server.is_newer = true;
                    let told = "%2\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:3\r\n";
                    server.says.extend(told.bytes());
                }
                ("ping", _) if server.topics.is_empty() || server.is_newer => {
                    server.says.extend(b"+PONG\r\n");
                }
                ("ping", _) => server.says.extend(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
                ("get", _) => {
                    assert!(server.topics.is_empty(), "asked between messages");
                    server.other += 1;
                    let mut value = Vec::new();
                    write_bulk(words[1].as_bytes(), &mut value);
                    server.says.extend(value);
                }
                _ => panic!("{words:?}"),
            }
        }
    }

    /// A server sends some of what it says.
    fn server_speaks(&mut self, conn: ConnId) {
        let Some(server) = self
            .servers
            .get_mut(&conn)
            .filter(|server| server.connected)
        else {
            return;
        };
        if server.says.is_empty() {
            return;
        }
        let all = server.says.len();
        let some = match self.calm || self.dice.percent(60) {
            true => all,
            false => self.dice.between(1, all),
        };
        let said: Vec<u8> = server.says.drain(..some).collect();
        self.bench.receives(conn, &said);
        self.look();
    }

    fn publishes(&mut self, place: usize, channel: &str) {
        self.published += 1;
        let message = format!("{place}:{}", self.published);
        for server in self.servers.values_mut().filter(|it| it.place == place) {
            for (kind, topic) in &server.topics {
                let parts = match kind {
                    0 if topic == channel => vec!["message", channel, &message],
                    1 if matches(topic, channel) => vec!["pmessage", topic, channel, &message],
                    2 if topic == channel => vec!["smessage", channel, &message],
                    _ => continue,
                };
                let mut frame = write_request(&parts);
                if server.is_newer {
                    frame[0] = b'>';
                }
                server.says.extend(frame);
            }
        }
    }

    fn server_closes(&mut self, conn: ConnId) {
        let Some(server) = self.servers.get(&conn).filter(|server| server.connected) else {
            return;
        };
        self.tally.lost += usize::from(!server.topics.is_empty());
        match self.dice.percent(50) {
            true => self.bench.proxy.received_end(conn, self.bench.now),
            false => self.bench.proxy.failed(conn, 104, self.bench.now),
        }
        self.look();
    }

    fn connects(&mut self, conn: ConnId) {
        let succeeds = self.calm || self.dice.percent(85);
        let Some(server) = self
            .servers
            .get_mut(&conn)
            .filter(|server| !server.connected)
        else {
            return;
        };
        server.connected = succeeds;
        match succeeds {
            true => self.bench.proxy.connected(conn, self.bench.now),
            false => self.bench.proxy.failed(conn, 111, self.bench.now),
        }
        self.look();
    }

    fn client_asks(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(&conn) else {
            return;
        };
        let mut bytes = Vec::new();
        for _ in 0..self.dice.between(1, 3) {
            let kind = *self.dice.pick(&[0, 0, 1, 2]);
            let begins = self.dice.percent(60);
            let (words, asked) = match self.dice.below(100) {
                0..75 => {
                    let names: Vec<String> = (0..self.dice.between(1, 3))
                        .map(|_| match kind {
                            1 => (*self.dice.pick(&PATTERNS)).to_owned(),
                            _ => (*self.dice.pick(&CHANNELS)).to_owned(),
                        })
                        .collect();
                    let all = !begins && self.dice.percent(30);
                    let verb = verb(kind, begins);
                    let words = match all {
                        true => vec![verb],
                        false => [vec![verb], names.clone()].concat(),
                    };
                    let names = (!all).then_some(names);
                    (words, Asked::Topics(kind, begins, names, 0))
                }
                75..90 => {
                    let key = format!("key-{}", self.dice.below(100));
                    (vec!["GET".to_owned(), key.clone()], Asked::Get(key))
                }
                _ => (vec!["PING".to_owned()], Asked::Ping),
            };
            bytes.extend(write_request(&words));
            client.asked.push_back(asked);
        }
        self.bench.receives(conn, &bytes);
        self.look();
    }

    fn client_comes(&mut self) {
        let conn = self.bench.client();
        let is_newer = self.dice.percent(50);
        let mut client = Client {
            is_newer,
            ..Client::default()
        };
        if is_newer {
            client.asked.push_back(Asked::Hello);
        }
        self.clients.insert(conn, client);
        if is_newer {
            self.bench.receives(conn, &write_request(&["HELLO", "3"]));
        }
        self.look();
    }

    fn client_leaves(&mut self, conn: ConnId) {
        if self.clients.remove(&conn).is_some() {
            self.tally.left += 1;
            self.bench.proxy.failed(conn, 104, self.bench.now);
            self.look();
        }
    }

    fn applies(&mut self, change: &Change) {
        self.bench.proxy.apply(change, self.bench.now);
        self.look();
    }

    fn step(&mut self) {
        if self.clients.len() < CLIENTS {
            self.client_comes();
        }
        let clients: Vec<ConnId> = self.clients.keys().copied().collect();
        let servers: Vec<ConnId> = self.servers.keys().copied().collect();
        let client = *self.dice.pick(&clients);
        let server = (!servers.is_empty()).then(|| *self.dice.pick(&servers));
        let place = self.dice.below(SERVERS.len());
        let (pool, idx) = (PoolIdx(0), ServerIdx(place as u16));
        match (self.dice.below(1000), server) {
            (0..150, _) if self.clients[&client].asked.len() < 4 => self.client_asks(client),
            (150..160, _) => self.client_leaves(client),
            (160..350, _) => self.send_completes(client),
            (350..500, Some(server)) => self.send_completes(server),
            (500..580, Some(server)) => self.connects(server),
            (580..760, Some(server)) => self.server_speaks(server),
            (760..775, Some(server)) => self.server_closes(server),
            (775..780, _) => {
                let port = self.dice.between(6379, 6381) as u16;
                let at = [10, 0, 0, place as u8 + 1];
                self.applies(&Change::Moved {
                    pool,
                    server: idx,
                    addresses: vec![SocketAddress::Tcp((at, port).into())],
                });
            }
            (780..785, _) => self.applies(&Change::Eject { pool, server: idx }),
            (785..795, _) => self.applies(&Change::Readmit { pool, server: idx }),
            (795..800, _) => {
                self.bench.proxy.hand_over(vec![true], self.bench.now);
                self.look();
                self.bench.proxy.keep_clients();
                self.look();
            }
            (800..805, _) => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.is_slow = true;
                }
            }
            (805..920, _) => {
                let channel = *self.dice.pick(&CHANNELS);
                self.publishes(place, channel);
            }
            (920.., _) => {
                let millis = self.dice.between(1, 60) as u64;
                self.bench.passes(millis);
                self.look();
            }
            _ => {}
        }
    }

    /// Everybody does what there is to do, and nothing fails.
    fn settle(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let conns: Vec<ConnId> = self
                .servers
                .keys()
                .chain(self.clients.keys())
                .copied()
                .collect();
            for conn in conns {
                self.connects(conn);
                self.send_completes(conn);
                self.server_speaks(conn);
            }
            self.bench.passes(20);
            self.look();
        }
    }

    fn calm_down(&mut self) {
        self.calm = true;
        for place in 0..SERVERS.len() {
            let server = ServerIdx(place as u16);
            self.applies(&Change::Readmit {
                pool: PoolIdx(0),
                server,
            });
        }
        self.settle(400);
        for (conn, client) in &self.clients {
            assert!(
                client.asked.is_empty(),
                "{conn:?} waits for ever: {client:?}"
            );
        }
        self.tally.again += self.bench.stats.pools[0].pubsub.resubscribed.value() as usize;
        self.check_homes();
        // Each message is heard once by each who listens, wherever it is published.
        for client in self.clients.values_mut() {
            client.heard = 0;
        }
        for channel in CHANNELS {
            for place in 0..SERVERS.len() {
                self.publishes(place, channel);
            }
        }
        self.settle(20);
        for client in self.clients.values() {
            let expected: usize = client
                .topics
                .iter()
                .map(|(kind, topic)| match kind {
                    1 => SERVERS.len() * CHANNELS.iter().filter(|it| matches(topic, it)).count(),
                    0 if topic.starts_with("__") => SERVERS.len(),
                    _ => 1,
                })
                .sum();
            assert_eq!(client.heard, expected, "{client:?}");
        }
        let clients: Vec<ConnId> = self.clients.keys().copied().collect();
        for conn in clients {
            self.client_leaves(conn);
        }
        self.bench.passes(11_000);
        self.settle(20);
        let stats = &self.bench.stats.pools[0];
        assert_eq!(stats.pubsub.subscribers.value(), 0);
        assert_eq!(stats.pubsub.subscriptions.value(), 0);
        for standing in &stats.standings {
            assert_eq!(standing.exclusive_held.value(), 0, "held by nobody");
            assert_eq!(standing.exclusive_connections.value(), 0);
            assert_eq!(standing.exclusive_waiting.value(), 0);
        }
        let listen = self
            .servers
            .values()
            .filter(|server| !server.topics.is_empty());
        assert_eq!(listen.count(), 0, "for nobody");
    }

    /// Each topic is listened to where it lives, and nowhere else.
    fn check_homes(&self) {
        let mut wanted: BTreeMap<&Topic, usize> = BTreeMap::new();
        for topic in self.clients.values().flat_map(|client| &client.topics) {
            *wanted.entry(topic).or_default() += 1;
        }
        let mut found: BTreeMap<&Topic, [usize; SERVERS.len()]> = BTreeMap::new();
        for server in self.servers.values() {
            for topic in &server.topics {
                found.entry(topic).or_default()[server.place] += 1;
            }
        }
        for (topic, clients) in &wanted {
            let each = if self.is_shared { 1 } else { *clients };
            let of_topic = found.remove(topic).unwrap_or_default();
            let everywhere = topic.0 == 1 || topic.0 == 0 && topic.1.starts_with("__");
            match everywhere {
                true => assert_eq!(of_topic, [each; SERVERS.len()], "{topic:?}"),
                false => {
                    let mut of_topic = of_topic;
                    of_topic.sort_unstable();
                    assert_eq!(of_topic, [0, each], "{topic:?}");
                }
            }
        }
        assert!(found.is_empty(), "for nobody: {found:?}");
    }
}

fn verb(kind: usize, begins: bool) -> String {
    match begins {
        true => VERBS[kind].to_owned(),
        false => VERBS[kind].replace("sub", "unsub"),
    }
}

impl Client {
    fn hears(&mut self, word: &str, parts: &[&[u8]]) {
        let kind = WORDS.iter().position(|known| *known == word).unwrap();
        let texts: Vec<String> = parts.iter().filter_map(|part| text(part)).collect();
        let topic = (kind, texts[1].clone());
        assert!(self.topics.contains(&topic), "not listened to: {texts:?}");
        let channel = texts[texts.len() - 2].clone();
        let (place, number) = texts[texts.len() - 1].split_once(':').expect("a message");
        let number: usize = number.parse().unwrap();
        let key = (topic, channel, place.parse().unwrap());
        let before = self.last.insert(key, number).unwrap_or(0);
        assert!(number > before, "{texts:?} after {before}");
        self.heard += 1;
    }

    fn is_told(&mut self, word: &str, parts: &[&[u8]], tally: &mut Seen) {
        let Some(Asked::Topics(kind, begins, names, done)) = self.asked.front_mut() else {
            panic!("nobody has asked: {word}");
        };
        assert_eq!(word, verb(*kind, *begins));
        let names = names.get_or_insert_with(|| {
            let of_kind = self.topics.iter().filter(|(of, _)| of == kind);
            of_kind.map(|(_, name)| name.clone()).collect()
        });
        match names.get(*done) {
            None => assert!(parts[1] == b"$-1\r\n" || parts[1] == b"_\r\n", "{names:?}"),
            Some(name) => {
                assert_eq!(text(parts[1]).as_ref(), Some(name));
                let topic = (*kind, name.clone());
                match begins {
                    true => self.topics.insert(topic),
                    false => self.topics.remove(&topic),
                };
            }
        }
        *done += 1;
        match begins {
            true => tally.begun += 1,
            false => tally.ended += 1,
        }
        let counted = self.topics.iter();
        let counted = counted.filter(|(of, _)| (*of == 2) == (*kind == 2)).count();
        assert_eq!(integer(parts[2]), Some(counted as i64), "{word}");
        if *done >= names.len() {
            self.asked.pop_front();
        }
    }

    fn is_answered(&mut self, frame: &[u8], tally: &mut Seen) {
        let asked = self.asked.pop_front().expect("nobody has asked for this");
        let listens = !self.topics.is_empty() && !self.is_newer;
        let is_error = frame[0] == b'-';
        let shown = String::from_utf8_lossy(frame);
        match asked {
            Asked::Topics(_, begins, _, done) => {
                assert!(is_error && begins && done == 0, "{shown}");
                tally.refused += 1;
            }
            Asked::Hello => assert!(is_error || frame[0] == b'%', "{shown}"),
            Asked::Ping if listens => {
                assert_eq!(frame, b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
                tally.replies += 1;
            }
            Asked::Ping => assert_eq!(frame, b"+PONG\r\n"),
            Asked::Get(_) if listens => {
                assert!(shown.starts_with("-ERR Can't execute 'get'"), "{shown}");
            }
            Asked::Get(key) => {
                let mut value = Vec::new();
                write_bulk(key.as_bytes(), &mut value);
                assert!(is_error || frame == value, "{shown}");
                tally.replies += 1;
            }
        }
    }
}

#[test]
fn who_listens_hears_its_own_in_order_and_nobody_else_does() {
    let first = crate::runs::env_number("SIM_LISTENER_SEED");
    let seeds = first.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut all = [0; 10];
    for seed in seeds {
        let mut world = World::new(seed);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                world.step();
            }
            world.calm_down();
        }));
        assert!(ran.is_ok(), "SIM_LISTENER_SEED={seed} fails");
        for (sum, count) in all.iter_mut().zip(world.tally.counts()) {
            *sum += count;
        }
    }
    println!("begun, ended, heard, refused, lost, again, slow, homeless, left, replies: {all:?}");
    assert!(
        first.is_some() || all.iter().all(|count| *count > 20),
        "{all:?}"
    );
}
