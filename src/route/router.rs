//! A pool's way from a key to a server.
//!
//! Owns: the pool's hash, tag and table of live servers. Never: changes after it is built; who is
//! live is its builder's decision, and another decision is another router. The same arguments
//! always give the same server.

use std::num::NonZeroU32;

use super::Continuum;
use super::Distribution;
use super::Hash;
use super::HashTag;
use super::Point;
use super::modula::Modula;
use crate::base::ServerIdx;

/// What a [`Router`] is built from.
#[derive(Clone, Copy, Debug)]
pub struct RouterSpec<'a> {
    /// What makes 32 bits of a key.
    pub hash: Hash,
    /// Which part of a key is hashed; `None` is all of it.
    pub tag: Option<HashTag>,
    /// How the 32 bits choose a server.
    pub distribution: Distribution,
    /// Every configured server, live or not, in twemproxy's order ([`super::order()`]); a
    /// [`ServerIdx`] counts in it. At most 65,535.
    pub servers: &'a [RouterServer<'a>],
}

/// One configured server, as far as keys are concerned.
#[derive(Clone, Copy, Debug)]
pub struct RouterServer<'a> {
    /// Its place on the ring: the configured name, or twemproxy's text without one.
    pub name: &'a str,
    /// Its part of the keys, in proportion to the other live servers'.
    pub weight: NonZeroU32,
    /// False while it is ejected: no key goes there.
    pub live: bool,
}

/// Key → server for one pool and one set of live servers.
#[derive(Clone, Debug)]
pub struct Router {
    hash: Hash,
    tag: Option<HashTag>,
    table: Table,
    servers: usize,
}

#[derive(Clone, Debug)]
enum Table {
    /// Nobody is live.
    Empty,
    /// One server is configured, and live: keys are not looked at.
    One,
    Ring(Continuum),
    Modula(Modula),
    /// The live servers.
    Random(Box<[ServerIdx]>),
}

impl Router {
    /// Builds the pool's table: for ketama an MD5 digest for every four points and a sort, about a
    /// millisecond for 50 servers.
    ///
    /// # Panics
    ///
    /// If there are more servers than a [`ServerIdx`] can count.
    #[must_use]
    pub fn new(spec: &RouterSpec<'_>) -> Router {
        assert!(
            spec.servers.len() <= usize::from(u16::MAX),
            "a pool has at most 65,535 servers"
        );
        Router {
            hash: spec.hash,
            tag: spec.tag,
            table: Table::new(spec),
            servers: spec.servers.len(),
        }
    }

    /// Where `key` lives; `None` when no server is live.
    ///
    /// `random` is the caller's draw, used only by [`Distribution::Random`].
    #[must_use]
    #[inline]
    pub fn server(&self, key: &[u8], random: u32) -> Option<ServerIdx> {
        match &self.table {
            Table::Empty => None,
            Table::One => Some(ServerIdx(0)),
            Table::Ring(ring) => Some(ring.server(self.hash_of(key))),
            Table::Modula(modula) => Some(modula.server(self.hash_of(key))),
            Table::Random(live) => Some(live[random as usize % live.len()]),
        }
    }

    /// The same where no draw is used; `None` with [`Distribution::Random`], too.
    #[must_use]
    #[inline]
    pub fn home(&self, key: &[u8]) -> Option<ServerIdx> {
        match &self.table {
            Table::Empty | Table::Random(_) => None,
            Table::One => Some(ServerIdx(0)),
            Table::Ring(ring) => Some(ring.server(self.hash_of(key))),
            Table::Modula(modula) => Some(modula.server(self.hash_of(key))),
        }
    }

    /// The hash of the part of `key` that counts, as [`Distribution::Ketama`] and
    /// [`Distribution::Modula`] use it when more than one server is configured.
    #[must_use]
    #[inline]
    pub fn hash_of(&self, key: &[u8]) -> u32 {
        let part = match self.tag {
            Some(tag) => tag.hashed_part(key),
            None => key,
        };
        self.hash.hash(part)
    }

    /// The ring in its order; empty for the other distributions, and for a pool of one server,
    /// which needs none.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        match &self.table {
            Table::Ring(ring) => ring.points(),
            _ => &[],
        }
    }

    /// Each configured server's share of the 2^32 possible hashes, 0 to 1, by [`ServerIdx`]; for
    /// [`Distribution::Random`], of the draws. The sum is 1 unless nobody is live.
    ///
    /// It is the share of *keys* only where the hash fills 32 bits evenly: `crc32` has 15 bits, and
    /// a short key's `crc16` has as few as 16.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "a count of hashes is at most 2^32, which f64 holds exactly"
    )]
    pub fn shares(&self) -> Vec<f64> {
        const HASHES: f64 = (1_u64 << 32) as f64;
        let hashes = match &self.table {
            Table::Empty => vec![0; self.servers],
            Table::One => return vec![1.0],
            Table::Ring(ring) => ring.hashes_of_each(self.servers),
            Table::Modula(modula) => modula.hashes_of_each(self.servers),
            Table::Random(live) => {
                let mut shares = vec![0.0; self.servers];
                for server in live {
                    shares[server.index()] = 1.0 / live.len() as f64;
                }
                return shares;
            }
        };
        hashes.iter().map(|&count| count as f64 / HASHES).collect()
    }
}

impl Table {
    fn new(spec: &RouterSpec<'_>) -> Table {
        // Configured, not live: a pool of two with one ejected hashes still, and it is the same.
        if let [only] = spec.servers {
            return if only.live { Table::One } else { Table::Empty };
        }
        match spec.distribution {
            Distribution::Ketama => Continuum::new(spec.servers).map(Table::Ring),
            Distribution::Modula => Modula::new(spec.servers).map(Table::Modula),
            Distribution::Random => random(spec.servers).map(Table::Random),
        }
        .unwrap_or(Table::Empty)
    }
}

/// The live servers, whatever they weigh (twemproxy: `src/hashkit/nc_random.c`).
fn random(servers: &[RouterServer<'_>]) -> Option<Box<[ServerIdx]>> {
    let live: Box<[ServerIdx]> = servers
        .iter()
        .zip(0..)
        .filter(|(server, _)| server.live)
        .map(|(_, index)| ServerIdx(index))
        .collect();
    (!live.is_empty()).then_some(live)
}

#[cfg(test)]
mod tests;
