//! Commands that wait (`BLPOP`) work as at one Redis, and delay nobody.

use std::time::Duration;

use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

fn pair(key: &str, value: &str) -> Reply {
    Reply::Array(vec![Reply::bulk(key), Reply::bulk(value)])
}

/// How many clients of a server wait there.
fn blocked(redis: &Redis) -> usize {
    let Reply::Bulk(info) = redis.client().call(["INFO", "clients"]) else {
        panic!("no info")
    };
    let info = String::from_utf8(info).unwrap();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("blocked_clients:"));
    line.unwrap().trim().parse().unwrap()
}

fn waits_for(redis: &Redis, count: usize) {
    eventually("so many clients wait at the server", || {
        (blocked(redis) == count).then_some(())
    });
}

fn start(lines: &[(&str, &str)]) -> (Redis, Proxy) {
    let redis = Redis::start();
    let mut pool = Pool::new("alpha").server(redis.address());
    for (key, value) in lines {
        pool = pool.with(key, value);
    }
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    (redis, proxy)
}

#[test]
fn each_command_that_waits_gets_what_comes_and_one_whose_time_is_over_gets_nil() {
    let (redis, proxy) = start(&[("timeout", "2000")]);
    let mut other = proxy.client("alpha");
    for (request, gives, reply) in [
        ("BLPOP none l 0", "RPUSH l a", pair("l", "a")),
        ("BRPOP l 5", "RPUSH l b", pair("l", "b")),
        ("BLMOVE l m LEFT RIGHT 0", "RPUSH l c", Reply::bulk("c")),
        ("BRPOPLPUSH n m 0", "RPUSH n d", Reply::bulk("d")),
        (
            "BLMPOP 0 2 x y LEFT COUNT 2",
            "RPUSH y e",
            Reply::Array(vec![Reply::bulk("y"), Reply::Array(vec![Reply::bulk("e")])]),
        ),
        (
            "BZPOPMIN z 0",
            "ZADD z 1 f",
            Reply::Array(vec![Reply::bulk("z"), Reply::bulk("f"), Reply::bulk("1")]),
        ),
        (
            "BZPOPMAX z 0",
            "ZADD z 2 g",
            Reply::Array(vec![Reply::bulk("z"), Reply::bulk("g"), Reply::bulk("2")]),
        ),
    ] {
        let mut waits = proxy.client("alpha");
        waits.send(request.split(' '));
        waits_for(&redis, 1);
        assert!(matches!(
            other.call(gives.split(' ')),
            Reply::Integer(1 | 2)
        ));
        assert_eq!(waits.read(), reply, "{request}");
    }
    for request in [
        "BLPOP none 0.05",
        "BLMOVE none m LEFT RIGHT 0.05",
        "BZMPOP 0.05 1 none MIN",
        "XREAD BLOCK 50 STREAMS none $",
    ] {
        let begun = now();
        assert_eq!(
            other.call(request.split(' ')),
            redis.client().call(request.split(' '))
        );
        assert!(begun.elapsed() >= Duration::from_millis(50));
    }
    assert!(matches!(
        other.call(["BLPOP", "none", "x"]),
        Reply::Error(text) if text.starts_with("ERR timeout is not a float")
    ));
}

