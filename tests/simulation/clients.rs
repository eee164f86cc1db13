//! `CLIENT …`, told by hand: about clients who are with another worker, and about replies that nobody
//! wants to hear.

use coremux::base::PoolIdx;
use coremux::base::WorkerIdx;
use coremux::messages::ClientsRequest;
use coremux::messages::Finding;
use coremux::messages::Inquiry;
use coremux::messages::Which;
use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;
use super::frame::write_request;

fn request(line: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    write_request(&words)
}

fn requests(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| request(line)).collect()
}

/// What a client gets, all of it sent.
fn taken(bench: &mut Bench, client: ConnId) -> String {
    let mut got = Vec::new();
    loop {
        let sends = bench.sends(client);
        if sends.is_empty() {
            return got.escape_ascii().to_string();
        }
        got.extend(sends);
        bench.sent(client);
    }
}

/// What the proxy asks of the other workers now.
fn asked(bench: &mut Bench) -> Option<Inquiry> {
    let is_asked = |output: &Output| matches!(output, Output::Ask(_));
    let place = bench.outputs.iter().position(is_asked)?;
    match bench.outputs.remove(place) {
        Output::Ask(inquiry) => Some(inquiry),
        _ => None,
    }
}

fn finding(inquiry: &Inquiry, count: u64, lines: &[(u64, &str)]) -> Finding {
    let lines = lines.iter();
    Finding {
        asker: inquiry.asker,
        number: inquiry.number,
        count,
        lines: lines
            .map(|(id, line)| (*id, line.as_bytes().to_vec()))
            .collect(),
        is_cut: false,
    }
}

fn answers(bench: &mut Bench, finding: &Finding) {
    bench.proxy.answered(finding, bench.now);
    bench.turn();
}

const KEYS: &str = "  allow: [client|kill, client|pause, client|unpause]\n";

#[test]
fn a_list_has_the_clients_of_every_worker_and_what_comes_behind_waits_for_it() {
    let mut bench = Bench::of_workers(KEYS, 3);
    let client = bench.client();
    bench.receives(client, &requests(&["CLIENT LIST", "PING"]));
    let inquiry = asked(&mut bench).expect("the others are asked");
    assert_eq!(inquiry.request, ClientsRequest::List(Which::default()));
    assert_eq!(taken(&mut bench, client), "");
    answers(&mut bench, &finding(&inquiry, 0, &[(9, "nine\n")]));
    assert_eq!(taken(&mut bench, client), "", "one is missing");
    answers(&mut bench, &finding(&inquiry, 0, &[(2, "two\n")]));
    let got = taken(&mut bench, client);
    let order = ["id=1 ", "two", "nine"].map(|part| got.find(part).expect(part));
    assert!(order.is_sorted() && got.ends_with("+PONG\\r\\n"), "{got}");
    // What comes twice, or of another number, is nobody's.
    answers(&mut bench, &finding(&inquiry, 0, &[(2, "two\n")]));
    assert_eq!(taken(&mut bench, client), "");
}

#[test]
fn a_worker_that_does_not_answer_is_waited_for_no_longer_than_a_second() {
    let mut bench = Bench::of_workers(KEYS, 2);
    let (first, second) = (bench.client(), bench.client());
    bench.receives(first, &requests(&["CLIENT UNBLOCK 7", "PING"]));
    bench.passes(500);
    bench.receives(second, &requests(&["CLIENT LIST"]));
    let inquiry = asked(&mut bench).expect("the other is asked");
    assert_eq!(asked(&mut bench), None, "one thing at a time");
    bench.passes(499);
    assert_eq!(taken(&mut bench, first), "");
    bench.passes(1);
    assert_eq!(
        taken(&mut bench, first),
        "-ERR A worker of the proxy has not answered in time: not all of it is done or known\\r\\n+PONG\\r\\n"
    );
    let next = asked(&mut bench).expect("whose turn it is");
    answers(&mut bench, &finding(&inquiry, 1, &[]));
    assert_eq!(taken(&mut bench, second), "", "it is the answer to another");
    answers(&mut bench, &finding(&next, 0, &[]));
    assert!(taken(&mut bench, second).contains("cmd=client|list"));
}

