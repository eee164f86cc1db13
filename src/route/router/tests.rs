use std::num::NonZeroU32;

use proptest::prelude::any;
use proptest::prelude::prop;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::Distribution;
use super::Hash;
use super::HashTag;
use super::Router;
use super::RouterServer;
use super::RouterSpec;
use crate::base::ServerIdx;

const TAG: HashTag = HashTag {
    open: b'{',
    close: b'}',
};

fn server(name: &str, weight: u32) -> RouterServer<'_> {
    RouterServer {
        name,
        weight: NonZeroU32::new(weight).unwrap(),
        live: true,
    }
}

fn ejected(name: &str, weight: u32) -> RouterServer<'_> {
    RouterServer {
        live: false,
        ..server(name, weight)
    }
}

fn router(distribution: Distribution, servers: &[RouterServer<'_>]) -> Router {
    Router::new(&RouterSpec {
        hash: Hash::Fnv1a64,
        tag: None,
        distribution,
        servers,
    })
}

#[test]
fn keys_land_where_twemproxy_s_rings_put_them() {
    let keys = ["apple", "foo", "bar", "key:1", "user:1000"];
    let fixtures: [(&[RouterServer<'_>], [&str; 5]); 4] = [
        (
            &["server1", "server2", "server3", "server4"].map(|name| server(name, 1)),
            ["server1", "server1", "server4", "server3", "server1"],
        ),
        (
            &["127.0.0.1:6379", "127.0.0.1:6380", "127.0.0.1:6381"].map(|name| server(name, 1)),
            [
                "127.0.0.1:6379",
                "127.0.0.1:6381",
                "127.0.0.1:6379",
                "127.0.0.1:6380",
                "127.0.0.1:6381",
            ],
        ),
        (
            &["10.0.0.1", "10.0.0.2"].map(|name| server(name, 1)),
            ["10.0.0.2", "10.0.0.2", "10.0.0.1", "10.0.0.1", "10.0.0.1"],
        ),
        (
            &[server("a", 1), server("b", 2), server("c", 3)],
            ["c", "c", "b", "c", "a"],
        ),
    ];
    for (servers, expected) in fixtures {
        let router = router(Distribution::Ketama, servers);
        let names = keys.map(|key| servers[router.server(key.as_bytes(), 0).unwrap().index()].name);
        assert_eq!(names, expected);
    }
}

#[test]
fn modula_repeats_a_server_as_often_as_it_weighs() {
    let servers = [server("a", 1), server("b", 2), server("c", 3)];
    let router = router(Distribution::Modula, &servers);
    let owners = [0, 1, 1, 2, 2, 2].map(ServerIdx);
    for i in 0..1000_u32 {
        let key = i.to_string();
        let hash = Hash::Fnv1a64.hash(key.as_bytes());
        let expected = owners[usize::try_from(hash % 6).unwrap()];
        assert_eq!(router.server(key.as_bytes(), i), Some(expected));
    }
}

#[test]
fn a_tag_gathers_keys_in_every_hashing_distribution() {
    let servers = ["a", "b", "c", "d", "e"].map(|name| server(name, 1));
    for distribution in [Distribution::Ketama, Distribution::Modula] {
        let router = Router::new(&RouterSpec {
            hash: Hash::Murmur,
            tag: Some(TAG),
            distribution,
            servers: &servers,
        });
        let home = router.server(b"1000", 0);
        for i in 0..100 {
            let key = format!("user:{{1000}}:{i}");
            assert_eq!(router.server(key.as_bytes(), 0), home);
            assert_eq!(router.hash_of(key.as_bytes()), Hash::Murmur.hash(b"1000"));
        }
    }
}

#[test]
fn an_ejected_server_gets_no_key_and_changes_the_points_of_the_others() {
    let all = [server("a", 1), server("b", 3), server("c", 1)];
    let left = [server("a", 1), ejected("b", 3), server("c", 1)];
    let alone = [server("a", 1), server("c", 1)];
    for &distribution in Distribution::ALL {
        let (before, after) = (router(distribution, &all), router(distribution, &left));
        let without = router(distribution, &alone);
        for i in 0..1000_u32 {
            let key = i.to_string();
            assert!(before.server(key.as_bytes(), i).is_some());
            // As if it were not configured, but for the index.
            let renumbered = without
                .server(key.as_bytes(), i)
                .map(|server| ServerIdx(server.0 * 2));
            assert_eq!(after.server(key.as_bytes(), i), renumbered);
        }
    }
    // Points follow the live servers' number and weight: 96 of 480 became 160 of 320.
    let points = |servers: &[RouterServer<'_>]| {
        let router = router(Distribution::Ketama, servers);
        let of_a = router.points().iter().filter(|p| p.server.0 == 0).count();
        (of_a, router.points().len())
    };
    assert_eq!((points(&all), points(&left)), ((96, 480), (160, 320)));
}

#[test]
fn one_configured_server_has_every_key_while_it_is_live() {
    for &distribution in Distribution::ALL {
        let one = router(distribution, &[server("a", 1)]);
        assert_eq!(one.server(b"any", 7), Some(ServerIdx(0)));
        assert_eq!(one.server(b"", 7), Some(ServerIdx(0)));
        assert_eq!(one.shares(), [1.0]);
        assert!(one.points().is_empty());
        let none = router(distribution, &[ejected("a", 1)]);
        assert_eq!(none.server(b"any", 7), None);
        assert_eq!(none.shares(), [0.0]);
    }
}

#[test]
fn nobody_live_is_no_server() {
    for &distribution in Distribution::ALL {
        let router = router(distribution, &[ejected("a", 1), ejected("b", 1)]);
        assert_eq!(router.server(b"key", 3), None);
        assert_eq!(router.shares(), [0.0, 0.0]);
        assert!(router.points().is_empty());
    }
}

#[test]
fn an_empty_key_goes_to_the_first_point_or_remainder() {
    let servers = [
        server("server1", 1),
        server("server2", 1),
        server("server3", 1),
    ];
    let ring = router(Distribution::Ketama, &servers);
    assert_eq!(ring.server(b"", 0), Some(ring.points()[0].server));
    let modula = router(Distribution::Modula, &servers);
    assert_eq!(modula.server(b"", 0), Some(ServerIdx(0)));
}

#[test]
fn random_reaches_every_live_server_and_no_other_whatever_they_weigh() {
    let servers = [server("a", 1), ejected("b", 1), server("c", 1000)];
    let router = router(Distribution::Random, &servers);
    for draw in 0..100 {
        let expected = ServerIdx(if draw % 2 == 0 { 0 } else { 2 });
        assert_eq!(router.server(b"key", draw), Some(expected));
    }
    assert_eq!(router.shares(), [0.5, 0.0, 0.5]);
}

#[test]
fn modula_shares_count_the_remainder_of_two_to_the_32() {
    let servers = [server("a", 1), server("b", 1), server("c", 1)];
    let shares = router(Distribution::Modula, &servers).shares();
    // 2^32 = 3 * 1431655765 + 1: the first server has one hash more.
    assert_eq!(shares[0] * 4_294_967_296.0, 1_431_655_766.0);
    assert_eq!(shares[1] * 4_294_967_296.0, 1_431_655_765.0);
    assert_eq!(shares[2], shares[1]);
}

proptest! {
    #[test]
    fn a_key_always_lands_on_a_live_server_and_the_shares_add_up(
        weights in prop::collection::vec((1_u32..1000, any::<bool>()), 1..30),
        key in prop::collection::vec(any::<u8>(), 0..40),
        draw in any::<u32>(),
    ) {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("s{i}")).collect();
        let servers: Vec<_> = names
            .iter()
            .zip(&weights)
            .map(|(name, &(weight, live))| RouterServer { live, ..server(name, weight) })
            .collect();
        let anybody = servers.iter().any(|server| server.live);
        for &distribution in Distribution::ALL {
            let router = router(distribution, &servers);
            let home = router.server(&key, draw);
            prop_assert_eq!(home.is_some(), anybody);
            prop_assert!(home.is_none_or(|home| servers[home.index()].live));
            let shares = router.shares();
            prop_assert_eq!(shares.len(), servers.len());
            let sum: f64 = shares.iter().sum();
            prop_assert!((sum - f64::from(u8::from(anybody))).abs() < 1e-12);
            for (share, server) in shares.iter().zip(&servers) {
                prop_assert!(server.live || *share == 0.0);
            }
        }
    }
}
