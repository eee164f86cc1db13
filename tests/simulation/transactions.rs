//! Transactions, told by hand: what leaves in one piece, what is told of it, and that it is done
//! once at most.

use std::time::Duration;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::messages::Change;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
const DISCARD: &[u8] = b"*1\r\n$7\r\nDISCARD\r\n";
const QUEUED: &[u8] = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n";
const DONE: &[u8] = b"*2\r\n+OK\r\n$1\r\nv\r\n";
const ABORTED: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
const TOO_LARGE: &[u8] =
    b"-ERR Transaction discarded: it is larger than client_output_limit, or has too many commands\r\n";
const CROSS_SERVER: &[u8] = b"-CROSSSLOT Keys in request don't hash to the same server\r\n";

/// `MULTI`, `SET`, `GET`, `EXEC`.
fn transaction() -> Vec<u8> {
    [MULTI, SET, GET, EXEC].concat()
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A client that gets this, all of it sent, and nothing more yet.
fn expect(bench: &mut Bench, client: ConnId, replies: &[u8]) {
    let mut got = Vec::new();
    loop {
        let sends = bench.sends(client);
        if sends.is_empty() {
            break;
        }
        got.extend(sends);
        bench.sent(client);
    }
    assert_eq!(text(&got), text(replies));
}

/// A client whose transaction is sent.
fn sent(keys: &str) -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::new(keys);
    let client = bench.client();
    bench.receives(client, &transaction());
    expect(&mut bench, client, QUEUED);
    let server = bench.connected();
    assert_eq!(text(&bench.sends(server)), text(&transaction()));
    bench.sent(server);
    (bench, client, server)
}

#[test]
fn it_leaves_in_one_piece_when_exec_comes_and_nobodys_request_is_between() {
    let mut bench = Bench::new("");
    let (client, other) = (bench.client(), bench.client());
    bench.receives(client, GET);
    let server = bench.connected();
    bench.sent(server);
    // What comes before it, in pieces and with another's request between, and what comes behind.
    bench.receives(client, &[MULTI, SET].concat());
    bench.receives(other, GET);
    bench.receives(client, GET);
    bench.receives(client, &[EXEC, GET].concat());
    assert_eq!(text(&bench.sends(server)), text(GET));
    bench.sent(server);
    assert_eq!(
        text(&bench.sends(server)),
        text(&[&transaction(), GET].concat())
    );
    bench.sent(server);
    assert_eq!(
        bench.sends(client),
        b"",
        "the first reply is the first one's"
    );
    bench.receives(server, b"$1\r\n1\r\n$1\r\n2\r\n");
    bench.receives(server, &[QUEUED, DONE, b"$1\r\n3\r\n"].concat());
    expect(
        &mut bench,
        client,
        &[b"$1\r\n1\r\n", QUEUED, DONE, b"$1\r\n3\r\n"].concat(),
    );
    expect(&mut bench, other, b"$1\r\n2\r\n");
}

#[test]
fn a_connection_that_breaks_at_any_byte_of_the_replies_leaves_it_done_once_at_most() {
    let replies = [QUEUED, DONE].concat();
    for cut in 0..=replies.len() {
        let (mut bench, client, server) = sent("");
        for byte in &replies[..cut] {
            bench.receives(server, &[*byte]);
        }
        bench.proxy.received_end(server, bench.now);
        bench.turn();
        let told: &[u8] = match cut == replies.len() {
            true => DONE,
            false => b"-ERR Server closed the connection; the outcome is unknown\r\n",
        };
        expect(&mut bench, client, told);
        // On the next connection nothing of it comes again.
        bench.receives(client, GET);
        let next = bench.connected();
        assert_eq!(bench.sends(next), PING, "cut at {cut}");
        bench.sent(next);
        bench.receives(next, b"+PONG\r\n");
        assert_eq!(text(&bench.sends(next)), text(GET), "cut at {cut}");
        bench.sent(next);
        bench.receives(next, b"$-1\r\n");
        expect(&mut bench, client, b"$-1\r\n");
    }
}

