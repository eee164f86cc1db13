//! A partner that stands still at any step of an upgrade and goes on later, is killed there, or is
//! told something: at each moment one process accepts at the most, at the end exactly one serves, or
//! none where that was asked for, and no client is lost that was not a killed process's.
#![allow(clippy::disallowed_methods, reason = "a test waits by a real clock")]

use std::fs;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use super::PROGRAM;
use super::Replaceable;
use crate::line::is_alive;
use crate::support::Client;
use crate::support::Reply;

use Final::*;

/// Longer than the longest bound of a step, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

const CLIENTS: usize = 12;

/// Who is left at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Final {
    Old,
    New,
    Nobody,
    /// By whichever of two events comes first.
    NewOrNobody,
    OldOrNobody,
}

/// What is done while one of the two stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// It goes on at once.
    Continue,
    /// It goes on when the other one has given up, if it ever does.
    Stay(Duration),
    /// It is killed.
    Kill,
    /// The other one is killed, then it goes on.
    KillOther,
    /// The old one gets SIGTERM.
    EndOld,
    /// The new one does.
    EndNew,
    /// The old one gets SIGHUP, and the file is another.
    Reload,
    /// The old one gets SIGUSR2 once more.
    Again,
}

use crate::alone;
use crate::support::encode;
use Act::*;

/// Both processes, and who is seen to serve.
struct Scene {
    proxy: Replaceable,
    old: u32,
    clients: Vec<Client>,
    upgrade: Child,
    watch: Watch,
    /// The step at which one of them stands still.
    at: &'static str,
}

fn stopping_wrapper() -> String {
    format!(
        "#!/bin/bash\nexport COREMUX_STOP_AT=\"${{0%/*}}\"\nexec -a \"$0\" \"{PROGRAM}\" \"$@\" --cores 0,\n"
    )
}

fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The state of a process, and its parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn send(pid: u32, name: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(pid.to_string());
    kill.stderr(Stdio::null()).status().unwrap().success()
}

fn signal(pid: u32, name: &str) {
    assert!(send(pid, name), "{name} {pid}");
}

impl Scene {
    /// An upgrade that stands still at `step`.
    fn stopped_at(step: &'static str) -> Scene {
        let proxy = Replaceable::start_as(&stopping_wrapper(), &[]);
        let address = proxy.port.address();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
        for (nth, client) in clients.iter_mut().enumerate() {
            let first = client.call(["INCR", &format!("counter{nth}")]);
            assert_eq!(first, Reply::Integer(1));
        }
        let file = proxy.directory.path().join(step);
        fs::write(&file, "").unwrap();
        let upgrade = start_upgrade(&proxy);
        let old = proxy.pid().parse().unwrap();
        let scene = Scene {
            at: step,
            watch: Watch::start(address),
            old,
            clients,
            upgrade,
            proxy,
        };
        wait_for(step, || (!file.exists()).then_some(()));
        scene
    }

