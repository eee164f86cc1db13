//! Replicas answer reads while they keep up with their master, and their loss costs nobody an error.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::support::Client;
use crate::support::Group;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

const CLIENTS: usize = 12;
const KEYS: usize = 50;
/// So many that a hash needs hundreds of pages.
const ELEMENTS: usize = 5000;

fn pool(group: &Group, read_from: &str) -> Pool {
    let pool = Pool::new("alpha")
        .with("sentinels", group.yml())
        .with("read_from", read_from)
        .with("timeout", 2000);
    let servers = group.servers.iter();
    servers.fold(pool, |pool, servers| pool.server(servers[0].address()))
}

/// How often the log has a line with all of `words`.
fn logged(proxy: &Proxy, words: &[&str]) -> usize {
    let log = std::fs::read_to_string(proxy.directory().join("proxy.log")).unwrap();
    let lines = log.lines();
    lines
        .filter(|line| words.iter().all(|w| line.contains(w)))
        .count()
}

fn wait_for_replicas(proxy: &Proxy, count: usize) {
    eventually("the replicas are read", || {
        (logged(proxy, &["replica read pool="]) >= count).then_some(())
    });
}

/// How often a server has executed a command.
fn executed(redis: &Redis, command: &str) -> u64 {
    let Reply::Bulk(info) = redis.client().call(["INFO", "commandstats"]) else {
        panic!("no statistics")
    };
    let info = String::from_utf8(info).unwrap();
    let line = info.lines().find_map(|line| {
        let calls = line.strip_prefix(&format!("cmdstat_{command}:calls="))?;
        calls.split(',').next()?.parse().ok()
    });
    line.unwrap_or(0)
}

fn key(nth: usize) -> String {
    format!("key:{nth}")
}

/// Gives every key its value, on every server.
fn fill(proxy: &Proxy, group: &Group) {
    let mut client = proxy.client("alpha");
    for nth in 0..KEYS {
        assert_eq!(
            client.call(["SET", &key(nth), &nth.to_string()]),
            Reply::ok()
        );
    }
    for servers in &group.servers {
        let replicas = (servers.len() - 1).to_string();
        let all = servers[0].client().call(["WAIT", &replicas, "5000"]);
        assert_eq!(all, Reply::Integer(replicas.parse().unwrap()));
    }
}

