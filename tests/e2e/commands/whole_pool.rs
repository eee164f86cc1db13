//! What concerns the keys of all servers is asked of all of them, and answered as one Redis would.

use std::collections::HashSet;
use std::fmt::Write;

use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::words;

struct Stand {
    redis: Vec<Redis>,
    admin: Admin,
    proxy: Proxy,
}

impl Stand {
    fn start(servers: usize, keys: &[(&str, &str)]) -> Stand {
        let redis = Redis::fleet(servers);
        let admin = Admin::new();
        let mut all = admin.arguments();
        all.extend(["--cores", "2"].map(str::to_owned));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let proxy = Proxy::start_with(Program::Coremux, &all, |listen| {
            let pool = Pool::over("alpha", &redis);
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

    fn client(&self) -> Client {
        self.proxy.client("alpha")
    }

    fn sizes(&self) -> Vec<i64> {
        let size = |redis: &Redis| integer(&redis.client().call(["DBSIZE"]));
        self.redis.iter().map(size).collect()
    }

    /// Reloads with the servers in this order, each by its own name, and what else the file says.
    fn reload(&self, order: &[usize], more: &str) {
        let listen = self.proxy.address("alpha");
        let mut yml = format!("alpha:\n  listen: {listen}\n  redis: true\n{more}  servers:\n");
        for &place in order {
            let (address, name) = (self.redis[place].address(), Pool::server_name(place));
            writeln!(yml, "    - {address}:1 {name}").unwrap();
        }
        self.proxy.write_config(&yml);
        let (code, text) = self.admin.ctl("reload");
        assert_eq!(code, 0, "{text}");
    }
}

/// The value of a field of `INFO`.
fn field(client: &mut Client, section: &str, name: &str) -> Option<String> {
    let info = text(&client.call(["INFO", section]));
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(field, _)| *field == name)
        .map(|(_, value)| value.to_owned())
}

#[test]
fn info_and_settings_tell_of_all_servers_as_of_one() {
    let stand = Stand::start(3, &[]);
    let mut client = stand.client();
    for n in 0..30 {
        client.call(["SET", &format!("k{n}"), "v"]);
    }
    let keyspace = field(&mut client, "keyspace", "db0").unwrap();
    assert!(
        keyspace.starts_with("keys=30,expires=0,avg_ttl=0"),
        "{keyspace}"
    );
    let whole = text(&client.call(["INFO"]));
    for part in [
        "redis_mode:standalone\r\n",
        "connected_clients:1\r\n",
        "maxmemory_policy:noeviction\r\n",
        "role:master\r\n",
        "loading:0\r\n",
        "# Coremux\r\npool:alpha\r\nservers:3\r\n",
    ] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    assert!(whole.starts_with("# Server\r\nredis_version:") && !whole.contains("run_id"));
    let used: u64 = field(&mut client, "memory", "used_memory")
        .unwrap()
        .parse()
        .unwrap();
    let sum: u64 = stand
        .redis
        .iter()
        .map(|redis| {
            let used = field(&mut redis.client(), "memory", "used_memory");
            used.unwrap().parse::<u64>().unwrap()
        })
        .sum();
    assert!(used > sum / 2 && used < sum * 2, "{used} of {sum}");
    let calls = field(&mut client, "commandstats", "cmdstat_set").unwrap();
    assert!(calls.starts_with("calls=30,"), "{calls}");
    assert_eq!(client.call(["INFO", "nonsense"]), Reply::bulk(""));

    let get = |client: &mut Client, name: &str| texts(&client.call(["CONFIG", "GET", name]));
    assert_eq!(
        get(&mut client, "maxmemory-policy"),
        ["maxmemory-policy", "noeviction"]
    );
    let set = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    assert_eq!(stand.redis[1].client().call(set), Reply::ok());
    assert_eq!(
        get(&mut client, "maxmemory-policy"),
        ["maxmemory-policy", "noeviction,allkeys-lru"]
    );
    let differ = field(&mut client, "memory", "maxmemory_policy");
    assert_eq!(differ.as_deref(), Some("noeviction,allkeys-lru"));
    assert_eq!(
        get(&mut client, "requirepass"),
        [""; 0],
        "no secret of servers"
    );
    assert_eq!(get(&mut client, "timeout"), ["timeout", "0"]);
    assert!(get(&mut client, "*").len() > 200);
}

#[test]
fn a_server_that_fails_is_left_out_of_info_and_makes_no_error() {
    let mut stand = Stand::start(2, &[("on_server_failure", "fail")]);
    let mut client = stand.client();
    assert!(field(&mut client, "memory", "used_memory").is_some());
    stand.redis[1].kill();
    for _ in 0..20 {
        assert!(field(&mut client, "memory", "used_memory").is_some());
        assert_eq!(
            field(&mut client, "persistence", "loading").as_deref(),
            Some("0")
        );
        assert_eq!(texts(&client.call(["CONFIG", "GET", "save"]))[0], "save");
    }
    stand.redis[0].kill();
    eventually("nobody is left who says anything", || {
        let memory = field(&mut client, "memory", "used_memory");
        memory.is_none().then_some(())
    });
    assert_eq!(
        field(&mut client, "replication", "role").as_deref(),
        Some("master")
    );
}

#[test]
fn a_server_that_stands_still_stops_no_client_that_asks_for_info() {
    let stand = Stand::start(2, &[]);
    let mut client = stand.client();
    assert!(field(&mut client, "memory", "used_memory").is_some());
    let key = stand.proxy.key_on("alpha", "s2", "k");
    let mut others: Vec<Client> = (0..8).map(|_| stand.client()).collect();
    stand.redis[1].process().signal("STOP");
    for other in &mut others {
        other.send(["GET", &key]);
    }
    // Behind what it has not answered for a second it is asked nothing.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(field(&mut client, "memory", "used_memory").is_some());
    stand.redis[1].process().signal("CONT");
    for other in &mut others {
        assert_eq!(other.read(), Reply::Null);
    }
}

fn integer(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(number) => *number,
        other => panic!("not a number: {other:?}"),
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("not a text: {other:?}"),
    }
}

fn texts(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(items) => items.iter().map(text).collect(),
        other => panic!("not an array: {other:?}"),
    }
}

