//! The same clients make the same numbers in nutcracker's statistics and in ours.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::Client;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use serde_yaml::Value;
use socket2::SockRef;

/// Each number of the line by its path, such as `alpha.one.requests`. JSON is YAML.
fn numbers(line: &str) -> BTreeMap<String, u64> {
    fn walk(path: &str, value: &Value, into: &mut BTreeMap<String, u64>) {
        match value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    let key = key.as_str().expect("a key is a text");
                    walk(&format!("{path}.{key}"), value, into);
                }
            }
            Value::Number(number) => {
                let number = number.as_u64().expect("no number is negative");
                into.insert(path.trim_start_matches('.').to_owned(), number);
            }
            _ => {}
        }
    }
    let mut all = BTreeMap::new();
    walk("", &serde_yaml::from_str(line).expect("JSON"), &mut all);
    // The clock's business.
    all.remove("uptime");
    all.remove("timestamp");
    all
}

/// Both proxies in front of two servers of their own.
struct Pair {
    ours: Proxy,
    theirs: Proxy,
    our_servers: [Redis; 2],
    their_servers: [Redis; 2],
}

fn start(program: Program, servers: &[Redis; 2], rules: &str) -> Proxy {
    // twemproxy has one worker.
    let arguments: &[&str] = match program {
        Program::Coremux => &["--cores", "1"],
        Program::Nutcracker => &[],
    };
    Proxy::start_with(program, arguments, |listen| {
        format!(
            "alpha:\n  listen: {}\n  redis: true\n{rules}  servers:\n  - {}:1 one\n  - {}:1 two\n",
            listen.tcp("alpha"),
            servers[0].address(),
            servers[1].address()
        )
    })
}

impl Pair {
    fn start(rules: &str) -> Pair {
        let (our_servers, their_servers) = (
            [(); 2].map(|()| Redis::start()),
            [(); 2].map(|()| Redis::start()),
        );
        Pair {
            ours: start(Program::Coremux, &our_servers, rules),
            theirs: start(Program::Nutcracker, &their_servers, rules),
            our_servers,
            their_servers,
        }
    }

    fn each<T>(&self, mut act: impl FnMut(&Proxy) -> T) -> [T; 2] {
        [act(&self.ours), act(&self.theirs)]
    }

    fn each_server(&self, act: impl FnMut(&Redis)) {
        self.our_servers
            .iter()
            .chain(&self.their_servers)
            .for_each(act);
    }

    // Waits until both say the same, but for what `differs`; gives our numbers.
    fn agree(&self, when: &str, differs: &[&str]) -> BTreeMap<String, u64> {
        let mut last = None;
        let compare = || {
            let [mut ours, mut theirs] = self.each(|proxy| numbers(&proxy.stats()));
            let all = ours.clone();
            for key in differs {
                assert!(ours.remove(*key).is_some(), "{key}");
                theirs.remove(*key);
            }
            let same = ours == theirs;
            let differences: Vec<_> = ours
                .iter()
                .map(|(key, our)| (key.clone(), *our, theirs.get(key).copied()))
                .filter(|(_, our, their)| Some(*our) != *their)
                .collect();
            last = Some(differences);
            same.then_some(all)
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&format!("the same statistics {when}"), compare)
        }));
        outcome.unwrap_or_else(|_| panic!("{when}: (key, ours, nutcracker's): {last:?}"))
    }
}

// The pairs of proxies that clients talk to, ours first.
fn call(clients: &mut [Client; 2], command: &[&str]) {
    let [ours, theirs] = clients;
    assert_eq!(ours.call(command), theirs.call(command), "{command:?}");
}

