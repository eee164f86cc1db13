//! Data and an end that come together, on either side and cut anywhere, lose nothing.

use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::support::FakeConn;
use crate::support::FakeServer;
use crate::support::Pool;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::value;

/// Requests whose replies come from several servers, and from the proxy.
fn requests() -> Vec<Vec<u8>> {
    [
        &["SET", "key", "value"][..],
        &["MSET", "a", "1", "b", "2", "c", "3"],
        &["GET", "key"],
        &["ECHO", "here"],
        &["MGET", "a", "none", "c", "b"],
        &["NONSENSE"],
        &["STRLEN", "key"],
    ]
    .map(|words| {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        bytes
    })
    .to_vec()
}

/// Their replies, as bytes.
const REPLIES: [&str; 7] = [
    "+OK\r\n",
    "+OK\r\n",
    "$5\r\nvalue\r\n",
    "$4\r\nhere\r\n",
    "*4\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n$1\r\n2\r\n",
    "-ERR unknown command 'NONSENSE', with args beginning with: \r\n",
    ":5\r\n",
];

fn stand() -> (Vec<Redis>, Proxy) {
    let servers = Redis::fleet(3);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &servers)]);
    (servers, proxy)
}

#[test]
fn a_client_that_ends_after_its_requests_gets_every_reply_and_an_end() {
    let (_servers, proxy) = stand();
    let all = requests().concat();
    for cut in 0..=all.len() {
        let mut client = proxy.client("alpha");
        client.send_raw(&all[..cut]);
        client.send_and_end(&all[cut..]);
        let replies = client.read_to_end().unwrap();
        assert_eq!(
            replies.escape_ascii().to_string(),
            REPLIES.concat().escape_default().to_string(),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_client_that_ends_within_a_request_gets_the_replies_to_those_before_it() {
    let (_servers, proxy) = stand();
    let requests = requests();
    let all = requests.concat();
    for cut in 0..=all.len() {
        let mut end = 0;
        let whole = requests
            .iter()
            .take_while(|request| {
                end += request.len();
                end <= cut
            })
            .count();
        let mut client = proxy.client("alpha");
        client.send_and_end(&all[..cut]);
        let replies = client.read_to_end().unwrap();
        assert_eq!(
            String::from_utf8(replies).unwrap(),
            REPLIES[..whole].concat(),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_client_on_a_unix_socket_does_the_same() {
    let servers = Redis::fleet(3);
    let proxy = Proxy::start(Program::Coremux, |listen| {
        let path = listen.unix("alpha");
        Pool::over("alpha", &servers).listening_on(path).yml(listen)
    });
    let all = requests().concat();
    for cut in 0..=all.len() {
        let mut client = proxy.client("alpha");
        client.send_raw(&all[..cut]);
        client.send_and_end(&all[cut..]);
        let replies = client.read_to_end().unwrap();
        assert_eq!(
            String::from_utf8(replies).unwrap(),
            REPLIES.concat(),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_large_reply_reaches_a_client_that_has_ended() {
    let (_servers, proxy) = stand();
    let large = value("large", 1, 20 << 20);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call([&b"SET"[..], b"large", &large]), Reply::ok());
    let mut bytes = Vec::new();
    encode(&mut bytes, ["GET", "large"]);
    encode(&mut bytes, ["MGET", "large", "a", "large"]);
    encode(&mut bytes, ["PING"]);
    client.send_and_end(&bytes);
    assert!(client.read() == Reply::Bulk(large.clone()));
    let values = vec![Reply::Bulk(large.clone()), Reply::Null, Reply::Bulk(large)];
    assert!(client.read() == Reply::Array(values));
    assert_eq!(client.read(), Reply::Simple("PONG".to_owned()));
    assert_eq!(client.read_to_end().unwrap(), b"");
}

#[test]
fn a_client_that_was_stopped_and_has_ended_gets_every_reply() {
    let servers = Redis::fleet(2);
    let pool = Pool::over("alpha", &servers).with("client_output_limit", 100_000);
    let proxy = Proxy::coremux(&[pool]);
    let large = value("large", 1, 2_000);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call([&b"SET"[..], b"large", &large]), Reply::ok());
    let own = |n: u64| value("own", n, 500);
    let mut bytes = Vec::new();
    for n in 0..20_000 {
        encode(&mut bytes, ["GET", "large"]);
        encode(&mut bytes, [b"ECHO".to_vec(), own(n)]);
    }
    let mut writer = client.writer();
    std::thread::scope(|scope| {
        // All of it, and the end, before a reply is read; what does not fit waits.
        let sending = scope.spawn(|| {
            std::io::Write::write_all(&mut writer, &bytes).unwrap();
            writer.end();
        });
        let mut client = client;
        for n in 0..20_000 {
            assert!(client.read() == Reply::Bulk(large.clone()));
            assert!(client.read() == Reply::Bulk(own(n)), "reply {n}");
        }
        sending.join().unwrap();
        assert_eq!(client.read_to_end().unwrap(), b"");
    });
}

#[test]
fn a_shell_pipe_into_netcat_prints_the_replies() {
    let (_servers, proxy) = stand();
    let address = proxy.address("alpha");
    let line = format!(
        "printf 'SET nc works\\r\\nGET nc\\r\\nPING\\r\\n' | nc -N {} {}",
        address.ip(),
        address.port()
    );
    let out = Command::new("sh")
        .args(["-c", &line])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(out.stdout).unwrap(),
        "+OK\r\n$5\r\nworks\r\n+PONG\r\n"
    );
}

/// What the fake server replies before it ends.
const REPLY: &[u8] = b"*3\r\n$5\r\nhello\r\n:-12\r\n+fine\r\n";

/// A server whose every connection answers once, cuts its reply elsewhere, and ends with the last
/// piece that it sends; and how many have.
fn cutting(send: fn(&mut FakeConn, &[u8], &[u8])) -> (FakeServer, Arc<AtomicUsize>) {
    let cuts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cuts);
    let fake = FakeServer::start(move |mut conn| {
        if conn.request().is_none() {
            return;
        }
        let cut = counted.fetch_add(1, Ordering::SeqCst) % REPLY.len();
        let (before, behind) = REPLY.split_at(cut);
        send(&mut conn, before, behind);
        conn.wait_for_end();
    });
    (fake, cuts)
}

#[test]
fn a_server_that_replies_and_ends_at_once_has_replied() {
    let (fake, cuts) = cutting(|conn, before, behind| {
        conn.send(before);
        conn.send_and_end(behind);
    });
    let proxy = Proxy::coremux_with(
        &["--cores", "1"],
        &[Pool::new("alpha").server(fake.address())],
    );
    let mut client = proxy.client("alpha");
    let parts = [
        Reply::bulk("hello"),
        Reply::Integer(-12),
        Reply::Simple("fine".to_owned()),
    ];
    for n in 0..REPLY.len() * 3 {
        // The next request may go out before the end has come in, and be lost with it.
        let reply = eventually("an answer", || match client.call(["GET", "key"]) {
            Reply::Error(_) => None,
            reply => Some(reply),
        });
        assert_eq!(reply, Reply::Array(parts.to_vec()), "request {n}");
    }
    assert!(cuts.load(Ordering::SeqCst) >= REPLY.len() * 3);
}

#[test]
fn a_server_that_ends_within_a_reply_has_not_replied() {
    let (fake, cuts) = cutting(|conn, before, _| conn.send_and_end(before));
    let proxy = Proxy::coremux(&[Pool::new("alpha").server(fake.address())]);
    let mut client = proxy.client("alpha");
    for n in 0..REPLY.len() * 3 {
        let replies = client.pipeline([["GET", "key"], ["ECHO", "next"]]);
        let error = "ERR Server closed the connection";
        assert_eq!(
            replies,
            [Reply::Error(error.to_owned()), Reply::bulk("next")],
            "request {n}"
        );
    }
    assert!(cuts.load(Ordering::SeqCst) >= REPLY.len() * 3);
}

#[test]
fn many_replies_and_an_end_in_one_segment_are_all_delivered() {
    // No more than a new client may have under way until its first reply is there.
    const DEPTH: usize = 50;
    let fake = FakeServer::start(|mut conn| {
        let mut replies = Vec::new();
        for _ in 0..DEPTH {
            let Some(request) = conn.request() else {
                return;
            };
            replies.extend(format!("${}\r\n", request[1].len()).into_bytes());
            replies.extend(&request[1]);
            replies.extend(b"\r\n");
        }
        conn.send_and_end(&replies);
        conn.wait_for_end();
    });
    let proxy = Proxy::coremux(&[Pool::new("alpha").server(fake.address())]);
    for round in 0..50 {
        let mut client = proxy.client("alpha");
        let keys: Vec<String> = (0..DEPTH).map(|n| format!("{round}:{n}")).collect();
        let mut bytes = Vec::new();
        for key in &keys {
            encode(&mut bytes, ["GET", key]);
        }
        client.send_and_end(&bytes);
        for key in &keys {
            assert_eq!(client.read(), Reply::bulk(key));
        }
        assert_eq!(client.read_to_end().unwrap(), b"");
    }
}