/// Sets `prefix0`, `prefix1` and so on.
fn fill(client: &mut Client, prefix: &str, count: usize) {
    let keys: Vec<String> = (0..count).map(|nth| format!("{prefix}{nth}")).collect();
    for some in keys.chunks(1000) {
        let mut request = vec!["MSET"];
        request.extend(some.iter().flat_map(|key| [key.as_str(), "v"]));
        assert_eq!(client.call(request), Reply::ok());
    }
}

/// One page: the next cursor, and the keys.
fn page(client: &mut Client, cursor: &str, options: &str) -> (String, Vec<String>) {
    match client.call(words(&format!("SCAN {cursor} {options}"))) {
        Reply::Array(parts) => (text(&parts[0]), texts(&parts[1])),
        other => panic!("no page: {other:?}"),
    }
}

fn scan(client: &mut Client, options: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let (next, keys) = page(client, &cursor, options);
        all.extend(keys);
        if next == "0" {
            return all;
        }
        cursor = next;
    }
}

#[test]
fn every_key_is_seen_in_any_worker_while_reloads_move_servers_about_in_the_file() {
    const KEYS: usize = 100_000;
    let stand = Stand::start(5, &[]);
    let mut clients: Vec<Client> = (0..4).map(|_| stand.client()).collect();
    fill(&mut clients[0], "stays:", KEYS);
    assert!(
        stand.sizes().iter().all(|size| *size > 1000),
        "all have keys"
    );
    let (mut seen, mut cursor, mut pages) = (HashSet::new(), "0".to_owned(), 0_usize);
    let orders = [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [0, 1, 2, 3, 4]];
    loop {
        let client = pages % clients.len();
        let (next, keys) = page(&mut clients[client], &cursor, "COUNT 500");
        assert!(next.parse::<u64>().unwrap() < 1 << 53, "{next}");
        seen.extend(keys);
        pages += 1;
        if pages % 50 == 10 {
            stand.reload(&orders[pages / 50 % orders.len()], "");
        }
        // What comes and goes meanwhile.
        let (new, old) = (format!("new:{pages}"), format!("new:{}", pages / 2));
        clients[client].call(["SET", &new, "v"]);
        clients[client].call(["DEL", &old]);
        if next == "0" {
            break;
        }
        cursor = next;
    }
    assert!(pages > KEYS / 1000, "{pages} pages");
    let kept = (0..KEYS).filter(|nth| seen.contains(&format!("stays:{nth}")));
    assert_eq!(kept.count(), KEYS);
}

