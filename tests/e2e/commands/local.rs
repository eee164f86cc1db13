//! What the proxy answers by itself, or refuses, has its reply in its place, and nothing else ends.

use crate::support::Client;
use crate::support::PATIENCE;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::now;
use crate::support::words;

struct Stand {
    redis: Vec<Redis>,
    proxy: Proxy,
}

impl Stand {
    /// The pools `open`, `locked` (with the password "secret") and `third` (database 3).
    fn start() -> Stand {
        let redis = vec![
            Redis::start(),
            Redis::start_with(&["--requirepass", "secret"]),
        ];
        let pools = [
            Pool::over("open", &redis[..1]),
            Pool::over("locked", &redis[1..]).with("redis_auth", "secret"),
            Pool::over("third", &redis[..1]).with("redis_db", 3),
        ];
        Stand {
            proxy: Proxy::coremux(&pools),
            redis,
        }
    }

    fn client(&self, pool: &str) -> Client {
        self.proxy.client(pool)
    }

    /// What the servers call their release.
    fn version(&self) -> String {
        let info = text_of(self.redis[0].client().call(["INFO", "server"]));
        let line = info.lines().find(|line| line.starts_with("redis_version:"));
        line.unwrap()
            .trim_start_matches("redis_version:")
            .to_owned()
    }
}

fn simple(text: &str) -> Reply {
    Reply::Simple(text.to_owned())
}

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

fn text_of(reply: Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("no text: {other:?}"),
    }
}

#[test]
fn the_server_would_say_the_same() {
    let stand = Stand::start();
    let (mut through, mut direct) = (stand.client("open"), stand.redis[0].client());
    for line in [
        "PING",
        "ping",
        "PING message",
        "PING too many",
        "ECHO message",
        "ECHO",
        "ECHO too many",
        "SELECT 0",
        "SELECT x",
        "SELECT",
        "AUTH a b c",
        "AUTH",
        "CLIENT GETNAME",
        "CLIENT SETNAME tester",
        "CLIENT GETNAME",
        "CLIENT SETNAME ",
        "CLIENT NO-EVICT on",
        "CLIENT NO-EVICT maybe",
        "CLIENT NONSENSE",
        "CLIENT",
        "COMMAND COUNT extra",
        "COMMAND GETKEYS SET key value",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYS EVAL script 2 a b c",
        "COMMAND GETKEYS PING message",
        "COMMAND GETKEYS",
        "COMMAND NONSENSE",
        "COMMAND INFO nonsense",
        "COMMAND LIST FILTERBY PATTERN sinter*",
        "CONFIG GET save",
        "CONFIG GET nonsense",
        "CONFIG GET appendonly",
        "CONFIG NONSENSE",
        "CONFIG",
        "HELLO x",
        "HELLO 2 NONSENSE",
        "HELLO 4",
        "RESET",
        "CLIENT GETNAME",
        "TIME extra",
        "OBJECT HELP",
        "CLIENT HELP",
        "CLUSTER INFO",
        "CLUSTER NONSENSE",
        "QUIT",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let mut pair = [through.call(&words), direct.call(&words)];
        if line.starts_with("COMMAND LIST") || line.ends_with("HELP") {
            // The server's own order, and its own later lines.
            for reply in &mut pair {
                let Reply::Array(items) = reply else {
                    panic!("{line}: {reply:?}")
                };
                assert!(!items.is_empty());
                items.sort_by_key(|item| format!("{item:?}"));
            }
            if line.ends_with("HELP") {
                continue;
            }
        }
        let [through, direct] = pair;
        assert_eq!(through, direct, "{line}");
    }
    assert_eq!(through.read_to_end().unwrap(), b"");
}

#[test]
fn hello_says_who_it_is_in_resp2() {
    let stand = Stand::start();
    let mut client = stand.client("open");
    for request in [
        "HELLO",
        "HELLO 2",
        "HELLO 2 SETNAME me",
        "HELLO 2 AUTH default any SETNAME me",
    ] {
        let Reply::Array(fields) = client.call(words(request)) else {
            panic!("{request}: an array is due");
        };
        let field = |name| {
            let place = fields
                .iter()
                .position(|field| *field == Reply::bulk(name))
                .unwrap();
            fields[place + 1].clone()
        };
        assert_eq!(field("server"), Reply::bulk("redis"));
        let Reply::Bulk(version) = field("version") else {
            panic!("a version is a text")
        };
        assert_eq!(String::from_utf8(version).unwrap(), stand.version());
        assert_eq!(field("proto"), Reply::Integer(2));
        assert_eq!(field("mode"), Reply::bulk("standalone"));
        assert_eq!(field("role"), Reply::bulk("master"));
        assert_eq!(field("id"), client.call(["CLIENT", "ID"]));
    }
    assert_eq!(client.call(["CLIENT", "GETNAME"]), Reply::bulk("me"));
    assert_eq!(client.call(["GET", "none"]), Reply::Null);
}

