//! Keys and values of every size that Redis takes come through whole, and nothing larger does.

use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::io::Write;
use std::time::Duration;

use crate::alone;
use crate::support::Client;
use crate::support::FakeConn;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::now;
use crate::support::resident_bytes;
use crate::support::value;

fn stand() -> (Vec<Redis>, Proxy) {
    let servers = Redis::fleet(2);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &servers)]);
    (servers, proxy)
}

#[test]
fn every_length_around_the_sizes_of_buffers() {
    let _alone = alone(module_path!());
    let (servers, proxy) = stand();
    let mut client = proxy.client("alpha");
    let around = |n: usize| n.saturating_sub(20)..n + 20;
    let lengths = [0, 2048, 4096, 16384, 32768, 65536, 131_072]
        .into_iter()
        .flat_map(around);
    for length in lengths {
        let bytes = value("length", length as u64, length);
        let bytes = &bytes[..length];
        assert_eq!(
            client.call([&b"SET"[..], b"length", bytes]),
            Reply::ok(),
            "{length}"
        );
        assert!(
            client.call(["GET", "length"]) == Reply::Bulk(bytes.to_vec()),
            "{length}"
        );
    }
    drop(servers);
}

#[test]
fn values_of_one_and_of_sixty_four_mebibytes() {
    let _alone = alone(module_path!());
    let (servers, proxy) = stand();
    let load = Load::start(proxy.address("alpha"), 4, 1);
    for mebibytes in [1, 64] {
        let bytes = value(
            "large",
            mebibytes,
            usize::try_from(mebibytes << 20).unwrap(),
        );
        let mut client = proxy.client("alpha");
        assert_eq!(client.call([&b"SET"[..], b"large", &bytes]), Reply::ok());
        assert!(client.call(["GET", "large"]) == Reply::Bulk(bytes.clone()));
        let length = i64::try_from(bytes.len()).unwrap();
        assert_eq!(client.call(["STRLEN", "large"]), Reply::Integer(length));
        let middle = client.call(["GETRANGE", "large", "500000", "500009"]);
        assert_eq!(middle, Reply::bulk(&bytes[500_000..500_010]));
        load.goes_on(100);
    }
    load.end();
    drop(servers);
}

/// A lone client: nothing else wakes the proxy when a socket was full.
#[test]
fn a_large_reply_to_a_lone_client_does_not_stall() {
    let _alone = alone(module_path!());
    let servers = Redis::fleet(1);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[Pool::over("alpha", &servers)]);
    let mut client = proxy.client("alpha");
    let bytes = value("alone", 1, 16 << 20);
    assert_eq!(client.call([&b"SET"[..], b"alone", &bytes]), Reply::ok());
    let times: Vec<Duration> = (0..7)
        .map(|_| {
            let began = now();
            assert!(client.call(["GET", "alone"]) == Reply::Bulk(bytes.clone()));
            began.elapsed()
        })
        .collect();
    // A stall ends with the next timer, after a second or never.
    let slow = times
        .iter()
        .filter(|took| **took > Duration::from_millis(900))
        .count();
    assert!(slow <= 2, "{times:?}");
}

