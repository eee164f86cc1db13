//! The health port: it listens while the process is healthy, and only then.
//!
//! A check that only connects (keepalived's `TCP_CHECK`, HAProxy's `check`) must fail at once when it
//! should: to accept and close would count as success, and to accept nothing would be waited for.
//! So the socket stops listening, and the kernel refuses.
//!
//! The address stays bound all the while: `shutdown` takes a socket out of listening and leaves it
//! its port, if that was named and not the kernel's choice, and `listen` puts it back. But where it does
//! not listen, `shutdown` shuts what it would ever accept: connections come, and no byte goes.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use socket2::Socket;
use tracing::error;

use crate::control::accept::Accepted;
use crate::control::accept::Accepting;
use crate::control::accept::accept;

/// As many as may connect between two passes of the executor.
const BACKLOG: i32 = 128;

/// A bound socket that listens at times.
#[derive(Debug)]
pub(in crate::control) struct HealthPort {
    socket: Socket,
    open: Option<Accepting>,
    // Whether it listens is another process's affair.
    left: bool,
    failed: bool,
}

impl HealthPort {
    /// Takes a socket that is bound to a port that was named.
    pub(in crate::control) fn new(socket: std::net::TcpListener) -> HealthPort {
        HealthPort {
            socket: Socket::from(socket),
            open: None,
            left: false,
            failed: false,
        }
    }

    /// Listens; `serve` gets those who come. `true` if it listens now; worth a try again if not.
    pub(in crate::control) fn open(&mut self, serve: impl FnOnce(Accepted)) -> bool {
        if self.open.is_some() {
            return true;
        }
        match self.listen() {
            Ok((accepting, accepted)) => {
                serve(accepted);
                self.open = Some(accepting);
                self.left = false;
                self.failed = false;
            }
            Err(error) => {
                // Somebody else listens there since it was closed.
                if !self.failed {
                    error!(%error, "health port cannot listen");
                }
                self.failed = true;
            }
        }
        !self.failed
    }

    fn listen(&self) -> io::Result<(Accepting, Accepted)> {
        let shut = self.is_shut()?;
        self.socket.listen(BACKLOG)?;
        if shut {
            // By another process, while it did not listen. To leave listening mends that.
            self.socket.shutdown(Shutdown::Both)?;
            self.socket.listen(BACKLOG)?;
        }
        accept(self.socket.try_clone()?.into())
    }

    // Whether all that it would accept were shut. The kernel tells it of a socket that does not listen.
    fn is_shut(&self) -> io::Result<bool> {
        let mut told = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        poll(&mut told, Some(&Timespec::default()))?;
        Ok(!self.socket.is_listener()? && told[0].revents().contains(PollFlags::RDHUP))
    }

    /// Refuses from now on; those who wait to be accepted are reset.
    pub(in crate::control) fn close(&mut self) {
        self.open = None;
        if !self.left && self.socket.is_listener().unwrap_or(false) {
            // It fails only for a socket that does not listen.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Leaves it as it is to another process that has it, too.
    pub(in crate::control) fn leave(&mut self) {
        self.open = None;
        self.left = true;
    }

    /// It is ours again, and may listen.
    pub(in crate::control) fn own(&mut self) {
        self.left = false;
    }

    /// The socket once more, for another process.
    pub(in crate::control) fn shared(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone().map(OwnedFd::from)
    }
}

impl Drop for HealthPort {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::io::Read;
    use std::io::Write;
    use std::net::Ipv4Addr;
    use std::net::SocketAddr;
    use std::net::TcpStream;

    use glommio::LocalExecutor;
    use socket2::Domain;
    use socket2::Type;

    use super::*;

    // The kernel's choice of a port, kept from others while it is named.
    fn named() -> (Socket, Socket, SocketAddr) {
        let bound = |port: u16| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            socket.bind(&at.into()).unwrap();
            socket
        };
        let reservation = bound(0);
        let address = reservation.local_addr().unwrap().as_socket().unwrap();
        (reservation, bound(address.port()), address)
    }

    // Opens it, and a byte goes from whoever it lets in to whoever has come.
    async fn opens_and_speaks(port: &mut HealthPort, address: SocketAddr) {
        let mut opened = None;
        assert!(port.open(|accepted| opened = Some(accepted)));
        assert!(port.open(|_| panic!("it is open already")));
        let mut came = TcpStream::connect(address).unwrap();
        let inside = opened.unwrap().next().await.unwrap().unwrap();
        TcpStream::from(inside).write_all(b"x").unwrap();
        let mut byte = [0];
        came.read_exact(&mut byte).unwrap();
    }

    #[test]
    fn it_refuses_and_lets_in_at_one_address_and_who_is_let_in_is_spoken_to() {
        let (_reservation, socket, address) = named();
        let mut port = HealthPort::new(socket.into());
        let refused = || TcpStream::connect(address).unwrap_err().kind();
        LocalExecutor::default().run(async move {
            for _ in 0..3 {
                // Also when it is told to close what is not open.
                port.close();
                assert!(!port.is_shut().unwrap());
                assert_eq!(refused(), ErrorKind::ConnectionRefused);
                opens_and_speaks(&mut port, address).await;
                port.close();
            }
            assert_eq!(refused(), ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn one_that_another_process_has_shut_for_good_is_mended() {
        let (_reservation, socket, address) = named();
        socket.shutdown(Shutdown::Both).unwrap_err();
        let mut port = HealthPort::new(socket.into());
        assert!(port.is_shut().unwrap());
        LocalExecutor::default().run(async move {
            opens_and_speaks(&mut port, address).await;
            port.close();
            assert!(!port.is_shut().unwrap());
        });
    }
}