/// Clients that read until they are told to end; every read must be right.
fn while_reading<T>(proxy: &Proxy, act: impl FnOnce(&mut dyn FnMut(u64)) -> T) -> T {
    let (end, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = proxy.client("alpha");
                let (end, reads) = (&end, &reads);
                scope.spawn(move || {
                    let mut nth = number;
                    while !end.load(Ordering::Relaxed) {
                        nth = (nth + 1) % KEYS;
                        let reply = client.call(["GET", &key(nth)]);
                        assert_eq!(reply, Reply::bulk(nth.to_string()));
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut more = |count: u64| {
            let until = reads.load(Ordering::Relaxed) + count;
            eventually("reads go on", || {
                let ended = readers.iter().any(|reader| reader.is_finished());
                assert!(!ended, "a read was not answered rightly");
                (reads.load(Ordering::Relaxed) >= until).then_some(())
            });
        };
        // A panic in it must not leave the readers behind.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            more(100);
            let done = act(&mut more);
            more(100);
            done
        }));
        end.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn reads_land_on_replicas_and_writes_at_the_masters() {
    let group = Group::start(2, 2, "");
    let proxy = Proxy::coremux_with(&["--cores", "2"], &[pool(&group, "prefer-replica")]);
    wait_for_replicas(&proxy, 4);
    fill(&proxy, &group);
    while_reading(&proxy, |more| more(2000));
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    let mut words = vec!["MGET"];
    words.extend(keys.iter().map(String::as_str));
    let values: Vec<Reply> = (0..KEYS).map(|nth| Reply::bulk(nth.to_string())).collect();
    assert_eq!(proxy.client("alpha").call(&words), Reply::Array(values));
    for servers in &group.servers {
        let [master, replicas @ ..] = &servers[..] else {
            panic!("no master")
        };
        // On a machine that is too busy a replica may be left for a moment.
        let left = logged(&proxy, &["replica read no longer"]) > 0;
        for replica in replicas {
            let reads = executed(replica, "get");
            // How many depends on how far its clients have come.
            assert!(reads > 20 || left && reads > 0, "both are read: {reads}");
        }
        let of_master = ["get", "mget"].map(|command| executed(master, command));
        assert!(
            left || of_master == [0, 0],
            "the master is read: {of_master:?}"
        );
        let mgets: u64 = servers.iter().map(|r| executed(r, "mget")).sum();
        assert_eq!(mgets, 1, "a fragment each");
    }
    let numbers = proxy.numbers();
    assert_eq!(numbers.pool("alpha", "forward_error"), 0);
}

/// Goes through all elements of a key, each page by another client, as a pool of connections does.
fn scanned(proxy: &Proxy, command: &str, name: &str, step: usize) -> BTreeSet<Vec<u8>> {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| proxy.client("alpha")).collect();
    let (mut seen, mut cursor, mut page) = (BTreeSet::new(), b"0".to_vec(), 0);
    loop {
        let client = &mut clients[page % CLIENTS];
        page += 1;
        let request = [command.as_bytes(), name.as_bytes(), &cursor];
        let Reply::Array(reply) = client.call(request) else {
            panic!("{command} gives no page")
        };
        let [Reply::Bulk(next), Reply::Array(elements)] = &reply[..] else {
            panic!("{command} gives {reply:?}")
        };
        seen.extend(elements.iter().step_by(step).map(|element| match element {
            Reply::Bulk(element) => element.clone(),
            other => panic!("{command} gives {other:?}"),
        }));
        if next == b"0" {
            return seen;
        }
        cursor.clone_from(next);
    }
}

/// Gives a key so many elements.
fn fill_one(proxy: &Proxy, command: &str, name: &str, words_each: usize) {
    let mut client = proxy.client("alpha");
    for hundred in 0..ELEMENTS / 100 {
        let elements = (0..100).map(|nth| hundred * 100 + nth);
        let mut request = vec![command.to_owned(), name.to_owned()];
        request.extend(elements.flat_map(|nth| vec![nth.to_string(); words_each]));
        assert!(!matches!(client.call(&request), Reply::Error(_)));
    }
}

#[test]
fn what_only_the_server_understands_that_gave_it_is_asked_at_the_master() {
    let group = Group::start(1, 2, "");
    let proxy = Proxy::coremux_with(&["--cores", "2"], &[pool(&group, "prefer-replica")]);
    wait_for_replicas(&proxy, 2);
    for (fill, scan, words) in [
        ("HSET", "HSCAN", 2),
        ("SADD", "SSCAN", 1),
        ("ZADD", "ZSCAN", 2),
    ] {
        fill_one(&proxy, fill, scan, words);
        let all = group.servers[0][0].client().call(["WAIT", "2", "5000"]);
        assert_eq!(all, Reply::Integer(2));
        let step = words;
        assert_eq!(scanned(&proxy, scan, scan, step).len(), ELEMENTS, "{scan}");
    }
    let mut client = proxy.client("alpha");
    for request in [
        "OBJECT IDLETIME HSCAN",
        "OBJECT ENCODING HSCAN",
        "MEMORY USAGE HSCAN",
        "TOUCH HSCAN SSCAN",
        "DUMP HSCAN",
    ] {
        let words: Vec<&str> = request.split(' ').collect();
        assert!(!matches!(client.call(&words), Reply::Error(_)), "{request}");
    }
    for replica in &group.servers[0][1..] {
        for command in [
            "hscan",
            "sscan",
            "zscan",
            "object|idletime",
            "object|encoding",
            "memory|usage",
            "touch",
            "dump",
        ] {
            assert_eq!(executed(replica, command), 0, "{command}");
        }
    }
    while_reading_one(&proxy, "HSCAN");
    assert!(
        group.servers[0][1..]
            .iter()
            .any(|replica| executed(replica, "hlen") > 0),
        "replicas are read"
    );
}

/// Asks by several clients what any server can say.
fn while_reading_one(proxy: &Proxy, name: &str) {
    for _ in 0..CLIENTS {
        let reply = proxy.client("alpha").call(["HLEN", name]);
        assert_eq!(reply, Reply::Integer(ELEMENTS as i64));
    }
}

#[test]
fn a_replica_that_dies_or_hangs_costs_no_error_and_is_read_again_when_it_is_back() {
    let mut group = Group::start(1, 2, "");
    let proxy = Proxy::coremux_with(&["--cores", "2"], &[pool(&group, "prefer-replica")]);
    wait_for_replicas(&proxy, 2);
    fill(&proxy, &group);
    while_reading(&proxy, |more| {
        group.servers[0][1].kill();
        more(1000);
        group.servers[0][2].process().signal("STOP");
        more(1000);
        eventually("both are left", || {
            (logged(&proxy, &["replica read no longer"]) == 2).then_some(())
        });
        more(1000);
        assert!(
            executed(&group.servers[0][0], "get") > 0,
            "the master is read"
        );
        group.servers[0][2].process().signal("CONT");
        more(100);
    });
    assert_eq!(logged(&proxy, &["replica read no longer"]), 2);
    wait_for_replicas(&proxy, 3);
    assert_eq!(proxy.numbers().pool("alpha", "forward_error"), 0);
}

#[test]
fn a_replica_that_hangs_costs_no_error_however_much_was_asked_at_once() {
    const AT_ONCE: usize = 400;
    let group = Group::start(1, 1, "");
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool(&group, "prefer-replica")]);
    wait_for_replicas(&proxy, 1);
    // So long that the requests of all clients are more than a batch.
    let key = "k".repeat(3000);
    let mut clients: Vec<_> = (0..6).map(|_| proxy.client("alpha")).collect();
    let ask = |clients: &mut Vec<Client>| {
        for client in clients.iter_mut() {
            (0..AT_ONCE).for_each(|_| client.send(["GET", &key]));
        }
        for client in clients.iter_mut() {
            (0..AT_ONCE).for_each(|_| assert_eq!(client.read(), Reply::Null));
        }
    };
    ask(&mut clients);
    let before = executed(&group.servers[0][0], "get");
    let replica = &group.servers[0][1];
    assert!(executed(replica, "get") > 0, "the replica is read");
    replica.process().signal("STOP");
    ask(&mut clients);
    let asked = executed(&group.servers[0][0], "get") - before;
    assert!(asked >= (6 * AT_ONCE) as u64, "the master was asked");
    replica.process().signal("CONT");
    assert_eq!(proxy.numbers().pool("alpha", "forward_error"), 0);
}

