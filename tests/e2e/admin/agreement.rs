//! What the admin side says is so: routes, health file, health port, `ctl` and `--check` agree with
//! each other, and with what the proxy does.

use std::fs;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::support::Admin;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::http;
use crate::support::now;

fn servers() -> [Redis; 2] {
    [Redis::start(), Redis::start()]
}

#[test]
fn each_route_answers_and_what_is_not_there_says_what_is() {
    let servers = servers();
    let pools = [Pool::over("alpha", &servers), Pool::over("b&<b>", &servers)];
    let (admin, proxy) = Admin::start(&["--cores", "2"], &pools);
    proxy.client("alpha").call(["SET", "key", "value"]);

    let health = admin.get("/health");
    assert_eq!(health.status, 200);
    assert!(health.has_header("content-type: application/json"));
    let health = health.json();
    assert_eq!(health["state"], "healthy");
    assert_eq!(health["workers"].as_array().unwrap().len(), 2);
    assert!(health["since"].as_str().unwrap().ends_with('Z'));

    let ready = admin.get("/ready").json();
    assert_eq!(ready["state"], "ready");
    assert_eq!(ready["pools"][0]["pool"], "alpha");
    assert_eq!(ready["pools"][0]["usable"], 2);
    let beta = admin.get("/ready/b%26%3Cb%3E");
    assert_eq!(
        (beta.status, beta.json()["pool"].as_str()),
        (200, Some("b&<b>"))
    );

    assert_eq!(admin.get("/weight").body, "100\n");
    assert!(
        admin
            .get("/stats")
            .body
            .starts_with("{\"service\":\"nutcracker\"")
    );
    let page = admin.get("/");
    assert!(page.has_header("content-type: text/html; charset=utf-8"));
    let status = admin.get("/api/status").json();
    let pools = status["pools"].as_array().unwrap();
    assert!(pools.iter().any(|pool| pool["pool"] == "b&<b>"), "{status}");
    // Names are never in the page; `e2e_alone/page.rs` looks at it in a browser.
    assert!(!page.body.contains("<b>"), "{}", page.body);

    for nowhere in [
        "/nowhere",
        "/ready/",
        "/ready/gamma",
        "/ready/%ff",
        "/ctl/status",
        "//",
    ] {
        let reply = admin.get(nowhere);
        assert_eq!(reply.status, 404, "{nowhere}");
        assert!(reply.body.contains("/metrics"));
    }
    let head = http(admin.address(), "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = format!("{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let reply = http(admin.address(), &request);
        assert_eq!(reply.status, 405, "{method}");
        assert!(reply.has_header("allow: get, head"));
    }
}

#[test]
fn the_health_port_shows_strangers_no_more_than_health() {
    let servers = servers();
    let (admin, _proxy) = Admin::start(&[], &[Pool::over("alpha", &servers)]);
    let get = |path: &str| {
        http(
            admin.health_address(),
            &format!("GET {path} HTTP/1.0\r\n\r\n"),
        )
    };
    for path in ["/", "/health", "/ready", "/ready/alpha", "/weight"] {
        assert_eq!(get(path).status, 200, "{path}");
    }
    assert_eq!(get("/").json()["state"], "healthy");
    for path in ["/metrics", "/stats", "/ctl/drain"] {
        assert_eq!(get(path).status, 404, "{path}");
    }
}

#[test]
fn a_drain_is_shown_everywhere_at_once_and_nobody_is_cut() {
    let servers = servers();
    let (admin, proxy) = Admin::start(&[], &[Pool::over("alpha", &servers)]);
    let mut client = proxy.client("alpha");
    assert!(admin.port_is_open());
    for _ in 0..2 {
        assert_eq!(admin.ctl("drain").0, 0);
        assert!(!admin.port_is_open());
        // It is written aside, so that a disk that stands still stops nobody.
        eventually("the file says so", || (admin.file() == "1\n").then_some(()));
        let health = admin.get("/health");
        assert_eq!(health.status, 503);
        assert_eq!(health.json()["reasons"][0], "draining");
        assert_eq!(admin.get("/ready").status, 503);
        assert_eq!(admin.get("/ready/alpha").status, 503);
        assert_eq!(admin.get("/weight").body, "0\n");
        assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
        assert_eq!(
            proxy.client("alpha").call(["GET", "key"]),
            Reply::bulk("value")
        );

        assert_eq!(admin.ctl("undrain").0, 0);
        eventually("it is healthy again", || {
            (admin.file() == "0\n" && admin.port_is_open()).then_some(())
        });
        assert_eq!(admin.get("/health").status, 200);
    }
}

#[test]
fn the_end_of_the_process_is_shown_before_the_last_reply() {
    let servers = servers();
    let (admin, mut proxy) = Admin::start(&[], &[Pool::over("alpha", &servers)]);
    let mut client = proxy.client("alpha");
    let key = proxy.key_on("alpha", "s1", "key");
    assert_eq!(client.call(["SET", &key, "value"]), Reply::ok());
    servers[0].process().signal("STOP");
    client.send(["GET", &key]);
    eventually("it is on its way", || {
        (proxy.numbers().server("alpha", "s1", "out_queue") == 1).then_some(())
    });
    proxy.process().signal("TERM");
    eventually("file and port say so", || {
        (admin.file() == "1\n" && !admin.port_is_open()).then_some(())
    });
    let health = admin.get("/health");
    assert_eq!(
        (health.status, &health.json()["reasons"][0]),
        (503, &"ending".into())
    );
    servers[0].process().signal("CONT");
    assert_eq!(client.read(), Reply::bulk("value"));
    assert!(proxy.process().wait().success());
    assert_eq!(admin.file(), "1\n");
    assert!(!admin.socket_path().exists());
}

#[test]
fn servers_take_weight_and_readiness_and_not_health() {
    let mut servers = servers();
    let pools = [
        Pool::over("any", &servers),
        Pool::over("all", &servers).with("ready_servers", "all"),
    ];
    let (admin, proxy) = Admin::start(&[], &pools);
    let mut client = proxy.client("any");
    let keys = ["s1", "s2"].map(|server| proxy.key_on("any", server, "key"));
    assert_eq!(client.call(["SET", &keys[0], "value"]), Reply::ok());
    let state = || admin.get("/ready/any").json()["servers"][0]["state"].clone();
    eventually("it is connected", || (state() == "connected").then_some(()));

    servers[0].kill();
    client.call(["GET", &keys[0]]);
    eventually("it fails", || (state() == "failing").then_some(()));
    eventually("its weight is gone", || {
        (admin.get("/weight").body != "100\n").then_some(())
    });
    assert_eq!(admin.get("/ready/any").status, 200, "one is enough there");
    assert_eq!(admin.get("/health").status, 200);
    assert_eq!(admin.file(), "0\n");
    proxy.client("all").call(["GET", &keys[0]]);
    eventually("all are needed here", || {
        (admin.get("/ready/all").status == 503).then_some(())
    });
    assert_eq!(admin.get("/ready").status, 503);
    assert_eq!(admin.get("/weight").body, "0\n");
    assert!(admin.ctl("status").1.contains("s1: failing"));

    servers[0].restart();
    // No client asks for it: who sends no clients here must learn of it all the same.
    eventually("all is well again", || {
        (admin.get("/weight").body == "100\n").then_some(())
    });
    assert_eq!(admin.get("/ready").status, 200);
}

#[test]
fn the_health_port_means_what_it_was_told_to_and_the_health_file_never_means_servers() {
    let mut servers = servers();
    let pool = Pool::over("alpha", &servers).with("ready_servers", "all");
    let (admin, proxy) = Admin::start(&["--health-means", "ready"], &[pool]);
    assert!(admin.port_is_open());
    let mut client = proxy.client("alpha");
    let key = proxy.key_on("alpha", "s1", "key");
    assert_eq!(client.call(["SET", &key, "value"]), Reply::ok());
    let at_port = http(admin.health_address(), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(at_port.json()["pools"][0]["usable"], 2, "as /ready");
    servers[0].kill();
    client.call(["GET", &key]);
    eventually("the port is closed", || {
        (!admin.port_is_open()).then_some(())
    });
    assert_eq!(admin.file(), "0\n", "what moves a virtual IP");
    assert_eq!(admin.get("/health").status, 200);
    servers[0].restart();
    eventually("it is open again", || admin.port_is_open().then_some(()));
    assert_eq!(admin.ctl("drain").0, 0);
    assert!(!admin.port_is_open(), "at once");
    assert_eq!(admin.file(), "1\n");
}

#[test]
fn ctl_and_check_have_the_exit_codes_that_are_promised() {
    let servers = servers();
    let (admin, mut proxy) = Admin::start(&[], &[Pool::over("alpha", &servers)]);
    let (code, status) = admin.ctl("status");
    assert_eq!(code, 0);
    let process = format!("process {}", proxy.process().id());
    for words in [
        process.as_str(),
        "healthy since",
        "worker 0: alive",
        "pool alpha: ready",
        ", 0 clients,",
    ] {
        assert!(status.contains(words), "{words} in {status}");
    }
    assert!(admin.ctl("stats").1.starts_with("{\"service\":"));
    for (words, code) in [
        ("health", 0),
        ("ready", 0),
        ("undrain", 0),
        ("loglevel 7", 0),
        ("loglevel +", 0),
        ("loglevel -", 0),
        ("loglevel", 1),
        ("loglevel x", 1),
        ("loglevel 1 2", 1),
        ("reopen", 0),
        ("status now", 1),
        ("no-such-command", 1),
        ("../health", 1),
    ] {
        assert_eq!(admin.ctl(words).0, code, "{words}");
    }
    for line in ["verbosity=7 level=debug", "verbosity=8 level=trace"] {
        proxy.process().logs(line);
    }

    let at = admin.address().to_string();
    let socket = admin.socket_path().to_str().unwrap().to_owned();
    let health = admin.health_address().to_string();
    let ready = format!("{at}/ready");
    let code = |arguments: &[&str], target: &str| Admin::check(arguments, target).status.code();
    for target in [&at, &socket, &health, &ready] {
        assert_eq!(code(&[], target), Some(0), "{target}");
    }
    assert_eq!(code(&["--dynamic"], &at), Some(102));
    admin.ctl("drain");
    assert_eq!(admin.ctl("health").0, 1);
    assert_eq!(admin.ctl("ready").0, 1);
    for target in [&at, &socket, &health, &ready] {
        assert_eq!(code(&[], target), Some(1), "{target}");
    }
    assert_eq!(code(&["--dynamic"], &at), Some(2));
    proxy.process().kill();
    assert_eq!(code(&[], &at), Some(1));
    assert_eq!(code(&["--dynamic"], &at), Some(1));
    assert_eq!(code(&[], &socket), Some(1));
    assert_eq!(admin.ctl("status").0, 2);
}

#[test]
fn a_check_of_a_proxy_that_hangs_is_over_in_time() {
    // Its backlog takes the connection, and nobody answers.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let begun = now();
    let output = Admin::check(&[], &target);
    let took = begun.elapsed();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no answer in time"), "{said}");
    assert!(took.as_millis() >= 900 && took.as_secs() < 10, "{took:?}");
}

#[test]
fn the_control_socket_is_its_users_alone_and_a_dead_ones_is_replaced() {
    let servers = servers();
    let pools = [Pool::over("alpha", &servers)];
    let admin = Admin::new();
    drop(UnixListener::bind(admin.socket_path()).unwrap());
    assert!(admin.socket_path().exists(), "left behind");
    let arguments = admin.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut proxy = Proxy::coremux_with(&arguments, &pools);
    assert_eq!(admin.ctl("status").0, 0);
    let mode = fs::metadata(admin.socket_path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // A second process that has all else to itself must not take it away.
    let dir = tempfile::tempdir().unwrap();
    let yml = dir.path().join("other.yml");
    let pool = "alpha:\n  listen: other.sock\n  redis: true\n  servers:\n  - 127.0.0.1:1:1 s\n";
    let listen = dir.path().join("other.sock");
    let pool = pool.replace("other.sock", listen.to_str().unwrap());
    fs::write(&yml, pool).unwrap();
    let port = Port::reserve();
    let output = Command::new(env!("CARGO_BIN_EXE_coremux"))
        .arg("-c")
        .arg(yml)
        .args(["-a", "127.0.0.1", "-s", &port.number().to_string()])
        .arg(format!("--ctl={}", admin.socket_path().display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(admin.ctl("status").0, 0);
    assert!(proxy.process().ended().is_none());
}
