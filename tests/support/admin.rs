//! The admin side of a proxy under test: a plain HTTP client, `coremux ctl` and `coremux --check`.

use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::PATIENCE;
use super::Pool;
use super::Port;
use super::Proxy;
use super::eventually;

/// Where a proxy's admin side is: addresses that stay, also while nobody listens.
#[derive(Debug)]
pub struct Admin {
    http: Port,
    health: Port,
    directory: TempDir,
}

/// What was answered to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// 200 and so on.
    pub status: u16,
    /// The lines of the head, after the first.
    pub headers: Vec<String>,
    /// Without the head.
    pub body: String,
}

impl HttpReply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Whether there is such a header line, in small letters.
    pub fn has_header(&self, line: &str) -> bool {
        self.headers.iter().any(|h| h.to_lowercase() == line)
    }
}

impl Admin {
    /// Addresses for one proxy.
    pub fn new() -> Admin {
        Admin {
            http: Port::reserve(),
            health: Port::reserve(),
            directory: TempDir::new().unwrap(),
        }
    }

    /// A proxy with all of it, once it is healthy.
    pub fn start(arguments: &[&str], pools: &[Pool]) -> (Admin, Proxy) {
        let admin = Admin::new();
        let own = admin.arguments();
        let all: Vec<&str> = own
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .collect();
        let proxy = Proxy::coremux_with(&all, pools);
        eventually("it is healthy", || (admin.file() == "0\n").then_some(()));
        (admin, proxy)
    }

    /// What tells a proxy to use them.
    pub fn arguments(&self) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            format!("--admin={}", self.http.address()),
            format!("--health={}", self.health.address()),
            format!("--health-file={}", path(self.file_path())),
            format!("--ctl={}", path(self.socket_path())),
        ]
    }

    /// The admin address.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The health port.
    pub fn health_address(&self) -> SocketAddr {
        self.health.address()
    }

    /// The health file.
    pub fn file_path(&self) -> PathBuf {
        self.directory.path().join("health")
    }

    /// What is in it; nothing if it is not there.
    pub fn file(&self) -> String {
        fs::read_to_string(self.file_path()).unwrap_or_default()
    }

    /// The control socket.
    pub fn socket_path(&self) -> PathBuf {
        self.directory.path().join("ctl.sock")
    }

    /// GETs a path of the admin address.
    pub fn get(&self, path: &str) -> HttpReply {
        http(self.address(), &format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    /// Whether the health port can be connected to; it refuses otherwise, at once.
    pub fn port_is_open(&self) -> bool {
        match TcpStream::connect_timeout(&self.health_address(), PATIENCE) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => false,
            Err(error) => panic!("neither open nor closed: {error}"),
        }
    }

    /// Runs `coremux ctl`: exit code and stdout.
    pub fn ctl(&self, words: &str) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_coremux"))
            .arg("ctl")
            .arg("--socket")
            .arg(self.socket_path())
            .args(words.split_whitespace())
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    }

    /// A run of `coremux ctl` that may take its time; what it says is read as it comes.
    pub fn ctl_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coremux"));
        command.arg("ctl").arg("--socket").arg(self.socket_path());
        command.args(words);
        command
    }

    /// Runs `coremux --check`, with further arguments before it.
    pub fn check(arguments: &[&str], target: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_coremux"))
            .args(arguments)
            .args(["--check", target])
            .output()
            .unwrap()
    }
}

/// Sends these bytes, and reads the answer until the other side closes.
pub fn http(address: SocketAddr, request: &str) -> HttpReply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    read_reply(&mut stream)
}

/// Reads an answer until the other side closes.
pub fn read_reply(stream: &mut TcpStream) -> HttpReply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no HTTP: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    HttpReply {
        status: status.parse().unwrap(),
        headers: lines.map(str::to_owned).collect(),
        body: body.to_owned(),
    }
}
