//! A transaction is what it is at one Redis: the same replies, all of it or nothing, at one server.

use std::time::Duration;

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::words;

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

fn queued() -> Reply {
    Reply::Simple("QUEUED".to_owned())
}

/// Lines that a Redis and a pool of one server answer alike, one after the other.
const ALIKE: &[&str] = &[
    "EXEC",
    "DISCARD",
    "MULTI x",
    "EXEC x",
    // An empty one, and one of everything.
    "MULTI",
    "EXEC",
    "MULTI",
    "SET k 1",
    "INCR k",
    "APPEND k x",
    "INCR k",
    "LPUSH k x",
    "GET k",
    "MGET k none",
    "MSET a 1 b 2",
    "DEL a b none",
    "PING",
    "PING hello",
    "ECHO hi",
    "EVAL return{KEYS[1],1} 1 k",
    "EVAL error('no') 1 k",
    "TYPE k",
    "SADD s 1 2 3",
    "SCARD s",
    "OBJECT ENCODING k",
    "EXEC",
    "GET k",
    // Nothing waits within one.
    "MULTI",
    "BLPOP none 0",
    "BRPOPLPUSH none none 0",
    "BZPOPMIN none 0",
    "XREAD BLOCK 0 STREAMS none 0",
    "EXEC",
    // One wrong command, and nothing is done.
    "MULTI",
    "SET k 2",
    "GET",
    "SET k 3",
    "EXEC",
    "GET k",
    "MULTI",
    "NOSUCHCOMMAND a b",
    "PING",
    "EXEC",
    "MULTI",
    "CONFIG",
    "EXEC",
    "MULTI",
    "OBJECT NOSUCH k",
    "EXEC",
    "MULTI",
    "SAVE",
    "EXEC",
    "MULTI",
    "EXEC x",
    "EXEC",
    "MULTI",
    "DISCARD x",
    "EXEC",
    // What is wrong and ends nothing.
    "MULTI",
    "MULTI",
    "WATCH k",
    "SET k 4",
    "EXEC",
    "MULTI",
    "SET k 5",
    "DISCARD",
    "GET k",
    "EXEC",
    "MULTI",
    "SET k 6",
    "RESET",
    "GET k",
    "EXEC",
    "MULTI",
    "QUIT",
];

#[test]
fn each_reply_is_the_one_that_redis_gives_one_by_one_and_at_once() {
    let redis = Redis::fleet(2);
    let pool = Pool::over("alpha", &redis[1..]).with("allow", "[save]");
    let proxy = Proxy::coremux(&[pool]);
    for at_once in [false, true] {
        let (mut direct, mut through) = (redis[0].client(), proxy.client("alpha"));
        for client in [&mut direct, &mut through] {
            client.call(["DEL", "k", "a", "b", "s"]);
        }
        if at_once {
            for line in ALIKE {
                direct.send(words(line));
                through.send(words(line));
            }
        }
        for line in ALIKE {
            let (expected, got) = match at_once {
                true => (direct.read(), through.read()),
                false => (direct.call(words(line)), through.call(words(line))),
            };
            assert_eq!(got, expected, "{line}");
        }
        assert_eq!(through.read_to_end().unwrap(), b"");
    }
}

#[test]
fn all_keys_live_on_one_server_and_hash_tags_see_to_that() {
    let redis = Redis::fleet(3);
    let pool = Pool::over("alpha", &redis).with("hash_tag", "\"{}\"");
    let proxy = Proxy::coremux(&[pool]);
    let mut client = proxy.client("alpha");
    let there = proxy.key_on("alpha", "s2", "key");
    let elsewhere = proxy.key_on("alpha", "s3", "key");
    assert_eq!(client.call(["MULTI"]), Reply::ok());
    assert_eq!(client.call(["SET", &there, "1"]), queued());
    let crosses = error("CROSSSLOT Keys in request don't hash to the same server");
    assert_eq!(client.call(["SET", &elsewhere, "1"]), crosses);
    assert_eq!(
        client.call(["EXEC"]),
        error("EXECABORT Transaction discarded because of previous errors.")
    );
    assert_eq!(
        client.call(["MGET", &there, &elsewhere]),
        Reply::Array(vec![Reply::Null, Reply::Null])
    );
    client.call(["MULTI"]);
    client.call(["PING"]);
    client.call(["MSET", "{t}1", "one", "{t}2", "two"]);
    client.call(["MGET", "{t}1", "{t}2", "{t}3"]);
    let both = vec![Reply::bulk("one"), Reply::bulk("two"), Reply::Null];
    assert_eq!(
        client.call(["EXEC"]),
        Reply::Array(vec![
            Reply::Simple("PONG".to_owned()),
            Reply::ok(),
            Reply::Array(both)
        ])
    );
    // What only the proxy can answer, or what would change a connection of many.
    for line in [
        "SELECT 0",
        "CLIENT ID",
        "INFO",
        "AUTH x",
        "HELLO",
        "SUBSCRIBE c",
        "KEYS *",
    ] {
        client.call(["MULTI"]);
        let told = client.call(words(line));
        assert!(matches!(told, Reply::Error(_)), "{line}: {told:?}");
        assert!(client.call(["EXEC"]).error().starts_with("EXECABORT"));
    }
}

