//! A server is greeted with the password and the database before any request, or gets none.

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn locked() -> Redis {
    Redis::start_with(&["--requirepass", "secret"])
}

fn pool(name: &str, address: impl std::fmt::Display) -> Pool {
    Pool::new(name).server(address)
}

/// A connection past the proxy, to a database.
fn direct(redis: &Redis, database: u32) -> Client {
    let mut client = redis.client();
    assert_eq!(client.call(["AUTH", "secret"]), Reply::ok());
    assert_eq!(client.call(["SELECT", &database.to_string()]), Reply::ok());
    client
}

fn authenticated(proxy: &Proxy, pool: &str) -> Client {
    let mut client = proxy.client(pool);
    assert_eq!(client.call(["AUTH", "secret"]), Reply::ok());
    client
}

#[test]
fn password_and_database_together_by_tcp_and_by_unix_socket() {
    let mut redis = [locked(), locked()];
    let with = |pool: Pool| pool.with("redis_auth", "secret").with("redis_db", 5);
    let proxy = Proxy::coremux(&[
        with(pool("tcp", redis[0].address())),
        with(pool("unix", redis[1].socket_path().display())),
    ]);
    for (place, name) in ["tcp", "unix"].into_iter().enumerate() {
        let mut client = authenticated(&proxy, name);
        // On the first connection, and on the one after a crash.
        for round in 0..2 {
            let requests = [["SET", "key", name], ["SET", "other", name]];
            assert_eq!(client.pipeline(requests), [Reply::ok(), Reply::ok()]);
            let mut in_five = direct(&redis[place], 5);
            assert_eq!(in_five.call(["GET", "key"]), Reply::bulk(name));
            assert_eq!(in_five.call(["DBSIZE"]), Reply::Integer(2));
            assert_eq!(
                direct(&redis[place], 0).call(["DBSIZE"]),
                Reply::Integer(0),
                "{name}"
            );
            if round == 0 {
                redis[place].kill();
                assert!(matches!(client.call(["GET", "key"]), Reply::Error(_)));
                redis[place].restart();
            }
        }
    }
}

#[test]
fn a_database_alone_and_a_password_alone() {
    let (open, closed) = (Redis::start(), locked());
    let proxy = Proxy::coremux(&[
        pool("database", open.address()).with("redis_db", 15),
        pool("password", closed.socket_path().display()).with("redis_auth", "secret"),
    ]);
    assert_eq!(
        proxy.client("database").call(["SET", "key", "value"]),
        Reply::ok()
    );
    let mut client = open.client();
    assert_eq!(client.call(["EXISTS", "key"]), Reply::Integer(0));
    client.call(["SELECT", "15"]);
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
    assert_eq!(
        authenticated(&proxy, "password").call(["SET", "key", "value"]),
        Reply::ok()
    );
    assert_eq!(
        direct(&closed, 0).call(["GET", "key"]),
        Reply::bulk("value")
    );
}

#[test]
fn a_wrong_password_is_logged_and_told_to_the_client_in_the_servers_words() {
    let redis = locked();
    let mut proxy = Proxy::coremux(&[pool("alpha", redis.address())
        .with("redis_auth", "guessed")
        .with("redis_db", 2)]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["AUTH", "guessed"]), Reply::ok());
    for _ in 0..3 {
        let requests = [
            vec!["SET", "key", "value"],
            vec!["GET", "key"],
            vec!["ECHO", "own"],
        ];
        let replies = client.pipeline(requests);
        let text = "WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(
            replies[..2],
            [text, text].map(|text| Reply::Error(text.to_owned()))
        );
        assert_eq!(replies[2], Reply::bulk("own"));
    }
    for database in [0, 2] {
        assert_eq!(direct(&redis, database).call(["DBSIZE"]), Reply::Integer(0));
    }
    let line = "error server refused the greeting pool=alpha server=s1";
    let log = proxy.process().logs(line);
    assert!(log.contains("WRONGPASS"), "{log}");
    assert!(
        !log.contains("guessed"),
        "a password is no matter for a log: {log}"
    );
}

