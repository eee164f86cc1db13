//! A key lands on the server where Debian's nutcracker puts it.
//!
//! Each test runs nutcracker in front of real servers, with a pool for every hash, distribution and
//! tag, and reads the same configuration file as it does. A key is given to a script that returns
//! the name of the server it runs on, so the reply to a key says where the key lives.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "all of this is tests: what fails, fails the test"
)]

mod judge;
mod keys;
mod pools;

use std::os::unix::fs::symlink;

use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use coremux::route::Distribution;
use coremux::route::Hash;
use judge::Judge;
use keys::keys;
use pools::BRACES;
use pools::Pool;
use pools::Server;
use pools::fleet;
use pools::named;
use pools::unnamed;

/// Runs nutcracker over `servers` with `pools`, and compares where keys land in each.
fn compare(pools: &[Pool], fleet: &[Redis], servers: &[Server]) -> Judge {
    let judge = Judge::start(pools, "", fleet, servers);
    for pool in pools {
        judge.compare(pool, &[]);
    }
    judge
}

#[test]
fn keys_land_alike_on_servers_without_names_of_one_weight() {
    let fleet = fleet(5);
    compare(&Pool::every(), &fleet, &unnamed(&fleet, &[1; 5]));
}

#[test]
fn keys_land_alike_on_servers_without_names_of_several_weights() {
    let fleet = fleet(4);
    compare(&Pool::every(), &fleet, &unnamed(&fleet, &[3, 1, 200, 7]));
}

#[test]
fn keys_land_alike_on_named_servers_of_one_weight() {
    let fleet = fleet(5);
    // In an order that is neither twemproxy's nor the bytes'.
    let names = ["server10", "é", "zz", "b", "server9"];
    compare(&Pool::every(), &fleet, &named(&fleet, &names, &[1; 5]));
}

#[test]
fn keys_land_alike_on_named_servers_of_several_weights() {
    let fleet = fleet(3);
    compare(
        &Pool::every(),
        &fleet,
        &named(&fleet, &["b", "a", "alpha"], &[29, 5, 1]),
    );
}

#[test]
fn keys_land_alike_on_unix_sockets() {
    let fleet = fleet(3);
    let directory = tempfile::TempDir::new().unwrap();
    let servers: Vec<Server> = fleet
        .iter()
        .zip(["second.sock", "first.sock", "9.sock"])
        .zip([1, 1, 2])
        .map(|((redis, file), weight)| {
            let path = directory.path().join(file);
            symlink(redis.socket_path(), &path).unwrap();
            Server {
                entry: format!("{}:{weight}", path.display()),
                // With the colon: twemproxy's text ends before the weight.
                name: format!("{}:", path.display()),
            }
        })
        .collect();
    compare(&Pool::every(), &fleet, &servers);
}

#[test]
fn keys_land_alike_on_a_server_alone() {
    let fleet = fleet(1);
    compare(&Pool::every(), &fleet, &unnamed(&fleet, &[1]));
}

/// The pools in which the number and weight of servers matter, and not the hash.
fn rings() -> [Pool; 2] {
    [Distribution::Ketama, Distribution::Modula].map(|distribution| Pool {
        hash: Hash::Murmur,
        distribution,
        tag: None,
    })
}

#[test]
fn keys_land_alike_where_single_precision_takes_points_away() {
    let fleet = fleet(25);
    let names: Vec<String> = (1..=25).map(|i| format!("server{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let equal = named(&fleet, &names, &[1; 25]);
    let judge = compare(&rings(), &fleet, &equal);
    let (router, _) = judge.router(&rings()[0], &[]);
    assert_eq!(router.points().len(), 25 * 156);

    let omega = named(&fleet, &["heavy", "light"], &[100_000, 1]);
    let judge = compare(&rings(), &fleet, &omega);
    let (router, _) = judge.router(&rings()[0], &[]);
    assert_eq!(router.points().len(), 316);
}

#[test]
fn keys_land_alike_where_names_fill_twemproxy_s_buffer() {
    let fleet = fleet(3);
    // With the dash and the number these pass 272 bytes by two, by one, and by a hundred.
    let names = [270, 271, 370].map(|length| "n".repeat(length));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    compare(&rings(), &fleet, &named(&fleet, &names, &[1; 3]));
}

#[test]
fn keys_land_alike_while_servers_are_ejected() {
    let mut fleet = fleet(4);
    let servers = named(&fleet, &["b", "a", "alpha", "dead"], &[1, 2, 3, 4]);
    let pools = [
        Distribution::Ketama,
        Distribution::Modula,
        Distribution::Random,
    ]
    .map(|distribution| Pool {
        hash: Hash::Fnv1a64,
        distribution,
        tag: None,
    });
    // Longer than the test: an ejected server does not come back.
    let eject =
        "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n";
    let judge = Judge::start(&pools, eject, &fleet, &servers);
    let few: Vec<Vec<u8>> = (0..100).map(|i| i.to_string().into_bytes()).collect();
    while let Some(redis) = fleet.pop() {
        drop(redis);
        let dead: Vec<&str> = servers[fleet.len()..]
            .iter()
            .map(|server| server.name.as_str())
            .collect();
        for pool in &pools {
            eventually("nutcracker has ejected the dead servers", || {
                let replies = judge.ask(pool, &few);
                let refused = Reply::Error("ERR Connection refused".to_owned());
                let settled = if fleet.is_empty() {
                    replies.iter().all(|reply| *reply == refused)
                } else {
                    !replies.iter().any(|reply| matches!(reply, Reply::Error(_)))
                };
                settled.then_some(())
            });
            if fleet.is_empty() {
                let (router, _) = judge.router(pool, &dead);
                assert_eq!(router.server(b"key", 0), None);
            } else {
                judge.compare(pool, &dead);
            }
        }
    }
}

#[test]
fn a_key_that_is_written_is_found_where_the_router_says() {
    let fleet = fleet(4);
    let servers = named(&fleet, &["one", "two", "three", "four"], &[1; 4]);
    let pool = Pool {
        hash: Hash::Fnv1a64,
        distribution: Distribution::Ketama,
        tag: Some(BRACES),
    };
    let judge = Judge::start(&[pool], "", &fleet, &servers);
    let mut keys = keys();
    keys.sort();
    keys.dedup();
    let written = judge
        .client(&pool)
        .pipeline(keys.iter().map(|key| [b"SET", key.as_slice(), b"value"]));
    assert!(written.iter().all(|reply| *reply == Reply::ok()));

    let (router, names) = judge.router(&pool, &[]);
    for (redis, server) in fleet.iter().zip(&servers) {
        let here = |key: &&Vec<u8>| {
            let home = router.server(key, 0).unwrap();
            names[home.index()] == server.name
        };
        let expected: Vec<&Vec<u8>> = keys.iter().filter(here).collect();
        let found = redis
            .client()
            .pipeline(expected.iter().map(|key| [b"EXISTS", key.as_slice()]));
        assert!(found.iter().all(|reply| *reply == Reply::Integer(1)));
        // And the server's name, which is a key, too.
        let size = Reply::Integer(i64::try_from(expected.len() + 1).unwrap());
        assert_eq!(redis.client().call(["DBSIZE"]), size);
    }
}
