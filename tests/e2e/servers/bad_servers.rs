//! Whatever a server sends, its own requests get an error and no client gets another's reply.
//!
//! During all of this other clients go on, on the same pool and on another, and check that every
//! reply is their own.

use crate::support::FakeConn;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::resident_bytes;

/// A pool `mixed` of a server that does as `serve` says, named `s1`, and of two good ones, which
/// the pool `good` has to itself.
struct Stand {
    // In this order: the fake server's threads wait for the proxy's end.
    proxy: Proxy,
    fake: FakeServer,
    _servers: Vec<Redis>,
    loads: Vec<Load>,
}

impl Stand {
    fn start(seed: u64, serve: impl Fn(FakeConn) + Send + Sync + 'static) -> Stand {
        Stand::start_with(seed, &["good", "mixed"], serve)
    }

    fn start_with(
        seed: u64,
        loads_on: &[&str],
        serve: impl Fn(FakeConn) + Send + Sync + 'static,
    ) -> Stand {
        let servers = Redis::fleet(2);
        let fake = FakeServer::start(serve);
        let mixed = Pool::new("mixed")
            .with("hash_tag", "\"{}\"")
            .server(fake.address());
        let mixed = servers
            .iter()
            .fold(mixed, |pool, redis| pool.server(redis.address()));
        let proxy = Proxy::coremux(&[mixed, Pool::over("good", &servers)]);
        let loads = loads_on.iter().map(|pool| match *pool {
            "good" => Load::start(proxy.address(pool), 8, seed),
            pool => Load::start_with_errors(proxy.address(pool), 8, seed + 1000),
        });
        Stand {
            loads: loads.collect(),
            proxy,
            fake,
            _servers: servers,
        }
    }

    /// Keys of the bad server and of both good ones.
    fn keys(&self) -> [String; 3] {
        ["s1", "s2", "s3"].map(|server| self.proxy.key_on("mixed", server, "key"))
    }

    fn end(mut self) {
        for load in self.loads.drain(..) {
            load.goes_on(100);
            load.end();
        }
        assert_eq!(self.proxy.process().ended(), None, "the proxy is up");
        let log = self.proxy.process().log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// What a server answers to `GET {key}<name>`, and what the client is told.
type Case = (&'static str, Vec<u8>, &'static str);

const BAD: &str = "ERR Server sent a bad reply: ";
const CLOSED: &str = "ERR Server closed the connection";

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("words", &b"hello\r\n"[..], BAD),
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n", BAD),
        ("nothing", b"\r\n", BAD),
        ("zeros", b"\0\0\0\0", BAD),
        ("null", b"_\r\n", BAD),
        ("bool", b"#t\r\n", BAD),
        ("double", b",1.5\r\n", BAD),
        ("number", b"(12345\r\n", BAD),
        ("map", b"%1\r\n+a\r\n+b\r\n", BAD),
        ("set", b"~1\r\n+a\r\n", BAD),
        ("push", b">2\r\n+message\r\n+x\r\n", BAD),
        ("verbatim", b"=5\r\ntxt:x\r\n", BAD),
        ("map inside", b"*2\r\n+a\r\n%0\r\n", BAD),
        ("negative", b"$-2\r\n", BAD),
        ("long", b"$9999999999\r\n", BAD),
        ("leading zero", b"$05\r\nhello\r\n", BAD),
        ("plus", b"$+5\r\nhello\r\n", BAD),
        ("negative count", b"*-2\r\n", BAD),
        ("long count", b"*99999999999\r\n", BAD),
        ("no number", b":12a\r\n", BAD),
        ("empty number", b":\r\n", BAD),
        ("no line end", b"$5\r\nhelloXX", BAD),
        ("line feed only", b"$5\nhello\n", BAD),
        ("half", b"$5\r\nhe", CLOSED),
        ("half a line", b"+O", CLOSED),
        ("half an array", b"*3\r\n$1\r\na\r\n", CLOSED),
        ("many of nothing", b"*1000000000\r\n", CLOSED),
        ("much of nothing", b"$500000000\r\nx", CLOSED),
        ("silence", b"", CLOSED),
    ]
    .map(|(name, bytes, text)| (name, bytes.to_vec(), text))
    .to_vec();
    cases.push(("deep", b"*1\r\n".repeat(60_000), CLOSED));
    cases
}

