//! Connections with bytes to be sent.
//!
//! Owns: the sockets, and what is on its way out of them. Never: waits.
#![expect(unsafe_code, reason = "what is being sent stays in place")]

use std::io;
use std::net::Shutdown;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use crate::ring::Ring;

/// What an operation was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Accept(usize),
    Receive(usize),
    Send(usize),
}

impl Token {
    pub(crate) fn pack(self) -> u64 {
        let (kind, place) = match self {
            Token::Accept(place) => (0, place),
            Token::Receive(place) => (1, place),
            Token::Send(place) => (2, place),
        };
        (place as u64) << 2 | kind
    }

    pub(crate) fn unpack(token: u64) -> Token {
        let place = usize::try_from(token >> 2).unwrap_or(usize::MAX);
        match token & 3 {
            0 => Token::Accept(place),
            1 => Token::Receive(place),
            _ => Token::Send(place),
        }
    }
}

/// A socket, and the bytes that leave by it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Goes out with the next flush.
    pub out: Vec<u8>,
    /// What will still be put into `out`: its place is not given to another before.
    pub owed: usize,
    /// Which ring it is on, of those that `flush` is given.
    pub ring: usize,
    /// The listener that it came from.
    pub listener: usize,
    /// Of a request that is not whole yet.
    pub held: Vec<u8>,
    sending: Vec<u8>,
    sent: usize,
    is_sending: bool,
    is_receiving: bool,
}

/// All of them, by place.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
    dirty: Vec<usize>,
}

impl Connections {
    /// Adds one and begins to receive.
    pub(crate) fn add(
        &mut self,
        stream: TcpStream,
        listener: usize,
        ring: usize,
        rings: &mut [Ring],
    ) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        rings[ring].receive(stream.as_raw_fd(), Token::Receive(place).pack());
        self.places[place] = Some(Connection {
            stream,
            out: Vec::new(),
            owed: 0,
            ring,
            listener,
            held: Vec::new(),
            sending: Vec::new(),
            sent: 0,
            is_sending: false,
            is_receiving: true,
        });
        place
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn at(&mut self, place: usize) -> &mut Connection {
        let connection = self.places[place].as_mut();
        connection.expect("its operations are under way, or something is owed to it")
    }

    /// Bytes were put into its `out`.
    pub(crate) fn touch(&mut self, place: usize) {
        self.dirty.push(place);
    }

    /// A receive has completed without bytes, or for the last time; whether the connection is over.
    pub(crate) fn receive_ended(&mut self, place: usize, result: i32, rings: &mut [Ring]) -> bool {
        let connection = self.at(place);
        if result > 0 || result == -libc::ENOBUFS {
            let (socket, ring) = (connection.stream.as_raw_fd(), connection.ring);
            rings[ring].receive(socket, Token::Receive(place).pack());
            return false;
        }
        connection.is_receiving = false;
        self.release(place);
        true
    }

    /// A send has completed.
    pub(crate) fn sent(&mut self, place: usize, result: i32, rings: &mut [Ring]) {
        let connection = self.at(place);
        match usize::try_from(result) {
            Ok(count) => connection.sent += count,
            Err(_) if result == -libc::EAGAIN => {}
            // The reader is gone; the receive says so, too.
            Err(_) => connection.sent = connection.sending.len(),
        }
        if connection.sent < connection.sending.len() {
            return connection.send(place, true, rings);
        }
        connection.is_sending = false;
        connection.sending.clear();
        match connection.out.is_empty() {
            true => self.release(place),
            false => self.touch(place),
        }
    }

    /// Sends what was put into the connections of this ring.
    pub(crate) fn flush(&mut self, ring: usize, rings: &mut [Ring]) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|&place| {
            let Some(connection) = self.places[place].as_mut() else {
                return false;
            };
            if connection.ring != ring {
                return true;
            }
            if !connection.is_sending && !connection.out.is_empty() {
                std::mem::swap(&mut connection.out, &mut connection.sending);
                connection.sent = 0;
                connection.is_sending = true;
                connection.send(place, false, rings);
            }
            false
        });
        self.dirty = dirty;
    }

    /// Ends it, as its peer sees it; its operations complete.
    pub(crate) fn shut(&mut self, place: usize) {
        // It fails for one that has ended by itself.
        let _ = self.at(place).stream.shutdown(Shutdown::Both);
    }

    /// Gives its place away if nothing refers to it any more.
    pub(crate) fn release(&mut self, place: usize) {
        let connection = self.at(place);
        let in_use = connection.is_receiving || connection.is_sending || connection.owed > 0;
        if !in_use {
            self.places[place] = None;
            self.free.push(place);
        }
    }
}

impl Connection {
    fn send(&mut self, place: usize, is_patient: bool, rings: &mut [Ring]) {
        let (socket, rest) = (self.stream.as_raw_fd(), &self.sending[self.sent..]);
        // SAFETY: `sending` is neither changed nor dropped while `is_sending`, see `release`.
        unsafe { rings[self.ring].send(socket, rest, is_patient, Token::Send(place).pack()) };
    }
}

/// Connects, for as long as it takes.
pub(crate) fn connect(server: std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)
        .map_err(|error| io::Error::new(error.kind(), format!("{server}: {error}")))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
