//! Who listens to channels hears what is published there, as from one Redis, and nobody else does.

use std::time::Duration;

use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::words;

/// How clients may listen.
pub(super) const MODES: [&str; 2] = ["exclusive", "shared"];

pub(super) struct Stand {
    pub(super) redis: Vec<Redis>,
    pub(super) admin: Admin,
    pub(super) proxy: Proxy,
}

impl Stand {
    pub(super) fn start(servers: usize, mode: &str, keys: &[(&str, &str)]) -> Stand {
        let redis = Redis::fleet(servers);
        let admin = Admin::new();
        let mut all = admin.arguments();
        all.extend(["--cores", "2"].map(str::to_owned));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let proxy = Proxy::start_with(Program::Coremux, &all, |listen| {
            let pool = Pool::over("alpha", &redis).with("pubsub", mode);
            let keys = keys.iter();
            let pool = keys.fold(pool, |pool, (key, value)| pool.with(key, value));
            pool.yml(listen)
        });
        Stand {
            redis,
            admin,
            proxy,
        }
    }

    pub(super) fn client(&self, protocol: &str) -> Client {
        let mut client = self.proxy.client("alpha");
        client.call(["HELLO", protocol]);
        client
    }

    /// A channel that lives on the server of this place.
    pub(super) fn channel(&self, server: usize, prefix: &str) -> String {
        self.proxy
            .key_on("alpha", &Pool::server_name(server), prefix)
    }

    /// Publishes until so many have heard it; who listens on other connections is counted in time.
    pub(super) fn publish(&self, channel: &str, message: &str, heard: i64) {
        let told = self
            .proxy
            .client("alpha")
            .call(["PUBLISH", channel, message]);
        assert_eq!(told, Reply::Integer(heard), "{channel}");
    }
}

/// What a client that speaks this version is sent unasked.
fn pushed(protocol: &str, parts: Vec<Reply>) -> Reply {
    match protocol {
        "2" => Reply::Array(parts),
        _ => Reply::Push(parts),
    }
}

pub(super) fn confirmed(protocol: &str, verb: &str, topic: &str, count: i64) -> Reply {
    let parts = vec![Reply::bulk(verb), Reply::bulk(topic), Reply::Integer(count)];
    pushed(protocol, parts)
}

pub(super) fn message(protocol: &str, parts: &[&str]) -> Reply {
    pushed(protocol, parts.iter().map(Reply::bulk).collect())
}

pub(super) fn hears_nothing(client: &mut Client) {
    client.set_read_timeout(Duration::from_millis(50));
    let heard = client.try_read();
    assert!(heard.is_err(), "{heard:?}");
    client.set_read_timeout(Duration::from_secs(20));
}

