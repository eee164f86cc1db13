//! What it costs to find a key's server.
//!
//! `cargo bench --bench route`
#![allow(missing_docs, reason = "criterion_main makes the items")]

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;

use coremux::route::Distribution;
use coremux::route::Hash;
use coremux::route::HashTag;
use coremux::route::Router;
use coremux::route::RouterServer;
use coremux::route::RouterSpec;

/// Enough keys that no branch predictor learns where they lie.
const KEYS: usize = 4096;

/// Different keys of one length.
fn keys(length: usize) -> Vec<Vec<u8>> {
    (0..KEYS)
        .map(|i| {
            let number = i.wrapping_mul(2_654_435_761) % 10_usize.pow(8);
            let mut key = format!("{number:08}").into_bytes();
            while key.len() < length {
                key.insert(0, b'k');
            }
            key
        })
        .collect()
}

fn router(servers: usize, distribution: Distribution, tag: Option<HashTag>) -> Router {
    let names: Vec<String> = (1..=servers).map(|i| format!("server{i}")).collect();
    let servers: Vec<RouterServer<'_>> = names
        .iter()
        .map(|name| RouterServer {
            name,
            weight: NonZeroU32::MIN,
            live: true,
        })
        .collect();
    Router::new(&RouterSpec {
        hash: Hash::Fnv1a64,
        tag,
        distribution,
        servers: &servers,
    })
}

fn hashes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash");
    for length in [8, 16, 64] {
        let keys = keys(length);
        for &hash in Hash::ALL {
            let mut next = keys.iter().cycle();
            group.bench_function(BenchmarkId::new(hash.name(), length), |bencher| {
                bencher.iter(|| next.next().map(|key| black_box(hash).hash(key)));
            });
        }
    }
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("server");
    let keys = keys(16);
    let tag = HashTag {
        open: b'{',
        close: b'}',
    };
    for servers in [2, 5, 50] {
        for (label, distribution, tag) in [
            ("ketama", Distribution::Ketama, None),
            ("ketama, tag", Distribution::Ketama, Some(tag)),
            ("modula", Distribution::Modula, None),
            ("random", Distribution::Random, None),
        ] {
            let router = router(servers, distribution, tag);
            let mut next = keys.iter().cycle();
            group.bench_function(BenchmarkId::new(label, servers), |bencher| {
                bencher.iter(|| next.next().map(|key| black_box(&router).server(key, 7)));
            });
        }
    }
}

/// An ejection builds a pool's router anew.
fn builds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    for servers in [2, 5, 50] {
        group.bench_function(BenchmarkId::new("ketama", servers), |bencher| {
            bencher.iter(|| router(black_box(servers), Distribution::Ketama, None));
        });
    }
}

criterion_group!(benches, hashes, lookups, builds);
criterion_main!(benches);
