//! The answerer and the relay: requests and replies of fixed lengths.
//!
//! ```text
//! one ring     wait for one completion of anybody
//! two rings    the server owes replies: look at the clients' ring, then wait on the server's
//!              it owes none:            wait on the clients' ring, for several of them
//! ```
//!
//! So with two rings no reply waits for company, and requests that come meanwhile wake nobody.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::Serve;
use crate::connections;
use crate::connections::Connections;
use crate::connections::Token;
use crate::listen;
use crate::ring;
use crate::ring::Completion;
use crate::ring::Ring;

/// So redis-benchmark begins: it takes a closed connection for an answer.
const CONFIG: &[u8] = b"*3\r\n$6\r\nCONFIG\r\n";
/// The clients' ring, and with one ring everybody's.
const CLIENTS: usize = 0;
/// With two rings, how long the clients' requests may gather while the server owes replies, and
/// while it owes none.
const SERVER_AT_MOST: Duration = Duration::from_micros(100);
const CLIENTS_AT_MOST: Duration = Duration::from_micros(50);
/// Of the clients so many are gathered then; with fewer than `FEW` nobody waits for company.
const GATHER_DIVISOR: usize = 4;
const FEW: usize = 8;

/// Serves until it is ended; with a server it relays.
pub(crate) fn run(serve: &[Serve], server: Option<SocketAddr>, rings: u8) -> io::Result<()> {
    let listeners: Vec<TcpListener> = serve
        .iter()
        .map(|serve| listen(serve.port))
        .collect::<io::Result<_>>()?;
    // As a worker does: the first core that this process may use.
    if let Some(cores) = core_affinity::get_core_ids() {
        cores
            .first()
            .map(|&core| core_affinity::set_for_current(core));
    }
    let mut rings: Vec<Ring> = (0..rings).map(|_| Ring::new()).collect::<io::Result<_>>()?;
    for (place, listener) in listeners.iter().enumerate() {
        rings[CLIENTS].accept(listener.as_raw_fd(), Token::Accept(place).pack());
    }
    let mut connections = Connections::default();
    let server = match server {
        None => None,
        Some(address) => {
            let (stream, ring) = (connections::connect(address)?, rings.len() - 1);
            Some(connections.add(stream, 0, ring, &mut rings))
        }
    };
    let mut floor = Floor {
        serve,
        replies: serve.iter().map(|s| reply(s.reply_bytes)).collect(),
        server,
        connections,
        awaiting: VecDeque::new(),
        rest_of_reply: 0,
        completions: Vec::new(),
        is_busy: false,
    };
    match rings.len() {
        1 => floor.one_ring(&mut rings),
        _ => floor.two_rings(&mut rings),
    }
}

struct Floor<'a> {
    serve: &'a [Serve],
    // What the answerer says, by listener.
    replies: Vec<Vec<u8>>,
    server: Option<usize>,
    connections: Connections,
    // Who gets the server's next reply.
    awaiting: VecDeque<usize>,
    // Of the first of them: 0 when nothing of it has come.
    rest_of_reply: usize,
    completions: Vec<Completion>,
    // Requests have come in the last wait: more may be gathered in the next.
    is_busy: bool,
}

