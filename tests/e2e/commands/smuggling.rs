//! Nothing that one memcached client sends becomes a command of its own on a server, or shifts
//! another client's replies.
//!
//! Attackers and their neighbours share one connection to each real memcached. A `flush_all` is
//! refused to everybody, so one that a server has counted was smuggled to it.

use coremux::base::Random;

use crate::support::Client;
use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::eventually;

const SERVERS: usize = 2;

/// Keys that nobody but their owner writes; every server has some of them.
const OWN_KEYS: usize = 24;

struct Scene {
    servers: Vec<Memcached>,
    proxy: Proxy,
    neighbour: Client,
    turn: usize,
}

impl Scene {
    fn start() -> Scene {
        let servers = Memcached::fleet(SERVERS);
        let pool = servers
            .iter()
            .fold(Pool::memcached("alpha"), |pool, server| {
                pool.server(server.address())
            });
        let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool.with("server_connections", 1)]);
        let mut scene = Scene {
            neighbour: proxy.client("alpha"),
            servers,
            proxy,
            turn: 0,
        };
        let sets = (0..OWN_KEYS).map(|nth| format!("set own{nth} {nth} 0 6\r\nval{nth:03}\r\n"));
        let sets: String = sets.collect();
        let stored = scene.neighbour.texts(sets.as_bytes(), OWN_KEYS);
        assert!(stored.iter().all(|reply| reply == b"STORED\r\n"));
        scene
    }

    /// Sends `attack` in pieces, each cut at one of `cuts`, with the neighbour's requests in between;
    /// then nothing of it may have reached anybody else.
    fn suffer(&mut self, attack: &[u8], cuts: &[usize]) {
        let mut attacker = self.proxy.client("alpha");
        let mut begin = 0;
        for cut in cuts.iter().copied().chain([attack.len()]) {
            // It may have been closed for what it has sent already.
            if attacker.try_send_raw(&attack[begin..cut]).is_err() {
                break;
            }
            self.ask_for_own(attack);
            begin = cut;
        }
        attacker.shutdown_write();
        // To its end, or to a reset for what is left of it.
        let _ = attacker.read_to_end();
        self.ask_for_own(attack);
    }

    /// The neighbour's replies are its own.
    fn ask_for_own(&mut self, attack: &[u8]) {
        self.turn += 1;
        let (a, b) = (self.turn % OWN_KEYS, (self.turn + 7) % OWN_KEYS);
        let asked = format!("get own{a} own{b}\r\nget none{a}\r\nmg own{b} v\r\nmn\r\n");
        self.neighbour.send_raw(asked.as_bytes());
        let expected = format!(
            "VALUE own{a} {a} 6\r\nval{a:03}\r\nVALUE own{b} {b} 6\r\nval{b:03}\r\nEND\r\nEND\r\n\
             VA 6\r\nval{b:03}\r\nMN\r\n"
        );
        let got = self.neighbour.read_raw(expected.len());
        assert_eq!(
            String::from_utf8_lossy(&got),
            expected,
            "after {}",
            attack.escape_ascii()
        );
    }

    /// No server was told to forget everything, and each has its part of the neighbour's keys.
    fn check_servers(&self, attack: &[u8]) {
        let mut kept = 0;
        for server in &self.servers {
            let mut client = server.client();
            let stats = client.text("stats\r\n");
            assert!(
                stats.contains("STAT cmd_flush 0\r\n"),
                "flushed by {}",
                attack.escape_ascii()
            );
            for nth in 0..OWN_KEYS {
                let reply = client.text(format!("get own{nth}\r\n"));
                kept += usize::from(reply.starts_with("VALUE"));
            }
        }
        assert_eq!(kept, OWN_KEYS);
    }
}