#[test]
fn a_client_has_an_id_of_its_own_and_tells_of_itself() {
    let stand = Stand::start();
    let ids: std::collections::BTreeSet<i64> = (0..20)
        .map(|_| match stand.client("open").call(["CLIENT", "ID"]) {
            Reply::Integer(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 20);
    let mut client = stand.client("third");
    for (request, reply) in [
        ("CLIENT SETNAME tester", Reply::ok()),
        ("CLIENT SETINFO LIB-NAME lib", Reply::ok()),
        ("CLIENT SETINFO lib-ver 1.2.3", Reply::ok()),
        (
            "CLIENT SETINFO lib-color red",
            error("ERR Unrecognized option 'lib-color'"),
        ),
    ] {
        assert_eq!(client.call(words(request)), reply, "{request}");
    }
    let text = "ERR Client names cannot contain spaces, newlines or special characters.";
    assert_eq!(client.call(["CLIENT", "SETNAME", "two words"]), error(text));
    let info = text_of(client.call(["CLIENT", "INFO"]));
    for part in [
        "id=",
        &format!("addr=127.0.0.1:{} ", client.local_port()),
        "name=tester ",
        "db=3 ",
        "resp=2 ",
        "lib-name=lib ",
        "lib-ver=1.2.3",
    ] {
        assert!(info.contains(part), "{part} in {info}");
    }
}

#[test]
fn the_time_is_the_time() {
    let stand = Stand::start();
    let seconds = |reply: Reply| match reply {
        Reply::Array(parts) => text_of(parts[0].clone()).parse::<u64>().unwrap(),
        other => panic!("{other:?}"),
    };
    let through = seconds(stand.client("open").call(["TIME"]));
    let direct = seconds(stand.redis[0].client().call(["TIME"]));
    assert!(through.abs_diff(direct) <= 5, "{through} {direct}");
}

#[test]
fn info_has_what_clients_wait_for() {
    let stand = Stand::start();
    let mut client = stand.client("open");
    let all = text_of(client.call(["INFO"]));
    for line in [
        "# Server",
        "redis_version:7.0.15",
        "redis_mode:standalone",
        "connected_clients:1",
        "loading:0",
        "role:master",
        "pool:open",
        "servers:1",
    ] {
        assert!(all.lines().any(|found| found == line), "{line} in {all}");
    }
    let names = |text: &str| -> Vec<String> {
        let names = text
            .lines()
            .map(|line| line.split(':').next().unwrap_or_default());
        names.map(str::to_owned).collect()
    };
    let everything = names(&text_of(client.call(["INFO", "everything"])));
    assert!(names(&all).iter().all(|name| everything.contains(name)));
    let some = text_of(client.call(["INFO", "replication", "CLIENTS"]));
    assert!(some.contains("role:master") && some.contains("connected_clients"));
    assert!(!some.contains("redis_version"), "{some}");
    assert_eq!(client.call(["INFO", "nonsense"]), Reply::bulk(""));
}

#[test]
fn command_describes_what_the_server_has() {
    let stand = Stand::start();
    let mut client = stand.client("open");
    let Reply::Array(rows) = client.call(["COMMAND"]) else {
        panic!("no rows")
    };
    assert!(rows.len() > 240, "{}", rows.len());
    assert_eq!(
        client.call(["COMMAND", "COUNT"]),
        Reply::Integer(rows.len() as i64)
    );
    let Reply::Array(docs) = client.call(["COMMAND", "DOCS", "get", "set"]) else {
        panic!("no docs")
    };
    assert_eq!(docs.len(), 4);
    let request = ["COMMAND", "INFO", "get"];
    let (through, direct) = (client.call(request), stand.redis[0].client().call(request));
    assert_eq!(format!("{through:?}").len(), format!("{direct:?}").len());
}

#[test]
fn a_password_is_asked_in_twemproxys_words() {
    let stand = Stand::start();
    let mut client = stand.client("locked");
    let asks = error("NOAUTH Authentication required");
    for line in [
        "PING",
        "GET key",
        "SET key value",
        "MGET a b",
        "COMMAND",
        "nonsense",
        "GET",
        "INFO",
    ] {
        assert_eq!(client.call(words(line)), asks, "{line}");
    }
    assert_eq!(
        client.call(["AUTH", "wrong"]),
        error("ERR invalid password")
    );
    assert_eq!(client.call(["PING"]), asks);
    assert_eq!(client.call(["AUTH", "secret"]), Reply::ok());
    assert_eq!(client.call(["PING"]), simple("PONG"));
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    assert_eq!(
        client.call(["AUTH", "secre"]),
        error("ERR invalid password")
    );
    assert_eq!(
        client.call(["GET", "key"]),
        asks,
        "a wrong password takes the right one away"
    );
    assert_eq!(client.call(["AUTH", "default", "secret"]), Reply::ok());
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
    let wrong_user = error("WRONGPASS invalid username-password pair or user is disabled.");
    assert_eq!(client.call(["AUTH", "somebody", "secret"]), wrong_user);
    assert_eq!(client.call(["GET", "key"]), asks);
    let mut other = stand.client("locked");
    assert_eq!(other.call(["GET", "key"]), asks, "each client for itself");
    assert!(matches!(
        other.call(["HELLO", "2", "AUTH", "default", "secret"]),
        Reply::Array(_)
    ));
    assert_eq!(other.call(["GET", "key"]), Reply::bulk("value"));
    assert_eq!(other.call(["RESET"]), simple("RESET"));
    assert_eq!(other.call(["GET", "key"]), asks);
    assert!(
        other
            .call(["HELLO", "2"])
            .error()
            .starts_with("NOAUTH HELLO must be called")
    );
    assert_eq!(other.call(["QUIT"]), Reply::ok());
    assert_eq!(other.read_to_end().unwrap(), b"");

    let none = error("ERR Client sent AUTH, but no password is set");
    assert_eq!(stand.client("open").call(["AUTH", "any"]), none);
}

#[test]
fn a_password_in_a_pipeline_opens_what_comes_after_it() {
    let stand = Stand::start();
    let requests = [
        "GET key",
        "AUTH secret",
        "SET key value",
        "GET key",
        "AUTH x",
        "GET key",
    ];
    let replies = stand.client("locked").pipeline(requests.map(words));
    let asks = error("NOAUTH Authentication required");
    let due = [
        asks.clone(),
        Reply::ok(),
        Reply::ok(),
        Reply::bulk("value"),
        error("ERR invalid password"),
        asks,
    ];
    assert_eq!(replies, due);
}

#[test]
fn quit_is_answered_after_all_that_was_asked_before_and_nothing_after_it() {
    let stand = Stand::start();
    let mut client = stand.client("open");
    let mut bytes = Vec::new();
    for n in 0..100 {
        encode(&mut bytes, ["SET", "key", &n.to_string()]);
        encode(&mut bytes, ["INCR", "counter"]);
    }
    encode(&mut bytes, ["QUIT"]);
    encode(&mut bytes, ["SET", "key", "after"]);
    client.send_raw(&bytes);
    for n in 0..100 {
        assert_eq!(client.read(), Reply::ok());
        assert_eq!(client.read(), Reply::Integer(n + 1));
    }
    assert_eq!(client.read(), Reply::ok());
    assert_eq!(client.read_to_end().unwrap(), b"");
    assert_eq!(
        stand.redis[0].client().call(["GET", "key"]),
        Reply::bulk("99")
    );
}

/// What is refused, and the end of its error.
const REFUSED: &[(&str, &str)] = &[
    (
        "WAIT 0 0",
        "it waits for what its own connection has written, and clients share those that write",
    ),
    ("KEYS *", "is refused unless the pool's `allow:` names it"),
    ("FLUSHALL", "is refused unless the pool's `allow:` names it"),
    ("FLUSHDB", "is refused unless the pool's `allow:` names it"),
    (
        "SCRIPT DEBUG YES",
        "scripts are to be debugged on a server directly",
    ),
    ("LATENCY LATEST", "each server has its own: ask it directly"),
    ("MEMORY STATS", "each server has its own: ask it directly"),
    (
        "CONFIG SET save x",
        "is refused unless the pool's `allow:` names it",
    ),
    ("SHUTDOWN", "is refused unless the pool's `allow:` names it"),
    ("SAVE", "is refused unless the pool's `allow:` names it"),
    (
        "REPLICAOF NO ONE",
        "is refused unless the pool's `allow:` names it",
    ),
    (
        "DEBUG SLEEP 1",
        "is refused unless the pool's `allow:` names it",
    ),
    ("MONITOR", "servers are to be administered directly"),
    ("ACL LIST", "servers are to be administered directly"),
    (
        "CLIENT KILL 1.2.3.4:5",
        "is refused unless the pool's `allow:` names it",
    ),
    (
        "CLIENT PAUSE 100",
        "is refused unless the pool's `allow:` names it",
    ),
    ("CLIENT TRACKING on", "for clients share the connections"),
    (
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip",
        "nothing is told of servers' maintenance here: the proxy goes to another one itself",
    ),
    ("SWAPDB 0 1", ""),
    ("CLUSTER INFO", "This instance has cluster support disabled"),
    ("READONLY", "cluster support disabled"),
    ("NONSENSE a b", "with args beginning with: 'a' 'b' "),
    ("GET", "wrong number of arguments for 'get' command"),
    (
        "OBJECT NONSENSE x",
        "unknown subcommand 'NONSENSE'. Try OBJECT HELP.",
    ),
];

#[test]
fn what_is_refused_has_a_precise_error_in_its_place_and_the_connection_goes_on() {
    let stand = Stand::start();
    let mut client = stand.client("open");
    for (line, text) in REFUSED {
        let requests = [
            words("SET key before"),
            words(line),
            words("GET key"),
            words("INCR n"),
            words("DEL n"),
        ];
        let replies = client.pipeline(requests);
        assert_eq!(replies[0], Reply::ok(), "{line}");
        let refusal = replies[1].error();
        let code = if text.contains("allow:") {
            "NOPERM "
        } else {
            "ERR "
        };
        assert!(
            refusal.starts_with(code) && refusal.ends_with(text),
            "{line}: {refusal}"
        );
        assert_eq!(
            replies[2..],
            [Reply::bulk("before"), Reply::Integer(1), Reply::Integer(1)]
        );
    }
    let mut all: Vec<Vec<&str>> = Vec::new();
    for (line, _) in REFUSED {
        all.extend([words("SET key value"), words(line)]);
    }
    let replies = client.pipeline(all);
    for (pair, (line, _)) in replies.chunks(2).zip(REFUSED) {
        assert_eq!(pair[0], Reply::ok(), "{line}");
        assert!(matches!(pair[1], Reply::Error(_)), "{line}");
    }
}

#[test]
fn an_unknown_command_is_forwarded_where_the_pool_says_so() {
    let redis = Redis::fleet(2);
    let pool = Pool::over("alpha", &redis).with("unknown_commands", "forward");
    let proxy = Proxy::coremux(&[pool]);
    let mut client = proxy.client("alpha");
    let reply = client.call(["FROM.THE.FUTURE", "key", "x"]);
    assert_eq!(
        reply,
        redis[0].client().call(["FROM.THE.FUTURE", "key", "x"])
    );
    let errors = |redis: &Redis| match redis.client().call(["INFO", "errorstats"]) {
        Reply::Bulk(info) => String::from_utf8(info).unwrap(),
        other => panic!("{other:?}"),
    };
    let home = proxy.servers_of("alpha", &["key"]).remove(0);
    let place = usize::from(home == "s2");
    // The first server was asked by the test itself, too.
    let count = format!("errorstat_ERR:count={}", 2 - place);
    assert!(
        errors(&redis[place]).contains(&count),
        "{home}: {}",
        errors(&redis[place])
    );
    assert!(
        client
            .call(["FROM.THE.FUTURE"])
            .error()
            .contains("unknown command")
    );
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
}

#[test]
fn an_answer_in_place_waits_for_no_server() {
    let mut stand = Stand::start();
    stand.redis[0].process().signal("STOP");
    let began = now();
    let replies = stand
        .client("open")
        .pipeline([words("PING"), words("ECHO x"), words("INFO x")]);
    assert_eq!(replies[..2], [simple("PONG"), Reply::bulk("x")]);
    assert!(began.elapsed() < PATIENCE / 2);
    stand.redis[0].process().signal("CONT");
    stand.redis.clear();
}

#[test]
fn a_pool_says_that_it_is_a_master_without_replicas() {
    let stand = Stand::start();
    let role = vec![
        Reply::bulk("master"),
        Reply::Integer(0),
        Reply::Array(Vec::new()),
    ];
    assert_eq!(stand.client("open").call(["ROLE"]), Reply::Array(role));
}
