//! The other ends of the proxy's sockets, and what they must be able to rely on.

use std::collections::VecDeque;

use coremux::base::Batch;
use coremux::proxy::ConnId;

use super::Seen;
use super::World;
use crate::fuzz::material::Material;

/// One socket of the proxy, and what has become of it.
#[derive(Debug, Default)]
pub struct Socket {
    pub connected: bool,
    /// The peer has ended it.
    pub ended: bool,
    /// It is a replica.
    pub is_replica: bool,
    /// The proxy receives.
    pub receiving: bool,
    /// The proxy sends no more.
    pub shut: bool,
    pub batch: Option<Batch>,
    /// What has arrived at the peer and is no whole frame yet.
    pub arrived: Vec<u8>,
    // It was sent what is no frame, or not the whole of one.
    spoilt: bool,
    // Of a server: requests that it has not answered, their arguments.
    pending: VecDeque<Vec<Vec<u8>>>,
    // Of a client: a request has a line at least.
    lines: usize,
    replies: usize,
}

impl Socket {
    pub fn accepted() -> Socket {
        Socket {
            connected: true,
            receiving: true,
            ..Socket::default()
        }
    }

    pub fn connecting(is_replica: bool) -> Socket {
        Socket {
            is_replica,
            receiving: true,
            ..Socket::default()
        }
    }

    fn hears(&self) -> bool {
        self.connected && self.receiving && !self.ended
    }

    pub fn counts_lines(&mut self, sent: &[u8]) {
        self.lines += memchr::memchr_iter(b'\n', sent).count();
    }

    /// A client looks at what it got.
    pub fn take_replies<M: Material>(&mut self, seen: &mut Seen) {
        let mut at = 0;
        while let Some(bytes) = M::cut_reply(&self.arrived[at..])
            .unwrap_or_else(|error| panic!("{error}: {:?}", text(&self.arrived[at..])))
        {
            seen.errors_to_clients += usize::from(M::is_error(&self.arrived[at..]));
            seen.replies_to_clients += 1;
            self.replies += 1;
            at += bytes;
        }
        self.arrived.drain(..at);
        // One more says that a frame is broken, or that there is no room.
        assert!(self.replies <= self.lines + 1, "replies to nothing");
    }

    /// A server looks at what it got: a batch is whole requests.
    pub fn take_requests<M: Material>(&mut self, seen: &mut Seen) {
        let mut at = 0;
        while at < self.arrived.len() {
            let cut = M::cut_request(&self.arrived[at..])
                .unwrap_or_else(|error| panic!("{error}: {:?}", text(&self.arrived[at..])));
            let (words, bytes) =
                cut.unwrap_or_else(|| panic!("half a request: {:?}", text(&self.arrived[at..])));
            self.pending.push_back(words);
            seen.requests_to_servers += 1;
            at += bytes;
        }
        self.arrived.clear();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}

impl<M: Material> World<M> {
    pub(super) fn with_client(&mut self, act: fn(&mut World<M>, ConnId)) {
        self.with(act, |conn| matches!(conn, ConnId::Client(_)));
    }

    pub(super) fn with_server(&mut self, act: fn(&mut World<M>, ConnId)) {
        self.with(act, |conn| matches!(conn, ConnId::Server(_)));
    }

    fn with(&mut self, act: fn(&mut World<M>, ConnId), wanted: fn(&ConnId) -> bool) {
        let conns: Vec<ConnId> = self.sockets.keys().copied().filter(wanted).collect();
        if !conns.is_empty() {
            let conn = *self.dice.pick(&conns);
            act(self, conn);
        }
    }

    pub(super) fn client_sends(&mut self, conn: ConnId) {
        if !self.socket(conn).hears() {
            return;
        }
        let spoil = self.dice.percent(8);
        let bytes = self.material.requests(&mut self.dice, spoil);
        self.deliver_in_pieces(conn, bytes);
    }

    pub(super) fn server_sends(&mut self, conn: ConnId) {
        if !self.socket(conn).hears() {
            return;
        }
        let mut bytes = Vec::new();
        if !self.kind && self.dice.percent(2) {
            bytes = self.material.spoilt_replies(&mut self.dice);
            self.socket(conn).spoilt = true;
        } else {
            for _ in 0..self.dice.between(1, 8) {
                let Some(request) = self.socket(conn).pending.pop_front() else {
                    break;
                };
                let to_replica = self.socket(conn).is_replica && request[0] != b"ROLE";
                self.seen.requests_to_replicas += usize::from(to_replica);
                self.answer(conn, &request, &mut bytes);
            }
        }
        self.deliver_in_pieces(conn, bytes);
    }

    /// What a server says to `request`, or something else.
    fn answer(&mut self, conn: ConnId, request: &[Vec<u8>], out: &mut Vec<u8>) {
        if !self.kind && self.dice.percent(1) {
            return self.material.reply(&mut self.dice, out);
        }
        let is_replica = self.socket(conn).is_replica;
        self.material
            .answer(request, is_replica, &mut self.dice, out);
    }

    fn deliver_in_pieces(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let count = match self.dice.percent(60) {
                true => rest.len(),
                false => self.dice.between(1, rest.len()),
            };
            let (piece, behind) = rest.split_at(count);
            self.deliver(conn, piece.to_vec());
            self.obey();
            rest = behind;
            // What it has not received when it pauses or closes it receives later, or never.
            let Some(socket) = self.sockets.get_mut(&conn) else {
                return;
            };
            if !socket.hears() {
                socket.spoilt |= !rest.is_empty();
                return;
            }
        }
    }

    pub(super) fn connects(&mut self, conn: ConnId) {
        if self.socket(conn).connected || self.socket(conn).ended {
            return;
        }
        if self.kind || self.dice.percent(94) {
            self.socket(conn).connected = true;
            self.proxy.connected(conn, self.now);
        } else {
            self.socket(conn).ended = true;
            self.proxy.failed(conn, libc::ECONNREFUSED, self.now);
        }
    }

    pub(super) fn peer_ends(&mut self, conn: ConnId) {
        if !self.socket(conn).hears() {
            return;
        }
        self.socket(conn).ended = true;
        if self.dice.percent(50) {
            self.proxy.received_end(conn, self.now);
        } else {
            self.proxy.failed(conn, libc::ECONNRESET, self.now);
        }
    }

    /// Does the next thing that a peer should do.
    pub(super) fn behave(&mut self, conn: ConnId) {
        let alive = |world: &World<M>| world.sockets.contains_key(&conn);
        if alive(self) && self.socket(conn).batch.is_some() {
            self.sent(conn);
            self.obey();
        }
        match conn {
            // Who has lost the thread is started anew.
            ConnId::Server(_) if alive(self) && self.socket(conn).spoilt => self.peer_ends(conn),
            ConnId::Server(_) if alive(self) => self.connects(conn),
            ConnId::Client(_) if alive(self) && self.socket(conn).shut => self.peer_ends(conn),
            _ => {}
        }
        self.obey();
        while alive(self) && !self.socket(conn).pending.is_empty() && self.socket(conn).hears() {
            self.server_sends(conn);
            self.obey();
        }
    }
}
