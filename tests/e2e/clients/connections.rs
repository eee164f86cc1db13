//! Connections are as many, and as they are, as the file says.

use std::process::Command;

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Process;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::resident_bytes;
use crate::support::value;

const TOO_MANY: &str = "ERR max number of clients reached";

/// How many clients, other than the one that asks, a server has.
fn clients_of(redis: &Redis) -> usize {
    match redis.client().call(["CLIENT", "LIST"]) {
        Reply::Bulk(list) => {
            list.split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .count()
                - 1
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_client_too_many_is_told_so_and_closed_and_the_others_go_on() {
    let redis = [Redis::start()];
    // A second worker has its share of the same number.
    for cores in ["1", "2"] {
        let pools = [
            Pool::over("alpha", &redis).with("client_connections", 5),
            Pool::over("other", &redis),
        ];
        let proxy = Proxy::coremux_with(&["--cores", cores], &pools);
        let mut clients: Vec<Client> = (0..5).map(|_| proxy.client("alpha")).collect();
        for client in &mut clients {
            assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
        }
        for request in [&b""[..], b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"garbage"] {
            let mut refused = proxy.client("alpha");
            refused.send_raw(request);
            assert_eq!(refused.read().error(), TOO_MANY);
            assert_eq!(refused.read_to_end().unwrap(), b"", "an end, and no reset");
        }
        for client in &mut clients {
            assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
        }
        assert_eq!(
            proxy.client("other").call(["GET", "key"]),
            Reply::bulk("value")
        );
        // One that leaves makes room for one.
        clients.pop();
        let mut next = eventually("there is room again", || {
            let mut client = proxy.client("alpha");
            (client.call(["PING"]) == Reply::Simple("PONG".to_owned())).then_some(client)
        });
        assert_eq!(proxy.client("alpha").call(["PING"]).error(), TOO_MANY);
        assert_eq!(next.call(["GET", "key"]), Reply::bulk("value"));
    }
}

#[test]
fn clients_leave_descriptors_for_the_servers_however_many_they_are() {
    let servers = Redis::fleet(3);
    let directory = tempfile::TempDir::new().unwrap();
    let (port, stats) = (Port::reserve(), Port::reserve());
    let list: String = servers
        .iter()
        .map(|redis| format!("    - {}:1\n", redis.address()))
        .collect();
    let yml = directory.path().join("proxy.yml");
    let text = format!(
        "alpha:\n  listen: {}\n  redis: true\n  servers:\n{list}",
        port.address()
    );
    std::fs::write(&yml, text).unwrap();
    let mut proxy = Process::start(
        Command::new("prlimit")
            .args(["--nofile=256:256", env!("CARGO_BIN_EXE_coremux")])
            .args(["-a", "127.0.0.1", "-s", &stats.number().to_string()])
            .args(["--cores", "2", "-c"])
            .arg(&yml),
        &directory.path().join("log"),
    );
    eventually("it listens", || {
        proxy.listens_on(port.number()).then_some(())
    });
    for _ in 0..2 {
        let mut clients: Vec<Client> = (0..300).map(|_| Client::connect(port.address())).collect();
        let mut served = 0;
        for client in &mut clients {
            // Who is turned away is closed at once.
            if client.try_send_raw(b"PING\r\n").is_err() {
                continue;
            }
            if let Ok(reply) = client.try_read() {
                assert_eq!(reply, Reply::Simple("PONG".to_owned()));
                served += 1;
                // Servers are connected to only now.
                let keys = ["a", "b", "c", "d", "e", "f"];
                let mset = std::iter::once("MSET").chain(keys.into_iter().flat_map(|k| [k, k]));
                assert_eq!(client.call(mset), Reply::ok());
            }
        }
        assert!((100..256).contains(&served), "{served}");
        drop(clients);
        eventually("they are forgotten", || {
            let mut client = Client::connect(port.address());
            client.try_send_raw(b"PING\r\n").ok()?;
            client.try_read().ok()
        });
    }
    let log = proxy.logs("clients are turned away");
    assert_eq!(proxy.ended(), None, "{log}");
    assert!(log.contains("few open files"), "{log}");
    assert!(log.lines().count() < 20, "{log}");
}

#[test]
fn the_smallest_limits_slow_clients_down_and_stop_none() {
    let servers = Redis::fleet(2);
    let pools = [
        Pool::over("alpha", &servers).with("client_requests_in_flight", 1),
        Pool::over("beta", &servers).with("client_output_limit", 1),
        Pool::over("gamma", &servers)
            .with("client_output_limit", 3000)
            .with("client_requests_in_flight", 3),
    ];
    let names = ["alpha", "beta", "gamma"];
    let proxy = Proxy::coremux(&pools);
    let loads: Vec<Load> = (1..)
        .zip(names)
        .map(|(seed, pool)| Load::start(proxy.address(pool), 6, seed))
        .collect();
    for load in loads {
        load.goes_on(1_000);
        load.end();
    }
}

#[test]
fn a_server_has_as_many_connections_as_the_pool_says_for_each_worker() {
    for (server_connections, cores) in [(1, 1), (2, 1), (4, 1), (3, 2)] {
        let servers = Redis::fleet(2);
        let pool = Pool::over("alpha", &servers).with("server_connections", server_connections);
        let proxy = Proxy::coremux_with(&["--cores", &cores.to_string()], &[pool]);
        // Enough that each worker has some, and each of its connections is somebody's.
        let mut clients: Vec<Client> = (0..64).map(|_| proxy.client("alpha")).collect();
        let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
        for client in &mut clients {
            assert_eq!(
                client.call(["MSET", &keys[0], "1", &keys[1], "2"]),
                Reply::ok()
            );
        }
        for redis in &servers {
            assert_eq!(
                clients_of(redis),
                server_connections * cores,
                "{server_connections}"
            );
        }
        drop(clients);
        let load = Load::start(proxy.address("alpha"), 16, 1);
        load.goes_on(2_000);
        load.end();
        for redis in &servers {
            assert_eq!(
                clients_of(redis),
                server_connections * cores,
                "they are used again"
            );
        }
    }
}

#[test]
fn a_clients_requests_do_not_overtake_each_other_whatever_the_number_of_connections() {
    let servers = Redis::fleet(2);
    for server_connections in 1..=4 {
        let pool = Pool::over("alpha", &servers).with("server_connections", server_connections);
        let proxy = Proxy::coremux(&[pool]);
        let load = Load::start(proxy.address("alpha"), 16, server_connections);
        let mut client = proxy.client("alpha");
        let key = format!("order:{server_connections}");
        // A large value and its reading in one pipeline: a second connection would be faster.
        for round in 0..30 {
            let large = value(&key, round, 300_000);
            let mut requests = Vec::new();
            let mut due = Vec::new();
            for n in 0..5 {
                let small = value(&key, round * 100 + n, 10);
                requests.extend([
                    vec![b"SET".to_vec(), key.clone().into_bytes(), large.clone()],
                    vec![b"STRLEN".to_vec(), key.clone().into_bytes()],
                    vec![b"SET".to_vec(), key.clone().into_bytes(), small.clone()],
                    vec![b"GET".to_vec(), key.clone().into_bytes()],
                ]);
                let length = i64::try_from(large.len()).unwrap();
                due.extend([
                    Reply::ok(),
                    Reply::Integer(length),
                    Reply::ok(),
                    Reply::Bulk(small),
                ]);
            }
            assert!(client.pipeline(&requests) == due);
        }
        load.end();
    }
}

#[test]
fn a_server_that_takes_fewer_connections_serves_everybody_on_those() {
    let redis = [Redis::start_with(&["--maxclients", "6"])];
    let pool = Pool::over("alpha", &redis)
        .with("server_connections", 12)
        .with("auto_eject_hosts", "true")
        .with("server_failure_limit", 1);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let load = Load::start(proxy.address("alpha"), 24, 17);
    load.goes_on(2000);
    load.end();
    let stats = proxy.numbers();
    assert_eq!(stats.pool("alpha", "server_ejects"), 0);
    assert!(stats.server("alpha", "s1", "server_connections") <= 6);
}

#[test]
fn connections_are_made_before_the_first_request_if_the_pool_says_so() {
    let servers = Redis::fleet(3);
    let gone = Port::reserve();
    let pools = [
        Pool::over("eager", &servers[..2])
            .server(gone.address())
            .with("preconnect", true)
            .with("server_connections", 2),
        Pool::over("lazy", &servers[2..]),
    ];
    let proxy = Proxy::coremux_with(&["--cores", "1"], &pools);
    eventually("both connections are there", || {
        (clients_of(&servers[0]) == 2 && clients_of(&servers[1]) == 2).then_some(())
    });
    assert_eq!(clients_of(&servers[2]), 0);
    // A server that does not answer is no failure of the start.
    let key = proxy.key_on("eager", "s1", "key");
    assert_eq!(
        proxy.client("eager").call(["SET", &key, "value"]),
        Reply::ok()
    );
    assert_eq!(clients_of(&servers[0]), 2);
}

#[test]
fn thousands_of_clients_cost_a_few_kilobytes_each_also_with_half_a_request() {
    let servers = Redis::fleet(2);
    let mut proxy = Proxy::coremux(&[Pool::over("alpha", &servers)]);
    let before = resident_bytes(proxy.process());
    let mut clients: Vec<Client> = (0..3_000).map(|_| proxy.client("alpha")).collect();
    for client in &mut clients {
        client.send(["SET", "key", "value"]);
    }
    for client in &mut clients {
        assert_eq!(client.read(), Reply::ok());
    }
    let each = |proxy: &mut Proxy| resident_bytes(proxy.process()).saturating_sub(before) / 3_000;
    assert!(
        each(&mut proxy) < 8 << 10,
        "{} bytes for an idle client",
        each(&mut proxy)
    );
    for client in &mut clients {
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2000\r\nhalf of a value");
    }
    let mut other = proxy.client("alpha");
    for _ in 0..200 {
        assert_eq!(other.call(["GET", "key"]), Reply::bulk("value"));
    }
    assert!(
        each(&mut proxy) < 12 << 10,
        "{} bytes for half a request",
        each(&mut proxy)
    );
    for client in &mut clients {
        client.send_raw(&[b'x'; 1985]);
        client.send_raw(b"\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.read(), Reply::ok());
    }
}

/// The timers that `ss` shows for the connections of a process from or to a port.
fn timers(process: u32, port: u16) -> Vec<String> {
    let out = Command::new("ss")
        .args(["-tnopH", "state", "established"])
        .output()
        .unwrap();
    String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.contains(&format!("pid={process},")))
        .filter(|line| line.contains(&format!(":{port} ")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn keepalive_probes_go_to_clients_if_the_pool_says_so_and_to_servers_always() {
    let redis = [Redis::start()];
    let pools = [
        Pool::over("kept", &redis).with("tcpkeepalive", true),
        Pool::over("not", &redis),
    ];
    let mut proxy = Proxy::coremux(&pools);
    let mut clients = [proxy.client("kept"), proxy.client("not")];
    for client in &mut clients {
        assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    }
    let process = proxy.process().id();
    for (client, kept) in clients.iter().zip([true, false]) {
        let found = timers(process, client.local_port());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].contains("timer:(keepalive"), kept, "{found:?}");
    }
    let to_server = timers(process, redis[0].address().port());
    assert!(!to_server.is_empty());
    assert!(
        to_server
            .iter()
            .all(|line| line.contains("timer:(keepalive")),
        "{to_server:?}"
    );
}

#[test]
fn the_backlog_is_the_one_of_the_file() {
    let redis = [Redis::start()];
    let pools = [
        Pool::over("small", &redis).with("backlog", 7),
        Pool::over("default", &redis),
    ];
    let proxy = Proxy::coremux_with(&["--cores", "1"], &pools);
    let out = Command::new("ss").args(["-tlnH"]).output().unwrap();
    let listening = String::from_utf8(out.stdout).unwrap();
    for (pool, backlog) in [("small", "7"), ("default", "512")] {
        let address = proxy.address(pool).to_string();
        let line = listening
            .lines()
            .find(|line| line.contains(&address))
            .unwrap();
        // State, receive queue, send queue: of a listening socket the last is the backlog.
        assert_eq!(line.split_whitespace().nth(2), Some(backlog), "{line}");
    }
}

#[test]
fn a_silent_client_is_closed_after_a_while_if_the_pool_says_so() {
    let redis = [Redis::start()];
    let slow = FakeServer::start(|mut conn| {
        while let Some(request) = conn.request() {
            // Longer than the client may be silent.
            std::thread::sleep(std::time::Duration::from_millis(700));
            conn.send(format!("${}\r\n", request[1].len()).as_bytes());
            conn.send(&request[1]);
            conn.send(b"\r\n");
        }
    });
    let pools = [
        Pool::over("impatient", &redis).with("client_idle_timeout", 300),
        Pool::new("slow")
            .server(slow.address())
            .with("client_idle_timeout", 300),
        Pool::over("patient", &redis),
    ];
    let proxy = Proxy::coremux(&pools);
    let mut patient = proxy.client("patient");
    let mut impatient = proxy.client("impatient");
    assert_eq!(impatient.call(["SET", "key", "value"]), Reply::ok());
    let mut waiting = proxy.client("slow");
    assert_eq!(
        waiting.call(["GET", "own"]),
        Reply::bulk("own"),
        "who waits is not idle"
    );
    assert_eq!(impatient.read_to_end().unwrap(), b"");
    assert_eq!(waiting.read_to_end().unwrap(), b"");
    assert_eq!(patient.call(["GET", "key"]), Reply::bulk("value"));
}
