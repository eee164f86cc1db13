//! An upgrade hands listening sockets and clients over to a new process: nobody is refused, dropped,
//! answered twice or not at all; and if the new process is no good, the old one serves on.

mod listeners;
mod steps;
mod told;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use crate::alone;
use crate::line::Counting;
use crate::line::Line;
use crate::line::end_of_line;
use crate::line::is_alive;
use crate::support::Admin;
use crate::support::Client;
use crate::support::Pool;
use crate::support::Port;
use crate::support::Process;
use crate::support::Redis;
use crate::support::Reply;
use crate::support::encode;
use crate::support::eventually;
use crate::support::http;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_coremux");

/// Somebody who connects to an address again and again.
fn knock(stop: &Arc<AtomicBool>, mut knock: impl FnMut() + Send + 'static) -> JoinHandle<u64> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let mut times = 0;
        while !stop.load(Ordering::Relaxed) {
            knock();
            times += 1;
        }
        times
    })
}

fn counter(redis: &Redis, nth: usize) -> Reply {
    redis.client().call(["GET", &format!("counter{nth}")])
}

#[test]
fn fifty_clients_that_pipeline_through_ten_upgrades_lose_nothing_and_no_door_is_ever_shut() {
    let _alone = alone(module_path!());
    const CLIENTS: usize = 50;
    let redis = Redis::fleet(2);
    let line = Line::start(&["--cores", "2"], &[Pool::over("alpha", &redis)]);
    let clients = (0..CLIENTS).map(|_| line.proxy.client("alpha")).collect();
    let counting = Counting::start(clients);
    let stop = Arc::new(AtomicBool::new(false));
    let (health, admin) = (line.admin.health_address(), line.admin.address());
    let pool = line.proxy.address("alpha");
    let stats = line.proxy.stats_address();
    let doors = [
        knock(&stop, move || drop(TcpStream::connect(health).unwrap())),
        knock(&stop, move || {
            assert_eq!(http(admin, "GET /health HTTP/1.0\r\n\r\n").status, 200);
        }),
        knock(&stop, move || {
            let pong = Reply::Simple("PONG".to_owned());
            assert_eq!(Client::connect(pool).call(["PING"]), pong);
        }),
        knock(&stop, move || drop(TcpStream::connect(stats).unwrap())),
    ];
    let mut handed_over = 0;
    for _ in 0..10 {
        counting.go_on();
        let (code, text) = line.admin.ctl("upgrade");
        assert_eq!(code, 0, "{text}");
        let count = text
            .split_once("; ")
            .and_then(|(_, rest)| rest.split_once(' '));
        handed_over += count.unwrap().0.parse::<usize>().unwrap();
        assert_eq!(
            line.admin.file(),
            "0\n",
            "the health file says so throughout"
        );
    }
    counting.go_on();
    let counts = counting.end();
    stop.store(true, Ordering::Relaxed);
    for door in doors {
        assert!(door.join().unwrap() > 10, "somebody knocked");
    }
    assert!(handed_over >= 10 * CLIENTS, "{handed_over}");
    for (nth, count) in counts.into_iter().enumerate() {
        let found: Vec<_> = redis.iter().map(|redis| counter(redis, nth)).collect();
        assert!(
            found.contains(&Reply::bulk(count.to_string())),
            "{count} {found:?}"
        );
    }
}

#[test]
fn a_request_that_is_half_sent_is_done_once_when_the_rest_has_come() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let line = Line::start(
        &["--cores", "2"],
        &[Pool::over("alpha", std::slice::from_ref(&redis))],
    );
    let large = vec![b'v'; 300_000];
    let mut requests: Vec<Vec<u8>> = vec![b"INCR inline\r\n".to_vec()];
    let mut array = Vec::new();
    encode(&mut array, ["INCR", "array"]);
    requests.push(array.clone());
    let mut set = Vec::new();
    encode(&mut set, [b"APPEND".as_slice(), b"large", &large]);
    requests.push(set.clone());
    let cuts = [1, 4, 9, 11];
    let cuts_of = |request: &Vec<u8>| match request.len() {
        ..100 => cuts.to_vec(),
        len => vec![20, 60, 100_000, len - 2],
    };
    let mut clients: Vec<(Client, &Vec<u8>, usize)> = requests
        .iter()
        .flat_map(|request| cuts_of(request).into_iter().map(move |cut| (request, cut)))
        .map(|(request, cut)| {
            let mut client = line.proxy.client("alpha");
            // Behind one that is answered, so that the part has been received for certain.
            client.call(["PING"]);
            client.send_raw(&request[..cut]);
            (client, request, cut)
        })
        .collect();
    line.upgrade();
    let mut answers = Vec::new();
    for (client, request, cut) in &mut clients {
        client.send_raw(&request[*cut..]);
        answers.push(client.read());
    }
    let large = (1..=4).map(|times| 300_000 * times);
    let expected = (1..=4).chain(1..=4).chain(large).map(Reply::Integer);
    assert_eq!(answers, expected.collect::<Vec<_>>());
    line.upgrade();
    for (client, ..) in &mut clients {
        assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
    }
}

