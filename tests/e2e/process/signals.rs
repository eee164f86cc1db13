//! The program is driven as its users drive it: by signals, arguments and what it says.

use std::net::TcpStream;
use std::process::Command;
use std::process::Output;

use crate::support::FakeServer;
use crate::support::Load;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;

/// An address for documentation (RFC 5737), which no host has.
const NOT_OURS: &str = "203.0.113.1";

/// Runs it until it ends by itself.
fn run(yml: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("proxy.yml");
    std::fs::write(&file, yml).unwrap();
    let stats = Port::reserve();
    Command::new(env!("CARGO_BIN_EXE_coremux"))
        .args(["-a", "127.0.0.1", "-s", &stats.number().to_string(), "-c"])
        .arg(&file)
        .args(arguments)
        .output()
        .unwrap()
}

fn pool_on(listen: &str) -> String {
    format!("alpha:\n  listen: {listen}\n  redis: true\n  servers:\n    - 127.0.0.1:1:1\n")
}

#[test]
fn an_address_of_another_host_is_refused_with_what_helps_and_with_that_it_works() {
    let port = Port::reserve();
    let address = format!("{NOT_OURS}:{}", port.number());
    let refused = run(&pool_on(&address), &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    for words in [
        "pool alpha",
        &address,
        "not an address of this host",
        "freebind: true",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let redis = [Redis::start()];
    let pools = [
        Pool::over("alpha", &redis)
            .listening_on(&address)
            .with("freebind", true),
        Pool::over("beta", &redis),
    ];
    let proxy = Proxy::coremux(&pools);
    assert_eq!(
        proxy.client("beta").call(["SET", "key", "value"]),
        Reply::ok()
    );
    let out = Command::new("ss").args(["-tlnH"]).output().unwrap();
    let listening = String::from_utf8(out.stdout).unwrap();
    assert!(listening.contains(&address), "{listening}");
}

#[test]
fn a_taken_port_and_a_core_that_is_not_there_are_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (yml, arguments, words) in [
        (
            pool_on(&address),
            vec![],
            vec!["pool alpha", &*address, "in use"],
        ),
        (
            pool_on("127.0.0.1:1"),
            vec!["--cores", "1000,"],
            vec!["--cores", "no core 1000"],
        ),
        (
            pool_on("127.0.0.1:1"),
            vec!["--cores", "999"],
            vec!["--cores", "999 cores"],
        ),
    ] {
        let refused = run(&yml, &arguments);
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        for words in words {
            assert!(said.contains(words), "{words} in {said}");
        }
    }
}

#[test]
fn a_drain_answers_a_whole_pipeline_and_takes_no_new_client() {
    let slow = FakeServer::start(|mut conn| {
        while let Some(request) = conn.request() {
            std::thread::sleep(std::time::Duration::from_millis(20));
            conn.send(format!("${}\r\n", request[1].len()).as_bytes());
            conn.send(&request[1]);
            conn.send(b"\r\n");
        }
    });
    let pid = tempfile::TempDir::new().unwrap();
    let pid_file = pid.path().join("pid");
    let arguments = ["-p", pid_file.to_str().unwrap()];
    let mut proxy = Proxy::coremux_with(&arguments, &[Pool::new("alpha").server(slow.address())]);
    assert_eq!(
        std::fs::read_to_string(&pid_file).unwrap(),
        proxy.process().id().to_string()
    );
    let mut idle = proxy.client("alpha");
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client("alpha")).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let mut bytes = Vec::new();
        for m in 0..20 {
            encode(&mut bytes, ["GET", &format!("{n}:{m}")]);
        }
        // The half of one more is not to be waited for.
        bytes.extend(b"*2\r\n$3\r\nGE");
        client.send_raw(&bytes);
        assert_eq!(client.read(), Reply::bulk(format!("{n}:0")));
    }
    proxy.process().signal("TERM");
    assert_eq!(
        idle.read_to_end().unwrap(),
        b"",
        "who waits for nothing is let go at once"
    );
    assert_eq!(proxy.process().ended(), None, "the others are waited for");
    let refused = eventually("nobody listens any more", || {
        let error = TcpStream::connect(proxy.address("alpha")).err()?;
        // A listener that is closed while it accepts resets what it has not accepted yet.
        (error.kind() != std::io::ErrorKind::ConnectionReset).then_some(error)
    });
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    for (n, client) in clients.iter_mut().enumerate() {
        for m in 1..20 {
            assert_eq!(client.read(), Reply::bulk(format!("{n}:{m}")));
        }
        assert_eq!(client.read_to_end().unwrap(), b"");
    }
    drop((clients, idle));
    assert_eq!(
        proxy.process().wait().code(),
        Some(0),
        "{}",
        proxy.process().log()
    );
    assert!(!pid_file.exists(), "the pid file goes with it");
}

