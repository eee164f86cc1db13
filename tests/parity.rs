//! A key lands on the server where Debian's nutcracker puts it.
//!
//! Each test runs nutcracker in front of real servers, with a pool for every hash, distribution and
//! tag. A key is not written and searched for: it is given to a script that returns the name of
//! the server it runs on, so the reply to a key says where the key lives.
#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests: what fails, fails the test"
)]

mod support;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::os::unix::fs::symlink;

use coremux::base::ServerIdx;
use coremux::route::Distribution;
use coremux::route::Hash;
use coremux::route::HashTag;
use coremux::route::Router;
use coremux::route::RouterServer;
use coremux::route::RouterSpec;
use coremux::route::order;
use support::Program;
use support::Proxy;
use support::Redis;
use support::Reply;
use support::eventually;

/// Keys asked of every pool that hashes.
const KEYS: usize = 2000;
/// Draws from every pool that does not: enough for each of five servers to turn up.
const DRAWS: usize = 300;

const TAGS: [Option<HashTag>; 3] = [None, Some(tag(b'{', b'}')), Some(tag(b'$', b'$'))];

const fn tag(open: u8, close: u8) -> HashTag {
    HashTag { open, close }
}

/// A server as a configuration file has it.
struct Server {
    /// The entry in `servers:`.
    entry: String,
    /// What that entry makes of it on the ring.
    name: String,
    weight: u32,
}

/// One pool's settings.
#[derive(Clone, Copy)]
struct Pool {
    hash: Hash,
    distribution: Distribution,
    tag: Option<HashTag>,
}

impl Pool {
    fn every() -> Vec<Pool> {
        let mut pools = Vec::new();
        for &hash in Hash::ALL {
            for &distribution in Distribution::ALL {
                for tag in TAGS {
                    pools.push(Pool {
                        hash,
                        distribution,
                        tag,
                    });
                }
            }
        }
        pools
    }

    fn name(&self) -> String {
        let tag = match self.tag {
            None => "whole",
            Some(tag) if tag.open == tag.close => "dollars",
            Some(_) => "braces",
        };
        format!("{}-{}-{tag}", self.hash.name(), self.distribution.name())
    }

    /// The pool's part of a configuration file.
    fn yml(&self, listen: &str, more: &str, servers: &[Server]) -> String {
        let mut yml = format!(
            "{}:\n  listen: {listen}\n  redis: true\n  hash: {}\n  distribution: {}\n{more}",
            self.name(),
            self.hash.name(),
            self.distribution.name(),
        );
        if let Some(HashTag { open, close }) = self.tag {
            yml += &format!(
                "  hash_tag: \"{}{}\"\n",
                char::from(open),
                char::from(close)
            );
        }
        yml += "  servers:\n";
        for server in servers {
            yml += &format!("    - {}\n", server.entry);
        }
        yml
    }

    /// What we make of it; `servers` in the file's order, `dead` among them by name.
    fn router(&self, servers: &[Server], dead: &[&str]) -> (Router, Vec<String>) {
        let mut sorted: Vec<&Server> = servers.iter().collect();
        sorted.sort_by(|one, other| order(&one.name, &other.name));
        let routed: Vec<RouterServer<'_>> = sorted
            .iter()
            .map(|server| RouterServer {
                name: &server.name,
                weight: NonZeroU32::new(server.weight).unwrap(),
                live: !dead.contains(&server.name.as_str()),
            })
            .collect();
        let router = Router::new(&RouterSpec {
            hash: self.hash,
            tag: self.tag,
            distribution: self.distribution,
            servers: &routed,
        });
        let names = sorted.iter().map(|server| server.name.clone()).collect();
        (router, names)
    }
}

