//! Listening sockets: clients come in, or accepting rests for a while.
//!
//! Owns: when a listener accepts, and when it is closed.
#![expect(
    unsafe_code,
    reason = "takes over the descriptors that the kernel has made"
)]

use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::Time;
use crate::reactor::admission::Admission;
use crate::reactor::admission::Entry;
use crate::reactor::listener;
use crate::reactor::message::Renewal;
use crate::reactor::ring::Completion;
use crate::reactor::socket::Socket;
use crate::reactor::token::SocketSlot;
use crate::reactor::token::Token;

use super::Worker;

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A listening socket of a pool.
pub(super) struct Listener {
    pool: PoolIdx,
    // None once it is closed: by a drain, or by a reload.
    pub(super) fd: Option<Arc<OwnedFd>>,
    pub(super) armed: bool,
    // As soon as nothing is armed any more.
    pub(super) closing: bool,
}

impl Listener {
    pub(super) fn new(pool: PoolIdx, fd: Arc<OwnedFd>) -> std::io::Result<Listener> {
        // A non-blocking listener's accept would complete with EAGAIN instead of waiting.
        socket2::SockRef::from(&*fd).set_nonblocking(false)?;
        Ok(Listener {
            pool,
            fd: Some(fd),
            armed: false,
            closing: false,
        })
    }
}

/// Where clients come in, and whether they may.
pub(super) struct Accepting {
    pub(super) listeners: Vec<Listener>,
    pub(super) admission: Arc<Admission>,
    // Accepting has rested until then.
    pub(super) again_at: Option<Time>,
    // It rests because it could not accept, and that was said.
    rests: bool,
    // Until it is told to accept.
    pub(super) stands_by: bool,
    // Who hears it when no listener accepts any more.
    pub(super) resting: Option<mpsc::Sender<()>>,
}

impl Accepting {
    pub(super) fn new(
        listeners: Vec<(PoolIdx, OwnedFd)>,
        admission: Arc<Admission>,
        stands_by: bool,
    ) -> std::io::Result<Accepting> {
        let listeners = listeners.into_iter();
        let listeners = listeners.map(|(pool, fd)| Listener::new(pool, Arc::new(fd)));
        Ok(Accepting {
            listeners: listeners.collect::<std::io::Result<_>>()?,
            admission,
            again_at: None,
            rests: false,
            stands_by,
            resting: None,
        })
    }
}

impl Worker {
    fn accepts(&self) -> bool {
        !self.accepting.stands_by && self.departure.drain_until.is_none()
    }

    /// Listens where the new table says, and nowhere else.
    pub(super) fn renew_listeners(&mut self, renewal: &Renewal) {
        for index in 0..self.accepting.listeners.len() {
            let listener = &mut self.accepting.listeners[index];
            let mut kept = renewal.kept.iter();
            let Some(kept) = kept.find(|kept| kept.was == listener.pool) else {
                self.close_listener(index);
                continue;
            };
            if listener.closing {
                continue;
            }
            listener.pool = kept.is;
            let Some(fd) = &listener.fd else { continue };
            if let Err(error) = listener::change(fd, kept.backlog, kept.keepalive) {
                tracing::warn!(worker = self.idx.0, %error, "listening socket not changed");
            }
        }
        for (pool, fd) in &renewal.opened {
            let listener = match Listener::new(*pool, Arc::clone(fd)) {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(worker = self.idx.0, %error, "listening socket not used");
                    continue;
                }
            };
            let mut places = self.accepting.listeners.iter_mut();
            match places.find(|place| place.fd.is_none() && !place.armed) {
                Some(place) => *place = listener,
                None => self.accepting.listeners.push(listener),
            }
        }
        self.accept_all();
    }

    /// Accepts no more clients there. The socket is closed when the kernel has let go of it.
    fn close_listener(&mut self, index: usize) {
        let listener = &mut self.accepting.listeners[index];
        if !listener.armed {
            listener.fd = None;
        } else if !std::mem::replace(&mut listener.closing, true) {
            let accept = u32::try_from(index).map(Token::Accept);
            if let Ok(accept) = accept {
                self.ring.cancel(accept.pack(), Token::Nothing.pack());
            }
        }
    }

    /// Accepts no more clients anywhere.
    pub(super) fn close_listeners(&mut self) {
        for index in 0..self.accepting.listeners.len() {
            self.close_listener(index);
        }
    }

    pub(super) fn accept_all(&mut self) {
        if !self.accepts() {
            return;
        }
        for (index, listener) in (0u32..).zip(&mut self.accepting.listeners) {
            if let (Some(fd), false) = (&listener.fd, listener.armed || listener.closing) {
                listener.armed = true;
                self.ring
                    .accept(fd.as_raw_fd(), Token::Accept(index).pack());
            }
        }
    }

    pub(super) fn accepted(&mut self, index: u32, completion: Completion, now: Time) {
        let Some(listener) = self.accepting.listeners.get_mut(index as usize) else {
            return;
        };
        if !completion.more {
            listener.armed = false;
            if listener.closing {
                (listener.fd, listener.closing) = (None, false);
            }
        }
        let open = listener.fd.is_some() && !listener.closing;
        if completion.result < 0 {
            if open && self.accepts() {
                self.accept_failed(-completion.result, now);
            }
            return;
        }
        self.accepting.rests = false;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
        let pool = listener.pool;
        // TCP_NODELAY and keepalive are inherited from the listener.
        let socket = socket2::SockRef::from(&fd);
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        let local = socket.local_addr().ok().and_then(|local| local.as_socket());
        let entry = self.accepting.admission.enter(pool);
        if entry == Entry::NoFile {
            tracing::warn!(
                worker = self.idx.0,
                "clients are turned away: the open files that are left are for servers"
            );
        } else {
            let admitted = entry == Entry::Admitted;
            let conn = self.proxy.client_accepted(pool, peer, admitted, now);
            self.proxy.client_reached(conn, local);
            self.sockets.insert(Socket::new(conn, fd, Some(pool)));
            self.receive_again(SocketSlot::of(conn));
        }
        if !completion.more {
            self.accept_all();
        }
    }

    pub(super) fn accept_failed(&mut self, errno: i32, now: Time) {
        match errno {
            // Cancelled: it was to rest, and is not any more.
            libc::ECANCELED
            | libc::ECONNABORTED
            | libc::EINTR
            | libc::EAGAIN
            | libc::EPERM
            | libc::EPROTO => {
                self.accept_all();
            }
            errno => {
                let error = std::io::Error::from_raw_os_error(errno);
                // One line a trouble: it is over when a client is accepted.
                if !std::mem::replace(&mut self.accepting.rests, true) {
                    tracing::warn!(worker = self.idx.0, %error, "accepting clients rests");
                }
                self.accepting.again_at = Some(now + ACCEPT_REST);
            }
        }
    }
}
