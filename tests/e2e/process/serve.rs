//! The program starts or says why not, ends when every answer is given, and leaves nothing behind.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use crate::support::Client;
use crate::support::Port;
use crate::support::Process;
use crate::support::Program;
use crate::support::Proxy;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::eventually;
use tempfile::TempDir;

fn pool(listen: impl std::fmt::Display, server: impl std::fmt::Display) -> String {
    format!("alpha:\n  listen: {listen}\n  redis: true\n  servers:\n  - {server}:1 one\n")
}

/// A program that is expected to end by itself.
fn run(directory: &Path, yml: &str, arguments: &[&str]) -> Output {
    fs::write(directory.join("a.yml"), yml).unwrap();
    let stats = Port::reserve();
    Command::new(env!("CARGO_BIN_EXE_coremux"))
        .current_dir(directory)
        .args([
            "-c",
            "a.yml",
            "-a",
            "127.0.0.1",
            "-s",
            &stats.number().to_string(),
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

// It ends with 1 and says `words`.
fn refused(yml: &str, arguments: &[&str], words: &str) {
    let directory = TempDir::new().unwrap();
    let output = run(directory.path(), yml, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn sigterm_lets_requests_in_flight_be_answered_and_cleans_up() {
    let redis = Redis::start();
    let mut socket = String::new();
    let mut proxy = Proxy::start_with(Program::Coremux, &["-p", "pid"], |listen| {
        socket = listen.unix("beta");
        let alpha = pool(listen.tcp("alpha"), redis.address());
        let beta = pool(&socket, redis.address()).replace("alpha:", "beta:");
        format!("{alpha}{beta}")
    });
    let mut client = proxy.client("alpha");
    let mut idle = proxy.client("beta");
    assert_eq!(client.call(["SET", "key", "before"]), Reply::ok());
    redis.process().signal("STOP");
    client.send(["GETSET", "key", "after"]);
    eventually("the request is under way", || {
        proxy.stats().contains("\"out_queue\":1").then_some(())
    });
    proxy.process().signal("TERM");
    assert_eq!(
        idle.read_until_closed(),
        b"",
        "a client that waits for nothing is closed"
    );
    // So that a successor can have the port while this process still answers.
    eventually("nobody listens", || {
        TcpStream::connect(proxy.address("alpha")).err()
    });
    assert!(proxy.process().ended().is_none(), "a reply is due");
    redis.process().signal("CONT");
    assert_eq!(client.read(), Reply::bulk("before"));
    assert_eq!(client.read_until_closed(), b"");
    assert_eq!(proxy.process().wait().code(), Some(0));
    assert!(!Path::new(&socket).exists());
    assert!(proxy.process().log().contains("info ended\n"));
}

#[test]
fn a_second_signal_does_not_wait_for_a_server_that_hangs() {
    let redis = Redis::start();
    let mut proxy = Proxy::start(Program::Coremux, |listen| {
        pool(listen.tcp("alpha"), redis.address())
    });
    let mut client = proxy.client("alpha");
    redis.process().signal("STOP");
    client.send(["GET", "key"]);
    eventually("the request is under way", || {
        proxy.stats().contains("\"out_queue\":1").then_some(())
    });
    proxy.process().signal("TERM");
    proxy.process().signal("INT");
    assert_eq!(proxy.process().wait().code(), Some(1));
    redis.process().signal("CONT");
}

#[test]
fn a_taken_port_or_path_is_refused_with_its_pool() {
    let redis = Redis::start();
    let taken = redis.address();
    refused(
        &pool(taken, "127.0.0.1:1"),
        &[],
        &format!("pool alpha: cannot listen on {taken}: the port is in use"),
    );
    refused(
        &pool("127.0.0.1:0", "127.0.0.1:1")
            .replace("127.0.0.1:0", &redis.socket_path().display().to_string()),
        &[],
        "it is in use by another process",
    );
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("alpha.sock");
    refused(
        &pool(path.display(), "127.0.0.1:1"),
        &["-s", &taken.port().to_string()],
        &format!("statistics: cannot listen on {taken}: the port is in use"),
    );
    assert!(!path.exists(), "a start that fails leaves no socket");
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("alpha.sock");
    let redis = pool(path.display(), "127.0.0.1:1");
    refused(&redis, &["--cores", "1023,"], "--cores: ");
    refused(
        &redis,
        &["--cores", "1", "--memory-limit", "64MiB"],
        "--memory-limit: 64MiB is too little for 1 workers: say 68MiB or more, or fewer --cores",
    );
    refused(
        &redis,
        &["-o", "/no/such/log"],
        "cannot open the log file /no/such/log: ",
    );
    refused(
        &redis,
        &["-a", "no-such-host.invalid"],
        "statistics: cannot listen on no-such-host.invalid",
    );
}

#[test]
fn a_stale_socket_of_a_killed_process_is_no_obstacle() {
    let redis = Redis::start();
    let mut path = String::new();
    let mut proxy = Proxy::start(Program::Coremux, |listen| {
        path = listen.unix("alpha");
        // Bound and closed without cleaning up, as after SIGKILL.
        drop(UnixListener::bind(&path).unwrap());
        pool(format!("{path} 0600"), redis.address())
    });
    assert_eq!(proxy.client("alpha").call(["SET", "k", "v"]), Reply::ok());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    proxy.process().signal("TERM");
    assert_eq!(proxy.process().wait().code(), Some(0));
}

#[test]
fn a_restart_at_once_after_a_kill_has_the_path_again() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("alpha.sock");
    let (stats, log) = (Port::reserve(), directory.path().join("log"));
    let file = directory.path().join("a.yml");
    fs::write(&file, pool(path.display(), "127.0.0.1:1")).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coremux"));
        command.arg("-c").arg(&file).args(["-a", "127.0.0.1", "-s"]);
        Process::start(command.arg(stats.number().to_string()), &log)
    };
    let serves = |process: &mut Process| {
        eventually("it serves", || {
            let ended = process.ended();
            assert_eq!(ended, None, "{}", process.log());
            // One that was killed takes connections, too, while it is torn down, and answers none.
            let mut client = UnixStream::connect(&path).ok()?;
            client.write_all(b"PING\r\n").ok()?;
            let mut reply = [0; 7];
            client.read_exact(&mut reply).ok()?;
            (reply == *b"+PONG\r\n").then_some(())
        });
    };
    let mut process = start();
    serves(&mut process);
    for _ in 0..5 {
        let crowd: Vec<_> = (0..200).map(|_| UnixStream::connect(&path)).collect();
        process.kill();
        process = start();
        serves(&mut process);
        drop(crowd);
    }
}

#[test]
fn a_change_of_the_file_while_the_program_starts_is_read() {
    let directory = TempDir::new().unwrap();
    let (beta, stats) = (Port::reserve(), Port::reserve());
    let (file, log) = (directory.path().join("a.yml"), directory.path().join("log"));
    let text = |taken: &str, timeout: u32| {
        let beta = pool(beta.address(), "127.0.0.1:1").replace("alpha:", "beta:");
        beta + &format!("  timeout: {timeout}\n") + &pool(taken, "127.0.0.1:1")
    };
    // A port that is taken for a moment holds the start up when the file has been read. twemproxy's
    // order of these pools is beta, alpha.
    let _process = eventually("the start has waited for the port", || {
        let _ = fs::remove_file(&log);
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = held.local_addr().unwrap().to_string();
        fs::write(&file, text(&taken, 1000)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_coremux"));
        command.arg("-c").arg(&file).args(["-a", "127.0.0.1", "-s"]);
        command.args([&stats.number().to_string(), "--reload-on-change"]);
        let mut process = Process::start(&mut command, &log);
        eventually("the first pool listens", || {
            let begun = process.listens_on(beta.number());
            (begun || process.ended().is_some()).then_some(())
        });
        fs::write(&file, text(&taken, 2000)).unwrap();
        drop(held);
        eventually("it serves or has given up", || {
            let serves = process.log().contains("serving");
            (serves || process.ended().is_some()).then_some(())
        });
        process.ended().is_none().then_some(process)
    });
    eventually("what was changed is served", || {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("timeout=2000").then_some(())
    });
}

#[test]
fn half_a_file_that_is_still_for_a_moment_is_not_served_and_for_long_it_is() {
    let redis = Redis::start();
    let (mut alpha, mut beta) = (String::new(), String::new());
    let mut proxy = Proxy::start_with(Program::Coremux, &["--reload-on-change"], |listen| {
        alpha = pool(listen.tcp("alpha"), redis.address());
        beta = pool(listen.tcp("beta"), redis.address()).replace("alpha:", "beta:");
        format!("{alpha}{beta}")
    });
    let mut client = proxy.client("beta");
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let said = |proxy: &mut Proxy, words: &str| {
        eventually(words, || {
            proxy.process().log().contains(words).then_some(())
        });
    };
    // Its writer stops here, and goes on later.
    proxy.write_config(&alpha);
    said(&mut proxy, "may not be whole");
    assert!(proxy.process().log().contains("lost=\"pool beta\""));
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
    proxy.write_config(&format!("{alpha}{beta}  timeout: 2000\n"));
    said(&mut proxy, "key changed pool=beta timeout=2000");
    assert_eq!(client.call(["GET", "key"]), Reply::bulk("value"));
    assert!(!proxy.process().log().contains("pool removed"));
    // What is meant so is served in the end.
    proxy.write_config(&alpha);
    said(&mut proxy, "pool removed pool=beta");
    // And at once if somebody says so.
    proxy.write_config(&format!("{alpha}{beta}"));
    proxy.process().signal("HUP");
    said(&mut proxy, "pool added pool=beta");
    proxy.write_config(&alpha);
    proxy.process().signal("HUP");
    eventually("it is removed once more", || {
        let log = proxy.process().log();
        (log.matches("pool removed").count() == 2).then_some(())
    });
}

#[test]
fn the_log_file_is_opened_again_after_it_was_moved() {
    let redis = Redis::start();
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("coremux.log");
    let moved = directory.path().join("coremux.log.1");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let arguments = ["-o", log.to_str().unwrap()];
    let mut proxy = Proxy::start_with(Program::Coremux, &arguments, |listen| {
        pool(listen.tcp("alpha"), redis.address())
    });
    eventually("it serves", || {
        read(&log).contains("info serving").then_some(())
    });
    fs::rename(&log, &moved).unwrap();
    proxy.process().signal("HUP");
    eventually("the new file is there", || {
        read(&log).contains("log file opened again").then_some(())
    });
    proxy.process().signal("TTIN");
    eventually("the level is turned", || {
        read(&log).contains("verbosity=6").then_some(())
    });
    proxy.process().signal("TERM");
    assert_eq!(proxy.process().wait().code(), Some(0));
    assert!(read(&log).ends_with("info ended\n"));
    assert!(!read(&moved).contains("opened again"));
    assert_eq!(proxy.process().log(), "", "nothing on the terminal");
}

/// A daemon, ended with the test.
struct Daemon {
    pid: String,
}

impl Daemon {
    fn signal(&self, name: &str) -> bool {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.pid.clone()])
            .stderr(Stdio::null())
            .status();
        kill.unwrap().success()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

#[test]
fn a_daemon_serves_when_its_parent_has_gone_and_has_no_terminal() {
    let redis = Redis::start();
    let directory = TempDir::new().unwrap();
    let port = Port::reserve();
    let yml = pool(port.address(), redis.address());
    let started = run(directory.path(), &yml, &["-d", "-p", "pid", "-o", "log"]);
    assert!(started.status.success(), "{started:?}");
    assert!(started.stderr.is_empty(), "{started:?}");
    let pid_file = directory.path().join("pid");
    let daemon = Daemon {
        pid: fs::read_to_string(&pid_file).unwrap(),
    };
    daemon
        .pid
        .parse::<u32>()
        .expect("a number and nothing else");
    // No waiting: the parent had waited.
    let mut client = Client::connect(port.address());
    assert_eq!(client.call(["SET", "k", "v"]), Reply::ok());

    let proc = Path::new("/proc").join(&daemon.pid);
    for fd in ["0", "1", "2"] {
        let open = fs::read_link(proc.join("fd").join(fd)).unwrap();
        assert_eq!(open, Path::new("/dev/null"));
    }
    let stat = fs::read_to_string(proc.join("stat")).unwrap();
    // After the name in parentheses: state, parent, group, session, terminal.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    assert_ne!(fields[3], daemon.pid, "it leads no session");
    assert_eq!(fields[4], "0", "it has no terminal");

    assert!(daemon.signal("TERM"));
    // Whether anybody reaps it is the business of the machine's process 1.
    eventually("it has ended", || {
        let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    assert!(!pid_file.exists());
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.ends_with("info ended\n"), "{log}");
}

#[test]
fn a_daemon_that_cannot_start_says_so_by_its_exit_code() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("alpha.sock");
    let yml = pool(path.display(), "127.0.0.1:1");
    let arguments = ["-d", "-p", "/no/such/pid", "-o", "log"];
    let output = run(directory.path(), &yml, &arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot write the pid file /no/such/pid"),
        "{said}"
    );
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(
        log.contains("error cannot start: cannot write the pid file"),
        "{log}"
    );
    eventually("its socket is removed", || (!path.exists()).then_some(()));
}

#[test]
fn in_the_foreground_a_pid_file_is_written_and_a_bad_path_is_only_a_warning() {
    let redis = Redis::start();
    let directory = TempDir::new().unwrap();
    let good = directory.path().join("pid");
    for path in [good.to_str().unwrap(), "/no/such/pid"] {
        let mut proxy = Proxy::start_with(Program::Coremux, &["-p", path], |listen| {
            pool(listen.tcp("alpha"), redis.address())
        });
        assert_eq!(proxy.client("alpha").call(["SET", "k", "v"]), Reply::ok());
        let written = fs::read_to_string(path).ok();
        let expected = (path != "/no/such/pid").then(|| proxy.process().id().to_string());
        assert_eq!(written, expected);
        proxy.process().signal("TERM");
        assert_eq!(proxy.process().wait().code(), Some(0));
        let log = proxy.process().log();
        let warned = log.contains("warn cannot write the pid file");
        assert_eq!(warned, expected.is_none());
        assert!(!Path::new(path).exists());
    }
}

#[test]
fn a_tool_that_speaks_http_to_the_statistics_port_gets_the_line_too() {
    let redis = Redis::start();
    let proxy = Proxy::start(Program::Coremux, |listen| {
        pool(listen.tcp("alpha"), redis.address())
    });
    let mut tool = TcpStream::connect(proxy.stats_address()).unwrap();
    tool.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut line = String::new();
    tool.read_to_string(&mut line).unwrap();
    assert!(line.starts_with("{\"service\":\"nutcracker\", ") && line.ends_with("}}}\n"));
}
