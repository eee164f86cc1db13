//! The statistics line and `-D` are what Debian's nutcracker writes, byte for byte.

use std::fs;
use std::io;
use std::io::Read;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use coremux::stats::Head;
use coremux::stats::PoolShape;
use coremux::stats::Shape;
use coremux::stats::WorkerStats;
use coremux::stats::describe;
use coremux::stats::to_json;

const DEADLINE: Duration = Duration::from_secs(20);

/// nutcracker of the Debian package, ended with the test.
struct Nutcracker {
    child: Child,
    stats_port: u16,
}

impl Nutcracker {
    fn start(dir: &Path, config: &str) -> Nutcracker {
        let file = dir.join("nutcracker.yml");
        fs::write(&file, config).unwrap();
        let stats_port = free_port();
        let child = Command::new("nutcracker")
            .args(["-a", "127.0.0.1", "-i", "50", "-s", &stats_port.to_string()])
            .arg("-c")
            .arg(&file)
            .arg("-o")
            .arg(dir.join("nutcracker.log"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nutcracker of the package `nutcracker`");
        Nutcracker { child, stats_port }
    }

    // It answers before it has opened and counted the listening sockets, one for each pool.
    fn stats_line(&self, pools: u64) -> String {
        let started = now();
        loop {
            match read_line(self.stats_port) {
                Ok(line) if !line.is_empty() && number(&line, "total_connections") == pools => {
                    return line;
                }
                other => assert!(now() - started < DEADLINE, "no statistics: {other:?}"),
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Nutcracker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's deadline is real time")]
fn now() -> Instant {
    Instant::now()
}

// nutcracker takes no port 0, so the kernel is asked for one and gives it back.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn read_line(port: u16) -> io::Result<String> {
    let mut line = String::new();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))?.read_to_string(&mut line)?;
    Ok(line)
}

// What follows `"key":`, up to the next comma.
fn field<'a>(line: &'a str, key: &str) -> &'a str {
    let (_, after) = line.split_once(&format!("\"{key}\":")).expect("the key");
    after.split(',').next().expect("a value")
}

fn number(line: &str, key: &str) -> u64 {
    field(line, key).parse().expect("a number")
}

#[test]
fn the_line_of_an_idle_process_is_nutcrackers_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let config = format!(
        "second:\n  listen: {at}/second.sock\n  redis: true\n  servers:\n   \
         - 127.0.0.1:7001:1 gamma\n   - 127.0.0.1:7002:2\n   - {at}/s.sock:1\n   \
         - 127.0.0.1:11211:1\n\
         one:\n  listen: {at}/one.sock\n  servers:\n   - 127.0.0.1:7003:1 only\n"
    );
    let unix = format!("{at}/s.sock:");
    let mut of_second = ["gamma", "127.0.0.1:7002", "127.0.0.1", &unix];
    // twemproxy's order of names: shorter first.
    of_second.sort_by_key(|name| (name.len(), name.to_string()));
    let pool = |name: &str, servers: &[&str]| PoolShape {
        name: Arc::from(name),
        servers: servers.iter().map(|s| Arc::from(*s)).collect(),
    };
    let shape = Shape {
        pools: vec![pool("one", &["only"]), pool("second", &of_second)],
    };

    let nutcracker = Nutcracker::start(dir.path(), &config);
    let theirs = nutcracker.stats_line(2);
    let head = Head {
        source: field(&theirs, "source").trim_matches('"'),
        version: field(&theirs, "version").trim_matches('"'),
        uptime: number(&theirs, "uptime"),
        timestamp: number(&theirs, "timestamp"),
    };
    let workers = [(); 2].map(|()| Arc::new(WorkerStats::new(&shape)));
    assert_eq!(to_json(&shape, &workers, &head), theirs);
}

#[test]
fn the_description_is_nutcrackers() {
    let theirs = Command::new("nutcracker")
        .arg("-D")
        .output()
        .expect("nutcracker of the package `nutcracker`");
    let theirs = String::from_utf8(theirs.stderr).unwrap();
    let (_, stats) = theirs
        .split_once("\n\n")
        .expect("the version, then the statistics");
    assert_eq!(describe(), stats);
}
