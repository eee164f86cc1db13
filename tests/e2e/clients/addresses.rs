//! Clients and servers are reached by every kind of address that the file can say.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use crate::support::Client;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

#[test]
fn a_unix_socket_has_the_mode_of_the_file_and_serves() {
    let servers = Redis::fleet(2);
    for (mode, permissions) in [
        ("", None),
        (" 0600", Some(0o600)),
        (" 0666", Some(0o666)),
        (" 0770", Some(0o770)),
    ] {
        let proxy = Proxy::start(Program::Coremux, |listen| {
            let path = listen.unix("alpha");
            Pool::over("alpha", &servers)
                .listening_on(format!("{path}{mode}"))
                .yml(listen)
        });
        let mut client = proxy.client("alpha");
        assert_eq!(client.call(["SET", "key", mode]), Reply::ok());
        assert_eq!(client.call(["GET", "key"]), Reply::bulk(mode));
        if let Some(permissions) = permissions {
            let path = proxy.directory().join("alpha.sock");
            let found = std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, permissions, "{mode}");
        }
    }
}

#[test]
fn ipv6_on_both_sides() {
    let redis = Redis::start_with(&["--bind", "127.0.0.1", "::1"]);
    let port = Port::reserve();
    // The last colon is the port's: twemproxy needs no brackets.
    let pool = Pool::new("alpha")
        .listening_on(format!("::1:{}", port.number()))
        .server(format!("::1:{}", redis.address().port()));
    let proxy = Proxy::coremux(&[pool]);
    let address: SocketAddr = format!("[::1]:{}", port.number()).parse().unwrap();
    let mut client = eventually("it listens", || {
        std::net::TcpStream::connect(address)
            .is_ok()
            .then(|| Client::connect(address))
    });
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
    let Reply::Bulk(info) = client.call(["CLIENT", "INFO"]) else {
        panic!("no text")
    };
    assert!(String::from_utf8(info).unwrap().contains("addr=[::1]:"));
    let Reply::Bulk(list) = redis.client().call(["CLIENT", "LIST"]) else {
        panic!("no text")
    };
    assert!(
        String::from_utf8(list).unwrap().contains("addr=[::1]:"),
        "the server, too"
    );
    drop(proxy);
}

#[test]
fn names_on_both_sides() {
    let redis = Redis::start();
    let port = Port::reserve();
    let pools = [
        Pool::new("alpha")
            .listening_on(format!("localhost:{}", port.number()))
            .server(format!("localhost:{}", redis.address().port())),
        // No name server is asked for this one.
        Pool::new("beta").server("no..such..host:6379"),
    ];
    let mut slowest = std::time::Duration::ZERO;
    let proxy = Proxy::coremux(&pools);
    let mut client = eventually("it listens", || {
        std::net::TcpStream::connect(port.address())
            .is_ok()
            .then(|| Client::connect(port.address()))
    });
    for _ in 0..20 {
        assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
        assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
        let began = now();
        let unknown = proxy.client("beta").call(["GET", "key"]);
        assert_eq!(unknown.error(), "ERR Host is down");
        slowest = slowest.max(began.elapsed());
    }
    // Far less than it takes to give a server up.
    assert!(
        slowest < std::time::Duration::from_millis(500),
        "{slowest:?}"
    );
    let mut redis = redis;
    redis.kill();
    assert!(matches!(client.call(["GET", "key"]), Reply::Error(_)));
    redis.restart();
    // Who asks within 50 ms of the last vain attempt is told what became of that.
    eventually("it is reached again", || {
        (client.call(["GET", "key"]) == Reply::Null).then_some(())
    });
}

#[test]
fn several_pools_serve_at_once_and_each_its_own() {
    let servers = Redis::fleet(4);
    let paths = tempfile::TempDir::new().unwrap();
    let socket = paths.path().join("own.sock");
    let pools = [
        Pool::over("one", &servers[..1]),
        Pool::over("two", &servers[1..3]),
        Pool::over("three", &servers[3..])
            .with("hash", "murmur")
            .with("distribution", "modula"),
        // The same servers, other databases.
        Pool::over("four", &servers[..3]).with("redis_db", 4),
        Pool::new("five")
            .server(servers[0].socket_path().display())
            .with("redis_db", 5),
        Pool::over("six", &servers[..2])
            .with("redis_db", 6)
            .listening_on(socket.display()),
    ];
    let proxy = Proxy::coremux(&pools);
    let tcp = ["one", "two", "three", "four", "five"];
    let loads: Vec<Load> = (1..)
        .zip(tcp)
        .map(|(seed, pool)| Load::start(proxy.address(pool), 4, seed))
        .collect();
    let mut clients: Vec<Client> = tcp.iter().map(|pool| proxy.client(pool)).collect();
    clients.push(eventually("the last one listens", || {
        socket.exists().then(|| Client::connect_unix(&socket))
    }));
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.call(["SET", "shared", &n.to_string()]), Reply::ok());
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.call(["GET", "shared"]), Reply::bulk(n.to_string()));
    }
    for load in loads {
        load.goes_on(300);
        load.end();
    }
}

#[test]
fn a_server_by_its_unix_socket_comes_back_there() {
    let mut redis = [Redis::start()];
    let pool = Pool::new("alpha").server(redis[0].socket_path().display());
    let proxy = Proxy::coremux(&[pool]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    redis[0].kill();
    let lost = client.call(["GET", "key"]);
    assert!(matches!(lost, Reply::Error(_)));
    // The file is still there, and nobody listens on it.
    assert_eq!(
        client.call(["GET", "key"]).error(),
        "ERR Connection refused"
    );
    redis[0].restart();
    eventually("it is reached again", || {
        (client.call(["SET", "key", "value"]) == Reply::ok()).then_some(())
    });
}
