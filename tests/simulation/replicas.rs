//! Reads from replicas, told by hand: what is asked where, and what follows when one is lost.

use std::net::SocketAddr;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::messages::Change;
use coremux::messages::SocketAddress;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
const ROLE: &[u8] = b"*1\r\n$4\r\nROLE\r\n";
const MASTER: &[u8] = b"*3\r\n$6\r\nmaster\r\n:9\r\n*0\r\n";
const VALUE: &[u8] = b"$1\r\nv\r\n";
const NONE: &[u8] =
    b"-ERR No replica can be read: none is known, or none keeps up with its master\r\n";

fn role(link: &str) -> Vec<u8> {
    let link = format!("${}\r\n{link}\r\n", link.len());
    format!("*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n{link}:9\r\n").into_bytes()
}

fn at(last: u8) -> SocketAddr {
    ([10, 0, 1, last], 6379).into()
}

fn master() -> SocketAddress {
    SocketAddress::Tcp(([10, 0, 0, 1], 6379).into())
}

fn tell(bench: &mut Bench, replicas: &[u8]) {
    let change = Change::Replicas {
        pool: PoolIdx(0),
        server: ServerIdx(0),
        addresses: replicas.iter().map(|last| at(*last)).collect(),
    };
    bench.proxy.apply(&change, bench.now);
    bench.turn();
}

/// A pool whose server has replicas, and a client of it.
fn bench(read_from: &str, replicas: &[u8]) -> (Bench, ConnId) {
    let keys = format!(
        "  sentinels: [10.0.0.9:26379]\n  read_from: {read_from}\n  timeout: 100\n  hold_ms: 500\n"
    );
    let mut bench = Bench::new(&keys);
    tell(&mut bench, replicas);
    let client = bench.client();
    (bench, client)
}

/// Where the connection goes that was asked for last.
fn to(bench: &Bench) -> SocketAddress {
    let mut connects = bench.outputs.iter().filter_map(|output| match output {
        Output::Connect { address, .. } => Some(address.clone()),
        _ => None,
    });
    connects.next_back().expect("the proxy connects")
}

/// The connection that was asked for last comes about, and is greeted by `role`.
fn greeted(bench: &mut Bench, role: &[u8]) -> ConnId {
    let conn = bench.connected();
    assert_eq!(bench.sends(conn), ROLE);
    bench.sent(conn);
    bench.receives(conn, role);
    conn
}

/// What was asked for is asked of the master now, who answers.
fn master_answers(bench: &mut Bench, client: ConnId, request: &[u8], reply: &[u8]) {
    assert_eq!(to(bench), master());
    let conn = greeted(bench, MASTER);
    assert_eq!(bench.sends(conn), request);
    bench.sent(conn);
    bench.receives(conn, reply);
    assert_eq!(bench.sends(client), reply);
}

#[test]
fn a_read_goes_to_a_replica_and_a_write_to_the_master_and_their_replies_stay_in_order() {
    let (mut bench, client) = bench("prefer-replica", &[1]);
    bench.receives(client, GET);
    assert_eq!(to(&bench), SocketAddress::Tcp(at(1)));
    let replica = greeted(&mut bench, &role("connected"));
    assert_eq!(bench.sends(replica), GET);
    bench.receives(client, SET);
    assert_eq!(to(&bench), master());
    let conn = greeted(&mut bench, MASTER);
    assert_eq!(bench.sends(conn), SET);
    bench.receives(conn, b"+OK\r\n");
    assert_eq!(bench.sends(client), b"", "the read was first");
    bench.receives(replica, VALUE);
    assert_eq!(bench.sends(client), [VALUE, b"+OK\r\n"].concat());
}