    fn new_process(&self) -> Option<u32> {
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| *pid != self.old)
            .find(|pid| self.is_ours(*pid))
    }

    fn is_ours(&self, pid: u32) -> bool {
        is_of(&self.proxy, pid)
    }

    /// Does `act` where the upgrade stands still, and sees what comes of it.
    fn act(mut self, step: &str, act: Act, expected: Final, may_lose: bool) {
        let stopped = match step.starts_with("old-") {
            true => self.old,
            false => wait_for("the new process", || self.new_process()),
        };
        wait_for("it stands still", || {
            (stat(stopped).map(|(state, _)| state) == Some('T')).then_some(())
        });
        let new = match step {
            "old-begins" => None,
            _ => Some(wait_for("the new process", || self.new_process())),
        };
        let other = match stopped == self.old {
            true => new.unwrap_or_default(),
            false => self.old,
        };
        match act {
            Continue => {}
            Stay(time) => {
                let deadline = Instant::now() + time;
                while Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(50));
                }
            }
            Kill => signal(stopped, "KILL"),
            KillOther => {
                signal(other, "KILL");
                wait_for("it is dead", || (!is_alive(other)).then_some(()));
            }
            EndOld => signal(self.old, "TERM"),
            EndNew => {
                let new = new.unwrap();
                signal(new, "TERM");
                // Before it serves it says so and is gone, and the old one hears of that.
                if stopped == self.old && !is_committed(step) {
                    wait_for("it ends", || (!is_alive(new)).then_some(()));
                }
            }
            Reload => {
                let path = self.proxy.directory.path().join("proxy.yml");
                let file = fs::read_to_string(&path).unwrap();
                fs::write(&path, file + "  client_connections: 500\n").unwrap();
                signal(self.old, "HUP");
            }
            Again => signal(self.old, "USR2"),
        }
        if act != Kill {
            // Who was given up is dead.
            let _ = send(stopped, "CONT");
        }
        self.see(expected, new, may_lose, act == Reload);
    }

    /// Which of two events came first, as the log says.
    fn settled(&self, expected: Final, may_lose: bool) -> (Final, bool) {
        let says = |words: &str| self.proxy.process.log().contains(words);
        match expected {
            OldOrNobody => wait_for("one or the other is logged", || {
                // Or it has everything before it hears of its end.
                let both_end = says("both processes end") || says("connections handed over");
                let both_end = both_end.then_some((Nobody, true));
                both_end.or_else(|| says("upgrade failed").then_some((Old, may_lose)))
            }),
            NewOrNobody => wait_for("one or the other is logged", || {
                let called_off = says("the upgrade is called off").then_some((Nobody, true));
                called_off.or_else(|| says("draining").then_some((New, may_lose)))
            }),
            expected => (expected, may_lose),
        }
    }

    fn see(&mut self, expected: Final, new: Option<u32>, may_lose: bool, reloads: bool) {
        let ended = wait_for("the upgrade ends", || self.upgrade.try_wait().unwrap());
        let left = || {
            let new = new.or_else(|| self.new_process());
            (
                self.is_ours(self.old),
                new.is_some_and(|new| self.is_ours(new)),
            )
        };
        let (expected, may_lose) = self.settled(expected, may_lose);
        let are_there = match expected {
            Old => (true, false),
            New => (false, true),
            _ => (false, false),
        };
        let deadline = Instant::now() + PATIENCE;
        while are_there != left() {
            assert!(
                Instant::now() < deadline,
                "{:?}\n{}",
                left(),
                self.proxy.process.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
        let (old_is_left, new_is_left) = are_there;
        let is_served = old_is_left || new_is_left;
        let log = self.proxy.process.log();
        // The new process has accepted since it serves: such a connection ends with it.
        let accepts = self.at.starts_with("new-") && place(self.at) >= place("new-client");
        self.watch
            .end(is_served, may_lose || accepts, self.old, &log);
        if !old_is_left && !new_is_left {
            return;
        }
        if expected == New && !may_lose {
            assert!(ended.success(), "{}", self.proxy.process.log());
        }
        let mut lost = 0;
        for (nth, client) in self.clients.iter_mut().enumerate() {
            let mut request = Vec::new();
            encode(&mut request, ["INCR", &format!("counter{nth}")]);
            match client
                .try_send_raw(&request)
                .and_then(|()| client.try_read())
            {
                Ok(reply) => assert_eq!(reply, Reply::Integer(2)),
                Err(_) => lost += 1,
            }
        }
        assert!(
            may_lose || lost == 0,
            "{lost} lost\n{}",
            self.proxy.process.log()
        );
        // Everything that names the process names the one that is left, and it is whole.
        let pid = match old_is_left {
            true => self.old,
            false => new.or_else(|| self.new_process()).unwrap(),
        };
        let deadline = Instant::now() + PATIENCE;
        while self.proxy.pid() != pid.to_string() {
            let named = self.proxy.pid();
            assert!(
                Instant::now() < deadline,
                "{named} {pid}\n{}",
                self.proxy.process.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
        wait_for("it is healthy", || {
            (self.proxy.admin.file() == "0\n").then_some(())
        });
        assert_eq!(self.proxy.admin.get("/health").status, 200);
        assert!(self.proxy.admin.port_is_open());
        if reloads {
            // It has been read, by whoever is left.
            wait_for("the new file is served", || {
                let (code, text) = self.proxy.admin.ctl("reload");
                assert_eq!(code, 0, "{text}");
                text.contains("nothing is different").then_some(())
            });
            wait_for("it was reloaded", || {
                self.proxy.process.log().contains("reloaded").then_some(())
            });
        }
        // And it can be upgraded.
        let (code, text) = self.proxy.admin.ctl("upgrade");
        assert_eq!(code, 0, "{text}\n{}", self.proxy.process.log());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.watch.stop.store(true, Ordering::Relaxed);
        for pid in [Some(self.old), self.new_process()].into_iter().flatten() {
            if self.is_ours(pid) {
                let _ = Command::new("kill")
                    .args(["-KILL", &pid.to_string()])
                    .status();
            }
        }
        let _ = self.upgrade.kill();
        let _ = self.upgrade.wait();
    }
}

/// Connects again and again, and notes which process it is that serves.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Option<JoinHandle<Vec<Seen>>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// This process answered, and another that had answered before lived at that time.
    By {
        pid: u32,
        earlier_lives: bool,
    },
    Broken,
}

impl Watch {
    fn start(address: std::net::SocketAddr) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let seen = thread::spawn(move || {
            let mut seen = Vec::new();
            let mut earlier: Option<u32> = None;
            while !stopped.load(Ordering::Relaxed) {
                let Ok(stream) = std::net::TcpStream::connect(address) else {
                    seen.push(Seen::Broken);
                    thread::sleep(Duration::from_millis(20));
                    continue;
                };
                match process_id(stream) {
                    Some(pid) => {
                        let other = earlier.filter(|other| *other != pid);
                        let earlier_lives = other.is_some_and(is_alive);
                        earlier = Some(pid);
                        seen.push(Seen::By { pid, earlier_lives });
                    }
                    None => seen.push(Seen::Broken),
                }
                thread::sleep(Duration::from_millis(3));
            }
            seen
        });
        Watch {
            stop,
            seen: Some(seen),
        }
    }

    /// The old process may live yet when the new one serves, and never the other way round.
    fn end(&mut self, is_served: bool, may_lose: bool, old: u32, log: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.seen.take().unwrap().join().unwrap();
        let back =
            |seen: &&Seen| matches!(seen, Seen::By { pid, earlier_lives: true } if *pid == old);
        let two = seen.iter().filter(back).count();
        assert_eq!(two, 0, "two processes accept");
        let broken = seen.iter().filter(|seen| **seen == Seen::Broken).count();
        assert!(
            may_lose || !is_served || broken == 0,
            "{broken} were not served\n{seen:?}\n{log}"
        );
    }
}

/// Which process serves this connection.
fn process_id(mut stream: std::net::TcpStream) -> Option<u32> {
    use std::io::Read;
    use std::io::Write;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"INFO server\r\n").ok()?;
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
        text += &String::from_utf8_lossy(&bytes[..read]);
        let line = text.split("process_id:").nth(1);
        if let Some((pid, _)) = line.and_then(|line| line.split_once("\r\n")) {
            return pid.parse().ok();
        }
    }
}