#[test]
fn who_has_gone_gets_no_answer_and_the_next_one_does() {
    let mut bench = Bench::of_workers(KEYS, 2);
    let (first, second) = (bench.client(), bench.client());
    bench.receives(first, &requests(&["CLIENT UNPAUSE"]));
    bench.receives(second, &requests(&["CLIENT UNBLOCK 7"]));
    bench.proxy.failed(first, libc::ECONNRESET, bench.now);
    bench.turn();
    bench.proxy.closed(first);
    let inquiry = asked(&mut bench).expect("the other is asked");
    answers(&mut bench, &finding(&inquiry, 0, &[]));
    let inquiry = asked(&mut bench).expect("it is the second's turn");
    answers(&mut bench, &finding(&inquiry, 1, &[]));
    assert_eq!(taken(&mut bench, second), ":1\\r\\n");
}

#[test]
fn a_worker_that_is_asked_does_it_to_its_own_clients_of_that_pool() {
    let mut bench = Bench::of_workers(KEYS, 2);
    let (first, second) = (bench.client(), bench.client());
    let mut inquiry = Inquiry {
        asker: WorkerIdx(1),
        number: 5,
        pool: PoolIdx(0),
        request: ClientsRequest::Kill(Which {
            ids: vec![1],
            ..Which::default()
        }),
    };
    bench.proxy.asked(&inquiry, bench.now);
    bench.turn();
    assert!(bench.outputs.contains(&Output::Close(first)));
    assert!(!bench.outputs.contains(&Output::Close(second)));
    let answer = Output::Answer(finding(&inquiry, 1, &[]));
    assert!(bench.outputs.contains(&answer));
    inquiry.pool = PoolIdx(7);
    bench.outputs.clear();
    bench.proxy.asked(&inquiry, bench.now);
    bench.turn();
    assert_eq!(bench.outputs, [], "a pool that is not there");
}

#[test]
fn who_kills_itself_hears_that_it_is_done() {
    let mut bench = Bench::new(KEYS);
    let (client, other) = (bench.client(), bench.client());
    bench.receives(client, &requests(&["CLIENT KILL SKIPME no", "PING"]));
    assert!(bench.outputs.contains(&Output::Close(other)));
    assert_eq!(taken(&mut bench, client), ":2\\r\\n");
    assert!(bench.outputs.contains(&Output::ShutdownWrite(client)));
}

#[test]
fn a_pause_stops_every_client_also_new_ones_until_its_time_is_over() {
    let mut bench = Bench::new(KEYS);
    let (client, other) = (bench.client(), bench.client());
    bench.receives(client, &requests(&["CLIENT PAUSE 1000", "PING"]));
    assert_eq!(taken(&mut bench, client), "+OK\\r\\n");
    let newcomer = bench.client();
    for conn in [other, newcomer] {
        bench.receives(conn, &request("PING"));
    }
    bench.passes(999);
    for conn in [client, other, newcomer] {
        assert_eq!(taken(&mut bench, conn), "");
    }
    bench.passes(1);
    for conn in [client, other, newcomer] {
        assert_eq!(taken(&mut bench, conn), "+PONG\\r\\n");
    }
}

#[test]
fn a_pause_of_writes_lets_reads_pass_and_is_taken_back() {
    let mut bench = Bench::new(KEYS);
    let (client, other) = (bench.client(), bench.client());
    bench.receives(
        client,
        &requests(&["CLIENT PAUSE 1000 WRITE", "CLIENT PAUSE 10 WRITE"]),
    );
    assert_eq!(taken(&mut bench, client), "+OK\\r\\n+OK\\r\\n");
    bench.receives(other, &requests(&["GET k", "SET k v"]));
    let server = bench.connected();
    assert_eq!(bench.sends(server), request("GET k"));
    bench.sent(server);
    bench.receives(server, b"$1\r\n0\r\n");
    assert_eq!(taken(&mut bench, other), "$1\\r\\n0\\r\\n");
    bench.receives(client, &requests(&["MULTI", "SET k w", "EXEC"]));
    bench.passes(100);
    assert_eq!(bench.sends(server), b"", "the longer one counts");
    assert_eq!(taken(&mut bench, client), "+OK\\r\\n+QUEUED\\r\\n");
    let third = bench.client();
    bench.receives(third, &request("CLIENT UNPAUSE"));
    let sent = bench.sends(server).escape_ascii().to_string();
    assert!(sent.contains("SET") && sent.contains("EXEC"), "{sent}");
    assert_eq!(taken(&mut bench, third), "+OK\\r\\n");
}

