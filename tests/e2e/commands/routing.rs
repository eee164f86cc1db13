//! A command that cannot be split goes to the server where all of its keys live, or is refused.

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::words;

const CROSS_SERVER: &str = "CROSSSLOT Keys in request don't hash to the same server";

struct Stand {
    servers: Vec<Redis>,
    proxy: Proxy,
}

impl Stand {
    fn start() -> Stand {
        let servers = Redis::fleet(3);
        for (place, redis) in servers.iter().enumerate() {
            let name = Pool::server_name(place);
            assert_eq!(redis.client().call(["SET", "whoami", &name]), Reply::ok());
        }
        let pools = [
            Pool::over("ketama", &servers).with("hash_tag", "\"{}\""),
            Pool::over("modula", &servers)
                .with("distribution", "modula")
                .with("hash", "crc32a"),
        ];
        Stand {
            proxy: Proxy::coremux(&pools),
            servers,
        }
    }

    /// The names of the servers that have `key`, asked past the proxy.
    fn holders(&self, key: &str) -> Vec<String> {
        (0..self.servers.len())
            .filter(|place| {
                self.servers[*place].client().call(["EXISTS", key]) == Reply::Integer(1)
            })
            .map(Pool::server_name)
            .collect()
    }
}

/// The name of the server where a script with this key runs.
fn runs_on(client: &mut Client, key: &str) -> Reply {
    client.call(["EVAL", "return redis.call('GET','whoami')", "1", key])
}

#[test]
fn keys_on_several_servers_are_refused_and_nothing_is_executed() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("ketama");
    let on = |server: &str| stand.proxy.key_on("ketama", server, "key");
    let (a, b) = (on("s1"), on("s2"));
    for line in [
        "MSETNX a 1 b 2",
        "RENAME a b",
        "RENAMENX a b",
        "COPY a b",
        "SMOVE a b m",
        "SINTER a b",
        "SUNION a b",
        "SDIFF a b",
        "SINTERSTORE a a b",
        "SUNIONSTORE a b b",
        "SDIFFSTORE b a a",
        "SINTERCARD 2 a b",
        "RPOPLPUSH a b",
        "LMOVE a b LEFT RIGHT",
        "LMPOP 2 a b LEFT",
        "ZMPOP 2 a b MIN",
        "ZUNION 2 a b",
        "ZINTER 2 a b",
        "ZDIFF 2 a b",
        "ZINTERCARD 2 a b",
        "ZUNIONSTORE a 2 a b",
        "ZINTERSTORE a 1 b",
        "ZDIFFSTORE a 2 b b",
        "ZRANGESTORE a b 0 -1",
        "PFCOUNT a b",
        "PFMERGE a b",
        "BITOP AND a a b",
        "LCS a b",
        "GEOSEARCHSTORE a b FROMLONLAT 1 1 BYRADIUS 1 m",
        "GEORADIUS a 1 1 1 m STORE b",
        "GEORADIUSBYMEMBER a m 1 m STOREDIST b",
        "SORT a STORE b",
        "XREAD STREAMS a b 0 0",
        "EVAL return 2 a b",
        "EVALSHA 0123456789012345678901234567890123456789 2 a b",
        "EVAL_RO return 2 a b",
        "FCALL function 2 a b",
    ] {
        let request: Vec<&str> = words(line)
            .into_iter()
            .map(|word| match word {
                "a" => a.as_str(),
                "b" => b.as_str(),
                word => word,
            })
            .collect();
        let replies = client.pipeline([request, vec!["ECHO", line]]);
        assert_eq!(
            replies,
            [Reply::Error(CROSS_SERVER.to_owned()), Reply::bulk(line)]
        );
    }
    assert!(stand.holders(&a).is_empty() && stand.holders(&b).is_empty());
}

#[test]
fn what_a_command_writes_is_where_its_key_lives() {
    let stand = Stand::start();
    for pool in ["ketama", "modula"] {
        let mut client = stand.proxy.client(pool);
        let lines = [
            "SET K value",
            "SETBIT K 7 1",
            "HSET K field value",
            "LPUSH K value",
            "SADD K member",
            "ZADD K 1 member",
            "GEOADD K 1 1 member",
            "PFADD K member",
            "XADD K * field value",
            "XGROUP CREATE K group $ MKSTREAM",
            "BITFIELD K SET u8 0 1",
            "MSETNX K value",
            "EVAL return(redis.call('INCR',KEYS[1])) 1 K argument",
        ];
        let keys: Vec<String> = (0..)
            .take(lines.len() * 8)
            .map(|n| format!("{pool}:{n}"))
            .collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let homes = stand.proxy.servers_of(pool, &names);
        let mut seen = std::collections::BTreeSet::new();
        for ((key, home), line) in keys.iter().zip(&homes).zip(lines.iter().cycle()) {
            let request = words(line)
                .into_iter()
                .map(|word| if word == "K" { key } else { word });
            let reply = client.call(request);
            assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
            assert_eq!(stand.holders(key), std::slice::from_ref(home), "{line}");
            let refcount = client.call(["OBJECT", "REFCOUNT", key]);
            assert!(
                matches!(refcount, Reply::Integer(_)),
                "{line}: {refcount:?}"
            );
            seen.insert(home);
        }
        assert_eq!(seen.len(), 3, "all three servers had keys");
    }
}

