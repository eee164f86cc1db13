//! The same workload through nutcracker and through Coremux gives the same replies.
//!
//! Each has servers of its own, under the same names: so a key lives on servers of the same name,
//! and in the end these hold the same.

mod workload;

use crate::support::Client;
use crate::support::Pool;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::words;
use workload::Order;
use workload::Workload;

const BOTH: [Program; 2] = [Program::Nutcracker, Program::Coremux];

/// One program with its own servers.
struct Side {
    servers: Vec<Redis>,
    proxy: Proxy,
}

impl Side {
    fn start(program: Program, servers: usize, pool: impl Fn(Pool) -> Pool) -> Side {
        let servers: Vec<Redis> = (0..servers)
            .map(|_| Redis::start_with(&["--enable-debug-command", "yes"]))
            .collect();
        let proxy = Proxy::of(program, &[], &[pool(Pool::over("alpha", &servers))]);
        Side { servers, proxy }
    }

    fn both(servers: usize, pool: impl Fn(Pool) -> Pool) -> [Side; 2] {
        BOTH.map(|program| Side::start(program, servers, &pool))
    }

    fn client(&self) -> Client {
        self.proxy.client("alpha")
    }

    /// What each server holds, whatever the order in which it was written.
    fn digests(&self) -> Vec<Reply> {
        self.servers
            .iter()
            .map(|redis| redis.client().call(["DEBUG", "DIGEST"]))
            .collect()
    }
}

fn without_order(reply: &mut Reply) {
    if let Reply::Array(items) = reply {
        items.iter_mut().for_each(without_order);
        items.sort_by_key(|item| format!("{item:?}"));
    }
}

fn compare(seed: u64, requests: usize, pool: impl Fn(Pool) -> Pool) {
    let sides = Side::both(3, pool);
    let mut clients: Vec<[Client; 2]> = (0..4)
        .map(|_| [0, 1].map(|side: usize| sides[side].client()))
        .collect();
    let mut workload = Workload::new(seed);
    let mut done = 0;
    while done < requests {
        let pair = &mut clients[done % 4];
        let pipeline = workload.pipeline();
        let asked: Vec<&Vec<Vec<u8>>> = pipeline.iter().map(|(request, _)| request).collect();
        let [mut theirs, mut ours] = pair.each_mut().map(|client| client.pipeline(asked.clone()));
        for (place, (request, order)) in pipeline.iter().enumerate() {
            if *order == Order::OfTheServer {
                without_order(&mut theirs[place]);
                without_order(&mut ours[place]);
            }
            assert!(
                theirs[place] == ours[place],
                "seed {seed}, request {}: {}\nnutcracker {:?}\ncoremux {:?}",
                done + place,
                request.join(&b' ').escape_ascii(),
                theirs[place],
                ours[place],
            );
        }
        done += pipeline.len();
    }
    let [theirs, ours] = &sides;
    assert_eq!(
        theirs.digests(),
        ours.digests(),
        "seed {seed}: the servers hold the same"
    );
    assert_eq!(workload.untried(), Vec::<&str>::new(), "seed {seed}");
}

#[test]
fn random_requests_have_the_same_replies_and_leave_the_same_behind() {
    for seed in 1..=3 {
        compare(seed, 6_000, |pool| pool.with("hash_tag", "\"{}\""));
    }
    compare(4, 6_000, |pool| {
        pool.with("hash_tag", "\"{}\"")
            .with("hash", "murmur")
            .with("distribution", "modula")
    });
    compare(5, 6_000, |pool| {
        pool.with("hash_tag", "\"{}\"")
            .with("hash", "md5")
            .with("server_connections", 1)
    });
}

#[test]
fn requests_for_servers_that_are_gone_or_stall_have_the_same_errors() {
    let mut sides = Side::both(3, |pool| pool.with("timeout", 300));
    // The ring is the same: Coremux can be asked where a key is.
    let keys = ["s1", "s2", "s3"].map(|server| sides[1].proxy.key_on("alpha", server, "key"));
    for side in &mut sides {
        side.servers[0].kill();
        side.servers[1].process().signal("STOP");
    }
    let requests = [
        vec!["GET", &keys[0]],
        vec!["SET", &keys[2], "value"],
        vec!["MGET", &keys[0], &keys[2]],
        vec!["GET", &keys[1]],
        vec!["MSET", &keys[1], "x", &keys[2], "y"],
        vec!["GET", &keys[2]],
    ];
    for request in requests {
        let [theirs, ours] = sides.each_ref().map(|side| side.client().call(&request));
        // Ours says more of a request that was sent when its connection was given up.
        let ours = match ours {
            Reply::Error(text) => Reply::Error(text.replace("; the outcome is unknown", "")),
            reply => reply,
        };
        assert_eq!(theirs, ours, "{request:?}");
    }
}

#[test]
fn a_password_is_asked_for_in_the_same_words() {
    let sides = Side::both(1, |pool| pool.with("redis_auth", "secret"));
    for side in &sides {
        side.servers[0]
            .client()
            .call(["CONFIG", "SET", "requirepass", "secret"]);
    }
    let mut clients = sides.each_ref().map(Side::client);
    for line in [
        "GET key",
        "PING",
        "MGET a b",
        "AUTH wrong",
        "GET key",
        "AUTH secret",
        "SET key value",
        "GET key",
        "PING",
        "AUTH wrong",
        "GET key",
        "AUTH secret",
        "GET key",
    ] {
        let [theirs, ours] = clients.each_mut().map(|client| client.call(words(line)));
        assert_eq!(theirs, ours, "{line}");
    }
    let sides = Side::both(1, |pool| pool);
    let [theirs, ours] = sides
        .each_ref()
        .map(|side| side.client().call(["AUTH", "any"]));
    assert_eq!(theirs, ours);
}

#[test]
fn a_client_that_ends_first_is_served_alike() {
    let sides = Side::both(3, |pool| pool);
    let mut bytes = Vec::new();
    for n in 0..50 {
        encode(&mut bytes, ["SET", &format!("key{n}"), &n.to_string()]);
        encode(&mut bytes, ["MGET", &format!("key{n}"), "none", "key0"]);
        encode(&mut bytes, ["PING"]);
    }
    let [theirs, ours] = sides.each_ref().map(|side| {
        let mut client = side.client();
        client.send_and_end(&bytes);
        client.read_to_end().unwrap()
    });
    assert_eq!(theirs, ours);
    assert!(ours.ends_with(b"+PONG\r\n"));
}