/// A step, and what is left when it is reached: the old process has said nothing yet that lets the
/// new one serve, the new one may have said so, or all is over.
const OLD_SIDE: [&str; 9] = [
    "old-begins",
    "old-started",
    "old-introduced",
    "old-ready",
    "old-rests",
    "old-committed",
    "old-serving",
    "old-client",
    "old-end",
];
const NEW_SIDE: [&str; 9] = [
    "new-begins",
    "new-introduced",
    "new-ready",
    "new-committed",
    "new-serving",
    "new-client",
    "new-taken",
    "new-end",
    "new-thanked",
];

/// Runs all cases, a few at a time, and names those that failed.
fn run(cases: Vec<(&'static str, Act, Final, bool)>, at_once: usize) {
    let cases = Arc::new(std::sync::Mutex::new(cases.into_iter()));
    let runners = (0..at_once).map(|_| {
        let cases = Arc::clone(&cases);
        thread::spawn(move || {
            let mut failed = Vec::new();
            loop {
                let next = cases.lock().unwrap().next();
                let Some((step, act, expected, may_lose)) = next else {
                    return failed;
                };
                let run = std::panic::catch_unwind(|| {
                    Scene::stopped_at(step).act(step, act, expected, may_lose);
                });
                if run.is_err() {
                    failed.push(format!("{step} {act:?}: {expected:?}"));
                }
            }
        })
    });
    let runners: Vec<_> = runners.collect();
    let failed: Vec<String> = runners
        .into_iter()
        .flat_map(|r| r.join().unwrap())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn place(step: &str) -> usize {
    let all = OLD_SIDE.iter().chain(&NEW_SIDE);
    let same = all.filter(|known| known[..4] == step[..4]);
    same.into_iter().position(|known| *known == step).unwrap()
}

/// The new process serves, or will without another word of the old one.
fn is_committed(step: &str) -> bool {
    match step.starts_with("old-") {
        true => place(step) >= place("old-committed"),
        false => place(step) >= place("new-serving"),
    }
}

#[test]
fn who_goes_on_soon_is_waited_for_and_signals_change_nothing() {
    let _alone = alone(module_path!());
    let mut cases = Vec::new();
    for step in OLD_SIDE.iter().chain(&NEW_SIDE) {
        cases.push((*step, Continue, New, false));
        cases.push((*step, Reload, New, false));
        // The old one has gone when the new one has thanked.
        if *step != "new-thanked" {
            cases.push((*step, Again, New, false));
        }
    }
    run(cases, 3);
}

#[test]
fn who_stands_still_is_given_up_and_serves_no_more_when_it_goes_on() {
    let _alone = alone(module_path!());
    let secs = Duration::from_secs;
    let mut cases = Vec::new();
    // The new one has 30 s to get ready, 5 s to serve, and 10 s for each client.
    for (step, within) in NEW_SIDE.iter().zip([33, 33, 8, 8, 13, 13, 13, 13]) {
        let takes = place(step) > place("new-client");
        cases.push((*step, Stay(secs(within)), Old, takes));
    }
    // The old one has 10 s to say what there is, and 20 s for each word.
    for (step, within) in OLD_SIDE.iter().zip([1, 13, 23, 23, 23, 23, 23, 23, 3]) {
        let expected = match *step {
            "old-begins" => New,
            _ if is_committed(step) => New,
            _ => Old,
        };
        let drains = is_committed(step) && *step != "old-end";
        cases.push((*step, Stay(secs(within)), expected, drains));
    }
    run(cases, 17);
}

#[test]
fn when_one_is_killed_the_other_one_serves() {
    let _alone = alone(module_path!());
    let mut cases = Vec::new();
    for step in &OLD_SIDE[1..] {
        cases.push((*step, Kill, New, true));
        let takes = place(step) >= place("old-committed");
        cases.push((*step, KillOther, Old, takes));
    }
    for step in &NEW_SIDE[..8] {
        cases.push((*step, Kill, Old, place(step) > place("new-client")));
        cases.push((*step, KillOther, New, true));
    }
    run(cases, 3);
}

#[test]
fn an_end_that_is_asked_for_in_the_middle_is_the_end() {
    let _alone = alone(module_path!());
    let mut cases = Vec::new();
    for step in OLD_SIDE.iter().chain(&NEW_SIDE[..8]) {
        let expected = match *step {
            // It has thanked, and perhaps that is read first.
            "old-end" => NewOrNobody,
            _ => Nobody,
        };
        cases.push((*step, EndOld, expected, true));
        let expected = match *step {
            "old-begins" => continue,
            // It says in that very moment that it serves.
            "new-ready" | "new-committed" => OldOrNobody,
            _ if is_committed(step) => Nobody,
            _ => Old,
        };
        cases.push((*step, EndNew, expected, is_committed(step)));
    }
    run(cases, 3);
}

fn is_of(proxy: &Replaceable, pid: u32) -> bool {
    let mark = format!("--ctl={}", proxy.admin.socket_path().display());
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.contains(&mark) && is_alive(pid)
}

fn other_of(proxy: &Replaceable, old: u32) -> Option<u32> {
    let pids = fs::read_dir("/proc").unwrap();
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| *pid != old && is_of(proxy, *pid))
}

fn start_upgrade(proxy: &Replaceable) -> Child {
    Command::new(PROGRAM)
        .args(["ctl", "--socket"])
        .arg(proxy.admin.socket_path())
        .arg("upgrade")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_new_process_that_stands_still_when_it_is_ready_is_no_outage_for_thousands_of_clients() {
    let _alone = alone(module_path!());
    const MANY: usize = 1_500;
    let proxy = Replaceable::start_as(&stopping_wrapper(), &[]);
    let address = proxy.port.address();
    let mut clients: Vec<_> = (0..MANY).map(|_| Client::connect(address)).collect();
    let old = proxy.pid().parse().unwrap();
    let step = proxy.directory.path().join("new-ready");
    fs::write(&step, "").unwrap();
    let mut upgrade = start_upgrade(&proxy);
    wait_for("it stands still", || (!step.exists()).then_some(()));
    let new = wait_for("the new process", || other_of(&proxy, old));
    let pong = Reply::Simple("PONG".to_owned());
    // Those who are there notice nothing, and those who come wait as long as the step may take.
    assert_eq!(clients[0].call(["PING"]), pong);
    let began = Instant::now();
    let mut next = Client::connect(address);
    next.set_read_timeout(PATIENCE);
    assert_eq!(next.call(["PING"]), pong);
    assert!(began.elapsed() < Duration::from_secs(10));
    wait_for("the upgrade ends", || upgrade.try_wait().unwrap());
    assert!(!is_alive(new) && is_alive(old));
    for client in &mut clients {
        assert_eq!(client.call(["PING"]), pong);
    }
    let why = "did not begin to serve within 5 s";
    wait_for(why, || proxy.process.log().contains(why).then_some(()));
}

#[test]
fn a_process_that_is_told_to_end_while_it_upgrades_leaves_no_other_behind() {
    let _alone = alone(module_path!());
    let proxy = Replaceable::start(&[]);
    let mut client = Client::connect(proxy.port.address());
    assert_eq!(client.call(["SET", "key", "value"]), Reply::ok());
    let old = proxy.pid().parse().unwrap();
    // A request that is not answered makes the drain last.
    proxy.redis.process().signal("STOP");
    client.send(["GET", "key"]);
    let mut upgrade = start_upgrade(&proxy);
    let new = wait_for("the new process", || other_of(&proxy, old));
    signal(new, "STOP");
    signal(old, "TERM");
    wait_for("it drains", || {
        proxy.process.log().contains("draining").then_some(())
    });
    send(new, "CONT");
    // As long as it takes to get ready and to take over.
    wait_for("it is over", || {
        let log = proxy.process.log();
        let ready = log.contains("the new process is ready");
        (ready || !is_alive(new)).then_some(())
    });
    proxy.redis.process().signal("CONT");
    assert_eq!(client.read(), Reply::bulk("value"));
    wait_for("both are gone", || {
        (!is_alive(old) && !is_alive(new)).then_some(())
    });
    wait_for("the upgrade ends", || upgrade.try_wait().unwrap());
}