#[test]
fn the_new_process_knows_what_a_client_has_said_of_itself() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let path = TempDir::new().unwrap();
    let path = path.path().join("beta.sock");
    let line = Line::start(
        &[],
        &[
            Pool::over("alpha", std::slice::from_ref(&redis)).with("redis_auth", "secret"),
            Pool::new("beta")
                .listening_on(path.display())
                .server("127.0.0.1:1"),
        ],
    );
    let mut known = line.proxy.client("alpha");
    assert_eq!(known.call(["AUTH", "secret"]), Reply::ok());
    known.call(["CLIENT", "SETNAME", "bob"]);
    known.call(["CLIENT", "SETINFO", "LIB-NAME", "lib"]);
    known.call(["CLIENT", "SETINFO", "LIB-VER", "1.2"]);
    let id = known.call(["CLIENT", "ID"]);
    let mut stranger = line.proxy.client("alpha");
    let mut local = Client::connect_unix(&path);
    assert_eq!(local.call(["CLIENT", "SETNAME", "eve"]), Reply::ok());
    let old = line.pid();
    line.upgrade();
    assert_eq!(known.call(["CLIENT", "GETNAME"]), Reply::bulk("bob"));
    assert_eq!(known.call(["CLIENT", "ID"]), id);
    let Reply::Bulk(info) = known.call(["CLIENT", "INFO"]) else {
        panic!("no bulk")
    };
    let info = String::from_utf8(info).unwrap();
    assert!(info.contains("lib-name=lib lib-ver=1.2"), "{info}");
    assert_eq!(local.call(["CLIENT", "GETNAME"]), Reply::bulk("eve"));
    // Who has given no password has given none.
    assert!(stranger.call(["GET", "key"]).error().starts_with("NOAUTH"));
    let mut next = line.proxy.client("alpha");
    next.call(["AUTH", "secret"]);
    assert_ne!(next.call(["CLIENT", "ID"]), id);
    drop((stranger, next));
    let clients = || line.proxy.numbers().pool("alpha", "client_connections");
    eventually("the client that is left is counted", || {
        (clients() == 1).then_some(())
    });
    assert_ne!(line.pid(), old);
    // The file of a socket is still there for those to come.
    Client::connect_unix(&path).call(["PING"]);
}

#[test]
fn a_request_in_flight_is_answered_by_the_process_that_sent_it() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let line = Line::start(
        &["--cores", "1"],
        &[Pool::over("alpha", std::slice::from_ref(&redis))],
    );
    let mut client = line.proxy.client("alpha");
    client.call(["SET", "key", "value"]);
    redis.process().signal("STOP");
    client.send(["INCR", "once"]);
    client.send(["GET", "key"]);
    let old = line.pid();
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| line.admin.ctl("upgrade"));
        eventually("the new process serves", || {
            (line.pid() != old).then_some(())
        });
        // It accepts, and nobody hears of the one that waits.
        let mut next = line.proxy.client("alpha");
        assert_eq!(next.call(["PING"]), Reply::Simple("PONG".to_owned()));
        assert!(is_alive(old) && !upgrade.is_finished());
        redis.process().signal("CONT");
        assert_eq!(client.read(), Reply::Integer(1));
        assert_eq!(client.read(), Reply::bulk("value"));
        let (code, text) = upgrade.join().unwrap();
        assert_eq!((code, text.contains("; 1 client")), (0, true), "{text}");
    });
    eventually("the old process is gone", || (!is_alive(old)).then_some(()));
    assert_eq!(client.call(["INCR", "once"]), Reply::Integer(2));
}

