//! Which place each pool and each server has, for as long as the process lives.
//!
//! Owns: the places. A pool and a server keep theirs from one configuration to the next, and no
//! place is given twice: so a number that was written down before a reload never names another pool
//! or server afterwards, at worst one that is served no longer. Never: compares keys.

use std::collections::HashMap;
use std::num::TryFromIntError;
use std::sync::Arc;

use thiserror::Error;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::endpoint::ServerConfig;
use crate::config::file::Config;
use crate::config::keys::PoolConfig;

/// A configuration, and the place of everything in it.
#[derive(Clone, Debug)]
pub struct Table {
    config: Arc<Config>,
    // By `PoolIdx`.
    pools: Vec<PoolPlace>,
    // By position in the configuration.
    order: Vec<PoolIdx>,
}

#[derive(Clone, Debug)]
struct PoolPlace {
    // In the configuration; none if it is served no longer.
    position: Option<usize>,
    // By `ServerIdx`: the position in the pool's configuration.
    servers: Vec<Option<usize>>,
    // By position in the pool's configuration.
    order: Vec<ServerIdx>,
}

/// Places are 16 bits, and none is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this process has had 65,536 {0} in its life, and has no number for another: restart it")]
pub struct TooMany(pub &'static str);

impl From<TryFromIntError> for TooMany {
    fn from(_: TryFromIntError) -> TooMany {
        TooMany("pools or servers")
    }
}

impl Table {
    /// Places in the configuration's own order.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Table {
        let pools: Vec<PoolPlace> = (0..)
            .zip(&config.pools)
            .map(|(position, pool)| {
                let count = pool.servers.len();
                PoolPlace {
                    position: Some(position),
                    servers: (0..count).map(Some).collect(),
                    order: (0..).map(ServerIdx).take(count).collect(),
                }
            })
            .collect();
        Table {
            order: (0..).map(PoolIdx).take(pools.len()).collect(),
            config,
            pools,
        }
    }

    /// The places of another configuration: what both have keeps its own.
    ///
    /// # Errors
    ///
    /// When no place is left.
    pub fn next(&self, config: Arc<Config>) -> Result<Table, TooMany> {
        let mut next = Table {
            order: Vec::with_capacity(config.pools.len()),
            pools: self.pools.clone(),
            config,
        };
        for pool in &mut next.pools {
            pool.position = None;
            pool.servers.fill(None);
            pool.order.clear();
        }
        let matches = matches(&self.config, &next.config);
        for (position, old) in matches.into_iter().enumerate() {
            let idx = match old {
                Some(old) => self.order[old],
                None => {
                    let idx = PoolIdx(u16::try_from(next.pools.len())?);
                    next.pools.push(PoolPlace {
                        position: None,
                        servers: Vec::new(),
                        order: Vec::new(),
                    });
                    idx
                }
            };
            next.order.push(idx);
            let place = &mut next.pools[idx.index()];
            place.position = Some(position);
            let known: HashMap<&str, ServerIdx> = match old {
                Some(old) => self.servers_at(idx, &self.config.pools[old]).collect(),
                None => HashMap::new(),
            };
            for (at, server) in next.config.pools[position].servers.iter().enumerate() {
                let server = match known.get(&*server.name) {
                    Some(server) => *server,
                    None => {
                        let server = ServerIdx(u16::try_from(place.servers.len())?);
                        place.servers.push(None);
                        server
                    }
                };
                place.servers[server.index()] = Some(at);
                place.order.push(server);
            }
        }
        Ok(next)
    }

    fn servers_at<'a>(
        &'a self,
        idx: PoolIdx,
        pool: &'a PoolConfig,
    ) -> impl Iterator<Item = (&'a str, ServerIdx)> {
        let names = pool.servers.iter().map(|server| &*server.name);
        names.zip(self.pools[idx.index()].order.iter().copied())
    }

    /// What is served.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The pools that are served, in the configuration's order.
    pub fn pools(&self) -> impl Iterator<Item = (PoolIdx, &PoolConfig)> {
        self.order.iter().copied().zip(&self.config.pools)
    }

    /// The servers of a pool, in the configuration's order; none if it is served no longer.
    pub fn servers(&self, pool: PoolIdx) -> impl Iterator<Item = (ServerIdx, &ServerConfig)> {
        let servers = self.pool(pool).map_or(&[][..], |pool| &pool.servers);
        self.server_order(pool).iter().copied().zip(servers)
    }

    /// Every server that is served.
    pub fn all_servers(&self) -> impl Iterator<Item = (PoolIdx, ServerIdx, &ServerConfig)> {
        self.pools().flat_map(|(pool, _)| {
            let servers = self.servers(pool);
            servers.map(move |(server, config)| (pool, server, config))
        })
    }

    /// The places of a pool's servers, in the configuration's order.
    #[must_use]
    pub fn server_order(&self, pool: PoolIdx) -> &[ServerIdx] {
        let place = self.pools.get(pool.index());
        place.map_or(&[], |place| &place.order)
    }

    /// A pool, if it is served.
    #[must_use]
    pub fn pool(&self, pool: PoolIdx) -> Option<&PoolConfig> {
        Some(&self.config.pools[self.position(pool)?])
    }

    /// A server, if it is served.
    #[must_use]
    pub fn server(&self, pool: PoolIdx, server: ServerIdx) -> Option<&ServerConfig> {
        let (pool, server) = self.server_position(pool, server)?;
        Some(&self.config.pools[pool].servers[server])
    }

    /// Where in the configuration a pool is.
    #[must_use]
    pub fn position(&self, pool: PoolIdx) -> Option<usize> {
        self.pools.get(pool.index())?.position
    }

    /// Where in the configuration a server is: its pool, and itself within that.
    #[must_use]
    pub fn server_position(&self, pool: PoolIdx, server: ServerIdx) -> Option<(usize, usize)> {
        let place = self.pools.get(pool.index())?;
        let at = (*place.servers.get(server.index())?)?;
        Some((place.position?, at))
    }

    /// For each place of a pool, how many places it has for servers.
    pub fn places(&self) -> impl ExactSizeIterator<Item = usize> {
        self.pools.iter().map(|pool| pool.servers.len())
    }
}

