//! A server that is gone costs its own requests an error, and serves again as soon as it is back.

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

const REFUSED: &str = "ERR Connection refused";

/// Errors of requests that a server took with it.
const LOST: [&str; 4] = [
    REFUSED,
    "ERR Server closed the connection",
    "ERR Connection reset by peer",
    "ERR Broken pipe",
];

struct Stand {
    servers: Vec<Redis>,
    proxy: Proxy,
    keys: [String; 3],
}

impl Stand {
    fn start(pool: impl Fn(Pool) -> Pool) -> Stand {
        let servers = Redis::fleet(3);
        let proxy = Proxy::coremux(&[pool(Pool::over("alpha", &servers))]);
        let keys = ["s1", "s2", "s3"].map(|server| proxy.key_on("alpha", server, "key"));
        Stand {
            servers,
            proxy,
            keys,
        }
    }

    fn client(&self) -> Client {
        self.proxy.client("alpha")
    }
}

#[test]
fn a_server_that_was_never_there_is_refused_and_the_others_serve() {
    let servers = Redis::fleet(2);
    let gone = Port::reserve();
    let pool = Pool::over("alpha", &servers)
        .server(gone.address())
        .server("/nonexistent/redis.sock");
    let mut proxy = Proxy::coremux(&[pool]);
    let keys = ["s1", "s2", "s3", "s4"].map(|server| proxy.key_on("alpha", server, "key"));
    let mut client = proxy.client("alpha");
    for _ in 0..5 {
        let requests = [
            vec!["SET", &keys[0], "0"],
            vec!["GET", &keys[2]],
            vec!["SET", &keys[1], "1"],
            vec!["GET", &keys[3]],
            vec!["MGET", &keys[0], &keys[1]],
        ];
        let replies = client.pipeline(requests);
        let values = Reply::Array(vec![Reply::bulk("0"), Reply::bulk("1")]);
        let due = [
            Reply::ok(),
            Reply::Error(REFUSED.to_owned()),
            Reply::ok(),
            Reply::Error("ERR No such file or directory".to_owned()),
            values,
        ];
        assert_eq!(replies, due);
    }
    for words in [
        "server connection failed",
        "server=s3",
        "Connection refused",
    ] {
        proxy.process().logs(words);
    }
}

#[test]
fn a_server_that_crashes_and_is_back_serves_the_same_client_again() {
    let mut stand = Stand::start(|pool| pool);
    let mut client = stand.client();
    for round in 0..3 {
        let value = format!("round {round}");
        for key in &stand.keys {
            assert_eq!(client.call(["SET", key, &value]), Reply::ok());
        }
        stand.servers[0].kill();
        let lost = client.call(["GET", &stand.keys[0]]);
        assert!(LOST.contains(&lost.error()), "{lost:?}");
        for _ in 0..3 {
            assert_eq!(client.call(["GET", &stand.keys[0]]).error(), REFUSED);
            assert_eq!(client.call(["GET", &stand.keys[1]]), Reply::bulk(&value));
            assert_eq!(
                client
                    .call(["MGET", &stand.keys[1], &stand.keys[0]])
                    .error(),
                REFUSED
            );
        }
        stand.servers[0].restart();
        // The very first request after it: nothing has to be waited for.
        assert_eq!(
            client.call(["GET", &stand.keys[0]]),
            Reply::Null,
            "it is empty"
        );
        assert_eq!(client.call(["SET", &stand.keys[0], "again"]), Reply::ok());
    }
}

