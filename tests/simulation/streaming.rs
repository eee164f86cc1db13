//! Large replies that are passed on while they come, told by hand: one promise each.

use coremux::proxy::ConnId;
use coremux::proxy::Output;

use crate::by_hand::Bench;
use crate::frame::write_bulk;
use crate::frame::write_request;

const SMALL: &[u8] = b"$1\r\ns\r\n";
const TIMED_OUT: &[u8] = b"-ERR Connection timed out\r\n";

fn get(key: &str) -> Vec<u8> {
    write_request(&["GET", key])
}

/// A reply of a mebibyte, in four parts.
fn large() -> [Vec<u8>; 4] {
    let mut whole = Vec::new();
    write_bulk(&vec![b'l'; 1 << 20], &mut whole);
    let mut parts = whole.chunks(whole.len().div_ceil(4)).map(<[u8]>::to_vec);
    std::array::from_fn(|_| parts.next().expect("four parts"))
}

/// A client that has asked for the large value, and the connection that its request was sent on.
fn asked(keys: &str) -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::new(keys);
    let client = bench.client();
    bench.receives(client, &get("large"));
    let server = bench.connected();
    assert_eq!(bench.sends(server), get("large"));
    bench.sent(server);
    (bench, client, server)
}

fn is_closed(bench: &Bench, client: ConnId) -> bool {
    bench.outputs.contains(&Output::ShutdownWrite(client))
}

#[test]
fn each_part_goes_on_as_it_comes_and_nothing_of_it_is_kept() {
    let (mut bench, client, server) = asked("");
    for part in large() {
        bench.receives(server, &part);
        assert_eq!(bench.sends(client), part);
        assert!(bench.proxy.holdings().bytes < part.len() + 100);
        bench.sent(client);
    }
    bench.receives(client, &get("k"));
    bench.sent(server);
    bench.receives(server, SMALL);
    assert_eq!(bench.sends(client), SMALL);
}

#[test]
fn when_the_rest_does_not_come_the_client_is_closed_and_told_nothing() {
    let (mut bench, client, server) = asked("");
    bench.receives(client, &get("another").repeat(2));
    let parts = large();
    bench.receives(server, &parts[0]);
    bench.receives(server, &parts[1]);
    bench.proxy.received_end(server, bench.now);
    bench.turn();
    // What is being sent cannot be taken back, what came since can.
    assert_eq!(bench.sends(client), parts[0]);
    assert!(!is_closed(&bench, client));
    bench.sent(client);
    assert_eq!(bench.sends(client), b"");
    assert!(is_closed(&bench, client));
    bench.passes(1000);
    assert!(bench.outputs.contains(&Output::Close(client)));
}

#[test]
fn replies_that_are_whole_are_delivered_before_their_client_is_closed() {
    let (mut bench, client, server) = asked("");
    bench.receives(client, &write_request(&["SET", "k", "v"]));
    bench.receives(client, &get("large"));
    bench.sent(server);
    let parts = large();
    bench.receives(server, &parts.concat());
    bench.receives(server, b"+OK\r\n");
    bench.receives(server, &parts[0]);
    bench.sent(client);
    assert_eq!(bench.sends(client), [b"+OK\r\n", &parts[0][..]].concat());
    bench.receives(server, &parts[1]);
    bench.proxy.received_end(server, bench.now);
    bench.turn();
    bench.sent(client);
    assert!(is_closed(&bench, client));
}

#[test]
fn a_part_that_is_not_on_its_way_is_taken_back_and_the_read_is_asked_again() {
    let (mut bench, client, server) = asked("");
    bench.receives(client, &get("large"));
    bench.sent(server);
    let parts = large();
    bench.receives(server, &parts.concat());
    assert_eq!(bench.sends(client), parts.concat());
    // The client takes nothing: the second reply's part lies behind what is being sent.
    bench.receives(server, &parts[0]);
    bench.proxy.received_end(server, bench.now);
    bench.turn();
    bench.sent(client);
    assert_eq!(bench.sends(client), b"");
    let next = bench.connected();
    assert_ne!(next, server);
    bench.sent(next);
    bench.receives(next, b"+PONG\r\n");
    assert_eq!(bench.sends(next), get("large"));
    bench.sent(next);
    bench.receives(next, &parts.concat());
    assert_eq!(bench.sends(client), parts.concat());
    assert!(!is_closed(&bench, client));
}

#[test]
fn a_reply_may_take_longer_than_the_timeout_as_long_as_it_flows() {
    let (mut bench, client, server) = asked("  timeout: 100\n");
    for part in large() {
        bench.passes(90);
        bench.receives(server, &part);
        assert_eq!(bench.sends(client), part);
        bench.sent(client);
    }
    assert!(!is_closed(&bench, client));
}

#[test]
fn a_reply_that_stands_still_costs_its_own_client_and_its_rest_reaches_nobody() {
    let (mut bench, client, server) = asked("  timeout: 100\n");
    let parts = large();
    bench.passes(50);
    bench.receives(server, &parts[0]);
    bench.sent(client);
    let (early, late) = (bench.client(), bench.client());
    bench.receives(early, &get("early"));
    bench.passes(20);
    bench.receives(late, &get("late"));
    bench.sent(server);
    bench.passes(79);
    assert!(!is_closed(&bench, client));
    bench.passes(1);
    assert!(is_closed(&bench, client));
    // Who is behind it has its own time, and its own reply.
    assert_eq!(bench.sends(early), TIMED_OUT);
    assert_eq!(bench.sends(late), b"");
    bench.receives(server, &parts[1..].concat());
    bench.receives(server, SMALL);
    assert_eq!(bench.sends(late), b"");
    bench.receives(server, b"$4\r\nlate\r\n");
    assert_eq!(bench.sends(late), b"$4\r\nlate\r\n");
}

#[test]
fn who_is_behind_a_reply_that_flows_is_answered_by_its_own_clock() {
    let (mut bench, client, server) = asked("  timeout: 100\n");
    let parts = large();
    bench.receives(server, &parts[0]);
    bench.sent(client);
    let other = bench.client();
    bench.receives(other, &get("k"));
    bench.sent(server);
    bench.passes(60);
    bench.receives(server, &parts[1]);
    bench.sent(client);
    bench.passes(39);
    assert_eq!(bench.sends(other), b"");
    bench.passes(1);
    assert_eq!(bench.sends(other), TIMED_OUT);
    bench.sent(other);
    bench.receives(server, &parts[2..].concat());
    assert_eq!(bench.sends(client), parts[2..].concat());
    // Its late reply is swallowed.
    bench.receives(server, SMALL);
    assert_eq!(bench.sends(other), b"");
    bench.receives(other, &get("k"));
    bench.sent(server);
    bench.receives(server, SMALL);
    assert_eq!(bench.sends(other), SMALL);
}

#[test]
fn the_rest_for_a_client_that_has_gone_is_swallowed() {
    let (mut bench, client, server) = asked("");
    let parts = large();
    bench.receives(server, &parts[0]);
    bench.proxy.failed(client, libc::ECONNRESET, bench.now);
    bench.turn();
    let other = bench.client();
    bench.receives(other, &get("k"));
    bench.sent(server);
    bench.receives(server, &parts[1]);
    bench.receives(server, &parts[2]);
    let held = bench.proxy.holdings().bytes;
    assert!(held < parts[0].len() + 1000, "{held}");
    bench.receives(server, &[&parts[3][..], SMALL].concat());
    assert_eq!(bench.sends(other), SMALL);
}
