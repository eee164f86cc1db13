//! A server that stalls fails its own requests in time, delays no others, and its late replies
//! reach nobody.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coremux::base::Random;

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::PATIENCE;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;
use crate::support::value;

const TIMED_OUT: &str = "ERR Connection timed out";
/// Of what was sent and changes something.
const MAY_BE_DONE: &str = "ERR Connection timed out; the outcome is unknown";

/// A pool of three servers with a timeout, and a key on each.
struct Stand {
    servers: Vec<Redis>,
    proxy: Proxy,
    keys: [String; 3],
}

const TIMEOUT: Duration = Duration::from_millis(300);

impl Stand {
    fn start() -> Stand {
        let servers = Redis::fleet(3);
        let pool = Pool::over("alpha", &servers).with("timeout", TIMEOUT.as_millis());
        let others = Pool::over("others", &servers[1..]);
        let proxy = Proxy::coremux(&[pool, others]);
        let keys = ["s1", "s2", "s3"].map(|server| proxy.key_on("alpha", server, "key"));
        Stand {
            servers,
            proxy,
            keys,
        }
    }

    fn stall(&self) {
        self.servers[0].process().signal("STOP");
    }

    fn wake(&self) {
        self.servers[0].process().signal("CONT");
    }

    fn client(&self) -> Client {
        self.proxy.client("alpha")
    }
}

#[test]
fn a_request_fails_when_its_time_is_over_and_not_before() {
    let stand = Stand::start();
    let mut client = stand.client();
    // On a connection that is there, and then on one that is to be made.
    assert_eq!(client.call(["SET", &stand.keys[0], "value"]), Reply::ok());
    stand.stall();
    // A third one would be failed with the connection, which is given up after three timeouts.
    for _ in 0..2 {
        let began = now();
        assert_eq!(client.call(["GET", &stand.keys[0]]).error(), TIMED_OUT);
        let took = began.elapsed();
        assert!(took >= TIMEOUT, "{took:?}");
        assert!(took < TIMEOUT * 5, "{took:?}");
    }
    stand.wake();
}

#[test]
fn the_first_request_on_a_new_connection_has_no_more_time_than_others() {
    let stand = Stand::start();
    // The system accepts the connection for the stalled server.
    stand.stall();
    let mut client = stand.client();
    let began = now();
    assert_eq!(client.call(["GET", &stand.keys[0]]).error(), TIMED_OUT);
    let took = began.elapsed();
    assert!(took >= TIMEOUT, "{took:?}");
    // Well below connect_timeout, which is a second.
    assert!(took < Duration::from_millis(900), "{took:?}");
    stand.wake();
}

#[test]
fn neighbours_on_other_servers_go_on_meanwhile() {
    let stand = Stand::start();
    let load = Load::start(stand.proxy.address("others"), 8, 1);
    stand.stall();
    let mut waiting = stand.client();
    waiting.send(["GET", &stand.keys[0]]);
    let mut client = stand.client();
    let mut slowest = Duration::ZERO;
    for n in 0..100 {
        let began = now();
        let value = n.to_string();
        assert_eq!(client.call(["SET", &stand.keys[1], &value]), Reply::ok());
        assert_eq!(client.call(["GET", &stand.keys[1]]), Reply::bulk(&value));
        assert_eq!(client.call(["INCR", &stand.keys[2]]), Reply::Integer(n + 1));
        slowest = slowest.max(began.elapsed());
    }
    assert_eq!(waiting.read().error(), TIMED_OUT);
    load.goes_on(200);
    load.end();
    stand.wake();
}

#[test]
fn in_a_pipeline_only_the_stalled_servers_requests_fail() {
    let stand = Stand::start();
    let mut client = stand.client();
    client.call(["SET", &stand.keys[0], "value"]);
    stand.stall();
    let [stalled, good, other] = &stand.keys;
    let requests = [
        vec!["SET", good, "1"],
        vec!["GET", stalled],
        vec!["GET", good],
        vec!["MGET", good, stalled],
        vec!["MGET", good, other],
        vec!["INCR", stalled],
        vec!["ECHO", "own"],
    ];
    let replies = client.pipeline(requests);
    let error = Reply::Error(TIMED_OUT.to_owned());
    let both = Reply::Array(vec![Reply::bulk("1"), Reply::Null]);
    let due = [
        Reply::ok(),
        error.clone(),
        Reply::bulk("1"),
        error.clone(),
        both,
        Reply::Error(MAY_BE_DONE.to_owned()),
        Reply::bulk("own"),
    ];
    assert_eq!(replies, due);
    stand.wake();
}