/// What smugglers try: a line, a key, a length, a flag or a block that ends elsewhere for the server.
fn attacks() -> Vec<Vec<u8>> {
    let texts = [
        "get zz\nflush_all\r\n",
        "get zz\rflush_all\r\n",
        "get zz\r\nflush_all\r\n",
        "get zz\n\rflush_all\r\n",
        "get zz \x0bflush_all\r\n",
        "get zz\0\nflush_all\r\n",
        "get a b c\nflush_all d\r\n",
        "gets zz\r\rflush_all\r\n",
        "gat 0 zz\nflush_all\r\n",
        "gat 0\nflush_all\r\n",
        "delete zz\nflush_all\r\n",
        "delete zz 0\nflush_all noreply\r\n",
        "touch zz 0\nflush_all\r\n",
        "incr zz 1\nflush_all\r\n",
        "decr zz 1\rflush_all\r\n",
        "version\nflush_all\r\n",
        "verbosity 1\nflush_all\r\n",
        "stats\nflush_all\r\n",
        "mn\nflush_all\r\n",
        "quit\nflush_all\r\n",
        "\nflush_all\r\n",
        "\r\nflush_all\r\n",
        "flush_all\r\n",
        "FLUSH_ALL\r\n",
        "flush_all 0 noreply\r\nflush_all noreply\r\n",
        // Lengths that are none, or mean less or more than is sent.
        "set zz 0 0 -1\r\nflush_all\r\n",
        "set zz 0 0 -2\r\nflush_all\r\n",
        "set zz 0 0 0x5\r\nflush_all\r\n",
        "set zz 0 0 +5\r\nflush_all\r\n",
        "set zz 0 0 5 5\r\nflush_all\r\n",
        "set zz 0 0 5\x0b\r\nflush_all\r\n",
        "set zz 0 0 00000000000000000000005\r\nflush_all\r\n",
        "set zz 0 0 4294967301\r\nflush_all\r\n",
        "set zz 0 0 18446744073709551621\r\nflush_all\r\n",
        "set zz 0 0 2\r\nab\r\r\nflush_all\r\n",
        "set zz 0 0 2\r\nab\nflush_all\r\n",
        "set zz 0 0 2\r\nabcdef\r\nflush_all\r\n",
        "set zz 0 0 2\nab\r\nflush_all\r\n",
        "set zz 0 0 11\r\nflush_all\r\n\r\n",
        "set zz 0 0 9 noreply\r\nflush_all\r\nflush_all\r\n",
        "set zz 0 0 2 noreply\nab\r\nflush_all\r\n",
        "set zz 4294967296 0 11\r\nflush_all\r\n\r\n",
        "set zz -1 0 11\r\nflush_all\r\n\r\n",
        "set zz 0 x 11\r\nflush_all\r\n\r\n",
        "set zz 0 99999999999999999999 11\r\nflush_all\r\n\r\n",
        "set z\nz 0 0 11\r\nflush_all\r\n\r\n",
        "set zz 0 0 1048577000\r\nflush_all\r\n",
        "set zz 0 0 2000000\r\nflush_all\r\n",
        "add zz 0 0\r\nflush_all\r\n",
        "append zz 0 0 11 reply\r\nflush_all\r\n\r\n",
        "cas zz 0 0 11 x\r\nflush_all\r\n\r\n",
        "cas zz 0 0 11 18446744073709551616\r\nflush_all\r\n\r\n",
        "cas zz 0 0 11\r\nflush_all\r\n\r\n",
        // Meta commands.
        "mg zz v\nflush_all\r\n",
        "mg zz O1\nflush_all\r\n",
        "mg zz Oa\rflush_all\r\n",
        "mg zz v q k\nflush_all\r\nmn\r\n",
        "mg eAoKZmx1c2hfYWxsCg== b v k\r\n",
        "mg eA0KZmx1c2hfYWxsDQo= b v k\r\n",
        "ms eA0KZmx1c2hfYWxsDQo= 2 b\r\nhi\r\n",
        "md eA0KZmx1c2hfYWxsDQo= b q\r\nmn\r\n",
        "ms zz 11 I\r\nflush_all\r\n\r\n",
        "ms zz S11\r\nflush_all\r\n\r\n",
        "ms zz -1\r\nflush_all\r\n",
        "ms zz 11 T\r\nflush_all\r\n\r\n",
        "ms zz 11 Tx F-1\r\nflush_all\r\n\r\n",
        "ms zz 11 q b\r\nflush_all\r\n\r\nmn\r\n",
        "ms zz 11 M?\r\nflush_all\r\n\r\n",
        "ms zz 2 O\nflush_all\r\nab\r\n",
        "ma zz Mx\nflush_all\r\n",
        "me zz\nflush_all\r\n",
        "me zz b\nflush_all\r\n",
    ];
    let mut attacks: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).into();
    for length in [250, 251, 1000, 2040, 2048, 2049, 9000] {
        let key = "k".repeat(length);
        attacks.push(format!("get {key}\nflush_all\r\n").into_bytes());
        attacks.push(format!("set {key} 0 0 11\r\nflush_all\r\n\r\n").into_bytes());
        attacks.push(format!("mg {key} v\r\nflush_all\r\n").into_bytes());
        attacks.push(format!("{key}\nflush_all\r\n").into_bytes());
    }
    // The binary protocol: a quiet flush in a frame of it.
    let mut binary = vec![0x80, 0x18, 0, 0];
    binary.extend([0; 20]);
    attacks.push(binary);
    attacks
}

#[test]
fn nothing_that_a_client_sends_becomes_anothers_command_or_reply() {
    let mut scene = Scene::start();
    for attack in attacks() {
        scene.suffer(&attack, &[]);
        // A line that was half received is read on from the middle.
        let half = attack.len() / 2;
        scene.suffer(&attack, &[half]);
        let breaks = attack.iter().position(|byte| b"\r\n".contains(byte));
        if let Some(at) = breaks.filter(|at| at + 1 < attack.len()) {
            scene.suffer(&attack, &[at, at + 1]);
        }
        scene.check_servers(&attack);
    }
}

#[test]
fn nor_does_anything_that_is_put_together_at_random() {
    let words: [&[u8]; 40] = [
        b"get ",
        b"gets ",
        b"set ",
        b"add ",
        b"cas ",
        b"append ",
        b"delete ",
        b"incr ",
        b"touch ",
        b"gat ",
        b"mg ",
        b"ms ",
        b"md ",
        b"ma ",
        b"mn",
        b"me ",
        b"zz ",
        b"zz",
        b" 0 0 ",
        b"0 ",
        b"1 ",
        b"2",
        b"11",
        b"-1",
        b"4294967296",
        b" noreply",
        b" q",
        b" b",
        b" O7",
        b" v",
        b" T",
        b"flush_all",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"ab\r\n",
        b"flush_all\r\n\r\n",
    ];
    let mut scene = Scene::start();
    let mut random = Random::new(5);
    let mut below = |end: usize| usize::try_from(random.below(end as u64)).unwrap();
    for round in 0..1500 {
        let mut attack = Vec::new();
        for _ in 0..2 + below(14) {
            attack.extend_from_slice(words[below(words.len())]);
        }
        attack.extend_from_slice(b"\r\n");
        let cut = below(attack.len());
        scene.suffer(&attack, &[cut]);
        if round % 100 == 99 {
            scene.check_servers(&attack);
        }
    }
    eventually("no client is left but the neighbour", || {
        (scene.proxy.numbers().pool("alpha", "client_connections") == 1).then_some(())
    });
}
