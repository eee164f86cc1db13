//! Where requests spend their time is told, and what became of each command.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metrics::Family;
use super::metrics::labels;
use super::metrics::parse;
use crate::support::Admin;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

#[test]
fn every_reply_is_in_the_histograms_and_each_command_in_the_counters() {
    let servers = [Redis::start(), Redis::start()];
    let pool = Pool::over("alpha", &servers);
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[pool]);
    let mut client = proxy.client("alpha");
    let key = proxy.key_on("alpha", "s1", "key");
    for _ in 0..20 {
        assert_eq!(client.call(["SET", &key, "value"]), Reply::ok());
    }
    for _ in 0..30 {
        client.call(["GET", &key]);
    }
    client.call(["LPUSH", &key, "wrong type"]);
    client.call(["NOSUCHCOMMAND", &key]);
    client.call(["CONFIG", "REWRITE"]);
    let of = |families: &BTreeMap<String, Family>, name: &str, pairs: &[(&str, &str)]| {
        let value = families
            .get(name)
            .and_then(|f| f.samples.get(&labels(pairs)));
        value.copied().unwrap_or(0.0)
    };
    let server = [("pool", "alpha"), ("server", "s1")];
    let families = eventually("the workers have told all of it", || {
        let families = parse(&admin.get("/metrics").body);
        let all = of(
            &families,
            "coremux_command_requests_total",
            &[("pool", "alpha"), ("command", "get")],
        );
        (all == 30.0).then_some(families)
    });
    for name in [
        "coremux_server_request_duration_seconds",
        "coremux_proxy_request_duration_seconds",
    ] {
        let part = |family, part: &str| {
            let more = [("family", family), ("part", part)];
            of(&families, name, &[&server[..], &more].concat())
        };
        for (family, count) in [("read", 30.0), ("write", 21.0)] {
            assert_eq!(part(family, "_count"), count, "{name} {family}");
            assert_eq!(part(family, "+Inf"), count);
            assert!(part(family, "_sum") < 10.0);
            let mut below = 0.0;
            for step in 6..25 {
                let bound = f64::from(1 << step) / 1e6;
                let bound = format!("{bound:.6}");
                let now = part(family, &bound);
                assert!(now >= below && now <= count, "{name} {family} {bound}");
                below = now;
            }
            assert_eq!(below, count, "none takes 16 s");
        }
    }
    assert_eq!(of(&families, "coremux_server_replies_total", &server), 51.0);
    let command = |name, command| of(&families, name, &[("pool", "alpha"), ("command", command)]);
    assert_eq!(command("coremux_command_requests_total", "set"), 20.0);
    assert_eq!(command("coremux_command_requests_total", "unknown"), 1.0);
    assert_eq!(command("coremux_command_errors_total", "lpush"), 1.0);
    let cause = |cause| {
        let name = "coremux_request_failures_total";
        of(&families, name, &[("pool", "alpha"), ("cause", cause)])
    };
    assert_eq!(cause("unknown_command"), 1.0);
    assert_eq!(cause("command_refused"), 1.0);
}

/// What stands behind `word` in a line of `ctl status`, in milliseconds.
fn millis(line: &str, word: &str) -> f64 {
    let (_, rest) = line
        .split_once(word)
        .unwrap_or_else(|| panic!("{word} in {line}"));
    let number = rest.trim_start().split("ms").next().unwrap();
    number
        .parse()
        .unwrap_or_else(|_| panic!("{number} in {line}"))
}