#[test]
fn a_new_process_that_is_lost_while_it_takes_over_leaves_the_old_one_serving() {
    let _alone = alone(module_path!());
    let redis = Redis::start();
    let line = Line::start(
        &["--cores", "2"],
        &[Pool::over("alpha", std::slice::from_ref(&redis))],
    );
    let mut client = line.proxy.client("alpha");
    client.call(["SET", "key", "value"]);
    redis.process().signal("STOP");
    client.send(["INCR", "once"]);
    let old = line.pid();
    thread::scope(|scope| {
        let upgrade = scope.spawn(|| line.admin.ctl("upgrade"));
        eventually("the new process serves", || {
            (line.pid() != old).then_some(())
        });
        let new = line.pid().to_string();
        let killed = Command::new("kill").args(["-KILL", &new]).status();
        assert!(killed.unwrap().success());
        let (code, text) = upgrade.join().unwrap();
        assert!(code == 1 && text.contains("serving on"), "{text}");
    });
    redis.process().signal("CONT");
    assert_eq!(client.read(), Reply::Integer(1));
    let pong = Reply::Simple("PONG".to_owned());
    assert_eq!(line.proxy.client("alpha").call(["PING"]), pong);
    assert_eq!((line.pid(), line.admin.file().as_str()), (old, "0\n"));
    assert!(line.admin.port_is_open() && line.admin.get("/health").status == 200);
    // And the next one is as good as the first.
    line.upgrade();
    assert_eq!(client.call(["INCR", "once"]), Reply::Integer(2));
}

/// A proxy whose program is a file that the test can change.
struct Replaceable {
    line: PathBuf,
    process: Process,
    admin: Admin,
    directory: TempDir,
    port: Port,
    _stats: Port,
    redis: Redis,
}

/// It calls the real program by its own name, so that it is what is started again.
fn wrapper(arguments: &str) -> String {
    format!("#!/bin/bash\nexec -a \"$0\" '{PROGRAM}' \"$@\" {arguments}\n")
}

impl Replaceable {
    fn start(arguments: &[&str]) -> Replaceable {
        Replaceable::start_as(&wrapper("--cores 2"), arguments)
    }

    fn start_as(text: &str, arguments: &[&str]) -> Replaceable {
        let (directory, redis) = (TempDir::new().unwrap(), Redis::start());
        let (port, stats, admin) = (Port::reserve(), Port::reserve(), Admin::new());
        let program = directory.path().join("program");
        write_program(&program, text);
        let yml = format!(
            "alpha:\n  listen: {}\n  redis: true\n  servers:\n   - {}:1 one\n",
            port.address(),
            redis.address()
        );
        fs::write(directory.path().join("proxy.yml"), yml).unwrap();
        let mut command = Command::new(&program);
        command.current_dir(directory.path());
        command.args(["-c", "proxy.yml", "-p", "pid", "-a", "127.0.0.1", "-s"]);
        command.arg(stats.number().to_string());
        command.args(admin.arguments()).args(arguments);
        let process = Process::start(&mut command, &directory.path().join("out"));
        eventually("it is healthy", || (admin.file() == "0\n").then_some(()));
        Replaceable {
            line: directory.path().join("pid"),
            process,
            admin,
            directory,
            port,
            _stats: stats,
            redis,
        }
    }

    fn pid(&self) -> String {
        fs::read_to_string(&self.line).unwrap()
    }

    fn replace(&self, text: &str) {
        write_program(&self.directory.path().join("program"), text);
    }
}

