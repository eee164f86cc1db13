//! Clients share a connection to a server; what one of them asks costs the others nothing.

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::messages::Change;
use coremux::messages::Report;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
const EVAL_RO: &[u8] = b"*4\r\n$7\r\nEVAL_RO\r\n$1\r\ns\r\n$1\r\n1\r\n$1\r\nk\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const ROLE: &[u8] = b"*1\r\n$4\r\nROLE\r\n";
const REPLICA: &[u8] = b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:9\r\n";
const MASTER: &[u8] = b"*3\r\n$6\r\nmaster\r\n:9\r\n*0\r\n";
const VALUE: &[u8] = b"$1\r\nv\r\n";
const NO_REPLY: &[u8] = b"-ERR Server sent a bad reply: unknown reply type '?'\r\n";
const UNKNOWN: &[u8] =
    b"-ERR Server sent a bad reply: unknown reply type '?'; the outcome is unknown\r\n";

/// The connection that was asked for last comes about, and the server serves.
fn connected(bench: &mut Bench, question: &[u8], answer: &[u8]) -> ConnId {
    let conn = bench.connected();
    assert_eq!(bench.sends(conn), question);
    bench.sent(conn);
    bench.receives(conn, answer);
    conn
}

#[test]
fn what_is_no_reply_fails_the_request_that_it_would_answer_and_no_others_read() {
    let mut bench = Bench::new("");
    let clients: Vec<ConnId> = (0..4).map(|_| bench.client()).collect();
    bench.receives(clients[0], GET);
    let server = bench.connected();
    bench.receives(clients[1], EVAL_RO);
    bench.receives(clients[2], GET);
    bench.receives(clients[3], SET);
    bench.sent(server);
    bench.sent(server);
    bench.receives(server, VALUE);
    bench.receives(server, b"?\r\n");
    assert_eq!(bench.sends(clients[0]), VALUE);
    assert_eq!(bench.sends(clients[1]), NO_REPLY, "it is not asked again");
    assert_eq!(bench.sends(clients[3]), UNKNOWN);
    let next = connected(&mut bench, PING, b"+PONG\r\n");
    assert_eq!(bench.sends(next), GET);
    bench.sent(next);
    bench.receives(next, VALUE);
    assert_eq!(bench.sends(clients[2]), VALUE);
}

#[test]
fn what_is_no_reply_of_a_replica_is_not_asked_of_the_master() {
    let mut bench = Bench::new("  sentinels: [10.0.0.9:26379]\n  read_from: prefer-replica\n");
    let change = Change::Replicas {
        pool: PoolIdx(0),
        server: ServerIdx(0),
        addresses: vec![([10, 0, 1, 1], 6379).into()],
    };
    bench.proxy.apply(&change, bench.now);
    let (asks, reads) = (bench.client(), bench.client());
    bench.receives(asks, EVAL_RO);
    bench.receives(reads, GET);
    let replica = connected(&mut bench, ROLE, REPLICA);
    bench.sent(replica);
    bench.receives(replica, b"?\r\n");
    assert_eq!(bench.sends(asks), NO_REPLY);
    let master = connected(&mut bench, ROLE, MASTER);
    assert_eq!(bench.sends(master), GET);
}

#[test]
fn a_status_as_long_as_a_value_reaches_its_client_and_breaks_no_connection() {
    let mut bench = Bench::new("");
    let (asks, reads) = (bench.client(), bench.client());
    bench.receives(asks, EVAL_RO);
    bench.receives(reads, GET);
    let server = bench.connected();
    bench.sent(server);
    let part = vec![b'a'; 1 << 20];
    bench.receives(server, b"+");
    let mut come = 0;
    for _ in 0..20 {
        bench.receives(server, &part);
        come += bench.sends(asks).len();
        if !bench.sends(asks).is_empty() {
            bench.sent(asks);
        }
        assert!(bench.proxy.holdings().bytes < 3 << 20, "it is passed on");
    }
    bench.receives(server, &[b"\r\n", VALUE].concat());
    while !bench.sends(asks).is_empty() {
        come += bench.sends(asks).len();
        bench.sent(asks);
    }
    assert!(come >= 20 << 20, "{come}");
    assert_eq!(bench.sends(reads), VALUE);
    assert!(!bench.outputs.contains(&Output::Close(server)));
}