#[test]
fn late_replies_are_swallowed_and_mixed_with_nobodys() {
    let stand = Stand::start();
    let mut client = stand.client();
    let stalled = &stand.keys[0];
    assert_eq!(client.call(["SET", stalled, "before"]), Reply::ok());
    let mut late = 0;
    for round in 0..5 {
        stand.stall();
        let value = format!("late {round}");
        let requests = [
            vec!["SET", stalled, &value],
            vec!["GET", stalled],
            vec!["APPEND", stalled, "!"],
        ];
        let replies = client.pipeline(requests);
        let errors: Vec<&str> = replies.iter().map(Reply::error).collect();
        assert_eq!(errors, [MAY_BE_DONE, TIMED_OUT, MAY_BE_DONE]);
        stand.wake();
        // What comes from now on is each request's own, on the same connection or on a new one.
        for n in 0..20 {
            let own = format!("own {round} {n}");
            let requests = [
                vec!["SET", stalled, &own],
                vec!["GET", stalled],
                vec!["STRLEN", stalled],
            ];
            let replies = client.pipeline(requests);
            let length = Reply::Integer(i64::try_from(own.len()).unwrap());
            if replies.iter().all(|reply| matches!(reply, Reply::Error(_))) {
                late += 1;
            } else {
                assert_eq!(replies, [Reply::ok(), Reply::bulk(&own), length]);
            }
        }
    }
    assert!(late <= 10, "it works again soon after: {late}");
}

#[test]
fn a_stall_under_load_mixes_nothing() {
    let stand = Stand::start();
    let load = Load::start_with_errors(stand.proxy.address("alpha"), 16, 3);
    for _ in 0..4 {
        load.goes_on(500);
        stand.stall();
        load.goes_on(200);
        stand.wake();
    }
    load.goes_on(2_000);
    load.end();
}

/// Tells other threads to end when it is dropped.
struct EndsWithThis<'a>(&'a AtomicBool);

