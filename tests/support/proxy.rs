//! The proxy under test, or nutcracker to compare it with.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::Client;
use super::PATIENCE;
use super::Pool;
use super::Port;
use super::Process;
use super::Stats;
use super::eventually;

/// Which proxy; both take the same configuration file and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The one built from this source.
    Coremux,
    /// Debian's twemproxy.
    Nutcracker,
}

/// Has Coremux work on all cores where a test does not choose: several workers find more.
fn every_core(program: Program, arguments: &[&str]) -> Vec<String> {
    if program == Program::Nutcracker || arguments.contains(&"--cores") {
        return Vec::new();
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    vec!["--cores".to_owned(), cores.to_string()]
}

/// Gives out listening addresses while a configuration file is written.
#[derive(Debug)]
pub struct Listen {
    directory: PathBuf,
    tcp: BTreeMap<String, Port>,
    unix: BTreeMap<String, PathBuf>,
}

impl Listen {
    /// A fresh TCP address for `pool`, as `listen:` takes it.
    pub fn tcp(&mut self, pool: &str) -> SocketAddr {
        let port = Port::reserve();
        let address = port.address();
        self.tcp.insert(pool.to_owned(), port);
        address
    }

    /// A unix socket for `pool`, as `listen:` takes it.
    pub fn unix(&mut self, pool: &str) -> String {
        let path = self.directory.join(format!("{pool}.sock"));
        self.unix.insert(pool.to_owned(), path.clone());
        path.to_str().expect("a directory in UTF-8").to_owned()
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    // Dropped in this order: the process before its directory.
    process: Process,
    listen: Listen,
    stats: Port,
    directory: TempDir,
}

impl Proxy {
    /// Starts `program` with the file that `yml` writes, and waits until it listens everywhere.
    ///
    /// `yml` is called again, with other ports, if somebody took one of them in the meantime.
    pub fn start(program: Program, yml: impl FnMut(&mut Listen) -> String) -> Proxy {
        Proxy::start_with(program, &[], yml)
    }

    /// The same with further arguments, such as `["-m", "512"]`.
    pub fn start_with(
        program: Program,
        arguments: &[&str],
        mut yml: impl FnMut(&mut Listen) -> String,
    ) -> Proxy {
        loop {
            if let Some(proxy) = Proxy::try_start(program, arguments, &mut yml) {
                return proxy;
            }
        }
    }

    fn try_start(
        program: Program,
        arguments: &[&str],
        yml: &mut impl FnMut(&mut Listen) -> String,
    ) -> Option<Proxy> {
        let directory = TempDir::new().unwrap();
        let mut listen = Listen {
            directory: directory.path().to_owned(),
            tcp: BTreeMap::new(),
            unix: BTreeMap::new(),
        };
        let stats = Port::reserve();
        fs::write(directory.path().join("proxy.yml"), yml(&mut listen)).unwrap();
        let process = Process::start(
            Command::new(match program {
                Program::Coremux => env!("CARGO_BIN_EXE_coremux"),
                Program::Nutcracker => "nutcracker",
            })
            .arg("-c")
            .arg(directory.path().join("proxy.yml"))
            .args(["-a", "127.0.0.1", "-s", &stats.number().to_string()])
            // Statistics that are at most this many milliseconds old.
            .args(["-i", "100"])
            .args(every_core(program, arguments))
            .args(arguments),
            &directory.path().join("proxy.log"),
        );
        let mut proxy = Proxy {
            process,
            listen,
            stats,
            directory,
        };
        eventually("the proxy listens", || {
            if let Some(status) = proxy.process.ended() {
                let log = proxy.process.log();
                assert!(log.contains("in use"), "{program:?} {status}:\n{log}");
                return Some(false);
            }
            proxy.is_ready().then_some(true)
        })
        .then_some(proxy)
    }

    /// Looks without connecting, so that the statistics of a test begin at zero.
    fn is_ready(&self) -> bool {
        let mut ports = self.listen.tcp.values().chain([&self.stats]);
        let mut paths = self.listen.unix.values();
        ports.all(|port| self.process.listens_on(port.number()))
            && paths.all(|path| listens_at(path))
    }

    /// Starts Coremux with `pools`.
    pub fn coremux(pools: &[Pool]) -> Proxy {
        Proxy::coremux_with(&[], pools)
    }

    /// The same with further arguments.
    pub fn coremux_with(arguments: &[&str], pools: &[Pool]) -> Proxy {
        Proxy::of(Program::Coremux, arguments, pools)
    }

    /// Either program with `pools`.
    pub fn of(program: Program, arguments: &[&str], pools: &[Pool]) -> Proxy {
        Proxy::start_with(program, arguments, |listen| {
            pools.iter().map(|pool| pool.yml(listen)).collect()
        })
    }

    /// A connection to `pool`.
    pub fn client(&self, pool: &str) -> Client {
        match self.listen.unix.get(pool) {
            Some(path) => Client::connect_unix(path),
            None => Client::connect(self.address(pool)),
        }
    }

    /// Where `pool` listens, of those given out by [`Listen::tcp`].
    pub fn address(&self, pool: &str) -> SocketAddr {
        self.listen.tcp[pool].address()
    }

    /// Where its statistics are.
    pub fn stats_address(&self) -> SocketAddr {
        self.stats.address()
    }

    /// The statistics, one line of JSON.
    pub fn stats(&self) -> String {
        let mut stream = TcpStream::connect(self.stats_address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut json = String::new();
        stream.read_to_string(&mut json).unwrap();
        json
    }

    /// The statistics, taken apart.
    pub fn numbers(&self) -> Stats {
        Stats::parse(&self.stats())
    }

    /// The name of the server on which each of `keys` lives, as `coremux route` says.
    pub fn servers_of(&self, pool: &str, keys: &[&str]) -> Vec<String> {
        let out = Command::new(env!("CARGO_BIN_EXE_coremux"))
            .args(["route", "-c"])
            .arg(self.config_path())
            .arg("--")
            .args(keys)
            .output()
            .unwrap();
        let table = String::from_utf8(out.stdout).unwrap();
        let servers: Vec<String> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|row| row.first() == Some(&pool))
            .map(|row| row[3].to_owned())
            .collect();
        assert_eq!(servers.len(), keys.len(), "{table}");
        servers
    }

    /// A key, beginning with `prefix`, that lives on the server named `server`.
    pub fn key_on(&self, pool: &str, server: &str, prefix: &str) -> String {
        // Far apart: twemproxy's default hash puts keys that differ in a digit close together.
        let mut random = coremux::base::Random::new(1);
        let keys: Vec<String> = (0..200)
            .map(|_| format!("{prefix}{:x}", random.next_u64()))
            .collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let servers = self.servers_of(pool, &names);
        let place = servers.iter().position(|name| name == server);
        keys[place.expect("one key in 200 lives there")].clone()
    }

    /// Writes another configuration file over the one it was started with.
    pub fn write_config(&self, yml: &str) {
        fs::write(self.config_path(), yml).unwrap();
    }

    /// Its configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.directory().join("proxy.yml")
    }

    /// A directory of its own, with its configuration and log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process, for its log, signals and end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Whether somebody listens on a unix socket; the directory is the proxy's own.
fn listens_at(path: &Path) -> bool {
    // Fields: number, references, protocol, flags (__SO_ACCEPTCON), type, state, inode, path.
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    sockets.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 7 && fields[3] == "00010000" && path == Path::new(fields[7])
    })
}