impl Floor<'_> {
    fn one_ring(&mut self, rings: &mut [Ring]) -> io::Result<()> {
        loop {
            self.connections.flush(CLIENTS, rings);
            rings[CLIENTS].submit_and_wait(1, None)?;
            self.complete(CLIENTS, rings)?;
        }
    }

    fn two_rings(&mut self, rings: &mut [Ring]) -> io::Result<()> {
        let server = rings.len() - 1;
        loop {
            self.connections.flush(CLIENTS, rings);
            if self.awaiting.is_empty() {
                let clients = self.connections.count();
                match clients < FEW || !self.is_busy {
                    true => rings[CLIENTS].submit_and_wait(1, None)?,
                    false => {
                        let wanted = clients / GATHER_DIVISOR;
                        rings[CLIENTS].submit_and_wait(wanted, Some(CLIENTS_AT_MOST))?;
                    }
                }
            } else {
                rings[CLIENTS].submit_and_look()?;
            }
            self.is_busy = false;
            self.complete(CLIENTS, rings)?;
            if !self.awaiting.is_empty() {
                self.connections.flush(server, rings);
                rings[server].submit_and_wait(1, Some(SERVER_AT_MOST))?;
                self.complete(server, rings)?;
            }
        }
    }

    fn complete(&mut self, ring: usize, rings: &mut [Ring]) -> io::Result<()> {
        let mut completions = std::mem::take(&mut self.completions);
        rings[ring].reap(&mut completions);
        for completion in completions.drain(..) {
            self.completed(completion, ring, rings)?;
        }
        self.completions = completions;
        Ok(())
    }

    fn completed(&mut self, done: Completion, ring: usize, rings: &mut [Ring]) -> io::Result<()> {
        match Token::unpack(done.token) {
            Token::Accept(listener) => {
                if let Some(stream) = ring::accepted(done.result) {
                    self.connections.add(stream, listener, ring, rings);
                }
            }
            Token::Send(place) => self.connections.sent(place, done.result, rings),
            Token::Receive(place) => {
                if let Some(filled) = done.filled {
                    let bytes = rings[ring].bytes(&filled);
                    match self.server == Some(place) {
                        true => self.replied(bytes),
                        false => self.requested(place, bytes),
                    }
                    rings[ring].recycle(filled);
                }
                let is_over =
                    !done.more && self.connections.receive_ended(place, done.result, rings);
                if is_over && self.server == Some(place) {
                    return Err(io::Error::other("the server has closed the connection"));
                }
            }
        }
        Ok(())
    }

    fn requested(&mut self, place: usize, bytes: &[u8]) {
        self.is_busy = true;
        let client = self.connections.at(place);
        if client.held.is_empty() && bytes.starts_with(CONFIG) {
            return self.connections.shut(place);
        }
        let listener = client.listener;
        let request_bytes = self.serve[listener].request_bytes;
        // A request goes on when it is whole: another client's may not begin inside of it.
        if client.held.is_empty() {
            let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % request_bytes);
            client.held.extend_from_slice(rest);
            self.forward(place, listener, whole);
        } else {
            client.held.extend_from_slice(bytes);
            let mut held = std::mem::take(&mut client.held);
            let rest = held.split_off(held.len() - held.len() % request_bytes);
            client.held = rest;
            self.forward(place, listener, &held);
        }
    }

    /// Requests that are whole.
    fn forward(&mut self, place: usize, listener: usize, requests: &[u8]) {
        let count = requests.len() / self.serve[listener].request_bytes;
        if count == 0 {
            return;
        }
        let Some(server) = self.server else {
            let client = self.connections.at(place);
            (0..count).for_each(|_| client.out.extend_from_slice(&self.replies[listener]));
            return self.connections.touch(place);
        };
        self.connections.at(place).owed += count;
        self.awaiting.extend(std::iter::repeat_n(place, count));
        self.connections.at(server).out.extend_from_slice(requests);
        self.connections.touch(server);
    }

    /// The server's bytes, which are those of the clients that wait, in order.
    fn replied(&mut self, mut bytes: &[u8]) {
        while let (Some(&place), false) = (self.awaiting.front(), bytes.is_empty()) {
            let client = self.connections.at(place);
            if self.rest_of_reply == 0 {
                self.rest_of_reply = self.serve[client.listener].reply_bytes;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.rest_of_reply));
            client.out.extend_from_slice(part);
            bytes = rest;
            self.rest_of_reply -= part.len();
            if self.rest_of_reply == 0 {
                client.owed -= 1;
                self.awaiting.pop_front();
            }
            self.connections.touch(place);
        }
    }
}

/// A reply of so many bytes: `+OK`, or a value as long as is right.
fn reply(bytes: usize) -> Vec<u8> {
    for digits in 1..20 {
        // `$`, digits, line end, value, line end.
        let value = bytes.saturating_sub(5 + digits);
        let text = value.to_string();
        if text.len() == digits && bytes >= 5 + digits && bytes != 5 {
            return format!("${text}\r\n{}\r\n", "x".repeat(value)).into_bytes();
        }
    }
    b"+OK\r\n".to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_as_long_as_it_is_told_to_be() {
        assert_eq!(reply(5), b"+OK\r\n");
        assert_eq!(reply(9), b"$3\r\nxxx\r\n");
        for value in [1, 3, 9, 10, 100, 1024, 102_400] {
            let expected = format!("${value}\r\n{}\r\n", "x".repeat(value));
            assert_eq!(reply(expected.len()), expected.as_bytes());
        }
    }
}
