//! The sockets of a worker, each in the place that its connection has in the `Proxy`.
//!
//! Owns: the places of clients and of server connections. Never: what is done with a socket.

use crate::reactor::socket::Socket;
use crate::reactor::token::SocketSlot;

/// By place; a place is empty until its socket is open, and again once it is closed.
#[derive(Default)]
pub(super) struct SocketTable {
    clients: Vec<Option<Socket>>,
    servers: Vec<Option<Socket>>,
}

impl SocketTable {
    #[inline]
    fn side(&mut self, place: SocketSlot) -> &mut Vec<Option<Socket>> {
        match place.is_server {
            true => &mut self.servers,
            false => &mut self.clients,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: SocketSlot) -> Option<&mut Socket> {
        self.side(place).get_mut(place.index as usize)?.as_mut()
    }

    pub(super) fn insert(&mut self, socket: Socket) {
        let place = SocketSlot::of(socket.conn);
        let (side, index) = (self.side(place), place.index as usize);
        if side.len() <= index {
            side.resize_with(index + 1, || None);
        }
        debug_assert!(side[index].is_none(), "a place is given twice");
        side[index] = Some(socket);
    }

    pub(super) fn remove(&mut self, place: SocketSlot) -> Option<Socket> {
        self.side(place).get_mut(place.index as usize)?.take()
    }

    /// Clients that were to go with their sockets stay.
    pub(super) fn keep_clients(&mut self) {
        let clients = self.clients.iter_mut().flatten();
        clients.for_each(|client| client.going = false);
    }
}
