//! What a memcached pool's server connections are to its clients: several of them keep each client's
//! order, a read outlives one that breaks, and a reload changes them under everybody's feet.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use tempfile::TempDir;

use crate::support::Admin;
use crate::support::FakeConn;
use crate::support::FakeServer;
use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Process;
use crate::support::Proxy;
use crate::support::TextClient;
use crate::support::eventually;

/// Clients that count, each for itself, in order, and several requests at a time.
struct Counting {
    clients: Vec<thread::JoinHandle<usize>>,
    rounds: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Counting {
    fn start(proxy: &Proxy, count: usize) -> Counting {
        let (rounds, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let clients = (0..count).map(|nth| {
            let (rounds, over) = (Arc::clone(&rounds), Arc::clone(&over));
            let mut client = TextClient::connect(proxy.address("alpha"));
            thread::spawn(move || {
                let mut round = 0;
                while !over.load(Ordering::Relaxed) {
                    count_on(&mut client, nth, round);
                    round += 1;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
                round
            })
        });
        Counting {
            clients: clients.collect(),
            rounds,
            over,
        }
    }

    fn goes_on(&self) {
        let until = self.rounds.load(Ordering::Relaxed) + 3 * self.clients.len();
        eventually("all count on", || {
            let failed = self.clients.iter().any(thread::JoinHandle::is_finished);
            assert!(!failed, "a client has failed");
            (self.rounds.load(Ordering::Relaxed) > until).then_some(())
        });
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert!(client.join().unwrap() > 0);
        }
    }
}

/// One round: what is written, with or without a reply, is what is read behind it.
fn count_on(client: &mut TextClient, nth: usize, round: usize) {
    let value = format!("{nth}:{round}");
    let len = value.len();
    let got = client.ask(
        format!(
            "set a{nth} 0 0 {len} noreply\r\n{value}\r\nget a{nth}\r\nset b{nth} 1 0 {len}\r\n{value}\r\n\
             mg b{nth} f v\r\nget a{nth} b{nth} none{nth}\r\n"
        )
        .as_bytes(),
    );
    let a = format!("VALUE a{nth} 0 {len}\r\n{value}\r\n");
    let b = format!("VALUE b{nth} 1 {len}\r\n{value}\r\n");
    let expected = format!("{a}END\r\nSTORED\r\nVA {len} f1\r\n{value}\r\n{a}{b}END\r\n");
    assert_eq!(got, expected);
}

#[test]
fn several_connections_to_a_server_keep_each_clients_order() {
    let servers = Memcached::fleet(2);
    let pool = Pool::over_memcached("alpha", &servers).with("server_connections", 3);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let counting = Counting::start(&proxy, 12);
    eventually("all connections are used", || {
        let numbers = proxy.numbers();
        let used = ["s1", "s2"].map(|name| numbers.server("alpha", name, "server_connections"));
        (used == [3, 3]).then_some(())
    });
    counting.goes_on();
    counting.end();
}

#[test]
fn a_reload_adds_and_moves_servers_under_load_and_drops_no_client() {
    // Ways to one and the same server: wherever a key lives, what is read is what was written last,
    // unless a request has overtaken another.
    let server = Memcached::start();
    let port = server.address().port();
    let ways = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}"));
    let pool = |servers: &[&String]| {
        let pool = Pool::memcached("alpha").with("timeout", 5000);
        servers
            .iter()
            .fold(pool, |pool, server| pool.server(server))
    };
    let [one, two] = [&ways[0], &ways[1]];
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[pool(&[one, two])]);
    let counting = Counting::start(&proxy, 8);
    counting.goes_on();
    for servers in [&[two, one][..], &[one, two, two], &[one], &[two, one]] {
        proxy.write_config(&pool(servers).yml_at(proxy.address("alpha")));
        let (code, text) = admin.ctl("reload");
        assert_eq!(code, 0, "{text}");
        counting.goes_on();
        let status = admin.get("/api/status").json();
        let shown = status["pools"][0]["servers"].as_array().unwrap().len();
        assert_eq!(shown, servers.len(), "{status}");
    }
    counting.end();
}

/// Says its version, and gives everything else to `answer`, with whether it has data behind it.
fn serve(conn: &mut FakeConn, mut answer: impl FnMut(&mut FakeConn, &str) -> bool) {
    while let Some(line) = conn.line() {
        let goes_on = match line.as_str() {
            "version\r\n" => {
                conn.send(b"VERSION 1.6.18\r\n");
                true
            }
            line => answer(conn, line),
        };
        if !goes_on {
            return;
        }
    }
}

