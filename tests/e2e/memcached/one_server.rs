//! `coremux ctl stats POOL SERVER …` gives what one memcached says of itself, or says why not.

use crate::support::Admin;
use crate::support::FakeServer;
use crate::support::Memcached;
use crate::support::Pool;
use crate::support::TextClient;

#[test]
fn one_server_is_asked_and_what_cannot_be_is_said() {
    let mut servers = Memcached::fleet(2);
    let garbage = FakeServer::start(|mut conn| {
        if conn.line().is_some() {
            conn.send(b"HTTP/1.1 400 \x1b[2J\r\n");
        }
    });
    let pools = [
        Pool::over_memcached("alpha", &servers),
        Pool::memcached("beta").server(garbage.address()),
        Pool::new("gamma").server("127.0.0.1:1"),
    ];
    let (admin, proxy) = Admin::start(&["--cores", "1"], &pools);
    let key = proxy.key_on("alpha", "s2", "key");
    let mut client = TextClient::connect(proxy.address("alpha"));
    assert_eq!(
        client.ask(format!("set {key} 0 0 1\r\nx\r\n").as_bytes()),
        "STORED\r\n"
    );
    let done = |words: &str, part: &str| {
        let (code, text) = admin.ctl(words);
        assert!(code == 0 && text.contains(part), "{words}: {code} {text}");
        assert!(!text.contains('\r') && !text.contains("END"), "{text}");
    };
    let refused = |words: &str, part: &str| {
        let (code, text) = admin.ctl(words);
        assert!(code == 1 && text.contains(part), "{words}: {code} {text}");
    };
    assert_eq!(
        admin.ctl("stats alpha s1 items"),
        (0, String::new()),
        "nothing is in it"
    );
    done("stats alpha s2 items", "STAT items:1:number 1\n");
    done("stats alpha s2 slabs", "STAT active_slabs 1\n");
    done("stats alpha s1 settings", "STAT maxbytes 67108864\n");
    done(
        "stats alpha s1 settings",
        &format!("STAT tcpport {}\n", servers[0].address().port()),
    );
    done("stats alpha s1 conns", "tcp:127.0.0.1:");
    done("stats", "\"alpha\"");
    refused(
        "stats alpha s1 reset",
        "it tells: items, slabs, settings, conns",
    );
    refused(
        "stats alpha s1",
        "usage: stats [POOL SERVER items|slabs|settings|conns]",
    );
    refused(
        "stats delta s1 items",
        "there is no pool `delta`; there are: beta, alpha, gamma",
    );
    refused(
        "stats alpha s3 items",
        "pool alpha has no server `s3`; it has: s1, s2",
    );
    refused("stats gamma s1 items", "ask it for INFO");
    refused(
        "stats beta s1 items",
        "s1: its answer is none: reply to another request",
    );
    servers[0].kill();
    refused("stats alpha s1 items", "s1: ");
    assert_eq!(client.ask(b"mn\r\n"), "MN\r\n", "clients go on");
}
