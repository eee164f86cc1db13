//! `HELLO 3`: a client has the replies that the server gives in RESP3, and may switch at any time.

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::words;

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

fn field(reply: &Reply, name: &str) -> Reply {
    let Reply::Map(fields) = reply else {
        panic!("a map is due: {reply:?}")
    };
    let found = fields.iter().find(|(key, _)| *key == Reply::bulk(name));
    found.unwrap_or_else(|| panic!("no {name}")).1.clone()
}

fn hello(client: &mut Client) -> Reply {
    client.call(["HELLO", "3"])
}

#[test]
fn every_type_of_reply_is_the_servers_own() {
    let redis = Redis::fleet(2);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis[..1])]);
    let (mut through, mut direct) = (proxy.client("alpha"), redis[1].client());
    let (said, own) = (hello(&mut through), hello(&mut direct));
    for name in ["server", "version", "proto", "mode", "role", "modules"] {
        assert_eq!(field(&said, name), field(&own, name), "{name}");
    }
    assert_eq!(field(&said, "id"), through.call(["CLIENT", "ID"]));
    let script = |body: &str| vec!["EVAL".to_owned(), body.to_owned(), "0".to_owned()];
    let mut requests: Vec<Vec<String>> = [
        "SET key value",
        "GET key",
        "GET none",
        "MGET key none other",
        "HSET hash a 1 b 2",
        "HGETALL hash",
        "HGETALL none",
        "HRANDFIELD hash 2 WITHVALUES",
        "SADD set a",
        "SMEMBERS set",
        "ZADD zset 1.5 a inf b",
        "ZRANGE zset 0 -1 WITHSCORES",
        "ZSCORE zset a",
        "ZSCORE zset b",
        "ZPOPMIN zset",
        "LPOP none 2",
        "XADD stream 1-1 a 1",
        "XREAD STREAMS stream 0",
        "XINFO STREAM stream",
        "CONFIG GET save",
        "CLIENT GETNAME",
        "COMMAND INFO get",
        "COMMAND DOCS nonsense",
        "INCR key",
        "NONSENSE",
        "HELLO 4",
        "HELLO x",
        "HELLO 3 NONSENSE",
        "OBJECT ENCODING none",
        "LOLWUT VERSION 1 1 1 1",
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .collect();
    for body in [
        "redis.setresp(3); return {map={a=true,b=false}}",
        "redis.setresp(3); return {set={a=true}}",
        "redis.setresp(3); return {double=1.5}",
        "redis.setresp(3); return {big_number='12345678901234567890123'}",
        "redis.setresp(3); return {verbatim_string={format='txt',string='text'}}",
        "redis.setresp(3); return {1, true, false, {map={k={1,2,false}}}}",
        "return redis.error_reply('MINE no')",
    ] {
        requests.push(script(body));
    }
    for request in requests {
        assert_eq!(through.call(&request), direct.call(&request), "{request:?}");
    }
    let large = "v".repeat(3 << 20);
    for request in [
        vec!["SET", "large", &large],
        vec![
            "EVAL",
            "redis.setresp(3); return {map={k=redis.call('GET','large')}}",
            "1",
            "large",
        ],
        vec!["GET", "large"],
    ] {
        assert_eq!(through.call(&request), direct.call(&request));
    }
}

#[test]
fn a_split_request_has_the_nulls_of_its_clients_version() {
    let redis = Redis::fleet(3);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis)]);
    let keys: Vec<String> = (0..30).map(|nth| format!("key{nth}")).collect();
    let request = || std::iter::once("MGET").chain(keys.iter().map(String::as_str));
    let mut client = proxy.client("alpha");
    client.call(["SET", "key3", "three"]);
    for (hello, null) in [("3", "_\r\n"), ("2", "$-1\r\n"), ("3", "_\r\n")] {
        client.call(["HELLO", hello]);
        client.send(request());
        let value = |key: &String| match key.as_str() {
            "key3" => "$5\r\nthree\r\n".to_owned(),
            _ => null.to_owned(),
        };
        let all: String = keys.iter().map(value).collect();
        let due = format!("*30\r\n{all}");
        let got = client.read_raw(due.len());
        assert_eq!(String::from_utf8(got).unwrap(), due);
    }
    let sum = ["DEL", "key3", "key4", "key5"];
    assert_eq!(client.call(sum), Reply::Integer(1));
}

