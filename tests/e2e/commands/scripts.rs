//! A script that a client has loaded is found on every server, also on one that has forgotten it.

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;

const COUNTS: &str = "return redis.call('INCR', KEYS[1])";
const READS: &str = "return redis.call('GET', KEYS[1])";

fn load(client: &mut Client, source: &str) -> String {
    match client.call(["SCRIPT", "LOAD", source]) {
        Reply::Bulk(sha1) => String::from_utf8(sha1).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn scripts_outlive_the_servers_that_know_them() {
    let mut servers = Redis::fleet(2);
    let pool = Pool::over("alpha", &servers).with("on_server_failure", "hold");
    let proxy = Proxy::coremux_with(&["--cores", "2"], &[pool]);
    let (counts, reads) = {
        let mut client = proxy.client("alpha");
        (load(&mut client, COUNTS), load(&mut client, READS))
    };
    let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "k"));
    let mut clients: Vec<Client> = (0..8).map(|_| proxy.client("alpha")).collect();
    for round in 0..3 {
        for (server, key) in servers.iter_mut().zip(&keys) {
            match round {
                // It has lost its data, too.
                0 => {
                    server.kill();
                    server.restart();
                }
                _ => assert_eq!(server.client().call(["SCRIPT", "FLUSH"]), Reply::ok()),
            }
            server.client().call(["DEL", key]);
        }
        for key in &keys {
            for (nth, client) in (1..).zip(&mut clients) {
                let counted = client.call(["EVALSHA", &counts, "1", key]);
                assert_eq!(counted, Reply::Integer(nth), "once each, in round {round}");
                let read = client.call(["EVALSHA_RO", &reads, "1", key]);
                assert_eq!(read, Reply::bulk(nth.to_string()));
            }
        }
    }
    // One whose later requests would be overtaken hears of it, and all of them are done in order.
    let server = servers[0].client().call(["SCRIPT", "FLUSH"]);
    assert_eq!(server, Reply::ok());
    let calls = ["EVALSHA", &counts, "1", &keys[0]];
    let replies = clients[0].pipeline([calls; 3]);
    for reply in &replies {
        match reply {
            Reply::Integer(_) => {}
            other => assert!(other.error().starts_with("NOSCRIPT "), "{other:?}"),
        }
    }
    let done = replies
        .iter()
        .filter(|reply| matches!(reply, Reply::Integer(_)))
        .count();
    let count = 8 + done;
    assert_eq!(
        clients[0].call(["GET", &keys[0]]),
        Reply::bulk(count.to_string())
    );
    // What is flushed through the pool is forgotten.
    assert_eq!(clients[0].call(["SCRIPT", "FLUSH"]), Reply::ok());
    let reply = clients[0].call(["EVALSHA", &counts, "1", &keys[0]]);
    assert!(reply.error().starts_with("NOSCRIPT "), "{reply:?}");
}
