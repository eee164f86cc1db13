//! Replies that come together, told by hand: what is looked up once for all of them changes nothing.

use std::time::Duration;

use coremux::proxy::ConnId;

use crate::by_hand::Bench;
use crate::frame::write_request;

/// What two clients ask in turn, and what the server says.
const ASKED: [(&[&str], &[u8]); 9] = [
    (&["GET", "a"], b"$5\r\nvalue\r\n"),
    (&["GET", "b"], b"$-1\r\n"),
    (&["SET", "a", "v"], b"+OK\r\n"),
    (
        &["INCR", "a"],
        b"-ERR value is not an integer or out of range\r\n",
    ),
    (&["STRLEN", "a"], b":5\r\n"),
    (&["LRANGE", "l", "0", "-1"], b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    (&["EVAL", "x", "1", "a"], b"-READONLY says a script\r\n"),
    (&["GET", "a"], b"$5\r\nvalue\r\n"),
    (
        &["SET", "a", "w"],
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    ),
];

/// What follows when the replies come in pieces of so many bytes.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    given: [Vec<u8>; 2],
    counters: Vec<u64>,
    /// How many requests were timed, and how long they took together.
    times: (u64, u64),
    slow: usize,
}

/// `wait` passes before the replies come, and each of them takes that long.
fn seen_in_pieces(size: usize, wait: Duration) -> Seen {
    let mut bench = Bench::new("");
    let clients: [ConnId; 2] = std::array::from_fn(|_| bench.client());
    for (nth, (words, _)) in ASKED.iter().enumerate() {
        bench.receives(clients[nth % 2], &write_request(words));
    }
    let server = bench.connected();
    bench.sent(server);
    let replies: Vec<u8> = ASKED
        .iter()
        .flat_map(|(_, reply)| *reply)
        .copied()
        .collect();
    bench.now = bench.now + wait;
    for piece in replies.chunks(size) {
        bench.receives(server, piece);
    }
    let given = clients.map(|client| {
        let mut given = Vec::new();
        while !bench.sends(client).is_empty() {
            given.extend(bench.sends(client));
            bench.sent(client);
        }
        given
    });
    let counters = bench.stats.pools[0].servers[0].values().to_vec();
    let mut records = bench.proxy.take_records(Box::default());
    let times = records.latencies.take().fold((0, 0), |sum, (_, times)| {
        (sum.0 + times.at_server.len(), sum.1 + times.at_server.sum())
    });
    let slow = records
        .pools()
        .map(|(_, pool)| pool.slow.iter().count())
        .sum();
    Seen {
        given,
        counters,
        times,
        slow,
    }
}

#[test]
fn replies_that_come_together_are_given_counted_and_timed_as_each_by_itself() {
    for (wait, slow) in [
        (Duration::from_millis(1), 0),
        (Duration::from_millis(20), 9),
    ] {
        let bytewise = seen_in_pieces(1, wait);
        for (client, given) in bytewise.given.iter().enumerate() {
            let own = ASKED.iter().skip(client).step_by(2);
            let expected: Vec<u8> = own.flat_map(|(_, reply)| *reply).copied().collect();
            assert_eq!(given, &expected);
        }
        let micros = u64::try_from(wait.as_micros()).unwrap();
        assert_eq!(bytewise.times, (9, 9 * micros));
        assert_eq!(bytewise.slow, slow);
        for size in [2, 3, 7, 20, 64, usize::MAX] {
            assert_eq!(seen_in_pieces(size, wait), bytewise, "in pieces of {size}");
        }
    }
}
