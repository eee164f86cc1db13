//! `PUBLISH` goes to the server where its channel lives, and `PUBSUB` tells of all servers.

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;

fn list(items: &[&str]) -> Reply {
    Reply::Array(items.iter().map(Reply::bulk).collect())
}

/// A client of a server's own that listens.
fn listens(redis: &Redis, verb: &str, topic: &str) -> Client {
    let mut client = redis.client();
    client.call([verb, topic]);
    client
}

#[test]
fn a_message_goes_to_one_server_and_who_listens_there_is_counted() {
    let redis = Redis::fleet(3);
    let pool = Pool::over("alpha", &redis).with("hash_tag", "\"{}\"");
    let proxy = Proxy::coremux(&[pool]);
    let mut client = proxy.client("alpha");
    for (nth, server) in redis.iter().enumerate() {
        let channel = proxy.key_on("alpha", &Pool::server_name(nth), "news");
        for (publish, subscribe, told) in [
            ("PUBLISH", "SUBSCRIBE", "message"),
            ("SPUBLISH", "SSUBSCRIBE", "smessage"),
        ] {
            let mut listener = listens(server, subscribe, &channel);
            assert_eq!(client.call([publish, &channel, "a"]), Reply::Integer(1));
            assert_eq!(listener.read(), list(&[told, &channel, "a"]));
            // Within a transaction, too, and to the same place as its tag.
            let tagged = format!("x{{{channel}}}");
            client.pipeline([vec!["MULTI"], vec![publish, &channel, "b"]]);
            client.call([publish, &tagged, "c"]);
            let done = Reply::Array(vec![Reply::Integer(1), Reply::Integer(0)]);
            assert_eq!(client.call(["EXEC"]), done);
            assert_eq!(listener.read(), list(&[told, &channel, "b"]));
        }
        assert_eq!(client.call(["PUBLISH", "nobody", "x"]), Reply::Integer(0));
    }
}

#[test]
fn what_servers_say_of_their_channels_is_joined() {
    let redis = Redis::fleet(2);
    let proxy = Proxy::coremux(&[Pool::over("alpha", &redis)]);
    let everywhere = "__keyevent@0__:del";
    let mut held = Vec::new();
    for server in &redis {
        for (verb, topic) in [
            ("SUBSCRIBE", everywhere),
            ("SSUBSCRIBE", "shard"),
            ("PSUBSCRIBE", "a*"),
        ] {
            held.push(listens(server, verb, topic));
        }
    }
    held.push(listens(&redis[0], "PSUBSCRIBE", "b*"));
    held.push(listens(&redis[0], "SUBSCRIBE", "one"));
    held.push(listens(&redis[1], "SUBSCRIBE", "two"));
    for protocol in ["2", "3"] {
        let mut client = proxy.client("alpha");
        client.call(["HELLO", protocol]);
        let Reply::Array(mut channels) = client.call(["PUBSUB", "CHANNELS"]) else {
            panic!("no list");
        };
        channels.sort_by_key(|it| format!("{it:?}"));
        let mut all = [everywhere, "one", "two"].map(Reply::bulk);
        all.sort_by_key(|it| format!("{it:?}"));
        assert_eq!(channels, all);
        assert_eq!(client.call(["PUBSUB", "CHANNELS", "t*"]), list(&["two"]));
        assert_eq!(client.call(["PUBSUB", "SHARDCHANNELS"]), list(&["shard"]));
        assert_eq!(client.call(["PUBSUB", "NUMPAT"]), Reply::Integer(2));
        let counted = |name: &str, count| [Reply::bulk(name), Reply::Integer(count)];
        assert_eq!(
            client.call(["PUBSUB", "NUMSUB", "two", everywhere, "none"]),
            Reply::Array(
                [
                    counted("two", 1),
                    counted(everywhere, 1),
                    counted("none", 0)
                ]
                .concat()
            )
        );
        assert_eq!(
            client.call(["PUBSUB", "SHARDNUMSUB", "shard"]),
            Reply::Array(counted("shard", 2).to_vec())
        );
        assert_eq!(client.call(["PUBSUB", "NUMSUB"]), list(&[]));
    }
}