#[test]
fn requests_under_way_are_answered_when_their_server_dies() {
    let mut stand = Stand::start(|pool| pool);
    let mut clients: Vec<Client> = (0..20).map(|_| stand.client()).collect();
    for client in &mut clients {
        assert_eq!(client.call(["SET", &stand.keys[0], "value"]), Reply::ok());
    }
    stand.servers[0].process().signal("STOP");
    for (n, client) in clients.iter_mut().enumerate() {
        for _ in 0..10 {
            client.send(["GET", &stand.keys[0]]);
            client.send(["MGET", &stand.keys[1], &stand.keys[0]]);
            client.send(["ECHO", &n.to_string()]);
        }
    }
    stand.servers[0].kill();
    for (n, client) in clients.iter_mut().enumerate() {
        for _ in 0..10 {
            for _ in 0..2 {
                let lost = client.read();
                assert!(LOST.contains(&lost.error()), "{lost:?}");
            }
            assert_eq!(client.read(), Reply::bulk(n.to_string()));
        }
    }
}

#[test]
fn crashes_under_load_mix_nothing_and_lose_no_connection() {
    let mut stand = Stand::start(|pool| pool);
    let load = Load::start_with_errors(stand.proxy.address("alpha"), 16, 1);
    for round in 0..4 {
        load.goes_on(500);
        stand.servers[round % 3].kill();
        load.goes_on(500);
        stand.servers[round % 3].restart();
    }
    load.goes_on(500);
    load.end();
    // With all servers back there are no errors.
    let load = Load::start(stand.proxy.address("alpha"), 16, 2);
    load.goes_on(1_000);
    load.end();
}

#[test]
fn a_server_that_fails_is_ejected_and_its_keys_move_and_come_back() {
    let mut stand = Stand::start(|pool| {
        pool.with("auto_eject_hosts", true)
            .with("server_failure_limit", 2)
            .with("server_retry_timeout", 1000)
    });
    let pool = "alpha";
    let mut client = stand.client();
    let keys: Vec<String> = (0..60)
        .map(|n| format!("{}{n}", stand.keys[n % 3]))
        .collect();
    for key in &keys {
        assert_eq!(client.call(["SET", key, "old"]), Reply::ok());
    }
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let homes = stand.proxy.servers_of(pool, &names);
    let of_first = |place: &usize| homes[*place] == "s1";
    let (moved, stay): (Vec<usize>, Vec<usize>) = (0..keys.len()).partition(of_first);
    assert!(!moved.is_empty() && !stay.is_empty());

    stand.servers[0].kill();
    eventually("it is ejected", || {
        let _ = client.call(["GET", &stand.keys[0]]);
        (stand.proxy.numbers().pool(pool, "server_ejects") == 1).then_some(())
    });
    assert!(
        stand
            .proxy
            .numbers()
            .server(pool, "s1", "server_ejected_at")
            > 0
    );
    for place in &moved {
        eventually("it is served elsewhere", || {
            match client.call(["SET", &keys[*place], "new"]) {
                // Meanwhile it was tried again, and failed again.
                Reply::Error(text) => {
                    assert!(LOST.contains(&text.as_str()), "{text}");
                    None
                }
                reply => {
                    assert_eq!(reply, Reply::ok());
                    Some(())
                }
            }
        });
    }
    for place in &stay {
        assert_eq!(
            client.call(["GET", &keys[*place]]),
            Reply::bulk("old"),
            "stayed, or was not lost"
        );
    }

    stand.servers[0].restart();
    eventually("it is back", || {
        client.call(["SET", &keys[moved[0]], "back"]);
        let there = stand.servers[0].client().call(["GET", &keys[moved[0]]]);
        (there == Reply::bulk("back")).then_some(())
    });
    for place in &moved {
        client.call(["SET", &keys[*place], "back"]);
        let there = stand.servers[0].client().call(["GET", &keys[*place]]);
        assert_eq!(
            there,
            Reply::bulk("back"),
            "the keys are where they were before"
        );
    }
    for what in ["ejected", "readmitted"] {
        let line = format!("server {what} pool=alpha server=s1");
        stand.proxy.process().logs(&line);
    }
}

