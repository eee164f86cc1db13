//! `route` and `ring`: where keys live, said without starting anything.
//!
//! Owns: what the two tables say. Never: asks a server; what is said holds while every configured
//! server is live.

mod columns;

use std::ffi::OsStr;
use std::io;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use self::columns::Columns;
use self::columns::field;
use crate::config::Config;
use crate::config::HostPort;
use crate::config::PoolConfig;
use crate::config::ServerAddress;
use crate::config::ServerConfig;
use crate::route::Distribution;
use crate::route::Router;
use crate::route::RouterServer;
use crate::route::RouterSpec;

/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// Writes for each pool where each of `keys` lives: pool, key, hash, server, address.
///
/// The hash is that of the part of the key that `hash_tag` leaves. A pool of one server does not
/// hash, and `distribution: random` neither hashes nor has a server for a key: both say `-`.
///
/// # Errors
///
/// Those of writing to `out`.
pub fn route<K: AsRef<OsStr>>(config: &Config, keys: &[K], out: &mut impl Write) -> io::Result<()> {
    let mut table = Columns::new(["# pool", "key", "hash", "server", "address"]);
    for pool in &config.pools {
        let router = router(pool);
        for key in keys {
            let key = key.as_ref().as_bytes();
            let server = home(pool, &router, key);
            table.row([
                field(&*pool.name),
                field(key),
                hash(pool, &router, key),
                server.map_or(NOTHING.to_owned(), |server| field(&*server.name)),
                server.map_or(NOTHING.to_owned(), |server| address(&server.address)),
            ]);
        }
    }
    table.write(out)
}

/// Writes for each pool each server's share of all 2^32 hashes, and for `ketama` every point of
/// the ring: the greatest hash that belongs to it, and whose it is.
///
/// # Errors
///
/// Those of writing to `out`.
pub fn ring(config: &Config, out: &mut impl Write) -> io::Result<()> {
    for (place, pool) in config.pools.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        let router = router(pool);
        writeln!(
            out,
            "# pool {}: {}, {}, {}, {} servers, {} points",
            field(&*pool.name),
            pool.protocol.name(),
            pool.mapping.distribution.name(),
            pool.mapping.hash.name(),
            pool.servers.len(),
            router.points().len(),
        )?;
        shares(pool, &router).write(out)?;
        if !router.points().is_empty() {
            points(pool, &router).write(out)?;
        }
    }
    Ok(())
}

/// A row for each server.
fn shares(pool: &PoolConfig, router: &Router) -> Columns<7> {
    let mut points = vec![0_u32; pool.servers.len()];
    for point in router.points() {
        points[point.server.index()] += 1;
    }
    let mut table = Columns::new([
        "# share", "pool", "server", "percent", "points", "weight", "address",
    ]);
    for ((server, share), points) in pool.servers.iter().zip(router.shares()).zip(points) {
        table.row([
            "share".to_owned(),
            field(&*pool.name),
            field(&*server.name),
            format!("{:.4}", share * 100.0),
            points.to_string(),
            server.weight.to_string(),
            address(&server.address),
        ]);
    }
    table
}

/// A row for each point, in the order of the ring.
fn points(pool: &PoolConfig, router: &Router) -> Columns<4> {
    let mut table = Columns::new(["# point", "pool", "value", "server"]);
    for point in router.points() {
        table.row([
            "point".to_owned(),
            field(&*pool.name),
            point.value.to_string(),
            field(&*pool.servers[point.server.index()].name),
        ]);
    }
    table
}

/// The pool's router with every server live.
fn router(pool: &PoolConfig) -> Router {
    let servers: Vec<RouterServer<'_>> = pool
        .servers
        .iter()
        .map(|server| RouterServer {
            name: &server.name,
            weight: server.weight,
            live: true,
        })
        .collect();
    Router::new(&RouterSpec {
        hash: pool.mapping.hash,
        tag: pool.mapping.hash_tag,
        distribution: pool.mapping.distribution,
        servers: &servers,
    })
}

/// As in the file.
fn address(address: &ServerAddress) -> String {
    match address {
        ServerAddress::Tcp(HostPort::Ip(address)) => field(address.to_string()),
        ServerAddress::Tcp(HostPort::Name { host, port }) => field(format!("{host}:{port}")),
        ServerAddress::Unix(path) => field(path.as_os_str().as_bytes()),
    }
}

/// Where `key` lives, unless that is a matter of chance.
fn home<'a>(pool: &'a PoolConfig, router: &Router, key: &[u8]) -> Option<&'a ServerConfig> {
    match &*pool.servers {
        [only] => Some(only),
        _ if pool.mapping.distribution == Distribution::Random => None,
        servers => router.server(key, 0).map(|server| &servers[server.index()]),
    }
}

/// The hash that decides where `key` lives, if one does.
fn hash(pool: &PoolConfig, router: &Router, key: &[u8]) -> String {
    if pool.servers.len() == 1 || pool.mapping.distribution == Distribution::Random {
        return NOTHING.to_owned();
    }
    router.hash_of(key).to_string()
}

#[cfg(test)]
mod tests;