#[test]
fn a_read_whose_reply_is_good_on_one_server_only_is_the_masters_however_reads_are_answered() {
    for read_from in ["prefer-replica", "replica"] {
        let (mut bench, client) = bench(read_from, &[1, 2]);
        let scan = b"*3\r\n$5\r\nHSCAN\r\n$1\r\nk\r\n$1\r\n0\r\n";
        bench.receives(client, scan);
        master_answers(&mut bench, client, scan, b"*2\r\n$1\r\n0\r\n*0\r\n");
    }
}

#[test]
fn what_a_replica_does_not_answer_the_master_is_asked() {
    type Loss = fn(&mut Bench, ConnId);
    let losses: [Loss; 5] = [
        |bench, conn| bench.proxy.received_end(conn, bench.now),
        |bench, conn| bench.proxy.failed(conn, 104, bench.now),
        |bench, conn| bench.receives(conn, b"-LOADING Redis is loading\r\n"),
        |bench, _| bench.passes(100),
        |bench, _| tell(bench, &[]),
    ];
    for loss in losses {
        let (mut bench, client) = bench("prefer-replica", &[1]);
        bench.receives(client, GET);
        let replica = greeted(&mut bench, &role("connected"));
        bench.sent(replica);
        loss(&mut bench, replica);
        bench.turn();
        assert!(bench.outputs.contains(&Output::Close(replica)));
        master_answers(&mut bench, client, GET, VALUE);
        // Nothing of the old connection is heard any more.
        bench.receives(replica, VALUE);
        assert_eq!(bench.sends(client), VALUE);
    }
}

#[test]
fn what_was_being_sent_to_a_replica_when_it_was_lost_is_asked_again_when_its_bytes_are_back() {
    let (mut bench, client) = bench("prefer-replica", &[1]);
    bench.receives(client, GET);
    let replica = greeted(&mut bench, &role("connected"));
    bench.receives(client, GET);
    bench.proxy.received_end(replica, bench.now);
    bench.turn();
    let conn = greeted(&mut bench, MASTER);
    assert_eq!(bench.sends(conn), GET, "the second, which was not sent");
    bench.sent(conn);
    bench.sent(replica);
    assert_eq!(bench.sends(conn), GET, "the first");
    bench.receives(conn, b"$1\r\n2\r\n");
    assert_eq!(bench.sends(client), b"", "that is the second's");
    bench.sent(conn);
    bench.receives(conn, b"$1\r\n1\r\n");
    assert_eq!(bench.sends(client), b"$1\r\n1\r\n$1\r\n2\r\n");
}

#[test]
fn a_replica_that_is_none_or_has_lost_its_master_is_not_asked() {
    for answer in [
        MASTER.to_vec(),
        role("connect"),
        role("sync"),
        b"-NOAUTH no\r\n".to_vec(),
    ] {
        let (mut bench, client) = bench("prefer-replica", &[1]);
        bench.receives(client, GET);
        let replica = greeted(&mut bench, &answer);
        assert_eq!(bench.sends(replica), b"");
        master_answers(&mut bench, client, GET, VALUE);
    }
}

#[test]
fn a_replica_that_cannot_be_connected_to_is_not_waited_for_and_is_tried_again_a_second_later() {
    let (mut bench, client) = bench("prefer-replica", &[1]);
    bench.receives(client, GET);
    assert_eq!(to(&bench), SocketAddress::Tcp(at(1)));
    bench.passes(200);
    master_answers(&mut bench, client, GET, VALUE);
    bench.sent(client);
    bench.receives(client, GET);
    assert_eq!(to(&bench), master(), "not yet");
    bench.passes(1000);
    bench.receives(client, GET);
    assert_eq!(to(&bench), SocketAddress::Tcp(at(1)));
}

#[test]
fn a_server_that_has_moved_has_no_replicas_until_some_are_told() {
    let (mut bench, client) = bench("prefer-replica", &[1]);
    bench.receives(client, GET);
    let replica = greeted(&mut bench, &role("connected"));
    bench.sent(replica);
    let change = Change::Moved {
        pool: PoolIdx(0),
        server: ServerIdx(0),
        addresses: vec![SocketAddress::Tcp(at(1))],
    };
    bench.proxy.apply(&change, bench.now);
    bench.turn();
    assert!(bench.outputs.contains(&Output::Close(replica)));
    let conn = greeted(&mut bench, MASTER);
    assert_eq!(bench.sends(conn), GET, "at the same address, as a master");
}

