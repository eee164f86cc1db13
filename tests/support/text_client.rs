//! A client of memcached's text protocol that knows where a conversation ends, not what is said.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;

use super::Memcached;
use super::PATIENCE;

impl Memcached {
    /// What it answers, past any proxy.
    pub fn ask(&self, request: &[u8]) -> String {
        let mut client = TextClient::connect(self.address());
        client.ask_and_end(request)
    }
}

/// A client that sends bytes and reads lines.
#[derive(Debug)]
pub struct TextClient {
    stream: TcpStream,
    got: Vec<u8>,
}

impl TextClient {
    /// Connects.
    pub fn connect(address: SocketAddr) -> TextClient {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        TextClient {
            stream,
            got: Vec::new(),
        }
    }

    /// Sends.
    pub fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    /// Sends, and reads up to the `MN` of an `mn` behind it, which is left out.
    pub fn ask(&mut self, request: &[u8]) -> String {
        self.send(request);
        self.send(b"mn\r\n");
        self.read_until(b"MN\r\n")
    }

    /// Reads up to an `end`, which is left out.
    pub fn read_until(&mut self, end: &[u8]) -> String {
        let mut buffer = vec![0; 1 << 16];
        while !self.got.ends_with(end) {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "closed behind {}", self.got.escape_ascii());
            self.got.extend_from_slice(&buffer[..count]);
        }
        let mut got = std::mem::take(&mut self.got);
        got.truncate(got.len() - end.len());
        String::from_utf8_lossy(&got).into_owned()
    }

    /// Sends, says that nothing more comes, and reads all that is answered.
    pub fn ask_and_end(&mut self, request: &[u8]) -> String {
        self.send(request);
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.read_to_end()
    }

    /// Reads all up to the end of the connection.
    pub fn read_to_end(&mut self) -> String {
        let mut got = std::mem::take(&mut self.got);
        self.stream.read_to_end(&mut got).unwrap();
        String::from_utf8_lossy(&got).into_owned()
    }
}