#[test]
fn keys_of_a_mebibyte() {
    let _alone = alone(module_path!());
    let (servers, proxy) = stand();
    let mut client = proxy.client("alpha");
    let keys: Vec<Vec<u8>> = (0..6).map(|n| value("key", n, 1 << 20)).collect();
    let mut mset = vec![b"MSET".to_vec()];
    for (n, key) in keys.iter().enumerate() {
        mset.extend([key.clone(), n.to_string().into_bytes()]);
    }
    assert_eq!(client.call(&mset), Reply::ok());
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(client.call([&b"GET"[..], key]), Reply::bulk(n.to_string()));
    }
    let mget: Vec<&[u8]> = std::iter::once(&b"MGET"[..])
        .chain(keys.iter().map(Vec::as_slice))
        .collect();
    let values = (0..6).map(|n| Reply::bulk(n.to_string())).collect();
    assert_eq!(client.call(mget), Reply::Array(values));
    let each: usize = servers
        .iter()
        .map(|redis| match redis.client().call(["DBSIZE"]) {
            Reply::Integer(keys) => usize::try_from(keys).unwrap(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(each, 6);
}

#[test]
fn a_value_of_five_hundred_and_twelve_mebibytes_goes_there_and_back() {
    let _alone = alone(module_path!());
    let servers = Redis::fleet(1);
    let mut proxy = Proxy::coremux(&[Pool::over("alpha", &servers)]);
    let mut client = proxy.client("alpha");
    client.set_read_timeout(Duration::from_secs(120));
    let piece = value("piece", 1, 1 << 20);
    let piece = &piece[..1 << 20];
    let (mut sent, mut received) = (DefaultHasher::new(), DefaultHasher::new());
    client.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$536870912\r\n");
    for n in 0..512_u32 {
        // Every mebibyte begins differently.
        let mut own = piece.to_vec();
        own[..4].copy_from_slice(&n.to_le_bytes());
        sent.write(&own);
        client.send_raw(&own);
    }
    client.send_raw(b"\r\n");
    assert_eq!(client.read(), Reply::ok());
    client.send(["GET", "huge"]);
    assert_eq!(client.read_raw(12), b"$536870912\r\n");
    for _ in 0..512 {
        received.write(&client.read_raw(1 << 20));
    }
    assert_eq!(client.read_raw(2), b"\r\n");
    assert_eq!(received.finish(), sent.finish(), "the same bytes");
    assert_eq!(client.call(["DEL", "huge"]), Reply::Integer(1));
    // What it took is given back.
    eventually("memory goes back to the system", || {
        (resident_bytes(proxy.process()) < 256 << 20).then_some(())
    });
}

#[test]
fn one_byte_more_than_redis_takes_is_refused_before_it_is_sent() {
    let _alone = alone(module_path!());
    let (_servers, proxy) = stand();
    let mut client = proxy.client("alpha");
    client.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$536870913\r\n");
    assert_eq!(
        client.read().error(),
        "ERR Protocol error: invalid bulk length"
    );
    assert_eq!(client.read_to_end().unwrap(), b"");
}

/// The slow reader of a large reply, and many who are not.
#[test]
fn large_values_of_many_clients_come_whole_whoever_is_slow() {
    let _alone = alone(module_path!());
    let (_servers, proxy) = stand();
    let bytes = value("shared", 1, 4 << 20);
    let mut writer = proxy.client("alpha");
    assert_eq!(writer.call([&b"SET"[..], b"shared", &bytes]), Reply::ok());
    let mut slow: Vec<Client> = (0..8).map(|_| proxy.client("alpha")).collect();
    for client in &mut slow {
        let mut requests = Vec::new();
        for n in 0..4 {
            encode(&mut requests, ["GET", "shared"]);
            encode(&mut requests, ["ECHO", &n.to_string()]);
        }
        client.writer().write_all(&requests).unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = proxy.client("alpha");
                for _ in 0..5 {
                    assert!(client.call(["GET", "shared"]) == Reply::Bulk(bytes.clone()));
                }
            });
        }
    });
    for client in &mut slow {
        for n in 0..4 {
            assert!(client.read() == Reply::Bulk(bytes.clone()));
            assert_eq!(client.read(), Reply::bulk(n.to_string()));
        }
    }
}

