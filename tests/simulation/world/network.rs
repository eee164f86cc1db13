//! What goes on between two ends of a link.

use coremux::base::Time;
use coremux::messages::SocketAddress;

use crate::link::Peer;
use crate::tally::Happening;
use crate::trace::trace;
use crate::wire::End;
use crate::world::Event;
use crate::world::LinkId;
use crate::world::World;

impl World {
    /// Schedules arrivals at one end of a link.
    pub fn land_at(&mut self, link: LinkId, at_proxy: bool, times: impl IntoIterator<Item = Time>) {
        for time in times {
            self.schedule(time, Event::Land { link, at_proxy });
        }
    }

    pub(super) fn land(&mut self, id: LinkId, at_proxy: bool) {
        let link = &mut self.links[id.0];
        let gone = if at_proxy {
            link.socket.is_none()
        } else {
            link.peer_gone
        };
        let wire = if at_proxy {
            &mut link.to_proxy
        } else {
            &mut link.to_peer
        };
        if !wire.land(self.now, &mut self.dice) {
            return;
        }
        if gone {
            // Nobody reads this any more: the kernel answers with a reset.
            let bytes = !wire.read(usize::MAX).is_empty();
            let back = if at_proxy {
                &mut link.to_peer
            } else {
                &mut link.to_proxy
            };
            if bytes && back.end != Some(End::Reset) {
                let arrival = back.finish(End::Reset, self.now, &mut self.dice);
                self.land_at(id, !at_proxy, arrival);
            }
            return;
        }
        match (at_proxy, link.peer) {
            (true, _) => {
                if link.to_proxy.end == Some(End::Reset) {
                    self.proxy_has_room(id);
                }
                self.receive(id);
            }
            (false, Peer::Client(client)) => self.client_acts(client),
            (false, Peer::Server { .. }) => self.server_reads(id),
        }
    }

    /// The proxy has read: its peer may write on.
    pub fn peer_has_room(&mut self, link: LinkId) {
        let next = match self.links[link.0].peer {
            Peer::Client(client) => Event::ClientActs(client),
            Peer::Server { .. } => Event::ServerWrites(link),
        };
        self.schedule(self.now, next);
    }

    pub fn server_of(&self, link: LinkId) -> Option<(usize, usize)> {
        match self.links[link.0].peer {
            Peer::Server { pool, server } => Some((pool, server)),
            Peer::Client(_) => None,
        }
    }

    /// Whose address it is: pool, server, and which of the server's homes.
    pub fn locate(&self, address: &SocketAddress) -> (usize, usize, u8) {
        let SocketAddress::Tcp(std::net::SocketAddr::V4(address)) = address else {
            panic!("a server is looked for at {address:?}");
        };
        let [_, pool, server, home] = address.ip().octets();
        (usize::from(pool), usize::from(server), home)
    }

    /// A fault touches a server for as long as the proxy keeps this connection.
    pub fn touch_link(&mut self, link: LinkId, fault: Happening) {
        if let Some((pool, server)) = self.server_of(link) {
            trace!(self.now, "fault {fault:?} at {pool}.{server} on {link:?}");
            let bad = [
                Happening::Garbage,
                Happening::Unasked,
                Happening::AuthRefused,
                Happening::SelectRefused,
            ];
            self.links[link.0].is_bad |= bad.contains(&fault);
            let touch = self.oracle.touch(pool, server, fault, self.now);
            if self.links[link.0].socket.is_some() {
                self.links[link.0].touches.push(touch);
            } else {
                self.oracle.end_touch(touch, self.now);
            }
        }
    }

    pub fn end_link_touches(&mut self, link: LinkId) {
        for touch in std::mem::take(&mut self.links[link.0].touches) {
            self.oracle.end_touch(touch, self.now);
        }
    }

    /// Whether a fault was prepared for the next connection to this server; it is used up.
    pub fn take_fault(&mut self, pool: usize, server: usize, fault: Happening) -> bool {
        let faults = &mut self.servers[pool][server].faults;
        let found = faults.iter().position(|other| *other == fault);
        if let Some(found) = found {
            faults.remove(found);
            self.tally.count(fault);
        }
        found.is_some()
    }
}
