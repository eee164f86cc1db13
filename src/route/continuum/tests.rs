use std::num::NonZeroU32;

use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::Continuum;
use super::RouterServer;
use super::digests;
use super::points_of_digest;
use crate::base::ServerIdx;

/// Names and weights.
type Weighted<'a> = &'a [(&'a str, u32)];

fn weight(weight: u32) -> NonZeroU32 {
    NonZeroU32::new(weight).unwrap()
}

fn ring(servers: Weighted<'_>) -> Continuum {
    let servers: Vec<_> = servers
        .iter()
        .map(|&(name, w)| RouterServer {
            name,
            weight: weight(w),
            live: true,
        })
        .collect();
    Continuum::new(&servers).unwrap()
}

/// How many points each server has, by its index.
fn counts(ring: &Continuum, servers: usize) -> Vec<usize> {
    let mut counts = vec![0; servers];
    for point in ring.points() {
        counts[point.server.index()] += 1;
    }
    counts
}

#[test]
fn a_digest_s_words_are_twemproxy_s_ketama_hash() {
    // twemproxy: src/test_all.c
    let points = points_of_digest("server1", 8);
    assert_eq!((points[0], points[3]), (3_853_726_576, 2_667_054_752));
}

#[test]
fn rings_start_where_twemproxy_s_start() {
    let fixtures: [(Weighted<'_>, usize, u32, u16); 4] = [
        (
            &[
                ("server1", 1),
                ("server2", 1),
                ("server3", 1),
                ("server4", 1),
            ],
            640,
            9_796_559,
            2,
        ),
        (
            &[
                ("127.0.0.1:6379", 1),
                ("127.0.0.1:6380", 1),
                ("127.0.0.1:6381", 1),
            ],
            480,
            20_075_150,
            0,
        ),
        (&[("10.0.0.1", 1), ("10.0.0.2", 1)], 320, 18_272_749, 1),
        (&[("a", 1), ("b", 2), ("c", 3)], 480, 500_562, 2),
    ];
    for (servers, points, value, server) in fixtures {
        let ring = ring(servers);
        assert_eq!(ring.points().len(), points, "{servers:?}");
        assert_eq!(ring.points()[0].value, value, "{servers:?}");
        assert_eq!(ring.points()[0].server, ServerIdx(server), "{servers:?}");
        assert!(ring.points().is_sorted_by_key(|point| point.value));
    }
}

#[test]
fn single_precision_takes_four_points_at_the_pool_sizes_where_twemproxy_loses_them() {
    let short: Vec<usize> = (1..=209)
        .filter(|&n| match digests(weight(1), n as u64, n) {
            40 => false,
            39 => true,
            other => panic!("{n} servers have {other} digests each"),
        })
        .collect();
    assert_eq!(
        short,
        [
            25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122, 142, 159, 163, 188, 193, 200,
            209
        ]
    );
}

#[test]
fn weights_scale_points_in_single_precision() {
    assert_eq!(4 * digests(weight(29), 30, 3), 460);
    assert_eq!(4 * digests(weight(1), 25, 5), 28);
    let ring = ring(&[("a", 100_000), ("b", 1)]);
    assert_eq!(counts(&ring, 2), [316, 0]);
    assert_eq!(ring.hashes_of_each(2), [1 << 32, 0]);
}

#[test]
fn point_counts_are_those_of_twemproxy_s_expression_in_c() {
    // The sum is what the expression in ketama_update gave, compiled by gcc for x86-64, in the
    // same loops.
    let mut sum = 0_u64;
    for own in 1..=100 {
        for total in u64::from(own)..=300 {
            for live in 2..=12 {
                let count = u64::from(digests(weight(own), total, live));
                sum = sum.wrapping_mul(31).wrapping_add(count);
            }
        }
    }
    assert_eq!(sum, 13_834_311_231_613_574_023);
}

#[test]
fn a_label_longer_than_twemproxy_s_buffer_is_cut() {
    let full = "n".repeat(272);
    assert_eq!(points_of_digest(&full, 0), points_of_digest(&full, 39));
    // Room for the dash and one digit of the number.
    let nearly = "n".repeat(270);
    assert_ne!(points_of_digest(&nearly, 0), points_of_digest(&nearly, 1));
    assert_eq!(points_of_digest(&nearly, 1), points_of_digest(&nearly, 19));
}

#[test]
fn the_ring_ends_where_it_begins() {
    let ring = ring(&[("server1", 1), ("server2", 1), ("server3", 1)]);
    let first = ring.points()[0];
    let last = ring.points()[ring.points().len() - 1];
    assert_eq!(ring.server(0), first.server);
    assert_eq!(ring.server(first.value), first.server);
    assert_eq!(ring.server(last.value), last.server);
    assert_eq!(ring.server(last.value + 1), first.server);
    assert_eq!(ring.server(u32::MAX), first.server);
}

#[test]
fn a_ring_of_ejected_servers_has_no_point() {
    let ejected = RouterServer {
        name: "a",
        weight: weight(1),
        live: false,
    };
    assert!(Continuum::new(&[ejected, ejected]).is_none());
    assert!(Continuum::new(&[]).is_none());
}

/// twemproxy's search, without its speed.
fn by_definition(ring: &Continuum, hash: u32) -> ServerIdx {
    ring.points()
        .iter()
        .find(|point| point.value >= hash)
        .unwrap_or(&ring.points()[0])
        .server
}

proptest! {
    #[test]
    fn the_search_finds_the_first_point_not_below_the_hash(
        weights in prop::collection::vec(1_u32..50, 1..12),
        hashes in prop::collection::vec(any::<u32>(), 50),
    ) {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("s{i}")).collect();
        let servers: Vec<(&str, u32)> =
            names.iter().map(String::as_str).zip(weights).collect();
        let ring = ring(&servers);
        let edges = ring.points().iter().flat_map(|point| {
            [point.value.wrapping_sub(1), point.value, point.value.wrapping_add(1)]
        });
        for hash in edges.step_by(31).chain(hashes).chain([0, u32::MAX]) {
            prop_assert_eq!(ring.server(hash), by_definition(&ring, hash));
        }
    }

    #[test]
    fn a_point_owns_the_hashes_up_to_it_and_the_owners_hold_them_all(
        weights in prop::collection::vec(1_u32..50, 1..20),
    ) {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("s{i}")).collect();
        let servers: Vec<(&str, u32)> =
            names.iter().map(String::as_str).zip(weights).collect();
        let ring = ring(&servers);
        let mut expected = vec![0_u64; servers.len()];
        let mut below = -1_i64;
        for point in ring.points() {
            expected[point.server.index()] +=
                u64::try_from(i64::from(point.value) - below).unwrap();
            below = i64::from(point.value);
        }
        expected[ring.points()[0].server.index()] +=
            u64::try_from(i64::from(u32::MAX) - below).unwrap();
        prop_assert_eq!(expected.iter().sum::<u64>(), 1 << 32);
        prop_assert_eq!(ring.hashes_of_each(servers.len()), expected);
    }
}