#[test]
fn one_that_is_not_sent_moves_to_the_next_connection_as_a_whole() {
    let mut bench = Bench::new("  on_server_failure: hold\n  hold_ms: 5000\n");
    let client = bench.client();
    bench.receives(client, &[transaction(), GET.to_vec()].concat());
    expect(&mut bench, client, QUEUED);
    let first = bench.server();
    bench.proxy.failed(first, 111, bench.now);
    bench.turn();
    bench.passes(1000);
    let server = bench.connected();
    assert_ne!(server, first);
    bench.sent(server);
    bench.receives(server, b"+PONG\r\n");
    assert_eq!(
        text(&bench.sends(server)),
        text(&[&transaction(), GET].concat())
    );
}

#[test]
fn a_client_is_told_what_its_server_has_refused() {
    for (replies, told) in [
        (
            "+OK\r\n-OOM no memory\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n",
            "-EXECABORT Transaction discarded because of: OOM no memory\r\n",
        ),
        (
            "+OK\r\n+QUEUED\r\n-MOVED 1 1.2.3.4:1\r\n-EXECABORT Transaction discarded because of previous errors.\r\n",
            "-EXECABORT Transaction discarded because of: MOVED 1 1.2.3.4:1\r\n",
        ),
        (
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: READONLY no\r\n",
            "-EXECABORT Transaction discarded because of: READONLY no\r\n",
        ),
        // Nothing began, and nothing was done.
        (
            "-NOAUTH no\r\n-NOAUTH no\r\n-NOAUTH no\r\n-NOAUTH no\r\n",
            "-NOAUTH no\r\n",
        ),
        // Nothing began, and something was done all the same.
        (
            "-NOPERM no\r\n+OK\r\n$1\r\nv\r\n-ERR EXEC without MULTI\r\n",
            "-ERR NOPERM no; the outcome is unknown\r\n",
        ),
        ("+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n", "*-1\r\n"),
        (
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-WRONGTYPE no\r\n$1\r\nv\r\n",
            "*2\r\n-WRONGTYPE no\r\n$1\r\nv\r\n",
        ),
    ] {
        for whole in [true, false] {
            let (mut bench, client, server) = sent("");
            bench.receives(client, GET);
            bench.sent(server);
            match whole {
                true => bench.receives(server, replies.as_bytes()),
                false => replies
                    .as_bytes()
                    .iter()
                    .for_each(|byte| bench.receives(server, &[*byte])),
            }
            expect(&mut bench, client, told.as_bytes());
            // The connection goes on, with each reply in its place.
            if bench.sends(server) == PING {
                bench.sent(server);
                bench.receives(server, b"$1\r\nv\r\n+PONG\r\n");
            } else {
                bench.receives(server, b"$1\r\nv\r\n");
            }
            expect(&mut bench, client, b"$1\r\nv\r\n");
        }
    }
}

#[test]
fn a_server_that_is_left_within_a_transaction_gets_no_others_request() {
    let odd =
        "-ERR Server gave an unexpected reply within a transaction; the outcome is unknown\r\n";
    for replies in [
        // It knows no EXEC: what comes next would be queued.
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n-ERR unknown command 'EXEC'\r\n+QUEUED\r\n",
        // It has done what it had refused.
        "+OK\r\n-OOM no\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n$1\r\nv\r\n",
        // It does each part at once.
        "+OK\r\n+OK\r\n$1\r\nv\r\n*0\r\n$1\r\nv\r\n",
        "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*0\r\n$1\r\nv\r\n",
    ] {
        let (mut bench, client, server) = sent("");
        let other = bench.client();
        bench.receives(other, GET);
        bench.sent(server);
        bench.receives(server, replies.as_bytes());
        expect(&mut bench, client, odd.as_bytes());
        assert!(bench.outputs.contains(&Output::Close(server)), "{replies}");
        assert_eq!(bench.sends(other), b"", "what came behind is nobody's");
        let next = bench.connected();
        bench.sent(next);
        bench.receives(next, b"+PONG\r\n");
        assert_eq!(text(&bench.sends(next)), text(GET));
        bench.sent(next);
        bench.receives(next, b"$-1\r\n");
        expect(&mut bench, other, b"$-1\r\n");
    }
}

