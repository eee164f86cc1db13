//! What finding the end of a frame costs: each byte that passes the proxy is looked at once here.
//!
//! `cargo bench --bench frame`
#![allow(missing_docs, reason = "criterion_main makes the items")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark of frames that are not cut measures nothing"
)]

use std::hint::black_box;

use bytes::Bytes;
use coremux::base::Spare;
use coremux::protocol::Version;
use coremux::protocol::resp::ReplyAssembly;
use coremux::protocol::resp::RequestAssembly;
use coremux::protocol::resp::cut_reply;
use coremux::protocol::resp::cut_request;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;

/// What one receive brings while a large value arrives.
const PIECE_BYTES: usize = 16 << 10;

/// `*2\r\n$3\r\nGET\r\n…` of its arguments.
fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", args.len()).into_bytes();
    args.iter().for_each(|arg| push_bulk(arg, &mut frame));
    frame
}

fn push_bulk(bytes: &[u8], frame: &mut Vec<u8>) {
    frame.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    frame.extend_from_slice(bytes);
    frame.extend_from_slice(b"\r\n");
}

fn pieces(frame: &[u8]) -> Vec<Bytes> {
    frame
        .chunks(PIECE_BYTES)
        .map(Bytes::copy_from_slice)
        .collect()
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut request");
    let keys: Vec<String> = (0..100).map(|i| format!("key:{i:012}")).collect();
    let mut mget: Vec<&[u8]> = vec![b"MGET"];
    mget.extend(keys.iter().map(String::as_bytes));
    for (name, frame) in [
        ("GET", request(&[b"GET", b"key:000000000001"])),
        (
            "SET of 32 bytes",
            request(&[b"SET", b"key:000000000001", &[b'v'; 32]]),
        ),
        ("MGET of 100 keys", request(&mget)),
    ] {
        group.throughput(Throughput::Bytes(frame.len() as u64));
        let mut args = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let used = cut_request(black_box(&frame), &mut args).unwrap().unwrap();
                assert_eq!(used, frame.len());
            });
        });
    }
}

fn replies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut reply");
    let (mut bulk, mut array) = (Vec::new(), b"*100\r\n".to_vec());
    push_bulk(&[b'v'; 32], &mut bulk);
    (0..100).for_each(|_| push_bulk(&[b'v'; 32], &mut array));
    for (name, frame) in [
        ("OK", b"+OK\r\n".to_vec()),
        ("bulk of 32 bytes", bulk),
        ("array of 100 bulks", array),
    ] {
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let used = cut_reply(Version::V2, black_box(&frame)).unwrap().unwrap();
                assert_eq!(used, frame.len());
            });
        });
    }
}

/// Values that do not fit into one receive, and are not copied.
fn assemblies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("assemble 100 KiB from pieces of 16 KiB");
    let value = vec![b'v'; 100 << 10];
    let set = pieces(&request(&[b"SET", b"key:000000000001", &value]));
    let mut bulk = Vec::new();
    push_bulk(&value, &mut bulk);
    let bulk = pieces(&bulk);
    group.throughput(Throughput::Bytes(value.len() as u64));
    let mut spare = Spare::default();
    group.bench_function("SET", |bencher| {
        bencher.iter(|| {
            let mut assembly = RequestAssembly::default();
            let fed = set.iter().map(|piece| assembly.feed(piece, 0, &mut spare));
            assert!(fed.last().unwrap().unwrap().complete);
            black_box(assembly.request().frame_bytes())
        });
    });
    group.bench_function("reply", |bencher| {
        bencher.iter(|| {
            let mut assembly = ReplyAssembly::default();
            let fed = bulk.iter().map(|piece| assembly.feed(piece, 0, &mut spare));
            assert!(fed.last().unwrap().unwrap().complete);
            black_box(assembly.held_bytes())
        });
    });
}

criterion_group!(benches, requests, replies, assemblies);
criterion_main!(benches);
