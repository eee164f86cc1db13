//! What finding a command's row and a request's keys costs: both are on every request's path.

use std::hint::black_box;

use coremux::protocol::command::lookup;
use coremux::protocol::command::resolve;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;

fn lookups(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    for name in [
        "GET",
        "set",
        "MSET",
        "HGETALL",
        "ZRANGEBYSCORE",
        "GEORADIUSBYMEMBER_RO",
        "NOPE",
    ] {
        group.bench_function(name, |b| b.iter(|| lookup(black_box(name.as_bytes()))));
    }
    // Names that the branch predictor cannot learn by heart.
    let mix = [
        "GET", "SET", "HSET", "EXPIRE", "ZADD", "INCR", "lpush", "MGET", "del", "XADD",
    ];
    let mut at = 0_usize;
    group.bench_function("mixed", |b| {
        b.iter(|| {
            at = at.wrapping_mul(5).wrapping_add(1) % 1024;
            lookup(black_box(mix[at % mix.len()].as_bytes()))
        });
    });
    group.finish();
}

fn keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("resolve, handling and keys");
    for request in [
        "GET key:1",
        "SET key:1 value EX 100",
        "MGET a b c d e f g h i j",
        "OBJECT ENCODING key:1",
        "ZUNIONSTORE d 3 a b c WEIGHTS 1 2 3",
        "XREAD COUNT 10 STREAMS a b 0 0",
    ] {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let args = args.as_slice();
        group.bench_function(request, |b| {
            b.iter(|| {
                let args = black_box(args);
                let command = resolve(args).ok()?;
                black_box(command.handling(args));
                Some(command.keys(args).ok()?.iter().sum::<usize>())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, lookups, keys);
criterion_main!(benches);