#[test]
fn where_only_replicas_are_read_another_one_is_asked_and_then_nobody() {
    let (mut bench, client) = bench("replica", &[1, 2]);
    bench.receives(client, GET);
    let first = to(&bench);
    let replica = greeted(&mut bench, &role("connected"));
    bench.sent(replica);
    bench.proxy.received_end(replica, bench.now);
    bench.turn();
    assert_ne!(to(&bench), first);
    assert_ne!(to(&bench), master());
    let replica = greeted(&mut bench, &role("connected"));
    assert_eq!(bench.sends(replica), GET);
    bench.sent(replica);
    bench.proxy.received_end(replica, bench.now);
    bench.turn();
    assert_eq!(bench.sends(client), NONE);
}

#[test]
fn clients_are_spread_over_replicas_and_each_keeps_its_own_as_long_as_that_is_read() {
    let (mut bench, _) = bench("prefer-replica", &[1, 2, 3]);
    let mut asked = std::collections::BTreeMap::new();
    let read = |bench: &mut Bench, client| {
        let before = bench.outputs.len();
        bench.receives(client, GET);
        // Connections are shared: only the first of a replica's clients opens one.
        bench.outputs[before..]
            .iter()
            .any(|output| matches!(output, Output::Connect { .. }))
    };
    for _ in 0..60 {
        let client = bench.client();
        if read(&mut bench, client) {
            asked.insert(format!("{:?}", to(&bench)), client);
        }
    }
    assert_eq!(asked.len(), 3, "all three are read");
    let opened = bench.outputs.len();
    tell(&mut bench, &[3, 1, 2]);
    for client in asked.values() {
        assert!(!read(&mut bench, *client), "another order changes nothing");
    }
    assert_eq!(opened, bench.outputs.len());
}

/// A client that has got half of a large value from a replica, and asked it something else.
fn half_given() -> (Bench, ConnId, ConnId, Vec<u8>) {
    let (mut bench, client) = bench("prefer-replica", &[1]);
    bench.receives(client, GET);
    let replica = greeted(&mut bench, &role("connected"));
    bench.sent(replica);
    let mut value = Vec::new();
    super::frame::write_bulk(&vec![b'l'; 1 << 20], &mut value);
    let rest = value.split_off(value.len() / 2);
    bench.receives(replica, &value);
    assert_eq!(bench.sends(client), value);
    bench.sent(client);
    bench.receives(client, GET);
    (bench, client, replica, rest)
}

#[test]
fn a_replica_that_is_left_in_the_middle_of_a_reply_gives_the_rest_of_it() {
    let (mut bench, client, replica, rest) = half_given();
    bench.sent(replica);
    let other = bench.client();
    tell(&mut bench, &[]);
    assert!(!bench.outputs.contains(&Output::Close(replica)));
    bench.receives(other, GET);
    assert_eq!(to(&bench), master(), "nothing more is asked there");
    bench.receives(replica, &rest);
    bench.sent(client);
    bench.receives(replica, VALUE);
    assert_eq!(bench.sends(client), VALUE);
    assert!(bench.outputs.contains(&Output::Close(replica)));
}

#[test]
fn a_replica_that_is_lost_in_the_middle_of_a_reply_ends_that_client() {
    let (mut bench, client, replica, _) = half_given();
    bench.proxy.received_end(replica, bench.now);
    bench.turn();
    assert!(bench.outputs.contains(&Output::ShutdownWrite(client)));
    assert_eq!(bench.sends(client), b"", "nothing stands in the middle");
    bench.sent(replica);
    assert_eq!(to(&bench), SocketAddress::Tcp(at(1)), "for nobody");
}
