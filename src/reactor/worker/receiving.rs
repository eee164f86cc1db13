//! What is received: bytes for the `Proxy`, and the buffers that held them back to the ring.
//!
//! Owns: when a socket is received from. Never: looks at a byte.

use std::sync::Arc;

use crate::base::Time;
use crate::reactor::block::Filled;
use crate::reactor::ring::Completion;
use crate::reactor::token::SocketSlot;
use crate::reactor::token::Token;

use super::Worker;

impl Worker {
    #[inline]
    pub(super) fn received(
        &mut self,
        place: SocketSlot,
        completion: Completion,
        now: Time,
    ) -> std::io::Result<()> {
        let block = completion
            .buffer
            .and_then(|buffer| self.ring.take_buffer(buffer));
        let blocks = Arc::clone(self.ring.blocks());
        let kept = match self.sockets.get_mut(place) {
            None => block,
            Some(socket) => {
                if !completion.more {
                    socket.receiving = false;
                    socket.under_way -= 1;
                }
                let (conn, usable) = (socket.conn, !socket.closing && !socket.ended);
                match (usize::try_from(completion.result), block) {
                    (Ok(len), Some(block)) if usable && len > 0 => {
                        self.wait.received(&mut socket.seen);
                        self.wait.heard(&mut socket.awaited);
                        let filled = Filled::new(block, len, &blocks);
                        self.proxy.received(conn, &filled, now);
                        filled.into_block()
                    }
                    (Ok(0), block) if usable => {
                        socket.ended = true;
                        self.proxy.received_end(conn, now);
                        block
                    }
                    (Err(_), block) if usable => {
                        self.receive_failed(place, -completion.result, now);
                        block
                    }
                    (_, block) => block,
                }
            }
        };
        if let Some(buffer) = completion.buffer {
            self.ring.recycle(buffer, kept)?;
            // A pass may bring more than there is between the thresholds.
            if self.watch.is_high() {
                self.look_at_memory(now);
            }
        }
        if !completion.more {
            self.receive_again(place);
            self.close_if_idle(place);
            self.go_if_idle(place, now);
        }
        Ok(())
    }

    fn receive_failed(&mut self, place: SocketSlot, errno: i32, now: Time) {
        let Some(socket) = self.sockets.get_mut(place) else {
            return;
        };
        match errno {
            // All buffers are in use until this pass ends, or the proxy had paused it.
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            errno => {
                socket.ended = true;
                let conn = socket.conn;
                self.proxy.failed(conn, errno, now);
            }
        }
    }

    pub(super) fn receive_again(&mut self, place: SocketSlot) {
        let Some(socket) = self.sockets.get_mut(place) else {
            return;
        };
        if socket.wants_receive && !socket.receiving && !socket.ended && !socket.closing {
            socket.receiving = true;
            socket.under_way += 1;
            self.ring.receive(socket.fd(), Token::Receive(place).pack());
        }
    }
}