#[test]
fn a_walk_takes_the_servers_options_and_a_cursor_from_nowhere_gets_rediss_error() {
    let stand = Stand::start(3, &[]);
    let mut client = stand.client();
    fill(&mut client, "a:", 300);
    fill(&mut client, "b:", 200);
    for nth in 0..30 {
        client.call(["SADD", &format!("s:{nth}"), "x"]);
    }
    for (options, count) in [
        ("", 530),
        ("COUNT 7", 530),
        ("MATCH b:*", 200),
        ("TYPE set", 30),
        ("TYPE string MATCH *:1? COUNT 3", 20),
        ("MATCH nothing", 0),
    ] {
        let mut keys = scan(&mut client, options);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "{options}");
    }
    let direct = |line: &str| stand.redis[0].client().call(words(line));
    for line in [
        "SCAN x",
        "SCAN 0 COUNT",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT x",
        "SCAN 0 WHAT 1",
        "SCAN",
    ] {
        assert_eq!(client.call(words(line)), direct(line), "{line}");
    }
    let nowhere = [
        "1",
        "-1",
        "123456",
        "9007199254740991",
        "9007199254740992",
        "18446744073709551615",
    ];
    for cursor in nowhere {
        assert_eq!(
            client.call(["SCAN", cursor]).error(),
            "ERR invalid cursor",
            "{cursor}"
        );
    }
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
}

#[test]
fn sizes_are_summed_and_some_key_is_any_servers() {
    let stand = Stand::start(3, &[]);
    let mut client = stand.client();
    assert_eq!(client.call(["RANDOMKEY"]), Reply::Null);
    assert_eq!(client.call(["DBSIZE"]), Reply::Integer(0));
    client.call(["SET", "only", "v"]);
    for _ in 0..10 {
        assert_eq!(client.call(["RANDOMKEY"]), Reply::bulk("only"));
    }
    fill(&mut client, "k:", 600);
    assert_eq!(client.call(["DBSIZE"]), Reply::Integer(601));
    assert_eq!(stand.sizes().iter().sum::<i64>(), 601);
    let mut homes = HashSet::new();
    eventually("a key of each server", || {
        let key = text(&client.call(["RANDOMKEY"]));
        homes.extend(stand.proxy.servers_of("alpha", &[&key]));
        (homes.len() == 3).then_some(())
    });
    let saved = stand
        .redis
        .iter()
        .map(|redis| integer(&redis.client().call(["LASTSAVE"])));
    assert_eq!(integer(&client.call(["LASTSAVE"])), saved.min().unwrap());
    assert!(integer(&client.call(["MEMORY", "USAGE", "only"])) > 10);
}