#[test]
fn ejection_and_return_under_load_mix_nothing() {
    let mut stand = Stand::start(|pool| {
        pool.with("auto_eject_hosts", true)
            .with("server_retry_timeout", 300)
            .with("timeout", 200)
            .with("server_connections", 2)
    });
    let load = Load::start_with_errors(stand.proxy.address("alpha"), 16, 3);
    for round in 0..10 {
        let server = &mut stand.servers[round % 3];
        load.goes_on(300);
        if round % 2 == 0 {
            server.kill();
            load.goes_on(300);
            server.restart();
        } else {
            server.process().signal("STOP");
            load.goes_on(300);
            server.process().signal("CONT");
        }
    }
    load.end();
    assert!(stand.proxy.numbers().pool("alpha", "server_ejects") > 0);
}

#[test]
fn with_every_server_ejected_there_is_an_error_and_afterwards_service() {
    let mut stand = Stand::start(|pool| {
        pool.with("auto_eject_hosts", true)
            .with("server_failure_limit", 1)
            .with("server_retry_timeout", 500)
    });
    let mut client = stand.client();
    for redis in &mut stand.servers {
        redis.kill();
    }
    eventually("all are ejected", || {
        for key in &stand.keys {
            let reply = client.call(["GET", key]);
            assert!(LOST.contains(&reply.error()), "{reply:?}");
        }
        (stand.proxy.numbers().pool("alpha", "server_ejects") >= 3).then_some(())
    });
    assert_eq!(client.call(["MGET", "a", "b", "c"]).error(), REFUSED);
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
    for redis in &mut stand.servers {
        redis.restart();
    }
    eventually("all serve again", || {
        let all = stand
            .keys
            .iter()
            .all(|key| client.call(["SET", key, "x"]) == Reply::ok());
        all.then_some(())
    });
}

#[test]
fn errors_that_say_that_a_server_cannot_serve_eject_it_too() {
    let fake = FakeServer::answering(|_| Some(b"-LOADING Redis is loading\r\n".to_vec()));
    let redis = Redis::start();
    let pool = Pool::new("alpha")
        .server(fake.address())
        .server(redis.address())
        .with("auto_eject_hosts", true)
        .with("server_failure_limit", 3)
        .with("server_retry_timeout", 60_000);
    let proxy = Proxy::coremux(&[pool]);
    let key = proxy.key_on("alpha", "s1", "key");
    let mut client = proxy.client("alpha");
    let mut errors = 0;
    eventually("its keys are served elsewhere", || {
        match client.call(["SET", &key, "value"]) {
            Reply::Error(text) => {
                assert_eq!(text, "LOADING Redis is loading");
                errors += 1;
                None
            }
            reply => {
                assert_eq!(reply, Reply::ok());
                Some(())
            }
        }
    });
    assert!(errors >= 3, "{errors}");
    assert_eq!(redis.client().call(["GET", &key]), Reply::bulk("value"));
}

#[test]
fn a_good_reply_between_failures_keeps_a_server() {
    // Every second request fails.
    let fake = FakeServer::start(|mut conn| {
        let mut count = 0;
        while let Some(request) = conn.request() {
            count += 1;
            match count % 2 {
                0 => conn.send(b"-BUSY Redis is busy\r\n"),
                _ => conn.send(format!("+{}\r\n", request.len()).as_bytes()),
            }
        }
    });
    let redis = Redis::start();
    let pool = Pool::new("alpha")
        .server(fake.address())
        .server(redis.address())
        .with("auto_eject_hosts", true)
        .with("server_failure_limit", 2);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let key = proxy.key_on("alpha", "s1", "key");
    let mut client = proxy.client("alpha");
    for _ in 0..100 {
        assert_eq!(client.call(["GET", &key]), Reply::Simple("2".to_owned()));
        assert_eq!(client.call(["GET", &key]).error(), "BUSY Redis is busy");
    }
    assert_eq!(proxy.numbers().pool("alpha", "server_ejects"), 0);
}
