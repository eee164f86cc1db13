//! A real redis-server on a socket of its own, and a connection to it.

use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::value::Value;

/// How long a server may take to start, and a reply to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends with the value.
pub(crate) struct Redis {
    process: Child,
    directory: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let process = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
                "--dir",
            ])
            .arg(directory.path())
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is needed: apt-get install redis-server");
        Redis { process, directory }
    }

    /// A new connection; waits for the server to listen.
    #[allow(clippy::disallowed_methods, reason = "a test's deadline")]
    pub(crate) fn connect(&self) -> Connection {
        let path = self.directory.path().join("redis.sock");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(&path) {
                Ok(stream) => return Connection::over(stream),
                Err(error) => assert!(Instant::now() < deadline, "redis-server: {error}"),
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the directory goes anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    fn over(stream: UnixStream) -> Connection {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        Connection {
            stream: BufReader::new(stream),
        }
    }

    /// Sends a request and reads its reply.
    pub(crate) fn ask<T: AsRef<[u8]>>(&mut self, request: &[T]) -> Value {
        self.send(request);
        Value::read(&mut self.stream)
    }

    /// Sends a request and reads a reply of one line, its end included.
    pub(crate) fn ask_line<T: AsRef<[u8]>>(&mut self, request: &[T]) -> Vec<u8> {
        self.send(request);
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream
                .read_exact(&mut byte)
                .expect("a reply within the time limit");
            line.push(byte[0]);
        }
        line
    }

    fn send<T: AsRef<[u8]>>(&mut self, request: &[T]) {
        let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
        for argument in request {
            let argument = argument.as_ref();
            bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend_from_slice(argument);
            bytes.extend_from_slice(b"\r\n");
        }
        self.stream
            .get_mut()
            .write_all(&bytes)
            .expect("redis-server takes the request");
    }
}

/// The program that people use to look at a server.
pub(crate) fn redis_cli(socket: &Path) -> Command {
    let mut command = Command::new("redis-cli");
    command.arg("-s").arg(socket);
    command
}
