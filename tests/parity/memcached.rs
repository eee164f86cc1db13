//! Before real memcacheds, a key lands where Debian's nutcracker puts it, and replies are the same.
#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests: what fails, fails the test"
)]

mod replies;

use std::collections::HashMap;
use std::fmt::Write as _;

use coremux::base::Random;
use coremux::config::Config;
use coremux::config::HostPort;
use coremux::config::ServerAddress;
use coremux::route::Distribution;
use coremux::route::Hash;
use coremux::route::Router;
use coremux::route::RouterServer;
use coremux::route::RouterSpec;

use crate::support::Client;
use crate::support::Memcached;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::eventually;

/// How many keys are given to each pool; so many of them are asked of Coremux, too, which a test runs
/// without optimisation.
const KEYS: usize = 2000;
const ASKED: usize = 400;

/// The servers of a pool: the entry of each in the file.
type Entries<'a> = &'a dyn Fn(&Memcached, usize) -> String;

/// One pool: its name, and its lines of the file.
struct Pool {
    name: String,
    lines: String,
}

/// A pool for every hash, distribution and tag, but for those that draw a server.
fn every() -> Vec<Pool> {
    let mut pools = Vec::new();
    for &hash in Hash::ALL {
        for &distribution in Distribution::ALL {
            if distribution == Distribution::Random {
                continue;
            }
            for (tag, of_tag) in [("whole", ""), ("braces", "{}"), ("dollars", "$$")] {
                let (hash, distribution) = (hash.name(), distribution.name());
                let mut lines =
                    format!("  redis: false\n  hash: {hash}\n  distribution: {distribution}\n");
                if !of_tag.is_empty() {
                    lines += &format!("  hash_tag: \"{of_tag}\"\n");
                }
                let name = format!("{hash}-{distribution}-{tag}");
                pools.push(Pool { name, lines });
            }
        }
    }
    pools
}

/// What memcached takes for a key: no blank, no control byte, at most 250 bytes.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        "a", "clé-ü", "鍵", "{}", "{}{a}", "a{}b", "{a", "a}", "}a{", "{a}{b}", "{{a}}", "{a}",
        "x{a}y", "$$", "$a$", "$$a$", "$a", "x$a$y$b$", "{$a}b$", "{ü}1", "{ü}2",
    ]
    .map(|key| key.as_bytes().to_vec())
    .into();
    let mut random = Random::new(3);
    let mut below = |end: u64| usize::try_from(random.below(end)).unwrap();
    for nth in keys.len()..KEYS {
        let length = 1 + below(if nth % 50 == 0 { 250 } else { 40 });
        keys.push(match nth % 4 {
            0 => (0..length)
                .map(|_| u8::try_from(below(256)).unwrap())
                .map(|byte| {
                    if byte <= b' ' || byte == 0x7f {
                        b'!'
                    } else {
                        byte
                    }
                })
                .collect(),
            1 => format!("user:{}", below(1 << 40)).into_bytes(),
            2 => format!("{{{}}}:${}$", below(300), below(300)).into_bytes(),
            _ => (0..length).map(|_| b"{}$\xfca1"[below(6)]).collect(),
        });
    }
    keys.sort();
    keys.dedup();
    keys
}

/// Every program that is compared, before the same servers and with the same file.
struct Scene {
    fleet: Vec<Memcached>,
    nutcracker: Proxy,
    coremux: Proxy,
    config: Config,
}

impl Scene {
    fn start(pools: &[Pool], servers: usize, entry: Entries<'_>) -> Scene {
        let fleet = Memcached::fleet(servers);
        let start = |program| {
            Proxy::start(program, |listen| {
                let mut yml = String::new();
                for pool in pools {
                    let (name, lines) = (&pool.name, &pool.lines);
                    let listen = listen.unix(name);
                    write!(yml, "{name}:\n  listen: {listen}\n{lines}  servers:\n").unwrap();
                    for (nth, server) in fleet.iter().enumerate() {
                        writeln!(yml, "    - {}", entry(server, nth)).unwrap();
                    }
                }
                yml
            })
        };
        let (nutcracker, coremux) = (start(Program::Nutcracker), start(Program::Coremux));
        Scene {
            config: Config::read(&coremux.config_path()).unwrap(),
            fleet,
            nutcracker,
            coremux,
        }
    }

    /// The router of a pool, as Coremux makes it of the file, and the place of each of its servers in
    /// the fleet: the file's order is not twemproxy's.
    fn router(&self, pool: &Pool) -> (Router, Vec<usize>) {
        let mut pools = self.config.pools.iter();
        let config = pools.find(|config| *config.name == *pool.name).unwrap();
        let servers: Vec<RouterServer<'_>> = config
            .servers
            .iter()
            .map(|server| RouterServer {
                name: &server.name,
                weight: server.weight,
                live: true,
            })
            .collect();
        let places = config.servers.iter().map(|server| {
            let is_it = |known: &Memcached| {
                let address = HostPort::Ip(known.address());
                server.address == ServerAddress::Tcp(address)
            };
            self.fleet.iter().position(is_it).unwrap()
        });
        let spec = RouterSpec {
            hash: config.mapping.hash,
            tag: config.mapping.hash_tag,
            distribution: config.mapping.distribution,
            servers: &servers,
        };
        (Router::new(&spec), places.collect())
    }