#[test]
fn a_large_reply_delays_no_other_client_of_the_same_server() {
    let _alone = alone(module_path!());
    const LARGE: usize = 8 << 20;
    let (others_served, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let fake = FakeServer::start(move |mut conn| {
        while let Some(request) = conn.request() {
            if request[1] != b"large" {
                conn.send(format!("${}\r\n", request[1].len()).as_bytes());
                conn.send(&request[1]);
                conn.send(b"\r\n");
                continue;
            }
            // A part of it comes, and the rest only when others were served.
            conn.send(format!("${LARGE}\r\n").as_bytes());
            conn.send(&vec![b'l'; LARGE / 4]);
            wait.lock().unwrap().recv().unwrap();
            conn.send(&vec![b'l'; LARGE - LARGE / 4]);
            conn.send(b"\r\n");
        }
    });
    let pool = Pool::new("alpha").server(fake.address());
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let (mut large, mut other) = (proxy.client("alpha"), proxy.client("alpha"));
    large.send(["GET", "large"]);
    // Behind it on the same connection, and before anything of it has come: it has to wait.
    eventually("a part of the reply has come", || {
        (proxy.numbers().server("alpha", "s1", "out_queue") == 1).then_some(())
    });
    eventually("others go another way", || {
        // Whoever was too early waits; another one is not.
        other = proxy.client("alpha");
        other.set_read_timeout(Duration::from_millis(200));
        other.send(["GET", "small"]);
        (other.try_read().ok()? == Reply::bulk("small")).then_some(())
    });
    for n in 0..100 {
        let own = format!("own {n}");
        assert_eq!(other.call(["GET", &own]), Reply::bulk(&own));
    }
    assert_eq!(fake.asked(), 2, "one way around is enough");
    others_served.send(()).unwrap();
    assert!(large.read() == Reply::Bulk(vec![b'l'; LARGE]));
    // The way around is left again.
    assert_eq!(other.call(["GET", "back"]), Reply::bulk("back"));
    assert_eq!(large.call(["GET", "large one"]), Reply::bulk("large one"));
    assert_eq!(fake.asked(), 2);
}

/// What a fake server does within a reply of 8 MiB: it ends, by a reset or an end, or stands still.
fn half_a_reply(
    key: &[u8],
    conn: FakeConn,
    released: &std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
) {
    let mut conn = conn;
    conn.send(b"$8388608\r\n");
    conn.send(&vec![b'h'; 4 << 20]);
    let patience = Duration::from_secs(20);
    released.lock().unwrap().recv_timeout(patience).unwrap();
    match key {
        b"reset" => conn.reset(),
        b"end" => drop(conn),
        _ => conn.wait_for_end(),
    }
}

#[test]
fn a_large_reply_reaches_its_client_while_it_comes_and_its_client_is_closed_if_the_rest_does_not() {
    let _alone = alone(module_path!());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let fake = FakeServer::start(move |mut conn| {
        while let Some(request) = conn.request() {
            let key = &request[1];
            if [&b"reset"[..], b"end", b"stall"].contains(&key.as_slice()) {
                return half_a_reply(key, conn, &released);
            }
            conn.send(&[format!("${}\r\n", key.len()).as_bytes(), key, b"\r\n"].concat());
        }
    });
    let pool = Pool::new("alpha")
        .server(fake.address())
        .with("timeout", 1000);
    let mut proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    for key in ["reset", "end", "stall"] {
        let (mut large, mut other) = (proxy.client("alpha"), proxy.client("alpha"));
        large.send(["ECHO", "first"]);
        large.send(["GET", key]);
        large.send(["GET", "behind it"]);
        assert_eq!(large.read(), Reply::bulk("first"));
        // What has come so far is there before the rest is.
        assert_eq!(large.read_raw(10), b"$8388608\r\n");
        assert!(large.read_raw(3 << 20) == vec![b'h'; 3 << 20]);
        assert_eq!(other.call(["GET", "between"]), Reply::bulk("between"));
        release.send(()).unwrap();
        let rest = large.read_until_closed();
        assert!(
            rest.len() <= 1 << 20,
            "{} bytes behind the part",
            rest.len()
        );
        assert!(
            rest.iter().all(|byte| *byte == b'h'),
            "nothing else is in the reply"
        );
        assert_eq!(other.call(["GET", "after"]), Reply::bulk("after"));
    }
    let log = eventually("each of the three is told of", || {
        let log = proxy.process().log();
        let lines = log.matches("a part of a reply has not come").count();
        (lines == 3).then_some(log)
    });
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_slow_reader_of_a_large_reply_is_nobody_elses_loss() {
    let _alone = alone(module_path!());
    let servers = Redis::fleet(1);
    let pool = Pool::over("alpha", &servers);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let bytes = &value("slowly", 1, 64 << 20)[..64 << 20];
    let mut slow = proxy.client("alpha");
    assert_eq!(slow.call([&b"SET"[..], b"slowly", bytes]), Reply::ok());
    slow.send(["GET", "slowly"]);
    assert_eq!(slow.read_raw(11), b"$67108864\r\n");
    // It reads no further; its reply is not waited for by those who ask the same server.
    let mut other = proxy.client("alpha");
    other.set_read_timeout(Duration::from_secs(10));
    for n in 0..100 {
        let own = n.to_string();
        assert_eq!(other.call(["SET", "own", &own]), Reply::ok());
        assert_eq!(other.call(["GET", "own"]), Reply::bulk(&own));
    }
    assert!(slow.read_raw(64 << 20) == bytes);
    assert_eq!(slow.read_raw(2), b"\r\n");
}
