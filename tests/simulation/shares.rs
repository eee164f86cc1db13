//! How much of what a client asks is under way at once, told by hand.

use coremux::proxy::ConnId;
use coremux::proxy::Output;

use super::by_hand::Bench;
use super::frame::write_bulk;

const MIB: usize = 1 << 20;
const LIMIT: usize = 16 * MIB;
/// More than the client may have under way.
const AT_ONCE: usize = 100;

/// Two servers, to which the keys of one `MGET` go.
struct Stand {
    bench: Bench,
    client: ConnId,
    servers: Vec<ConnId>,
}

impl Stand {
    fn new() -> Stand {
        let keys = format!("  client_output_limit: {LIMIT}\n  hash: md5\n  distribution: modula\n");
        let mut bench = Bench::over(&keys, &["one", "two"]);
        let client = bench.client();
        bench.receives(client, &mget());
        let servers: Vec<ConnId> = bench
            .outputs
            .iter()
            .filter_map(|output| match output {
                Output::Connect { conn, .. } => Some(*conn),
                _ => None,
            })
            .collect();
        assert_eq!(servers.len(), 2, "the keys live on both");
        for server in &servers {
            bench.proxy.connected(*server, bench.now);
        }
        bench.turn();
        Stand {
            bench,
            client,
            servers,
        }
    }

    /// Every server answers everything that has come, each part with 3 MiB.
    fn answer(&mut self) {
        for server in self.servers.clone() {
            let asked = self.bench.sends(server);
            if asked.is_empty() {
                continue;
            }
            self.bench.sent(server);
            let mut parts = asked.split(|byte| *byte == b'*').filter(|p| !p.is_empty());
            let elements: Vec<usize> = parts
                .by_ref()
                .map(|part| {
                    let head = part.split(|byte| *byte == b'\r').next().unwrap();
                    String::from_utf8_lossy(head).parse::<usize>().unwrap() - 1
                })
                .collect();
            for count in elements {
                let mut reply = format!("*{count}\r\n").into_bytes();
                write_bulk(&vec![b'v'; 3 * MIB], &mut reply);
                reply.extend(b"$-1\r\n".repeat(count - 1));
                self.bench.receives(server, &reply);
            }
        }
    }

    fn under_way(&self) -> usize {
        let load = self.bench.proxy.client_load(self.client).unwrap();
        load.requests_in_flight
    }

    fn owed(&self) -> usize {
        self.bench
            .proxy
            .client_load(self.client)
            .unwrap()
            .owed_bytes
    }
}

fn mget() -> Vec<u8> {
    let mut request = b"*9\r\n$4\r\nMGET\r\n".to_vec();
    for nth in 0..8 {
        write_bulk(format!("key:{nth}").as_bytes(), &mut request);
    }
    request
}

#[test]
fn a_client_has_no_more_split_requests_under_way_than_it_may_have_replies() {
    let mut stand = Stand::new();
    stand.answer();
    let reply = stand.owed();
    assert!(reply > 6 * MIB);
    stand.bench.sent(stand.client);
    while stand.owed() > 0 {
        stand.bench.sent(stand.client);
    }
    stand.bench.receives(stand.client, &mget().repeat(AT_ONCE));
    assert!(
        stand.under_way() <= LIMIT.div_ceil(reply),
        "{}",
        stand.under_way()
    );
    // It reads nothing: no more is asked for it.
    (0..AT_ONCE).for_each(|_| stand.answer());
    assert!(stand.owed() <= LIMIT + reply, "{}", stand.owed());
    // It reads: it goes on, by so many at a time.
    for _ in 0..AT_ONCE * 4 {
        if stand.owed() > 0 {
            stand.bench.sent(stand.client);
        }
        assert!(stand.owed() <= LIMIT + reply, "{}", stand.owed());
        stand.answer();
    }
    assert_eq!((stand.owed(), stand.under_way()), (0, 0), "all is answered");
}

#[test]
fn a_new_client_whose_replies_nobody_knows_has_few_requests_under_way() {
    let mut stand = Stand::new();
    stand.bench.receives(stand.client, &mget().repeat(AT_ONCE));
    assert!(stand.under_way() <= LIMIT / MIB, "{}", stand.under_way());
    let parts = stand.under_way() * 2 * 3 * MIB;
    (0..AT_ONCE).for_each(|_| stand.answer());
    assert!(stand.owed() <= parts + MIB, "{}", stand.owed());
}
