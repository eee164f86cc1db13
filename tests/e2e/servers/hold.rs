//! What requests get while their server is down is the pool's choice: an error at once, or time.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says where, and measures real time"
)]

use std::time::Duration;
use std::time::Instant;

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

const REFUSED: &str = "ERR Connection refused";
const HELD_TOO_LONG: &str = "ERR Server unavailable: Connection refused";

struct Stand {
    servers: Vec<Redis>,
    proxy: Proxy,
    keys: [String; 2],
}

impl Stand {
    fn start(hold_ms: Option<u64>, keys: &[(&str, u64)]) -> Stand {
        let servers = Redis::fleet(2);
        let mut pool = Pool::over("alpha", &servers);
        if let Some(hold_ms) = hold_ms {
            pool = pool
                .with("on_server_failure", "hold")
                .with("hold_ms", hold_ms);
        }
        let pool = keys.iter().fold(pool, |pool, (key, n)| pool.with(key, n));
        let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
        let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
        Stand {
            servers,
            proxy,
            keys,
        }
    }

    fn client(&self) -> Client {
        self.proxy.client("alpha")
    }

    /// Ends the first server and sees that the proxy knows.
    fn kill(&mut self) {
        self.servers[0].kill();
        eventually("its end is noticed", || {
            let stats = self.proxy.numbers();
            let ends = ["server_eof", "server_err"].map(|name| stats.server("alpha", "s1", name));
            (ends.iter().sum::<i64>() > 0).then_some(())
        });
    }
}

#[test]
fn a_server_that_is_back_in_time_has_cost_nobody_an_error() {
    let mut stand = Stand::start(Some(5000), &[]);
    let [own, other] = stand.keys.clone();
    let (mut waiting, mut client) = (stand.client(), stand.client());
    assert_eq!(waiting.call(["SET", &own, "before"]), Reply::ok());
    assert_eq!(client.call(["SET", &other, "other"]), Reply::ok());
    stand.kill();
    waiting.send(["SET", &own, "held"]);
    waiting.send(["GET", &own]);
    for _ in 0..100 {
        assert_eq!(client.call(["GET", &other]), Reply::bulk("other"));
    }
    stand.servers[0].restart();
    assert_eq!(waiting.read(), Reply::ok());
    assert_eq!(waiting.read(), Reply::bulk("held"));
}

#[test]
fn a_request_is_held_no_longer_than_it_may_be() {
    let mut stand = Stand::start(Some(300), &[]);
    let [own, other] = stand.keys.clone();
    let mut client = stand.client();
    assert_eq!(client.call(["SET", &own, "before"]), Reply::ok());
    stand.kill();
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(client.call(["GET", &own]).error(), HELD_TOO_LONG);
        let took = began.elapsed();
        let due = Duration::from_millis(300)..Duration::from_millis(900);
        assert!(due.contains(&took), "{took:?}");
    }
    assert_eq!(client.call(["SET", &other, "other"]), Reply::ok());
}

const NO_REPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";

/// As a master that has just been promoted, whose replicas have not come yet.
fn want_replicas(server: &Redis, count: u8) {
    let command = ["CONFIG", "SET", "min-replicas-to-write", &count.to_string()];
    assert_eq!(server.client().call(command), Reply::ok());
}

#[test]
fn a_write_that_a_new_server_refuses_waits_until_it_is_done() {
    let stand = Stand::start(Some(5000), &[]);
    let [own, _] = stand.keys.clone();
    want_replicas(&stand.servers[0], 1);
    let (mut waiting, mut client) = (stand.client(), stand.client());
    waiting.send(["SET", &own, "held"]);
    // Others' reads are served meanwhile.
    for _ in 0..20 {
        assert_eq!(client.call(["GET", &own]), Reply::Null);
    }
    want_replicas(&stand.servers[0], 0);
    assert_eq!(waiting.read(), Reply::ok());
    assert_eq!(client.call(["GET", &own]), Reply::bulk("held"));
}

#[test]
fn a_refusal_is_told_when_it_lasts_and_at_once_after_that() {
    let stand = Stand::start(Some(400), &[]);
    let [own, _] = stand.keys.clone();
    want_replicas(&stand.servers[0], 1);
    let mut client = stand.client();
    let began = Instant::now();
    assert_eq!(client.call(["SET", &own, "held"]).error(), NO_REPLICAS);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(client.call(["SET", &own, "more"]).error(), NO_REPLICAS);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A script that does its work, and answers in the words of a server.
fn count_and_say<'a>(key: &'a str, script: &'a str) -> [&'a str; 4] {
    ["EVAL", script, "1", key]
}

