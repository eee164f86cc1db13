//! `SELECT`: each client is in the database that it has chosen, on every server.

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

fn info_of(client: &mut Client) -> String {
    match client.call(["CLIENT", "INFO"]) {
        Reply::Bulk(line) => String::from_utf8(line).unwrap(),
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn a_database_is_chosen_and_refused_in_the_servers_words() {
    let redis = [Redis::start()];
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis)]);
    let (mut through, mut direct) = (proxy.client("alpha"), redis[0].client());
    for number in [
        "0",
        "1",
        "15",
        "16",
        "-1",
        "x",
        "",
        "01",
        "+1",
        "1.0",
        "2147483648",
        "-2147483649",
        "99999999999999999999",
    ] {
        let request = ["SELECT", number];
        assert_eq!(through.call(request), direct.call(request), "{number:?}");
        let request = ["SET", "key", number];
        assert_eq!(through.call(request), direct.call(request));
    }
    for database in ["0", "1", "15"] {
        through.call(["SELECT", database]);
        direct.call(["SELECT", database]);
        assert_eq!(through.call(["GET", "key"]), direct.call(["GET", "key"]));
    }
}

#[test]
fn a_pool_says_how_many_databases_there_are_and_its_own_is_one_of_them() {
    let redis = [Redis::start()];
    let few = Pool::over("few", &redis)
        .with("databases", 2)
        .with("redis_db", 3);
    let proxy = Proxy::coremux(&[few]);
    let mut client = proxy.client("few");
    for (database, reply) in [
        ("1", Reply::ok()),
        ("2", error("ERR DB index is out of range")),
        ("3", Reply::ok()),
    ] {
        assert_eq!(client.call(["SELECT", database]), reply, "{database}");
    }
    let databases = client.call(["CONFIG", "GET", "databases"]);
    assert_eq!(
        databases,
        Reply::Array(vec![Reply::bulk("databases"), Reply::bulk("4")])
    );
    assert_eq!(client.call(["SET", "key", "in three"]), Reply::ok());
    let mut direct = redis[0].client();
    direct.call(["SELECT", "3"]);
    assert_eq!(direct.call(["GET", "key"]), Reply::bulk("in three"));
}

#[test]
fn what_is_asked_in_one_breath_is_done_in_its_order_and_each_in_its_database() {
    let redis = Redis::fleet(3);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis).with("server_connections", 2)]);
    let mut client = proxy.client("alpha");
    let mut other = proxy.client("alpha");
    let mut requests: Vec<Vec<String>> = Vec::new();
    let mut ask = |line: String| requests.push(line.split(' ').map(str::to_owned).collect());
    for round in 0..50 {
        for database in [4, 0, 9] {
            ask(format!("SELECT {database}"));
            ask(format!("SET key{round} in{database}"));
            ask(format!(
                "MSET a{round} {database} b{round} {database} c{round} {database}"
            ));
        }
        for database in [0, 4] {
            ask(format!("SELECT {database}"));
            ask(format!("MGET key{round} a{round} b{round} c{round}"));
        }
    }
    let replies = client.pipeline(&requests);
    for (request, replies) in requests.chunks(13).zip(replies.chunks(13)) {
        for (at, database) in [(10, "0"), (12, "4")] {
            let value = Reply::bulk(database);
            let all = [
                Reply::bulk(format!("in{database}")),
                value.clone(),
                value.clone(),
                value,
            ];
            assert_eq!(replies[at], Reply::Array(all.to_vec()), "{:?}", request[at]);
        }
    }
    // Who has chosen none sees nothing of the others.
    assert_eq!(other.call(["GET", "key7"]), Reply::bulk("in0"));
    assert!(info_of(&mut client).contains(" db=4 "));
    assert!(info_of(&mut other).contains(" db=0 "));
    assert_eq!(client.call(["RESET"]), Reply::Simple("RESET".to_owned()));
    assert_eq!(client.call(["GET", "key7"]), Reply::bulk("in0"));
    assert!(info_of(&mut client).contains(" db=0 "));
}

#[test]
fn a_key_goes_to_the_database_that_is_named() {
    let redis = Redis::fleet(2);
    let tagged = Pool::over("alpha", &redis).with("hash_tag", "\"{}\"");
    let proxy = Proxy::coremux(&[tagged]);
    let mut client = proxy.client("alpha");
    client.call(["SELECT", "2"]);
    client.call(["SET", "{t}a", "value"]);
    assert_eq!(
        client.call(["COPY", "{t}a", "{t}b", "DB", "5"]),
        Reply::Integer(1)
    );
    assert_eq!(client.call(["MOVE", "{t}a", "6"]), Reply::Integer(1));
    let refused = client.call(["SWAPDB", "0", "1"]);
    assert!(refused.error().starts_with("ERR 'swapdb' is refused"));
    for (database, key) in [("5", "{t}b"), ("6", "{t}a")] {
        assert_eq!(client.call(["SELECT", database]), Reply::ok());
        assert_eq!(client.call(["GET", key]), Reply::bulk("value"));
    }
}

#[test]
fn a_server_that_has_fewer_databases_has_not_failed() {
    let redis = [Redis::start_with(&["--databases", "4"])];
    let ejecting = Pool::over("alpha", &redis)
        .with("auto_eject_hosts", true)
        .with("server_failure_limit", 1)
        .with("timeout", 5000);
    let held = Pool::over("held", &redis).with("on_server_failure", "hold");
    let proxy = Proxy::coremux(&[ejecting, held]);
    for pool in ["alpha", "held"] {
        let (mut far, mut near) = (proxy.client(pool), proxy.client(pool));
        assert_eq!(far.call(["SELECT", "9"]), Reply::ok());
        for _ in 0..3 {
            let told = far.call(["SET", "key", "value"]);
            assert_eq!(told, error("ERR DB index is out of range"));
            // Nor where a connection of the client's own is refused.
            for request in [&["BLPOP", "list", "0"][..], &["WATCH", "key"]] {
                let told = far.call(request.iter().copied());
                assert_eq!(told, error("ERR DB index is out of range"), "{request:?}");
            }
            assert_eq!(far.call(["UNWATCH"]), Reply::ok());
            assert_eq!(near.call(["SET", "key", "value"]), Reply::ok());
        }
        assert_eq!(far.call(["SELECT", "3"]), Reply::ok());
        assert_eq!(far.call(["GET", "key"]), Reply::Null);
        let ejects = || proxy.numbers().pool(pool, "server_ejects");
        assert_eq!(ejects(), 0);
    }
}

#[test]
fn a_database_outlives_the_connections_to_it() {
    let mut redis = [Redis::start_with(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ])];
    let held = Pool::over("alpha", &redis)
        .with("on_server_failure", "hold")
        .with("hold_ms", 20_000);
    let proxy = Proxy::coremux(&[held]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SELECT", "7"]), Reply::ok());
    assert_eq!(client.call(["SET", "key", "before"]), Reply::ok());
    redis[0].kill();
    redis[0].restart();
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("before"));
    assert_eq!(client.call(["SET", "key", "after"]), Reply::ok());
    let mut direct = redis[0].client();
    assert_eq!(direct.call(["SELECT", "7"]), Reply::ok());
    assert_eq!(direct.call(["GET", "key"]), Reply::bulk("after"));
    direct.call(["SELECT", "0"]);
    assert_eq!(direct.call(["EXISTS", "key"]), Reply::Integer(0));
}
