//! What a seed has found once, told by hand: a few calls of the `Proxy`, one promise each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coremux::base::Batch;
use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::base::Time;
use coremux::config::Config;
use coremux::messages::Change;
use coremux::messages::SocketAddress;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Pressure;
use coremux::proxy::Proxy;
use coremux::stats::WorkerStats;

use crate::data_plane;

/// A proxy with one pool of one server, and what it has asked for.
pub struct Bench {
    pub proxy: Proxy,
    pub now: Time,
    pub outputs: Vec<Output>,
    /// What it serves.
    pub table: coremux::config::Table,
    /// Where it counts.
    pub stats: Arc<WorkerStats>,
    /// Batches that are being sent.
    sending: Vec<(ConnId, Batch)>,
}

impl Bench {
    pub fn new(keys: &str) -> Bench {
        Bench::over(keys, &["one"])
    }

    /// The same with several servers.
    pub fn over(keys: &str, names: &[&str]) -> Bench {
        Bench::with(keys, names, 1)
    }

    /// The first of several workers.
    pub fn of_workers(keys: &str, workers: u16) -> Bench {
        Bench::with(keys, &["one"], workers)
    }

    fn with(keys: &str, names: &[&str], workers: u16) -> Bench {
        let mut text = format!("alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{keys}  servers:\n");
        for (nth, name) in (1..).zip(names) {
            text += &format!("    - 10.0.0.{nth}:6379:1 {name}\n");
        }
        let config = Arc::new(Config::parse(&text, "test.yml").expect("a good configuration"));
        let (proxy, stats) = data_plane::of_worker(&config, 0, workers, 1);
        Bench {
            table: coremux::config::Table::new(config),
            stats,
            proxy,
            now: Time::ZERO,
            outputs: Vec::new(),
            sending: Vec::new(),
        }
    }

    pub fn client(&mut self) -> ConnId {
        let conn = self.proxy.client_accepted(PoolIdx(0), None, true, self.now);
        self.turn();
        conn
    }

    /// Bytes come, and the proxy acts.
    pub fn receives(&mut self, conn: ConnId, bytes: &[u8]) {
        let chunk = Bytes::copy_from_slice(bytes);
        self.proxy.received(conn, &chunk, self.now);
        self.turn();
    }

    /// What is being sent on a connection.
    pub fn sends(&self, conn: ConnId) -> Vec<u8> {
        let batches = self.sending.iter().filter(|(to, _)| *to == conn);
        batches
            .flat_map(|(_, batch)| batch.slices().collect::<Vec<_>>().concat())
            .collect()
    }

    /// What was being sent on a connection is sent.
    pub fn sent(&mut self, conn: ConnId) {
        let place = self.sending.iter().position(|(to, _)| *to == conn);
        let (_, batch) = self.sending.remove(place.expect("something is being sent"));
        self.proxy.sent(conn, batch, self.now);
        self.turn();
    }

    /// Time passes, and the proxy is woken whenever it has asked to be.
    pub fn passes(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(next) = self.proxy.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.proxy.handle_timeout(self.now);
            self.turn();
        }
        self.now = until;
    }

    pub fn turn(&mut self) {
        while let Some(output) = self.proxy.poll_output(self.now) {
            self.outputs.push(output);
        }
        while let Some(batch) = self.proxy.poll_transmit(self.now) {
            self.sending.push(batch);
        }
    }

    /// The connection that the proxy has asked for last.
    pub fn server(&self) -> ConnId {
        let mut connects = self.outputs.iter().filter_map(|output| match output {
            Output::Connect { conn, .. } => Some(*conn),
            _ => None,
        });
        connects.next_back().expect("the proxy connects")
    }

    /// Every server does what it has been sent: whether there was anything. Each answers every request by
    /// an integer.
    pub fn serve(&mut self) -> bool {
        for output in std::mem::take(&mut self.outputs) {
            if let Output::Connect { conn, .. } = output {
                self.proxy.connected(conn, self.now);
            }
        }
        self.turn();
        let is_server = |conn: &ConnId| matches!(conn, ConnId::Server(_));
        let mut conns = self.sending.iter().map(|(conn, _)| *conn);
        let Some(conn) = conns.find(is_server) else {
            return false;
        };
        let sent = self.sends(conn);
        let (mut bytes, mut within, mut replies) = (&sent[..], false, Vec::new());
        while let Ok(Some((words, used))) = crate::frame::parse_request(bytes) {
            let name = &bytes[words[0].clone()];
            replies.extend_from_slice(match name {
                b"MULTI" => &b"+OK\r\n"[..],
                b"EXEC" => b"*0\r\n",
                _ if within => b"+QUEUED\r\n",
                _ => b":1\r\n",
            });
            within = name == b"MULTI" || (within && name != b"EXEC");
            bytes = &bytes[used..];
        }
        self.sent(conn);
        self.receives(conn, &replies);
        true
    }

    /// The same, connected.
    pub fn connected(&mut self) -> ConnId {
        let server = self.server();
        self.proxy.connected(server, self.now);
        self.turn();
        server
    }
}

