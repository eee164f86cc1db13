//! What is asked again when a connection breaks, told by hand: reads, however many there are.

use coremux::proxy::ConnId;

use super::by_hand::Bench;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const NONE: &[u8] = b"$-1\r\n";

/// So many of them fill a batch, and two more.
const READS: usize = 3000;

fn get(nth: usize) -> Vec<u8> {
    let key = format!("{nth:01000}");
    format!("*2\r\n$3\r\nGET\r\n$1000\r\n{key}\r\n").into_bytes()
}

/// A client whose server has answered it.
fn served(keys: &str) -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::new(keys);
    let client = bench.client();
    bench.receives(client, &get(0));
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, NONE);
    assert_eq!(bench.sends(client), NONE);
    bench.sent(client);
    (bench, client, server)
}

/// Everything that is sent on a connection, batch by batch.
fn sends_all(bench: &mut Bench, conn: ConnId) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let batch = bench.sends(conn);
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
        bench.sent(conn);
    }
}

/// The next connection comes about, and its server proves that it serves.
fn connected_again(bench: &mut Bench, before: ConnId) -> ConnId {
    let server = bench.connected();
    assert_ne!(server, before);
    assert_eq!(bench.sends(server), PING);
    bench.sent(server);
    bench.receives(server, b"+PONG\r\n");
    server
}

#[test]
fn reads_are_asked_again_however_many_were_sent_at_once() {
    let (mut bench, client, server) = served("  client_output_limit: 1000000000\n");
    let asked: Vec<u8> = (0..READS).flat_map(get).collect();
    bench.receives(client, &asked);
    assert!(sends_all(&mut bench, server) == asked, "all is sent");
    // Some are answered; they were sent in the first batch.
    bench.receives(server, &NONE.repeat(7));
    assert_eq!(bench.sends(client), NONE.repeat(7));
    bench.sent(client);
    bench.proxy.received_end(server, bench.now);
    bench.turn();
    let again = connected_again(&mut bench, server);
    let left: Vec<u8> = (7..READS).flat_map(get).collect();
    assert!(sends_all(&mut bench, again) == left, "all is asked again");
    bench.receives(again, &NONE.repeat(READS - 7));
    assert!(bench.sends(client) == NONE.repeat(READS - 7));
}

#[test]
fn a_read_of_more_than_a_batch_is_asked_again_and_a_write_of_as_much_is_not() {
    let value = vec![b'v'; 2 << 20];
    for (name, safe) in [("mget", true), ("mset", false)] {
        let (mut bench, client, server) = served("");
        let mut request = format!("*3\r\n$4\r\n{name}\r\n$1\r\nk\r\n").into_bytes();
        super::frame::write_bulk(&value, &mut request);
        bench.receives(client, &request);
        assert!(sends_all(&mut bench, server) == request);
        bench.proxy.received_end(server, bench.now);
        bench.turn();
        if safe {
            let again = connected_again(&mut bench, server);
            assert!(sends_all(&mut bench, again) == request, "{name}");
        } else {
            let unknown = b"-ERR Server closed the connection; the outcome is unknown\r\n";
            assert_eq!(bench.sends(client), unknown);
        }
    }
}

#[test]
fn a_write_whose_time_is_over_says_whether_it_may_be_done_all_the_same() {
    let (mut bench, client, server) = served("  timeout: 100\n");
    let incr = b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n";
    // Two are sent; the third waits behind them.
    bench.receives(client, &[&get(1)[..], incr].concat());
    assert!(!bench.sends(server).is_empty());
    bench.receives(client, incr);
    bench.passes(100);
    let timed_out = "-ERR Connection timed out";
    let replies = format!("{timed_out}\r\n{timed_out}; the outcome is unknown\r\n{timed_out}\r\n");
    assert_eq!(String::from_utf8_lossy(&bench.sends(client)), replies);
}
