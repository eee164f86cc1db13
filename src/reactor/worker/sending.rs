//! What goes out: one send for every connection that has bytes, and what follows when it is done.
//!
//! Owns: how patient a send is, and its rest when a full socket has cut it.
#![expect(
    unsafe_code,
    reason = "promises the ring that what it sends stays in place"
)]

use std::os::fd::AsRawFd;

use crate::base::Time;
use crate::reactor::ring::Completion;
use crate::reactor::ring::Patience;
use crate::reactor::ring::Ring;
use crate::reactor::socket::Outgoing;
use crate::reactor::socket::Rest;
use crate::reactor::token::SocketSlot;
use crate::reactor::token::Token;

use super::Worker;

/// A longer send is likely to be cut short by a full socket, and is then gone on with at once.
const SILENT_BYTES_MAX: usize = 64 << 10;

impl Worker {
    pub(super) fn transmit(&mut self, now: Time) {
        while let Some((conn, batch)) = self.proxy.poll_transmit(now) {
            let place = SocketSlot::of(conn);
            let wake = self.proxy.awaits_sent(conn) || batch.len() > SILENT_BYTES_MAX;
            let patience = if wake {
                Patience::NoneAndWake
            } else {
                Patience::None
            };
            self.alarms.sent_silently |= !wake;
            let Some(socket) = self.sockets.get_mut(place) else {
                continue;
            };
            if place.is_server {
                self.wait.asked(&mut socket.awaited);
            }
            let outgoing = socket.outgoing.insert(Outgoing::new(batch));
            socket.under_way += 1;
            let fd = socket.fd.as_raw_fd();
            send(&mut self.ring, fd, outgoing, patience, place);
        }
    }

    pub(super) fn sent(&mut self, place: SocketSlot, completion: Completion, now: Time) {
        let Some(socket) = self.sockets.get_mut(place) else {
            return;
        };
        socket.under_way -= 1;
        let conn = socket.conn;
        let Some(outgoing) = &mut socket.outgoing else {
            return;
        };
        let (taken, errno) = match usize::try_from(completion.result) {
            Ok(taken) => (taken, 0),
            Err(_) => (0, -completion.result),
        };
        outgoing.advance(taken);
        let goes_on = matches!(errno, 0 | libc::EAGAIN | libc::EINTR) && !socket.closing;
        if goes_on && !outgoing.is_done() {
            socket.under_way += 1;
            let fd = socket.fd.as_raw_fd();
            send(
                &mut self.ring,
                fd,
                outgoing,
                Patience::UntilAllIsSent,
                place,
            );
            return;
        }
        // A server may have said why before it closed: that is still to be received, and the end of
        // the connection behind it.
        let is_gone = matches!(errno, libc::EPIPE | libc::ECONNRESET);
        let hears = socket.receiving && socket.wants_receive && !socket.ended;
        let ends_by_itself = is_gone && place.is_server && hears;
        let broke = !outgoing.is_done() && !socket.closing && !ends_by_itself;
        let batch = socket
            .outgoing
            .take()
            .map(Outgoing::into_batch)
            .unwrap_or_default();
        if broke {
            self.proxy.failed(conn, errno, now);
        }
        self.proxy.sent(conn, batch, now);
        self.close_if_idle(place);
        self.go_if_idle(place, now);
    }
}

/// Submits the rest of a batch.
fn send(
    ring: &mut Ring,
    socket: std::os::fd::RawFd,
    outgoing: &mut Outgoing,
    patience: Patience,
    place: SocketSlot,
) {
    let token = Token::Send(place).pack();
    // SAFETY: the batch and the message stay in the socket's `Outgoing` until the completion has
    // come, and the socket stays in its place as long as anything is under way.
    unsafe {
        match outgoing.next() {
            Rest::Bytes(bytes) => ring.send(socket, bytes, patience, token),
            Rest::Message(message) => ring.send_message(socket, message, patience, token),
        }
    }
}