#[test]
fn requests_replies_and_clients_are_counted_as_twemproxy_counts_them() {
    let pair = Pair::start("");
    pair.agree("at the start", &[]);
    let mut clients = pair.each(|proxy| proxy.client("alpha"));
    pair.agree("with a client", &[]);
    for key in ["key:1", "key:2", "user:1000", "foo"] {
        call(&mut clients, &["SET", key, "value"]);
        call(&mut clients, &["GET", key]);
    }
    call(&mut clients, &["PING"]);
    call(&mut clients, &["LPUSH", "foo", "x"]);
    let numbers = pair.agree("after plain requests", &[]);
    assert_eq!(
        numbers["alpha.one.requests"] + numbers["alpha.two.requests"],
        9
    );
    // twemproxy has this row and never counts it.
    let fragments = "alpha.fragments";
    call(
        &mut clients,
        &["MGET", "key:1", "key:2", "user:1000", "foo", "none"],
    );
    call(&mut clients, &["DEL", "key:1", "key:2", "user:1000", "foo"]);
    let numbers = pair.agree("after split requests", &[fragments]);
    assert_eq!(numbers[fragments], 4);
    drop(clients);
    let numbers = pair.agree("when the client has gone", &[fragments]);
    assert_eq!(numbers["alpha.client_eof"], 1);

    for mut client in pair.each(|proxy| proxy.client("alpha")) {
        client.send(["QUIT"]);
        client.read_until_closed();
    }
    for stream in pair.each(|proxy| TcpStream::connect(proxy.address("alpha")).unwrap()) {
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    let numbers = pair.agree("after QUIT and a reset", &[fragments]);
    assert_eq!(numbers["alpha.client_eof"], 2);
    assert_eq!(numbers["alpha.client_err"], 1);
    // Who does not wait for the answer to QUIT resets the connection by that.
    for _ in 0..50 {
        for mut client in pair.each(|proxy| proxy.client("alpha")) {
            client.send(["QUIT"]);
        }
    }
    let numbers = pair.agree("after QUIT and a close at once", &[fragments]);
    assert_eq!(numbers["alpha.client_eof"], 52);
    assert_eq!(numbers["alpha.client_err"], 1);
    for mut client in pair.each(|proxy| proxy.client("alpha")) {
        client.send_raw(b"*x\r\n");
        client.read_until_closed();
    }
    let numbers = pair.agree("after a broken request", &[fragments]);
    assert_eq!(numbers["alpha.client_eof"], 52);
    assert_eq!(numbers["alpha.client_err"], 2);
}

#[test]
fn requests_that_wait_are_seen_waiting() {
    let pair = Pair::start("");
    let mut clients = pair.each(|proxy| proxy.client("alpha"));
    call(&mut clients, &["SET", "a", "value"]);
    pair.each_server(|redis| redis.process().signal("STOP"));
    for client in &mut clients {
        client.send(["GET", "a"]);
        client.send(["GET", "a"]);
    }
    let numbers = pair.agree("while servers hang", &[]);
    let waiting: u64 = ["one", "two"]
        .map(|server| numbers[&format!("alpha.{server}.out_queue_bytes")])
        .iter()
        .sum();
    assert_eq!(waiting, 2 * "*2\r\n$3\r\nGET\r\n$1\r\na\r\n".len() as u64);
    pair.each_server(|redis| redis.process().signal("CONT"));
    for client in &mut clients {
        assert_eq!(client.read(), Reply::bulk("value"));
        assert_eq!(client.read(), Reply::bulk("value"));
    }
    pair.agree("when they go on", &[]);
}

#[test]
fn a_server_that_refuses_is_counted_and_ejected_alike() {
    let rules = "  auto_eject_hosts: true\n  server_failure_limit: 2\n  \
                 server_retry_timeout: 600000\n";
    let mut pair = Pair::start(rules);
    for servers in [&mut pair.our_servers, &mut pair.their_servers] {
        servers.iter_mut().for_each(Redis::kill);
    }
    let mut clients = pair.each(|proxy| proxy.client("alpha"));
    // The first two eject one server, the next two the other, the last finds none.
    let ejected_at = ["alpha.one.server_ejected_at", "alpha.two.server_ejected_at"];
    for nth in 1..=5 {
        call(&mut clients, &["GET", "a"]);
        let numbers = pair.agree(&format!("after request {nth}"), &ejected_at);
        assert_eq!(numbers["alpha.server_ejects"], nth / 2);
        assert_eq!(numbers["alpha.forward_error"], nth);
    }
    let stats = pair.each(|proxy| numbers(&proxy.stats()));
    for key in ejected_at {
        let [ours, theirs] = [&stats[0], &stats[1]].map(|numbers| numbers[key]);
        assert!(ours.abs_diff(theirs) < 60_000_000, "{ours} and {theirs} µs");
    }
}
