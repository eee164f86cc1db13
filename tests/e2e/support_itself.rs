//! The helpers of the end-to-end tests do what they say.

use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

fn nutcracker(redis: &Redis) -> Proxy {
    Proxy::start(Program::Nutcracker, |listen| {
        format!(
            "tcp:\n  listen: {}\n  redis: true\n  servers:\n   - {}:1\n\
             unix:\n  listen: {}\n  redis: true\n  servers:\n   - {}:1\n",
            listen.tcp("tcp"),
            redis.address(),
            listen.unix("unix"),
            redis.address(),
        )
    })
}

#[test]
fn a_proxy_in_front_of_a_server_carries_a_request_by_tcp_and_unix_sockets() {
    let redis = Redis::start();
    let mut proxy = nutcracker(&redis);
    assert_eq!(
        proxy.client("tcp").call(["SET", "key", "value"]),
        Reply::ok()
    );
    assert_eq!(
        proxy.client("unix").call(["GET", "key"]),
        Reply::bulk("value")
    );
    assert_eq!(redis.client().call(["GET", "key"]), Reply::bulk("value"));
    assert!(proxy.stats().starts_with(r#"{"service":"nutcracker""#));
    proxy.process().signal("INT");
    assert_eq!(proxy.process().wait().code(), Some(1));
}

#[test]
fn a_killed_server_refuses_connections_and_restarts_on_its_port() {
    let mut redis = Redis::start();
    let address = redis.address();
    redis.client().call(["SET", "key", "value"]);
    redis.kill();
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    redis.restart();
    assert_eq!(redis.address(), address);
    assert_eq!(redis.client().call(["GET", "key"]), Reply::Null);
}

#[test]
fn a_pipeline_larger_than_every_buffer_comes_back_in_order() {
    let redis = Redis::start_with(&["--requirepass", "secret"]);
    let mut client = redis.client();
    assert!(client.call(["GET", "key"]).error().starts_with("NOAUTH"));
    assert_eq!(client.call(["AUTH", "secret"]), Reply::ok());
    let values: Vec<String> = (0..1000).map(|i| format!("{i}").repeat(10_000)).collect();
    let replies = client.pipeline(values.iter().map(|value| ["ECHO", value]));
    assert!(
        replies
            .iter()
            .zip(&values)
            .all(|(reply, value)| *reply == Reply::bulk(value))
    );
    client.shutdown_write();
    assert_eq!(client.read_until_closed(), b"");
}

#[test]
fn resp3_values_are_read() {
    let redis = Redis::start();
    let mut client = redis.client();
    let Reply::Map(hello) = client.call(["HELLO", "3"]) else {
        panic!("HELLO 3 answers with a map");
    };
    assert!(hello.contains(&(Reply::bulk("proto"), Reply::Integer(3))));
    assert_eq!(client.call(["GET", "nothing"]), Reply::Null);
    client.send_raw(b"PING\r\n");
    assert_eq!(client.read_raw(7), b"+PONG\r\n");
    let started = eventually("the log says so", || {
        redis
            .process()
            .log()
            .contains("Ready to accept connections")
            .then_some(true)
    });
    assert!(started);
}
