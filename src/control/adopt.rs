//! Gives glommio the sockets that were opened without it.
//!
//! glommio takes a bound listener or one end of a pair only as a raw descriptor; opening them
//! ourselves is what lets the start fail before the process is a daemon, and what a mailbox is
//! made of.

#![allow(unsafe_code, reason = "glommio has no safe way to take a descriptor")]

use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;

/// Makes glommio the owner of a listening socket.
pub(super) fn listener(socket: std::net::TcpListener) -> glommio::net::TcpListener {
    // SAFETY: the descriptor is open, and from here on nobody else's.
    unsafe { glommio::net::TcpListener::from_raw_fd(socket.into_raw_fd()) }
}

/// Makes glommio the owner of one end of a socket pair.
pub(super) fn stream(socket: std::os::unix::net::UnixStream) -> glommio::net::UnixStream {
    // SAFETY: the descriptor is open, and from here on nobody else's.
    unsafe { glommio::net::UnixStream::from_raw_fd(socket.into_raw_fd()) }
}

/// Makes glommio the owner of a listening Unix socket. Its own type for those takes no descriptor;
/// the one for TCP accepts from whatever socket it is given, and the streams that come of it only
/// poll, receive, send and shut down, which all sockets do.
pub(super) fn unix_listener(socket: std::os::unix::net::UnixListener) -> glommio::net::TcpListener {
    // SAFETY: the descriptor is open, and from here on nobody else's.
    unsafe { glommio::net::TcpListener::from_raw_fd(socket.into_raw_fd()) }
}
