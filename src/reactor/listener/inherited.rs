//! Listening sockets that were open before this process was: those of the process before it, or
//! systemd's (`LISTEN_FDS`, sd_listen_fds(3)).
//!
//! They are told from each other by the address that they are bound to, so nobody has to name them.
#![expect(unsafe_code, reason = "systemd passes descriptors as numbers")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::path::Path;

use socket2::Socket;

/// Sockets that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Socket>);

impl Inherited {
    /// Those of the process before this one.
    #[must_use]
    pub fn of(sockets: Vec<OwnedFd>) -> Inherited {
        Inherited(sockets.into_iter().map(Socket::from).collect())
    }

    /// Those that systemd has opened; none without it. To be called once.
    ///
    /// # Errors
    ///
    /// When its variables cannot be understood.
    pub fn of_systemd() -> io::Result<Inherited> {
        if std::env::var_os("LISTEN_FDS").is_none() {
            return Ok(Inherited::default());
        }
        let sockets = sd_notify::listen_fds()?.map(|fd| {
            // SAFETY: systemd has opened it for this process, and nobody else here knows it.
            unsafe { Socket::from_raw_fd(fd) }
        });
        Ok(Inherited(sockets.collect()))
    }

    /// All that are bound to a TCP address.
    pub(super) fn take_tcp(&mut self, at: SocketAddr) -> Vec<Socket> {
        self.take(|socket| bound_to(socket) == Some(at))
    }

    /// All that are bound to a path; they are one socket.
    pub(super) fn take_unix(&mut self, path: &Path) -> Vec<Socket> {
        self.take(|socket| {
            let address = socket.local_addr().ok();
            address.is_some_and(|address| address.as_pathname() == Some(path))
        })
    }

    /// The addresses of those that nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|socket| match socket.local_addr() {
            Ok(address) => match (address.as_socket(), address.as_pathname()) {
                (Some(at), _) => at.to_string(),
                (_, Some(path)) => path.display().to_string(),
                _ => "no address".to_owned(),
            },
            Err(error) => error.to_string(),
        })
    }

    fn take(&mut self, wanted: impl Fn(&Socket) -> bool) -> Vec<Socket> {
        let (taken, left) = std::mem::take(&mut self.0).into_iter().partition(wanted);
        self.0 = left;
        taken
    }
}

fn bound_to(socket: &Socket) -> Option<SocketAddr> {
    socket.local_addr().ok()?.as_socket()
}
