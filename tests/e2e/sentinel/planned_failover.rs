//! A failover that somebody asks for loses no acknowledged write, also when the proxy is told of
//! another file, or is upgraded, in the middle of it; one that a dead master needs costs no error.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::Admin;
use crate::support::Client;
use crate::support::Group;
use crate::support::Pool;
use crate::support::Proxy;
use crate::support::Reply;
use crate::support::eventually;
use crate::support::now;

const CLIENTS: usize = 6;

/// A group, a proxy before it, and whoever takes over from that.
struct World {
    group: Group,
    proxy: Proxy,
    admin: Admin,
}

impl World {
    fn start(keys: &[(&str, &str)]) -> World {
        let group = Group::start(1, 1, "");
        let pool = Pool::new("alpha")
            .with("sentinels", group.yml())
            .with("timeout", 2000)
            .with("read_from", "prefer-replica")
            .with("replica_lag_ms", 500)
            .server(group.servers[0][0].address());
        let pool = keys.iter().fold(pool, |pool, (key, v)| pool.with(key, v));
        let admin = Admin::new();
        let pid_file = admin.socket_path().with_extension("pid");
        let mut arguments = admin.arguments();
        arguments.extend(["--cores", "2", "-p", pid_file.to_str().unwrap()].map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let proxy = Proxy::coremux_with(&arguments, &[pool]);
        let mut world = World {
            group,
            proxy,
            admin,
        };
        world.logged("majority of the sentinels heard");
        world.logged("master found");
        world
    }

    fn log(&mut self) -> String {
        self.proxy.process().log()
    }

    fn logged(&mut self, words: &str) {
        eventually(words, || self.log().contains(words).then_some(()));
    }

    fn fail_over(&self) {
        let mut sentinel = self.group.sentinels[0].client();
        // A replica that it has heard too little of is none that it takes.
        eventually("the Sentinel begins a failover", || {
            let reply = sentinel.call(["SENTINEL", "FAILOVER", "s1"]);
            (reply == Reply::ok()).then_some(())
        });
    }

    /// The proxy has just followed a replica by that one's own word. A Sentinel that gives up, or a busy
    /// machine on which the Sentinels are first to tell, is another try.
    fn just_promoted() -> World {
        let tries = (0..3).map(|_| {
            let mut world = World::start(&[]);
            world.fail_over();
            let until = now() + Duration::from_secs(8);
            while now() < until {
                if world.log().contains("source=promotion") {
                    return Ok(world);
                }
                thread::sleep(Duration::from_millis(1));
            }
            Err(world.log())
        });
        let mut logs = Vec::new();
        for tried in tries {
            match tried {
                Ok(world) => return world,
                Err(log) => logs.push(log),
            }
        }
        panic!("no promotion was followed: {logs:#?}");
    }

    /// The replica of the beginning, once most Sentinels take it for the master.
    fn settled(&self) -> SocketAddr {
        let new = self.group.servers[0][1].address();
        eventually("most agree on the new master", || {
            (self.group.master(0) == new).then_some(())
        });
        new
    }

    /// Another file that differs in nothing that has to do with masters.
    fn reload(&self) {
        let text = fs::read_to_string(self.proxy.config_path()).unwrap();
        self.proxy
            .write_config(&text.replace("replica_lag_ms: 500", "replica_lag_ms: 600"));
        let (code, text) = self.admin.ctl("reload");
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("reloaded"), "{text}");
    }

    fn upgrade(&self) {
        let (code, text) = self.admin.ctl("upgrade");
        assert_eq!(code, 0, "{text}");
    }