#[test]
fn a_reply_is_in_the_version_that_held_when_its_request_was_sent() {
    let redis = Redis::fleet(2);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis)]);
    let mut client = proxy.client("alpha");
    client.call(["HSET", "hash", "a", "1"]);
    let mut requests = Vec::new();
    for _ in 0..40 {
        for line in [
            "HELLO 3",
            "HGETALL hash",
            "GET none",
            "HELLO 2",
            "HGETALL hash",
            "RESET",
        ] {
            requests.push(words(line));
        }
    }
    let replies = client.pipeline(&requests);
    let (field, value) = (Reply::bulk("a"), Reply::bulk("1"));
    for replies in replies.chunks(6) {
        assert!(matches!(replies[0], Reply::Map(_)), "{:?}", replies[0]);
        assert_eq!(replies[1], Reply::Map(vec![(field.clone(), value.clone())]));
        assert_eq!(replies[2], Reply::Null);
        assert!(matches!(replies[3], Reply::Array(_)), "{:?}", replies[3]);
        assert_eq!(replies[4], Reply::Array(vec![field.clone(), value.clone()]));
        assert_eq!(replies[5], Reply::Simple("RESET".to_owned()));
    }
}

#[test]
fn hello_takes_a_password_and_a_name_or_nothing_at_all() {
    let redis = [Redis::start_with(&["--requirepass", "secret"])];
    let proxy = Proxy::coremux(&[Pool::over("locked", &redis).with("redis_auth", "secret")]);
    let mut client = proxy.client("locked");
    assert!(
        hello(&mut client)
            .error()
            .starts_with("NOAUTH HELLO must be called")
    );
    for (line, told) in [
        ("HELLO 3 AUTH default wrong SETNAME me", "WRONGPASS"),
        (
            "HELLO 3 AUTH default secret SETNAME me NONSENSE",
            "ERR Syntax error",
        ),
        ("HELLO 4 AUTH default secret", "NOPROTO"),
    ] {
        assert!(client.call(words(line)).error().starts_with(told), "{line}");
        assert!(
            client.call(["GET", "key"]).error().starts_with("NOAUTH"),
            "{line}"
        );
    }
    let said = client.call(words("HELLO 3 AUTH default secret SETNAME me"));
    assert_eq!(field(&said, "proto"), Reply::Integer(3));
    assert_eq!(client.call(["CLIENT", "GETNAME"]), Reply::bulk("me"));
    assert_eq!(client.call(["GET", "key"]), Reply::Null);
    let Reply::Verbatim(info) = client.call(["CLIENT", "INFO"]) else {
        panic!("a text is due")
    };
    assert!(String::from_utf8(info).unwrap().contains(" resp=3 "));
}

/// A server that answers what it is sent by these words.
fn server(answer: impl Fn(&[u8]) -> &'static [u8] + Send + Sync + 'static) -> FakeServer {
    FakeServer::answering(move |request| Some(answer(&request[0]).to_vec()))
}

#[test]
fn a_pool_with_a_server_that_knows_no_hello_speaks_resp2_only() {
    let old = server(|name| match name {
        b"HELLO" => b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n",
        b"PING" => b"+PONG\r\n",
        _ => b"$-1\r\n",
    });
    let redis = [Redis::start()];
    let proxy = Proxy::coremux(&[Pool::over("mixed", &redis).server(old.address())]);
    let mut client = proxy.client("mixed");
    assert_eq!(
        hello(&mut client),
        error("NOPROTO unsupported protocol version")
    );
    let Reply::Array(fields) = client.call(["HELLO", "2"]) else {
        panic!("an array is due")
    };
    assert!(fields.contains(&Reply::bulk("5.0.0")), "{fields:?}");
    for nth in 0..20 {
        assert_eq!(client.call(["GET", &format!("key{nth}")]), Reply::Null);
    }
}

#[test]
fn what_is_no_resp3_ends_the_connection_and_a_message_that_nobody_asked_for_does_not() {
    let server = server(|name| match name {
        b"HELLO" => b"%1\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n",
        b"PING" => b"+PONG\r\n",
        b"GET" => b">2\r\n+invalidate\r\n*1\r\n+key\r\n$5\r\nvalue\r\n",
        _ => b"%1\r\n.\r\n",
    });
    let proxy = Proxy::coremux(&[Pool::new("alpha").server(server.address())]);
    let mut client = proxy.client("alpha");
    assert_eq!(field(&hello(&mut client), "version"), Reply::bulk("7.2.4"));
    for _ in 0..3 {
        assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
        let told = client.call(["STRLEN", "key"]);
        assert!(
            told.error().starts_with("ERR Server sent a bad reply"),
            "{told:?}"
        );
    }
}
