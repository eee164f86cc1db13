//! What a seed has found once, told by hand: a few calls of the `Proxy`, one promise each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coremux::base::Batch;
use coremux::base::PoolIdx;
use coremux::base::Time;
use coremux::base::WorkerIdx;
use coremux::config::Config;
use coremux::proxy::ConnId;
use coremux::proxy::Output;
use coremux::proxy::Proxy;
use coremux::proxy::ProxySetup;
use coremux::stats::PoolShape;
use coremux::stats::Shape;
use coremux::stats::WorkerStats;

/// A proxy with one pool of one server, and what it has asked for.
struct Bench {
    proxy: Proxy,
    now: Time,
    outputs: Vec<Output>,
    /// Batches that are being sent.
    sending: Vec<(ConnId, Batch)>,
}

impl Bench {
    fn new(keys: &str) -> Bench {
        let text = format!(
            "alpha:\n  listen: 127.0.0.1:1\n  redis: true\n{keys}  servers:\n    - 10.0.0.1:6379:1 one\n"
        );
        let config = Arc::new(Config::parse(&text, "test.yml").expect("a good configuration"));
        let shape = Shape {
            pools: vec![PoolShape {
                name: "alpha".into(),
                servers: vec!["one".into()],
            }],
        };
        Bench {
            proxy: Proxy::new(ProxySetup {
                config,
                stats: Arc::new(WorkerStats::new(&shape)),
                worker: WorkerIdx(0),
                workers: 1,
                seed: 1,
                epoch: Duration::ZERO,
                process: 1,
            }),
            now: Time::ZERO,
            outputs: Vec::new(),
            sending: Vec::new(),
        }
    }

    fn client(&mut self) -> ConnId {
        let conn = self.proxy.client_accepted(PoolIdx(0), None, true, self.now);
        self.turn();
        conn
    }

    /// Bytes come, and the proxy acts.
    fn receives(&mut self, conn: ConnId, bytes: &[u8]) {
        let chunk = Bytes::copy_from_slice(bytes);
        self.proxy.received(conn, &chunk, self.now);
        self.turn();
    }

    /// What is being sent on a connection.
    fn sends(&self, conn: ConnId) -> Vec<u8> {
        let batches = self.sending.iter().filter(|(to, _)| *to == conn);
        batches
            .flat_map(|(_, batch)| batch.slices().collect::<Vec<_>>().concat())
            .collect()
    }

    /// What was being sent on a connection is sent.
    fn sent(&mut self, conn: ConnId) {
        let place = self.sending.iter().position(|(to, _)| *to == conn);
        let (_, batch) = self.sending.remove(place.expect("something is being sent"));
        self.proxy.sent(conn, batch, self.now);
        self.turn();
    }

    /// Time passes, and the proxy is woken whenever it has asked to be.
    fn passes(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(next) = self.proxy.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.proxy.handle_timeout(self.now);
            self.turn();
        }
        self.now = until;
    }

    fn turn(&mut self) {
        while let Some(output) = self.proxy.poll_output(self.now) {
            self.outputs.push(output);
        }
        while let Some(batch) = self.proxy.poll_transmit() {
            self.sending.push(batch);
        }
    }

    /// The connection that the proxy has asked for last.
    fn server(&self) -> ConnId {
        let mut connects = self.outputs.iter().filter_map(|output| match output {
            Output::Connect { conn, .. } => Some(*conn),
            _ => None,
        });
        connects.next_back().expect("the proxy connects")
    }

    /// The same, connected.
    fn connected(&mut self) -> ConnId {
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
