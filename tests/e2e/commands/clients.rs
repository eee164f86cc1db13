//! `CLIENT …` tells of the pool's clients, and does to them what is asked, whichever worker they are with.

use std::time::Duration;

use crate::support::Client;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::now;
use crate::support::words;

/// Two workers; the pools `alpha`, whose clients may do everything, and `beta`, over the same server.
fn start() -> (Redis, Proxy) {
    let redis = Redis::start();
    let all = "[client|kill, client|pause, client|unpause]";
    let pools = [
        Pool::new("alpha")
            .server(redis.address())
            .with("allow", all),
        Pool::new("beta").server(redis.address()),
    ];
    let proxy = Proxy::coremux_with(&["--cores", "2"], &pools);
    (redis, proxy)
}

fn id(client: &mut Client) -> i64 {
    match client.call(["CLIENT", "ID"]) {
        Reply::Integer(id) => id,
        other => panic!("{other:?}"),
    }
}

fn lines(reply: Reply) -> Vec<String> {
    let Reply::Bulk(text) = reply else {
        panic!("no list: {reply:?}")
    };
    let text = String::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

/// The numbers by which clients are named in these lines.
fn ids(lines: &[String]) -> Vec<i64> {
    let id = |line: &String| {
        line["id=".len()..]
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    lines.iter().map(id).collect()
}

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

#[test]
fn what_is_wrong_gets_the_words_of_redis() {
    let (redis, proxy) = start();
    let (mut through, mut direct) = (proxy.client("alpha"), redis.client());
    for line in [
        "LIST TYPE foo",
        "LIST TYPE",
        "LIST ID",
        "LIST ID x",
        "LIST ID 0 99999",
        "LIST nonsense",
        "LIST TYPE pubsub",
        "LIST TYPE master",
        "LIST TYPE normal ID 3",
        "KILL",
        "KILL nowhere:1",
        "KILL ID",
        "KILL ID 0",
        "KILL ID x",
        "KILL ID 99999",
        "KILL TYPE foo",
        "KILL USER foo",
        "KILL USER default TYPE pubsub",
        "KILL SKIPME maybe",
        "KILL ADDR 1:1",
        "KILL LADDR 1:1",
        "KILL NONSENSE bar",
        "PAUSE",
        "PAUSE x",
        "PAUSE -1",
        "PAUSE 1 nonsense",
        "PAUSE 1 WRITE x",
        "PAUSE 99999999999999999999",
        "UNPAUSE",
        "UNPAUSE x",
        "UNBLOCK",
        "UNBLOCK x",
        "UNBLOCK 99999",
        "UNBLOCK -7",
        "UNBLOCK 1 nonsense",
        "UNBLOCK 1 ERROR x",
        "REPLY",
        "REPLY nonsense",
        "REPLY on",
        "TRACKING OFF",
        "TRACKING nonsense",
        "TRACKINGINFO",
        "GETREDIR",
        "CACHING yes",
        "CACHING no",
        "CACHING nonsense",
    ] {
        let line = format!("CLIENT {line}");
        assert_eq!(
            through.call(words(&line)),
            direct.call(words(&line)),
            "{line}"
        );
    }
    let refused = "ERR CLIENT TRACKING is not supported: which keys a client has read is known to no server, for clients share the connections";
    assert_eq!(through.call(["CLIENT", "TRACKING", "ON"]), error(refused));
    for line in ["CLIENT KILL ID 1", "CLIENT PAUSE 1", "CLIENT UNPAUSE"] {
        let Reply::Error(text) = proxy.client("beta").call(words(line)) else {
            panic!("{line} needs leave")
        };
        assert!(text.starts_with("NOPERM "), "{text}");
    }
}

#[test]
fn a_list_has_every_client_of_the_pool_and_no_other() {
    let (_redis, proxy) = start();
    let mut clients: Vec<Client> = (0..16).map(|_| proxy.client("alpha")).collect();
    let mut other = proxy.client("beta");
    let mut expected: Vec<i64> = clients.iter_mut().map(id).collect();
    let of_two_workers =
        expected.iter().any(|id| id % 2 == 0) && expected.iter().any(|id| id % 2 == 1);
    assert!(of_two_workers, "{expected:?}");
    expected.sort_unstable();
    assert_eq!(clients[3].call(["CLIENT", "SETNAME", "third"]), Reply::ok());
    let third = id(&mut clients[3]);
    for client in &mut clients {
        assert_eq!(ids(&lines(client.call(["CLIENT", "LIST"]))), expected);
        let line = lines(client.call(words(&format!("CLIENT LIST ID {third}"))));
        assert!(
            line.len() == 1 && line[0].contains(" name=third "),
            "{line:?}"
        );
    }
    let own = lines(clients[3].call(["CLIENT", "INFO"]));
    let local = format!(
        " addr=127.0.0.1:{} laddr={} ",
        clients[3].local_port(),
        proxy.address("alpha")
    );
    assert!(own[0].contains(&local), "{own:?}");
    let two = format!("CLIENT LIST ID {} {} {third}", expected[5], expected[1]);
    let listed = ids(&lines(clients[0].call(words(&two))));
    assert_eq!(listed, [expected[5], expected[1], third]);
    assert_eq!(
        lines(clients[0].call(words("CLIENT LIST TYPE normal"))).len(),
        16
    );
    assert_eq!(lines(other.call(["CLIENT", "LIST"])).len(), 1);
    clients.truncate(3);
    eventually("only those who are there are listed", || {
        (lines(clients[0].call(["CLIENT", "LIST"])).len() == 3).then_some(())
    });
}

#[test]
fn who_is_killed_is_closed_at_once_whichever_worker_it_is_with() {
    let (_redis, proxy) = start();
    let mut asker = proxy.client("alpha");
    let mut clients: Vec<Client> = (0..8).map(|_| proxy.client("alpha")).collect();
    let mut untouched = proxy.client("beta");
    for (nth, client) in clients.iter_mut().enumerate() {
        let line = match nth % 3 {
            0 => format!("CLIENT KILL ID {}", id(client)),
            1 => format!("CLIENT KILL ADDR 127.0.0.1:{}", client.local_port()),
            _ => format!("CLIENT KILL 127.0.0.1:{}", client.local_port()),
        };
        let done = match nth % 3 {
            2 => Reply::ok(),
            _ => Reply::Integer(1),
        };
        assert_eq!(asker.call(words(&line)), done, "{line}");
        assert_eq!(client.read_until_closed(), b"");
    }
    let mut rest: Vec<Client> = (0..4).map(|_| proxy.client("alpha")).collect();
    let all = format!("CLIENT KILL LADDR {} USER default", proxy.address("alpha"));
    rest.iter_mut().for_each(|client| _ = id(client));
    assert_eq!(asker.call(words(&all)), Reply::Integer(4));
    assert_eq!(
        asker.call(words("CLIENT KILL MAXAGE 1000 SKIPME no")),
        Reply::Integer(0)
    );
    assert_eq!(
        asker.call(words("CLIENT KILL TYPE normal SKIPME no")),
        Reply::Integer(1)
    );
    assert_eq!(asker.read_to_end().unwrap(), b"");
    assert_eq!(untouched.call(["PING"]), Reply::Simple("PONG".to_owned()));
}

#[test]
fn a_pause_holds_writes_or_everything_on_all_workers() {
    let (_redis, proxy) = start();
    let mut asker = proxy.client("alpha");
    let mut clients: Vec<Client> = (0..8).map(|_| proxy.client("alpha")).collect();
    clients.iter_mut().for_each(|client| _ = id(client));
    assert_eq!(asker.call(words("CLIENT PAUSE 100000 WRITE")), Reply::ok());
    for client in &mut clients {
        assert_eq!(client.call(["GET", "k"]), Reply::Null);
        client.send(["SET", "k", "v"]);
    }
    for client in &mut clients {
        client.set_read_timeout(Duration::from_millis(20));
        client.try_read().expect_err("a write waits");
        client.set_read_timeout(crate::support::PATIENCE);
    }
    // Another pool's clients have nothing to do with it.
    assert_eq!(proxy.client("beta").call(["DEL", "k"]), Reply::Integer(0));
    assert_eq!(asker.call(words("CLIENT UNPAUSE")), Reply::ok());
    for client in &mut clients {
        assert_eq!(client.read(), Reply::ok());
    }
    let begin = now();
    assert_eq!(asker.call(words("CLIENT PAUSE 300")), Reply::ok());
    for client in &mut clients {
        client.send(["PING"]);
    }
    for client in &mut clients {
        assert_eq!(client.read(), Reply::Simple("PONG".to_owned()));
    }
    assert!(
        begin.elapsed() >= Duration::from_millis(290),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn who_waits_is_unblocked_whichever_worker_it_is_with() {
    let (redis, proxy) = start();
    let mut asker = proxy.client("beta");
    for line in [
        "BLPOP l 0",
        "BLMOVE l m LEFT LEFT 0",
        "BZPOPMIN z 0",
        "XREAD BLOCK 0 STREAMS x $",
        "BLMPOP 0 1 l LEFT",
    ] {
        let mut waiters: Vec<Client> = (0..4).map(|_| proxy.client("beta")).collect();
        for (nth, client) in waiters.iter_mut().enumerate() {
            let own = id(client);
            client.send(words(line));
            client.send(["PING"]);
            let (how, reply) = match nth % 2 {
                0 => ("", Reply::Null),
                _ => (
                    " ERROR",
                    error("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
                ),
            };
            eventually("it waits", || {
                let line = format!("CLIENT UNBLOCK {own}{how}");
                (asker.call(words(&line)) == Reply::Integer(1)).then_some(())
            });
            let unblocked = match client.read() {
                Reply::NullArray => Reply::Null,
                other => other,
            };
            assert_eq!(unblocked, reply, "{line}");
            assert_eq!(client.read(), Reply::Simple("PONG".to_owned()));
        }
    }
    // Nobody is left who would take it.
    assert_eq!(asker.call(["RPUSH", "l", "v"]), Reply::Integer(1));
    assert_eq!(redis.client().call(["LLEN", "l"]), Reply::Integer(1));
}

#[test]
fn what_nobody_wants_to_hear_shifts_no_reply() {
    let (redis, proxy) = start();
    let bodies = [
        "GET k",
        "SET k v",
        "MGET a b k",
        "NONSENSE",
        "GET",
        "PING",
        "MULTI|SET k 1|INCR k|EXEC",
        "DBSIZE",
        "BLPOP none 0.01",
        "SCAN 0",
        "EVAL return{1,2,KEYS[1]} 1 k",
        "CLIENT REPLY SKIP|GET k",
        "CLIENT REPLY nonsense",
        "RESET",
        "MULTI|GET|EXEC",
        "WATCH k|MULTI|GET k|EXEC",
        "CLIENT UNBLOCK 777777",
    ];
    let streams = [proxy.client("alpha"), redis.client()].map(|mut client| {
        redis.client().call(["FLUSHALL"]);
        let mut all = Vec::new();
        for body in bodies {
            for script in [
                format!("CLIENT REPLY OFF|{body}|CLIENT REPLY ON"),
                format!("CLIENT REPLY SKIP|{body}"),
                format!("CLIENT REPLY SKIP|CLIENT REPLY SKIP|{body}"),
                format!("CLIENT REPLY OFF|CLIENT REPLY SKIP|{body}|CLIENT REPLY ON|{body}"),
            ] {
                for line in script.split('|') {
                    encode(&mut all, words(line));
                }
                encode(
                    &mut all,
                    words(&format!("ECHO {}", script.replace(' ', "_"))),
                );
            }
        }
        encode(&mut all, words("QUIT"));
        client.send_raw(&all);
        String::from_utf8(client.read_until_closed()).unwrap()
    });
    assert_eq!(streams[0], streams[1]);
}
