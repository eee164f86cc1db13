//! What clients of memcached get while a server is down, and afterwards.

use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::TextClient;
use crate::support::eventually;

fn client(proxy: &Proxy) -> TextClient {
    TextClient::connect(proxy.address("alpha"))
}

/// Two servers, of which the first is down, and a key on each.
fn start(with: impl Fn(Pool) -> Pool) -> (Vec<Memcached>, Proxy, [String; 2]) {
    let servers = Memcached::fleet(2);
    let pool = with(Pool::over_memcached("alpha", &servers));
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
    let mut client = client(&proxy);
    for key in &keys {
        let set = format!("set {key} 0 0 1\r\nx\r\n");
        assert_eq!(client.ask(set.as_bytes()), "STORED\r\n");
    }
    (servers, proxy, keys)
}

#[test]
fn of_many_keys_one_dead_server_is_an_error_as_in_nutcracker_or_its_keys_are_missing() {
    for partial in [false, true] {
        let (mut servers, proxy, [dead, live]) = start(|pool| pool.with("partial_get", partial));
        servers[0].kill();
        let mut client = client(&proxy);
        let hits = format!("VALUE {live} 0 1\r\nx\r\nEND\r\n");
        let get = format!("get {dead} {live}\r\n");
        let expected = match partial {
            true => hits.as_str(),
            false => "SERVER_ERROR ",
        };
        let got = client.ask(get.as_bytes());
        assert!(got.starts_with(expected), "partial {partial}: {got}");
        assert_eq!(
            client.ask(format!("get {live}\r\n").as_bytes()),
            hits,
            "it goes on"
        );
        let alone = client.ask(format!("get {dead}\r\n").as_bytes());
        assert_eq!(alone, "SERVER_ERROR Connection refused\r\n");
    }
}

#[test]
fn nutcracker_gives_an_error_for_all_keys_and_closes() {
    let mut servers = Memcached::fleet(2);
    let pool = Pool::over_memcached("alpha", &servers);
    let proxy = Proxy::of(Program::Nutcracker, &[], &[pool]);
    let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
    servers[0].kill();
    let get = format!("get {} {}\r\n", keys[0], keys[1]);
    let mut client = client(&proxy);
    client.send(get.as_bytes());
    let got = client.read_to_end();
    assert_eq!(got, "SERVER_ERROR Connection refused\r\n");
}

#[test]
fn what_wants_no_reply_gets_none_of_a_dead_server_and_is_counted() {
    let (mut servers, proxy, [dead, live]) = start(|pool| pool);
    servers[0].kill();
    let mut client = client(&proxy);
    let before = proxy.numbers().pool("alpha", "forward_error");
    let asked = format!(
        "set {dead} 0 0 1 noreply\r\nx\r\ndelete {dead} noreply\r\nincr {dead} 1 noreply\r\nget {live}\r\n"
    );
    let got = client.ask(asked.as_bytes());
    assert_eq!(got, format!("VALUE {live} 0 1\r\nx\r\nEND\r\n"));
    eventually("they are counted", || {
        let counted = proxy.numbers().pool("alpha", "forward_error") - before;
        (counted == 3).then_some(())
    });
}

#[test]
fn a_dead_server_is_ejected_and_its_keys_live_elsewhere_until_it_is_back() {
    let (mut servers, proxy, [dead, _]) = start(|pool| {
        pool.with("auto_eject_hosts", true)
            .with("server_failure_limit", 1)
            .with("server_retry_timeout", 100)
            .with("timeout", 2000)
    });
    servers[0].kill();
    let mut client = client(&proxy);
    let set = format!("set {dead} 0 0 1\r\ny\r\n");
    eventually("its keys are elsewhere", || {
        (client.ask(set.as_bytes()) == "STORED\r\n").then_some(())
    });
    assert!(
        servers[1]
            .ask(format!("get {dead}\r\n").as_bytes())
            .contains("\r\ny\r\n")
    );
    servers[0].restart();
    eventually("it has its keys again", || {
        client.ask(set.as_bytes());
        let there = servers[0].ask(format!("get {dead}\r\n").as_bytes());
        there.contains("\r\ny\r\n").then_some(())
    });
}

#[test]
fn requests_wait_for_a_server_that_comes_back() {
    let (mut servers, proxy, [dead, _]) = start(|pool| {
        pool.with("on_server_failure", "hold")
            .with("hold_ms", 20_000)
    });
    servers[0].kill();
    let mut client = client(&proxy);
    client.send(format!("get {dead}\r\nset {dead} 0 0 1\r\nz\r\nget {dead}\r\n").as_bytes());
    eventually("they wait", || {
        let waiting = proxy.numbers().server("alpha", "s1", "in_queue");
        (waiting == 3).then_some(())
    });
    servers[0].restart();
    let got = client.read_until(b"\r\nz\r\nEND\r\n");
    assert_eq!(got, format!("END\r\nSTORED\r\nVALUE {dead} 0 1"));
}

#[test]
fn a_server_that_hangs_fails_its_own_requests_alone() {
    let (servers, proxy, [hung, live]) = start(|pool| pool.with("timeout", 300));
    servers[0].process().signal("STOP");
    let mut client = client(&proxy);
    let got =
        client.ask(format!("get {hung}\r\nset {hung} 0 0 1\r\nw\r\nget {live}\r\n").as_bytes());
    servers[0].process().signal("CONT");
    let expected = format!(
        "SERVER_ERROR Connection timed out\r\nSERVER_ERROR Connection timed out; the outcome is unknown\r\n\
         VALUE {live} 0 1\r\nx\r\nEND\r\n"
    );
    assert_eq!(got, expected);
    eventually("late replies are nobody's", || {
        let got = client.ask(format!("get {hung}\r\n").as_bytes());
        got.starts_with(&format!("VALUE {hung} 0 1\r\n"))
            .then_some(())
    });
}
