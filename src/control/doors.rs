//! The doors that are always open: statistics, the admin side, the control socket.
//!
//! Owns: their listening sockets, and whether this process answers at them. Another one may share
//! them: to leave them closes nothing, and whoever knocks is answered by it.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;

use glommio::Task;
use tracing::error;

use super::StatsSource;
use super::admin;
use super::admin::Api;
use super::adopt;
use super::stats_port;

/// The sockets, and who answers.
pub(super) struct Doors {
    stats: (TcpListener, Rc<StatsSource>),
    admin: Option<(TcpListener, Rc<Api>)>,
    ctl: Option<(UnixListener, Rc<Api>)>,
    answering: Vec<Task<()>>,
}

impl Doors {
    pub(super) fn new(
        stats: (TcpListener, Rc<StatsSource>),
        admin: Option<(TcpListener, Rc<Api>)>,
        ctl: Option<(UnixListener, Rc<Api>)>,
    ) -> Doors {
        Doors {
            stats,
            admin,
            ctl,
            answering: Vec::new(),
        }
    }

    /// Answers whoever knocks.
    pub(super) fn open(&mut self) {
        self.leave();
        let (listener, source) = &self.stats;
        self.answering.extend(own(listener.try_clone()).map(|own| {
            glommio::spawn_local(stats_port::serve(adopt::listener(own), Rc::clone(source)))
        }));
        if let Some((listener, api)) = &self.admin {
            self.answering.extend(own(listener.try_clone()).map(|own| {
                glommio::spawn_local(admin::serve(adopt::listener(own), Rc::clone(api), None))
            }));
        }
        if let Some((listener, api)) = &self.ctl {
            self.answering.extend(own(listener.try_clone()).map(|own| {
                let own = adopt::unix_listener(own);
                glommio::spawn_local(admin::serve(own, Rc::clone(api), None))
            }));
        }
    }

    /// Leaves them to another process; who is inside is answered.
    pub(super) fn leave(&mut self) {
        // To drop a task is to cancel it.
        self.answering.clear();
    }

    /// The sockets once more, for another process.
    pub(super) fn shared(&self) -> Vec<OwnedFd> {
        let stats = self.stats.0.try_clone().map(OwnedFd::from);
        let admin = self.admin.iter().map(|(l, _)| l.try_clone());
        let ctl = self.ctl.iter().map(|(l, _)| l.try_clone());
        let rest = admin.map(|l| l.map(OwnedFd::from));
        let rest = rest.chain(ctl.map(|l| l.map(OwnedFd::from)));
        std::iter::once(stats).chain(rest).filter_map(own).collect()
    }
}

// Without a descriptor left there is one door fewer, and it says so.
fn own<T>(socket: std::io::Result<T>) -> Option<T> {
    socket
        .inspect_err(|error| error!(%error, "a listening socket cannot be shared"))
        .ok()
}
