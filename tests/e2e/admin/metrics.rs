//! `/metrics` is what Prometheus's format says, to the letter, and its numbers are those of the
//! statistics.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::support::Admin;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;

/// A family: its type, and its samples by their labels.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) samples: BTreeMap<Vec<(String, String)>, f64>,
}

/// Reads the whole text, and panics at the first thing that is not as it must be.
pub(super) fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line ends, too");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut open: Option<String> = None;
    let mut helped: Option<String> = None;
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help has words");
            assert!(is_name(name, true), "{line}");
            assert!(!words.trim().is_empty() && words.trim() == words, "{line}");
            assert!(!families.contains_key(name), "{name} comes twice");
            helped = Some(name.to_owned());
            open = None;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type has a name");
            assert_eq!(helped.take().as_deref(), Some(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let family = Family {
                kind: kind.to_owned(),
                ..Family::default()
            };
            families.insert(name.to_owned(), family);
            open = Some(name.to_owned());
        } else {
            let (name, mut labels, value) = sample(line);
            let known = open.as_ref().expect("a sample has its family");
            let family = families.get_mut(known).unwrap();
            let part = name.strip_prefix(known.as_str());
            match (part, family.kind.as_str()) {
                (Some(""), "counter" | "gauge") => {}
                (Some(part @ ("_bucket" | "_sum" | "_count")), "histogram") => {
                    let bound = labels.pop_if(|(label, _)| label == "le");
                    assert_eq!(part == "_bucket", bound.is_some(), "{line}");
                    let part = bound.map_or_else(|| part.to_owned(), |(_, bound)| bound);
                    labels.push(("part".to_owned(), part));
                }
                _ => panic!("{line} in another family"),
            }
            let twice = family.samples.insert(labels, value).is_some();
            assert!(!twice, "{line} comes twice");
        }
    }
    for (name, family) in &families {
        let names: BTreeSet<Vec<&String>> = family
            .samples
            .keys()
            .map(|labels| labels.iter().map(|(name, _)| name).collect())
            .collect();
        assert_eq!(
            names.len(),
            1,
            "{name} has samples, all with the same labels"
        );
    }
    families
}

fn is_name(name: &str, colons: bool) -> bool {
    let mut chars = name.chars();
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    chars.next().is_some_and(letter) && chars.all(|c| letter(c) || c.is_ascii_digit())
}

fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).expect("a name ends");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label has a value");
            assert!(is_name(label, false), "{line}");
            let (value, after) = quoted(after);
            labels.push((label.to_owned(), value));
            rest = &after[1..];
            match &after[..1] {
                "," => {}
                "}" => break,
                other => panic!("{other} in {line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("one blank before the value");
    assert!(
        value.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
        "{line}"
    );
    (name.to_owned(), labels, value.parse().unwrap())
}

/// Up to the quote that ends it, and what is behind.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("something is escaped").1 {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                other => panic!("\\{other}"),
            },
            c => value.push(c),
        }
    }
    panic!("no end in {text}")
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn the_format_is_prometheuss_and_the_numbers_are_twemproxys() {
    let servers = [Redis::start(), Redis::start()];
    let odd = "we\\ird} 1";
    let pools = [Pool::over("alpha", &servers), Pool::over(odd, &servers)];
    let (admin, proxy) = Admin::start(&["--cores", "2"], &pools);
    let mut clients: Vec<_> = (0..8).map(|_| proxy.client("alpha")).collect();
    let keys = ["s1", "s2"].map(|server| proxy.key_on("alpha", server, "key"));
    for client in &mut clients {
        for key in &keys {
            assert_eq!(client.call(["SET", key, "value"]), Reply::ok());
        }
        client.call(["MGET", &keys[0], &keys[1]]);
    }
    let reply = admin.get("/metrics");
    assert!(reply.has_header("content-type: text/plain; version=0.0.4; charset=utf-8"));
    let families = parse(&reply.body);
    let stats = proxy.numbers();
    let of = |name: &str, pairs: &[(&str, &str)]| {
        let family = families.get(name).unwrap_or_else(|| panic!("no {name}"));
        let value = family.samples.get(&labels(pairs));
        *value.unwrap_or_else(|| panic!("no {pairs:?} in {family:?}"))
    };
    for (name, key) in [
        ("coremux_client_connections", "client_connections"),
        ("coremux_fragments_total", "fragments"),
        ("coremux_forward_errors_total", "forward_error"),
    ] {
        let number = stats.pool("alpha", key);
        assert_eq!(of(name, &[("pool", "alpha")]), number as f64, "{name}");
    }
    assert_eq!(of("coremux_client_connections", &[("pool", "alpha")]), 8.0);
    for (name, key) in [
        ("coremux_server_requests_total", "requests"),
        ("coremux_server_replies_total", "responses"),
        ("coremux_server_request_bytes_total", "request_bytes"),
        ("coremux_server_connections", "server_connections"),
    ] {
        for server in ["s1", "s2"] {
            let pairs = [("pool", "alpha"), ("server", server)];
            let number = stats.server("alpha", server, key);
            assert_eq!(of(name, &pairs), number as f64, "{name} of {server}");
            assert!(number > 0);
            assert_eq!(of(name, &[("pool", odd), ("server", server)]), 0.0);
        }
    }
    for worker in ["0", "1"] {
        assert!(of("coremux_worker_passes_total", &[("worker", worker)]) > 0.0);
        let age = of(
            "coremux_worker_heartbeat_age_seconds",
            &[("worker", worker)],
        );
        assert!(age < 1.0, "{age}");
    }
    assert_eq!(of("coremux_healthy", &[]), 1.0);
    assert_eq!(of("coremux_pool_ready", &[("pool", odd)]), 1.0);
    assert_eq!(
        of(
            "coremux_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))]
        ),
        1.0
    );
    let started = of("coremux_start_timestamp_seconds", &[]);
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs_f64();
    assert!((now - 60.0..now).contains(&started), "{started}");

    // Counters only grow, and what was idle shows no request.
    let later = parse(&admin.get("/metrics").body);
    assert_eq!(
        later.keys().collect::<Vec<_>>(),
        families.keys().collect::<Vec<_>>()
    );
    for (name, family) in families.iter().filter(|(_, f)| f.kind == "counter") {
        for (labels, value) in &family.samples {
            assert!(later[name].samples[labels] >= *value, "{name} {labels:?}");
        }
    }
    admin.ctl("drain");
    assert!(admin.get("/metrics").body.contains("\ncoremux_healthy 0\n"));
}

