//! A master that dies is replaced by the one that the Sentinels name, without a restart.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use crate::support::Client;
use crate::support::Group;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::now;

/// A pool over the group's masters as they were at the start.
fn pool(group: &Group) -> Pool {
    let pool = Pool::new("alpha")
        .with("sentinels", group.yml())
        .with("timeout", 1000);
    let servers = group.servers.iter();
    servers.fold(pool, |pool, servers| pool.server(servers[0].address()))
}

fn ready(proxy: &mut Proxy, masters: usize) {
    for place in 0..masters {
        let server = format!("server={} ", Pool::server_name(place));
        proxy.process().line_with(&["master found", &server]);
    }
    proxy
        .process()
        .line_with(&["majority of the sentinels heard"]);
}

/// Writes again and again until a write is good: when it was, and how many failed.
fn write_until_good(client: &mut Client, key: &str) -> (Instant, usize) {
    let mut failed = 0;
    let good = eventually("a write is good", || {
        if client.call(["SET", key, "after"]) == Reply::ok() {
            return Some(now());
        }
        failed += 1;
        None
    });
    (good, failed)
}

/// Writes until the server at `address` replicates another; as long as it takes itself for a master
/// nothing is written there.
fn stays_empty_until_it_is_a_replica(group: &Group, address: SocketAddr, mut write: impl FnMut()) {
    eventually("the old master is a replica", || {
        write();
        let mut both = Vec::new();
        for word in ["MULTI", "ROLE", "DBSIZE", "EXEC"] {
            encode(&mut both, [word]);
        }
        let mut back = group.server_at(0, address).client();
        // Its demotion cuts connections.
        back.try_send_raw(&both).ok()?;
        let replies: Vec<Reply> = (0..4).map_while(|_| back.try_read().ok()).collect();
        let Some(Reply::Array(both)) = replies.get(3) else {
            return None;
        };
        let Reply::Array(role) = &both[0] else {
            panic!("{both:?}")
        };
        if role[0] == Reply::bulk("slave") {
            return Some(());
        }
        assert_eq!(both[1], Reply::Integer(0), "it was written to");
        None
    });
}

#[test]
fn a_script_that_speaks_as_a_replica_is_run_once_and_costs_nobody_the_master() {
    let group = Group::start(1, 1, "");
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    ready(&mut proxy, 1);
    let (mut client, mut other) = (proxy.client("alpha"), proxy.client("alpha"));
    let script = "redis.call('INCR',KEYS[1]) return redis.error_reply('READONLY my text')";
    for count in 1..=20 {
        let said = client.call(["EVAL", script, "1", "count"]);
        assert_eq!(said.error(), "READONLY my text");
        assert_eq!(other.call(["SET", "key", "value"]), Reply::ok());
        let found = other.call(["GET", "count"]);
        assert_eq!(found, Reply::bulk(count.to_string()));
    }
    let log = proxy.process().log();
    assert!(!log.contains("server connection failed"), "{log}");
}

#[test]
fn writes_go_on_at_the_new_master_and_the_other_server_feels_nothing() {
    let mut group = Group::start(2, 2, "");
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    ready(&mut proxy, 2);
    let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
    let mut client = proxy.client("alpha");
    let mut other = proxy.client("alpha");
    for key in &keys {
        assert_eq!(client.call(["SET", key, "before"]), Reply::ok());
    }
    let old = group.servers[0][0].address();
    let end = std::sync::atomic::AtomicBool::new(false);
    let (took, failed, slowest) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !end.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = now();
                assert_eq!(other.call(["SET", &keys[1], "during"]), Reply::ok());
                slowest = slowest.max(now() - begun);
                std::thread::sleep(Duration::from_millis(1));
            }
            slowest
        });
        let killed = now();
        group.servers[0][0].kill();
        let (good, failed) = write_until_good(&mut client, &keys[0]);
        end.store(true, std::sync::atomic::Ordering::Relaxed);
        (good - killed, failed, load.join().unwrap())
    });
    let line = proxy.process().line_with(&["master moved", "server=s1 "]);
    assert!(line.contains(&format!("from={old} ")), "{line}");
    println!(
        "kill to first good write: {took:?}, {failed} writes failed; the other server's slowest write: {slowest:?}"
    );
    println!("{line}");
    // down-after is 2 s; a replica is a master some 0.35 s later, and is told to be after 1.2 s.
    assert!(took < Duration::from_secs(6), "{took:?}");

    let new = eventually("the sentinels agree", || {
        Some(group.master(0)).filter(|master| *master != old)
    });
    let value = group.server_at(0, new).client().call(["GET", &keys[0]]);
    assert_eq!(value, Reply::bulk("after"));
    // The old one comes back, first as a master: it is not written to.
    group.servers[0][0].restart();
    stays_empty_until_it_is_a_replica(&group, old, || {
        assert_eq!(client.call(["SET", &keys[0], "later"]), Reply::ok());
    });
    assert_eq!(client.call(["SET", &keys[0], "last"]), Reply::ok());
    let log = proxy.process().log();
    let moves = log.lines().filter(|line| line.contains("master moved"));
    assert_eq!(moves.count(), 1, "{log}");
}

