//! A command with keys on several servers gives the reply that one server with all keys gives.

use std::time::Duration;

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::now;
use crate::support::value;

/// Five servers under pools of one, two and five of them, and one server to compare with.
struct Stand {
    direct: Redis,
    servers: Vec<Redis>,
    proxy: Proxy,
}

const POOLS: [(&str, usize); 3] = [("one", 1), ("two", 2), ("five", 5)];

impl Stand {
    fn start() -> Stand {
        let servers = Redis::fleet(5);
        let pools: Vec<Pool> = POOLS
            .iter()
            .map(|(name, count)| Pool::over(name, &servers[..*count]))
            .collect();
        Stand {
            direct: Redis::start(),
            proxy: Proxy::coremux(&pools),
            servers,
        }
    }

    fn empty(&self) {
        for redis in self.servers.iter().chain([&self.direct]) {
            assert_eq!(redis.client().call(["FLUSHALL"]), Reply::ok());
        }
    }
}

fn command<'a>(name: &'a str, keys: impl IntoIterator<Item = &'a String>) -> Vec<&'a [u8]> {
    let keys = keys.into_iter().map(String::as_bytes);
    std::iter::once(name.as_bytes()).chain(keys).collect()
}

/// `MSET` of `keys`, each with its own value.
fn mset(client: &mut Client, keys: &[String], bytes: usize) -> Reply {
    let mut request = vec![b"MSET".to_vec()];
    for key in keys {
        request.extend([key.clone().into_bytes(), value(key, 1, bytes)]);
    }
    client.call(request)
}

#[test]
fn with_one_key_and_with_fifty_thousand() {
    let stand = Stand::start();
    for (pool, _) in POOLS {
        let mut through = stand.proxy.client(pool);
        let mut direct = stand.direct.client();
        for count in [1, 2, 3, 7, 100, 1_000, 50_000] {
            stand.empty();
            let name = format!("{count} keys over {pool}");
            let keys: Vec<String> = (0..count).map(|n| format!("key:{n}")).collect();
            for client in [&mut through, &mut direct] {
                assert_eq!(mset(client, &keys, 20), Reply::ok(), "{name}");
            }
            // Every third one is there, every third is missing, some come twice.
            let asked: Vec<String> = (0..count)
                .map(|n| match n % 3 {
                    0 => format!("key:{n}"),
                    1 => format!("missing:{n}"),
                    _ => format!("key:{}", n / 2),
                })
                .collect();
            for request in ["MGET", "EXISTS", "TOUCH", "UNLINK", "mget", "DEL"] {
                let request = command(request, &asked);
                let (through, direct) = (through.call(&request), direct.call(&request));
                assert!(through == direct, "{name}: {}", request[0].escape_ascii());
            }
            let all = command("MGET", &keys);
            assert!(
                through.call(&all) == direct.call(&all),
                "{name}: afterwards"
            );
        }
    }
}

#[test]
fn with_the_same_key_many_times() {
    let stand = Stand::start();
    for (pool, _) in POOLS {
        stand.empty();
        for client in [&mut stand.proxy.client(pool), &mut stand.direct.client()] {
            let (key, other) = ("same".to_owned(), "other".to_owned());
            let request = [&b"MSET"[..], b"same", b"1", b"other", b"2", b"same", b"3"];
            assert_eq!(client.call(request), Reply::ok());
            assert_eq!(
                client.call(["GET", "same"]),
                Reply::bulk("3"),
                "the last one counts"
            );
            let keys = [&key, &other, &key, &key];
            let values = ["3", "2", "3", "3"].map(Reply::bulk).to_vec();
            assert_eq!(client.call(command("MGET", keys)), Reply::Array(values));
            assert_eq!(client.call(command("EXISTS", keys)), Reply::Integer(4));
            assert_eq!(client.call(command("TOUCH", keys)), Reply::Integer(4));
            assert_eq!(client.call(command("DEL", keys)), Reply::Integer(2));
        }
    }
}

#[test]
fn with_large_and_small_values_in_one_reply() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("five");
    let keys: Vec<String> = (0..60).map(|n| format!("large:{n}")).collect();
    let length = |n: usize| [0, 10, 3_000, 70_000, 1 << 20][n % 5];
    let mut request = vec![b"MSET".to_vec()];
    for (n, key) in keys.iter().enumerate() {
        request.extend([key.clone().into_bytes(), value(key, 1, length(n))]);
    }
    assert_eq!(client.call(request), Reply::ok());
    let values = keys.iter().enumerate();
    let values = values
        .map(|(n, key)| Reply::Bulk(value(key, 1, length(n))))
        .collect();
    assert!(client.call(command("MGET", &keys)) == Reply::Array(values));
    // What went out in one piece is on the servers as if it had come by itself.
    let (of_last, last) = (stand.proxy.servers_of("five", &[&keys[59]]), &keys[59]);
    let place = (0..5)
        .find(|place| Pool::server_name(*place) == of_last[0])
        .unwrap();
    let held = stand.servers[place].client().call(["GET", last]);
    assert!(held == Reply::Bulk(value(last, 1, 1 << 20)));
}

