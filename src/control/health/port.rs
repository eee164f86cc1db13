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

use crate::control::gate::Gate;

/// As many as may connect between two passes of the executor.
const BACKLOG: i32 = 128;

/// A bound socket that listens at times.
#[derive(Debug)]
pub(in crate::control) struct HealthPort {
    socket: Socket,
    open: Option<Gate>,
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

    /// Listens; `accept` gets the listener, and what tells it that the port was closed. `true` if
    /// it listens now; worth a try again if not.
    pub(in crate::control) fn open(
        &mut self,
        accept: impl FnOnce(std::net::TcpListener, Gate),
    ) -> bool {
        if self.open.is_some() {
            return true;
        }
        match self.listen() {
            Ok(listener) => {
                let gate = Gate::open();
                accept(listener, gate.clone());
                self.open = Some(gate);
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

    fn listen(&self) -> io::Result<std::net::TcpListener> {
        self.socket.listen(BACKLOG)?;
        Ok(self.socket.try_clone()?.into())
    }

    /// Refuses from now on; those who wait to be accepted are reset.
    pub(in crate::control) fn close(&mut self) {
        if let Some(gate) = self.open.take() {
            gate.shut();
        }
        if !std::mem::replace(&mut self.silent, true) {
            // It fails only for a socket that does not listen.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Leaves it as it is to another process that has it, too.
    pub(in crate::control) fn leave(&mut self) {
        if let Some(gate) = self.open.take() {
            gate.leave();
        }
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
            let mut found = None;
            assert!(port.open(|_, gate| found = Some(gate)));
            let gate = found.unwrap();
            assert!(port.open(|_, _| panic!("it is open already")));
            assert!(gate.is_open());
            TcpStream::connect(address).unwrap();
            port.close();
            assert!(gate.is_shut());
        }
        assert_eq!(refused(), ErrorKind::ConnectionRefused);
    }
}
