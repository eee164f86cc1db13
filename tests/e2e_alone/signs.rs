//! Every outward sign says how the process is, to those who use it as it is meant to be used, after
//! every way into and out of every state.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::alone;
use crate::line::Line;
use crate::support::Admin;
use crate::support::Group;
use crate::support::PATIENCE;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::Sentinel;
use crate::support::eventually;
use crate::support::http;
use crate::thread::StoppedThread;
use crate::thread::thread_of;

const GET_HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// Waits until every sign that turns says so, and looks at what each of them answers.
fn signs_say(state: &str, admin: &Admin, proxy: &Proxy, healthy: bool) {
    let file = if healthy { "0\n" } else { "1\n" };
    eventually(&format!("{state}: the health file says {file:?}"), || {
        (admin.file() == file).then_some(())
    });
    eventually(&format!("{state}: the health port is {healthy}"), || {
        (admin.port_is_open() == healthy).then_some(())
    });
    let status = if healthy { 200 } else { 503 };
    // The health port, as load balancers and keepalived's HTTP_GET use it.
    if healthy {
        for path in ["/", "/health", "/weight"] {
            let get = format!("GET {path} HTTP/1.0\r\n\r\n");
            let reply = http(admin.health_address(), &get);
            assert_eq!(reply.status, 200, "{state} {path}");
            assert!(!reply.body.is_empty(), "{state} {path}");
        }
    }
    let well = |output: std::process::Output| output.status.success();
    let port = admin.health_address().to_string();
    assert_eq!(well(Admin::check(&[], &port)), healthy, "{state}");
    let by_script = |target: &str| {
        Command::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scripts/check-health.sh"
        ))
        .env("COREMUX_BIN", env!("CARGO_BIN_EXE_coremux"))
        .args(["-t", "20", target])
        .output()
        .unwrap()
    };
    assert_eq!(well(by_script(&port)), healthy, "{state}");
    // The admin side.
    let reply = http(admin.address(), GET_HEALTH);
    assert_eq!(reply.status, status, "{state}");
    let is = reply.json()["state"].clone();
    assert_eq!(is == "healthy", healthy, "{state}: {is}");
    assert!(admin.get("/metrics").body.contains("coremux_"), "{state}");
    assert_eq!(
        well(Admin::check(&[], &admin.address().to_string())),
        healthy
    );
    // The control socket, by its program and as curl does.
    let (code, text) = admin.ctl("health");
    assert_eq!(code, i32::from(!healthy), "{state}: {text}");
    assert_eq!(admin.ctl("status").0, 0, "{state}");
    let mut socket = UnixStream::connect(admin.socket_path()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(GET_HEALTH.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{state}: {answer}"
    );
    // The statistics port, as twemproxy's tools read it.
    let mut stats = TcpStream::connect(proxy.stats_address()).unwrap();
    stats.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut json = String::new();
    stats.read_to_string(&mut json).unwrap();
    assert!(
        json.ends_with("}\n") && json.contains("\"alpha\""),
        "{state}: {json}"
    );
}

#[test]
fn a_proxy_that_begins_unhealthy_is_seen_to_be_healthy_once_it_is() {
    let _alone = alone(module_path!());
    let mut group = Group::start(1, 0, "");
    let pool = Pool::new("alpha")
        .with("sentinels", group.yml())
        .with("require_sentinel_quorum", true)
        .server(group.servers[0][0].address());
    group.sentinels.iter_mut().for_each(Sentinel::kill);
    let admin = Admin::new();
    let arguments = admin.arguments();
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    all.extend(["--cores", "1"]);
    let proxy = Proxy::coremux_with(&all, &[pool]);
    eventually("it answers", || TcpStream::connect(admin.address()).ok());
    signs_say("begun without Sentinels", &admin, &proxy, false);
    group.sentinels.iter_mut().for_each(Sentinel::restart);
    signs_say("heard the Sentinels", &admin, &proxy, true);
    group.sentinels[..2].iter_mut().for_each(Sentinel::kill);
    signs_say("fenced", &admin, &proxy, false);
    group.sentinels[..2].iter_mut().for_each(Sentinel::restart);
    signs_say("freed", &admin, &proxy, true);
}

#[test]
fn drains_reloads_upgrades_and_stuck_workers_leave_every_sign_in_use() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let pool = Pool::new("alpha").server(redis.address());
    let line = Line::start(&["--cores", "1"], std::slice::from_ref(&pool));
    let (admin, proxy) = (&line.admin, &line.proxy);
    let say = |state: &str, healthy: bool| signs_say(state, admin, proxy, healthy);
    let ctl = |words: &str| {
        let (code, text) = admin.ctl(words);
        assert_eq!(code, 0, "{words}: {text}");
    };
    let mut reloads = 0;
    let mut reload = || {
        reloads += 1;
        let pool = pool.clone().with("backlog", 100 + reloads);
        proxy.write_config(&pool.yml_at(proxy.address("alpha")));
        ctl("reload");
    };
    say("started", true);
    for round in 0..2 {
        ctl("drain");
        say("drained", false);
        reload();
        say("drained and reloaded", false);
        ctl("undrain");
        say("undrained", true);
        reload();
        say("reloaded", true);
        line.upgrade();
        say("upgraded", true);
        ctl("drain");
        say("upgraded and drained", false);
        line.upgrade();
        say("drained and upgraded", false);
        ctl("undrain");
        say("drained, upgraded and undrained", true);
        {
            let _stopped = StoppedThread::stop(thread_of(line.pid(), "worker-0"));
            eventually("a stuck worker is found", || {
                (admin.file() == "1\n").then_some(())
            });
            say("stuck", false);
        }
        say("turning again", true);
        let mut client = proxy.client("alpha");
        assert_eq!(client.call(["SET", "key", &round.to_string()]), Reply::ok());
    }
}