#[test]
fn a_script_that_is_loaded_is_loaded_everywhere() {
    let stand = Stand::start(3, &[]);
    let mut client = stand.client();
    let sha = text(&client.call(["SCRIPT", "LOAD", "return KEYS[1]"]));
    for nth in 0..30 {
        let key = format!("k{nth}");
        assert_eq!(client.call(["EVALSHA", &sha, "1", &key]), Reply::bulk(&key));
    }
    let flags = |a, b| Reply::Array(vec![Reply::Integer(a), Reply::Integer(b)]);
    let other = "0".repeat(40);
    assert_eq!(client.call(["SCRIPT", "EXISTS", &sha, &other]), flags(1, 0));
    assert_eq!(
        stand.redis[1].client().call(["SCRIPT", "FLUSH"]),
        Reply::ok()
    );
    assert_eq!(client.call(["SCRIPT", "EXISTS", &sha, &other]), flags(0, 0));
    assert_eq!(client.call(["SCRIPT", "FLUSH"]), Reply::ok());
    let direct = stand.redis[2]
        .client()
        .call(["SCRIPT", "EXISTS", &sha, &other]);
    assert_eq!(direct, flags(0, 0));
    let broken = client.call(["SCRIPT", "LOAD", "this is no Lua"]);
    assert!(
        broken.error().starts_with("ERR Error compiling"),
        "{broken:?}"
    );
    assert!(
        client
            .call(["SCRIPT", "KILL"])
            .error()
            .starts_with("NOTBUSY")
    );
}

#[test]
fn functions_are_the_same_on_every_server() {
    const LIBRARY: &str =
        "#!lua name=lib\n redis.register_function('second', function(k, a) return a[1] end)";
    let stand = Stand::start(3, &[]);
    let mut client = stand.client();
    let load = |client: &mut Client| client.call(["FUNCTION", "LOAD", LIBRARY]);
    assert_eq!(load(&mut client), Reply::bulk("lib"));
    assert!(load(&mut client).error().contains("already exists"));
    for nth in 0..20 {
        let call = ["FCALL", "second", "1", &format!("k{nth}"), "x"];
        assert_eq!(client.call(call), Reply::bulk("x"));
    }
    assert_eq!(client.call(["FCALL", "second", "0", "y"]), Reply::bulk("y"));
    let direct = |line: &str| stand.redis[2].client().call(words(line));
    for line in [
        "FUNCTION LIST",
        "FUNCTION LIST WITHCODE",
        "FUNCTION STATS",
        "FUNCTION DUMP",
    ] {
        assert_eq!(client.call(words(line)), direct(line), "{line}");
    }
    let Reply::Bulk(dump) = client.call(["FUNCTION", "DUMP"]) else {
        panic!("no dump");
    };
    assert_eq!(client.call(["FUNCTION", "FLUSH"]), Reply::ok());
    assert_eq!(direct("FUNCTION LIST"), Reply::Array(Vec::new()));
    assert_eq!(
        client.call([&b"FUNCTION"[..], b"RESTORE", &dump]),
        Reply::ok()
    );
    assert_eq!(client.call(["FUNCTION", "DELETE", "lib"]), Reply::ok());
    assert_eq!(direct("FUNCTION LIST"), Reply::Array(Vec::new()));
    assert!(
        client
            .call(["FUNCTION", "DELETE", "lib"])
            .error()
            .contains("not found")
    );
}

#[test]
fn a_script_that_runs_for_ever_is_stopped_through_the_proxy() {
    let stand = Stand::start(3, &[]);
    for redis in &stand.redis {
        redis
            .client()
            .call(["CONFIG", "SET", "busy-reply-threshold", "1"]);
    }
    let (mut runs, mut stops) = (stand.client(), stand.client());
    runs.send(["EVAL", "while true do end", "1", "key"]);
    let killed = eventually("the script is stopped", || {
        let reply = stops.call(["SCRIPT", "KILL"]);
        (reply == Reply::ok()).then_some(reply)
    });
    assert_eq!(killed, Reply::ok());
    assert!(runs.read().error().contains("Script killed by user"));
    assert_eq!(runs.call(["SET", "key", "v"]), Reply::ok());
}