#[test]
fn a_planned_failover_is_followed_before_the_old_master_is_demoted() {
    let group = Group::start(1, 1, "");
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    ready(&mut proxy, 1);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "before"]), Reply::ok());
    let begun = now();
    let asked = group.sentinels[0]
        .client()
        .call(["SENTINEL", "FAILOVER", "s1"]);
    assert_eq!(asked, Reply::ok());
    let new = group.servers[0][1].address();
    let mut failed = Vec::new();
    let line = eventually("the master has moved", || {
        let reply = client.call(["SET", "key", "during"]);
        if reply != Reply::ok() {
            failed.push(reply);
        }
        let log = proxy.process().log();
        let line = log.lines().find(|line| line.contains("master moved"))?;
        Some(line.to_owned())
    });
    println!(
        "SENTINEL FAILOVER to the move: {:?}, failed: {failed:?}",
        now() - begun
    );
    assert!(line.contains(&format!("to={new} ")), "{line}");
    assert_eq!(client.call(["SET", "key", "after"]), Reply::ok());
    let value = group.server_at(0, new).client().call(["GET", "key"]);
    assert_eq!(value, Reply::bulk("after"));
    // Requests on their way at the moment of the move, and nothing else.
    assert!(failed.len() <= 2, "{failed:?}");
}

#[test]
fn sentinels_that_die_one_by_one_are_missed_and_a_failover_is_followed_as_long_as_two_live() {
    let mut group = Group::start(1, 1, "");
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    ready(&mut proxy, 1);
    let mut client = proxy.client("alpha");
    let gone = group.sentinels[2].address().to_string();
    group.sentinels[2].kill();
    proxy.process().line_with(&["sentinel lost", &gone]);
    group.servers[0][0].kill();
    write_until_good(&mut client, "key");
    assert!(!proxy.process().log().contains("no majority"));
    let gone = group.sentinels[1].address().to_string();
    group.sentinels[1].kill();
    proxy.process().line_with(&["sentinel lost", &gone]);
    proxy
        .process()
        .line_with(&["no majority of the sentinels heard", "heard=1 of=3"]);
    assert_eq!(client.call(["SET", "key", "alone"]), Reply::ok());
    group.sentinels[1].restart();
    eventually("the majority is back", || {
        let log = proxy.process().log();
        let lost = log.rfind("warn no majority of the sentinels heard");
        (log.rfind("info majority of the sentinels heard") > lost).then_some(())
    });
    assert_eq!(client.call(["SET", "key", "again"]), Reply::ok());
}

#[test]
fn a_sentinel_that_is_not_there_at_the_start_is_found_when_it_comes() {
    let mut group = Group::start(1, 1, "");
    group.sentinels[0].kill();
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    ready(&mut proxy, 1);
    let address = group.sentinels[0].address().to_string();
    proxy
        .process()
        .line_with(&["sentinel lost", &address, "Connection refused"]);
    group.sentinels[0].restart();
    proxy.process().line_with(&["sentinel answers", &address]);
}

