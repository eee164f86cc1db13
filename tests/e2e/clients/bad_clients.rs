//! Whatever a client sends, it is told what is wrong, and no other client is disturbed.
//!
//! During all of this others go on, and check that every reply is their own.

use std::io::Write;
use std::time::Duration;

use crate::support::Client;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::resident_bytes;
use crate::support::value;

struct Stand {
    _servers: Vec<Redis>,
    proxy: Proxy,
    load: Load,
}

impl Stand {
    /// Three servers, a pool that gives a client little room, and 16 clients who check.
    fn start(seed: u64) -> Stand {
        let servers = Redis::fleet(3);
        let pools = [
            Pool::over("alpha", &servers),
            Pool::over("narrow", &servers).with("client_output_limit", 1 << 20),
        ];
        let proxy = Proxy::coremux(&pools);
        Stand {
            load: Load::start(proxy.address("alpha"), 16, seed),
            proxy,
            _servers: servers,
        }
    }

    fn client(&self) -> Client {
        self.proxy.client("alpha")
    }

    /// The others were answered rightly all the time, and are now.
    fn end(mut self) {
        self.load.goes_on(200);
        self.load.end();
        assert_eq!(self.proxy.process().ended(), None, "the proxy is up");
        let log = self.proxy.process().log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, words);
    bytes
}

/// Bytes that are no request, and what is said of them.
fn broken() -> Vec<(Vec<u8>, &'static str)> {
    let bulk = "invalid bulk length";
    let count = "invalid multibulk length";
    let mut cases: Vec<(Vec<u8>, &str)> = [
        ("*2\r\n$3\r\nGET\r\n$9999999999\r\n", bulk),
        ("*1\r\n$536870913\r\n", bulk),
        ("*1\r\n$-5\r\n", bulk),
        ("*1\r\n$-1\r\n", bulk),
        ("*1\r\n$05\r\nhello\r\n", bulk),
        ("*1\r\n$+5\r\nhello\r\n", bulk),
        ("*1\r\n$ 5\r\nhello\r\n", bulk),
        ("*1\r\n$5 \r\nhello\r\n", bulk),
        ("*1\r\n$\r\n\r\n", bulk),
        ("*1\r\n$x\r\n", bulk),
        ("*1\r\n$5\nhello\r\n", bulk),
        // 2^32 + 4, 2^64 + 4: what wraps around is 4.
        ("*1\r\n$4294967300\r\nPING\r\n", bulk),
        ("*1\r\n$18446744073709551620\r\nPING\r\n", bulk),
        ("*1\r\n$99999999999999999999999999\r\n", bulk),
        ("*1000000000\r\n", count),
        ("*1048577\r\n", count),
        ("*-5\r\n", count),
        ("*02\r\n$3\r\nGET\r\n$1\r\nk\r\n", count),
        ("*+2\r\n$3\r\nGET\r\n$1\r\nk\r\n", count),
        ("*4294967298\r\n$3\r\nGET\r\n$1\r\nk\r\n", count),
        ("*x\r\n", count),
        ("*\r\n", count),
        ("*2 \r\n", count),
        ("*2\r\n:1\r\n$1\r\nk\r\n", "expected '$', got ':'"),
        ("*2\r\n*1\r\n$1\r\nk\r\n", "expected '$', got '*'"),
        ("*1\r\n+PING\r\n", "expected '$', got '+'"),
        ("*1\r\n\r\n", "expected '$', got"),
        (
            "*1\r\n$4\r\nPINGPING\r\n",
            "expected CRLF after bulk string",
        ),
        ("*1\r\n$4\r\nPING\n\n", "expected CRLF after bulk string"),
        ("SET k \"open\r\n", "unbalanced quotes in request"),
        ("SET k 'a'b\r\n", "unbalanced quotes in request"),
    ]
    .map(|(bytes, text)| (bytes.as_bytes().to_vec(), text))
    .to_vec();
    cases.push((b"*1\r\n".repeat(100_000), "expected '$', got '*'"));
    cases.push((vec![b'x'; 100_000], "too big inline request"));
    cases
}