#[test]
fn a_replica_that_lags_gets_no_reads_until_it_has_caught_up() {
    let group = Group::start(1, 2, "");
    let pool = pool(&group, "prefer-replica").with("replica_lag_ms", 500);
    let proxy = Proxy::coremux(&[pool]);
    wait_for_replicas(&proxy, 2);
    fill(&proxy, &group);
    let late = &group.servers[0][1];
    // It answers, it hears its master, and it does not do what that says.
    let pause = ["CLIENT", "PAUSE", "60000", "WRITE"];
    assert_eq!(late.client().call(pause), Reply::ok());
    let writer = proxy.client("alpha").call(["SET", "late", "1"]);
    assert_eq!(writer, Reply::ok());
    let at = format!("replica={}", late.address());
    let why = ["replica read no longer", "too far behind its master", &at];
    eventually("it is left", || (logged(&proxy, &why) == 1).then_some(()));
    // The line is written before the workers are told.
    let before = while_reading(&proxy, |more| {
        more(100);
        executed(late, "get")
    });
    while_reading(&proxy, |more| more(1000));
    assert_eq!(executed(late, "get"), before, "it is not read");
    assert_eq!(late.client().call(["CLIENT", "UNPAUSE"]), Reply::ok());
    while_reading(&proxy, |_| {
        eventually("it is read again", || {
            (executed(late, "get") > before).then_some(())
        });
    });
}

#[test]
fn a_replica_that_becomes_the_master_is_left_and_the_others_are_read_again() {
    let mut group = Group::start(1, 2, "");
    let pool = pool(&group, "prefer-replica").with("hold_ms", 15_000);
    let proxy = Proxy::coremux_with(&["--cores", "2"], &[pool]);
    wait_for_replicas(&proxy, 2);
    fill(&proxy, &group);
    while_reading(&proxy, |more| {
        group.servers[0][0].kill();
        eventually("the master is another", || {
            (logged(&proxy, &["master moved"]) > 0).then_some(())
        });
        more(500);
    });
    wait_for_replicas(&proxy, 3);
    assert_eq!(proxy.client("alpha").call(["SET", "new", "1"]), Reply::ok());
    let (new, left) = match group.master(0) == group.servers[0][1].address() {
        true => (&group.servers[0][1], &group.servers[0][2]),
        false => (&group.servers[0][2], &group.servers[0][1]),
    };
    let before = [new, left].map(|redis| executed(redis, "get"));
    while_reading(&proxy, |_| {
        eventually(
            "it is read from the replica and not from the master",
            || {
                let now = [new, left].map(|redis| executed(redis, "get"));
                let [at_master, at_replica] = [0, 1].map(|nth| now[nth] - before[nth]);
                (at_replica > 1000 && at_replica > 2 * at_master).then_some(())
            },
        );
    });
}

#[test]
fn where_only_replicas_are_read_the_master_is_not_and_without_one_a_read_gets_an_error() {
    let mut group = Group::start(1, 1, "");
    let proxy = Proxy::coremux(&[pool(&group, "replica")]);
    fill(&proxy, &group);
    let mut client = proxy.client("alpha");
    let mut read = || {
        eventually("the replica is read", || {
            let reply = client.call(["GET", &key(1)]);
            (!matches!(reply, Reply::Error(_))).then_some(reply)
        })
    };
    assert_eq!(read(), Reply::bulk("1"));
    group.servers[0][1].kill();
    let mut client = proxy.client("alpha");
    let words = "ERR No replica can be read: none is known, or none keeps up with its master";
    assert_eq!(
        client.call(["GET", &key(1)]),
        Reply::Error(words.to_owned())
    );
    assert_eq!(
        client.call(["SET", "key", "1"]),
        Reply::ok(),
        "writes go on"
    );
    assert_eq!(executed(&group.servers[0][0], "get"), 0);
    group.servers[0][1].restart();
    assert_eq!(read(), Reply::bulk("1"), "not before it has all data again");
}
