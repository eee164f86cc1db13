//! `coremux ctl switch-master` sends a server's requests to another address, and drops no client.

use crate::support::Admin;
use crate::support::Group;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn switch(name: &str, to: &Redis) -> String {
    let address = to.address();
    format!("switch-master {name} {} {}", address.ip(), address.port())
}

/// How many connections somebody has to a server besides the one that asks.
fn connections(redis: &Redis) -> usize {
    let Reply::Bulk(list) = redis.client().call(["CLIENT", "LIST"]) else {
        panic!("no list")
    };
    String::from_utf8(list).unwrap().lines().count() - 1
}

#[test]
fn under_load_no_client_is_dropped_and_the_old_server_is_left() {
    let servers = Redis::fleet(2);
    let next = Redis::start();
    let pool = Pool::over("alpha", &servers).with("timeout", 5000);
    let (admin, mut proxy) = Admin::start(&["--cores", "2"], &[pool]);
    let load = Load::start_with_errors(proxy.address("alpha"), 12, 7);
    load.goes_on(500);
    // There and back: whoever comes back to an address finds it as good as before.
    let ways = [
        (&next, &servers[0]),
        (&servers[0], &next),
        (&next, &servers[0]),
    ];
    for (to, from) in ways {
        let (code, text) = admin.ctl(&switch("s1", to));
        let (from_at, to_at) = (from.address(), to.address());
        let moved = format!("pool alpha: s1 moved from {from_at} to {to_at}\n");
        assert_eq!((code, text), (0, moved));
        eventually("the old server is left", || {
            (connections(from) == 0).then_some(())
        });
        load.goes_on(500);
        assert!(connections(to) > 0, "the new one is used");
    }
    load.end();
    eventually("each of the three moves is told of", || {
        let log = proxy.process().log();
        (log.matches("master moved").count() == 3).then_some(())
    });
    assert_eq!(admin.get("/ready").json()["pools"][0]["usable"], 2);
}

#[test]
fn a_write_in_flight_is_answered_and_what_was_not_sent_goes_to_the_new_server() {
    let (old, next) = (Redis::start(), Redis::start());
    let pool = Pool::new("alpha")
        .server(old.address())
        .with("timeout", 60_000);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[pool]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "before", "1"]), Reply::ok());
    old.process().signal("STOP");
    client.send(["INCR", "key"]);
    let mut reader = proxy.client("alpha");
    reader.send(["GET", "elsewhere"]);
    eventually("both are sent", || {
        let numbers = proxy.numbers();
        (numbers.server("alpha", "s1", "out_queue") == 2).then_some(())
    });
    assert_eq!(admin.ctl(&switch("s1", &next)).0, 0);
    let Reply::Error(words) = client.read() else {
        panic!("the old server does not answer")
    };
    assert!(words.contains("outcome is unknown"), "{words}");
    assert_eq!(reader.read(), Reply::Null, "a read is asked again");
    assert_eq!(client.call(["SET", "after", "2"]), Reply::ok());
    assert_eq!(next.client().call(["GET", "after"]), Reply::bulk("2"));
    old.process().signal("CONT");
}

#[test]
fn a_server_that_is_down_is_replaced_at_once_and_the_pool_is_ready_again() {
    let (mut old, next) = (Redis::start(), Redis::start());
    let pool = Pool::new("alpha")
        .server(old.address())
        .with("auto_eject_hosts", true)
        .with("server_failure_limit", 1)
        .with("server_retry_timeout", 600_000)
        .with("timeout", 2000);
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[pool]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "1"]), Reply::ok());
    old.kill();
    eventually("it is ejected", || {
        let reply = client.call(["GET", "key"]);
        assert!(matches!(reply, Reply::Error(_)), "{reply:?}");
        (admin.get("/ready").status == 503).then_some(())
    });
    assert_eq!(admin.ctl(&switch("s1", &next)).0, 0);
    eventually("it serves", || {
        (client.call(["SET", "key", "2"]) == Reply::ok()).then_some(())
    });
    eventually("it is ready", || {
        (admin.get("/ready").status == 200).then_some(())
    });
}

#[test]
fn a_name_a_socket_and_ipv6_are_left_for_what_was_said_and_the_same_again_is_no_news() {
    let by_socket = Redis::start();
    let next = Redis::start_with(&["--bind", "127.0.0.1", "::1"]);
    let pool = Pool::new("alpha")
        .server(format!("localhost:{}", by_socket.address().port()))
        .server(by_socket.socket_path().display());
    let other = Pool::new("beta").server(by_socket.address());
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[pool, other]);
    let port = next.address().port();

    let (code, text) = admin.ctl(&format!("switch-master s2 ::1 {port}"));
    let from = by_socket.socket_path();
    let moved = format!(
        "pool alpha: s2 moved from {} to [::1]:{port}\n",
        from.display()
    );
    assert_eq!((code, text), (0, moved));
    let key = proxy.key_on("alpha", "s2", "key");
    assert_eq!(proxy.client("alpha").call(["SET", &key, "6"]), Reply::ok());
    assert_eq!(next.client().call(["GET", &key]), Reply::bulk("6"));

    let (code, text) = admin.ctl(&switch("s1", &next));
    assert_eq!((code, text.lines().count()), (0, 2), "both pools: {text}");
    let (code, text) = admin.ctl(&switch("s1", &next));
    let at = next.address();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let same = ["alpha", "beta"].map(|pool| format!("pool {pool}: s1 is at {at} already"));
    assert_eq!(
        (code, lines),
        (0, same.each_ref().map(String::as_str).to_vec())
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let servers = Redis::fleet(2);
    let (admin, _proxy) = Admin::start(&["--cores", "1"], &[Pool::over("alpha", &servers)]);
    for (words, reason) in [
        (
            "m1 127.0.0.1 6379",
            "there is no server `m1`; there are: s1, s2\n",
        ),
        ("s1 redis-1 6379", "`redis-1` is no IP address\n"),
        ("s1 127.0.0.1 0", "`0` is no port: 1 to 65535\n"),
        ("s1 127.0.0.1", "usage: switch-master NAME IP PORT\n"),
    ] {
        let (code, text) = admin.ctl(&format!("switch-master {words}"));
        assert_eq!((code, text.as_str()), (1, reason));
    }
}

#[test]
fn where_sentinels_are_followed_they_are_asked_and_not_overruled() {
    let group = Group::start(1, 1, "");
    let master = group.servers[0][0].address();
    let pool = Pool::new("alpha")
        .with("sentinels", group.yml())
        .server(master);
    let (admin, mut proxy) = Admin::start(&["--cores", "1"], &[pool]);
    eventually("the master is found", || {
        proxy.process().log().contains("master found").then_some(())
    });
    let (code, text) = admin.ctl(&switch("s1", &group.servers[0][1]));
    let words = "pool alpha: not moved: its sentinels say where s1 is; they were asked just now\n";
    assert_eq!((code, text.as_str()), (1, words));
    let mut client = proxy.client("alpha");
    assert_eq!(
        client.call(["SET", "key", "1"]),
        Reply::ok(),
        "at the master"
    );
}
