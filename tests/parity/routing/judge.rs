//! nutcracker, asked where keys live, beside our own answer.

use std::collections::BTreeSet;

use coremux::config::Config;
use coremux::route::Distribution;
use coremux::route::Router;
use coremux::route::RouterServer;
use coremux::route::RouterSpec;

use super::keys::keys;
use super::pools::Pool;
use super::pools::Server;
use crate::support::Client;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;

/// Keys given to a pool that draws: enough for each of five servers to turn up.
const DRAWS: usize = 300;

/// nutcracker in front of servers that know their names, and the file that it was started with.
pub struct Judge {
    proxy: Proxy,
    config: Config,
    keys: Vec<Vec<u8>>,
    /// The digest of the script that returns its server's name.
    script: String,
}

impl Judge {
    /// Starts it. `fleet` is the redis of each server; `more` is further lines of each pool.
    pub fn start(pools: &[Pool], more: &str, fleet: &[Redis], servers: &[Server]) -> Judge {
        let mut script = String::new();
        for (redis, server) in fleet.iter().zip(servers) {
            script = teach(redis, &server.name);
        }
        let proxy = Proxy::start(Program::Nutcracker, |listen| {
            pools
                .iter()
                .map(|pool| pool.yml(&listen.unix(&pool.name()), more, servers))
                .collect()
        });
        Judge {
            config: Config::read(&proxy.config_path()).unwrap(),
            proxy,
            keys: keys(),
            script,
        }
    }

    /// Compares where every key lives in `pool` while the servers in `dead` are ejected.
    pub fn compare(&self, pool: &Pool, dead: &[&str]) {
        let (router, names) = self.router(pool, dead);
        if pool.distribution == Distribution::Random {
            let homes = self.homes(pool, &self.keys[..DRAWS]);
            let homes: BTreeSet<&String> = homes.iter().collect();
            let live = names.iter().zip(router.shares());
            let live = live.filter(|(_, share)| *share > 0.0);
            let live: BTreeSet<&String> = live.map(|(name, _)| name).collect();
            assert_eq!(homes, live, "{}", pool.name());
            return;
        }
        let homes = self.homes(pool, &self.keys);
        assert_eq!(homes.len(), self.keys.len());
        for (key, home) in self.keys.iter().zip(&homes) {
            let ours = router.server(key, 0).map(|server| &names[server.index()]);
            assert_eq!(
                Some(home),
                ours,
                "{} puts the key \"{}\" elsewhere",
                pool.name(),
                key.escape_ascii(),
            );
        }
    }

    /// What we make of `pool` with the servers in `dead` ejected, and the servers' names.
    pub fn router(&self, pool: &Pool, dead: &[&str]) -> (Router, Vec<String>) {
        let name = pool.name();
        let pool = self.config.pools.iter().find(|pool| *pool.name == *name);
        let pool = pool.unwrap();
        let servers: Vec<RouterServer<'_>> = pool
            .servers
            .iter()
            .map(|server| RouterServer {
                name: &server.name,
                weight: server.weight,
                live: !dead.contains(&&*server.name),
            })
            .collect();
        let router = Router::new(&RouterSpec {
            hash: pool.mapping.hash,
            tag: pool.mapping.hash_tag,
            distribution: pool.mapping.distribution,
            servers: &servers,
        });
        let names = servers.iter().map(|server| server.name.to_owned());
        (router, names.collect())
    }

    /// A connection to `pool`.
    pub fn client(&self, pool: &Pool) -> Client {
        self.proxy.client(&pool.name())
    }

    /// What the server where `key` lives says when it is asked for its name.
    pub fn ask(&self, pool: &Pool, keys: &[Vec<u8>]) -> Vec<Reply> {
        let commands = keys
            .iter()
            .map(|key| [b"EVALSHA", self.script.as_bytes(), b"1", key.as_slice()]);
        self.client(pool).pipeline(commands)
    }

    /// The names of the servers where `keys` live.
    fn homes(&self, pool: &Pool, keys: &[Vec<u8>]) -> Vec<String> {
        let replies = self.ask(pool, keys).into_iter();
        replies
            .map(|reply| match reply {
                Reply::Bulk(name) => String::from_utf8(name).unwrap(),
                other => panic!("{}: {other:?}", pool.name()),
            })
            .collect()
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