#[test]
fn a_slow_server_is_seen_at_the_server_and_one_that_is_waited_for_in_the_proxy() {
    let mut redis = Redis::start();
    let hold = Pool::new("alpha")
        .server(redis.address())
        .with("on_server_failure", "hold")
        .with("hold_ms", 20_000);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[hold]);
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let mut direct = redis.client();
    direct.call(["CLIENT", "PAUSE", "400", "ALL"]);
    client.call(["GET", "key"]);
    let line = |wanted: fn(&str) -> bool| {
        eventually("status shows it", || {
            let (code, text) = admin.ctl("status");
            assert_eq!(code, 0, "{text}");
            let mut lines = text.lines().filter(|line| line.starts_with("    last 1m"));
            lines.find(|line| wanted(line)).map(str::to_owned)
        })
    };
    let paused = line(|line| millis(line, "max") > 300.0);
    let (server, proxy) = paused.split_once("; in the proxy").unwrap();
    assert!(millis(server, "max") >= 350.0, "{paused}");
    assert!(millis(proxy, "max") < 300.0, "{paused}");

    redis.kill();
    let began = now();
    client.send(["GET", "key"]);
    // It waits in the proxy for at least so long, however slow this machine is.
    std::thread::sleep(Duration::from_millis(500));
    redis.restart();
    client.read();
    let waited = began.elapsed().as_secs_f64() * 1e3;
    let held = line(|line| millis(line.split_once("; in the proxy").unwrap().1, "max") > 300.0);
    let (server, proxy) = held.split_once("; in the proxy").unwrap();
    let told = millis(proxy, "max");
    assert!((490.0..waited * 1.07).contains(&told), "{held}, {waited}");
    assert_eq!(
        millis(server, "max"),
        millis(paused.split_once("; in the proxy").unwrap().0, "max")
    );
}

/// What `word=` says in a line of `ctl slow`.
fn told<'a>(line: &'a str, word: &str) -> &'a str {
    let word = format!(" {word}=");
    let (_, rest) = line
        .split_once(&word)
        .unwrap_or_else(|| panic!("{word} in {line}"));
    rest.split(' ').next().unwrap()
}

#[test]
fn a_slow_request_is_shown_with_where_its_time_went_and_never_with_a_value() {
    let redis = Redis::start();
    let shown = Pool::new("shown")
        .server(redis.address())
        .with("slow_log_ms", 100)
        .with("slow_log_len", 2);
    let hidden = Pool::new("hidden")
        .server(redis.address())
        .with("slow_log_ms", 100)
        .with("slow_log_keys", false);
    let off = Pool::new("off")
        .server(redis.address())
        .with("slow_log_ms", 0);
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[shown, hidden, off]);
    let mut direct = redis.client();
    for pool in ["shown", "hidden", "off"] {
        let mut client = proxy.client(pool);
        client.call(["CLIENT", "SETNAME", "batch"]);
        client.call(["GET", "fast"]);
        for key in ["one", "two", "three\n"] {
            direct.call(["CLIENT", "PAUSE", "250", "ALL"]);
            assert_eq!(client.call(["SET", key, "secret-value"]), Reply::ok());
        }
    }
    let lines = eventually("the worker has told them", || {
        let (code, text) = admin.ctl("slow");
        assert_eq!(code, 0, "{text}");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() == 5).then_some(lines)
    });
    let of = |pool: &str| -> Vec<&String> {
        lines
            .iter()
            .filter(|line| told(line, "pool") == pool)
            .collect()
    };
    assert_eq!(
        (of("shown").len(), of("hidden").len(), of("off").len()),
        (2, 3, 0)
    );
    let keys: Vec<&str> = of("shown").iter().map(|line| told(line, "key")).collect();
    assert_eq!(
        keys,
        ["three\\n", "two"],
        "the latest first, and the oldest is forgotten"
    );
    assert!(of("hidden").iter().all(|line| told(line, "key") == "-"));
    for line in &lines {
        assert_eq!(
            (told(line, "command"), told(line, "name")),
            ("set", "batch"),
            "{line}"
        );
        assert_eq!(
            (told(line, "server"), told(line, "reply_bytes")),
            ("s1", "5"),
            "{line}"
        );
        assert!(told(line, "client").starts_with("127.0.0.1:"), "{line}");
        let time = |word| {
            told(line, word)
                .trim_end_matches("ms")
                .parse::<f64>()
                .unwrap()
        };
        assert!(
            time("at_server") > 100.0 && time("queued") < 100.0,
            "{line}"
        );
        assert_eq!(time("held"), 0.0, "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
    let (code, text) = admin.ctl("slow --pool none");
    assert_eq!(code, 1);
    assert!(
        text.contains("there is no pool `none`; there are: ") && text.contains("hidden"),
        "{text}"
    );
    let (code, text) = admin.ctl("slow --count 3");
    assert!(
        code == 1 && text.contains("usage: slow [--pool POOL] [--reset]"),
        "{text}"
    );
    assert_eq!(admin.ctl("slow --pool shown --reset"), (0, String::new()));
    assert_eq!(admin.ctl("slow --pool shown"), (0, String::new()));
    assert_eq!(admin.ctl("slow").1.lines().count(), 3);
}
