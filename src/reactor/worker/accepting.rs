//! Listening sockets: clients come in, or accepting rests for a while.
//!
//! Owns: when a listener accepts, and when it is closed.
#![expect(
    unsafe_code,
    reason = "takes over the descriptors that the kernel has made"
)]

use super::Worker;
use crate::base::PoolIdx;
use crate::base::Time;
use crate::reactor::admission::Entry;
use crate::reactor::ring::Completion;
use crate::reactor::socket::Socket;
use crate::reactor::token::Place;
use crate::reactor::token::Token;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

pub(super) struct Listener {
    pub(super) pool: PoolIdx,
    // None once it is closed, by a drain.
    pub(super) fd: Option<OwnedFd>,
    pub(super) armed: bool,
}

impl Worker {
    fn accepts(&self) -> bool {
        !self.stands_by && self.leaving.is_none() && self.drain_until.is_none()
    }

    pub(super) fn accept_all(&mut self) {
        if !self.accepts() {
            return;
        }
        for (index, listener) in (0u32..).zip(&mut self.listeners) {
            if let (Some(fd), false) = (&listener.fd, listener.armed) {
                listener.armed = true;
                self.ring
                    .accept(fd.as_raw_fd(), Token::Accept(index).pack());
            }
        }
    }

    pub(super) fn accepted(&mut self, index: u32, completion: Completion, now: Time) {
        let draining = self.drain_until.is_some();
        let Some(listener) = self.listeners.get_mut(index as usize) else {
            return;
        };
        if !completion.more {
            listener.armed = false;
            if draining {
                listener.fd = None;
            }
        }
        if completion.result < 0 {
            if self.accepts() {
                self.accept_failed(-completion.result, now);
            }
            return;
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
        let pool = listener.pool;
        // TCP_NODELAY and keepalive are inherited from the listener.
        let peer = socket2::SockRef::from(&fd)
            .peer_addr()
            .ok()
            .and_then(|peer| peer.as_socket());
        let entry = self.admission.enter(pool);
        if entry == Entry::NoFile {
            self.turned_away.say(self.idx, now);
        } else {
            let admitted = entry == Entry::Admitted;
            let conn = self.proxy.client_accepted(pool, peer, admitted, now);
            self.insert(Socket::new(conn, fd, Some(pool)));
            self.receive_again(Place::of(conn));
        }
        if !completion.more {
            self.accept_all();
        }
    }

    pub(super) fn accept_failed(&mut self, errno: i32, now: Time) {
        match errno {
            libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::EPERM | libc::EPROTO => {
                self.accept_all();
            }
            errno => {
                let error = std::io::Error::from_raw_os_error(errno);
                if self.accept_again_at.is_none() {
                    tracing::warn!(worker = self.idx.0, %error, "accepting clients rests");
                }
                self.accept_again_at = Some(now + ACCEPT_REST);
            }
        }
    }
}