#[test]
fn a_read_is_asked_once_more_when_its_connection_breaks_and_a_write_is_not() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let server = FakeServer::start(move |mut conn| {
        let breaks = conn.number == 0;
        serve(&mut conn, |conn, line| {
            counted.fetch_add(1, Ordering::SeqCst);
            if breaks {
                // Until all three have come: nothing of them is on its way then.
                return counted.load(Ordering::SeqCst) < 3;
            }
            match line {
                "get k\r\n" => conn.send(b"VALUE k 0 1\r\nx\r\nEND\r\n"),
                "mg k v\r\n" => conn.send(b"VA 1\r\nx\r\n"),
                other => panic!("asked again: {other}"),
            }
            true
        });
    });
    let pool = Pool::memcached("alpha").server(server.address());
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = TextClient::connect(proxy.address("alpha"));
    let got = client.ask(b"incr k 1\r\nget k\r\nmg k v\r\n");
    let unknown = "SERVER_ERROR Server closed the connection; the outcome is unknown\r\n";
    assert_eq!(
        got,
        format!("{unknown}VALUE k 0 1\r\nx\r\nEND\r\nVA 1\r\nx\r\n")
    );
    assert_eq!((server.connections(), asked.load(Ordering::SeqCst)), (2, 5));
}

#[test]
fn a_value_that_was_not_asked_ends_the_connection_and_reaches_nobody() {
    for (ask, lie) in [
        ("get k\r\n", "VALUE l 0 1\r\nx\r\nEND\r\n"),
        ("get k m\r\n", "VALUE l 0 1\r\nx\r\nEND\r\n"),
        (
            "get k m\r\n",
            "VALUE m 0 1\r\nx\r\nVALUE k 0 1\r\nx\r\nEND\r\n",
        ),
        (
            "get k m\r\n",
            "VALUE k 0 1\r\nx\r\nVALUE k 0 1\r\nx\r\nEND\r\n",
        ),
        (
            "gat 0 k m\r\n",
            "VALUE k 0 1\r\nx\r\nVALUE m 0 1\r\nx\r\nVALUE n 0 1\r\nx\r\nEND\r\n",
        ),
        ("gets k m\r\n", "VALUE k 0 1\r\nx\r\nEND\r\n"),
    ] {
        let server = FakeServer::start(move |mut conn| {
            let lies = conn.number == 0;
            serve(&mut conn, |conn, _| {
                conn.send(if lies { lie.as_bytes() } else { b"END\r\n" });
                true
            });
        });
        let pool = Pool::memcached("alpha").server(server.address());
        let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
        let mut client = TextClient::connect(proxy.address("alpha"));
        let got = client.ask(ask.as_bytes());
        assert!(
            got.starts_with("SERVER_ERROR Server sent a bad reply: "),
            "{ask}{lie}{got}"
        );
        assert_eq!(got.matches("\r\n").count(), 1, "{got}");
        assert_eq!(client.ask(b"get k m\r\n"), "END\r\n");
        assert_eq!(server.connections(), 2, "{ask}");
    }
}

#[test]
fn half_a_line_before_the_first_request_is_not_the_beginning_of_its_reply() {
    let server = FakeServer::start(|mut conn| {
        let is_first = conn.number == 0;
        while let Some(line) = conn.line() {
            match line.as_str() {
                "version\r\n" if is_first => conn.send(b"VERSION 1.6.18\r\nANYTHING"),
                "version\r\n" => conn.send(b"VERSION 1.6.18\r\n"),
                _ => conn.send(b"7\r\n"),
            }
        }
    });
    let pool = Pool::memcached("alpha").with("preconnect", true);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool.server(server.address())]);
    eventually("it has connected again", || {
        (server.connections() == 2).then_some(())
    });
    let mut client = TextClient::connect(proxy.address("alpha"));
    assert_eq!(client.ask(b"incr k 1\r\n"), "7\r\n");
}

#[test]
fn a_server_at_a_unix_socket_serves() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("memcached.sock");
    let mut command = Command::new("memcached");
    command
        .args(["-u", "root", "-U", "0", "-t", "1", "-s"])
        .arg(&path);
    let _memcached = Process::start(&mut command, &directory.path().join("log"));
    eventually("it listens", || {
        std::os::unix::net::UnixStream::connect(&path).ok()
    });
    let proxy = Proxy::coremux(&[Pool::memcached("alpha").server(path.display())]);
    let mut client = TextClient::connect(proxy.address("alpha"));
    count_on(&mut client, 1, 1);
}
