//! The statistics are real: a known workload gives known numbers, under nutcracker's names.

use crate::support::Client;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::Stats;
use crate::support::encode;
use crate::support::eventually;

/// The requests of `words`, as they go to a server.
fn bytes(words: &[&str]) -> i64 {
    let mut bytes = Vec::new();
    encode(&mut bytes, words);
    i64::try_from(bytes.len()).unwrap()
}

fn pools(servers: &[Redis]) -> Vec<Pool> {
    vec![
        Pool::over("alpha", &servers[..2]),
        Pool::over("beta", &servers[2..]).with("redis_auth", "secret"),
    ]
}

#[test]
fn known_requests_make_known_numbers() {
    let servers = [
        Redis::start(),
        Redis::start(),
        Redis::start_with(&["--requirepass", "secret"]),
    ];
    for cores in ["1", "2"] {
        let proxy = Proxy::coremux_with(&["--cores", cores], &pools(&servers));
        // As twemproxy's, these two numbers have the listening sockets in them: one a pool.
        let none = proxy.numbers();
        assert_eq!(none.process("total_connections"), 2);
        assert_eq!(none.process("curr_connections"), 2);
        let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
        let mut clients: Vec<Client> = (0..8).map(|_| proxy.client("alpha")).collect();
        for client in &mut clients {
            for _ in 0..10 {
                assert_eq!(client.call(["SET", &keys[0], "value"]), Reply::ok());
                assert_eq!(client.call(["GET", &keys[0]]), Reply::bulk("value"));
            }
            assert_eq!(client.call(["GET", &keys[1]]), Reply::Null);
            // One request, two fragments; those that the proxy answers are no server's.
            let pair = Reply::Array(vec![Reply::bulk("value"), Reply::Null]);
            assert_eq!(client.call(["MGET", &keys[0], &keys[1]]), pair);
            assert_eq!(client.call(["MGET", &keys[0], &keys[0]]).clone(), {
                Reply::Array(vec![Reply::bulk("value"), Reply::bulk("value")])
            });
            client.call(["PING"]);
            client.call(["NONSENSE"]);
        }
        let stats = proxy.numbers();
        let of = |server: &str, name: &str| stats.server("alpha", server, name);
        // Ten SETs and GETs, a fragment, an MGET whole.
        assert_eq!(of("s1", "requests"), 8 * 22);
        assert_eq!(of("s1", "responses"), 8 * 22);
        assert_eq!(of("s2", "requests"), 8 * 2);
        assert_eq!(of("s2", "responses"), 8 * 2);
        let sent = 10 * (bytes(&["SET", &keys[0], "value"]) + bytes(&["GET", &keys[0]]))
            + bytes(&["mget", &keys[0]])
            + bytes(&["MGET", &keys[0], &keys[0]]);
        assert_eq!(of("s1", "request_bytes"), 8 * sent);
        let received = 10 * (5 + 11) + (4 + 11) + (4 + 22);
        assert_eq!(of("s1", "response_bytes"), 8 * received);
        assert_eq!(of("s2", "response_bytes"), 8 * (5 + 9));
        assert_eq!(stats.pool("alpha", "fragments"), 8 * 2);
        assert_eq!(stats.pool("alpha", "client_connections"), 8);
        for name in ["client_eof", "client_err", "server_ejects", "forward_error"] {
            assert_eq!(stats.pool("alpha", name), 0, "{name}");
        }
        for server in ["s1", "s2"] {
            for name in [
                "server_eof",
                "server_err",
                "server_timedout",
                "server_ejected_at",
                "in_queue",
                "in_queue_bytes",
                "out_queue",
                "out_queue_bytes",
            ] {
                assert_eq!(of(server, name), 0, "{server} {name}");
            }
        }
        assert_eq!(stats.pool("beta", "client_connections"), 0);
        assert_eq!(stats.server("beta", "s1", "requests"), 0);
        let to_servers = of("s1", "server_connections") + of("s2", "server_connections");
        assert_eq!(stats.process("total_connections"), 2 + 8 + to_servers);
        assert_eq!(stats.process("curr_connections"), 2 + 8 + to_servers);

        clients.truncate(3);
        let mut broken = proxy.client("alpha");
        broken.send_raw(b"*x\r\n");
        broken.read_until_closed();
        drop(broken);
        let left = eventually("those who left are counted", || {
            let stats = proxy.numbers();
            (stats.pool("alpha", "client_connections") == 3).then_some(stats)
        });
        // The broken one was told, then it ended, too: each counts once, as with twemproxy.
        assert_eq!(left.pool("alpha", "client_err"), 1);
        assert_eq!(left.pool("alpha", "client_eof"), 5);
        assert_eq!(left.process("total_connections"), 2 + 9 + to_servers);
        assert_eq!(left.process("curr_connections"), 2 + 3 + to_servers);
    }
}

