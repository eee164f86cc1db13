//! `WATCH` works as at one Redis: a transaction is done only if nobody has changed what it depends on.

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn start(servers: usize) -> (Vec<Redis>, Proxy) {
    let servers = Redis::fleet(servers);
    let pool = Pool::over("alpha", &servers);
    let proxy = Proxy::coremux_with(&["--cores", "2"], &[pool]);
    (servers, proxy)
}

fn queued() -> Reply {
    Reply::Simple("QUEUED".to_owned())
}

fn call(client: &mut Client, line: &str) -> Reply {
    client.call(line.split(' '))
}

/// `WATCH k`, and a transaction that sets it.
fn watch_and_set(client: &mut Client, between: impl FnOnce()) -> Reply {
    assert_eq!(call(client, "WATCH k"), Reply::ok());
    call(client, "GET k");
    between();
    assert_eq!(call(client, "MULTI"), Reply::ok());
    assert_eq!(call(client, "SET k mine"), queued());
    call(client, "EXEC")
}

fn done() -> Reply {
    Reply::Array(vec![Reply::ok()])
}

#[test]
fn a_transaction_is_done_unless_a_watched_key_has_changed() {
    let (redis, proxy) = start(1);
    let (mut client, mut other) = (proxy.client("alpha"), proxy.client("alpha"));
    assert_eq!(watch_and_set(&mut client, || {}), done());
    let changed = || assert_eq!(call(&mut other, "SET k theirs"), Reply::ok());
    assert_eq!(watch_and_set(&mut client, changed), Reply::NullArray);
    assert_eq!(call(&mut client, "GET k"), Reply::bulk("theirs"));
    assert_eq!(watch_and_set(&mut client, || {}), done());
    // Its own change counts, too, as at Redis.
    assert_eq!(call(&mut client, "WATCH k"), Reply::ok());
    assert_eq!(call(&mut client, "SET k own"), Reply::ok());
    assert_eq!(call(&mut client, "MULTI"), Reply::ok());
    assert_eq!(call(&mut client, "GET k"), queued());
    assert_eq!(call(&mut client, "EXEC"), Reply::NullArray);
    eventually("no connection is left behind", || {
        let Reply::Bulk(list) = redis[0].client().call(["CLIENT", "LIST"]) else {
            panic!("no list")
        };
        // Two workers' shared ones, and the one that asks.
        (String::from_utf8(list).unwrap().lines().count() <= 3).then_some(())
    });
}

#[test]
fn what_is_given_up_is_watched_no_longer() {
    let (_redis, proxy) = start(1);
    let (mut client, mut other) = (proxy.client("alpha"), proxy.client("alpha"));
    for ends in [&["UNWATCH"][..], &["MULTI", "DISCARD"], &["RESET"]] {
        assert_eq!(call(&mut client, "WATCH k"), Reply::ok());
        for end in ends {
            assert!(matches!(call(&mut client, end), Reply::Simple(_)));
        }
        assert_eq!(call(&mut other, "SET k theirs"), Reply::ok());
        assert_eq!(call(&mut client, "MULTI"), Reply::ok());
        assert_eq!(call(&mut client, "SET k mine"), queued());
        assert_eq!(call(&mut client, "EXEC"), done(), "{ends:?}");
    }
}

#[test]
fn all_of_it_in_one_pipeline_is_done_in_order() {
    let (_redis, proxy) = start(2);
    let mut client = proxy.client("alpha");
    for round in 0..20 {
        let value = round.to_string();
        let lines = [
            format!("SET k {value}"),
            "WATCH k".to_owned(),
            "GET k".to_owned(),
            "MULTI".to_owned(),
            "INCR k".to_owned(),
            "EXEC".to_owned(),
            "GET k".to_owned(),
            "WATCH k".to_owned(),
            "UNWATCH".to_owned(),
            "GET k".to_owned(),
        ];
        let next = (round + 1).to_string();
        let replies = client.pipeline(lines.iter().map(|line| line.split(' ')));
        let expected = [
            Reply::ok(),
            Reply::ok(),
            Reply::bulk(&value),
            Reply::ok(),
            queued(),
            Reply::Array(vec![Reply::Integer(round + 1)]),
            Reply::bulk(&next),
            Reply::ok(),
            Reply::ok(),
            Reply::bulk(&next),
        ];
        assert_eq!(replies, expected);
    }
}