#[test]
fn streams_are_read_as_they_come_by_groups_too() {
    let (redis, proxy) = start(&[]);
    let mut other = proxy.client("alpha");
    assert_eq!(
        other.call(["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]),
        Reply::ok()
    );
    for request in [
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        "XREAD BLOCK 0 STREAMS s $",
    ] {
        let mut waits = proxy.client("alpha");
        waits.send(request.split(' '));
        waits_for(&redis, 1);
        let Reply::Bulk(id) = other.call(["XADD", "s", "*", "f", "v"]) else {
            panic!("no id")
        };
        let entry = Reply::Array(vec![
            Reply::Bulk(id),
            Reply::Array(vec![Reply::bulk("f"), Reply::bulk("v")]),
        ]);
        let stream = Reply::Array(vec![Reply::bulk("s"), Reply::Array(vec![entry])]);
        assert_eq!(waits.read(), Reply::Array(vec![stream]), "{request}");
    }
}

#[test]
fn who_waits_delays_nobody_and_what_it_sends_meanwhile_comes_afterwards_in_order() {
    let (redis, proxy) = start(&[]);
    let mut waits = proxy.client("alpha");
    waits.send(["SET", "before", "1"]);
    waits.send(["BLPOP", "l", "0"]);
    waits.send(["INCR", "before"]);
    waits.send(["BLPOP", "l", "0"]);
    waits.send(["INCR", "before"]);
    assert_eq!(waits.read(), Reply::ok());
    waits_for(&redis, 1);
    let mut other = proxy.client("alpha");
    assert_eq!(other.call(["GET", "before"]), Reply::bulk("1"));
    assert_eq!(other.call(["RPUSH", "l", "a", "b"]), Reply::Integer(2));
    for reply in [
        pair("l", "a"),
        Reply::Integer(2),
        pair("l", "b"),
        Reply::Integer(3),
    ] {
        assert_eq!(waits.read(), reply);
    }
}

#[test]
fn who_came_first_gets_the_first_element_and_a_connection_is_used_again() {
    let (redis, proxy) = start(&[]);
    let mut clients: Vec<Client> = Vec::new();
    for count in 1..4 {
        let mut client = proxy.client("alpha");
        client.send(["BLPOP", "l", "0"]);
        waits_for(&redis, count);
        clients.push(client);
    }
    let mut other = proxy.client("alpha");
    for (number, client) in clients.iter_mut().enumerate() {
        let value = number.to_string();
        assert!(matches!(
            other.call(["RPUSH", "l", &value]),
            Reply::Integer(_)
        ));
        assert_eq!(client.read(), pair("l", &value));
    }
    let connections = || proxy.numbers().server("alpha", "s1", "server_connections");
    let before = connections();
    for _ in 0..20 {
        assert_eq!(clients[0].call(["BLPOP", "l", "0.001"]), Reply::NullArray);
    }
    assert_eq!(connections(), before);
}

#[test]
fn nothing_is_popped_for_a_client_that_has_gone() {
    let (redis, proxy) = start(&[]);
    let leave: [fn(Client); 3] = [drop, Client::reset, |mut client| {
        client.shutdown_write();
        client.read_until_closed();
    }];
    let mut other = proxy.client("alpha");
    for leave in leave {
        let mut client = proxy.client("alpha");
        client.send(["BLPOP", "l", "0"]);
        client.send(["PING"]);
        waits_for(&redis, 1);
        // One that has only just asked may end as a shell's pipe does, and is answered.
        std::thread::sleep(Duration::from_millis(150));
        leave(client);
        waits_for(&redis, 0);
        assert_eq!(other.call(["RPUSH", "l", "x"]), Reply::Integer(1));
        assert_eq!(other.call(["LPOP", "l"]), Reply::bulk("x"));
    }
}

#[test]
fn a_pipe_that_ends_behind_its_request_gets_what_is_there() {
    let (redis, proxy) = start(&[]);
    assert_eq!(redis.client().call(["RPUSH", "l", "x"]), Reply::Integer(1));
    let mut client = proxy.client("alpha");
    client.send_and_end(b"BLPOP l 0\r\n");
    assert_eq!(
        client.read_to_end().unwrap(),
        b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n"
    );
}

#[test]
fn without_a_free_connection_a_client_waits_for_one_and_then_gets_an_error() {
    let (redis, proxy) = start(&[("exclusive_connections", "2"), ("timeout", "400")]);
    let mut first: Vec<Client> = (0..2).map(|_| proxy.client("alpha")).collect();
    for client in &mut first {
        client.send(["BLPOP", "l", "0"]);
    }
    waits_for(&redis, 2);
    let mut third = proxy.client("alpha");
    let refused = "ERR No exclusive connection to the server is free: see exclusive_connections";
    assert_eq!(
        third.call(["BLPOP", "l", "0"]),
        Reply::Error(refused.to_owned())
    );
    assert_eq!(third.call(["PING"]), Reply::Simple("PONG".to_owned()));
    third.send(["BLPOP", "l", "0"]);
    let mut other = proxy.client("alpha");
    assert_eq!(other.call(["RPUSH", "l", "a"]), Reply::Integer(1));
    let got = eventually("one of the two gets it", || {
        first.iter_mut().find_map(|client| {
            client.set_read_timeout(Duration::from_millis(20));
            client.try_read().ok()
        })
    });
    assert_eq!(got, pair("l", "a"));
    waits_for(&redis, 2);
    assert_eq!(other.call(["RPUSH", "l", "b", "c"]), Reply::Integer(2));
    assert!(matches!(third.read(), Reply::Array(_)));
}

#[test]
fn ctl_status_tells_who_holds_and_who_waits() {
    let redis = [Redis::start()];
    let pool = Pool::over("alpha", &redis).with("exclusive_connections", 1);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[pool]);
    let (_, before) = admin.ctl("status");
    assert!(!before.contains("exclusive"), "{before}");
    let tells = |what: &str| {
        eventually("status tells it", || {
            admin.ctl("status").1.contains(what).then_some(())
        });
    };
    let mut holds = proxy.client("alpha");
    holds.send(["BLPOP", "l", "0"]);
    tells("1 exclusive connection, 1 held; 0 clients waiting for one, 0 refused");
    let mut waits = proxy.client("alpha");
    waits.send(["BLPOP", "l", "0"]);
    tells("1 held; 1 client waiting for one");
    drop(waits);
    drop(holds);
    eventually("nobody has one any more", || {
        (!admin.ctl("status").1.contains("exclusive")).then_some(())
    });
}

#[test]
fn a_lost_server_is_asked_again_with_the_time_that_is_left() {
    let (redis, proxy) = start(&[]);
    let mut waits = proxy.client("alpha");
    let begun = now();
    waits.send(["BLPOP", "l", "2"]);
    waits_for(&redis, 1);
    std::thread::sleep(Duration::from_millis(1100));
    let mut admin = redis.client();
    let killed = admin.call(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert!(matches!(killed, Reply::Integer(1..)), "{killed:?}");
    waits_for(&redis, 1);
    assert_eq!(waits.read(), Reply::NullArray);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(1990) && took < Duration::from_millis(2900),
        "{took:?}"
    );
}

#[test]
fn a_replaced_master_is_left_and_the_new_one_asked_or_the_client_told() {
    for again in [true, false] {
        let (old, next) = (Redis::start(), Redis::start());
        let pool = Pool::new("alpha")
            .server(old.address())
            .with("ask_blocked_again", again);
        let (admin, proxy) = Admin::start(&["--cores", "1"], &[pool]);
        let mut waits = proxy.client("alpha");
        waits.send(["BLPOP", "l", "0"]);
        waits_for(&old, 1);
        let address = next.address();
        let command = format!("switch-master s1 {} {}", address.ip(), address.port());
        assert_eq!(admin.ctl(&command).0, 0);
        if again {
            waits_for(&next, 1);
            assert_eq!(next.client().call(["RPUSH", "l", "x"]), Reply::Integer(1));
            assert_eq!(waits.read(), pair("l", "x"));
        } else {
            let Reply::Error(text) = waits.read() else {
                panic!("nothing is there")
            };
            assert!(text.starts_with("UNBLOCKED force unblock"), "{text}");
        }
    }
}

#[test]
fn a_server_that_becomes_a_replica_lets_nobody_wait_and_its_new_master_is_asked() {
    let (old, next) = (Redis::start(), Redis::start());
    let pool = Pool::new("alpha")
        .server(old.address())
        .with("on_server_failure", "hold")
        .with("hold_ms", 20_000);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[pool]);
    let mut waits = proxy.client("alpha");
    waits.send(["BLPOP", "l", "0"]);
    waits_for(&old, 1);
    let (host, port) = (
        next.address().ip().to_string(),
        next.address().port().to_string(),
    );
    assert_eq!(old.client().call(["REPLICAOF", &host, &port]), Reply::ok());
    waits_for(&old, 0);
    assert_eq!(admin.ctl(&format!("switch-master s1 {host} {port}")).0, 0);
    waits_for(&next, 1);
    assert_eq!(next.client().call(["RPUSH", "l", "x"]), Reply::Integer(1));
    assert_eq!(waits.read(), pair("l", "x"));
}