/// For each pool of `new`, which of `old` it is: the one of the same name, else the one that listens
/// at the same address and has no successor of its own name.
pub(super) fn matches(old: &Config, new: &Config) -> Vec<Option<usize>> {
    let named = |pool: &PoolConfig| old.pools.iter().position(|other| other.name == pool.name);
    let is_renamed = |other: &PoolConfig| new.pools.iter().all(|pool| pool.name != other.name);
    let listening = |pool: &PoolConfig| {
        let mut pools = old.pools.iter();
        pools.position(|other| other.listen.address == pool.listen.address && is_renamed(other))
    };
    let pools = new.pools.iter();
    pools
        .map(|pool| named(pool).or_else(|| listening(pool)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pools: &[(&str, u16, &[&str])]) -> Arc<Config> {
        let mut text = String::new();
        for (name, port, servers) in pools {
            text += &format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n");
            for server in *servers {
                text += &format!("  - 127.0.0.1:1:1 {server}\n");
            }
        }
        Arc::new(Config::parse(&text, "test.yml").expect("a good configuration"))
    }

    fn names(table: &Table) -> Vec<(u16, String)> {
        let all = table.all_servers();
        all.map(|(pool, server, config)| {
            let name = &table.pool(pool).expect("it is served").name;
            (pool.0, format!("{name}/{}{}", config.name, server.0))
        })
        .collect()
    }

    #[test]
    fn what_both_configurations_have_keeps_its_place_and_no_place_is_given_twice() {
        let first = Table::new(config(&[("a", 1, &["s", "u"]), ("b", 2, &["x"])]));
        let second = first
            .next(config(&[("a", 1, &["r", "u"]), ("c", 3, &["x"])]))
            .expect("places are left");
        let expected = [(0, "a/r2"), (0, "a/u1"), (2, "c/x0")];
        assert_eq!(names(&second), expected.map(|(p, s)| (p, s.to_owned())));
        assert_eq!(second.pool(PoolIdx(1)), None, "b is served no longer");
        assert_eq!(second.server(PoolIdx(0), ServerIdx(0)), None);
        assert_eq!(second.places().collect::<Vec<_>>(), [3, 1, 1]);
        let third = second
            .next(config(&[("a", 1, &["s"]), ("b", 2, &["x"])]))
            .expect("places are left");
        let expected = [(0, "a/s3"), (3, "b/x0")];
        assert_eq!(names(&third), expected.map(|(p, s)| (p, s.to_owned())));
        assert_eq!(third.position(PoolIdx(3)), Some(1));
        assert_eq!(
            third.server_position(PoolIdx(0), ServerIdx(3)),
            Some((0, 0))
        );
    }

    #[test]
    fn a_pool_of_another_name_at_the_same_address_is_the_same_pool() {
        let first = Table::new(config(&[("a", 1, &["s"]), ("b", 2, &["s"])]));
        let swapped = first
            .next(config(&[("a", 2, &["s"]), ("b", 1, &["s"])]))
            .expect("places are left");
        let expected = [(0, "a/s0"), (1, "b/s0")];
        assert_eq!(names(&swapped), expected.map(|(p, s)| (p, s.to_owned())));
        let renamed = first
            .next(config(&[("b", 2, &["s"]), ("z", 1, &["s"])]))
            .expect("places are left");
        let expected = [(1, "b/s0"), (0, "z/s0")];
        assert_eq!(names(&renamed), expected.map(|(p, s)| (p, s.to_owned())));
    }
}