/// What a server says of a value that is too long for it, before it closes.
const UNREADABLE: &[u8] = b"-ERR Protocol error: invalid bulk length\r\n";
const EVAL: &[u8] = b"*4\r\n$4\r\nEVAL\r\n$1\r\ns\r\n$1\r\n1\r\n$1\r\nk\r\n";
const CLOSED: &[u8] = b"-ERR Server closed the connection; the outcome is unknown\r\n";

fn reports(bench: &Bench) -> usize {
    let reports = bench.outputs.iter();
    let failed = |output: &&Output| matches!(output, Output::Report(Report::ServerFailed { .. }));
    reports.filter(failed).count()
}

#[test]
fn what_was_sent_behind_a_request_that_the_server_cannot_read_is_done_once_on_the_next_connection()
{
    let mut bench = Bench::new("  auto_eject_hosts: true\n  server_failure_limit: 1\n");
    let (asks, writes, reads) = (bench.client(), bench.client(), bench.client());
    bench.receives(asks, SET);
    let server = bench.connected();
    bench.receives(writes, SET);
    bench.receives(writes, GET);
    bench.receives(reads, GET);
    bench.sent(server);
    bench.sent(server);
    bench.receives(server, UNREADABLE);
    assert_eq!(bench.sends(asks), UNREADABLE);
    bench.proxy.received_end(server, bench.now);
    bench.turn();
    assert_eq!(reports(&bench), 0, "the server is well");
    let next = bench.connected();
    assert_eq!(bench.sends(next), [SET, GET, GET].concat());
    bench.sent(next);
    bench.receives(next, &[b"+OK\r\n", VALUE, VALUE].concat());
    assert_eq!(bench.sends(writes), [b"+OK\r\n", VALUE].concat());
    assert_eq!(bench.sends(reads), VALUE);
}

#[test]
fn neither_a_script_that_says_so_nor_a_server_that_reads_on_is_believed() {
    for (request, replies) in [
        (EVAL, UNREADABLE.to_vec()),
        (SET, [UNREADABLE, VALUE].concat()),
    ] {
        let mut bench = Bench::new("");
        let (asks, reads, writes) = (bench.client(), bench.client(), bench.client());
        bench.receives(asks, request);
        let server = bench.connected();
        if request == SET {
            bench.receives(reads, GET);
        }
        bench.receives(writes, SET);
        bench.sent(server);
        bench.sent(server);
        bench.receives(server, &replies);
        bench.proxy.received_end(server, bench.now);
        bench.turn();
        assert_eq!(bench.sends(asks), UNREADABLE);
        assert_eq!(bench.sends(writes), CLOSED);
        assert_eq!(reports(&bench), 1);
    }
}

#[test]
fn who_breaks_connections_time_and_again_breaks_nobodys_but_its_own() {
    let mut bench = Bench::new("");
    let (breaks, reads) = (bench.client(), bench.client());
    bench.receives(reads, GET);
    let mut shared = bench.connected();
    bench.sent(shared);
    bench.receives(shared, VALUE);
    bench.sent(reads);
    for time in 0..6 {
        bench.outputs.clear();
        bench.receives(breaks, EVAL);
        let connects = |output: &Output| matches!(output, Output::Connect { .. });
        let is_apart = bench.outputs.iter().any(connects);
        assert_eq!(is_apart, time >= 3, "the {time}th time");
        let conn = match is_apart {
            true => bench.connected(),
            false => shared,
        };
        bench.receives(reads, GET);
        while !bench.sends(conn).is_empty() {
            bench.sent(conn);
        }
        bench.proxy.received_end(conn, bench.now);
        bench.turn();
        assert_eq!(bench.sends(breaks), CLOSED);
        bench.sent(breaks);
        if !is_apart {
            shared = connected(&mut bench, PING, b"+PONG\r\n");
        }
        assert_eq!(bench.sends(shared), GET);
        bench.sent(shared);
        bench.receives(shared, VALUE);
        assert_eq!(bench.sends(reads), VALUE);
        bench.sent(reads);
        bench.passes(1000);
    }
    // After a minute it is given another chance.
    bench.passes(60_000);
    bench.outputs.clear();
    bench.receives(breaks, EVAL);
    assert_eq!(bench.sends(shared), EVAL);
}