#[test]
fn in_a_pipeline_with_others_each_in_its_place() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("five");
    let mut requests = Vec::new();
    let mut due = Vec::new();
    for n in 0..500 {
        let (a, b, c) = (format!("a:{n}"), format!("b:{n}"), format!("c:{n}"));
        requests.push(vec![
            "MSET".into(),
            a.clone(),
            format!("{n}"),
            b.clone(),
            format!("-{n}"),
        ]);
        due.push(Reply::ok());
        requests.push(vec!["GET".into(), b.clone()]);
        due.push(Reply::bulk(format!("-{n}")));
        requests.push(vec!["MGET".into(), b.clone(), c.clone(), a.clone()]);
        let values = vec![
            Reply::bulk(format!("-{n}")),
            Reply::Null,
            Reply::bulk(format!("{n}")),
        ];
        due.push(Reply::Array(values));
        requests.push(vec!["ECHO".into(), format!("{n}")]);
        due.push(Reply::bulk(format!("{n}")));
        requests.push(vec!["EXISTS".into(), a.clone(), b, c]);
        due.push(Reply::Integer(2));
        requests.push(vec!["DEL".into(), a.clone(), a.clone()]);
        due.push(Reply::Integer(1));
        requests.push(vec!["INCR".into(), a]);
        due.push(Reply::Integer(1));
    }
    assert_eq!(client.pipeline(&requests), due);
}

/// The best of three: how long an `MGET` of `keys` takes.
fn time_of_mget(client: &mut Client, keys: &[String]) -> Duration {
    let request = command("MGET", keys);
    let once = |client: &mut Client| {
        let began = now();
        let Reply::Array(values) = client.call(&request) else {
            panic!("an array is due");
        };
        assert_eq!(values.len(), keys.len());
        began.elapsed()
    };
    (0..3).map(|_| once(client)).min().unwrap()
}

#[test]
fn ten_times_the_keys_take_no_more_than_ten_times_as_long() {
    let stand = Stand::start();
    let mut client = stand.proxy.client("five");
    let keys: Vec<String> = (0..50_000).map(|n| format!("key:{n}")).collect();
    assert_eq!(mset(&mut client, &keys, 20), Reply::ok());
    let few = time_of_mget(&mut client, &keys[..5_000]);
    let many = time_of_mget(&mut client, &keys);
    // A quadratic walk would take a hundred times as long; a busy machine not three times.
    assert!(many < few * 30, "5,000 keys {few:?}, 50,000 keys {many:?}");
    assert!(many < Duration::from_secs(5), "{many:?}");
}

#[test]
fn one_failed_part_gives_one_error_and_the_next_reply_is_in_its_place() {
    let mut stand = Stand::start();
    let pool = "five";
    let mut keys: Vec<String> = (0..20).map(|n| format!("key:{n}")).collect();
    keys.extend((0..5).map(|place| stand.proxy.key_on(pool, &Pool::server_name(place), "part:")));
    let mut client = stand.proxy.client(pool);
    assert_eq!(mset(&mut client, &keys, 20), Reply::ok());
    let full_key = keys[22].clone();
    let mut full = stand.servers[2].client();
    assert_eq!(full.call(["CONFIG", "SET", "maxmemory", "1"]), Reply::ok());
    let mut requests = vec![vec!["MSET".to_owned()], vec!["ECHO".into(), "next".into()]];
    requests[0].extend(keys.iter().flat_map(|key| [key.clone(), "new".to_owned()]));
    requests.push(vec!["GET".into(), full_key]);
    let replies = client.pipeline(&requests);
    assert!(
        replies[0].error().starts_with("OOM command not allowed"),
        "{replies:?}"
    );
    assert_eq!(replies[1], Reply::bulk("next"));
    assert!(matches!(replies[2], Reply::Bulk(_)), "{replies:?}");

    stand.servers[2].kill();
    stand.servers[3].kill();
    for name in ["MGET", "DEL", "EXISTS", "TOUCH", "UNLINK"] {
        let request: Vec<Vec<u8>> = command(name, &keys)
            .iter()
            .map(|arg| arg.to_vec())
            .collect();
        let replies = client.pipeline([request, vec![b"ECHO".to_vec(), name.into()]]);
        let error = replies[0].error();
        let lost = ["ERR Connection refused", "ERR Server closed the connection"];
        assert!(
            lost.contains(&error) || error == "ERR Connection reset by peer",
            "{name}: {error}"
        );
        assert_eq!(replies[1], Reply::bulk(name));
    }
    assert_eq!(
        client.call(command("DEL", &keys)).error(),
        "ERR Connection refused"
    );
}
