//! The life of a socket: asked for, connected, in its place, closed once nothing is under way.
//!
//! Owns: how a socket towards a server is made, and when one is closed.
#![expect(
    unsafe_code,
    reason = "promises the ring that an address stays in place"
)]

use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::base::Time;
use crate::messages::SocketAddress;
use crate::proxy::ConnId;
use crate::reactor::ring::Completion;
use crate::reactor::socket::Socket;
use crate::reactor::token::SocketSlot;
use crate::reactor::token::Token;

use super::Worker;

/// A server that vanishes without a word is found out in half a minute, also without `timeout`: by
/// probes while nothing is sent, and by what it does not acknowledge otherwise.
const PROBES: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

impl Worker {
    pub(super) fn connect(
        &mut self,
        conn: ConnId,
        address: &SocketAddress,
        keepalive: bool,
        now: Time,
    ) {
        let place = SocketSlot::of(conn);
        match open_socket(address, keepalive) {
            Ok((fd, address)) => {
                let mut socket = Socket::new(conn, fd, None);
                socket.wants_receive = false;
                socket.under_way = 1;
                let address = &**socket.address.insert(Box::new(address));
                // SAFETY: the address is boxed in the socket, which stays while this is under way.
                unsafe {
                    self.ring
                        .connect(socket.fd.as_raw_fd(), address, Token::Connect(place).pack());
                }
                self.sockets.insert(socket);
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                self.proxy.failed(conn, errno, now);
            }
        }
    }

    pub(super) fn connected(&mut self, place: SocketSlot, completion: Completion, now: Time) {
        let Some(socket) = self.sockets.get_mut(place) else {
            return;
        };
        socket.under_way -= 1;
        socket.address = None;
        let conn = socket.conn;
        if socket.closing {
            self.close_if_idle(place);
        } else if completion.result < 0 {
            // The next attempt has a socket of its own.
            self.sockets.remove(place);
            self.proxy.failed(conn, -completion.result, now);
        } else {
            socket.wants_receive = true;
            self.receive_again(place);
            self.proxy.connected(conn, now);
        }
    }

    pub(super) fn close(&mut self, conn: ConnId) {
        let place = SocketSlot::of(conn);
        let Some(socket) = self.sockets.get_mut(place) else {
            self.proxy.closed(conn);
            return;
        };
        socket.closing = true;
        if place.is_server {
            socket.forget_unsent();
        }
        if socket.under_way > 0 {
            socket.under_way += 1;
            let fd = socket.fd();
            self.ring.cancel_all(fd, Token::Cancel(place).pack());
        }
        self.close_if_idle(place);
    }

    pub(super) fn close_if_idle(&mut self, place: SocketSlot) {
        let Some(socket) = self.sockets.get_mut(place) else {
            return;
        };
        if !socket.closing || socket.under_way > 0 {
            return;
        }
        let (conn, pool) = (socket.conn, socket.pool);
        let gone = self.sockets.remove(place);
        self.wait
            .heard(&mut gone.is_some_and(|socket| socket.awaited));
        if let Some(pool) = pool {
            self.accepting.admission.leave(pool);
        }
        self.proxy.closed(conn);
        if self.accepting.again_at.take().is_some() {
            self.accept_all();
        }
    }
}

fn open_socket(
    address: &SocketAddress,
    keepalive: bool,
) -> std::io::Result<(OwnedFd, socket2::SockAddr)> {
    let (domain, address) = match address {
        SocketAddress::Tcp(address) => (
            socket2::Domain::for_address(*address),
            socket2::SockAddr::from(*address),
        ),
        SocketAddress::Unix(path) => (socket2::Domain::UNIX, socket2::SockAddr::unix(path)?),
    };
    let kind = socket2::Type::STREAM.cloexec();
    let socket = socket2::Socket::new(domain, kind, None)?;
    if domain != socket2::Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
        if keepalive {
            socket.set_tcp_keepalive(&PROBES)?;
            socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        }
    }
    Ok((socket.into(), address))
}