/// A server that has failed must answer this first.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
const TIMED_OUT: &[u8] = b"-ERR Connection timed out\r\n";

#[test]
fn a_client_goes_on_however_small_its_limit_is() {
    let mut bench = Bench::new("  client_output_limit: 1\n");
    let client = bench.client();
    bench.receives(client, &PING.repeat(2));
    assert_eq!(bench.sends(client), b"+PONG\r\n");
    bench.sent(client);
    assert_eq!(bench.sends(client), b"+PONG\r\n");
}

#[test]
fn bytes_that_are_being_sent_count_against_a_clients_limit() {
    let mut bench = Bench::new("  client_output_limit: 1000\n");
    let client = bench.client();
    // As many as it may be owed, and one; none of them is read by the client.
    bench.receives(client, &PING.repeat(143));
    assert_eq!(bench.sends(client).len(), 143 * 7);
    bench.receives(client, &PING.repeat(143));
    let load = bench.proxy.client_load(client).expect("it is there");
    assert_eq!(load.owed_bytes, 143 * 7);
    assert_eq!(load.unread_bytes, 143 * PING.len());
    bench.sent(client);
    assert_eq!(bench.sends(client).len(), 143 * 7);
}

#[test]
fn a_request_waits_for_a_connection_no_longer_than_its_timeout() {
    let mut bench = Bench::new("  timeout: 100\n  connect_timeout: 1000\n");
    let client = bench.client();
    bench.receives(client, GET);
    bench.passes(99);
    assert_eq!(bench.sends(client), b"");
    bench.passes(1);
    assert_eq!(bench.sends(client), TIMED_OUT);
    // It is not sent any more when there is a connection at last.
    let server = bench.connected();
    assert_eq!(bench.sends(server), PING);
    bench.sent(server);
    bench.receives(server, b"+PONG\r\n");
    assert_eq!(bench.sends(server), b"");
}

#[test]
fn a_silent_connection_is_given_up_when_its_server_answers_others() {
    let mut bench = Bench::new("  timeout: 100\n  connect_timeout: 1000\n");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    assert_eq!(bench.sends(server), GET);
    bench.sent(server);
    let reachable = coremux::messages::Change::Reachable {
        pool: coremux::base::PoolIdx(0),
        server: coremux::base::ServerIdx(0),
    };
    // Nobody has waited too long yet.
    bench.passes(50);
    bench.proxy.apply(&reachable, bench.now);
    bench.turn();
    assert_eq!(bench.server(), server);
    bench.passes(50);
    assert_eq!(bench.sends(client), TIMED_OUT);
    bench.sent(client);
    bench.proxy.apply(&reachable, bench.now);
    bench.turn();
    assert_eq!(bench.server(), server, "it may be one slow command");
    bench.passes(100);
    bench.proxy.apply(&reachable, bench.now);
    bench.turn();
    bench.receives(client, GET);
    assert_ne!(
        bench.connected(),
        server,
        "it may be silent for a long time"
    );
}

#[test]
fn the_first_request_of_a_connection_has_its_own_timeout() {
    let mut bench = Bench::new("  timeout: 100\n  connect_timeout: 1000\n");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    assert_eq!(bench.sends(server), GET);
    bench.passes(100);
    assert_eq!(bench.sends(client), TIMED_OUT);
}

#[test]
fn a_request_that_is_sent_again_keeps_its_time() {
    let mut bench = Bench::new("  timeout: 100\n  connect_timeout: 1000\n");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, b"$-1\r\n");
    bench.sent(client);
    // Two more: the first is being sent when the connection ends, the second is not.
    bench.receives(client, GET);
    bench.receives(client, GET);
    bench.passes(50);
    bench.proxy.received_end(server, bench.now);
    bench.turn();
    assert_eq!(
        bench.sends(client),
        b"-ERR Server closed the connection\r\n"
    );
    bench.sent(client);
    bench.passes(49);
    assert_eq!(bench.sends(client), b"");
    bench.passes(1);
    assert_eq!(bench.sends(client), TIMED_OUT);
}