#[test]
fn its_bytes_are_its_clients_and_too_many_of_them_are_refused_once() {
    let mut bench = Bench::new("  client_output_limit: 100\n");
    let client = bench.client();
    bench.receives(client, &[MULTI, SET, SET, SET].concat());
    expect(
        &mut bench,
        client,
        b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n",
    );
    let load = bench.proxy.client_load(client).expect("it is there");
    assert_eq!(load.unread_bytes, 3 * SET.len());
    bench.receives(client, SET);
    expect(&mut bench, client, TOO_LARGE);
    let load = bench.proxy.client_load(client).expect("it is there");
    assert_eq!(load.unread_bytes, 0, "nothing is kept in vain");
    bench.receives(client, &[SET, EXEC, EXEC].concat());
    let told = [b"+QUEUED\r\n", ABORTED, b"-ERR EXEC without MULTI\r\n"].concat();
    expect(&mut bench, client, &told);
    assert!(bench.outputs.is_empty(), "no server is asked");
}

#[test]
fn what_ends_one_gives_up_what_was_queued() {
    let mut bench = Bench::new("");
    let client = bench.client();
    for (end, told) in [
        (DISCARD, &b"+OK\r\n"[..]),
        (b"RESET\r\n", b"+RESET\r\n"),
        (
            b"EXEC 1\r\n",
            b"-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n",
        ),
    ] {
        bench.receives(client, &[MULTI, SET, end, EXEC, MULTI, EXEC].concat());
        let without = b"-ERR EXEC without MULTI\r\n+OK\r\n*0\r\n";
        let replies = [b"+OK\r\n+QUEUED\r\n", told, without].concat();
        expect(&mut bench, client, &replies);
        let load = bench.proxy.client_load(client).expect("it is there");
        assert_eq!(load.unread_bytes, 0);
    }
    bench.receives(client, &[DISCARD, MULTI, SET, b"QUIT\r\n"].concat());
    let told = b"-ERR DISCARD without MULTI\r\n+OK\r\n+QUEUED\r\n+OK\r\n";
    expect(&mut bench, client, told);
    assert!(
        !bench
            .outputs
            .iter()
            .any(|output| matches!(output, Output::Connect { .. })),
        "no server is asked"
    );
}

#[test]
fn after_a_refused_watch_no_transaction_is_done_blindly() {
    let mut bench = Bench::new("");
    let client = bench.client();
    let watch = b"*2\r\n$5\r\nWATCH\r\n$1\r\nk\r\n";
    bench.receives(client, watch);
    let refused = bench.sends(client);
    if refused.starts_with(b"-") {
        bench.sent(client);
        bench.receives(client, &transaction());
        expect(&mut bench, client, &[QUEUED, ABORTED].concat());
        bench.receives(client, &transaction());
        expect(&mut bench, client, QUEUED);
        let server = bench.connected();
        assert_eq!(text(&bench.sends(server)), text(&transaction()));
    }
}

/// A key of each of two servers.
fn apart(bench: &mut Bench, client: ConnId) -> [Vec<u8>; 2] {
    let get = |key: &str| format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).into_bytes();
    let keys = [
        "apple", "river", "stone", "cloud", "amber", "violet", "canyon",
    ];
    bench.receives(client, MULTI);
    bench.receives(client, &get(keys[0]));
    expect(bench, client, b"+OK\r\n+QUEUED\r\n");
    for key in &keys[1..] {
        bench.receives(client, &get(key));
        let told = bench.sends(client);
        bench.sent(client);
        if told == CROSS_SERVER {
            bench.receives(client, EXEC);
            expect(bench, client, ABORTED);
            return [get(keys[0]), get(key)];
        }
        assert_eq!(told, b"+QUEUED\r\n");
    }
    panic!("all keys live on one server");
}

