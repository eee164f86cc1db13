//! Values up to what servers take go there and back, and one that is large reaches its client while it
//! comes.

use std::sync::Arc;
use std::sync::Barrier;

use crate::support::FakeServer;
use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::value;

#[test]
fn every_length_around_the_sizes_of_buffers_and_what_is_too_large_is_the_servers_to_say() {
    let servers = Memcached::fleet(2);
    let proxy = Proxy::coremux(&[Pool::over_memcached("alpha", &servers)]);
    let mut client = proxy.client("alpha");
    let sizes = [4 << 10, 16 << 10, 64 << 10, 256 << 10].map(|size| [size - 1, size, size + 1]);
    let sizes = sizes.concat().into_iter().chain([0, 1, 2, 1_000_000]);
    for (nth, size) in sizes.enumerate() {
        let key = format!("large{nth}");
        let mut bytes = value("large", nth as u64, size);
        bytes.truncate(size);
        let set = [
            format!("set {key} 7 0 {size}\r\n").as_bytes(),
            &bytes,
            b"\r\n",
        ]
        .concat();
        let expected = [
            format!("VALUE {key} 7 {size}\r\n").as_bytes(),
            &bytes,
            b"\r\nEND\r\n",
        ]
        .concat();
        let got = client.texts(&set, 1).remove(0);
        assert_eq!(got.escape_ascii().to_string(), "STORED\\r\\n", "{size}");
        // Alone, among others, and as a meta command.
        assert!(
            client.texts(format!("get {key}\r\n").as_bytes(), 1) == [expected.clone()],
            "{size}"
        );
        let many = format!("get none {key} nor this\r\n");
        assert!(client.texts(many.as_bytes(), 1) == [expected], "{size}");
        client.send_raw(format!("mg {key} f v\r\n").as_bytes());
        assert_eq!(client.read_line(), format!("VA {size} f7\r\n").into_bytes());
        assert!(
            client.read_raw(size + 2) == [&bytes, &b"\r\n"[..]].concat(),
            "{size}"
        );
    }
    let huge = [
        &b"set huge 0 0 2000000\r\n"[..],
        &[b'v'; 2_000_000],
        b"\r\nget huge\r\n",
    ]
    .concat();
    let got = client.texts(&huge, 2).concat();
    let got = String::from_utf8(got).unwrap();
    assert_eq!(got, "SERVER_ERROR object too large for cache\r\nEND\r\n");
}

#[test]
fn a_large_value_reaches_its_client_while_it_comes_and_half_a_one_closes_it_alone() {
    const SIZE: usize = 900_000;
    let half_read = Arc::new(Barrier::new(2));
    let waits = Arc::clone(&half_read);
    let server = FakeServer::start(move |mut conn| {
        let is_first = conn.number == 0;
        while let Some(line) = conn.line() {
            match line.as_str() {
                "version\r\n" => conn.send(b"VERSION 1.6.18\r\n"),
                "get large\r\n" => {
                    conn.send(format!("VALUE large 0 {SIZE}\r\n").as_bytes());
                    conn.send(&[b'v'; SIZE / 2]);
                    waits.wait();
                    if !is_first {
                        return;
                    }
                    conn.send(&[b'v'; SIZE - SIZE / 2]);
                    conn.send(b"\r\nEND\r\n");
                }
                "get lost\r\n" => return,
                _ => conn.send(b"END\r\n"),
            }
        }
    });
    let pool = Pool::memcached("alpha").server(server.address());
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = proxy.client("alpha");
    client.send_raw(b"get large\r\nget none\r\n");
    assert_eq!(
        client.read_line(),
        format!("VALUE large 0 {SIZE}\r\n").into_bytes()
    );
    client.read_raw(SIZE / 4);
    half_read.wait();
    client.read_raw(SIZE - SIZE / 4);
    assert_eq!(client.read_raw(12), b"\r\nEND\r\nEND\r\n"[..].to_vec());
    // Another connection, on which the rest does not come.
    assert!(client.text("get lost\r\n").starts_with("SERVER_ERROR "));
    let mut neighbour = proxy.client("alpha");
    client.send_raw(b"get large\r\n");
    client.read_line();
    client.read_raw(SIZE / 4);
    neighbour.send_raw(b"get none\r\n");
    half_read.wait();
    let rest = client.read_until_closed();
    assert!(
        rest.len() < SIZE && rest.iter().all(|byte| *byte == b'v'),
        "{}",
        rest.len()
    );
    let got = String::from_utf8(neighbour.read_text()).unwrap();
    assert_eq!(got, "END\r\n", "who waits behind it is asked again");
}