impl Drop for EndsWithThis<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Large values: a stall finds them half sent, and half received.
#[test]
fn stalls_in_the_middle_of_large_values_mix_nothing() {
    let stand = Stand::start();
    let length = |n: u64| [10, 3_000, 200_000, 2_000_000][usize::try_from(n).unwrap() % 4];
    let ended = AtomicBool::new(false);
    let good = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (stand, ended, good) = (&stand, &ended, &good);
            scope.spawn(move || {
                let mut client = stand.client();
                let keys = stand.keys.each_ref().map(|key| format!("{key}:{number}"));
                let mut random = Random::new(number);
                let mut last = 0;
                while !ended.load(Ordering::Relaxed) {
                    let mut requests: Vec<Vec<Vec<u8>>> = Vec::new();
                    for key in &keys {
                        last += 1 + random.below(4);
                        let value = value(key, last, length(last));
                        requests.push(vec![b"SET".to_vec(), key.clone().into_bytes(), value]);
                        requests.push(vec![b"GET".to_vec(), key.clone().into_bytes()]);
                    }
                    let mget = ["MGET", &keys[0], &keys[1], &keys[2]];
                    requests.push(mget.iter().map(|arg| arg.as_bytes().to_vec()).collect());
                    let replies = client.pipeline(&requests);
                    let is_one_of = |key: &str, reply: &Reply| match reply {
                        Reply::Error(_) | Reply::Null => true,
                        Reply::Bulk(bytes) => (1..=last).rev().any(|n| {
                            bytes.starts_with(format!("{key}={n};").as_bytes())
                                && *bytes == value(key, n, length(n))
                        }),
                        _ => false,
                    };
                    for (key, pair) in keys.iter().zip(replies.chunks(2)) {
                        assert!(pair[0] == Reply::ok() || matches!(pair[0], Reply::Error(_)));
                        assert!(is_one_of(key, &pair[1]), "{key}");
                    }
                    if let Reply::Array(values) = &replies[6] {
                        let all = keys.iter().zip(values);
                        assert!(all.into_iter().all(|(key, value)| is_one_of(key, value)));
                        good.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        // Also when this fails: or the others would go on for ever.
        let _end = EndsWithThis(&ended);
        let mut random = Random::new(100);
        for _ in 0..8 {
            let until = good.load(Ordering::Relaxed) + 3;
            eventually("clients are answered", || {
                (good.load(Ordering::Relaxed) >= until).then_some(())
            });
            let place = usize::try_from(random.below(3)).unwrap();
            stand.servers[place].process().signal("STOP");
            // Shorter and longer than the timeout, and than what a connection is given up after.
            std::thread::sleep(Duration::from_millis(100 + random.below(1100)));
            stand.servers[place].process().signal("CONT");
        }
    });
}

#[test]
fn a_slow_reply_swallowed_leaves_the_connection_to_the_next() {
    let fake = FakeServer::start(|mut conn| {
        while let Some(request) = conn.request() {
            if request[1] == b"slow" {
                std::thread::sleep(TIMEOUT + TIMEOUT / 2);
            }
            conn.send(format!("${}\r\n", request[1].len()).as_bytes());
            conn.send(&request[1]);
            conn.send(b"\r\n");
        }
    });
    let pool = Pool::new("alpha")
        .server(fake.address())
        .with("timeout", TIMEOUT.as_millis());
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = proxy.client("alpha");
    for n in 0..3 {
        assert_eq!(client.call(["GET", "slow"]).error(), TIMED_OUT);
        let own = format!("own {n}");
        // It is queued behind the slow one, which has half of its time left.
        assert_eq!(client.call(["GET", &own]), Reply::bulk(&own));
    }
    assert_eq!(fake.asked(), 1, "a late reply is no reason to close");
}

#[test]
fn a_server_that_stays_silent_is_given_up_and_connected_to_again() {
    let fake = FakeServer::start(|mut conn| {
        // The first connection is as dead as one whose host has lost its power.
        while let Some(request) = conn.request() {
            if conn.number > 0 {
                conn.send(format!("${}\r\n", request[1].len()).as_bytes());
                conn.send(&request[1]);
                conn.send(b"\r\n");
            }
        }
    });
    let pool = Pool::new("alpha")
        .server(fake.address())
        .with("timeout", 100);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = proxy.client("alpha");
    let mut lost = 0;
    eventually("a new connection answers", || {
        match client.call(["GET", "own"]) {
            Reply::Error(text) => {
                assert_eq!(text, TIMED_OUT);
                lost += 1;
                None
            }
            reply => {
                assert_eq!(reply, Reply::bulk("own"));
                Some(())
            }
        }
    });
    assert!((1..=5).contains(&lost), "{lost}");
    assert_eq!(fake.asked(), 2);
}

#[test]
fn what_a_given_up_connection_had_not_delivered_is_never_delivered() {
    // Else a write whose client was told that it failed would be done after, and undo, later ones.
    let given_up = Arc::new(AtomicBool::new(false));
    let came = Arc::new(Mutex::new(None));
    let fake = FakeServer::start({
        let (given_up, came) = (Arc::clone(&given_up), Arc::clone(&came));
        move |mut conn| {
            if conn.number == 0 {
                // It receives nothing; what it does not take waits in the proxy's kernel.
                eventually("the proxy gives up", || {
                    given_up.load(Ordering::SeqCst).then_some(())
                });
                *came.lock().unwrap() = Some(conn.request().is_some());
            }
            while conn.request().is_some() {
                conn.send(b"+OK\r\n");
            }
        }
    });
    let pool = Pool::new("alpha")
        .server(fake.address())
        .with("timeout", 100);
    let mut proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = proxy.client("alpha");
    // More than a receiver that does not read is sent, less than a sender keeps.
    let old = value("key", 1, 300_000);
    let old = [&b"SET"[..], b"key", &old];
    assert_eq!(client.call(old).error(), MAY_BE_DONE);
    eventually("the connection is given up", || {
        let given_up = proxy.process().log().contains("server connection failed");
        given_up.then_some(())
    });
    eventually("a later write is done", || {
        (client.call(["SET", "key", "new"]) == Reply::ok()).then_some(())
    });
    given_up.store(true, Ordering::SeqCst);
    let came = eventually("the first connection ends", || *came.lock().unwrap());
    assert!(!came, "the older write came after the later one");
}

#[test]
fn without_a_timeout_a_request_waits_for_its_server() {
    let servers = [Redis::start()];
    let proxy = Proxy::coremux(&[Pool::over("alpha", &servers)]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    servers[0].process().signal("STOP");
    client.send(["GET", "key"]);
    client.set_read_timeout(Duration::from_millis(1500));
    assert!(client.try_read().is_err(), "nobody can have answered");
    servers[0].process().signal("CONT");
    client.set_read_timeout(PATIENCE);
    assert_eq!(client.read(), Reply::bulk("value"));
}
