//! What an error says of its server, told by hand: who is believed, and for how long.

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::messages::Change;
use coremux::messages::Report;
use coremux::messages::SocketAddress;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
const EVAL: &[u8] = b"*4\r\n$4\r\nEVAL\r\n$1\r\ns\r\n$1\r\n1\r\n$1\r\nk\r\n";
const EVAL_RO: &[u8] = b"*4\r\n$7\r\nEVAL_RO\r\n$1\r\ns\r\n$1\r\n1\r\n$1\r\nk\r\n";
const FCALL: &[u8] = b"*4\r\n$5\r\nFCALL\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\nk\r\n";
const TFCALL: &[u8] = b"*4\r\n$6\r\nTFCALL\r\n$3\r\nl.f\r\n$1\r\n1\r\n$1\r\nk\r\n";
const ROLE: &[u8] = b"*1\r\n$4\r\nROLE\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";
const MASTER: &[u8] = b"*3\r\n$6\r\nmaster\r\n:9\r\n*0\r\n";
const REPLICA: &[u8] = b"*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:9\r\n";
const READONLY: &[u8] = b"-READONLY You can't write against a read only replica.\r\n";
const BUSY: &[u8] = b"-BUSY Redis is busy running a script.\r\n";
const LOADING: &[u8] = b"-LOADING Redis is loading the dataset in memory\r\n";

/// As much as a request may be held.
const HOLD_MS: u64 = 500;

/// A pool that follows Sentinels, and so holds, and its connected server.
fn following(keys: &str) -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::new(&format!(
        "  sentinels: [10.0.0.9:26379]\n  hold_ms: {HOLD_MS}\n  timeout: 100\n{keys}"
    ));
    let client = bench.client();
    bench.receives(client, GET);
    let server = greeted(&mut bench, MASTER);
    answers(&mut bench, server, GET, b"$-1\r\n");
    bench.sent(client);
    bench.outputs.clear();
    (bench, client, server)
}

/// A pool that ejects, and its connected server.
fn ejecting() -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::new("  auto_eject_hosts: true\n  server_failure_limit: 1\n");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    answers(&mut bench, server, GET, b"$-1\r\n");
    bench.sent(client);
    bench.outputs.clear();
    (bench, client, server)
}

/// The connection that was asked for last comes about, and says its role.
fn greeted(bench: &mut Bench, role: &[u8]) -> ConnId {
    let conn = bench.connected();
    assert_eq!(bench.sends(conn), ROLE);
    bench.sent(conn);
    bench.receives(conn, role);
    conn
}

/// A server has got this, and answers.
fn answers(bench: &mut Bench, server: ConnId, request: &[u8], reply: &[u8]) {
    assert_eq!(
        bench.sends(server).escape_ascii().to_string(),
        request.escape_ascii().to_string()
    );
    bench.sent(server);
    bench.receives(server, reply);
}

/// A client asks, and is told this at once.
fn told(bench: &mut Bench, client: ConnId, server: ConnId, request: &[u8], reply: &[u8]) {
    bench.receives(client, request);
    answers(bench, server, request, reply);
    assert_eq!(bench.sends(client), reply);
    bench.sent(client);
}

fn reports(bench: &Bench) -> usize {
    let reports = bench.outputs.iter();
    let failed = |output: &&Output| matches!(output, Output::Report(Report::ServerFailed { .. }));
    reports.filter(failed).count()
}

const SCRIPTS: [&[u8]; 4] = [EVAL, FCALL, EVAL_RO, TFCALL];

#[test]
fn what_a_script_says_is_told_and_done_once_and_the_server_is_asked_itself() {
    let texts: [(&[u8], &[u8], &[u8]); 5] = [
        (b"-READONLY my text\r\n", ROLE, MASTER),
        (b"-MASTERDOWN my text\r\n", ROLE, MASTER),
        (b"-LOADING my text\r\n", PING, PONG),
        (b"-BUSY my text\r\n", PING, PONG),
        (b"-NOREPLICAS my text\r\n", b"", b""),
    ];
    for request in SCRIPTS {
        for (text, question, answer) in texts {
            let (mut bench, client, server) = following("  unknown_commands: forward\n");
            told(&mut bench, client, server, request, text);
            if !question.is_empty() {
                answers(&mut bench, server, question, answer);
            }
            bench.passes(2 * HOLD_MS);
            assert_eq!(bench.sends(server), b"", "it is not sent again");
            assert_eq!(bench.outputs, [], "nobody else hears of it");
            told(&mut bench, client, server, GET, b"$1\r\nv\r\n");
        }
    }
}