#[test]
fn who_wants_to_hear_nothing_hears_nothing_and_every_reply_after_that_is_its_own() {
    let mut bench = Bench::over("", &["one", "two"]);
    let client = bench.client();
    // Of every kind: in place, an error, refused, forwarded, split, of all servers, a transaction.
    let lines = [
        "PING",
        "NONSENSE",
        "GET",
        "SHUTDOWN",
        "GET a",
        "MGET a b c d",
        "DBSIZE",
        "MULTI",
        "GET a",
        "EXEC",
        "CLIENT REPLY nonsense",
    ];
    let mut all = requests(&["PING", "CLIENT REPLY OFF"]);
    all.extend(requests(&lines));
    all.extend(requests(&[
        "CLIENT REPLY SKIP",
        "CLIENT REPLY ON",
        "ECHO after",
    ]));
    for line in &lines {
        if *line != "MULTI" && *line != "EXEC" {
            all.extend(requests(&[
                "CLIENT REPLY SKIP",
                line,
                "ECHO",
                "CLIENT REPLY SKIP",
            ]));
            all.extend(requests(&[line, "ECHO heard"]));
        }
    }
    bench.receives(client, &all);
    let mut got = taken(&mut bench, client);
    for _ in 0..50 {
        got += &taken(&mut bench, client);
        if !bench.serve() {
            break;
        }
    }
    got += &taken(&mut bench, client);
    let wrong = "-ERR wrong number of arguments for \\'echo\\' command\\r\\n";
    let each = format!("{wrong}$5\\r\\nheard\\r\\n");
    let expected = format!("+PONG\\r\\n+OK\\r\\n$5\\r\\nafter\\r\\n{}", each.repeat(9));
    assert_eq!(got, expected);
    assert_eq!(
        bench
            .proxy
            .client_load(client)
            .map(|load| load.requests_in_flight),
        Some(0)
    );
}

#[test]
fn who_has_asked_last_and_hears_nothing_is_closed_when_it_is_done() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, &requests(&["CLIENT REPLY OFF", "SET k v"]));
    bench.proxy.received_end(client, bench.now);
    bench.turn();
    assert!(!bench.outputs.contains(&Output::Close(client)));
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, b"+OK\r\n");
    assert_eq!(taken(&mut bench, client), "");
    assert!(bench.outputs.contains(&Output::Close(client)));
}

#[test]
fn who_waits_is_unblocked_from_elsewhere_and_its_connection_ends() {
    for (how, version, reply) in [
        ("TIMEOUT", "2", "*-1\\r\\n"),
        ("TIMEOUT", "3", "_\\r\\n"),
        (
            "ERROR",
            "2",
            "-UNBLOCKED client unblocked via CLIENT UNBLOCK\\r\\n",
        ),
    ] {
        let mut bench = Bench::new("");
        let (waiter, other) = (bench.client(), bench.client());
        if version == "3" {
            bench.receives(waiter, &request("HELLO 3"));
            let server = bench.connected();
            bench.sent(server);
            bench.receives(server, b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n+PONG\r\n");
            taken(&mut bench, waiter);
        }
        let unblock = request(&format!("CLIENT UNBLOCK 1 {how}"));
        bench.receives(other, &unblock);
        assert_eq!(taken(&mut bench, other), ":0\\r\\n", "it does not wait");
        bench.receives(waiter, &requests(&["BLPOP k 0", "PING"]));
        let server = bench.connected();
        if version == "3" {
            // It is of another kind than the pool's first: it proves that it serves.
            bench.sent(server);
            bench.receives(server, b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n+PONG\r\n");
        }
        assert_eq!(bench.sends(server), request("BLPOP k 0"));
        bench.sent(server);
        // A part of its reply has come: it waits no longer on its server.
        let half = b"*2\r\n$1\r\nk\r\n";
        if how == "ERROR" {
            bench.receives(server, half);
            bench.receives(other, &unblock);
            assert_eq!(taken(&mut bench, other), ":0\\r\\n");
            bench.receives(server, b"$1\r\nv\r\n");
            assert_eq!(
                taken(&mut bench, waiter),
                "*2\\r\\n$1\\r\\nk\\r\\n$1\\r\\nv\\r\\n+PONG\\r\\n"
            );
            bench.receives(waiter, &requests(&["BLPOP k 0", "PING"]));
            bench.sent(server);
        }
        bench.receives(other, &unblock);
        assert_eq!(taken(&mut bench, other), ":1\\r\\n");
        assert_eq!(taken(&mut bench, waiter), format!("{reply}+PONG\\r\\n"));
        assert!(
            bench.outputs.contains(&Output::Close(server)),
            "nothing is popped for nobody"
        );
    }
}