#[test]
fn replies_that_are_due_come_before_the_error_and_an_end_after_it() {
    let stand = Stand::start(1);
    let mut direct_errors = 0;
    for (bytes, text) in broken() {
        let name = bytes[..bytes.len().min(60)].escape_ascii().to_string();
        let mut client = stand.client();
        let mut all = request(&["SET", "bad", "1"]);
        all.extend(request(&["MSET", "a", "1", "b", "2", "c", "3"]));
        all.extend(request(&["GET", "bad"]));
        all.extend(request(&["NONSENSE"]));
        all.extend(&bytes);
        // What comes behind what is broken is not looked at.
        all.extend(request(&["SET", "bad", "2"]));
        // A peer that has said its last word may close before it has read all of this.
        let _ = client.try_send_raw(&all);
        assert_eq!(client.read(), Reply::ok(), "{name}");
        assert_eq!(client.read(), Reply::ok(), "{name}");
        assert_eq!(client.read(), Reply::bulk("1"), "{name}");
        assert!(client.read().error().contains("unknown command"), "{name}");
        let error = client.read();
        let due = format!("ERR Protocol error: {text}");
        assert!(
            error.error().starts_with(&due),
            "{name}: {error:?}, not {due}"
        );
        let rest = client
            .read_to_end()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rest, b"", "{name}");
        direct_errors += 1;
    }
    assert_eq!(direct_errors, broken().len());
    assert_eq!(stand.client().call(["GET", "bad"]), Reply::bulk("1"));
    stand.end();
}

/// How other protocols begin, and what they are called.
const FOREIGN: [(&[u8], &str); 8] = [
    // A client hello's record header, and no more; its first byte alone.
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
    (b"\x16", "TLS"),
    // A `version` request.
    (
        b"\x80\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        "memcached's binary protocol",
    ),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"),
    (b"HEAD /health HTTP/1.0\r\n\r\n", "HTTP"),
    (
        b"PROXY TCP4 10.0.0.1 10.0.0.2 4000 6379\r\n*1\r\n$4\r\nPING\r\n",
        "the PROXY protocol",
    ),
    (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x10\0\x18\xeb",
        "the PROXY protocol",
    ),
];

#[test]
fn another_protocol_is_closed_at_once_and_named_in_the_log() {
    let mut stand = Stand::start(1);
    for (bytes, name) in FOREIGN {
        let shown = bytes.escape_ascii().to_string();
        for step in [1, bytes.len()] {
            let mut client = stand.client();
            // It waits for an answer to what it has said, and says no more.
            for piece in bytes.chunks(step) {
                let _ = client.try_send_raw(piece);
            }
            let due = format!("-ERR Protocol error: {name} is not spoken here\r\n");
            let said = client
                .read_to_end()
                .unwrap_or_else(|e| panic!("{shown}: {e}"));
            assert_eq!(String::from_utf8(said).unwrap(), due, "{shown}");
        }
        let line = format!("warn client closed: it speaks {name}, and this port speaks RESP only");
        stand.proxy.process().logs(&line);
    }
    // What only looks alike is a request.
    let mut client = stand.client();
    client.send_raw(b"SET key HTTP/1.1\r\nGET key\r\n");
    assert_eq!(client.read(), Reply::ok());
    assert_eq!(client.read(), Reply::bulk("HTTP/1.1"));
    stand.end();
}

#[test]
fn noise_is_answered_or_closed_and_never_anything_else() {
    let stand = Stand::start(2);
    let mut random = coremux::base::Random::new(2);
    for _ in 0..300 {
        let mut client = stand.client();
        let length = 1 + random.below(3000);
        let alphabet: &[u8] = match random.below(3) {
            0 => b"*$\r\n0123456789-+",
            1 => b"*1\r\n$GETSPNG \"'\\x",
            _ => &(0..=u8::MAX).collect::<Vec<u8>>(),
        };
        let noise: Vec<u8> = (0..length)
            .map(|_| alphabet[usize::try_from(random.below(alphabet.len() as u64)).unwrap()])
            .collect();
        let _ = client.try_send_raw(&noise);
        client.shutdown_write();
        let mut replies = &client.read_until_closed()[..];
        while !replies.is_empty() {
            let reply = Reply::read(&mut replies);
            assert!(reply.is_ok(), "{reply:?} to {}", noise.escape_ascii());
        }
    }
    stand.end();
}

#[test]
fn empty_requests_are_ignored() {
    let stand = Stand::start(3);
    let mut client = stand.client();
    client.send_raw(b"*0\r\n*-1\r\n\r\n  \r\n*1\r\n$4\r\nPING\r\n*0\r\n*0\r\nPING\r\n*-1\r\n");
    assert_eq!(client.read(), Reply::Simple("PONG".to_owned()));
    assert_eq!(client.read(), Reply::Simple("PONG".to_owned()));
    client.shutdown_write();
    assert_eq!(client.read_to_end().unwrap(), b"");
    stand.end();
}