#[test]
fn a_server_that_says_itself_that_it_is_no_master_is_left_and_the_script_is_not_run_again() {
    let (mut bench, client, server) = following("");
    let text = b"-READONLY You can't write. script: 1, on @user_script:1.\r\n";
    told(&mut bench, client, server, EVAL, text);
    // What is asked behind the script is answered before the connection ends.
    bench.receives(client, GET);
    answers(&mut bench, server, ROLE, b"");
    answers(&mut bench, server, GET, b"");
    bench.receives(server, REPLICA);
    assert!(bench.outputs.contains(&Output::Close(server)));
    assert_eq!(reports(&bench), 1);
    let next = greeted(&mut bench, MASTER);
    assert_eq!(bench.sends(next), GET, "the read, and nothing else");
}

#[test]
fn a_script_ejects_no_server_and_a_server_that_is_busy_is_ejected_by_its_own_word() {
    for (answer, failures) in [(PONG, 0), (BUSY, 1), (LOADING, 1)] {
        let (mut bench, client, server) = ejecting();
        told(&mut bench, client, server, EVAL, BUSY);
        assert_eq!(reports(&bench), 0);
        answers(&mut bench, server, PING, answer);
        assert_eq!(reports(&bench), failures, "{}", answer.escape_ascii());
        assert!(!bench.outputs.contains(&Output::Close(server)));
    }
    let (mut bench, client, server) = ejecting();
    told(&mut bench, client, server, GET, BUSY);
    assert_eq!(reports(&bench), 1, "that are the server's own words");
    assert_eq!(bench.sends(server), b"");
}

#[test]
fn however_often_a_script_speaks_of_its_server_that_is_asked_twenty_times_a_second() {
    let (mut bench, client, server) = ejecting();
    let mut asked = 0;
    for _ in 0..100 {
        told(&mut bench, client, server, EVAL, BUSY);
        if bench.sends(server) == PING {
            answers(&mut bench, server, PING, PONG);
            asked += 1;
        }
        bench.passes(10);
    }
    assert_eq!(asked, 20);
}

#[test]
fn an_error_within_a_reply_says_nothing_of_a_server() {
    let (mut bench, client, server) = following("");
    let reply = b"*2\r\n-READONLY my text\r\n-LOADING my text\r\n";
    told(&mut bench, client, server, EVAL, reply);
    assert_eq!(bench.sends(server), b"");
    assert_eq!(bench.outputs, []);
}

#[test]
fn a_script_costs_nobody_a_replica_unless_that_says_itself_that_it_is_none() {
    type Asked<'a> = (&'a [u8], &'a [u8], &'a [u8], bool);
    let asked: [Asked<'_>; 5] = [
        (b"-LOADING my text\r\n", PING, PONG, true),
        (b"-LOADING my text\r\n", PING, LOADING, false),
        (b"-MASTERDOWN my text\r\n", ROLE, REPLICA, true),
        (b"-MASTERDOWN my text\r\n", ROLE, MASTER, false),
        (b"-READONLY my text\r\n", ROLE, REPLICA, true),
    ];
    for (text, question, answer, stays) in asked {
        let (mut bench, client, _) = following("  read_from: prefer-replica\n");
        let change = Change::Replicas {
            pool: PoolIdx(0),
            server: ServerIdx(0),
            addresses: vec![([10, 0, 1, 1], 6379).into()],
        };
        bench.proxy.apply(&change, bench.now);
        bench.receives(client, EVAL_RO);
        let replica = greeted(&mut bench, REPLICA);
        answers(&mut bench, replica, EVAL_RO, text);
        assert_eq!(bench.sends(client), text);
        bench.sent(client);
        answers(&mut bench, replica, question, answer);
        let left = bench.outputs.contains(&Output::Close(replica));
        assert_eq!(left, !stays, "{}", answer.escape_ascii());
    }
}