#[test]
fn one_sentinel_in_the_file_is_enough_to_find_the_others() {
    let group = Group::start(1, 1, "");
    // By a name and as twemproxy's forks write it; the others know it by its address.
    let named = format!("localhost:{}", group.sentinels[0].address().port());
    let pool = Pool::new("alpha")
        .with("sentinels", format!("{named}:1 forks-write-it-so"))
        .server(group.servers[0][0].address());
    let mut proxy = Proxy::coremux(&[pool]);
    proxy.process().line_with(&["sentinel answers", &named]);
    for sentinel in &group.sentinels[1..] {
        proxy
            .process()
            .line_with(&["sentinel answers", &sentinel.address().to_string()]);
    }
    proxy
        .process()
        .line_with(&["majority of the sentinels heard", "of=3"]);
}

#[test]
fn masters_that_the_sentinels_know_by_name_are_found() {
    let lines = "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes";
    let group = Group::start(1, 1, lines);
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    let at = format!("at={}", group.servers[0][0].address());
    proxy
        .process()
        .line_with(&["master found", "server=s1", &at]);
}

#[test]
fn the_address_in_the_file_is_only_a_first_guess() {
    let mut group = Group::start(1, 1, "");
    let old = group.servers[0][0].address();
    group.servers[0][0].kill();
    eventually("the sentinels have failed over", || {
        (group.master(0) != old).then_some(())
    });
    // The file still has the old one, and a proxy that starts now must not care.
    let mut proxy = Proxy::coremux(&[pool(&group)]);
    proxy
        .process()
        .line_with(&["master moved", &format!("from={old} ")]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
}

#[test]
fn a_password_of_the_sentinels_is_given_and_a_wrong_one_is_logged_loudly() {
    let group = Group::start(1, 1, "requirepass right\nsentinel sentinel-pass right");
    let with = |password: &str| pool(&group).with("sentinel_password", password);
    let mut wrong = Proxy::coremux(&[with("wrong")]);
    let line = wrong
        .process()
        .line_with(&["error", "sentinel refuses us", "WRONGPASS"]);
    assert!(!line.contains("wrong "), "{line}");
    let mut client = wrong.client("alpha");
    assert_eq!(client.call(["SET", "key", "first guess"]), Reply::ok());
    let mut without = Proxy::coremux(&[pool(&group)]);
    without
        .process()
        .line_with(&["error", "sentinel refuses us", "NOAUTH"]);
    let mut right = Proxy::coremux(&[with("right")]);
    ready(&mut right, 1);
}

#[test]
fn a_name_that_no_sentinel_knows_is_logged_loudly() {
    let group = Group::start(1, 1, "");
    let pool = pool(&group).server(group.servers[0][1].address());
    let mut proxy = Proxy::coremux(&[pool]);
    proxy
        .process()
        .line_with(&["error", "no sentinel knows", "server=s2"]);
}

#[test]
fn where_a_quorum_is_required_writes_are_refused_a_second_or_so_after_its_loss() {
    let group = Group::start(1, 1, "");
    let mut proxy = Proxy::coremux(&[pool(&group).with("require_sentinel_quorum", true)]);
    proxy.process().line_with(&["writes allowed"]);
    let mut client = proxy.client("alpha");
    write_until_good(&mut client, "key");
    for sentinel in &group.sentinels[1..] {
        sentinel.process().signal("STOP");
    }
    let begun = now();
    let refused = eventually("a write is refused", || {
        let reply = client.call(["SET", "key", "without"]);
        (reply != Reply::ok()).then_some(reply)
    });
    let took = now() - begun;
    assert!(refused.error().contains("no majority"), "{refused:?}");
    proxy.process().line_with(&["writes refused"]);
    assert!(matches!(client.call(["GET", "key"]), Reply::Bulk(_)));
    println!("loss of the majority to the fence: {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    for sentinel in &group.sentinels[1..] {
        sentinel.process().signal("CONT");
    }
    eventually("writes are allowed again", || {
        let log = proxy.process().log();
        (log.matches("writes allowed").count() == 2).then_some(())
    });
    write_until_good(&mut client, "key");
}