#[test]
fn an_empty_name_and_an_empty_key_are_only_an_error_and_a_key() {
    let stand = Stand::start(4);
    let mut client = stand.client();
    client.send_raw(b"*1\r\n$0\r\n\r\n");
    assert_eq!(
        client.read().error(),
        "ERR unknown command '', with args beginning with: "
    );
    client.send_raw(b"*2\r\n$0\r\n\r\n$0\r\n\r\n");
    assert_eq!(
        client.read().error(),
        "ERR unknown command '', with args beginning with: '' "
    );
    assert_eq!(client.call(["SET", "", ""]), Reply::ok());
    assert_eq!(client.call(["MGET", "", "", "none"]), {
        Reply::Array(vec![Reply::bulk(""), Reply::bulk(""), Reply::Null])
    });
    stand.end();
}

#[test]
fn an_error_that_repeats_the_clients_words_stays_one_line() {
    let stand = Stand::start(5);
    let mut client = stand.client();
    let name = "a\r\n+OK\r\n$-1\r\n".repeat(20);
    let requests = [
        vec![name.as_str(), "x\r\ny", "z"],
        vec!["CLIENT", &name],
        vec!["HELLO", "2", &name],
        vec!["CLIENT", "SETINFO", &name, "x"],
        vec!["PING", "own"],
    ];
    let replies = client.pipeline(requests);
    for reply in &replies[..4] {
        assert!(matches!(reply, Reply::Error(_)), "{reply:?}");
    }
    assert_eq!(replies[4], Reply::bulk("own"));
    stand.end();
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let stand = Stand::start(6);
    let mut client = stand.client();
    let mut bytes = request(&["SET", "slow", "value"]);
    bytes.extend(b"get slow\r\n");
    bytes.extend(request(&["MSET", "slow:a", "1", "slow:b", "2"]));
    bytes.extend(request(&["MGET", "slow", "slow:a", "slow:b", "slow:none"]));
    for byte in &bytes {
        client.send_raw(std::slice::from_ref(byte));
    }
    assert_eq!(client.read(), Reply::ok());
    assert_eq!(client.read(), Reply::bulk("value"));
    assert_eq!(client.read(), Reply::ok());
    let values = ["value", "1", "2"].map(Reply::bulk);
    assert_eq!(
        client.read(),
        Reply::Array([&values[..], &[Reply::Null]].concat())
    );
    stand.end();
}

#[test]
fn half_a_request_holds_up_nobody_and_its_other_half_completes_it() {
    let stand = Stand::start(7);
    let large = value("stalled", 1, 100_000);
    let mut bytes = Vec::new();
    encode(&mut bytes, [&b"SET"[..], b"stalled", &large]);
    let cuts = [
        1,
        3,
        4,
        9,
        14,
        25,
        40,
        5_000,
        60_000,
        bytes.len() - 2,
        bytes.len() - 1,
    ];
    let mut stalled: Vec<(Client, usize)> = cuts
        .iter()
        .map(|cut| {
            let mut client = stand.client();
            client.send_raw(&request(&["PING", "before"]));
            client.send_raw(&bytes[..*cut]);
            (client, *cut)
        })
        .collect();
    for (client, _) in &mut stalled {
        assert_eq!(client.read(), Reply::bulk("before"));
    }
    stand.load.goes_on(500);
    for (client, cut) in &mut stalled {
        client.send_raw(&bytes[*cut..]);
        assert_eq!(client.read(), Reply::ok());
        assert!(client.call(["GET", "stalled"]) == Reply::Bulk(large.clone()));
    }
    stand.end();
}

#[test]
fn a_client_that_does_not_read_costs_little_memory_and_gets_every_reply_in_the_end() {
    let mut stand = Stand::start(8);
    let big = value("unread", 1, 2_500);
    let mut client = stand.proxy.client("narrow");
    assert_eq!(client.call([&b"SET"[..], b"unread", &big]), Reply::ok());
    let before = resident_bytes(stand.proxy.process());
    // 100,000 requests of 32 MB, more than the kernel's buffers hold, whose replies are 155 MB.
    let mut bytes = Vec::new();
    let own = |n: u64| value("own", n, 600);
    for n in 0..50_000 {
        encode(&mut bytes, ["GET", "unread"]);
        encode(&mut bytes, [b"ECHO".to_vec(), own(n)]);
    }
    let mut writer = client.writer();
    let sent = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for part in bytes.chunks(10_000) {
                writer.write_all(part).unwrap();
                sent.fetch_add(part.len(), std::sync::atomic::Ordering::Relaxed);
            }
        });
        let sent_now = || sent.load(std::sync::atomic::Ordering::Relaxed);
        let mut last = (0, 0);
        eventually("the proxy reads no more of it", || {
            stand.load.goes_on(100);
            last = match sent_now() {
                now if now == last.0 && now > 0 => (now, last.1 + 1),
                now => (now, 0),
            };
            (last.1 == 20).then_some(())
        });
        assert!(sent_now() < bytes.len(), "it took all without being read");
        let grown = resident_bytes(stand.proxy.process()).saturating_sub(before);
        assert!(
            grown < 48 << 20,
            "{} MiB for a client that does not read",
            grown >> 20
        );
        for n in 0..50_000 {
            assert!(client.read() == Reply::Bulk(big.clone()), "reply {n}");
            assert!(client.read() == Reply::Bulk(own(n)), "reply {n}");
        }
    });
    stand.end();
}