    fn counting(&self) -> Counting {
        Counting::start((0..CLIENTS).map(|_| self.proxy.client("alpha")).collect())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The first process is the proxy's own.
        let mark = self.admin.socket_path();
        let Ok(pid) = fs::read_to_string(mark.with_extension("pid")) else {
            return;
        };
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.contains(mark.to_str().unwrap()) {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    }
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    /// The highest number that was acknowledged, or how many were: the larger.
    acknowledged: i64,
    errors: Vec<String>,
    slowest: Duration,
}

/// Clients each of which counts on a key of its own.
struct Counting {
    threads: Vec<JoinHandle<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Counting {
    fn start(clients: Vec<Client>) -> Counting {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = clients.into_iter().enumerate();
        let threads = clients.map(|(nth, mut client)| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let (key, mut seen) = (format!("counter{nth}"), Seen::default());
                while !stop.load(Ordering::Relaxed) {
                    let begun = now();
                    match client.call(["INCR", &key]) {
                        Reply::Integer(_) => seen.acknowledged += 1,
                        other => seen.errors.push(format!("{other:?}")),
                    }
                    seen.slowest = seen.slowest.max(now() - begun);
                }
                seen
            })
        });
        Counting {
            threads: threads.collect(),
            stop,
        }
    }

    /// What each of them has seen.
    fn end(self) -> impl Iterator<Item = Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
    }

    /// How many acknowledged writes the server at the end does not have.
    fn lost_at(self, mut server: Client) -> i64 {
        let (mut lost, mut errors, mut slowest) = (0, Vec::new(), Duration::ZERO);
        let mut acknowledged = 0;
        for (nth, seen) in self.end().enumerate() {
            let there = match server.call(["GET", &format!("counter{nth}")]) {
                Reply::Bulk(count) => String::from_utf8(count).unwrap().parse().unwrap(),
                Reply::Null => 0,
                other => panic!("{other:?}"),
            };
            lost += (seen.acknowledged - there).max(0);
            acknowledged += seen.acknowledged;
            errors.extend(seen.errors);
            slowest = slowest.max(seen.slowest);
        }
        println!("{lost} of {acknowledged} lost, errors {errors:?}, slowest {slowest:?}");
        lost
    }
}

#[test]
fn a_reload_just_after_a_promotion_does_not_lead_back_to_the_old_master() {
    let mut world = World::just_promoted();
    let counting = world.counting();
    world.reload();
    let new = world.settled();
    let lost = counting.lost_at(world.group.server_at(0, new).client());
    assert_eq!(lost, 0, "{}", world.log());
}

#[test]
fn a_file_that_has_a_master_elsewhere_moves_none_that_the_sentinels_name() {
    let world = World::start(&[]);
    let [master, replica] = [0, 1].map(|place| world.group.servers[0][place].address());
    let text = fs::read_to_string(world.proxy.config_path()).unwrap();
    let text = text.replace(&format!("- {master}:1 "), &format!("- {replica}:1 "));
    world.proxy.write_config(&text);
    let (code, said) = world.admin.ctl("reload");
    assert!(code == 0 && said.contains("reloaded"), "{said}");
    let mut client = world.proxy.client("alpha");
    assert_eq!(client.call(["SET", "key", "there"]), Reply::ok());
    let there = world
        .group
        .server_at(0, master)
        .client()
        .call(["GET", "key"]);
    assert_eq!(there, Reply::bulk("there"));
}

#[test]
fn an_upgrade_just_after_a_promotion_does_not_lead_back_to_the_old_master() {
    let mut world = World::just_promoted();
    let counting = world.counting();
    world.upgrade();
    let new = world.settled();
    let lost = counting.lost_at(world.group.server_at(0, new).client());
    assert_eq!(lost, 0, "{}", world.log());
    world.logged("source=hand-over");
}

#[test]
fn a_failover_that_somebody_asks_for_loses_no_acknowledged_write() {
    let mut world = World::start(&[]);
    let counting = world.counting();
    world.fail_over();
    world.logged("master moved");
    let new = world.settled();
    let lost = counting.lost_at(world.group.server_at(0, new).client());
    assert_eq!(lost, 0, "{}", world.log());
}

#[test]
fn a_master_that_dies_costs_no_error_though_the_file_does_not_say_how_long_to_wait() {
    let mut world = World::start(&[]);
    world.group.servers[0][0].kill();
    assert!(
        world.log().contains("hold_ms=4500 down_after_ms=2000"),
        "{}",
        world.log()
    );
    // No write is under way at that moment: the outcome of each is known.
    let counting = world.counting();
    world.logged("master moved");
    let seen: Vec<Seen> = counting.end().collect();
    let errors: Vec<&String> = seen.iter().flat_map(|seen| &seen.errors).collect();
    assert!(errors.is_empty(), "{errors:?}\n{}", world.log());
    let slowest = seen.iter().map(|seen| seen.slowest).max().unwrap();
    assert!(
        slowest > Duration::from_millis(800),
        "nobody waited: {slowest:?}"
    );
    assert!(
        seen.iter().all(|seen| seen.acknowledged > 0),
        "nobody goes on"
    );
}