#[test]
fn what_is_no_reply_is_an_error_for_who_asked_and_for_nobody_else() {
    let answers = cases();
    let stand = Stand::start(1, move |mut conn| {
        while let Some(request) = conn.request() {
            let key =
                String::from_utf8_lossy(request.get(1).map_or(&[][..], |key| key)).into_owned();
            let case = answers
                .iter()
                .find(|(name, ..)| key.ends_with(&format!("}}{name}")));
            let Some((_, bytes, _)) = case else {
                // The load's requests: nobody may be given this.
                conn.send(b"-ERR not a real server\r\n");
                continue;
            };
            conn.send(bytes);
            // What is no reply has to be seen by itself; what is a part of one ends here.
            if case.is_some_and(|(_, _, text)| *text == CLOSED) {
                return;
            }
        }
    });
    let [bad, good, other] = stand.keys();
    let mut client = stand.proxy.client("mixed");
    for (name, _, text) in cases() {
        let due = eventually(name, || {
            let requests = [
                vec!["SET".to_owned(), good.clone(), name.to_owned()],
                vec!["GET".into(), format!("{{{bad}}}{name}")],
                vec!["GET".into(), good.clone()],
                vec!["ECHO".into(), name.into()],
                vec!["SET".into(), other.clone(), format!("other {name}")],
                vec!["MGET".into(), good.clone(), other.clone()],
            ];
            let replies = client.pipeline(&requests);
            assert_eq!(replies[0], Reply::ok(), "{name}");
            let values = vec![Reply::bulk(name), Reply::bulk(format!("other {name}"))];
            let rest = [
                Reply::bulk(name),
                Reply::bulk(name),
                Reply::ok(),
                Reply::Array(values),
            ];
            assert_eq!(replies[2..], rest, "{name}");
            let error = replies[1].error().to_owned();
            // The connection may have been lost to another's bad reply just before.
            (error.starts_with(text) || !text.starts_with("ERR Server")).then_some(error)
        });
        assert!(due.starts_with(text), "{name}: {due}");
    }
    stand.end();
}

/// A reply with its own key, and another behind it.
fn twice(key: &[u8]) -> Vec<u8> {
    let own = [format!("${}\r\n", key.len()).as_bytes(), key, b"\r\n"].concat();
    [&own[..], b"$5\r\nstray\r\n"].concat()
}

// While another request is under way on the connection, the protocol has nothing by which to tell
// whose a reply is; here none is.
#[test]
fn a_reply_that_nobody_asked_for_is_given_to_nobody() {
    let fake = FakeServer::start(|mut conn| {
        if conn.number == 0 {
            // It speaks before it is asked.
            conn.send(b"+HELLO I am no Redis\r\n");
        }
        while let Some(request) = conn.request() {
            conn.send(&twice(&request[1]));
        }
    });
    let pool = Pool::new("alpha")
        .with("preconnect", true)
        .server(fake.address());
    let mut proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    eventually("what spoke unasked is cut", || {
        let log = proxy.process().log();
        log.contains("Server sent a reply without a request")
            .then_some(())
    });
    let mut client = proxy.client("alpha");
    for n in 0..200 {
        let own = format!("own {n}");
        let reply = client.call(["GET", &own]);
        // The second of two is on a connection that is given up.
        assert_eq!(reply, Reply::bulk(&own));
    }
    assert!(fake.connections() > 100, "{}", fake.connections());
}

#[test]
fn a_server_that_closes_or_resets_in_a_reply_is_connected_to_again() {
    let stand = Stand::start(3, |mut conn| {
        let mut answered = 0;
        while let Some(request) = conn.request() {
            let own = &request[1];
            if !own.ends_with(b"own") {
                conn.send(b"-ERR not a real server\r\n");
                continue;
            }
            let mut reply = format!("${}\r\n", own.len()).into_bytes();
            reply.extend(own);
            reply.extend(b"\r\n");
            // Two whole replies, then a part of one.
            answered += 1;
            if answered < 3 {
                conn.send(&reply);
                continue;
            }
            conn.send(&reply[..conn.number % reply.len()]);
            match conn.number % 2 {
                0 => conn.reset(),
                _ => drop(conn),
            }
            return;
        }
    });
    let [bad, good, _] = stand.keys();
    let mut client = stand.proxy.client("mixed");
    let (mut whole, mut lost) = (0, 0);
    for n in 0..300 {
        let own = format!("{{{bad}}}{n}own");
        let value = format!("good {n}");
        let requests = [
            vec!["SET", &good, &value],
            // A read is asked once more, a write is not.
            vec![if n % 5 > 1 { "GET" } else { "GETDEL" }, &own],
            vec!["GET", &good],
        ];
        let replies = client.pipeline(requests);
        assert_eq!(
            (&replies[0], &replies[2]),
            (&Reply::ok(), &Reply::bulk(&value))
        );
        match &replies[1] {
            Reply::Error(text) => {
                let causes = [CLOSED, "ERR Connection reset by peer", "ERR Broken pipe"];
                let cause = text.strip_suffix("; the outcome is unknown");
                assert!(cause.is_some_and(|cause| causes.contains(&cause)), "{text}");
                assert!(n % 5 <= 1, "a read was not asked again");
                lost += 1;
            }
            reply => {
                assert_eq!(*reply, Reply::bulk(&own));
                whole += 1;
            }
        }
    }
    assert!(whole > 50 && lost > 20, "{whole} whole, {lost} lost");
    assert!(stand.fake.connections() > 20);
    stand.end();
}