#[test]
fn a_script_is_run_once_whatever_it_says() {
    let stand = Stand::start(Some(400), &[]);
    let [own, _] = stand.keys.clone();
    let (mut client, mut other) = (stand.client(), stand.client());
    for (nth, word) in (1..).zip(["LOADING", "NOREPLICAS", "READONLY", "MASTERDOWN", "BUSY"]) {
        let text = format!("{word} my text");
        let script = format!("redis.call('INCR',KEYS[1]) return redis.error_reply('{text}')");
        let began = Instant::now();
        assert_eq!(client.call(count_and_say(&own, &script)).error(), text);
        assert!(began.elapsed() < Duration::from_millis(300), "told at once");
        let count = other.call(["GET", &own]);
        assert_eq!(count, Reply::bulk(nth.to_string()), "{text}");
    }
    let stats = stand.proxy.numbers();
    assert_eq!(stats.server("alpha", "s1", "server_err"), 0);
    assert_eq!(stats.server("alpha", "s1", "server_connections"), 1);
}

#[test]
fn a_script_ejects_no_server() {
    let servers = Redis::fleet(2);
    let pool = Pool::over("beta", &servers)
        .with("auto_eject_hosts", "true")
        .with("server_failure_limit", 1);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let key = proxy.key_on("beta", "s1", "key");
    let (mut client, mut other) = (proxy.client("beta"), proxy.client("beta"));
    assert_eq!(other.call(["SET", &key, "value"]), Reply::ok());
    for _ in 0..5 {
        let script = "return redis.error_reply('BUSY my text')";
        let said = client.call(count_and_say(&key, script));
        assert_eq!(said.error(), "BUSY my text");
        assert_eq!(other.call(["GET", &key]), Reply::bulk("value"));
    }
    assert_eq!(proxy.numbers().pool("beta", "server_ejects"), 0);
}

#[test]
fn what_is_held_is_bounded_and_what_is_beyond_gets_an_error_at_once() {
    let mut stand = Stand::start(Some(5000), &[("hold_bytes", 4000)]);
    let [own, _] = stand.keys.clone();
    let mut client = stand.client();
    assert_eq!(client.call(["SET", &own, "before"]), Reply::ok());
    stand.kill();
    let requests: Vec<_> = (0..100)
        .map(|n| ["SET".to_owned(), own.clone(), n.to_string()])
        .collect();
    let mut others: Vec<Client> = (0..requests.len()).map(|_| stand.client()).collect();
    for (other, request) in others.iter_mut().zip(&requests) {
        other.send(request);
    }
    let full = "ERR Server unavailable: too many requests wait for it";
    eventually("all of them are held or refused", || {
        let stats = stand.proxy.numbers();
        let held = stats.server("alpha", "s1", "in_queue");
        (held + stats.pool("alpha", "forward_error") == 100).then_some(())
    });
    stand.servers[0].restart();
    let replies: Vec<Reply> = others.iter_mut().map(Client::read).collect();
    let held = replies
        .iter()
        .filter(|reply| **reply == Reply::ok())
        .count();
    let refused = replies
        .iter()
        .filter(|r| matches!(r, Reply::Error(text) if text == full));
    assert!(held > 10 && held < 40, "{held}");
    assert_eq!(held + refused.count(), replies.len());
}

#[test]
fn what_a_client_has_asked_that_is_gone_is_not_done_later() {
    let mut stand = Stand::start(Some(10_000), &[]);
    let [own, _] = stand.keys.clone();
    let (mut gone, mut stays) = (stand.client(), stand.client());
    assert_eq!(gone.call(["SET", &own, "before"]), Reply::ok());
    stand.kill();
    gone.send(["SET", &own, "of one that is gone"]);
    stays.send(["SET", &own, "of one that waits"]);
    let clients = || stand.proxy.numbers().pool("alpha", "client_connections");
    let before = clients();
    gone.reset();
    eventually("it has gone", || (clients() == before - 1).then_some(()));
    stays.send(["APPEND", &own, "!"]);
    stand.servers[0].restart();
    assert_eq!(stays.read(), Reply::ok());
    assert!(matches!(stays.read(), Reply::Integer(_)));
    let value = stand.servers[0].client().call(["GET", &own]);
    assert_eq!(value, Reply::bulk("of one that waits!"));
    let Reply::Bulk(log) = stand.servers[0].client().call(["INFO", "commandstats"]) else {
        panic!("no statistics")
    };
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("cmdstat_set:calls=1,"), "{log}");
}