#[test]
fn one_server_that_fails_is_the_error_and_not_half_an_answer() {
    let mut stand = Stand::start(3, &[("timeout", "2000")]);
    let mut client = stand.client();
    fill(&mut client, "k:", 100);
    stand.redis[1].kill();
    for line in [
        "DBSIZE",
        "RANDOMKEY",
        "SCRIPT LOAD x",
        "SCRIPT EXISTS x",
        "LASTSAVE",
    ] {
        let reply = client.call(words(line));
        assert!(!reply.error().is_empty(), "{line}: {reply:?}");
    }
    // A walk ends there, too, and goes on when the server is back.
    let (mut cursor, mut errors) = ("0".to_owned(), 0);
    for _ in 0..100 {
        match client.call(["SCAN", &cursor]) {
            Reply::Array(parts) => cursor = text(&parts[0]),
            Reply::Error(_) => errors += 1,
            other => panic!("{other:?}"),
        }
        if cursor == "0" || errors > 2 {
            break;
        }
    }
    assert!(errors > 2, "its page is missing");
    stand.redis[1].restart();
    eventually("the walk goes on", || {
        match client.call(["SCAN", &cursor]) {
            Reply::Array(_) => Some(()),
            _ => None,
        }
    });
}

#[test]
fn an_ejected_server_is_left_out_as_its_keys_are() {
    let eject = [
        ("auto_eject_hosts", "true"),
        ("server_failure_limit", "1"),
        ("server_retry_timeout", "600000"),
    ];
    let mut stand = Stand::start(3, &eject);
    let mut client = stand.client();
    fill(&mut client, "k:", 300);
    let sizes = stand.sizes();
    stand.redis[1].kill();
    let rest = sizes[0] + sizes[2];
    eventually("it is ejected", || {
        (client.call(["DBSIZE"]) == Reply::Integer(rest)).then_some(())
    });
    assert_eq!(i64::try_from(scan(&mut client, "").len()).unwrap(), rest);
    assert!(matches!(client.call(["RANDOMKEY"]), Reply::Bulk(_)));
    assert_eq!(text(&client.call(["SCRIPT", "LOAD", "return 1"])).len(), 40);
    let refused = client.call(["FUNCTION", "FLUSH"]);
    assert!(
        refused.error().contains("A server of the pool is ejected"),
        "{refused:?}"
    );
}

#[test]
fn what_is_dangerous_is_done_everywhere_where_the_pool_allows_it() {
    let stand = Stand::start(3, &[("allow", "[flushall, flushdb, keys, config set]")]);
    let mut client = stand.client();
    fill(&mut client, "a:", 300);
    fill(&mut client, "b:", 20);
    let mut keys = texts(&client.call(["KEYS", "b:*"]));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 20);
    assert_eq!(texts(&client.call(["KEYS", "*"])).len(), 320);
    assert_eq!(client.call(["CONFIG", "SET", "hz", "13"]), Reply::ok());
    for redis in &stand.redis {
        let hz = redis.client().call(["CONFIG", "GET", "hz"]);
        assert_eq!(texts(&hz), ["hz", "13"]);
    }
    assert_eq!(client.call(["FLUSHDB", "ASYNC"]), Reply::ok());
    assert_eq!(stand.sizes(), [0, 0, 0]);
    fill(&mut client, "a:", 300);
    assert!(
        client
            .call(["FLUSHALL", "NONSENSE"])
            .error()
            .contains("syntax error")
    );
    assert_eq!(client.call(["DBSIZE"]), Reply::Integer(300));
    assert_eq!(client.call(["FLUSHALL"]), Reply::ok());
    assert_eq!(client.call(["KEYS", "*"]), Reply::Array(Vec::new()));
    let text = "NOPERM 'shutdown' is refused unless the pool's `allow:` names it";
    assert_eq!(client.call(["SHUTDOWN"]).error(), text);
    stand.reload(&[0, 1, 2], "  deny: [config, get]\n");
    for line in ["GET k", "CONFIG GET hz", "FLUSHALL"] {
        eventually("the new rules count", || match client.call(words(line)) {
            Reply::Error(text) if text.starts_with("NOPERM") => Some(()),
            _ => None,
        });
    }
    assert_eq!(client.call(["SET", "k", "v"]), Reply::ok());
}
