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
use super::gate::Gate;
use super::stats_port;

/// The sockets, and who answers.
pub(super) struct Doors {
    stats: (TcpListener, Rc<StatsSource>),
    admin: Option<(TcpListener, Rc<Api>)>,
    ctl: Option<(UnixListener, Rc<Api>)>,
    answers: bool,
    gate: Gate,
    answers_ctl: Option<Task<()>>,
}

impl Doors {
    /// Nobody is answered yet.
    pub(super) fn new(
        stats: (TcpListener, Rc<StatsSource>),
        admin: Option<(TcpListener, Rc<Api>)>,
        ctl: Option<(UnixListener, Rc<Api>)>,
    ) -> Doors {
        Doors {
            stats,
            admin,
            ctl,
            answers: false,
            gate: Gate::open(),
            answers_ctl: None,
        }
    }

    /// Answers whoever knocks, if they were not open already.
    pub(super) fn open(&mut self) {
        if std::mem::replace(&mut self.answers, true) {
            return;
        }
        self.gate = Gate::open();
        let (listener, source) = &self.stats;
        if let Some(own) = own(listener.try_clone()) {
            let (own, source) = (adopt::listener(own), Rc::clone(source));
            glommio::spawn_local(stats_port::serve(own, source, self.gate.clone())).detach();
        }
        if let Some((listener, api)) = &self.admin {
            if let Some(own) = own(listener.try_clone()) {
                let (own, api) = (adopt::listener(own), Rc::clone(api));
                glommio::spawn_local(admin::serve(own, api, self.gate.clone())).detach();
            }
        }
        if let Some((listener, api)) = &self.ctl {
            self.answers_ctl = own(listener.try_clone()).map(|own| {
                let (own, api) = (adopt::unix_listener(own), Rc::clone(api));
                glommio::spawn_local(admin::serve(own, api, self.gate.clone()))
            });
        }
    }

    /// Leaves them to another process; who is inside is answered.
    pub(super) fn leave(&mut self) {
        self.answers = false;
        self.gate.leave();
        // To drop a task is to cancel it: no further command is for this process.
        self.answers_ctl = None;
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
