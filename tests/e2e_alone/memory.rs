//! The proxy never grows beyond `--memory-limit`: who has too much under way is closed, and
//! everybody else is served throughout.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::alone;
use crate::support::Client;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::now;
use crate::support::resident_bytes;
use crate::support::value;

const MIB: u64 = 1 << 20;

/// Two workers, a server, and four clients who check that every reply is their own.
struct Stand {
    servers: Vec<Redis>,
    proxy: Proxy,
    load: Load,
    limit: u64,
    most: u64,
}

impl Stand {
    fn start(limit_mib: u64, seed: u64) -> Stand {
        let servers = Redis::fleet(2);
        let limit = format!("{limit_mib}MiB");
        let pool = Pool::over("alpha", &servers);
        let proxy = Proxy::coremux_with(&["--cores", "2", "--memory-limit", &limit], &[pool]);
        Stand {
            load: Load::start(proxy.address("alpha"), 4, seed),
            proxy,
            servers,
            limit: limit_mib * MIB,
            most: 0,
        }
    }

    /// The proxy keeps to its limit at this moment.
    fn check(&mut self) -> u64 {
        let resident = resident_bytes(self.proxy.process());
        self.most = self.most.max(resident);
        let (limit, log) = (self.limit, self.proxy.process().log());
        assert!(resident <= limit, "{resident} of {limit}\n{log}");
        resident
    }

    /// Keeps watching while something goes on, and until the others have had so many replies.
    fn watch(&mut self, replies: u64) {
        let until = self.load.checked() + replies;
        eventually("the others are answered", || {
            self.check();
            (self.load.checked() >= until).then_some(())
        });
    }

    fn end(mut self) {
        self.watch(200);
        println!("{} MiB at most", self.most / MIB);
        self.load.end();
        assert_eq!(self.proxy.process().ended(), None, "the proxy is up");
        let log = self.proxy.process().log();
        assert!(!log.contains("panicked"), "{log}");
    }

    fn closed_for_memory(&mut self) -> usize {
        let log = self.proxy.process().log();
        log.matches("client closed for want of memory").count()
    }
}

/// A client that asks and does not read.
fn ask(client: &mut Client, request: &[u8]) {
    // It fails once the proxy has closed it.
    let _ = client.writer().write_all(request);
}

#[test]
fn three_hundred_clients_that_do_not_read_their_mebibytes() {
    let _alone = alone(module_path!());
    let mut stand = Stand::start(128, 1);
    let mut writer = stand.proxy.client("alpha");
    let bytes = value("large", 1, 1 << 20);
    assert_eq!(writer.call([&b"SET"[..], b"large", &bytes]), Reply::ok());
    let mut request = Vec::new();
    (0..4).for_each(|_| encode(&mut request, ["GET", "large"]));
    let mut clients: Vec<Client> = (0..300).map(|_| stand.proxy.client("alpha")).collect();
    for _ in 0..5 {
        for client in &mut clients {
            ask(client, &request);
        }
        stand.check();
        // Who reads has its own value, whatever the others do.
        assert!(writer.call(["GET", "large"]) == Reply::Bulk(bytes.clone()));
        stand.watch(200);
    }
    assert!(stand.closed_for_memory() > 0, "nobody had to go");
    // When they have gone, memory is free again.
    drop(clients);
    eventually("memory is free again", || {
        (stand.check() < 80 * MIB).then_some(())
    });
    assert!(writer.call(["GET", "large"]) == Reply::Bulk(bytes));
    stand.end();
}

#[test]
fn a_request_larger_than_the_limit_is_an_error_of_its_client() {
    let _alone = alone(module_path!());
    let mut stand = Stand::start(128, 2);
    let mut client = stand.proxy.client("alpha");
    let piece = vec![b'v'; 1 << 20];
    let mut out = client.writer();
    out.write_all(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$536870912\r\n")
        .unwrap();
    let mut sent = 0;
    while sent < 512 && out.write_all(&piece).is_ok() {
        sent += 1;
        stand.check();
    }
    assert_eq!(stand.closed_for_memory(), 1);
    // The rest is thrown away for a second; who is still sending then loses the connection.
    match client.try_read() {
        Ok(reply) => assert_eq!(reply.error(), "ERR The proxy is short of memory"),
        Err(error) => assert!(sent < 512, "{error}"),
    }
    stand.end();
}

#[test]
fn a_reply_larger_than_the_limit_ends_its_client() {
    let _alone = alone(module_path!());
    let mut stand = Stand::start(128, 3);
    let mut direct = stand.servers[0].client();
    let key = stand.proxy.key_on("alpha", &Pool::server_name(0), "huge");
    let last = (200_u32 << 20).to_string();
    assert_eq!(
        direct.call(["SETRANGE", key.as_str(), last.as_str(), "x"]),
        Reply::Integer((200 << 20) + 1)
    );
    let mut client = stand.proxy.client("alpha");
    client.send(["GET", key.as_str()]);
    let began = now();
    while stand.closed_for_memory() == 0 {
        stand.check();
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it is not closed"
        );
    }
    stand.watch(200);
    stand.end();
}

/// What clients have sent waits in the proxy when a server does not read.
#[test]
fn writes_to_a_server_that_hangs() {
    let _alone = alone(module_path!());
    let mut stand = Stand::start(160, 4);
    let hanging = Redis::start();
    let pools = [
        Pool::over("alpha", &stand.servers),
        Pool::over("beta", std::slice::from_ref(&hanging)),
    ];
    let limit = "160MiB";
    let proxy = Proxy::coremux_with(&["--cores", "2", "--memory-limit", limit], &pools);
    let old = std::mem::replace(&mut stand.load, Load::start(proxy.address("alpha"), 4, 5));
    old.end();
    stand.proxy = proxy;
    hanging.process().signal("STOP");
    let bytes = vec![b'v'; 512 << 10];
    let mut request = Vec::new();
    (0..2).for_each(|_| encode(&mut request, [&b"SET"[..], b"k", &bytes]));
    let mut clients = Vec::new();
    for _ in 0..400 {
        let mut client = TcpStream::connect(stand.proxy.address("beta")).unwrap();
        // The proxy reads on when others have gone; here nobody waits for that.
        let patience = Some(Duration::from_millis(20));
        client.set_write_timeout(patience).unwrap();
        let _ = client.write_all(&request);
        clients.push(client);
        stand.check();
    }
    stand.watch(200);
    hanging.process().signal("CONT");
    stand.watch(200);
    let mut client = stand.proxy.client("beta");
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
    stand.end();
}