    /// Writes every key through nutcracker, finds it on its server, and compares both with what
    /// Coremux says and with where it looks.
    fn compare(&self, pool: &Pool, keys: &[Vec<u8>]) {
        let mut written = Vec::new();
        for key in keys {
            written.extend([b"set ", &key[..], b" 0 0 "].concat());
            written.extend(format!("{}\r\n{}\r\n", pool.name.len(), pool.name).into_bytes());
        }
        let replies = self
            .nutcracker
            .client(&pool.name)
            .texts(&written, keys.len());
        assert!(replies.iter().all(|reply| reply == b"STORED\r\n"));
        let (router, places) = self.router(pool);
        let mut homes: HashMap<&[u8], usize> = HashMap::new();
        for (place, server) in self.fleet.iter().enumerate() {
            for (key, reply) in keys.iter().zip(gets(&mut server.client(), keys)) {
                // Of other pools there are others.
                if is_value(&reply, key, &pool.name) {
                    assert_eq!(homes.insert(key, place), None);
                }
            }
        }
        for key in keys {
            let ours = router.server(key, 0).map(|server| places[server.index()]);
            let theirs = homes.get(&key[..]).copied();
            assert_eq!(
                ours,
                theirs,
                "{} puts \"{}\" elsewhere",
                pool.name,
                key.escape_ascii()
            );
        }
        let step = keys.len() / ASKED;
        let asked: Vec<Vec<u8>> = keys.iter().step_by(step).cloned().collect();
        let replies = gets(&mut self.coremux.client(&pool.name), &asked);
        for (key, reply) in asked.iter().zip(replies) {
            assert!(
                is_value(&reply, key, &pool.name),
                "{} does not find \"{}\": {}",
                pool.name,
                key.escape_ascii(),
                reply.escape_ascii()
            );
        }
    }
}

fn gets(client: &mut Client, keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let requests = keys.iter().flat_map(|key| [b"get ", &key[..], b"\r\n"]);
    let requests: Vec<u8> = requests.flatten().copied().collect();
    client.texts(&requests, keys.len())
}

fn is_value(reply: &[u8], key: &[u8], value: &str) -> bool {
    let head = [b"VALUE ", key, b" 0 "].concat();
    let rest = format!("{}\r\n{value}\r\nEND\r\n", value.len());
    reply == [&head[..], rest.as_bytes()].concat()
}

fn compare(pools: &[Pool], servers: usize, entry: Entries<'_>) {
    let scene = Scene::start(pools, servers, entry);
    let keys = keys();
    assert!(keys.len() > KEYS * 9 / 10);
    for pool in pools {
        scene.compare(pool, &keys);
    }
}

#[test]
fn keys_land_alike_on_servers_of_one_weight() {
    compare(&every(), 4, &|server, _| format!("{}:1", server.address()));
}

#[test]
fn keys_land_alike_on_servers_of_several_weights() {
    let weight = |nth: usize| [3, 1, 200, 7][nth];
    compare(&every(), 4, &|server, nth| {
        format!("{}:{}", server.address(), weight(nth))
    });
}

#[test]
fn keys_land_alike_on_named_servers() {
    let of = |nth: usize| [(29, "server10"), (5, "é"), (1, "zz")][nth];
    compare(&every(), 3, &|server, nth| {
        let (weight, name) = of(nth);
        format!("{}:{weight} {name}", server.address())
    });
}

/// Only the living are on the ring then, and the share of each is another.
#[test]
fn keys_of_an_ejected_server_land_alike_on_the_others() {
    let pool = |hash: &str, distribution: &str| Pool {
        name: format!("{hash}-{distribution}"),
        lines: format!(
            "  redis: false\n  hash: {hash}\n  distribution: {distribution}\n  timeout: 5000\n  \
             auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n"
        ),
    };
    let pools = [
        pool("fnv1a_64", "ketama"),
        pool("murmur", "ketama"),
        pool("crc16", "modula"),
    ];
    let mut scene = Scene::start(&pools, 4, &|server, nth| {
        format!("{}:{} s{nth}", server.address(), [3, 1, 7, 2][nth])
    });
    scene.fleet[2].kill();
    let keys = keys();
    for pool in &pools {
        for proxy in [&scene.nutcracker, &scene.coremux] {
            eventually("the dead server is ejected", || {
                let replies = gets(&mut proxy.client(&pool.name), &keys);
                let all_miss = replies.iter().all(|reply| reply == b"END\r\n");
                all_miss.then_some(())
            });
        }
        let sets = keys.iter().flat_map(|key| {
            let rest = format!(" 0 0 {}\r\n{}\r\n", pool.name.len(), pool.name);
            [b"set ", &key[..], rest.as_bytes()].concat()
        });
        let sets: Vec<u8> = sets.collect();
        let stored = scene.nutcracker.client(&pool.name).texts(&sets, keys.len());
        assert!(stored.iter().all(|reply| reply == b"STORED\r\n"));
        let found = gets(&mut scene.coremux.client(&pool.name), &keys);
        for (key, reply) in keys.iter().zip(found) {
            let (name, key_text) = (&pool.name, key.escape_ascii());
            assert!(is_value(&reply, key, name), "{name}: \"{key_text}\"");
        }
        let servers = scene.fleet.iter().enumerate();
        for (_, server) in servers.filter(|(nth, _)| *nth != 2) {
            let sets = keys
                .iter()
                .flat_map(|key| [b"delete ", &key[..], b"\r\n"].concat());
            server
                .client()
                .texts(&sets.collect::<Vec<u8>>(), keys.len());
        }
    }
}