#[test]
fn who_listens_hears_what_is_published_wherever_it_lives_and_as_often() {
    for mode in MODES {
        let stand = Stand::start(3, mode, &[]);
        for protocol in ["2", "3"] {
            let mut client = stand.client(protocol);
            let channels: Vec<String> = (0..3).map(|nth| stand.channel(nth, "news")).collect();
            let request = [&["SUBSCRIBE".to_owned()][..], &channels].concat();
            client.send(&request);
            for (nth, channel) in channels.iter().enumerate() {
                let count = i64::try_from(nth).unwrap() + 1;
                assert_eq!(
                    client.read(),
                    confirmed(protocol, "subscribe", channel, count)
                );
            }
            assert_eq!(
                client.call(["PSUBSCRIBE", "new*"]),
                confirmed(protocol, "psubscribe", "new*", 4)
            );
            assert_eq!(
                client.call(["SSUBSCRIBE", &channels[1]]),
                confirmed(protocol, "ssubscribe", &channels[1], 1)
            );
            let mut other = stand.client(protocol);
            other.call(["SUBSCRIBE", "elsewhere"]);
            for channel in &channels {
                stand.publish(channel, "hello", 2);
                assert_eq!(
                    client.read(),
                    message(protocol, &["message", channel, "hello"])
                );
                assert_eq!(
                    client.read(),
                    message(protocol, &["pmessage", "new*", channel, "hello"])
                );
            }
            let mut publisher = stand.client("2");
            publisher.call(["SPUBLISH", &channels[1], "s"]);
            assert_eq!(
                client.read(),
                message(protocol, &["smessage", &channels[1], "s"])
            );
            assert_eq!(
                client.call(["UNSUBSCRIBE", &channels[0]]),
                confirmed(protocol, "unsubscribe", &channels[0], 3)
            );
            assert_eq!(
                client.call(["PUNSUBSCRIBE"]),
                confirmed(protocol, "punsubscribe", "new*", 2)
            );
            stand.publish(&channels[0], "gone", 0);
            stand.publish(&channels[1], "here", 1);
            assert_eq!(
                client.read(),
                message(protocol, &["message", &channels[1], "here"])
            );
            hears_nothing(&mut client);
            hears_nothing(&mut other);
            drop(client);
            drop(other);
            eventually("nobody listens", || {
                let told = stand.client("2").call(["PUBSUB", "CHANNELS"]);
                (told == Reply::Array(vec![]) || mode == "shared").then_some(())
            });
        }
    }
}

#[test]
fn all_that_a_listener_says_and_hears_is_what_one_redis_says() {
    // Of RESP2 only what is allowed between messages, and what is not.
    let script = [
        "PING",
        "SUBSCRIBE a b a",
        "PING",
        "PING text",
        "PING too many",
        "GET a",
        "CLIENT LIST x y",
        "NONSENSE",
        "MULTI",
        "SUBSCRIBE",
        "PSUBSCRIBE a* b*",
        "SSUBSCRIBE a",
        "UNSUBSCRIBE nothing",
        "UNSUBSCRIBE a b",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE a* b* c*",
        "GET a",
        "SUNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "PUNSUBSCRIBE x",
        "GET a",
        "SUBSCRIBE c",
        "RESET",
        "PING",
        "GET a",
        "SUBSCRIBE d",
        "QUIT",
    ];
    for mode in MODES {
        let stand = Stand::start(1, mode, &[]);
        for protocol in ["2", "3"] {
            let hello = format!("HELLO {protocol}");
            let said = |mut client: Client| {
                client.call(words(&hello));
                // An older one may not ask these, and a newer one gets another answer here.
                let is_told =
                    |line: &&str| protocol == "2" || !["CLIENT LIST x y", "MULTI"].contains(line);
                for line in script.iter().filter(|line| is_told(line)) {
                    client.send(words(line));
                }
                let said = client.read_until_closed();
                String::from_utf8(said).unwrap()
            };
            let direct = said(stand.redis[0].client());
            assert_eq!(said(stand.proxy.client("alpha")), direct, "{mode}");
        }
    }
}

