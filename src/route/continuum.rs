//! ketama's ring: a sorted circle of points, each owned by a server.
//!
//! Owns: which points a pool has, to the bit of twemproxy's 32-bit floats, and the search for the
//! point of a hash. Never: hashes a key. twemproxy: `src/hashkit/nc_ketama.c`.

use std::num::NonZeroU32;

use md5::Digest;
use md5::Md5;

use super::router::RouterServer;
use crate::base::ServerIdx;

/// Points of a server whose weight is the average.
const POINTS_PER_SERVER: f32 = 160.0;
/// One MD5 digest is four points.
const POINTS_PER_DIGEST: f32 = 4.0;
/// What twemproxy's buffer holds of `<name>-<number>`: the rest is not hashed, so that a name that
/// fills it has the same four points again and again (`KETAMA_MAX_HOSTLEN` is 273).
const LABEL_BYTES_MAX: usize = 272;

/// A place on the ring: hashes up to `value`, and above the point before, belong to `server`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The last hash that belongs to this point.
    pub value: u32,
    /// Whose point it is.
    pub server: ServerIdx,
}

/// The ring of one pool's live servers; at least one point.
///
/// A search does not halve the ring ten times: the top bits of a hash lead through a table to the
/// first point that can be right, which it is or stands next to. That takes a quarter of the time
/// (`cargo bench --bench route`).
#[derive(Clone, Debug)]
pub struct Continuum {
    /// Sorted by value, then server. One more than the ring has: the last belongs to the first
    /// point's server and has the greatest value, so that every search ends, and wraps, there.
    points: Box<[Point]>,
    /// For each value of the top bits, the place of the first point not below its lowest hash.
    first: Box<[u32]>,
    /// How far a hash is shifted to leave those top bits.
    shift: u32,
}

impl Continuum {
    /// The ring of the servers that are live, in twemproxy's order; `None` if it has no point.
    pub(super) fn new(servers: &[RouterServer<'_>]) -> Option<Continuum> {
        let mut points = points(servers);
        // A stable sort, as glibc's qsort is: equal values stay in the order of their servers.
        points.sort_by_key(|point| point.value);
        points.push(Point {
            value: u32::MAX,
            server: points.first()?.server,
        });
        // One entry a point or two: measured, the search is hardly faster with more, and the tables
        // of many pools share the cache with everything else. 2^20 of them are 4 MiB.
        let bits = (points.len().ilog2() + 1).min(20);
        let shift = u32::BITS - bits;
        let first = (0..1_u32 << bits)
            .map(|top| points.partition_point(|point| point.value < top << shift))
            .map(|place| u32::try_from(place).expect("a ring has fewer than 2^32 points"))
            .collect();
        Some(Continuum {
            points: points.into(),
            first,
            shift,
        })
    }

    /// The owner of the first point not below `hash`, or of the ring's first point.
    #[must_use]
    #[inline]
    pub fn server(&self, hash: u32) -> ServerIdx {
        let mut place = self.first[(hash >> self.shift) as usize] as usize;
        while self.points[place].value < hash {
            place += 1;
        }
        self.points[place].server
    }

    /// The points in the order of the ring.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points[..self.points.len() - 1]
    }

    /// How many of the 2^32 hashes belong to each of `servers` servers.
    pub(super) fn hashes_of_each(&self, servers: usize) -> Vec<u64> {
        let mut hashes = vec![0; servers];
        let mut from = 0;
        for point in &self.points {
            // The point that closes the ring leaves nothing behind a real one of its value.
            let end = u64::from(point.value) + 1;
            hashes[point.server.index()] += end - from;
            from = end;
        }
        hashes
    }
}

/// Every point of every live server, servers in their order.
fn points(servers: &[RouterServer<'_>]) -> Vec<Point> {
    let live = servers.iter().filter(|server| server.live).count();
    let weight = servers
        .iter()
        .filter(|server| server.live)
        .map(|server| u64::from(server.weight.get()))
        .sum();
    let mut points = Vec::new();
    for (server, index) in servers.iter().zip(0..) {
        if server.live {
            for number in 0..digests(server.weight, weight, live) {
                points.extend(points_of_digest(server.name, number).map(|value| Point {
                    value,
                    server: ServerIdx(index),
                }));
            }
        }
    }
    points
}

/// How many digests of four points a server of `weight` has among `live` servers that weigh
/// `total`.
///
/// Single precision is part of the rule: 25 servers of one weight have 156 points each, not 160.
fn digests(weight: NonZeroU32, total: u64, live: usize) -> u32 {
    let share = weight.get() as f32 / total as f32;
    let digests = share * POINTS_PER_SERVER / POINTS_PER_DIGEST * live as f32;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "twemproxy's: to double, a little more, back to float, cut"
    )]
    let digests = (f64::from(digests) + 1e-10) as f32 as u32;
    digests
}

/// The four points that a server's name and a number make: the digest's words.
fn points_of_digest(name: &str, number: u32) -> [u32; 4] {
    let mut label = format!("{name}-{number}").into_bytes();
    label.truncate(LABEL_BYTES_MAX);
    let digest = <[u8; 16]>::from(Md5::digest(&label));
    [0, 4, 8, 12]
        .map(|at| u32::from_le_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]))
}

#[cfg(test)]
mod tests;