#[test]
fn a_script_runs_where_its_keys_live() {
    let stand = Stand::start();
    for pool in ["ketama", "modula"] {
        let mut client = stand.proxy.client(pool);
        for server in ["s1", "s2", "s3"] {
            let key = stand.proxy.key_on(pool, server, "script");
            assert_eq!(runs_on(&mut client, &key), Reply::bulk(server), "{pool}");
            let two = [
                "EVAL",
                "return redis.call('GET','whoami')",
                "2",
                &key,
                &key,
                "argument",
            ];
            assert_eq!(client.call(two), Reply::bulk(server));
        }
        // Without a key always to the same.
        let counts = ["EVAL", "return redis.call('INCR','without-a-key')", "0"];
        for nth in 1..5 {
            assert_eq!(client.call(counts), Reply::Integer(nth), "{pool}");
        }
        client.call(["EVAL", "return redis.call('DEL','without-a-key')", "0", "x"]);
    }
}

#[test]
fn a_tag_decides_alone_where_a_key_lives() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("ketama");
    for n in 0..30 {
        let tag = format!("tag{n}");
        let home = runs_on(&mut client, &tag);
        for key in [
            format!("{{{tag}}}"),
            format!("{{{tag}}}:suffix"),
            format!("prefix{{{tag}}}"),
            format!("a{{{tag}}}b{{other}}"),
        ] {
            assert_eq!(runs_on(&mut client, &key), home, "{key}");
        }
        let (a, b) = (format!("a{{{tag}}}"), format!("b{{{tag}}}"));
        client.call(["SADD", &a, "x", "y"]);
        client.call(["SADD", &b, "y", "z"]);
        let both = client.call(["SINTER", &a, &b]);
        assert_eq!(both, Reply::Array(vec![Reply::bulk("y")]));
    }
}

#[test]
fn a_number_of_keys_is_no_key() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("ketama");
    // twemproxy sends these to the server of the key "2".
    for server in ["s1", "s2", "s3"] {
        let tag = stand.proxy.key_on("ketama", server, "z");
        let (a, b) = (format!("{{{tag}}}a"), format!("{{{tag}}}b"));
        client.call(["ZADD", &a, "1", "one", "2", "two"]);
        client.call(["ZADD", &b, "2", "two"]);
        let list = |items: &[&str]| Reply::Array(items.iter().map(Reply::bulk).collect());
        assert_eq!(client.call(["ZUNION", "2", &a, &b]), list(&["one", "two"]));
        assert_eq!(client.call(["ZINTER", "2", &a, &b]), list(&["two"]));
        assert_eq!(client.call(["ZDIFF", "2", &a, &b]), list(&["one"]));
        assert_eq!(client.call(["ZINTERCARD", "2", &a, &b]), Reply::Integer(1));
        client.call(["SADD", &format!("{a}s"), "x"]);
        client.call(["SADD", &format!("{b}s"), "x"]);
        let both = ["SINTERCARD", "2", &format!("{a}s"), &format!("{b}s")];
        assert_eq!(client.call(both), Reply::Integer(1));
        client.call(["RPUSH", &format!("{b}l"), "x"]);
        let popped = client.call(["LMPOP", "2", &format!("{a}l"), &format!("{b}l"), "LEFT"]);
        assert_eq!(
            popped,
            Reply::Array(vec![Reply::bulk(format!("{b}l")), list(&["x"])])
        );
    }
}

#[test]
fn keys_lie_together_by_chance_or_by_tag_and_both_will_do() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("ketama");
    let keys: Vec<String> = (0..40).map(|n| format!("chance:{n}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let homes = stand.proxy.servers_of("ketama", &names);
    for (key, home) in names.iter().zip(&homes) {
        for (other, its_home) in names.iter().zip(&homes) {
            let reply = client.call(["SUNION", key, other]);
            match home == its_home {
                true => assert_eq!(reply, Reply::Array(Vec::new()), "{key} {other}"),
                false => assert_eq!(reply.error(), CROSS_SERVER, "{key} {other}"),
            }
        }
    }
}

#[test]
fn random_distribution_sends_a_request_with_several_keys_to_one_server() {
    let servers = Redis::fleet(3);
    for redis in &servers {
        redis.client().call(["SADD", "a", "x"]);
        redis.client().call(["SADD", "b", "x"]);
        redis.client().call(["MSET", "k1", "v1", "k2", "v2"]);
    }
    let proxy = Proxy::coremux(&[Pool::over("alpha", &servers).with("distribution", "random")]);
    let mut client = proxy.client("alpha");
    for _ in 0..100 {
        let both = client.call(["SINTER", "a", "b"]);
        assert_eq!(both, Reply::Array(vec![Reply::bulk("x")]));
        let values = ["v1", "v2"].map(Reply::bulk).to_vec();
        assert_eq!(client.call(["MGET", "k1", "k2"]), Reply::Array(values));
    }
    for redis in &servers {
        let info = redis.client().call(["INFO", "commandstats"]);
        let Reply::Bulk(info) = info else {
            panic!("{info:?}")
        };
        let info = String::from_utf8(info).unwrap();
        assert!(
            info.contains("cmdstat_sinter:"),
            "every server had its share: {info}"
        );
    }
}
