//! The JSON API says what `docs/api.md` promises: every field that is there is documented, every field
//! that is documented is there, and the numbers are true.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Admin;
use crate::support::Group;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::http;

/// The fields that `docs/api.md` names for `path`.
fn documented(path: &str) -> BTreeSet<String> {
    let document = include_str!("../../../docs/api.md");
    let begin = format!("<!-- api: {path} -->");
    let end = format!("<!-- end of api: {path} -->");
    let (_, rest) = document.split_once(&begin).expect("the section is there");
    let (section, _) = rest.split_once(&end).expect("the section ends");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let fields = rows.map(|row| row.split('`').next().unwrap().to_owned());
    fields.collect()
}

/// Every path in `value`, as the document writes them; what is below a name of `open` is free.
fn paths(value: &Value, at: &str, open: &[&str], out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !open.contains(&at) => {
            for (name, value) in fields {
                let path = match at {
                    "" => name.clone(),
                    at => format!("{at}.{name}"),
                };
                paths(value, &path, open, out);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                paths(element, &format!("{at}[]"), open, out);
            }
            if elements.is_empty() {
                out.insert(format!("{at}[]"));
            }
        }
        _ => {
            out.insert(at.to_owned());
        }
    }
}

/// That the answers, together, have the documented fields and no others.
fn check_fields(path: &str, answers: &[Value], open: &[&str]) {
    let mut found = BTreeSet::new();
    for answer in answers {
        paths(answer, "", open, &mut found);
    }
    let documented = documented(path);
    // A row for the whole of an optional part, and a list that is empty for now.
    let is_part = |field: &&String| {
        let inside = [format!("{field}."), format!("{field}[]")];
        found
            .iter()
            .any(|f| inside.iter().any(|i| f.starts_with(i)))
    };
    let missing: Vec<&String> = documented
        .difference(&found)
        .filter(|field| !is_part(field))
        .collect();
    let is_empty_list = |field: &&String| {
        let inside = format!("{field}.");
        field.ends_with("[]") && documented.iter().any(|known| known.starts_with(&inside))
    };
    let unknown = found.difference(&documented);
    let unknown: Vec<&String> = unknown.filter(|field| !is_empty_list(field)).collect();
    assert!(missing.is_empty(), "{path} lacks {missing:?}");
    assert!(
        unknown.is_empty(),
        "docs/api.md lacks {unknown:?} of {path}"
    );
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_there() {
    let group = Group::start(1, 1, "");
    let followed = Pool::new("followed")
        .with("sentinels", group.yml())
        .with("read_from", "prefer-replica")
        .server(group.servers[0][0].address());
    let plain = Pool::new("plain").server(group.servers[0][0].address());
    let (admin, proxy) = Admin::start(&["--cores", "1"], &[followed, plain]);
    let set = proxy.client("plain").call(["SET", "key", "value"]);
    assert_eq!(set, Reply::ok());
    let status = eventually("the replica is known", || {
        let status = admin.get("/api/status").json();
        let mut pools = status["pools"].as_array().unwrap().iter();
        let replica = pools.any(|pool| pool["servers"][0]["replicas"][0]["read"] == true);
        let timed = |pool: &Value| pool["servers"][0]["latencies"][0]["requests"] == 1;
        let timed = status["pools"].as_array().unwrap().iter().any(timed);
        (replica && timed).then_some(status)
    });
    check_fields("/api/status", &[status], &[]);
    let history = eventually("a step is over", || {
        let history = admin.get("/api/history").json();
        (history["last_step"] != 0).then_some(history)
    });
    check_fields("/api/history", &[history], &[]);
    let events = admin.get("/api/events").json();
    check_fields("/api/events", &[events], &["[].fields"]);
    let (allowed, _other) = Admin::start(
        &["--admin-actions"],
        &[Pool::new("a").server("127.0.0.1:1")],
    );
    let host = allowed.address();
    let asked = format!("GET /api/actions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    check_fields("/api/actions", &[http(host, &asked).json()], &[]);
}

#[test]
fn a_slow_request_is_told_with_whose_it_was_and_where_its_time_went() {
    let redis = Redis::start();
    let seen = Pool::new("seen")
        .server(redis.address())
        .with("slow_log_ms", 100);
    let other = Pool::new("other")
        .server(redis.address())
        .with("slow_log_ms", 100)
        .with("slow_log_keys", false);
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[seen, other]);
    assert_eq!(admin.get("/api/slow").json(), Value::Array(Vec::new()));
    let mut direct = redis.client();
    let mut client = proxy.client("seen");
    client.call(["CLIENT", "SETNAME", "<b>batch"]);
    let long = [b'k'; 65];
    for key in [&b"a\"\n\xff"[..], &long] {
        direct.call(["CLIENT", "PAUSE", "250", "ALL"]);
        assert_eq!(client.call([b"SET", key, b"secret-value"]), Reply::ok());
    }
    direct.call(["CLIENT", "PAUSE", "250", "ALL"]);
    let mut unnamed = proxy.client("other");
    assert_eq!(unnamed.call(["GET", "hidden"]), Reply::Null);
    let all = eventually("the workers have told them", || {
        let all = admin.get("/api/slow").json();
        (all.as_array().unwrap().len() == 3).then_some(all)
    });
    check_fields("/api/slow", std::slice::from_ref(&all), &[]);
    assert!(!all.to_string().contains("secret"), "{all}");
    let (hidden, latest, first) = (&all[0], &all[1], &all[2]);
    assert_eq!(
        (&hidden["pool"], &hidden["command"]),
        (&"other".into(), &"get".into())
    );
    assert_eq!(
        (&hidden["key"], &hidden["name"]),
        (&Value::Null, &Value::Null)
    );
    let cut = "k".repeat(64) + "...";
    for (slow, key) in [(first, "a\\\"\\n\\xff"), (latest, cut.as_str())] {
        assert_eq!(
            (&slow["key"], &slow["name"]),
            (&key.into(), &"<b>batch".into())
        );
        assert_eq!(
            (&slow["pool"], &slow["server"]),
            (&"seen".into(), &"s1".into())
        );
        assert_eq!(
            (&slow["command"], &slow["reply_bytes"]),
            (&"set".into(), &5.into())
        );
        assert_eq!(slow["client"], format!("127.0.0.1:{}", client.local_port()));
        let number = |field: &str| slow[field].as_u64().unwrap();
        assert!(number("at_server_us") > 100_000, "{slow}");
        assert_eq!(number("held_us"), 0, "{slow}");
        let parts = number("queued_us") + number("at_server_us");
        assert_eq!(number("took_us"), parts, "{slow}");
        assert!(number("request_bytes") > 30, "{slow}");
    }
    let of = |query: &str| admin.get(&format!("/api/slow?{query}")).json();
    assert_eq!(of("pool=seen"), serde_json::json!([latest, first]));
    assert_eq!(of("most=2"), serde_json::json!([hidden, latest]));
    assert_eq!(of("pool=seen&most=1"), serde_json::json!([latest]));
    assert_eq!(admin.ctl("slow --reset").0, 0);
    assert_eq!(of(""), Value::Array(Vec::new()));
}

#[test]
fn rates_shares_and_states_are_those_of_the_traffic() {
    let mut fleet = Redis::fleet(2);
    let pool = Pool::over("a", &fleet)
        .with("auto_eject_hosts", true)
        .with("server_failure_limit", 1)
        .with("server_retry_timeout", 60_000)
        .with("client_connections", 77);
    let (admin, proxy) = Admin::start(&["--cores", "2"], &[pool]);
    let pool = || admin.get("/api/status?pool=a").json()["pools"][0].clone();
    let first = pool();
    assert_eq!(first["listen"], proxy.address("a").to_string());
    assert_eq!(
        (&first["distribution"], &first["protocol"]),
        (&"ketama".into(), &"redis".into())
    );
    assert_eq!(first["clients_max"], 77);
    let shares = first["servers"].as_array().unwrap().iter();
    let shares: Vec<f64> = shares.map(|s| s["keys_share"].as_f64().unwrap()).collect();
    assert!(
        (shares.iter().sum::<f64>() - 1.0).abs() < 0.01,
        "{shares:?}"
    );
    assert_eq!(
        first["servers"][1]["address"],
        fleet[1].address().to_string()
    );

    let load = Load::start_with_errors(proxy.address("a"), 4, 7);
    let rate = |of: &Value| of["requests_per_second"].as_f64().unwrap();
    eventually("it is seen that requests flow", || {
        let pool = pool();
        let servers = [0, 1].map(|nth| rate(&pool["servers"][nth]));
        (servers.iter().all(|r| *r > 0.0)).then(|| {
            let sum: f64 = servers.iter().sum();
            assert!((sum - rate(&pool)).abs() < 0.3, "{pool}");
            assert_eq!(pool["clients"], 4);
            assert_eq!(
                pool["servers"][0]["address"],
                fleet[0].address().to_string()
            );
        })
    });
    let worker = &admin.get("/api/status").json()["workers"][0];
    assert!(
        (0.0..=1.0).contains(&worker["cpu"].as_f64().unwrap()),
        "{worker}"
    );
    eventually("the history has a point of it", || {
        let history = admin.get("/api/history").json();
        let points = history["pools"][0]["requests_per_second"]
            .as_array()
            .unwrap()
            .clone();
        let last = history["last_step"].as_u64().unwrap();
        assert_eq!(points.len() as u64, last);
        let none = admin.get(&format!("/api/history?since={last}")).json();
        // Another step may be over by now.
        assert!(
            none["pools"][0]["requests_per_second"]
                .as_array()
                .unwrap()
                .len()
                < 2
        );
        (points.last()?.as_f64().unwrap() > 0.0).then_some(())
    });
    let seen = admin.get("/api/events").json()[0]["number"]
        .as_u64()
        .unwrap();
    fleet[1].kill();
    eventually("it is said that the server is ejected", || {
        (pool()["servers"][1]["state"] == "ejected").then_some(())
    });
    let events = admin.get(&format!("/api/events?since={seen}")).json();
    let ejected = events
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["event"] == "server ejected");
    let ejected = ejected.unwrap_or_else(|| panic!("{events}"));
    assert_eq!(
        (&ejected["fields"]["pool"], &ejected["fields"]["server"]),
        (&"a".into(), &"s2".into())
    );
    assert_eq!(ejected["level"], "warn");
    load.goes_on(10);
    load.end();
}

