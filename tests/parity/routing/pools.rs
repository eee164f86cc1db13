//! Pools and servers as a configuration file has them.

use coremux::route::Distribution;
use coremux::route::Hash;
use coremux::route::HashTag;

use crate::support::Redis;

pub const BRACES: HashTag = HashTag {
    open: b'{',
    close: b'}',
};
pub const DOLLARS: HashTag = HashTag {
    open: b'$',
    close: b'$',
};

/// A server as a configuration file has it.
pub struct Server {
    /// The entry in `servers:`.
    pub entry: String,
    /// What that entry makes of it on the ring, by twemproxy's rules.
    pub name: String,
}

/// One pool's settings.
#[derive(Clone, Copy)]
pub struct Pool {
    pub hash: Hash,
    pub distribution: Distribution,
    pub tag: Option<HashTag>,
}

impl Pool {
    /// One for every hash, distribution and tag.
    pub fn every() -> Vec<Pool> {
        let mut pools = Vec::new();
        for &hash in Hash::ALL {
            for &distribution in Distribution::ALL {
                for tag in [None, Some(BRACES), Some(DOLLARS)] {
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

    /// Says all of it.
    pub fn name(&self) -> String {
        let tag = match self.tag {
            None => "whole",
            Some(DOLLARS) => "dollars",
            Some(_) => "braces",
        };
        format!("{}-{}-{tag}", self.hash.name(), self.distribution.name())
    }

    /// The pool's part of a configuration file.
    pub fn yml(&self, listen: &str, more: &str, servers: &[Server]) -> String {
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
}

/// As many servers.
pub fn fleet(size: usize) -> Vec<Redis> {
    (0..size).map(|_| Redis::start()).collect()
}

/// Servers by address, without names.
pub fn unnamed(fleet: &[Redis], weights: &[u32]) -> Vec<Server> {
    fleet
        .iter()
        .zip(weights)
        .map(|(redis, &weight)| Server {
            entry: format!("{}:{weight}", redis.address()),
            name: redis.address().to_string(),
        })
        .collect()
}

/// Servers by address, with names.
pub fn named(fleet: &[Redis], names: &[&str], weights: &[u32]) -> Vec<Server> {
    fleet
        .iter()
        .zip(names)
        .zip(weights)
        .map(|((redis, &name), &weight)| Server {
            entry: format!("{}:{weight} {name}", redis.address()),
            name: name.to_owned(),
        })
        .collect()
}