#[test]
fn a_server_that_closes_whatever_connects_costs_errors_and_no_storm() {
    let fake = FakeServer::start(drop);
    let pools = [
        Pool::new("plain").server(fake.address()),
        // It closes before it has answered the greeting.
        Pool::new("greeted")
            .server(fake.address())
            .with("redis_db", 1),
    ];
    let proxy = Proxy::coremux_with(&["--cores", "1"], &pools);
    for pool in ["plain", "greeted"] {
        let before = fake.connections();
        let mut client = proxy.client(pool);
        let requests = (0..500).map(|n| ["GET".to_owned(), n.to_string()]);
        for reply in client.pipeline(requests) {
            assert!(matches!(reply, Reply::Error(_)), "{reply:?}");
        }
        for _ in 0..50 {
            let reply = client.call(["GET", "key"]);
            assert!(matches!(reply, Reply::Error(_)), "{reply:?}");
        }
        // One for each request that found none, not one for each of a pipeline.
        let made = fake.connections() - before;
        assert!(made <= 70, "{pool}: {made} connections");
    }
}

#[test]
fn a_reply_in_the_smallest_pieces_is_whole_in_the_end() {
    let stand = Stand::start(4, |mut conn| {
        while let Some(request) = conn.request() {
            if !request[1].ends_with(b"pieces") {
                conn.send(b"-ERR not a real server\r\n");
                continue;
            }
            for byte in b"*3\r\n$5\r\nfirst\r\n:12\r\n*2\r\n$-1\r\n+status\r\n" {
                conn.send(&[*byte]);
            }
        }
    });
    let [bad, ..] = stand.keys();
    let mut client = stand.proxy.client("mixed");
    let inner = vec![Reply::Null, Reply::Simple("status".to_owned())];
    let due = Reply::Array(vec![
        Reply::bulk("first"),
        Reply::Integer(12),
        Reply::Array(inner),
    ]);
    for _ in 0..50 {
        assert_eq!(client.call(["GET", &format!("{{{bad}}}pieces")]), due);
    }
    stand.end();
}

#[test]
fn a_server_that_never_answers_costs_little_memory() {
    // A load on the mixed pool would wait for the silent server, for ever.
    let mut stand = Stand::start_with(5, &["good"], |mut conn| conn.wait_for_end());
    let [bad, good, _] = stand.keys();
    let key = format!("{{{bad}}}silent");
    let before = resident_bytes(stand.proxy.process());
    let value = "v".repeat(10_000);
    // Far more than the limit of what one client may have under way.
    let mut waiting = stand.proxy.client("mixed");
    let mut bytes = Vec::new();
    for _ in 0..1_000 {
        encode(&mut bytes, ["SET", &key, &value]);
    }
    let mut writer = waiting.writer();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // It ends when the connection does.
            for _ in 0..40 {
                if std::io::Write::write_all(&mut writer, &bytes).is_err() {
                    return true;
                }
            }
            false
        });
        let mut client = stand.proxy.client("mixed");
        for _ in 0..200 {
            assert_eq!(client.call(["SET", &good, "value"]), Reply::ok());
        }
        let grown = resident_bytes(stand.proxy.process()).saturating_sub(before);
        assert!(grown < 300 << 20, "{} MiB", grown >> 20);
        waiting.set_read_timeout(std::time::Duration::from_millis(1));
        assert!(waiting.try_read().is_err(), "nobody has answered");
        waiting.shutdown_write();
        assert!(
            thread.join().unwrap(),
            "400 MB were not taken without an answer"
        );
    });
    waiting.reset();
    stand.end();
}
