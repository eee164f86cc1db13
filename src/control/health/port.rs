//! The health port: it listens while the process is healthy, and only then.
//!
//! A check that only connects (keepalived's `TCP_CHECK`, HAProxy's `check`) must fail at once when it
//! should: to accept and close would count as success, and to accept nothing would be waited for.
//! So the socket stops listening, and the kernel refuses.
//!
//! The address stays bound all the while: `shutdown` takes a socket out of listening and leaves it
//! its port, if that was named and not the kernel's choice, and `listen` puts it back.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;

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
    // It does not listen, or that is another process's affair.
    silent: bool,
    failed: bool,
}

impl HealthPort {
    /// Takes a socket that is bound to a port that was named.
    pub(in crate::control) fn new(socket: std::net::TcpListener) -> HealthPort {
        HealthPort {
            socket: Socket::from(socket),
            open: None,
            silent: false,
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
                self.silent = false;
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
        self.socket.listen(BACKLOG)?;
        accept(self.socket.try_clone()?.into())
    }

    /// Refuses from now on; those who wait to be accepted are reset.
    pub(in crate::control) fn close(&mut self) {
        self.open = None;
        if !std::mem::replace(&mut self.silent, true) {
            // It fails only for a socket that does not listen.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Leaves it as it is to another process that has it, too.
    pub(in crate::control) fn leave(&mut self) {
        self.open = None;
        self.silent = true;
    }

    /// It is ours again, and may listen.
    pub(in crate::control) fn own(&mut self) {
        self.silent = false;
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
    use std::net::Ipv4Addr;
    use std::net::SocketAddr;
    use std::net::TcpStream;

    use socket2::Domain;
    use socket2::Type;

    use super::*;

    #[test]
    fn it_refuses_accepts_refuses_and_accepts_at_one_address() {
        let bound = |port: u16| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            socket.bind(&at.into()).unwrap();
            socket
        };
        // The kernel's choice, kept from others while the port is named.
        let reservation = bound(0);
        let address = reservation.local_addr().unwrap().as_socket().unwrap();
        let socket = bound(address.port());
        let mut port = HealthPort::new(socket.into());
        let refused = || TcpStream::connect(address).unwrap_err().kind();
        for _ in 0..3 {
            assert_eq!(refused(), ErrorKind::ConnectionRefused);
            let mut opened = false;
            assert!(port.open(|_| opened = true) && opened);
            assert!(port.open(|_| panic!("it is open already")));
            TcpStream::connect(address).unwrap();
            port.close();
        }
        assert_eq!(refused(), ErrorKind::ConnectionRefused);
    }
}