/// Tells `redis` what it is called; gives the digest of the script that says it.
fn teach(redis: &Redis, name: &str) -> String {
    let mut client = redis.client();
    assert_eq!(client.call(["SET", "my name", name]), Reply::ok());
    let script = "return redis.call('GET', 'my name')";
    match client.call(["SCRIPT", "LOAD", script]) {
        Reply::Bulk(digest) => String::from_utf8(digest).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Runs nutcracker over `servers` with every kind of pool, and compares where keys land.
///
/// `fleet` is the redis of each server, which knows itself by the server's name.
fn compare(fleet: &[Redis], servers: &[Server]) {
    compare_pools(&Pool::every(), fleet, servers);
}

fn compare_pools(pools: &[Pool], fleet: &[Redis], servers: &[Server]) {
    let mut script = String::new();
    for (redis, server) in fleet.iter().zip(servers) {
        script = teach(redis, &server.name);
    }
    let proxy = Proxy::start(Program::Nutcracker, |listen| {
        pools
            .iter()
            .map(|pool| pool.yml(&listen.unix(&pool.name()), "", servers))
            .collect()
    });
    let keys = keys();
    for pool in pools {
        let (router, names) = pool.router(servers, &[]);
        compare_pool(&proxy, pool, &script, &keys, &router, &names);
    }
}

fn compare_pool(
    proxy: &Proxy,
    pool: &Pool,
    script: &str,
    keys: &[Vec<u8>],
    router: &Router,
    names: &[String],
) {
    if pool.distribution == Distribution::Random {
        let landed = homes(proxy, pool, script, &keys[..DRAWS]);
        let landed: BTreeSet<&String> = landed.iter().collect();
        let shares = router.shares();
        let expected = names.iter().zip(shares).filter(|(_, share)| *share > 0.0);
        assert_eq!(
            landed,
            expected.map(|(name, _)| name).collect(),
            "{}",
            pool.name()
        );
        return;
    }
    let landed = homes(proxy, pool, script, keys);
    assert_eq!(landed.len(), keys.len());
    for (key, landed) in keys.iter().zip(&landed) {
        let ours = router.server(key, 0).map(|server| &names[server.index()]);
        assert_eq!(
            Some(landed),
            ours,
            "{} puts the key \"{}\" elsewhere",
            pool.name(),
            key.escape_ascii(),
        );
    }
}

/// The names of the servers that answered for `keys`.
fn homes(proxy: &Proxy, pool: &Pool, script: &str, keys: &[Vec<u8>]) -> Vec<String> {
    let commands = keys
        .iter()
        .map(|key| [b"EVALSHA", script.as_bytes(), b"1", key.as_slice()]);
    let replies = proxy.client(&pool.name()).pipeline(commands);
    replies
        .into_iter()
        .map(|reply| match reply {
            Reply::Bulk(name) => String::from_utf8(name).unwrap(),
            other => panic!("{}: {other:?}", pool.name()),
        })
        .collect()
}

/// The same keys in every run: all sorts of bytes, lengths and tags.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        "", "a", "apple", "clé-ü", "ключ", "鍵", "🔑", "{}", "{}{a}", "a{}b", "{a", "a}", "}a{",
        "{a}{b}", "{{a}}", "{a}", "x{a}y", "$$", "$a$", "$$a$", "$a", "x$a$y$b$", "{$a}b$", "\0",
        "\r\n", "a b", "{ü}1", "{ü}2",
    ]
    .map(|key| key.as_bytes().to_vec())
    .into();
    let mut random = Random(1);
    // nutcracker takes keys of up to 16,335 bytes.
    for length in [255, 256, 4095, 4096, 15_000, 16_335] {
        keys.push(random.bytes(length));
    }
    while keys.len() < KEYS {
        let length = random.below(48);
        keys.push(match keys.len() % 4 {
            0 => random.bytes(length),
            1 => format!("user:{}", random.below(1 << 40)).into_bytes(),
            2 => {
                let tagged = random.below(300);
                format!("{{{tagged}}}:${}$", random.below(300)).into_bytes()
            }
            // Mostly tag bytes, with a few others between and around.
            _ => (0..length).map(|_| b"{}$\xfca1"[random.below(6)]).collect(),
        });
    }
    keys
}

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn fleet(size: usize) -> Vec<Redis> {
    (0..size).map(|_| Redis::start()).collect()
}

/// Servers by address, without names.
fn unnamed(fleet: &[Redis], weights: &[u32]) -> Vec<Server> {
    fleet
        .iter()
        .zip(weights)
        .map(|(redis, &weight)| Server {
            entry: format!("{}:{weight}", redis.address()),
            name: redis.address().to_string(),
            weight,
        })
        .collect()
}

/// Servers by address, with names.
fn named(fleet: &[Redis], names: &[&str], weights: &[u32]) -> Vec<Server> {
    fleet
        .iter()
        .zip(names)
        .zip(weights)
        .map(|((redis, &name), &weight)| Server {
            entry: format!("{}:{weight} {name}", redis.address()),
            name: name.to_owned(),
            weight,
        })
        .collect()
}

#[test]
fn keys_land_alike_on_servers_without_names_of_one_weight() {
    let fleet = fleet(5);
    compare(&fleet, &unnamed(&fleet, &[1; 5]));
}

#[test]
fn keys_land_alike_on_servers_without_names_of_several_weights() {
    let fleet = fleet(4);
    compare(&fleet, &unnamed(&fleet, &[3, 1, 200, 7]));
}

#[test]
fn keys_land_alike_on_named_servers_of_one_weight() {
    let fleet = fleet(5);
    // In an order that is neither twemproxy's nor the bytes'.
    let names = ["server10", "é", "zz", "b", "server9"];
    compare(&fleet, &named(&fleet, &names, &[1; 5]));
}