#[test]
fn keys_on_two_servers_are_refused_and_live_together_once_one_is_ejected() {
    let mut bench = Bench::over("", &["one", "two"]);
    let client = bench.client();
    let [one, two] = apart(&mut bench, client);
    assert!(bench.outputs.is_empty(), "no server is asked");
    let eject = |nth| Change::Eject {
        pool: PoolIdx(0),
        server: ServerIdx(nth),
    };
    bench.receives(client, &[MULTI, &one].concat());
    expect(&mut bench, client, b"+OK\r\n+QUEUED\r\n");
    // The server of the first key goes between the first command and the second.
    for nth in [0, 1] {
        bench.proxy.apply(&eject(nth), bench.now);
        let readmit = Change::Readmit {
            pool: PoolIdx(0),
            server: ServerIdx(1 - nth),
        };
        bench.proxy.apply(&readmit, bench.now);
        bench.receives(client, &two);
        expect(&mut bench, client, b"+QUEUED\r\n");
    }
    // Parted again before EXEC: none of it is done.
    let readmit = Change::Readmit {
        pool: PoolIdx(0),
        server: ServerIdx(1),
    };
    bench.proxy.apply(&readmit, bench.now);
    bench.receives(client, EXEC);
    let parted = b"-EXECABORT Transaction discarded because of: CROSSSLOT Keys in request don't hash to the same server\r\n";
    expect(&mut bench, client, parted);
    // Without any server it is told when it would be sent.
    for nth in [0, 1] {
        bench.proxy.apply(&eject(nth), bench.now);
    }
    bench.receives(client, &[MULTI, &one, EXEC].concat());
    expect(
        &mut bench,
        client,
        b"+OK\r\n+QUEUED\r\n-ERR Connection refused\r\n",
    );
}

#[test]
fn a_fence_refuses_one_that_writes_and_a_write_hold_lets_it_wait_as_a_whole() {
    let mut bench = Bench::new("");
    let client = bench.client();
    let fence = |fenced| Change::Fence {
        pool: PoolIdx(0),
        fenced,
    };
    bench.proxy.apply(&fence(true), bench.now);
    bench.receives(client, &transaction());
    let fenced = b"-ERR Writes are refused: no majority of the Sentinels is heard\r\n";
    expect(&mut bench, client, &[QUEUED, fenced].concat());
    bench.proxy.apply(&fence(false), bench.now);
    let hold = Change::HoldWrites {
        pool: PoolIdx(0),
        server: ServerIdx(0),
        within: Duration::from_secs(5),
    };
    bench.proxy.apply(&hold, bench.now);
    // One that reads does not wait.
    bench.receives(client, &[MULTI, GET, EXEC].concat());
    expect(&mut bench, client, b"+OK\r\n+QUEUED\r\n");
    let server = bench.connected();
    assert_eq!(
        text(&bench.sends(server)),
        text(&[MULTI, GET, EXEC].concat())
    );
    bench.sent(server);
    bench.receives(server, b"+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    expect(&mut bench, client, b"*1\r\n$-1\r\n");
    bench.receives(client, &transaction());
    expect(&mut bench, client, QUEUED);
    assert_eq!(bench.sends(server), b"", "it waits");
    let release = Change::ReleaseWrites {
        pool: PoolIdx(0),
        server: ServerIdx(0),
    };
    bench.proxy.apply(&release, bench.now);
    bench.turn();
    assert_eq!(text(&bench.sends(server)), text(&transaction()));
}

#[test]
fn a_large_reply_of_exec_is_passed_on_while_it_comes() {
    let (mut bench, client, server) = sent("");
    bench.receives(server, QUEUED);
    bench.receives(server, b"*2\r\n+OK\r\n$600000\r\n");
    bench.receives(server, &vec![b'x'; 400_000]);
    assert!(!bench.sends(client).is_empty(), "a part of it");
    bench.sent(client);
    bench.receives(server, &vec![b'x'; 200_000]);
    bench.receives(server, b"\r\n");
    assert!(bench.sends(client).ends_with(b"x\r\n"));
}

#[test]
fn one_that_times_out_is_unknown_and_its_late_replies_are_nobodys() {
    let (mut bench, client, server) = sent("  timeout: 100\n");
    bench.receives(server, b"+OK\r\n+QUE");
    bench.passes(100);
    let unknown = b"-ERR Connection timed out; the outcome is unknown\r\n";
    expect(&mut bench, client, unknown);
    let other = bench.client();
    bench.receives(other, GET);
    bench.sent(server);
    bench.receives(server, b"UED\r\n+QUEUED\r\n");
    bench.receives(server, &[DONE, b"$1\r\nw\r\n"].concat());
    expect(&mut bench, other, b"$1\r\nw\r\n");
    expect(&mut bench, client, b"");
}
