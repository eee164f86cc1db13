//! Clients of memcached keep their connection, their order and their neighbours' peace while the proxy is
//! upgraded, and while others ask for more than fits into its memory.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::alone;
use crate::line::Line;
use crate::line::is_alive;
use crate::support::Client;
use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::TextClient;
use crate::support::eventually;
use crate::support::now;
use crate::support::resident_bytes;

fn client(proxy: &Proxy) -> TextClient {
    TextClient::connect(proxy.address("alpha"))
}

/// A client that has sent the beginning of something, and what it sends afterwards.
struct Halfway {
    client: TextClient,
    key: String,
    rest: Vec<u8>,
    is_heard: bool,
}

#[test]
fn a_command_that_is_half_sent_is_done_once_when_the_rest_has_come() {
    let _alone = alone(module_path!());
    let servers = Memcached::fleet(2);
    let line = Line::start(
        &["--cores", "2"],
        &[Pool::over_memcached("alpha", &servers)],
    );
    let mut halfway = Vec::new();
    let mut begin = |key: String, bytes: Vec<u8>, cut: usize, is_heard: bool| {
        let mut client = client(&line.proxy);
        let set = format!("set {key} 0 0 1\r\nx\r\n");
        // Behind one that is answered: the part has been received when the upgrade begins.
        assert_eq!(client.ask(set.as_bytes()), "STORED\r\n");
        client.send(&bytes[..cut]);
        let rest = bytes[cut..].to_vec();
        halfway.push(Halfway {
            client,
            key,
            rest,
            is_heard,
        });
    };
    for is_heard in [true, false] {
        let noreply = if is_heard { "" } else { " noreply" };
        let length = format!("append k000 0 0 7{noreply}\r\n\r\nab\ncd\r\n").len();
        for cut in 1..length {
            let key = format!("k{cut:03}");
            let text = format!("append {key} 0 0 7{noreply}\r\n\r\nab\ncd\r\n");
            begin(key, text.into_bytes(), cut, is_heard);
        }
        let large = [
            format!("append large{is_heard} 0 0 300000{noreply}\r\n").as_bytes(),
            &[b'v'; 300_000],
            b"\r\n",
        ]
        .concat();
        begin(format!("large{is_heard}"), large, 100_000, is_heard);
    }
    line.upgrade();
    for each in &mut halfway {
        each.client.send(&each.rest);
        let got = each.client.ask(format!("get {}\r\n", each.key).as_bytes());
        let value = match each.key.starts_with("large") {
            true => format!("x{}", "v".repeat(300_000)),
            false => "x\r\nab\ncd".to_owned(),
        };
        // The one that asked for no reply has got none.
        let stored = if each.is_heard { "STORED\r\n" } else { "" };
        let found = format!("VALUE {} 0 {}\r\n{value}\r\nEND\r\n", each.key, value.len());
        assert!(
            got == format!("{stored}{found}"),
            "{}: {got:.200}",
            each.key
        );
        let reset = format!("set {} 0 0 1\r\nx\r\n", each.key);
        assert_eq!(each.client.ask(reset.as_bytes()), "STORED\r\n");
    }
}

#[test]
fn what_is_none_is_none_wherever_an_upgrade_cuts_it() {
    let _alone = alone(module_path!());
    let servers = Memcached::fleet(1);
    let line = Line::start(
        &["--cores", "1"],
        &[Pool::over_memcached("alpha", &servers)],
    );
    let attacks: [&[u8]; 4] = [
        b"set k\x01 0 0 9\r\nflush_all\r\n",
        b"set k 0 0 1\r\nflush_all\r\n",
        b"set k 99999999999 0 9\r\nflush_all\r\n",
        b"ms k 9 !\r\nflush_all\r\n",
    ];
    let mut halfway = Vec::new();
    for attack in attacks {
        for cut in 1..attack.len() {
            let mut client = client(&line.proxy);
            assert_eq!(client.ask(b""), "");
            client.send(&attack[..cut]);
            halfway.push((client, attack, cut));
        }
    }
    line.upgrade();
    for (client, attack, cut) in &mut halfway {
        client.send(&attack[*cut..]);
        let got = client.ask(b"get none\r\n");
        let refused = got.starts_with("CLIENT_ERROR ") && got.matches("\r\n").count() == 2;
        assert!(
            refused && got.ends_with("END\r\n"),
            "{cut} of {}: {got}",
            attack.escape_ascii()
        );
    }
    let stats = servers[0].ask(b"stats\r\n");
    assert!(stats.contains("STAT cmd_flush 0\r\n"), "{stats}");
}