#[test]
fn a_password_that_the_server_does_not_want_is_its_error_to_say() {
    let redis = Redis::start();
    let proxy = Proxy::coremux(&[pool("alpha", redis.address()).with("redis_auth", "secret")]);
    let reply = authenticated(&proxy, "alpha").call(["SET", "key", "value"]);
    assert!(
        reply
            .error()
            .starts_with("ERR AUTH <password> called without any password configured"),
        "{reply:?}"
    );
    assert_eq!(redis.client().call(["DBSIZE"]), Reply::Integer(0));
}

#[test]
fn a_database_out_of_range_executes_nothing_anywhere() {
    let open = Redis::start();
    let proxies = [
        pool("tcp", open.address()).with("redis_db", 16),
        pool("unix", open.socket_path().display()).with("redis_db", 99),
    ];
    let mut proxy = Proxy::coremux(&proxies);
    for name in ["tcp", "unix"] {
        let mut client = proxy.client(name);
        let requests: Vec<_> = (0..50)
            .map(|n| ["SET".to_owned(), format!("key{n}"), "x".into()])
            .collect();
        for reply in client.pipeline(&requests) {
            assert_eq!(reply.error(), "ERR DB index is out of range");
        }
    }
    assert_eq!(
        open.client().call(["INFO", "keyspace"]),
        Reply::bulk("# Keyspace\r\n")
    );
    proxy.process().logs("DB index is out of range");
}

#[test]
fn a_server_that_comes_to_its_senses_is_used() {
    let redis = Redis::start();
    let proxy = Proxy::coremux(&[pool("alpha", redis.address()).with("redis_auth", "secret")]);
    let mut client = authenticated(&proxy, "alpha");
    assert!(matches!(
        client.call(["SET", "key", "value"]),
        Reply::Error(_)
    ));
    redis
        .client()
        .call(["CONFIG", "SET", "requirepass", "secret"]);
    eventually("it is asked again", || {
        (client.call(["SET", "key", "value"]) == Reply::ok()).then_some(())
    });
}

#[test]
fn no_request_is_sent_before_the_greeting_is_answered() {
    // What it was sent is in the order of its arrival.
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let fake = FakeServer::start({
        let seen = std::sync::Arc::clone(&seen);
        move |mut conn| {
            while let Some(request) = conn.request() {
                let words: Vec<String> = request
                    .iter()
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect();
                let greeting = ["AUTH", "SELECT"].contains(&words[0].as_str());
                if greeting {
                    // Long enough for a request that does not wait to arrive.
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                seen.lock().unwrap().push(words.join(" "));
                conn.send(b"+OK\r\n");
            }
        }
    });
    let pool = pool("alpha", fake.address())
        .with("redis_auth", "secret")
        .with("redis_db", 7);
    let proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let mut client = authenticated(&proxy, "alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    assert_eq!(
        *seen.lock().unwrap(),
        ["AUTH secret", "SELECT 7", "SET key value"]
    );
}

#[test]
fn a_greeting_that_is_not_answered_ends_with_the_time_to_connect() {
    let fake = FakeServer::start(|mut conn| conn.wait_for_end());
    let pool = pool("alpha", fake.address())
        .with("redis_db", 7)
        .with("connect_timeout", 200);
    let proxy = Proxy::coremux(&[pool]);
    let mut client = proxy.client("alpha");
    eventually("each request has an answer", || {
        assert_eq!(
            client.call(["GET", "key"]).error(),
            "ERR Connection timed out"
        );
        (fake.connections() >= 2).then_some(())
    });
}

#[test]
fn what_a_server_says_instead_of_ok_never_becomes_replies_of_a_client() {
    for reply in [
        &b"$9\r\nx\r\n+moved\r\n"[..],
        b"*2\r\n+OK\r\n+OK\r\n",
        b":1\r\n",
    ] {
        let fake = FakeServer::start(move |mut conn| {
            while conn.request().is_some() {
                conn.send(reply);
            }
        });
        let proxy = Proxy::coremux(&[pool("alpha", fake.address()).with("redis_db", 7)]);
        let mut client = proxy.client("alpha");
        let replies = client.pipeline(&[["GET", "key"], ["ECHO", "mine"]]);
        assert_eq!(
            replies[0].error(),
            "ERR Server sent an unexpected reply to its greeting"
        );
        assert_eq!(replies[1], Reply::bulk("mine"));
    }
}