#[test]
fn a_client_has_its_time_to_read_the_last_word_also_where_idle_ones_are_closed() {
    let mut bench = Bench::new("  client_idle_timeout: 100\n");
    let client = bench.client();
    bench.passes(99);
    bench.receives(client, b"*1\r\n$4\r\nQUIT\r\n");
    bench.sent(client);
    assert_eq!(bench.outputs, [Output::ShutdownWrite(client)]);
    // A close would destroy the reply if the client was still sending.
    bench.passes(999);
    assert_eq!(bench.outputs, [Output::ShutdownWrite(client)]);
    bench.passes(1);
    assert_eq!(bench.outputs[1..], [Output::Close(client)]);
}

/// What a client is told that has sent more than there is memory for.
const NO_MEMORY: &[u8] = b"-ERR The proxy is short of memory\r\n";

fn reply(bytes: usize) -> Vec<u8> {
    let head = format!("${bytes}\r\n").into_bytes();
    [head, vec![b'v'; bytes], b"\r\n".to_vec()].concat()
}

/// To be given up now, with all else as it was.
fn shed(bytes: usize) -> Pressure {
    Pressure {
        shed_bytes: bytes,
        ..Pressure::NONE
    }
}

#[test]
fn the_biggest_consumers_are_closed_first_and_no_more_of_them_than_needed() {
    let mut bench = Bench::new("");
    let clients: Vec<ConnId> = (0..4).map(|_| bench.client()).collect();
    for client in &clients {
        bench.receives(*client, GET);
    }
    let server = bench.connected();
    for bytes in [1000, 300_000, 2000, 200_000] {
        bench.receives(server, &reply(bytes));
    }
    assert!(bench.proxy.holdings().bytes > 503_000);
    bench.outputs.clear();
    bench.proxy.relieve(shed(250_000), bench.now);
    bench.turn();
    assert_eq!(bench.outputs, [Output::Abort(clients[1])]);
    // Its bytes are still being sent: they will be free without any other client's being closed.
    bench.proxy.relieve(shed(250_000), bench.now);
    bench.turn();
    assert_eq!(bench.outputs.len(), 1);
    bench.sent(clients[1]);
    bench.proxy.closed(clients[1]);
    bench.proxy.relieve(shed(150_000), bench.now);
    bench.turn();
    assert_eq!(bench.outputs[1..], [Output::Abort(clients[3])]);
}

#[test]
fn a_client_with_much_under_way_is_stopped_and_goes_on_when_the_pressure_has_gone() {
    let mut bench = Bench::new("");
    let (large, small) = (bench.client(), bench.client());
    bench.receives(large, GET);
    bench.receives(small, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, &[reply(300_000), reply(10)].concat());
    bench.outputs.clear();
    let pressure = Pressure {
        client_bytes_max: 100_000,
        ..Pressure::NONE
    };
    bench.proxy.relieve(pressure, bench.now);
    bench.turn();
    assert_eq!(bench.outputs, [Output::Pause(large)]);
    bench.receives(large, GET);
    bench.receives(small, GET);
    assert_eq!(bench.sends(server), GET, "only one of them is read");
    bench.proxy.relieve(Pressure::NONE, bench.now);
    bench.turn();
    assert_eq!(bench.outputs[1..], [Output::Resume(large)]);
    bench.sent(server);
    assert_eq!(bench.sends(server), GET);
}

#[test]
fn a_stopped_client_goes_on_when_it_has_taken_its_replies_though_memory_is_short() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, &reply(300_000));
    let pressure = Pressure {
        client_bytes_max: 100_000,
        ..Pressure::NONE
    };
    bench.proxy.relieve(pressure, bench.now);
    bench.receives(client, GET);
    assert_eq!(bench.sends(server), b"");
    bench.sent(client);
    assert_eq!(bench.sends(server), GET);
}

#[test]
fn a_large_reply_to_a_client_that_has_gone_is_not_kept() {
    let mut bench = Bench::new("");
    let (goes, stays) = (bench.client(), bench.client());
    bench.receives(goes, GET);
    bench.receives(stays, GET);
    let server = bench.connected();
    bench.sent(server);
    let large = reply(1 << 20);
    bench.receives(server, &large[..500_000]);
    assert!(bench.proxy.holdings().bytes >= 500_000);
    bench.proxy.failed(goes, libc::ECONNRESET, bench.now);
    bench.proxy.closed(goes);
    bench.receives(server, &large[500_000..600_000]);
    assert!(
        bench.proxy.holdings().bytes < 100,
        "what has come is dropped"
    );
    bench.receives(server, &large[600_000..]);
    bench.receives(server, b"$2\r\nok\r\n");
    assert_eq!(bench.sends(stays), b"$2\r\nok\r\n", "the next is its own");
}