// Under another name first: a file that runs cannot be written.
fn write_program(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

impl Drop for Replaceable {
    fn drop(&mut self) {
        end_of_line(&self.line, self.admin.socket_path().to_str().unwrap());
    }
}

#[test]
fn if_the_new_process_is_no_good_the_old_one_serves_on_and_says_why() {
    let _alone = alone(module_path!());
    let proxy = Replaceable::start(&[]);
    let mut client = Client::connect(proxy.port.address());
    let pid = proxy.pid();
    let mut fails = |why: &str| {
        let (code, text) = proxy.admin.ctl("upgrade");
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("serving on") && text.contains(why),
            "{why}: {text}"
        );
        proxy.process.logs(why);
        assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
        assert_eq!(
            Client::connect(proxy.port.address()).call(["PING"]),
            Reply::Simple("PONG".to_owned())
        );
        assert_eq!(
            (proxy.admin.file().as_str(), proxy.pid()),
            ("0\n", pid.clone())
        );
        assert_eq!(proxy.admin.get("/health").status, 200);
        assert!(proxy.admin.port_is_open());
    };
    proxy.replace("#!/bin/sh\nexit 3\n");
    fails("exit status: 3");
    proxy.replace("#!/bin/sh\nkill -SEGV $$\n");
    fails("signal: 11");
    // A version that knows nothing of all this finds its ports taken.
    proxy.replace(&format!(
        "#!/bin/sh\nunset COREMUX_HAND_OVER_FROM\nexec '{PROGRAM}' \"$@\"\n"
    ));
    fails("exit status: 1");
    fs::remove_file(proxy.directory.path().join("program")).unwrap();
    fails("No such file");
    proxy.replace(&wrapper("--cores 2"));
    let yml = proxy.directory.path().join("proxy.yml");
    let good = fs::read_to_string(&yml).unwrap();
    fs::write(&yml, good.replace("redis:", "radis:")).unwrap();
    fails("radis");
    let taken = TempDir::new().unwrap();
    fs::write(taken.path().join("beta"), "no socket").unwrap();
    let elsewhere = format!(
        "beta:\n  listen: {}\n  redis: true\n  servers:\n   - 192.0.2.1:1:1\n",
        taken.path().join("beta").display()
    );
    fs::write(&yml, good.clone() + &elsewhere).unwrap();
    fails("not a socket");
    fs::write(&yml, good).unwrap();
    let (code, text) = proxy.admin.ctl("upgrade");
    assert_eq!(code, 0, "{text}");
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
}

#[test]
fn a_new_process_may_have_fewer_or_more_workers() {
    let _alone = alone(module_path!());
    let proxy = Replaceable::start(&[]);
    let clients = (0..16).map(|_| Client::connect(proxy.port.address()));
    let counting = Counting::start(clients.collect());
    for cores in ["0,", "0-1", "1,", "0-1"] {
        proxy.replace(&wrapper(&format!("--cores {cores}")));
        counting.go_on();
        let (code, text) = proxy.admin.ctl("upgrade");
        assert_eq!(code, 0, "{text}");
        // In the queue of every listening socket that there was.
        let fresh: Vec<_> = (0..16)
            .map(|_| Client::connect(proxy.port.address()))
            .collect();
        for mut client in fresh {
            assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
        }
    }
    counting.go_on();
    assert!(counting.end().into_iter().all(|count| count > 0));
}

#[test]
fn a_signal_upgrades_too_and_two_at_once_upgrade_once() {
    let _alone = alone(module_path!());
    let mut line = Line::start(
        &["--cores", "1"],
        &[Pool::new("alpha").server("127.0.0.1:1")],
    );
    let mut client = line.proxy.client("alpha");
    let old = line.pid();
    line.proxy.process().signal("USR2");
    line.proxy.process().signal("USR2");
    eventually("the old process is gone", || line.proxy.process().ended());
    let new = line.pid();
    assert_ne!(new, old);
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
    let serving = || line.admin.ctl("status").1;
    assert!(serving().contains("took over 1 client"), "{}", serving());
    assert_eq!(line.pid(), new);
}

#[test]
fn a_daemon_is_upgraded_by_its_pid_file_which_always_names_the_one_that_serves() {
    let _alone = alone(module_path!());
    let proxy = Replaceable::start(&["-d", "-o", "log"]);
    let mut client = Client::connect(proxy.port.address());
    let old: u32 = proxy.pid().parse().unwrap();
    let told = Command::new(PROGRAM)
        .args(["--upgrade", "-p"])
        .arg(&proxy.line)
        .output()
        .unwrap();
    let new: u32 = proxy.pid().parse().unwrap();
    assert!(told.status.success() && new != old, "{told:?}");
    eventually("the old process is gone", || (!is_alive(old)).then_some(()));
    assert_eq!(client.call(["PING"]), Reply::Simple("PONG".to_owned()));
    let log = || fs::read_to_string(proxy.directory.path().join("log")).unwrap();
    assert!(
        log().contains("client connections handed over count=1"),
        "{}",
        log()
    );
    // What is the process's is gone with the last one.
    let status = Command::new("kill").arg(new.to_string()).status().unwrap();
    assert!(status.success());
    eventually("the new process is gone", || (!is_alive(new)).then_some(()));
    assert!(!proxy.line.exists() && !proxy.admin.socket_path().exists());
    assert_eq!(proxy.admin.file(), "1\n");
    let nobody = Command::new(PROGRAM)
        .args(["--upgrade", "-p"])
        .arg(&proxy.line)
        .output();
    assert_eq!(nobody.unwrap().status.code(), Some(2));
}
