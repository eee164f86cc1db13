//! A port that is this test's alone.

use std::net::Ipv4Addr;
use std::net::SocketAddr;

use socket2::Domain;
use socket2::Socket;
use socket2::Type;

/// A port of 127.0.0.1, chosen by the kernel and reserved while this value lives.
///
/// The reservation is a socket that is bound and never listens. The kernel gives its port to nobody
/// who asks for any port, neither to bind nor to connect from; a program that names the port and
/// sets `SO_REUSEADDR`, as all servers do, can listen there, stop, and listen again. While it does
/// not, connections are refused.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reservation: Socket,
}

impl Port {
    /// Reserves a port.
    pub fn reserve() -> Port {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        // Without this, a program that sets SO_REUSEPORT could not share the port.
        socket.set_reuse_port(true).unwrap();
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Port {
            number: address.port(),
            _reservation: socket,
        }
    }

    /// 127.0.0.1 and this port.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.number
    }
}
