//! Real redis-sentinels, and a master with its replicas that they watch.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::Client;
use super::Port;
use super::Process;
use super::Redis;
use super::Reply;
use super::eventually;

/// A redis-sentinel on 127.0.0.1.
#[derive(Debug)]
pub struct Sentinel {
    // Dropped in this order: the process before its directory.
    process: Option<Process>,
    port: Port,
    directory: TempDir,
    password: Option<String>,
}

impl Sentinel {
    /// Starts one that watches `masters`, each a name and an address; it and one more are enough
    /// to say that a master is down. `lines` is more of its file.
    pub fn start(masters: &[(&str, SocketAddr)], lines: &str) -> Sentinel {
        loop {
            let port = Port::reserve();
            let mut file = format!("port {}\nbind 127.0.0.1\n{lines}\n", port.number());
            for (name, address) in masters {
                let (ip, port) = match lines.contains("announce-hostnames yes") {
                    true => ("localhost".to_owned(), address.port()),
                    false => (address.ip().to_string(), address.port()),
                };
                file += &format!(
                    "sentinel monitor {name} {ip} {port} 2\n\
                     sentinel down-after-milliseconds {name} 2000\n\
                     sentinel failover-timeout {name} 10000\n"
                );
            }
            let directory = TempDir::new().unwrap();
            fs::write(directory.path().join("sentinel.conf"), file).unwrap();
            let mut sentinel = Sentinel {
                process: None,
                port,
                directory,
                password: lines
                    .lines()
                    .find_map(|line| line.strip_prefix("requirepass "))
                    .map(str::to_owned),
            };
            if sentinel.try_run() {
                return sentinel;
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A connection of the test's own.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Stops it as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, with all that it knew.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        assert!(self.try_run(), "the port was taken in the meantime");
    }

    /// Starts it again with all that it knew, its id, too, at another port.
    pub fn restart_elsewhere(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let file = self.directory.path().join("sentinel.conf");
        loop {
            let (before, next) = (self.port.number(), Port::reserve());
            let text = fs::read_to_string(&file).unwrap();
            let text = text.replace(
                &format!("port {before}\n"),
                &format!("port {}\n", next.number()),
            );
            fs::write(&file, text).unwrap();
            self.port = next;
            if self.try_run() {
                return;
            }
        }
    }

    /// The running process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it was killed")
    }

    /// A number of `SENTINEL MASTER`, such as `num-slaves`.
    pub fn number(&self, master: &str, field: &str) -> Option<u64> {
        let mut client = self.client();
        if let Some(password) = &self.password {
            assert_eq!(client.call(["AUTH", password]), Reply::ok());
        }
        let Reply::Array(fields) = client.call(["SENTINEL", "MASTER", master]) else {
            return None;
        };
        let pair = fields
            .chunks_exact(2)
            .find(|pair| pair[0] == Reply::bulk(field))?;
        match &pair[1] {
            Reply::Bulk(value) => std::str::from_utf8(value).ok()?.parse().ok(),
            _ => None,
        }
    }

    fn try_run(&mut self) -> bool {
        let mut process = Process::start(
            Command::new("redis-sentinel")
                .arg(self.directory.path().join("sentinel.conf"))
                .current_dir(self.directory.path()),
            &self.directory.path().join("sentinel.log"),
        );
        let ready = eventually("redis-sentinel listens", || {
            if let Some(status) = process.ended() {
                let log = process.log();
                assert!(log.contains("in use"), "redis-sentinel {status}:\n{log}");
                return Some(false);
            }
            process.listens_on(self.port.number()).then_some(true)
        });
        self.process = Some(process);
        ready
    }
}

/// Masters, each with replicas, and Sentinels that watch them all.
#[derive(Debug)]
pub struct Group {
    /// By master: the first is the master at the start, the rest are its replicas.
    pub servers: Vec<Vec<Redis>>,
    /// All of them know each other.
    pub sentinels: Vec<Sentinel>,
}

impl Group {
    /// Starts `masters` masters, named as the servers of a `Pool`, with `replicas` replicas each,
    /// and three Sentinels; waits until every Sentinel knows all.
    pub fn start(masters: usize, replicas: usize, sentinel_lines: &str) -> Group {
        let servers: Vec<Vec<Redis>> = (0..masters).map(|_| replicated(replicas)).collect();
        let names: Vec<String> = (0..masters).map(super::Pool::server_name).collect();
        let watched: Vec<(&str, SocketAddr)> = names
            .iter()
            .zip(&servers)
            .map(|(name, servers)| (name.as_str(), servers[0].address()))
            .collect();
        let sentinels: Vec<Sentinel> = (0..3)
            .map(|_| Sentinel::start(&watched, sentinel_lines))
            .collect();
        let group = Group { servers, sentinels };
        group.know_all(&names, replicas);
        group
    }

    fn know_all(&self, names: &[String], replicas: usize) {
        let replicas = replicas.try_into().unwrap();
        for sentinel in &self.sentinels {
            for name in names {
                eventually("the sentinels know all", || {
                    let others = sentinel.number(name, "num-other-sentinels") == Some(2);
                    let slaves = sentinel.number(name, "num-slaves") == Some(replicas);
                    (others && slaves).then_some(())
                });
            }
        }
    }

    /// Where the Sentinels take the master at `place` to be, once most of them agree.
    pub fn master(&self, place: usize) -> SocketAddr {
        let name = super::Pool::server_name(place);
        let mut said: Vec<SocketAddr> = self
            .sentinels
            .iter()
            .filter(|sentinel| sentinel.process.is_some())
            .filter_map(|sentinel| {
                let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &name];
                match sentinel.client().call(ask) {
                    Reply::Array(parts) => {
                        let text = |reply: &Reply| match reply {
                            Reply::Bulk(bytes) => String::from_utf8(bytes.clone()).unwrap(),
                            other => panic!("{other:?}"),
                        };
                        let address = format!("{}:{}", text(&parts[0]), text(&parts[1]));
                        Some(address.parse().unwrap())
                    }
                    _ => None,
                }
            })
            .collect();
        said.sort_unstable();
        said[said.len() / 2]
    }

    /// The server of master `place` that is at `address`.
    pub fn server_at(&self, place: usize, address: SocketAddr) -> &Redis {
        let mut servers = self.servers[place].iter();
        let found = servers.find(|redis| redis.address() == address);
        found.expect("one of the group's own")
    }

    /// The Sentinels' addresses, as `sentinels:` takes them.
    pub fn yml(&self) -> String {
        let addresses = self.sentinels.iter().map(|s| s.address().to_string());
        format!("[{}]", addresses.collect::<Vec<_>>().join(", "))
    }
}

/// A master and its replicas, which have all of it.
fn replicated(replicas: usize) -> Vec<Redis> {
    let master = Redis::start_with(&["--repl-diskless-sync-delay", "0"]);
    let port = master.address().port().to_string();
    let mut servers = vec![master];
    for _ in 0..replicas {
        servers.push(Redis::start_with(&["--replicaof", "127.0.0.1", &port]));
    }
    for replica in &servers[1..] {
        eventually("the replica has followed its master", || {
            let Reply::Array(role) = replica.client().call(["ROLE"]) else {
                return None;
            };
            (role.get(3) == Some(&Reply::bulk("connected"))).then_some(())
        });
    }
    servers
}
