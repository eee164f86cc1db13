//! A worker's part in a hand-over: lets clients go with their sockets, and takes them in.
//!
//! Owns: the moment at which a socket leaves the ring: when the last completion of its receive has
//! come, nothing that was received can be lost.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::Time;
use crate::proxy::ConnId;
use crate::reactor::hand_over::Parcel;
use crate::reactor::hand_over::Shown;
use crate::reactor::socket::Socket;
use crate::reactor::token::SocketSlot;
use crate::reactor::token::Token;

use super::Worker;

/// Clients are to go to another process.
pub(super) struct Leaving {
    // None once no more of them can go.
    to: Option<mpsc::Sender<Parcel>>,
    until: Time,
    // How many clients there were when it was last looked whether all have gone.
    clients: Option<usize>,
}

impl Leaving {
    /// When those who have not gone can no longer go.
    pub(super) fn until(&self) -> Option<Time> {
        self.to.as_ref().map(|_| self.until)
    }
}

/// How the worker comes to its end, or its clients to another process.
#[derive(Default)]
pub(super) struct Departure {
    pub(super) leaving: Option<Leaving>,
    pub(super) drain_until: Option<Time>,
    // All clients have gone, or time was up; that was said.
    pub(super) drained: bool,
    pub(super) stopped: bool,
}

impl Departure {
    /// Clients are being let go, and some are still here.
    pub(super) fn is_draining(&self) -> bool {
        self.cut_at().is_some()
    }

    /// When those who are still here are cut.
    pub(super) fn cut_at(&self) -> Option<Time> {
        self.drain_until.filter(|_| !self.drained)
    }
}

impl Worker {
    /// Shows the listening sockets to whoever wants to hand them over.
    pub(super) fn show(&self, to: &mpsc::Sender<Shown>) {
        let listeners = self
            .accepting
            .listeners
            .iter()
            .filter(|listener| !listener.closing);
        let fds = listeners.filter_map(|listener| listener.fd.as_ref());
        let shown = Shown {
            // One that cannot be had a second time is bound anew by the other process.
            listeners: fds.filter_map(|fd| fd.try_clone().ok()).collect(),
            next_client_id: self.proxy.next_client_id(),
        };
        // Fails when nobody waits any more.
        let _ = to.send(shown);
    }

    /// Accepts no more until told to.
    pub(super) fn rest(&mut self, to: mpsc::Sender<()>) {
        self.accepting.stands_by = true;
        self.accepting.resting = Some(to);
        // The sockets stay open: who waits in their queues is accepted by the other process.
        for (index, listener) in (0u32..).zip(&self.accepting.listeners) {
            if listener.armed {
                self.ring
                    .cancel(Token::Accept(index).pack(), Token::Nothing.pack());
            }
        }
    }

    /// Accepts new clients.
    pub(super) fn accept_again(&mut self) {
        self.accepting.stands_by = false;
        self.accepting.resting = None;
        self.accept_all();
    }

    /// Lets clients go as soon as each can.
    pub(super) fn hand_over(
        &mut self,
        pools: &[bool],
        to: mpsc::Sender<Parcel>,
        within: Duration,
        now: Time,
    ) {
        self.departure.leaving = Some(Leaving {
            to: Some(to),
            until: now + within,
            clients: None,
        });
        self.proxy.hand_over(pools.to_vec(), now);
    }

    /// The proxy says that a client can go.
    pub(super) fn client_can_go(&mut self, conn: ConnId, now: Time) {
        let place = SocketSlot::of(conn);
        if let Some(socket) = self.sockets.get_mut(place) {
            socket.going = true;
        }
        self.go_if_idle(place, now);
    }

    /// Gives a client away that can go, when nothing is under way on its socket.
    pub(super) fn go_if_idle(&mut self, place: SocketSlot, now: Time) {
        let Some(socket) = self.sockets.get_mut(place) else {
            return;
        };
        if !socket.going || socket.closing || socket.under_way > 0 {
            return;
        }
        let conn = socket.conn;
        let to = self
            .departure
            .leaving
            .as_ref()
            .and_then(|leaving| leaving.to.clone());
        let Some(to) = to else { return };
        let Some((pool, state)) = self.proxy.take_client(conn, now) else {
            return;
        };
        let socket = self.sockets.remove(place);
        self.accepting.admission.leave(pool);
        self.proxy.closed(conn);
        if let Some(Socket { fd: socket, .. }) = socket {
            let parcel = Parcel {
                pool,
                socket,
                state,
            };
            if let Err(mpsc::SendError(parcel)) = to.send(parcel) {
                self.keep_clients();
                self.adopt(parcel, now);
            }
        }
    }

    /// Checks whether all clients have migrated, or time is up; and whether accepting has stopped.
    pub(super) fn look_who_leaves(&mut self, now: Time) {
        let armed = self
            .accepting
            .listeners
            .iter()
            .any(|listener| listener.armed);
        if let Some(to) = self.accepting.resting.take_if(|_| !armed) {
            // Fails when nobody waits any more.
            let _ = to.send(());
        }
        let Some(leaving) = &mut self.departure.leaving else {
            return;
        };
        let clients = Some(self.proxy.client_count());
        let turned = std::mem::replace(&mut leaving.clients, clients) != clients;
        if now >= leaving.until || (turned && self.proxy.migrating_count() == 0) {
            leaving.to = None;
        }
    }

    /// Clients that have not gone stay.
    pub(super) fn keep_clients(&mut self) {
        self.departure.leaving = None;
        self.sockets.keep_clients();
        self.proxy.keep_clients();
    }

    /// Serves a client that another process has served so far.
    pub(super) fn adopt(&mut self, parcel: Parcel, now: Time) {
        let Parcel {
            pool,
            socket,
            mut state,
        } = parcel;
        let fd = socket.as_fd();
        let (peer, local) = {
            let socket = socket2::SockRef::from(&fd);
            (socket.peer_addr(), socket.local_addr())
        };
        let peer = peer.ok().and_then(|peer| peer.as_socket());
        let local = local.ok().and_then(|local| local.as_socket());
        let input = std::mem::take(&mut state.input);
        self.accepting.admission.adopt(pool);
        let conn = self.proxy.client_adopted(pool, peer, &state, now);
        self.proxy.client_reached(conn, local);
        self.sockets.insert(Socket::new(conn, socket, Some(pool)));
        if !input.is_empty() {
            self.proxy.received(conn, &Bytes::from(input), now);
        }
        self.receive_again(SocketSlot::of(conn));
    }

    /// The same, for a message that is nobody else's.
    pub(super) fn adopt_shared(&mut self, parcel: Arc<Parcel>, now: Time) {
        match Arc::into_inner(parcel) {
            Some(parcel) => self.adopt(parcel, now),
            None => debug_assert!(false, "a client is given to one worker"),
        }
    }
}