#[test]
fn keys_land_alike_on_named_servers_of_several_weights() {
    let fleet = fleet(3);
    compare(&fleet, &named(&fleet, &["b", "a", "alpha"], &[29, 5, 1]));
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
                weight,
            }
        })
        .collect();
    compare(&fleet, &servers);
}

#[test]
fn keys_land_alike_on_a_server_alone() {
    let fleet = fleet(1);
    compare(&fleet, &unnamed(&fleet, &[1]));
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
    assert_eq!(rings()[0].router(&equal, &[]).0.points().len(), 25 * 156);
    compare_pools(&rings(), &fleet, &equal);

    let omega = named(&fleet, &["heavy", "light"], &[100_000, 1]);
    assert_eq!(rings()[0].router(&omega, &[]).0.points().len(), 316);
    compare_pools(&rings(), &fleet, &omega);
}

#[test]
fn keys_land_alike_where_names_fill_twemproxy_s_buffer() {
    let fleet = fleet(3);
    // With the dash and the number these pass 272 bytes by two, by one, and by a hundred.
    let names = [270, 271, 370].map(|length| "n".repeat(length));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    compare_pools(&rings(), &fleet, &named(&fleet, &names, &[1; 3]));
}

#[test]
fn keys_land_alike_while_a_server_is_ejected() {
    let mut fleet = fleet(4);
    let servers = named(&fleet, &["b", "a", "alpha", "dead"], &[1, 2, 3, 4]);
    let mut script = String::new();
    for (redis, server) in fleet.iter().zip(&servers) {
        script = teach(redis, &server.name);
    }
    let pools: Vec<Pool> = Distribution::ALL
        .iter()
        .map(|&distribution| Pool {
            hash: Hash::Fnv1a64,
            distribution,
            tag: None,
        })
        .collect();
    // Longer than the test: an ejected server does not come back.
    let eject =
        "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n";
    let proxy = Proxy::start(Program::Nutcracker, |listen| {
        pools
            .iter()
            .map(|pool| pool.yml(&listen.unix(&pool.name()), eject, &servers))
            .collect()
    });
    let keys = keys();
    for number_dead in 1..=4 {
        // "dead" first, then the others from the end of the file.
        fleet[4 - number_dead].kill();
        let dead: Vec<&str> = servers[4 - number_dead..]
            .iter()
            .map(|server| server.name.as_str())
            .collect();
        for pool in &pools {
            let (router, names) = pool.router(&servers, &dead);
            if number_dead == 4 {
                eventually("every server is ejected", || {
                    let reply = proxy
                        .client(&pool.name())
                        .call(["EVALSHA", &script, "1", "key"]);
                    (reply.error() == "ERR Connection refused").then_some(())
                });
                assert_eq!(router.server(b"key", 0), None);
                continue;
            }
            eventually("nutcracker notices that a server is dead", || {
                let mut client = proxy.client(&pool.name());
                let commands = (0..100).map(|i| {
                    [
                        "EVALSHA".to_owned(),
                        script.clone(),
                        "1".to_owned(),
                        i.to_string(),
                    ]
                });
                let replies = client.pipeline(commands);
                let failed = replies.iter().any(|reply| matches!(reply, Reply::Error(_)));
                (!failed).then_some(())
            });
            compare_pool(&proxy, pool, &script, &keys, &router, &names);
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
        tag: Some(tag(b'{', b'}')),
    };
    let proxy = Proxy::start(Program::Nutcracker, |listen| {
        pool.yml(&listen.tcp(&pool.name()).to_string(), "", &servers)
    });
    let mut keys = keys();
    keys.sort();
    keys.dedup();
    let written = proxy
        .client(&pool.name())
        .pipeline(keys.iter().map(|key| [b"SET", key.as_slice(), b"value"]));
    assert!(written.iter().all(|reply| *reply == Reply::ok()));

    let (router, names) = pool.router(&servers, &[]);
    let mut total = 0;
    for (redis, server) in fleet.iter().zip(&servers) {
        let index = names.iter().position(|name| *name == server.name).unwrap();
        let index = ServerIdx(u16::try_from(index).unwrap());
        let expected: Vec<&Vec<u8>> = keys
            .iter()
            .filter(|key| router.server(key, 0) == Some(index))
            .collect();
        let found = redis
            .client()
            .pipeline(expected.iter().map(|key| [b"EXISTS", key.as_slice()]));
        assert!(found.iter().all(|reply| *reply == Reply::Integer(1)));
        let size = Reply::Integer(i64::try_from(expected.len()).unwrap());
        assert_eq!(redis.client().call(["DBSIZE"]), size);
        total += expected.len();
    }
    assert_eq!(total, keys.len());
}