#[test]
fn a_large_reply_that_comes_after_its_time_is_not_kept() {
    let mut bench = Bench::new("  timeout: 100\n");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.passes(100);
    bench.sent(client);
    let large = reply(1 << 20);
    bench.receives(server, &large[..900_000]);
    assert!(bench.proxy.holdings().bytes < 100);
}

#[test]
fn a_request_larger_than_memory_ends_in_an_error_and_costs_nobody_else() {
    let mut bench = Bench::new("");
    let (giant, other) = (bench.client(), bench.client());
    bench.receives(other, GET);
    let server = bench.connected();
    bench.receives(giant, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n");
    bench.receives(giant, &vec![b'v'; 1 << 20]);
    assert!(bench.proxy.holdings().bytes > 1 << 20);
    bench.proxy.relieve(shed(1000), bench.now);
    bench.turn();
    assert_eq!(bench.sends(giant), NO_MEMORY);
    assert!(bench.proxy.holdings().bytes < 1000);
    bench.receives(giant, &vec![b'v'; 1 << 20]);
    assert!(
        bench.proxy.holdings().bytes < 1000,
        "the rest is thrown away"
    );
    bench.receives(server, &reply(3));
    assert_eq!(bench.sends(other), reply(3));
}

#[test]
fn requests_that_wait_for_a_server_are_given_up_with_their_client_and_no_others() {
    let mut bench = Bench::new("  server_connections: 1\n");
    let (giant, other) = (bench.client(), bench.client());
    let set = |byte: u8, bytes: usize| {
        let value = vec![byte; bytes];
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${bytes}\r\n").into_bytes();
        [head, value, b"\r\n".to_vec()].concat()
    };
    bench.receives(other, &set(b'a', 30_000));
    for byte in [b'x', b'y'] {
        bench.receives(giant, &set(byte, 100_000));
    }
    bench.receives(other, &set(b'b', 50));
    bench.proxy.relieve(shed(1000), bench.now);
    let server = bench.connected();
    assert_eq!(
        bench.sends(server),
        [set(b'a', 30_000), set(b'b', 50)].concat()
    );
    bench.receives(server, b"+OK\r\n+OK\r\n");
    assert_eq!(bench.sends(other), b"+OK\r\n+OK\r\n");
    assert!(bench.outputs.contains(&Output::Abort(giant)));
}

#[test]
fn what_waits_for_a_server_that_does_not_read_can_still_be_given_up() {
    let mut bench = Bench::new("");
    let (first, second) = (bench.client(), bench.client());
    bench.receives(first, GET);
    let server = bench.connected();
    let set = [
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$700000\r\n",
        vec![b'v'; 700_000].as_slice(),
        b"\r\n",
    ]
    .concat();
    (0..4).for_each(|_| bench.receives(second, &set));
    bench.sent(server);
    assert!(bench.sends(server) == set, "two are more than a batch");
    bench.proxy.relieve(shed(1000), bench.now);
    bench.turn();
    assert!(bench.outputs.contains(&Output::Abort(second)));
    bench.receives(first, GET);
    bench.sent(server);
    assert_eq!(bench.sends(server), GET);
}

/// The only server's name has these addresses from now on.
fn has_addresses(bench: &mut Bench, last: &[u8]) {
    let addresses = last
        .iter()
        .map(|last| SocketAddress::Tcp(([10, 0, 0, *last], 6379).into()));
    let change = Change::Addresses {
        pool: PoolIdx(0),
        server: ServerIdx(0),
        addresses: addresses.collect(),
    };
    bench.proxy.apply(&change, bench.now);
    bench.turn();
}

/// Where the proxy has asked to be connected to, by the last number.
fn connects(bench: &Bench) -> Vec<u8> {
    let connects = bench.outputs.iter().filter_map(|output| match output {
        Output::Connect {
            address: SocketAddress::Tcp(std::net::SocketAddr::V4(address)),
            ..
        } => Some(address.ip().octets()[3]),
        _ => None,
    });
    connects.collect()
}

const GET_NEXT: &[u8] = b"*2\r\n$3\r\nGET\r\n$4\r\nnext\r\n";

#[test]
fn a_server_that_moves_answers_what_was_sent_and_gets_nothing_more() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    let old = bench.connected();
    bench.sent(old);
    has_addresses(&mut bench, &[2]);
    bench.receives(client, GET_NEXT);
    assert_eq!(bench.sends(old), b"");
    assert!(!bench.outputs.contains(&Output::Close(old)));
    bench.receives(old, b"$1\r\na\r\n");
    assert_eq!(bench.sends(client), b"$1\r\na\r\n");
    assert!(bench.outputs.contains(&Output::Close(old)));
    assert_eq!(connects(&bench), [1, 2]);
    let new = bench.connected();
    assert_eq!(bench.sends(new), GET_NEXT);
    bench.sent(client);
    bench.receives(new, b"$1\r\nb\r\n");
    assert_eq!(bench.sends(client), b"$1\r\nb\r\n");
}

