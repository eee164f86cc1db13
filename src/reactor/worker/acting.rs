//! What the `Proxy` asks for, done with sockets and mailboxes.

use std::sync::Arc;

use crate::base::Time;
use crate::proxy::Output;
use crate::reactor::message::FromWorker;
use crate::reactor::token::SocketSlot;
use crate::reactor::token::Token;

use super::Worker;

impl Worker {
    pub(super) fn act(&mut self, now: Time) {
        while let Some(output) = self.proxy.poll_output(now) {
            match output {
                Output::Connect {
                    conn,
                    address,
                    keepalive,
                } => {
                    self.connect(conn, &address, keepalive, now);
                }
                Output::Pause(conn) => {
                    let place = SocketSlot::of(conn);
                    let Some(socket) = self.sockets.get_mut(place) else {
                        continue;
                    };
                    socket.wants_receive = false;
                    if socket.receiving {
                        self.ring
                            .cancel(Token::Receive(place).pack(), Token::Nothing.pack());
                    }
                }
                Output::Resume(conn) => {
                    let place = SocketSlot::of(conn);
                    if let Some(socket) = self.sockets.get_mut(place) {
                        socket.wants_receive = true;
                    }
                    self.receive_again(place);
                }
                Output::ShutdownWrite(conn) => {
                    if let Some(socket) = self.sockets.get_mut(SocketSlot::of(conn)) {
                        // Fails only if the peer has gone, which its receive says.
                        let _ =
                            socket2::SockRef::from(&socket.fd).shutdown(std::net::Shutdown::Write);
                    }
                }
                Output::Close(conn) => self.close(conn),
                Output::HandOver(conn) => self.client_can_go(conn, now),
                Output::Abort(conn) => {
                    if let Some(socket) = self.sockets.get_mut(SocketSlot::of(conn)) {
                        socket.forget_unsent();
                    }
                    self.close(conn);
                }
                Output::Resolve { pool, server } => {
                    self.outbox.send(FromWorker::Resolve { pool, server });
                }
                Output::Report(report) => self.outbox.send(FromWorker::Report(report)),
                Output::Script(news) => self.outbox.send(FromWorker::Script(Arc::new(news))),
                Output::Ask(inquiry) => self.outbox.send(FromWorker::Ask(Arc::new(inquiry))),
                Output::Answer(finding) => {
                    self.outbox.send(FromWorker::Answer(Arc::new(finding)));
                }
            }
        }
        self.look_who_leaves(now);
        if self.departure.is_draining() && self.proxy.is_drained() {
            self.departure.drained = true;
            self.outbox.send(FromWorker::Drained(self.idx));
        }
    }
}
