//! A server that takes fewer connections than it might be given, told by hand.

use coremux::messages::Report;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";
const FULL: &[u8] = b"-ERR max number of clients reached\r\n";
const VALUE: &[u8] = b"$1\r\nv\r\n";

fn bench(connections: usize) -> Bench {
    let count = format!("  server_connections: {connections}\n");
    Bench::new(&(count + "  auto_eject_hosts: true\n  server_failure_limit: 1\n"))
}

/// The connection that was asked for last comes about, and is answered so.
fn greeted(bench: &mut Bench, answer: &[u8]) -> ConnId {
    let conn = bench.connected();
    assert_eq!(bench.sends(conn), PING);
    bench.sent(conn);
    bench.receives(conn, answer);
    conn
}

fn reports(bench: &Bench) -> usize {
    let reports = bench.outputs.iter();
    let failed = |output: &&Output| matches!(output, Output::Report(Report::ServerFailed { .. }));
    reports.filter(failed).count()
}

/// Two clients, whose connections are one that serves, and one that was refused with a write of the
/// second.
fn one_of_two() -> (Bench, [ConnId; 2], ConnId) {
    let mut bench = bench(2);
    let clients = [bench.client(), bench.client()];
    bench.receives(clients[0], GET);
    let serves = greeted(&mut bench, PONG);
    bench.receives(clients[1], SET);
    let refused = greeted(&mut bench, FULL);
    assert_ne!(serves, refused);
    assert!(bench.outputs.contains(&Output::Close(refused)));
    (bench, clients, serves)
}

#[test]
fn what_waits_for_a_connection_that_is_refused_goes_by_one_that_serves_and_nothing_has_failed() {
    let (mut bench, [first, second], serves) = one_of_two();
    bench.sent(serves);
    assert_eq!(bench.sends(serves), SET);
    // In order: the connections are others than before.
    bench.receives(second, GET);
    bench.sent(serves);
    assert_eq!(bench.sends(serves), b"");
    bench.receives(serves, &[VALUE, b"+OK\r\n"].concat());
    assert_eq!(bench.sends(first), VALUE);
    assert_eq!(bench.sends(second), b"+OK\r\n");
    bench.sent(second);
    assert_eq!(bench.sends(serves), GET);
    assert_eq!(reports(&bench), 0);
}

#[test]
fn all_connections_are_tried_again_after_a_while() {
    let (mut bench, [first, second], serves) = one_of_two();
    bench.sent(serves);
    bench.sent(serves);
    bench.receives(serves, &[VALUE, b"+OK\r\n"].concat());
    bench.sent(first);
    bench.sent(second);
    bench.outputs.clear();
    bench.passes(31_000);
    bench.receives(second, GET);
    let again = greeted(&mut bench, PONG);
    assert_ne!(again, serves);
    assert_eq!(bench.sends(again), GET);
}

#[test]
fn a_server_without_room_for_any_connection_has_failed() {
    let mut bench = bench(3);
    let clients: Vec<ConnId> = (0..3).map(|_| bench.client()).collect();
    let mut conns = Vec::new();
    for client in &clients {
        bench.receives(*client, GET);
        conns.push(bench.connected());
    }
    for conn in &conns {
        bench.sent(*conn);
    }
    for conn in &conns {
        assert!(clients.iter().all(|client| bench.sends(*client).is_empty()));
        bench.receives(*conn, FULL);
    }
    for client in &clients {
        assert_eq!(bench.sends(*client), FULL);
    }
    assert_eq!(reports(&bench), 1);
}