#[test]
fn what_clients_have_asked_that_have_closed_and_asked_again_is_done_once() {
    let mut stand = Stand::start(Some(10_000), &[]);
    let [own, _] = stand.keys.clone();
    let mut stays = stand.client();
    assert_eq!(stays.call(["SET", &own, "0"]), Reply::ok());
    stand.kill();
    // Each gives up before it asks again, by an ordinary close.
    for _ in 0..3 {
        let mut client = stand.client();
        client.send(["INCR", &own]);
        drop(client);
    }
    let ended = || stand.proxy.numbers().pool("alpha", "client_eof");
    eventually("their ends are seen", || (ended() >= 3).then_some(()));
    let until = now() + std::time::Duration::from_millis(200);
    eventually("time passes", || (now() > until).then_some(()));
    stays.send(["INCR", &own]);
    stand.servers[0].restart();
    assert_eq!(stays.read(), Reply::Integer(1));
}

#[test]
fn without_holding_an_error_comes_at_once_and_the_first_good_reply_soon() {
    let mut stand = Stand::start(None, &[]);
    let [own, _] = stand.keys.clone();
    let mut client = stand.client();
    assert_eq!(client.call(["SET", &own, "before"]), Reply::ok());
    stand.kill();
    for _ in 0..200 {
        let began = Instant::now();
        assert_eq!(client.call(["GET", &own]).error(), REFUSED);
        assert!(began.elapsed() < Duration::from_millis(100));
    }
    stand.servers[0].restart();
    let back = Instant::now();
    let took = eventually("it serves again", || {
        (client.call(["SET", &own, "after"]) == Reply::ok()).then(|| back.elapsed())
    });
    assert!(took < Duration::from_millis(300), "{took:?}");
}

#[test]
fn reads_are_asked_again_when_a_connection_breaks_and_writes_are_not() {
    let fake = FakeServer::start(|mut conn| {
        while let Some(request) = conn.request() {
            // The first connection executes and dies with the replies.
            if conn.number == 0 && request[1] == b"last" {
                conn.reset();
                return;
            }
            if conn.number > 0 {
                let own = &request[1];
                conn.send(format!("${}\r\n", own.len()).as_bytes());
                conn.send(own);
                conn.send(b"\r\n");
            }
        }
    });
    let proxy = Proxy::coremux_with(
        &["--cores", "1"],
        &[Pool::new("alpha").server(fake.address())],
    );
    let mut clients: Vec<Client> = (0..3).map(|_| proxy.client("alpha")).collect();
    // A read, a write, a read that its own client's write has overtaken.
    clients[0].send(["GET", "one"]);
    clients[1].send(["SET", "two", "x"]);
    clients[2].send(["GET", "three"]);
    clients[2].send(["SET", "three", "x"]);
    eventually("all of it was sent", || {
        let stats = proxy.numbers();
        (stats.server("alpha", "s1", "out_queue") == 4).then_some(())
    });
    clients[0].send(["GET", "last"]);
    assert_eq!(clients[0].read(), Reply::bulk("one"));
    assert_eq!(clients[0].read(), Reply::bulk("last"));
    let reset = "ERR Connection reset by peer";
    let unknown = format!("{reset}; the outcome is unknown");
    assert_eq!(clients[1].read().error(), unknown);
    assert_eq!(clients[2].read().error(), reset);
    assert_eq!(clients[2].read().error(), unknown);
}

#[test]
fn a_full_queue_stops_those_who_fill_it_and_nobody_else() {
    let stand = Stand::start(None, &[("server_queue_bytes", 100_000)]);
    let [own, other] = stand.keys.clone();
    let mut client = stand.client();
    assert_eq!(client.call(["SET", &own, "before"]), Reply::ok());
    stand.servers[0].process().signal("STOP");
    let value = "v".repeat(1 << 20);
    let mut fillers: Vec<Client> = (0..4).map(|_| stand.client()).collect();
    std::thread::scope(|scope| {
        let (proxy, own, value) = (&stand.proxy, &own, &value);
        for filler in &mut fillers {
            scope.spawn(move || {
                for _ in 0..20 {
                    filler.send(["SET", own.as_str(), value.as_str()]);
                }
            });
        }
        for _ in 0..200 {
            assert_eq!(client.call(["SET", &other, "other"]), Reply::ok());
        }
        let queued = proxy.numbers().server("alpha", "s1", "in_queue_bytes");
        // The first request beyond the limit is taken of each client.
        assert!(queued <= 100_000 + 4 * (1 << 20) + 10_000, "{queued}");
        stand.servers[0].process().signal("CONT");
    });
    for filler in &mut fillers {
        for _ in 0..20 {
            assert_eq!(filler.read(), Reply::ok());
        }
    }
}

#[test]
fn under_load_restarts_mix_up_no_replies() {
    let mut stand = Stand::start(Some(8000), &[("timeout", 2000)]);
    let load = Load::start_with_errors(stand.proxy.address("alpha"), 8, 7);
    for _ in 0..3 {
        load.goes_on(500);
        stand.servers[0].kill();
        stand.servers[0].restart();
    }
    load.goes_on(500);
    load.end();
}