#[test]
fn every_event_is_a_line_of_the_log_and_what_one_client_does_is_none() {
    let redis = Redis::start();
    let (admin, mut proxy) = Admin::start(&[], &[Pool::new("a").server(redis.address())]);
    proxy.client("a").send_raw(b"*1\r\n$x\r\n");
    eventually("the broken request is logged", || {
        let log = proxy.process().log();
        log.contains("client sent a broken request").then_some(())
    });
    for command in ["drain", "undrain", "reload"] {
        assert_eq!(admin.ctl(command).0, 0);
    }
    let events = admin.get("/api/events").json();
    let log = eventually("all is written", || {
        let log = proxy.process().log();
        log.contains("reloaded: nothing is different")
            .then_some(log)
    });
    let texts: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    for text in &texts {
        assert!(log.contains(text), "{text} in {log}");
    }
    for event in [
        "reloaded: nothing is different",
        "told to drain no longer",
        "unhealthy",
        "told to drain: unhealthy from now on, serving on",
    ] {
        assert!(texts.contains(&event), "{event} in {texts:?}");
    }
    assert!(
        !texts.iter().any(|text| text.contains("broken request")),
        "{texts:?}"
    );
}

#[test]
fn a_wrong_question_is_answered_by_a_line_that_says_what_would_be_right() {
    let redis = Redis::start();
    let pools = [
        Pool::new("a").server(redis.address()),
        Pool::new("b").server(redis.address()),
    ];
    let (admin, _proxy) = Admin::start(&[], &pools);
    for (path, line) in [
        (
            "/api/status?pool=c",
            "there is no pool `c`; there are: a, b\n",
        ),
        (
            "/api/status?pol=a",
            "/api/status has no parameter `pol`; it has: pool\n",
        ),
        (
            "/api/events?since=x",
            "`since=x`: since is a number, 0 or more\n",
        ),
        (
            "/api/slow?pool=c",
            "there is no pool `c`; there are: a, b\n",
        ),
        (
            "/api/slow?most=all",
            "`most=all`: most is a number, 0 or more\n",
        ),
        (
            "/api/slow?reset",
            "/api/slow has no parameter `reset`; it has: pool, most, since\n",
        ),
        (
            "/metrics?x",
            "/metrics has no parameter `x`; it has: none\n",
        ),
    ] {
        let reply = admin.get(path);
        assert_eq!((reply.status, reply.body.as_str()), (400, line), "{path}");
    }
    assert_eq!(
        admin.get("/api/status?pool=b").json()["pools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let unknown = admin.get("/api");
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("/api/status "), "{}", unknown.body);
}
