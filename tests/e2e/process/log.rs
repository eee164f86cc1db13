//! Nobody waits for the log, whoever does not read it, and no event that comes again and again floods it.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

use crate::support::Client;
use crate::support::FakeServer;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;
use rustix::fs::OFlags;
use tempfile::TempDir;

/// A proxy whose stderr is the test's affair.
struct Bare {
    child: Child,
    listen: Port,
    stats: Port,
    _directory: TempDir,
}

impl Bare {
    fn start(arguments: &[&str], redis: &Redis, stderr: impl Into<Stdio>) -> Bare {
        Bare::start_by("env", &[], arguments, redis, stderr)
    }

    /// The same by another program.
    fn start_by(
        program: &str,
        of_program: &[&str],
        arguments: &[&str],
        redis: &Redis,
        stderr: impl Into<Stdio>,
    ) -> Bare {
        let (listen, stats) = (Port::reserve(), Port::reserve());
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("proxy.yml");
        let pool = Pool::new("alpha").server(redis.address());
        fs::write(&file, pool.yml_at(listen.address())).unwrap();
        let child = Command::new(program)
            .args(of_program)
            .arg(env!("CARGO_BIN_EXE_coremux"))
            .args(["-a", "127.0.0.1", "-s", &stats.number().to_string(), "-c"])
            .arg(&file)
            .args(["--cores", "1"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Bare {
            child,
            listen,
            stats,
            _directory: directory,
        }
    }

    fn client(&self) -> Client {
        eventually("it listens", || {
            TcpStream::connect(self.listen.address()).ok()
        });
        Client::connect(self.listen.address())
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let words = [format!("-{name}"), id];
        let sent = Command::new("kill").args(words).status().unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> ExitStatus {
        eventually("it ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Clients come, are served, send what is none of the protocol, and are logged for it.
fn serves(bare: &Bare, rounds: usize) {
    for round in 0..rounds {
        let mut client = bare.client();
        let value = format!("{round}");
        assert_eq!(client.call(["SET", "key", &value]), Reply::ok());
        assert_eq!(client.call(["GET", "key"]), Reply::bulk(&value));
        client.send_raw(b"*x\r\n");
        client.read_until_closed();
    }
}

/// Whether it serves; there is room for one client, who may not have gone yet.
fn served(bare: &Bare) -> Option<()> {
    TcpStream::connect(bare.listen.address()).ok()?;
    let mut client = Client::connect(bare.listen.address());
    client.try_send_raw(b"*1\r\n$4\r\nPING\r\n").ok()?;
    let pong = Reply::Simple("PONG".to_owned());
    (client.try_read().ok()? == pong).then_some(())
}

/// A pipe that has no room left.
fn full_pipe() -> (File, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while rustix::io::write(&writer, &[b'.'; 512]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (File::from(reader), writer)
}

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn a_stderr_that_nobody_reads_holds_up_no_client_and_no_signal() {
    let redis = Redis::start();
    let (mut reader, writer) = full_pipe();
    // Of everything that happens there is a line.
    let mut bare = Bare::start(&["-v", "11"], &redis, writer.try_clone().unwrap());
    serves(&bare, 50);
    bare.signal("HUP");
    serves(&bare, 5);
    bare.signal("TERM");
    assert_eq!(bare.ended().code(), Some(0));
    // Where somebody reads in time, the last line is there.
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    let mut bare = Bare::start(&[], &redis, writer);
    serves(&bare, 1);
    bare.signal("TERM");
    assert_eq!(bare.ended().code(), Some(0));
    let text = reading.join().unwrap();
    assert!(text.ends_with("info ended\n"), "{text}");
}

#[test]
fn a_log_that_nobody_reads_any_more_holds_up_nobody_and_is_opened_again_elsewhere() {
    let redis = Redis::start();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let log = ["-v", "11", "-o", path.to_str().unwrap()];
    fifo(&path);
    let mut refused = Bare::start(&log, &redis, Stdio::null());
    assert_eq!(refused.ended().code(), Some(1), "nobody reads it");
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let reader = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(&path)
        .unwrap();
    let mut bare = Bare::start(&log, &redis, Stdio::null());
    serves(&bare, 50);
    fs::remove_file(&path).unwrap();
    bare.signal("HUP");
    eventually("it goes on in a file", || {
        serves(&bare, 1);
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.contains("log file opened again").then_some(())
    });
    bare.signal("TERM");
    assert_eq!(bare.ended().code(), Some(0));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("info ended\n"), "{text}");
    drop(reader);
}

/// A server that answers whether it serves, and closes the connection at everything else.
fn breaks() -> FakeServer {
    FakeServer::answering(|request| (request[0] == b"PING").then(|| b"+PONG\r\n".to_vec()))
}

#[test]
fn a_server_that_comes_and_goes_is_told_of_as_it_begins_and_then_once_in_a_while() {
    let (server, redis) = (breaks(), Redis::start());
    let pool = Pool::new("alpha")
        .server(server.address())
        .server(redis.address());
    let pool = pool.with("auto_eject_hosts", false).with("timeout", 1000);
    let mut proxy = Proxy::coremux_with(&["--cores", "1"], &[pool]);
    let key = proxy.key_on("alpha", "s1", "key");
    let mut client = proxy.client("alpha");
    eventually("many connections have ended", || {
        client.call(["SET", &key, "value"]);
        (server.connections() > 300).then_some(())
    });
    let log = proxy.process().log();
    assert!(log.contains("server connection failed"), "{log}");
    assert!(log.lines().count() < 60, "{log}");
    // How many there were is told at the latest at the end.
    proxy.process().signal("TERM");
    proxy.process().wait();
    let log = proxy.process().log();
    let more = log.lines().filter_map(|line| line.split_once(" more="));
    let more: u32 = more.map(|(_, more)| more.parse::<u32>().unwrap()).sum();
    assert!(more > 200, "{log}");
}

#[test]
fn a_process_without_descriptors_says_so_and_not_all_the_time() {
    let redis = Redis::start();
    // A dozen more than it needs for itself.
    let wrapper = ["-c", "ulimit -n 40; exec \"$0\" \"$@\""];
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let arguments = ["-o", log.to_str().unwrap()];
    let bare = Bare::start_by("sh", &wrapper, &arguments, &redis, Stdio::null());
    eventually("it serves", || served(&bare));
    let said = || {
        let log = fs::read_to_string(&log).unwrap();
        log.matches("accepting clients rests").count()
    };
    let mut strangers = Vec::new();
    let mut crowd = || {
        // Those who came first are closed, and others come.
        strangers.truncate(120);
        strangers.insert(0, TcpStream::connect(bare.stats.address()).unwrap());
        strangers.insert(0, TcpStream::connect(bare.listen.address()).unwrap());
    };
    eventually("it says so", || {
        crowd();
        (said() > 0).then_some(())
    });
    // It tries ten times a second.
    let until = now() + Duration::from_secs(3);
    while now() < until {
        crowd();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(said() < 15, "{} lines", said());
    drop(strangers);
    eventually("it serves again", || served(&bare));
}

#[test]
fn every_line_of_a_json_log_is_an_object_with_its_facts() {
    let redis = Redis::start();
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    let mut bare = Bare::start(
        &[
            "--log-format",
            "json",
            "-v",
            "7",
            "-o",
            log.to_str().unwrap(),
        ],
        &redis,
        Stdio::null(),
    );
    serves(&bare, 3);
    let reopened = directory.path().join("log.1");
    fs::rename(&log, &reopened).unwrap();
    bare.signal("HUP");
    bare.signal("TERM");
    assert!(bare.ended().success());
    let all =
        fs::read_to_string(&reopened).unwrap() + &fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<serde_json::Value> = all
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        let words = ["time", "level", "message"].map(|name| line[name].is_string());
        assert_eq!(words, [true; 3], "{line}");
    }
    let broken = |line: &&serde_json::Value| line["message"] == "client sent a broken request";
    let broken = lines.iter().find(broken).expect("what serves() provokes");
    assert_eq!(
        (&broken["pool"], &broken["level"]),
        (&"alpha".into(), &"info".into())
    );
    assert!(broken["client"].is_u64(), "a number stays one: {broken}");
}