#[test]
fn a_server_whose_addresses_come_in_another_order_stays_connected() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.outputs.clear();
    has_addresses(&mut bench, &[3, 1, 2]);
    bench.receives(client, GET_NEXT);
    assert_eq!(bench.sends(server), GET_NEXT);
    assert_eq!(bench.outputs, []);
}

#[test]
fn an_idle_connection_to_an_old_address_is_closed_at_once_and_opened_when_it_is_wanted() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    let old = bench.connected();
    bench.sent(old);
    bench.receives(old, b"$1\r\na\r\n");
    bench.outputs.clear();
    has_addresses(&mut bench, &[2]);
    assert_eq!(bench.outputs, [Output::Close(old)]);
    bench.receives(client, GET_NEXT);
    assert_eq!(connects(&bench), [2]);
}

#[test]
fn a_reply_that_comes_before_its_request_is_known_to_be_sent_keeps_nobody_at_an_old_address() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    let old = bench.connected();
    has_addresses(&mut bench, &[2]);
    bench.receives(old, b"$1\r\na\r\n");
    assert!(!bench.outputs.contains(&Output::Close(old)));
    bench.sent(old);
    assert!(bench.outputs.contains(&Output::Close(old)));
}

#[test]
fn an_address_that_comes_back_in_time_is_not_left() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    let server = bench.connected();
    bench.sent(server);
    has_addresses(&mut bench, &[2]);
    bench.receives(client, GET_NEXT);
    has_addresses(&mut bench, &[1]);
    assert_eq!(bench.sends(server), GET_NEXT);
    assert_eq!(connects(&bench), [1]);
}

#[test]
fn an_attempt_to_connect_to_an_old_address_is_made_anew() {
    let mut bench = Bench::new("");
    let client = bench.client();
    bench.receives(client, GET);
    has_addresses(&mut bench, &[2]);
    assert_eq!(connects(&bench), [1, 2]);
    let new = bench.connected();
    assert_eq!(bench.sends(new), GET);
    bench.receives(new, b"$1\r\na\r\n");
    assert_eq!(bench.sends(client), b"$1\r\na\r\n");
}

#[test]
fn of_clients_as_big_the_one_that_has_just_asked_is_not_the_one_to_be_closed() {
    let mut bench = Bench::new("");
    let (just_asked, idle) = (bench.client(), bench.client());
    bench.receives(idle, GET);
    let server = bench.connected();
    bench.sent(server);
    bench.receives(server, &reply(300_000));
    bench.passes(50);
    bench.receives(just_asked, GET);
    bench.sent(server);
    bench.receives(server, &reply(310_000));
    bench.outputs.clear();
    bench.proxy.relieve(shed(1000), bench.now);
    bench.turn();
    assert_eq!(bench.outputs, [Output::Abort(idle)]);
}

#[test]
fn a_client_that_is_stopped_when_it_is_to_end_is_read_until_it_has_its_last_reply() {
    let mut bench = Bench::new("  client_requests_in_flight: 1\n");
    let client = bench.client();
    bench.receives(client, &[GET, GET].concat());
    let server = bench.connected();
    assert!(bench.outputs.contains(&Output::Pause(client)));
    bench.proxy.drain(bench.now);
    bench.turn();
    // Unread bytes in the socket would make its close a reset, which destroys the reply.
    bench.receives(server, b"$-1\r\n");
    bench.sent(client);
    let last = bench.outputs.iter().rev().take(2).collect::<Vec<_>>();
    assert_eq!(
        last,
        [&Output::Resume(client), &Output::ShutdownWrite(client)]
    );
}
