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