#[test]
fn a_client_that_goes_while_its_reply_comes_is_missed_by_nobody() {
    let stand = Stand::start(9);
    let large = value("large", 1, 8 << 20);
    let mut client = stand.client();
    assert_eq!(client.call([&b"SET"[..], b"large", &large]), Reply::ok());
    for round in 0..60 {
        let mut leaver = stand.client();
        let mut bytes = request(&["GET", "large"]);
        for n in 0..round {
            bytes.extend(request(&["GET", &format!("leaver:{n}")]));
            bytes.extend(request(&["MGET", "a", "b", "leaver"]));
        }
        leaver.send_raw(&bytes);
        match round % 4 {
            // At once, with a reset or with an end; or when a part of the reply has come.
            0 => leaver.reset(),
            1 => drop(leaver),
            2 => {
                leaver.read_raw(100_000);
                leaver.reset();
            }
            _ => {
                leaver.read_raw(1);
                drop(leaver);
            }
        }
    }
    assert!(client.call(["GET", "large"]) == Reply::Bulk(large));
    eventually("those who left are forgotten", || {
        let connected = stand.proxy.numbers().pool("alpha", "client_connections");
        (connected == 17).then_some(())
    });
    stand.end();
}

#[test]
fn a_client_that_goes_in_the_middle_of_a_request_has_asked_nothing() {
    let stand = Stand::start(10);
    let bytes = request(&["SET", "half", "value"]);
    for cut in 0..bytes.len() {
        let mut client = stand.client();
        client.send_raw(&bytes[..cut]);
        match cut % 2 {
            0 => client.reset(),
            _ => assert_eq!(
                {
                    client.shutdown_write();
                    client.read_until_closed()
                },
                b""
            ),
        }
    }
    assert_eq!(stand.client().call(["EXISTS", "half"]), Reply::Integer(0));
    stand.end();
}

#[test]
fn hundreds_of_clients_who_say_nothing_hold_up_nobody() {
    let stand = Stand::start(11);
    let silent: Vec<Client> = (0..500).map(|_| stand.client()).collect();
    stand.load.goes_on(1_000);
    let mut last = silent.into_iter().last().unwrap();
    last.set_read_timeout(Duration::from_secs(20));
    assert_eq!(last.call(["PING"]), Reply::Simple("PONG".to_owned()));
    stand.end();
}

#[test]
fn a_request_with_as_many_arguments_as_are_allowed_is_answered() {
    let stand = Stand::start(12);
    let mut client = stand.client();
    let keys = (1 << 20) - 1;
    let mut bytes = format!("*{}\r\n$6\r\nEXISTS\r\n", keys + 1).into_bytes();
    for n in 0..keys {
        let key = format!("many:{n}");
        bytes.extend(format!("${}\r\n{key}\r\n", key.len()).into_bytes());
    }
    client.send_raw(&bytes);
    assert_eq!(client.read(), Reply::Integer(0));
    stand.end();
}

/// Redis ends a connection on which a value begins that is too long for it; what it says before that may
/// be lost with the connection.
#[test]
fn values_that_a_server_refuses_to_read_fail_for_those_who_send_them() {
    let servers = [Redis::start_with(&["--proto-max-bulk-len", "1048576"])];
    let pool = Pool::over("alpha", &servers);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = proxy.client("alpha");
    let long = value("long", 1, 2 << 20);
    let mut send_long_ones = |load: &Load, rounds: usize| {
        for _ in 0..rounds {
            let reply = client.call([&b"SET"[..], b"long", &long]);
            let text = reply.error();
            let is_unreadable = text.starts_with("ERR Protocol error");
            assert!(
                is_unreadable || text.ends_with("outcome is unknown"),
                "{text}"
            );
            load.goes_on(20);
        }
    };
    let load = Load::start_with_errors(proxy.address("alpha"), 8, 15);
    send_long_ones(&load, 20);
    load.end();
    // By now it is known who it is, and nobody else feels anything.
    let load = Load::start(proxy.address("alpha"), 8, 16);
    send_long_ones(&load, 30);
    load.end();
    let found = servers[0].client().call(["EXISTS", "long"]);
    assert_eq!(found, Reply::Integer(0));
}
