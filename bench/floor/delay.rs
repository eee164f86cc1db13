//! A slower network: what comes in leaves at the other end a fixed time later, each way.
//!
//! As many bytes as there are go out at a time, so it delays and does not throttle.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::time::Instant;

use crate::connections;
use crate::connections::Connections;
use crate::connections::Token;
use crate::listen;
use crate::ring;
use crate::ring::Completion;
use crate::ring::Ring;

/// Passes bytes on until it is ended.
pub(crate) fn run(port: u16, server: SocketAddr, delay: Duration) -> io::Result<()> {
    let listener = listen(port)?;
    // A wait may be 50 µs too long, by default: half of the shortest delay.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut rings = [Ring::new()?];
    rings[0].accept(listener.as_raw_fd(), Token::Accept(0).pack());
    let mut wire = Wire {
        server,
        delay,
        connections: Connections::default(),
        peers: Vec::new(),
        late: VecDeque::new(),
    };
    let mut completions = Vec::new();
    loop {
        wire.deliver(Instant::now());
        wire.connections.flush(0, &mut rings);
        let next = wire.late.front();
        let wait = next.map(|late| late.due.saturating_duration_since(Instant::now()));
        rings[0].submit_and_wait(1, wait)?;
        rings[0].reap(&mut completions);
        let now = Instant::now();
        for completion in completions.drain(..) {
            wire.completed(completion, now, &mut rings)?;
        }
    }
}

/// Bytes on their way; none of them is the end.
struct Late {
    due: Instant,
    to: usize,
    bytes: Vec<u8>,
}

struct Wire {
    server: SocketAddr,
    delay: Duration,
    connections: Connections,
    // By place: where its bytes come out.
    peers: Vec<usize>,
    // All have the same delay, so the first that came is the first that is due.
    late: VecDeque<Late>,
}

impl Wire {
    fn deliver(&mut self, now: Instant) {
        while self.late.front().is_some_and(|late| late.due <= now) {
            let Some(late) = self.late.pop_front() else {
                return;
            };
            let end = self.connections.at(late.to);
            end.owed -= 1;
            if late.bytes.is_empty() {
                self.connections.shut(late.to);
                self.connections.release(late.to);
            } else {
                end.out.extend_from_slice(&late.bytes);
                self.connections.touch(late.to);
            }
        }
    }

    fn completed(&mut self, done: Completion, now: Instant, rings: &mut [Ring]) -> io::Result<()> {
        match Token::unpack(done.token) {
            Token::Accept(_) => {
                if let Some(near) = ring::accepted(done.result) {
                    let far = connections::connect(self.server)?;
                    let near = self.connections.add(near, 0, 0, rings);
                    let far = self.connections.add(far, 0, 0, rings);
                    self.pair(near, far);
                }
            }
            Token::Send(place) => self.connections.sent(place, done.result, rings),
            Token::Receive(place) => {
                let to = self.peers[place];
                if let Some(filled) = done.filled {
                    let bytes = rings[0].bytes(&filled).to_vec();
                    rings[0].recycle(filled);
                    self.delay(to, bytes, now);
                }
                if !done.more && self.connections.receive_ended(place, done.result, rings) {
                    self.delay(to, Vec::new(), now);
                }
            }
        }
        Ok(())
    }

    fn pair(&mut self, near: usize, far: usize) {
        let places = self.peers.len().max(near.max(far) + 1);
        self.peers.resize(places, 0);
        (self.peers[near], self.peers[far]) = (far, near);
        // Each is kept until the other's end has come through.
        for place in [near, far] {
            self.connections.at(place).owed += 1;
        }
    }

    fn delay(&mut self, to: usize, bytes: Vec<u8>, now: Instant) {
        // The end is owed from the beginning, see `pair`.
        self.connections.at(to).owed += usize::from(!bytes.is_empty());
        let due = now + self.delay;
        self.late.push_back(Late { due, to, bytes });
    }
}
