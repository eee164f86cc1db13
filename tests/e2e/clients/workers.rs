//! With several workers every client sees one service: in order, its own replies, one set of keys.

use std::collections::BTreeSet;

use crate::support::Client;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::value;

const TWO: [&str; 2] = ["--cores", "2"];

/// How many workers have a connection to this server, one connection each.
fn workers_at(redis: &Redis) -> usize {
    match redis.client().call(["CLIENT", "LIST"]) {
        Reply::Bulk(list) => String::from_utf8(list).unwrap().lines().count() - 1,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_reply_is_the_clients_own_on_every_worker() {
    for server_connections in [1, 3] {
        let servers = Redis::fleet(3);
        let pool = Pool::over("alpha", &servers).with("server_connections", server_connections);
        let proxy = Proxy::coremux_with(&TWO, &[pool]);
        let load = Load::start(proxy.address("alpha"), 32, server_connections);
        load.goes_on(20_000);
        load.end();
        if server_connections == 1 {
            assert_eq!(workers_at(&servers[0]), 2, "both workers had clients");
        }
        let Reply::Bulk(info) = proxy.client("alpha").call(["INFO"]) else {
            panic!("no text")
        };
        assert!(String::from_utf8(info).unwrap().contains("workers:2\r\n"));
    }
}

#[test]
fn what_one_client_has_written_every_other_reads() {
    let servers = Redis::fleet(3);
    let proxy = Proxy::coremux_with(&TWO, &[Pool::over("alpha", &servers)]);
    let mut clients: Vec<Client> = (0..16).map(|_| proxy.client("alpha")).collect();
    for round in 0..30_u64 {
        let key = format!("key:{round}");
        let own = value(&key, round, 1000);
        let writer = usize::try_from(round).unwrap() % clients.len();
        assert_eq!(
            clients[writer].call([&b"SET"[..], key.as_bytes(), &own]),
            Reply::ok()
        );
        for client in &mut clients {
            assert_eq!(client.call(["GET", &key]), Reply::Bulk(own.clone()));
        }
    }
    for client in &mut clients {
        assert!(matches!(client.call(["INCR", "shared"]), Reply::Integer(_)));
    }
    assert_eq!(clients[0].call(["GET", "shared"]), Reply::bulk("16"));
    assert_eq!(workers_at(&servers[0]), 2, "both workers had clients");
}

#[test]
fn clients_come_and_go_while_others_stay() {
    let servers = Redis::fleet(2);
    let proxy = Proxy::coremux_with(&TWO, &[Pool::over("alpha", &servers)]);
    let load = Load::start(proxy.address("alpha"), 8, 1);
    let ids: BTreeSet<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let proxy = &proxy;
                scope.spawn(move || {
                    let mut ids = BTreeSet::new();
                    for n in 0..150 {
                        let mut client = proxy.client("alpha");
                        let own = format!("{thread}:{n}");
                        let requests = [
                            vec!["SET", &own, &own],
                            vec!["GET", &own],
                            vec!["CLIENT", "ID"],
                            vec!["DEL", &own],
                        ];
                        let replies = client.pipeline(requests);
                        assert_eq!(replies[..2], [Reply::ok(), Reply::bulk(&own)]);
                        assert_eq!(replies[3], Reply::Integer(1));
                        match replies[2] {
                            Reply::Integer(id) => ids.insert(id),
                            ref other => panic!("{other:?}"),
                        };
                        if n % 3 == 0 {
                            client.reset();
                        }
                    }
                    ids
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        ids.len(),
        4 * 150,
        "an id is given once, whichever the worker"
    );
    load.goes_on(200);
    load.end();
}
