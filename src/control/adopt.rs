//! Gives glommio the sockets that were opened without it.
//!
//! glommio takes them only as raw descriptors; opening them ourselves is what lets the start fail
//! before the process is a daemon, what a mailbox is made of, and what lets two processes share a
//! listening socket.

#![allow(unsafe_code, reason = "glommio has no safe way to take a descriptor")]

use std::os::fd::FromRawFd;
use std::os::fd::IntoRawFd;
use std::os::fd::OwnedFd;

/// Makes glommio the owner of one end of a socket pair.
pub(super) fn stream(socket: std::os::unix::net::UnixStream) -> glommio::net::UnixStream {
    // SAFETY: the descriptor is open, and from here on nobody else's.
    unsafe { glommio::net::UnixStream::from_raw_fd(socket.into_raw_fd()) }
}

/// Makes glommio the owner of an accepted socket. One of a Unix socket is no other for it: its streams
/// only poll, receive, send and shut down, which all sockets do.
pub(super) fn tcp_stream(socket: OwnedFd) -> glommio::net::TcpStream {
    // SAFETY: the descriptor is open, and from here on nobody else's.
    unsafe { glommio::net::TcpStream::from_raw_fd(socket.into_raw_fd()) }
}
