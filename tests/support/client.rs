//! A blocking Redis client, small enough to trust.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::PATIENCE;
use super::Reply;

/// A connection. A read or write that takes longer than [`PATIENCE`] fails the test.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Stream>,
}

/// A second handle on a connection, for another thread that writes while one reads.
#[derive(Debug)]
pub struct Writer(Stream);

impl Writer {
    /// Says that nothing more will be sent.
    pub fn end(self) {
        self.0.shutdown_write();
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    /// Connects over TCP.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        stream.set_nodelay(true).unwrap();
        Client::new(Stream::Tcp(stream))
    }

    /// Connects to a unix socket.
    pub fn connect_unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path)
            .unwrap_or_else(|error| panic!("cannot connect to {}: {error}", path.display()));
        Client::new(Stream::Unix(stream))
    }

    fn new(stream: Stream) -> Client {
        let client = Client {
            stream: BufReader::new(stream),
        };
        client.set_read_timeout(PATIENCE);
        // So that a peer that stops reading fails the test, too.
        match client.stream.get_ref() {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(PATIENCE)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(PATIENCE)),
        }
        .unwrap();
        client
    }

    /// Lets reads fail after another time than [`PATIENCE`].
    pub fn set_read_timeout(&self, timeout: Duration) {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
        .unwrap();
    }

    /// Sends a command and reads its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, command: impl IntoIterator<Item = A>) -> Reply {
        self.send(command);
        self.read()
    }

    /// Sends a command: its name and arguments.
    pub fn send<A: AsRef<[u8]>>(&mut self, command: impl IntoIterator<Item = A>) {
        let mut bytes = Vec::new();
        encode(&mut bytes, command);
        self.send_raw(&bytes);
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Reads a reply.
    pub fn read(&mut self) -> Reply {
        self.try_read().expect("a reply")
    }

    /// Reads a reply, or how the connection failed.
    ///
    /// # Errors
    ///
    /// Those of [`Reply::read`] and of the socket; `WouldBlock` when the read timed out.
    pub fn try_read(&mut self) -> io::Result<Reply> {
        Reply::read(&mut self.stream)
    }

    /// Reads `length` bytes as they are.
    pub fn read_raw(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads a line, with its end.
    pub fn read_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\n"), "cut: {}", line.escape_ascii());
        line
    }

    /// Reads what comes until the peer closes. A reset ends it, too: what it cut is lost.
    pub fn read_until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => _ = other.unwrap(),
        }
        bytes
    }

    /// Reads to the peer's end, which must be an end and not a reset.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends bytes and an end, over TCP in one segment if they fit.
    pub fn send_and_end(&mut self, bytes: &[u8]) {
        if let Stream::Tcp(stream) = self.stream.get_ref() {
            socket2::SockRef::from(stream).set_tcp_cork(true).unwrap();
        }
        self.send_raw(bytes);
        self.shutdown_write();
    }

    /// Sends bytes for as long as the peer takes them.
    ///
    /// # Errors
    ///
    /// Those of the socket; `WouldBlock` when it took none for [`PATIENCE`].
    pub fn try_send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// A second handle on the same connection, which writes.
    pub fn writer(&self) -> Writer {
        Writer(self.stream.get_ref().try_clone())
    }

    /// The port that it has on this host.
    pub fn local_port(&self) -> u16 {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.local_addr().unwrap().port(),
            Stream::Unix(_) => panic!("a unix socket has no port"),
        }
    }

    /// Closes with a reset in place of an end.
    pub fn reset(self) {
        if let Stream::Tcp(stream) = self.stream.get_ref() {
            let socket = socket2::SockRef::from(stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    /// Sends all `commands`, while reading, and gives their replies in order.
    pub fn pipeline<A: AsRef<[u8]>>(
        &mut self,
        commands: impl IntoIterator<Item: IntoIterator<Item = A>>,
    ) -> Vec<Reply> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for command in commands {
            encode(&mut bytes, command);
            count += 1;
        }
        let mut out = self.stream.get_ref().try_clone();
        // A peer may stop reading until its own replies are read.
        std::thread::scope(|scope| {
            scope.spawn(|| out.write_all(&bytes).unwrap());
            (0..count).map(|_| self.read()).collect()
        })
    }

    /// Says that nothing more will be sent; replies can still be read.
    pub fn shutdown_write(&self) {
        self.stream.get_ref().shutdown_write();
    }
}

/// Appends a command as an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(bytes: &mut Vec<u8>, command: impl IntoIterator<Item = A>) {
    let arguments: Vec<A> = command.into_iter().collect();
    write!(bytes, "*{}\r\n", arguments.len()).unwrap();
    for argument in &arguments {
        let argument = argument.as_ref();
        write!(bytes, "${}\r\n", argument.len()).unwrap();
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
}

impl Stream {
    fn shutdown_write(&self) {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
        .unwrap();
    }

    fn try_clone(&self) -> Stream {
        match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().unwrap()),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().unwrap()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(bytes),
            Stream::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
        }
    }
}