#[test]
fn a_server_that_says_that_it_is_a_master_and_refuses_as_a_replica_is_asked_for_a_bounded_time() {
    let (mut bench, client, server) = following("");
    let other = bench.client();
    bench.receives(client, SET);
    let began = bench.now;
    let (mut sets, mut roles) = (0, 0);
    while bench.sends(client).is_empty() {
        match bench.sends(server) {
            sent if sent.starts_with(SET) => {
                bench.sent(server);
                bench.receives(server, READONLY);
                if sent.len() > SET.len() {
                    bench.receives(server, b"$-1\r\n");
                    assert_eq!(bench.sends(other), b"$-1\r\n", "others are served");
                    bench.sent(other);
                }
                sets += 1;
            }
            sent if sent == ROLE => {
                answers(&mut bench, server, ROLE, MASTER);
                roles += 1;
                bench.receives(other, GET);
            }
            _ => bench.passes(1),
        }
        assert!(sets < 100 && roles < 20, "{sets} {roles}");
    }
    assert_eq!(bench.sends(client), READONLY);
    bench.sent(client);
    let took = bench.now.since(began);
    assert!(took.as_millis() >= 400 && took.as_millis() <= u128::from(HOLD_MS) + 50);
    assert!(sets > 3 && roles > 3, "{sets} {roles}");
    assert!(!bench.outputs.contains(&Output::Close(server)));
    // From then on it is believed at once.
    while bench.sends(server) == ROLE {
        answers(&mut bench, server, ROLE, MASTER);
    }
    told(&mut bench, client, server, SET, READONLY);
}

#[test]
fn a_write_that_a_master_refuses_that_is_none_any_more_goes_to_the_next_and_others_lose_nothing() {
    let (mut bench, client, server) = following("");
    let other = bench.client();
    bench.receives(client, SET);
    bench.receives(other, SET);
    bench.receives(other, GET);
    bench.sent(server);
    bench.receives(server, READONLY);
    // Another's requests are under way, and have their replies before the server says who it is.
    assert_eq!(bench.sends(server), [SET, GET].concat());
    bench.sent(server);
    bench.receives(client, GET);
    assert_eq!(bench.sends(server), ROLE, "and nothing behind it");
    bench.sent(server);
    bench.receives(server, &[b"+OK\r\n$1\r\nv\r\n", REPLICA].concat());
    assert_eq!(bench.sends(other), b"+OK\r\n$1\r\nv\r\n");
    assert!(bench.outputs.contains(&Output::Close(server)));
    let change = Change::Moved {
        pool: PoolIdx(0),
        server: ServerIdx(0),
        addresses: vec![SocketAddress::Tcp(([10, 0, 0, 2], 6379).into())],
    };
    bench.proxy.apply(&change, bench.now);
    bench.turn();
    let next = greeted(&mut bench, MASTER);
    let replies = b"+OK\r\n$1\r\nv\r\n";
    answers(&mut bench, next, &[SET, GET].concat(), replies);
    assert_eq!(bench.sends(client), replies);
}

#[test]
fn a_write_is_refused_for_good_when_it_was_held_as_long_as_it_may_whatever_connections_come() {
    let (mut bench, client, mut server) = following("");
    bench.receives(client, SET);
    let began = bench.now;
    // Each connection says that it is a master's, and then that it is none.
    for turn in 0.. {
        assert!(turn < 200, "it goes on for ever");
        if !bench.sends(client).is_empty() {
            break;
        }
        if bench.sends(server) == SET {
            answers(&mut bench, server, SET, READONLY);
            if bench.sends(client).is_empty() {
                answers(&mut bench, server, ROLE, REPLICA);
                server = greeted(&mut bench, MASTER);
            }
        }
        bench.passes(5);
    }
    assert_eq!(bench.sends(client), READONLY);
    let took = bench.now.since(began);
    assert!(took.as_millis() <= u128::from(HOLD_MS) + 50, "{took:?}");
}