#[test]
fn what_asks_for_no_reply_is_done_once_by_the_process_that_sent_it() {
    let _alone = alone(module_path!());
    let servers = Memcached::fleet(1);
    let line = Line::start(
        &["--cores", "1"],
        &[Pool::over_memcached("alpha", &servers)],
    );
    let mut client = client(&line.proxy);
    assert_eq!(client.ask(b"set count 0 0 1\r\n0\r\n"), "STORED\r\n");
    servers[0].process().signal("STOP");
    client.send(
        b"incr count 1 noreply\r\nset key 0 0 5 noreply\r\nvalue\r\nget key\r\nmg count v q\r\n",
    );
    let old = line.pid();
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| line.admin.ctl("upgrade"));
        eventually("the new process serves", || {
            (line.pid() != old).then_some(())
        });
        assert!(is_alive(old) && !upgrade.is_finished());
        servers[0].process().signal("CONT");
        let got = client.read_until(b"VA 1\r\n1\r\n");
        assert_eq!(got, "VALUE key 0 5\r\nvalue\r\nEND\r\n");
        let (code, text) = upgrade.join().unwrap();
        assert_eq!((code, text.contains("; 1 client")), (0, true), "{text}");
    });
    eventually("the old process is gone", || (!is_alive(old)).then_some(()));
    assert_eq!(client.ask(b"incr count 1\r\n"), "2\r\n");
}

const MIB: u64 = 1 << 20;

#[test]
fn clients_that_do_not_read_their_values_cost_no_more_than_the_limit_and_no_neighbour() {
    let _alone = alone(module_path!());
    const LIMIT: u64 = 128 * MIB;
    let servers = Memcached::fleet(2);
    let pool = Pool::over_memcached("alpha", &servers);
    let arguments = ["--cores", "2", "--memory-limit", "128MiB"];
    let mut proxy = Proxy::coremux_with(&arguments, &[pool]);
    let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "large"));
    let mut neighbour = client(&proxy);
    for key in &keys {
        let head = format!("set {key} 0 0 1000000\r\n");
        let set = [head.as_bytes(), &[b'v'; 1_000_000], b"\r\n"].concat();
        assert_eq!(neighbour.ask(&set), "STORED\r\n");
    }
    // Alone, and gathered from two servers.
    let request = format!("get {0}\r\nget {0} {1}\r\nget {1}\r\n", keys[0], keys[1]);
    let mut clients: Vec<Client> = (0..150).map(|_| proxy.client("alpha")).collect();
    for round in 0..5 {
        for client in &mut clients {
            // It fails once the proxy has closed it.
            let _ = client.writer().write_all(request.as_bytes());
        }
        for turn in 0..100 {
            let set = format!("set own 0 0 3\r\n{round}{turn:02}\r\nget own\r\n");
            let expected = format!("STORED\r\nVALUE own 0 3\r\n{round}{turn:02}\r\nEND\r\n");
            assert_eq!(neighbour.ask(set.as_bytes()), expected);
            let resident = resident_bytes(proxy.process());
            assert!(resident <= LIMIT, "{resident}\n{}", proxy.process().log());
        }
    }
    let log = proxy.process().log();
    assert!(
        log.contains("client closed for want of memory"),
        "nobody had to go: {log}"
    );
    drop(clients);
    eventually("memory is free again", || {
        (resident_bytes(proxy.process()) < 80 * MIB).then_some(())
    });
}

#[test]
fn what_is_written_to_a_server_that_hangs_keeps_to_the_limit() {
    let _alone = alone(module_path!());
    let servers = Memcached::fleet(2);
    let pool = Pool::over_memcached("alpha", &servers);
    let arguments = ["--cores", "2", "--memory-limit", "128MiB"];
    let mut proxy = Proxy::coremux_with(&arguments, &[pool]);
    let [hung, live] = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
    let mut neighbour = client(&proxy);
    servers[0].process().signal("STOP");
    let head = format!("set {hung} 0 0 900000 noreply\r\n");
    let set = [head.as_bytes(), &[b'v'; 900_000], b"\r\n"].concat();
    let mut clients = Vec::new();
    let began = now();
    for _ in 0..300 {
        let mut stream = std::net::TcpStream::connect(proxy.address("alpha")).unwrap();
        // The proxy reads on when others have gone; here nobody waits for that.
        stream
            .set_write_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let _ = stream.write_all(&set);
        clients.push(stream);
        let resident = resident_bytes(proxy.process());
        assert!(
            resident <= 128 * MIB,
            "{resident} after {:?}",
            began.elapsed()
        );
        let got = neighbour.ask(format!("set {live} 0 0 1\r\nx\r\n").as_bytes());
        assert_eq!(got, "STORED\r\n");
    }
    servers[0].process().signal("CONT");
    drop(clients);
    eventually("the server serves", || {
        let got = client(&proxy).ask(format!("set {hung} 0 0 1\r\ny\r\n").as_bytes());
        (got == "STORED\r\n").then_some(())
    });
}
