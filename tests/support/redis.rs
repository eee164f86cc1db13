//! A real redis-server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::Client;
use super::Port;
use super::Process;
use super::Reply;
use super::eventually;

/// A redis-server on 127.0.0.1 and on a unix socket, which keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    // Dropped in this order: the process before its directory.
    process: Option<Process>,
    port: Port,
    directory: TempDir,
    arguments: Vec<String>,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// The same with further arguments, such as `["--requirepass", "secret"]`.
    pub fn start_with(arguments: &[&str]) -> Redis {
        loop {
            let mut redis = Redis {
                process: None,
                port: Port::reserve(),
                directory: TempDir::new().unwrap(),
                arguments: arguments
                    .iter()
                    .map(|&argument| argument.to_owned())
                    .collect(),
            };
            if redis.try_run() {
                return redis;
            }
        }
    }

    /// Starts `count` of them.
    pub fn fleet(count: usize) -> Vec<Redis> {
        (0..count).map(|_| Redis::start()).collect()
    }

    /// 127.0.0.1 and its port, which stays the same over [`Redis::kill`] and [`Redis::restart`].
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its unix socket.
    pub fn socket_path(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// A connection of the test's own, past any proxy.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Stops it as a crash does: connections break, and new ones are refused.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`Redis::kill`], empty, on the same port.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        assert!(self.try_run(), "the port was taken in the meantime");
    }

    /// The running process, for signals: "STOP" makes a server that hangs, "CONT" wakes it.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it was killed")
    }

    /// Runs it until it answers; false if its port was taken.
    fn try_run(&mut self) -> bool {
        let log = self.directory.path().join("redis.log");
        let mut process = Process::start(
            Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
                .args(["--port", &self.port.number().to_string()])
                .args(["--unixsocket".as_ref(), self.socket_path().as_os_str()])
                .arg("--dir")
                .arg(self.directory.path())
                .args(&self.arguments),
            &log,
        );
        let ready = eventually("redis-server answers", || {
            if let Some(status) = process.ended() {
                let log = process.log();
                assert!(log.contains("in use"), "redis-server {status}:\n{log}");
                return Some(false);
            }
            if !process.listens_on(self.port.number()) {
                return None;
            }
            match self.client().call(["PING"]) {
                // It asks for a password, so it is ready.
                Reply::Error(text) if text.starts_with("NOAUTH") => Some(true),
                reply => (reply == Reply::Simple("PONG".to_owned())).then_some(true),
            }
        });
        self.process = Some(process);
        ready
    }
}