#[test]
fn a_limit_is_there_where_there_is_one_and_follows_a_reload() {
    let redis = Redis::start();
    let limited = Pool::new("limited").server(redis.address());
    let seven = limited.clone().with("client_connections", 7);
    let free = Pool::new("free").server(redis.address());
    let options = ["--cores", "2", "--memory-limit", "512MiB"];
    let (admin, proxy) = Admin::start(&options, &[seven, free]);
    let families = parse(&admin.get("/metrics").body);
    let memory = &families["coremux_memory_limit_bytes"].samples;
    assert_eq!(memory[&labels(&[])], f64::from(512 << 20));
    let clients = &families["coremux_client_connections_limit"].samples;
    let expected = BTreeMap::from([(labels(&[("pool", "limited")]), 7.0)]);
    assert_eq!(*clients, expected, "a pool without a limit has none");
    let nine = limited.with("client_connections", 9);
    proxy.write_config(&nine.yml_at(proxy.address("limited")));
    let (code, told) = admin.ctl("reload");
    assert_eq!(code, 0, "{told}");
    let text = admin.get("/metrics").body;
    let line = "\ncoremux_client_connections_limit{pool=\"limited\"} 9\n";
    assert!(text.contains(line), "{text}");
}

#[test]
#[should_panic(expected = "comes twice")]
fn the_parser_sees_a_sample_that_comes_twice() {
    parse("# HELP a_b What.\n# TYPE a_b gauge\na_b 1\na_b 2\n");
}

#[test]
#[should_panic(expected = "in another family")]
fn the_parser_sees_a_sample_without_its_family() {
    parse("# HELP a What.\n# TYPE a gauge\na 1\nb 2\n");
}

#[test]
fn the_process_and_each_worker_say_what_they_cost() {
    let redis = Redis::start();
    let pool = Pool::new("alpha").server(redis.address());
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[pool]);
    let of_worker = |families: &BTreeMap<String, Family>, worker: &str| {
        let cpu = &families["coremux_worker_cpu_seconds_total"];
        cpu.samples[&labels(&[("worker", worker)])]
    };
    let scrape = || parse(&admin.get("/metrics").body);
    let before = scrape();
    let number = |name: &str| before[name].samples[&labels(&[])];
    assert!(number("process_resident_memory_bytes") > 1e6);
    assert!(number("process_virtual_memory_bytes") > number("process_resident_memory_bytes"));
    assert!(number("process_open_fds") > 10.0);
    assert!(number("process_max_fds") >= number("process_open_fds"));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let age = now.as_secs_f64() - number("process_start_time_seconds");
    assert!((-2.0..600.0).contains(&age), "started {age} s ago");
    let load = Load::start(proxy.address("alpha"), 16, 1);
    eventually("both workers and the process have worked", || {
        let after = scrape();
        let grown = ["0", "1"].map(|worker| of_worker(&after, worker) > of_worker(&before, worker));
        let cpu = after["process_cpu_seconds_total"].samples[&labels(&[])];
        (grown == [true; 2] && cpu > number("process_cpu_seconds_total")).then_some(())
    });
    load.end();
}