#[test]
fn the_log_says_more_and_less_when_told() {
    let redis = [Redis::start()];
    let mut proxy = Proxy::coremux_with(&["-v", "6"], &[Pool::over("alpha", &redis)]);
    let connected = |proxy: &mut Proxy| {
        proxy
            .process()
            .log()
            .matches("debug server connected")
            .count()
    };
    assert_eq!(
        proxy.client("alpha").call(["SET", "key", "value"]),
        Reply::ok()
    );
    assert_eq!(connected(&mut proxy), 0, "{}", proxy.process().log());
    // A higher level is taken asynchronously; every attempt makes a new connection.
    let connect = |proxy: &Proxy| {
        let _ = redis[0]
            .client()
            .call(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        eventually("a new connection serves", || {
            (proxy.client("alpha").call(["SET", "key", "value"]) == Reply::ok()).then_some(())
        });
    };
    proxy.process().signal("TTIN");
    proxy.process().signal("TTIN");
    eventually("it says more", || {
        connect(&proxy);
        (connected(&mut proxy) > 0).then_some(())
    });
    for _ in 0..4 {
        proxy.process().signal("TTOU");
    }
    eventually("it says less", || {
        let before = connected(&mut proxy);
        connect(&proxy);
        (connected(&mut proxy) == before).then_some(())
    });
    assert_eq!(proxy.process().ended(), None);
}

#[test]
fn signals_that_mean_nothing_and_a_log_that_is_moved_disturb_nobody() {
    let servers = Redis::fleet(2);
    let logs = tempfile::TempDir::new().unwrap();
    let log = logs.path().join("coremux.log");
    let arguments = ["-o", log.to_str().unwrap()];
    let mut proxy = Proxy::coremux_with(&arguments, &[Pool::over("alpha", &servers)]);
    let load = Load::start(proxy.address("alpha"), 8, 1);
    for n in 0..10 {
        let moved = logs.path().join(format!("coremux.log.{n}"));
        std::fs::rename(&log, moved).unwrap();
        for signal in ["HUP", "USR1", "TTIN", "TTOU"] {
            proxy.process().signal(signal);
        }
        load.goes_on(100);
        eventually("there is a new file", || log.exists().then_some(()));
    }
    load.end();
    assert_eq!(proxy.process().ended(), None);
}

#[test]
fn a_fifo_in_place_of_a_file_keeps_nobody_waiting() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("fifo");
    let fifo = path.to_str().unwrap();
    let made = Command::new("mkfifo").arg(fifo).status().unwrap();
    assert!(made.success());
    let test = || {
        let test = Command::new(env!("CARGO_BIN_EXE_coremux"))
            .args(["-t", "-c", fifo])
            .output();
        let test = test.unwrap();
        (test.status.code(), String::from_utf8(test.stderr).unwrap())
    };
    // Nobody writes; then somebody does, as a shell's `-c <(…)`.
    let (code, said) = test();
    assert_eq!(code, Some(1));
    assert!(said.contains("it is no file"), "{said}");
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, pool_on("127.0.0.1:1")).unwrap()
    });
    let (code, said) = test();
    assert_eq!(code, Some(0), "{said}");
    writer.join().unwrap();
    let redis = [Redis::start()];
    let refused = run(&pool_on("127.0.0.1:1"), &["--health-file", fifo]);
    assert_eq!(refused.status.code(), Some(1));
    // Without its pid file it serves.
    let pool = Pool::over("alpha", &redis);
    let ctl = directory.path().join("ctl");
    let arguments = ["-p", fifo, "--ctl", ctl.to_str().unwrap()];
    let mut proxy = Proxy::coremux_with(&arguments, std::slice::from_ref(&pool));
    let mut client = proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let reload = || {
        let reload = Command::new(env!("CARGO_BIN_EXE_coremux"))
            .args(["ctl", "--socket", ctl.to_str().unwrap(), "reload"])
            .output();
        reload.unwrap().status.code()
    };
    let file = proxy.config_path();
    std::fs::rename(&file, directory.path().join("aside")).unwrap();
    std::fs::rename(&path, &file).unwrap();
    assert_eq!(reload(), Some(1), "nothing comes");
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
    std::fs::rename(directory.path().join("aside"), &file).unwrap();
    assert_eq!(reload(), Some(0), "the next one is done");
    proxy.process().signal("TERM");
    assert_eq!(proxy.process().wait().code(), Some(0));
}