#[test]
fn keys_of_two_servers_cannot_be_watched_nor_done_together() {
    let (_redis, proxy) = start(2);
    let one = proxy.key_on("alpha", "s1", "a");
    let two = proxy.key_on("alpha", "s2", "b");
    let mut client = proxy.client("alpha");
    let crosses = |reply: Reply| assert!(reply.error().starts_with("CROSSSLOT"), "{reply:?}");
    crosses(client.call(["WATCH", &one, &two]));
    assert_eq!(call(&mut client, "UNWATCH"), Reply::ok());
    assert_eq!(client.call(["WATCH", &one]), Reply::ok());
    crosses(client.call(["WATCH", &two]));
    assert_eq!(call(&mut client, "MULTI"), Reply::ok());
    assert_eq!(client.call(["SET", &one, "x"]), queued());
    assert!(call(&mut client, "EXEC").error().starts_with("EXECABORT"));
    assert_eq!(client.call(["WATCH", &one]), Reply::ok());
    assert_eq!(call(&mut client, "MULTI"), Reply::ok());
    assert_eq!(client.call(["SET", &two, "x"]), queued());
    crosses(call(&mut client, "EXEC"));
    assert_eq!(client.call(["GET", &two]), Reply::Null, "nothing is done");
}

#[test]
fn a_watch_whose_connection_is_lost_lets_nothing_through() {
    let (redis, proxy) = start(1);
    let mut client = proxy.client("alpha");
    let kill = || {
        let killed = redis[0]
            .client()
            .call(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(matches!(killed, Reply::Integer(1..)), "{killed:?}");
        eventually("the proxy has seen it", || {
            let numbers = proxy.numbers();
            (numbers.server("alpha", "s1", "server_connections") == 0).then_some(())
        });
    };
    assert_eq!(watch_and_set(&mut client, kill), Reply::NullArray);
    assert_eq!(call(&mut client, "GET k"), Reply::Null);
    assert_eq!(watch_and_set(&mut client, || {}), done());
}

#[test]
fn a_transaction_of_nothing_says_whether_a_watched_key_has_changed() {
    let (_redis, proxy) = start(2);
    let (mut client, mut other) = (proxy.client("alpha"), proxy.client("alpha"));
    for (between, replied) in [
        ("GET k", Reply::Array(Vec::new())),
        ("SET k 1", Reply::NullArray),
    ] {
        assert_eq!(call(&mut client, "WATCH k"), Reply::ok());
        call(&mut other, between);
        assert_eq!(call(&mut client, "MULTI"), Reply::ok());
        assert_eq!(call(&mut client, "EXEC"), replied, "{between}");
    }
    assert_eq!(call(&mut client, "MULTI"), Reply::ok());
    assert_eq!(call(&mut client, "EXEC"), Reply::Array(Vec::new()));
}

#[test]
fn who_counts_by_watching_misses_none() {
    let (_redis, proxy) = start(2);
    let count = |client: &mut Client| {
        for _ in 0..25 {
            loop {
                assert_eq!(call(client, "WATCH n"), Reply::ok());
                let now: i64 = match call(client, "GET n") {
                    Reply::Bulk(number) => String::from_utf8(number).unwrap().parse().unwrap(),
                    _ => 0,
                };
                assert_eq!(call(client, "MULTI"), Reply::ok());
                assert_eq!(call(client, &format!("SET n {}", now + 1)), queued());
                if call(client, "EXEC") == done() {
                    break;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = proxy.client("alpha");
            scope.spawn(move || count(&mut client));
        }
    });
    assert_eq!(
        call(&mut proxy.client("alpha"), "GET n"),
        Reply::bulk("100")
    );
}
