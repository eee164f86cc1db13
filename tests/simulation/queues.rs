//! Queues of servers, told by hand: whoever takes a request out of one gives back what it held.

use crate::by_hand::Bench;

use coremux::proxy::ConnId;
use coremux::proxy::Output;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const TIMED_OUT: &[u8] = b"-ERR Connection timed out\r\n";

fn set(bytes: usize) -> Vec<u8> {
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${bytes}\r\n").into_bytes();
    [head, vec![b'v'; bytes], b"\r\n".to_vec()].concat()
}

/// A client resets its connection.
fn resets(bench: &mut Bench, client: ConnId) {
    bench.proxy.failed(client, libc::ECONNRESET, bench.now);
    bench.turn();
    bench.proxy.closed(client);
    bench.turn();
}

#[test]
fn a_client_that_was_stopped_goes_on_when_those_who_filled_the_queue_have_gone() {
    let mut bench = Bench::new("  server_queue_bytes: 1000\n  timeout: 400\n  redis_db: 1\n");
    let (stays, goes) = (bench.client(), bench.client());
    bench.receives(stays, &set(2000));
    let server = bench.connected();
    bench.sent(server);
    bench.passes(300);
    bench.receives(goes, &set(2000));
    bench.receives(stays, PING);
    bench.passes(150);
    assert_eq!(bench.sends(stays), TIMED_OUT);
    bench.sent(stays);
    resets(&mut bench, goes);
    // The greeting is answered, and nothing is left to be sent.
    bench.receives(server, b"+OK\r\n");
    assert_eq!(bench.sends(server), b"");
    assert_eq!(bench.sends(stays), b"+PONG\r\n");
}

#[test]
fn a_client_that_was_stopped_goes_on_when_what_was_held_is_refused() {
    let keys = "  server_queue_bytes: 1000\n  on_server_failure: hold\n  hold_bytes: 1500\n";
    let mut bench = Bench::new(keys);
    let client = bench.client();
    // It comes while nobody knows yet that it would have to be held.
    bench.receives(client, &set(2000));
    bench.receives(client, PING);
    let server = bench.server();
    bench.proxy.failed(server, libc::ECONNREFUSED, bench.now);
    bench.turn();
    let said = bench.sends(client);
    assert!(
        said.starts_with(b"-ERR Server unavailable") && said.ends_with(b"\r\n+PONG\r\n"),
        "{}",
        said.escape_ascii()
    );
}

#[test]
fn a_client_that_is_stopped_is_not_idle() {
    let keys = "  server_queue_bytes: 1000\n  on_server_failure: hold\n  hold_ms: 1000\n  \
                client_idle_timeout: 200\n";
    let mut bench = Bench::new(keys);
    let first = bench.client();
    bench.receives(first, &set(2000));
    bench.passes(900);
    let second = bench.client();
    bench.receives(second, &set(2000));
    bench.receives(first, PING);
    // The first one's request has had its time, the other's still fills the queue.
    bench.passes(600);
    assert!(bench.sends(first).starts_with(b"-ERR Server unavailable"));
    bench.sent(first);
    assert!(!bench.outputs.contains(&Output::ShutdownWrite(first)));
    bench.passes(500);
    assert_eq!(bench.sends(first), b"+PONG\r\n");
}

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

#[test]
fn a_client_whose_write_has_timed_out_does_not_go_around_it() {
    let mut bench = Bench::new("  timeout: 300\n");
    let (other, client) = (bench.client(), bench.client());
    bench.receives(other, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.receives(client, &set(10));
    bench.sent(server);
    // The reply before it is large and stands still.
    bench.receives(server, b"$5000000\r\nvalue");
    bench.passes(300);
    assert!(
        bench
            .sends(client)
            .starts_with(b"-ERR Connection timed out")
    );
    bench.sent(client);
    bench.receives(client, &set(20));
    assert_eq!(
        bench.server(),
        server,
        "a later write would be done earlier"
    );
    assert_eq!(bench.sends(server), set(20));
    // Others may.
    let third = bench.client();
    bench.receives(third, GET);
    assert_ne!(bench.server(), server);
}

/// A client closes its sending half, or all of it.
fn ends(bench: &mut Bench, client: ConnId) {
    bench.proxy.received_end(client, bench.now);
    bench.turn();
}

#[test]
fn a_held_write_is_not_sent_when_its_client_has_ended_long_before() {
    let mut bench = Bench::new("  on_server_failure: hold\n  hold_ms: 1000\n");
    let (early, late, reads) = (bench.client(), bench.client(), bench.client());
    let stays = bench.client();
    bench.receives(early, &set(1));
    let server = bench.server();
    bench.proxy.failed(server, libc::ECONNREFUSED, bench.now);
    bench.turn();
    bench.receives(late, &set(2));
    bench.receives(reads, GET);
    bench.receives(stays, &set(3));
    ends(&mut bench, early);
    ends(&mut bench, reads);
    bench.passes(50);
    ends(&mut bench, late);
    bench.passes(50);
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, b"+PONG\r\n");
    assert_eq!(bench.sends(server), [&set(2), GET, &set(3)].concat());
    assert!(
        bench.sends(early).starts_with(b"-ERR Not sent"),
        "who waits is told"
    );
    bench.receives(server, b"+OK\r\n$-1\r\n+OK\r\n");
    assert_eq!(bench.sends(late), b"+OK\r\n");
    assert_eq!(bench.sends(reads), b"$-1\r\n");
}

#[test]
fn who_ends_behind_its_request_is_served_though_connecting_takes_a_moment() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, &set(1));
    ends(&mut bench, client);
    bench.passes(90);
    let server = bench.connected();
    assert_eq!(bench.sends(server), set(1));
    bench.receives(server, b"+OK\r\n");
    assert_eq!(bench.sends(client), b"+OK\r\n");
}
