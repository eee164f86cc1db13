//! Pools and servers have the names and the order that nutcracker gives them: its statistics,
//! which list both in its order, are the judge.

#![allow(clippy::disallowed_methods, reason = "a test waits by a real clock")]

use std::io::Read;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use coremux::config::Config;

/// A pool's name and its servers' names.
type Names = Vec<(String, Vec<String>)>;

/// Ends the process that it holds when the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What nutcracker calls the pools and servers of the file, in its order.
fn nutcrackers_names(path: &Path) -> Names {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        // nutcracker cannot be told to take any port, so one is asked of the kernel and handed
        // on; should another process be faster, the next port will do.
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("its number").port()
        };
        let log = path.with_extension("log");
        let mut nutcracker = Running(
            Command::new("nutcracker")
                .args(["-a", "127.0.0.1", "-s", &port.to_string()])
                .arg("-c")
                .arg(path)
                .arg("-o")
                .arg(&log)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("Debian's package nutcracker is needed"),
        );
        while let Ok(None) = nutcracker.0.try_wait() {
            assert!(Instant::now() < deadline, "no statistics");
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
                std::thread::yield_now();
                continue;
            };
            let mut json = String::new();
            if stream.read_to_string(&mut json).is_ok() && json.ends_with("}\n") {
                return names_in(&json);
            }
        }
        assert!(
            Instant::now() < deadline,
            "nutcracker ends: {}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
    }
}

/// JSON is YAML, and this reader keeps the order.
fn names_in(json: &str) -> Names {
    let all: serde_yaml::Mapping = serde_yaml::from_str(json).expect("JSON");
    let name = |value: &serde_yaml::Value| value.as_str().expect("a name").to_owned();
    let mappings = |mapping: &serde_yaml::Mapping| {
        let pairs = mapping.iter();
        pairs
            .filter_map(|(key, value)| Some((name(key), value.as_mapping()?.clone())))
            .collect::<Vec<_>>()
    };
    mappings(&all)
        .into_iter()
        .map(|(pool, facts)| {
            let servers = mappings(&facts).into_iter().map(|(server, _)| server);
            (pool, servers.collect())
        })
        .collect()
}

fn our_names(path: &Path) -> Names {
    let config = Config::read(path).unwrap_or_else(|errors| panic!("{errors}"));
    config
        .pools
        .iter()
        .map(|pool| {
            let servers = pool.servers.iter().map(|server| server.name.to_string());
            (pool.name.to_string(), servers.collect())
        })
        .collect()
}

#[test]
fn names_and_their_order_are_nutcrackers() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("nutcracker.yml");
    let servers: &[(&str, &[&str])] = &[
        // The shorter first, then bytes.
        (
            "zz",
            &[
                "a:1:1 server10",
                "b:1:1 server9",
                "c:1:1 b",
                "d:1:1 aa",
                "e:1:1 é",
                "f:1:1 B",
            ],
        ),
        // Without a name: host:port verbatim, except memcached's port; unix with its colon.
        (
            "pools-sort-too",
            &[
                "10.0.0.10:6379:1",
                "10.0.0.9:6379:1",
                "10.0.0.9:06379:1",
                "10.0.0.8:11211:1",
                "10.0.0.7:011211:3",
                "/tmp/redis.sock:1",
                "/tmp/r:5",
                "::1:6379:1",
                "\"[::1]:6379:1\"",
            ],
        ),
        // With one: whatever follows the blank, also nothing, also digits and YAML's nulls.
        (
            "a",
            &[
                "a:1:1 0123",
                "a:1:1 ~",
                "a:1:1 1e3",
                "a:1:1 true",
                "\"a:1:1 \"",
                "a:11211:1 a",
            ],
        ),
        ("~", &["a:1:1", "a:2:2147483647"]),
        ("0123", &["a:1:00001"]),
        ("'a b'", &["a:1:1 a:1:1", "a:1:1"]),
    ];
    let mut text = String::new();
    for (index, (pool, servers)) in servers.iter().enumerate() {
        let socket = dir.path().join(format!("{index}.sock"));
        text += &format!("{pool}:\n  listen: {}\n  servers:\n", socket.display());
        for server in *servers {
            text += &format!("   - {server}\n");
        }
    }
    std::fs::write(&path, text).expect("the file is written");
    let theirs = nutcrackers_names(&path);
    assert_eq!(theirs.len(), servers.len(), "{theirs:?}");
    assert_eq!(our_names(&path), theirs);
}