#[test]
fn clients_that_share_a_connection_never_get_between_each_others_commands() {
    let redis = Redis::fleet(1);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[Pool::over("alpha", &redis)]);
    let mut clients: Vec<Client> = (0..20).map(|_| proxy.client("alpha")).collect();
    for round in 0..50 {
        for (nth, client) in clients.iter_mut().enumerate() {
            for line in [
                "MULTI",
                "SET shared {}",
                "GET shared",
                "GET shared",
                "EXEC",
                "GET own",
            ] {
                client.send(words(&line.replace("{}", &format!("{round}.{nth}"))));
            }
        }
        for (nth, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.read(), Reply::ok());
            (0..3).for_each(|_| assert_eq!(client.read(), queued()));
            let own = Reply::bulk(format!("{round}.{nth}"));
            assert_eq!(
                client.read(),
                Reply::Array(vec![Reply::ok(), own.clone(), own])
            );
            assert_eq!(client.read(), Reply::Null);
        }
    }
    // Each transaction is one request of its server.
    assert_eq!(proxy.numbers().server("alpha", "s1", "requests"), 2000);
}

#[test]
fn a_server_that_refuses_within_one_is_quoted_and_nothing_is_done() {
    let redis = vec![Redis::start_with(&[
        "--maxmemory",
        "1",
        "--maxmemory-policy",
        "noeviction",
    ])];
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis)]);
    let mut client = proxy.client("alpha");
    client.call(["MULTI"]);
    assert_eq!(client.call(["GET", "k"]), queued());
    assert_eq!(client.call(["SET", "k", "v"]), queued());
    let told = client.call(["EXEC"]);
    assert!(
        told.error()
            .starts_with("EXECABORT Transaction discarded because of: OOM "),
        "{told:?}"
    );
    // A replica refuses the whole of it when EXEC comes, or each write before.
    let mut direct = redis[0].client();
    direct.call(["CONFIG", "SET", "maxmemory", "0"]);
    direct.call(["REPLICAOF", "127.0.0.1", "1"]);
    client.call(["MULTI"]);
    assert_eq!(client.call(["SET", "k", "v"]), queued());
    let told = client.call(["EXEC"]);
    assert!(
        told.error()
            .starts_with("EXECABORT Transaction discarded because of: READONLY "),
        "{told:?}"
    );
    direct.call(["REPLICAOF", "NO", "ONE"]);
    client.call(["MULTI"]);
    client.call(["INCR", "k"]);
    assert_eq!(client.call(["EXEC"]), Reply::Array(vec![Reply::Integer(1)]));
}

#[test]
fn a_server_that_dies_leaves_the_outcome_unknown_and_nothing_is_done_twice() {
    let mut redis = Redis::fleet(1);
    let pool = Pool::over("alpha", &redis)
        .with("on_server_failure", "hold")
        .with("hold_ms", 20_000);
    let proxy = Proxy::coremux(&[pool]);
    let mut client = proxy.client("alpha");
    client.call(["MULTI"]);
    client.call(["INCR", "n"]);
    client.call([
        "EVAL",
        "local t=redis.call('time')[1] while redis.call('time')[1]-t<9 do end",
        "1",
        "n",
    ]);
    client.send(["EXEC"]);
    let awaited = || proxy.numbers().server("alpha", "s1", "out_queue");
    eventually("it is sent", || (awaited() == 1).then_some(()));
    redis[0].kill();
    let told = client.read();
    assert!(
        told.error().ends_with("; the outcome is unknown"),
        "{told:?}"
    );
    // The next one waits for the server, as a whole.
    client.call(["MULTI"]);
    assert_eq!(client.call(["INCR", "n"]), queued());
    client.call(["INCR", "n"]);
    client.send(["EXEC"]);
    client.set_read_timeout(Duration::from_millis(200));
    assert!(client.try_read().is_err(), "it waits");
    redis[0].restart();
    client.set_read_timeout(Duration::from_secs(30));
    let counts = vec![Reply::Integer(1), Reply::Integer(2)];
    assert_eq!(client.read(), Reply::Array(counts));
}