#[test]
fn what_goes_to_the_server_is_no_request_of_a_client() {
    let servers = [
        Redis::start(),
        Redis::start(),
        Redis::start_with(&["--requirepass", "secret"]),
    ];
    let proxy = Proxy::coremux(&pools(&servers));
    let mut client = proxy.client("beta");
    assert_eq!(client.call(["AUTH", "secret"]), Reply::ok());
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let stats = proxy.numbers();
    assert_eq!(
        stats.server("beta", "s1", "requests"),
        1,
        "the server's AUTH does not count"
    );
    assert_eq!(stats.server("beta", "s1", "responses"), 1);
}

#[test]
fn failures_are_counted_for_their_server() {
    let mut servers = vec![
        Redis::start(),
        Redis::start(),
        Redis::start_with(&["--requirepass", "secret"]),
    ];
    let pools: Vec<Pool> = pools(&servers)
        .into_iter()
        .map(|pool| pool.with("timeout", 200))
        .collect();
    let proxy = Proxy::coremux_with(&["--cores", "1"], &pools);
    let key = proxy.key_on("alpha", "s1", "key");
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", &key, "value"]), Reply::ok());
    servers[0].process().signal("STOP");
    client.call(["GET", &key]);
    client.call(["GET", &key]);
    let stats = proxy.numbers();
    assert_eq!(stats.server("alpha", "s1", "server_timedout"), 2);
    assert_eq!(stats.pool("alpha", "forward_error"), 2);
    servers[0].kill();
    eventually("its end is counted", || {
        let stats = proxy.numbers();
        let ends = ["server_eof", "server_err"].map(|name| stats.server("alpha", "s1", name));
        (ends.iter().sum::<i64>() == 1).then_some(())
    });
    for _ in 0..3 {
        assert_eq!(client.call(["GET", &key]).error(), "ERR Connection refused");
    }
    let stats = proxy.numbers();
    let ends = ["server_eof", "server_err"].map(|name| stats.server("alpha", "s1", name));
    // An attempt to connect is not made for each request while the server is down.
    assert!((2..=4).contains(&ends.iter().sum::<i64>()), "{ends:?}");
    assert_eq!(stats.pool("alpha", "forward_error"), 5);
    assert_eq!(stats.server("alpha", "s1", "server_connections"), 0);
    assert_eq!(stats.server("alpha", "s2", "server_err"), 0);
}

#[test]
fn the_names_are_nutcrackers_and_in_its_order() {
    let servers = [
        Redis::start(),
        Redis::start(),
        Redis::start_with(&["--requirepass", "secret"]),
    ];
    let ours = Proxy::coremux(&pools(&servers));
    let theirs = Proxy::of(Program::Nutcracker, &[], &pools(&servers));
    let names = ours.numbers().names();
    assert_eq!(names, theirs.numbers().names());
    assert!(names.contains(&"alpha.s2.out_queue_bytes".to_owned()));
    let line = ours.stats();
    assert!(
        line.ends_with("}}\n") && !line.trim_end().contains('\n'),
        "one line: {line}"
    );
}

#[test]
fn numbers_read_under_load_only_grow_and_are_exact_at_the_end() {
    let servers = [
        Redis::start(),
        Redis::start(),
        Redis::start_with(&["--requirepass", "secret"]),
    ];
    let proxy = Proxy::coremux(&pools(&servers));
    let load = Load::start(proxy.address("alpha"), 16, 1);
    let sum = |stats: &Stats, name: &str| {
        ["s1", "s2"]
            .iter()
            .map(|server| stats.server("alpha", server, name))
            .sum::<i64>()
    };
    eventually("all are connected", || {
        (proxy.numbers().pool("alpha", "client_connections") == 16).then_some(())
    });
    let mut last = 0;
    for _ in 0..50 {
        load.goes_on(20);
        let stats = proxy.numbers();
        let now = sum(&stats, "requests");
        assert!(now >= last, "{now} after {last}");
        last = now;
        assert_eq!(stats.pool("alpha", "client_connections"), 16);
    }
    load.end();
    let end = eventually("all are answered", || {
        let stats = proxy.numbers();
        (sum(&stats, "in_queue") + sum(&stats, "out_queue") == 0).then_some(stats)
    });
    assert_eq!(sum(&end, "requests"), sum(&end, "responses"));
    assert!(
        end.pool("alpha", "fragments") > 0,
        "the load has requests that are split"
    );
    let at_servers: i64 = servers[..2].iter().map(executed).sum();
    assert_eq!(
        sum(&end, "requests"),
        at_servers,
        "as the servers counted them"
    );
}

/// How many of the load's commands a server has executed.
fn executed(redis: &Redis) -> i64 {
    let Reply::Bulk(info) = redis.client().call(["INFO", "commandstats"]) else {
        panic!("no text")
    };
    let info = String::from_utf8(info).unwrap();
    info.lines()
        .filter_map(|line| line.strip_prefix("cmdstat_"))
        .filter_map(|line| line.split_once(":calls="))
        .filter(|(name, _)| ["get", "set", "mget", "mset", "incr"].contains(name))
        .map(|(_, rest)| rest.split(',').next().unwrap().parse::<i64>().unwrap())
        .sum()
}
