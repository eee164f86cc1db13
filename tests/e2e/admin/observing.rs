//! Whoever asks sees which keys are hot and which are big, and the requests as they come; nobody sees a
//! value or a secret, and nothing is kept for who has gone.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Stdio;
use std::thread;

use crate::support::Admin;
use crate::support::Memcached;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::TextClient;
use crate::support::eventually;

/// What `word=` says in a line.
fn told<'a>(line: &'a str, word: &str) -> &'a str {
    let mut words = line.split(' ');
    let found = words.find_map(|pair| pair.strip_prefix(word)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("{word} in {line}"))
}

fn share(line: &str) -> f64 {
    told(line, "share").trim_end_matches('%').parse().unwrap()
}

/// Runs a command, and does `what` again and again until it has ended: what it said.
fn while_it_runs(admin: &Admin, words: &str, mut what: impl FnMut()) -> Vec<String> {
    thread::scope(|scope| {
        let run = scope.spawn(|| admin.ctl(words));
        while !run.is_finished() {
            what();
        }
        let (code, text) = run.join().unwrap();
        assert_eq!(code, 0, "{text}");
        text.lines().map(str::to_owned).collect()
    })
}

/// A tail of requests.
struct Monitor {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Monitor {
    fn start(admin: &Admin, words: &[&str]) -> Monitor {
        let words = [&["monitor"], words].concat();
        let mut child = admin
            .ctl_command(&words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut monitor = Monitor { child, lines };
        assert_eq!(monitor.line(), "OK");
        monitor
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it has ended");
        line.trim_end().to_owned()
    }

    /// What stands behind the brackets in the next line.
    fn request(&mut self) -> String {
        let line = self.line();
        let (_, request) = line.split_once("] ").unwrap_or_else(|| panic!("{line}"));
        request.to_owned()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_hottest_key_is_named_with_its_share_its_server_and_its_commands() {
    let servers = [Redis::start(), Redis::start()];
    let alpha = Pool::over("alpha", &servers);
    let beta = Pool::over("beta", &servers);
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[alpha, beta]);
    let hot = proxy.key_on("alpha", "s2", "hot");
    let mut clients = [
        proxy.client("alpha"),
        proxy.client("alpha"),
        proxy.client("beta"),
    ];
    let mut nth = 0;
    let mut some = || {
        for client in &mut clients {
            for _ in 0..6 {
                client.call(["GET", &hot]);
            }
            client.call(["SET", &hot, "secret-value"]);
            nth += 1;
            client.call(["MGET", &format!("cold:{nth}"), "warm"]);
            client.call(["PING"]);
            client.call(["LPUSH", "warm"]);
            client.call(["NOSUCHCOMMAND", "warm"]);
        }
    };
    let lines = while_it_runs(&admin, "hotkeys --pool alpha --for 2s --top 3", &mut some);
    assert!(lines[0].contains(" requests with keys in 2."), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
    let first = &lines[1];
    assert_eq!(told(first, "key"), hot);
    assert_eq!(
        (told(first, "pool"), told(first, "server")),
        ("alpha", "s2")
    );
    // Seven of eight.
    assert!((80.0..95.0).contains(&share(first)), "{first}");
    // Six of seven; of very many a sample is counted.
    let gets = told(first, "commands").strip_prefix("get:").unwrap();
    let (gets, sets) = gets.split_once("%,set:").unwrap();
    assert!((82..90).contains(&gets.parse::<u32>().unwrap()), "{first}");
    assert!((10..18).contains(&sets.trim_end_matches('%').parse::<u32>().unwrap()));
    assert_eq!(told(&lines[2], "key"), "warm");
    assert!((8.0..17.0).contains(&share(&lines[2])), "{lines:?}");
    assert!(told(&lines[3], "key").starts_with("cold:"));
    let lines = while_it_runs(&admin, "hotkeys --for 0.3 --top 2", &mut some);
    let pools: Vec<&str> = lines[1..].iter().map(|line| told(line, "pool")).collect();
    assert!(
        pools.contains(&"alpha") && pools.contains(&"beta"),
        "{lines:?}"
    );
    let lines = while_it_runs(&admin, "hotkeys --for 0.2", || {});
    assert!(
        lines.len() == 1 && lines[0].starts_with("0 requests"),
        "{lines:?}"
    );
}

#[test]
fn the_largest_replies_and_values_are_named_by_their_keys() {
    let servers = [Redis::start(), Redis::start()];
    let cache = [Memcached::start()];
    let pools = [
        Pool::over("alpha", &servers),
        Pool::over_memcached("cache", &cache),
    ];
    let (admin, proxy) = Admin::start(&["--cores", "2"], &pools);
    let mut client = proxy.client("alpha");
    let large = "x".repeat(300_000);
    client.call(["SET", "large", &large]);
    client.call(["SET", "large too", &large[..200_000]]);
    let mut text = TextClient::connect(proxy.address("cache"));
    let item = format!("set item 0 0 50000\r\n{}\r\n", &large[..50_000]);
    let lines = while_it_runs(&admin, "bigkeys --for 1.5 --top 6", || {
        client.call(["GET", "large"]);
        client.call(["GET", "large too"]);
        client.call(["GET", "none"]);
        client.call(["SET", "written", &large[..100_000]]);
        client.call(["MSET", "a", "1", "b", &large[..70_000]]);
        client.call(["SET", "small", "1"]);
        assert_eq!(text.ask(item.as_bytes()), "STORED\r\n");
        assert!(text.ask(b"get item\r\n").len() > 50_000);
    });
    let found: Vec<(&str, &str, &str)> = lines[1..]
        .iter()
        .map(|line| (told(line, "what"), told(line, "command"), told(line, "key")))
        .collect();
    assert_eq!(
        found,
        [
            ("reply", "get", "large"),
            ("reply", "get", "large"),
            ("value", "set", "written"),
            ("value", "mset", "b"),
            ("reply", "get", "item"),
            ("value", "set", "item"),
        ],
        "{lines:?}"
    );
    assert!(lines[2].contains("key=large too"), "{lines:?}");
    assert_eq!(told(&lines[1], "bytes"), "300011");
    assert_eq!(told(&lines[4], "bytes"), "70000");
    for line in &lines[1..] {
        assert!(told(line, "times").parse::<u64>().unwrap() >= 1);
        assert!(!line.contains("xxx"), "{line}");
    }
}

#[test]
fn a_monitor_shows_requests_as_redis_does_and_neither_values_nor_secrets() {
    let redis = [Redis::start()];
    let cache = [Memcached::start()];
    let pools = [
        Pool::over("alpha", &redis),
        Pool::over_memcached("cache", &cache),
    ];
    let (admin, proxy) = Admin::start(&["--cores", "2"], &pools);
    let mut all = Monitor::start(&admin, &[]);
    let mut alpha = Monitor::start(&admin, &["--pool", "alpha"]);
    let mut client = proxy.client("alpha");
    let own = format!("127.0.0.1:{}", client.local_port());
    for (request, shown) in [
        (
            &["SET", "user:1", "secret-value"][..],
            "\"SET\" \"user:1\" (12 bytes)",
        ),
        (&["get", "a \"b\"\n"], "\"get\" \"a \\\"b\\\"\\n\""),
        (
            &["MSET", "a", "secret", "b", "2"],
            "\"MSET\" \"a\" (6 bytes) \"b\" (1 bytes)",
        ),
        (&["AUTH", "pass-word"], "\"AUTH\" \"(redacted)\""),
        (
            &["HELLO", "2", "AUTH", "default", "pass-word"],
            "\"HELLO\" \"(redacted)\" \"(redacted)\" \"(redacted)\" \"(redacted)\"",
        ),
        (
            &["CONFIG", "GET", "requirepass"],
            "\"CONFIG\" \"GET\" \"(redacted)\"",
        ),
        (
            &["CLIENT", "SETNAME", "jobs"],
            "\"CLIENT\" \"SETNAME\" (4 bytes)",
        ),
        (
            &["EVAL", "return 'secret'", "1", "k"],
            "\"EVAL\" (15 bytes) (1 bytes) \"k\"",
        ),
        (&["MULTI"], "\"MULTI\""),
        (&["SET", "in", "secret"], "\"SET\" \"in\" (6 bytes)"),
        (&["EXEC"], "\"EXEC\""),
        (&["BLPOP", "none", "0.1"], "\"BLPOP\" \"none\" (3 bytes)"),
        (&["WATCH", "w"], "\"WATCH\" \"w\""),
    ] {
        client.call(request);
        let line = alpha.line();
        let (time, rest) = line.split_once(' ').unwrap();
        let (seconds, micros) = time.split_once('.').unwrap();
        assert!(seconds.len() == 10 && micros.len() == 6, "{line}");
        assert_eq!(rest, format!("[0 {own}] {shown}"));
        let line = all.line();
        assert!(
            line.ends_with(&format!("[0 {own} alpha] {shown}")),
            "{line}"
        );
    }
    let mut text = TextClient::connect(proxy.address("cache"));
    assert_eq!(text.ask(b"set item 0 0 6\r\nsecret\r\n"), "STORED\r\n");
    let line = all.line();
    assert!(
        line.contains(" cache] \"set\" \"item\" ") && !line.contains("secret"),
        "{line}"
    );
}

#[test]
fn a_monitor_shows_only_what_is_asked_for_and_says_how_much_more_there_was() {
    let redis = [Redis::start()];
    let hidden = Pool::new("hidden")
        .server(redis[0].address())
        .with("slow_log_keys", false);
    let pools = [Pool::over("alpha", &redis), hidden];
    let (admin, proxy) = Admin::start(&["--cores", "1"], &pools);
    let mut one = proxy.client("alpha");
    let mut other = proxy.client("alpha");
    one.call(["CLIENT", "SETNAME", "jobs"]);
    let Reply::Integer(id) = other.call(["CLIENT", "ID"]) else {
        panic!("no number")
    };
    let (id, address) = (id.to_string(), format!("127.0.0.1:{}", other.local_port()));
    let mut by = [
        Monitor::start(&admin, &["--client", "jobs"]),
        Monitor::start(&admin, &["--client", &id]),
        Monitor::start(&admin, &["--client", &address]),
        Monitor::start(&admin, &["--command", "GET"]),
        Monitor::start(&admin, &["--key", "User:[12]*", "--pool", "alpha"]),
        Monitor::start(&admin, &["--command=client"]),
        Monitor::start(&admin, &["--pool", "hidden"]),
    ];
    one.call(["SET", "User:1", "1"]);
    other.call(["GET", "user:2"]);
    one.call(["CLIENT", "GETNAME"]);
    other.call(["SET", "User:3", "1"]);
    proxy.client("hidden").call(["GET", "a-key"]);
    for (monitor, shown) in by.iter_mut().zip([
        &["\"SET\" \"User:1\" (1 bytes)", "\"CLIENT\" \"GETNAME\""][..],
        &["\"GET\" \"user:2\"", "\"SET\" \"User:3\" (1 bytes)"],
        &["\"GET\" \"user:2\"", "\"SET\" \"User:3\" (1 bytes)"],
        &["\"GET\" \"user:2\"", "\"GET\" (5 bytes)"],
        &["\"SET\" \"User:1\" (1 bytes)"],
        &["\"CLIENT\" \"GETNAME\""],
        &["\"GET\" (5 bytes)"],
    ]) {
        for line in shown {
            assert_eq!(monitor.request(), *line);
        }
    }
    drop(by);

    let mut some = Monitor::start(&admin, &["--rate", "20"]);
    let (mut lines, mut left_out, mut sent) = (0, 0, 0);
    while left_out == 0 {
        for _ in 0..200 {
            one.send(["GET", "k"]);
        }
        for _ in 0..200 {
            one.read();
        }
        sent += 200;
        // Whoever does not read now is shown it later.
        let line = some.line();
        match line.strip_prefix("# ") {
            Some(rest) => left_out = rest.split(' ').next().unwrap().parse().unwrap(),
            None => lines += 1,
        }
    }
    assert!(
        lines <= 60 && left_out > 0 && left_out <= sent,
        "{lines} {left_out} {sent}"
    );
}

#[test]
fn who_does_not_read_or_has_gone_is_in_nobodys_way() {
    let redis = [Redis::start()];
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[Pool::over("alpha", &redis)]);
    // None of them is ever read.
    let silent: Vec<Monitor> = (0..8)
        .map(|_| Monitor::start(&admin, &["--rate", "100000"]))
        .collect();
    let (code, text) = admin.ctl("hotkeys --for 1s");
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    assert!(text.starts_with("8 observe already"), "{text}");
    let mut client = proxy.client("alpha");
    for _ in 0..200 {
        for _ in 0..100 {
            client.send(["SET", "key", "value"]);
        }
        for _ in 0..100 {
            assert_eq!(client.read(), Reply::ok());
        }
    }
    drop(silent);
    let lines = eventually("there is room again", || {
        let (code, text) = admin.ctl("bigkeys --for 0.1s");
        (code == 0).then_some(text)
    });
    assert_eq!(lines.lines().count(), 1);
    // Nobody waits for what is counted.
    for _ in 0..20 {
        let mut asker = admin
            .ctl_command(&["hotkeys", "--for", "50s"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        asker.kill().unwrap();
        asker.wait().unwrap();
    }
    let lines = eventually("there is room again", || {
        let (code, text) = admin.ctl("hotkeys --for 0.1s");
        (code == 0).then_some(text)
    });
    assert_eq!(lines.lines().count(), 1);
}

#[test]
fn a_wrong_question_is_answered_by_a_line_that_says_what_would_be_right() {
    let redis = [Redis::start()];
    let hidden = Pool::new("hidden")
        .server(redis[0].address())
        .with("slow_log_keys", false);
    let (admin, _proxy) = Admin::start(&["--cores", "1"], &[Pool::over("alpha", &redis), hidden]);
    for (words, answer) in [
        (
            "hotkeys --pool none",
            "there is no pool `none`; there are: alpha, hidden",
        ),
        (
            "hotkeys --pool hidden",
            "pool `hidden` hides its keys (`slow_log_keys: false`)",
        ),
        (
            "bigkeys --for 0",
            "`--for 0`: seconds, 50 at most, such as `--for 10s`",
        ),
        (
            "hotkeys --for 10m",
            "`--for 10m`: seconds, 50 at most, such as `--for 10s`",
        ),
        (
            "hotkeys --for 60",
            "`--for 60`: seconds, 50 at most, such as `--for 10s`",
        ),
        ("hotkeys --top none", "`--top none`: a number from 1 to 200"),
        (
            "hotkeys --most 3",
            "hotkeys has no option `--most`; it has: --pool, --for, --top",
        ),
        ("hotkeys --top", "`--top` is without a value"),
        ("hotkeys --top 1 --top 2", "`--top` is there twice"),
        (
            "monitor --pool none",
            "there is no pool `none`; there are: alpha, hidden",
        ),
        (
            "monitor --pool hidden --key a*",
            "pool `hidden` hides its keys (`slow_log_keys: false`)",
        ),
        ("monitor --rate 0", "`--rate 0`: a number from 1 to 100000"),
        (
            "monitor --command gett",
            "`--command gett`: no command that is known; a name such as `get`, or `config|get`",
        ),
        (
            "monitor --commmand get",
            "monitor has no option `--commmand`; it has: --pool, --client, --command, --key, --rate",
        ),
    ] {
        assert_eq!(admin.ctl(words), (1, format!("{answer}\n")), "{words}");
    }
    let nobody = Admin::new();
    for command in ["monitor", "hotkeys", "bigkeys"] {
        let output = nobody.ctl_command(&[command]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        let path = nobody.socket_path();
        let path = path.display();
        let start = format!("coremux: cannot reach the proxy at {path}: No such file or directory");
        assert!(
            said.starts_with(&start) && said.lines().count() == 1,
            "{said}"
        );
        assert!(
            said.contains(&format!("does it run with `--ctl {path}`?")),
            "{said}"
        );
    }
}
