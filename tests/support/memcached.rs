//! A real memcached, and its text protocol as a client reads it.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use super::Client;
use super::Port;
use super::Process;
use super::eventually;

/// A memcached on 127.0.0.1.
#[derive(Debug)]
pub struct Memcached {
    // Dropped in this order: the process before its directory.
    process: Option<Process>,
    port: Port,
    directory: TempDir,
}

impl Memcached {
    /// Starts one and waits until it answers.
    pub fn start() -> Memcached {
        loop {
            let mut server = Memcached {
                process: None,
                port: Port::reserve(),
                directory: TempDir::new().unwrap(),
            };
            if server.try_run() {
                return server;
            }
        }
    }

    /// Starts `count` of them.
    pub fn fleet(count: usize) -> Vec<Memcached> {
        (0..count).map(|_| Memcached::start()).collect()
    }

    /// 127.0.0.1 and its port, which stays the same over [`Memcached::kill`] and
    /// [`Memcached::restart`].
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A connection of the test's own, past any proxy.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Stops it as a crash does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`Memcached::kill`], empty, on the same port.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        assert!(self.try_run(), "the port was taken in the meantime");
    }

    /// The running process, for signals.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it was killed")
    }

    fn try_run(&mut self) -> bool {
        let log = self.directory.path().join("memcached.log");
        let mut process = Process::start(
            Command::new("memcached")
                // As root it wants to be told who else to be.
                .args(["-u", "nobody", "-l", "127.0.0.1", "-U", "0", "-t", "1"])
                .args(["-p", &self.port.number().to_string()]),
            &log,
        );
        let ready = eventually("memcached listens", || {
            if let Some(status) = process.ended() {
                let log = process.log();
                assert!(log.contains("in use"), "memcached {status}:\n{log}");
                return Some(false);
            }
            process.listens_on(self.port.number()).then_some(true)
        });
        self.process = Some(process);
        ready
    }
}

impl Client {
    /// Reads one reply of memcached's text protocol, to a `get`, a `stats` or anything else: all its
    /// bytes.
    pub fn read_text(&mut self) -> Vec<u8> {
        let mut reply = Vec::new();
        loop {
            let line = self.read_line();
            reply.extend_from_slice(&line);
            let mut words = line.split(|byte| byte.is_ascii_whitespace());
            match words.next() {
                Some(b"VALUE") => {
                    let length = words.nth(2).expect("a length");
                    let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
                    reply.extend(self.read_raw(length + 2));
                }
                Some(b"STAT") => {}
                _ => return reply,
            }
        }
    }

    /// Sends requests of that protocol, all at once, and reads as many replies.
    pub fn texts(&mut self, requests: &[u8], count: usize) -> Vec<Vec<u8>> {
        let mut out = self.writer();
        std::thread::scope(|scope| {
            scope.spawn(move || std::io::Write::write_all(&mut out, requests).unwrap());
            (0..count).map(|_| self.read_text()).collect()
        })
    }

    /// Sends one request of that protocol and reads the reply.
    pub fn text(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send_raw(request.as_ref());
        String::from_utf8(self.read_text()).unwrap()
    }
}