#[test]
fn a_newer_client_asks_what_it_likes_and_messages_stand_between_whole_replies() {
    for mode in MODES {
        let stand = Stand::start(2, mode, &[]);
        let mut client = stand.client("3");
        client.call(["SUBSCRIBE", "news"]);
        let large = "x".repeat(1 << 20);
        client.call(["SET", "large", &large]);
        for nth in 0..20 {
            client.send(["GET", "large"]);
            stand.publish("news", &nth.to_string(), 1);
            client.send(["BLPOP", "none", "0.01"]);
            let (mut replies, mut messages) = (Vec::new(), Vec::new());
            while replies.len() < 2 || messages.is_empty() {
                match client.read() {
                    Reply::Push(parts) => messages.push(parts),
                    reply => replies.push(reply),
                }
            }
            assert_eq!(replies, [Reply::bulk(&large), Reply::Null]);
            let text = Reply::bulk(nth.to_string());
            assert_eq!(
                messages,
                [[Reply::bulk("message"), Reply::bulk("news"), text]]
            );
        }
        let info = match client.call(["CLIENT", "INFO"]) {
            Reply::Verbatim(text) => String::from_utf8(text).unwrap(),
            other => panic!("no text: {other:?}"),
        };
        assert!(
            info.contains("flags=P ") && info.contains(" sub=1 psub=0 ssub=0 "),
            "{info}"
        );
        let listed = |kind: &str| match stand.client("2").call(["CLIENT", "LIST", "TYPE", kind]) {
            Reply::Bulk(lines) => lines.iter().filter(|byte| **byte == b'\n').count(),
            other => panic!("no text: {other:?}"),
        };
        assert_eq!((listed("pubsub"), listed("normal")), (1, 1));
        // It hears messages whatever it says of replies.
        client.send(["CLIENT", "REPLY", "OFF"]);
        client.send(["SUBSCRIBE", "more"]);
        assert_eq!(client.read(), confirmed("3", "subscribe", "more", 2));
        stand.publish("more", "x", 1);
        assert_eq!(client.read(), message("3", &["message", "more", "x"]));
        assert_eq!(client.call(["CLIENT", "REPLY", "ON"]), Reply::ok());
        client.call(["HELLO", "2"]);
        let told = client.call(["GET", "large"]);
        assert!(
            told.error().starts_with("ERR Can't execute 'get'"),
            "{told:?}"
        );
    }
}

#[test]
fn what_happens_to_keys_is_heard_from_every_server_once() {
    for mode in MODES {
        let stand = Stand::start(3, mode, &[]);
        for redis in &stand.redis {
            redis
                .client()
                .call(["CONFIG", "SET", "notify-keyspace-events", "KEA"]);
        }
        let mut client = stand.client("2");
        client.call(["SUBSCRIBE", "__keyevent@0__:set"]);
        client.call(["PSUBSCRIBE", "__keyspace@*__:k*"]);
        let mut writer = stand.client("2");
        for server in 0..3 {
            let key = stand.channel(server, "k");
            writer.call(["SET", &key, "x"]);
            let space = format!("__keyspace@0__:{key}");
            assert_eq!(
                client.read(),
                message("2", &["pmessage", "__keyspace@*__:k*", &space, "set"])
            );
            assert_eq!(
                client.read(),
                message("2", &["message", "__keyevent@0__:set", &key])
            );
        }
        // Its number is in the name of the channel: to listen is no database's.
        client.call(["SUBSCRIBE", "__keyevent@5__:set"]);
        writer.call(["SELECT", "5"]);
        writer.call(["SET", "other", "x"]);
        assert_eq!(
            client.read(),
            message("2", &["message", "__keyevent@5__:set", "other"])
        );
    }
}

#[test]
fn in_a_transaction_and_while_watching_and_without_leave_nobody_begins_to_listen() {
    let stand = Stand::start(2, "exclusive", &[("deny", "[psubscribe]")]);
    let mut client = stand.client("3");
    assert_eq!(
        client.call(["PSUBSCRIBE", "*"]),
        Reply::Error("NOPERM 'psubscribe' is refused by the pool's `deny:`".to_owned())
    );
    client.call(["MULTI"]);
    assert_eq!(
        client.call(["SUBSCRIBE", "a"]),
        Reply::Error("ERR Command not allowed inside a transaction".to_owned())
    );
    assert!(client.call(["EXEC"]).error().starts_with("EXECABORT"));
    client.call(["WATCH", "key"]);
    assert_eq!(
        client.call(["SUBSCRIBE", "a"]),
        Reply::Error(
            "ERR A command that waits or listens cannot be asked between WATCH and EXEC".to_owned()
        )
    );
    client.call(["UNWATCH"]);
    assert_eq!(
        client.call(["SUBSCRIBE", "a"]),
        confirmed("3", "subscribe", "a", 1)
    );
}
