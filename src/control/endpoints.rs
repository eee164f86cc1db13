//! The endpoints that are always open: statistics, the admin side, the control socket.
//!
//! Owns: their listening sockets, and whether this process answers at them. Another one may share
//! them: to leave them closes nothing, and whoever knocks is answered by it.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;

use tracing::error;

use super::StatsSource;
use super::accept::Accepted;
use super::accept::Accepting;
use super::accept::accept;
use super::admin;
use super::admin::Api;
use super::stats_port;

/// The sockets, and who answers.
pub(super) struct Endpoints {
    stats: (TcpListener, Rc<StatsSource>),
    admin: Option<(TcpListener, Rc<Api>)>,
    ctl: Option<(UnixListener, Rc<Api>)>,
    // None while another process answers.
    accepting: Option<Vec<Accepting>>,
}

impl Endpoints {
    /// Nobody is answered yet.
    pub(super) fn new(
        stats: (TcpListener, Rc<StatsSource>),
        admin: Option<(TcpListener, Rc<Api>)>,
        ctl: Option<(UnixListener, Rc<Api>)>,
    ) -> Endpoints {
        Endpoints {
            stats,
            admin,
            ctl,
            accepting: None,
        }
    }

    /// Answers whoever knocks, and who has knocked already.
    pub(super) fn open(&mut self) {
        if self.accepting.is_some() {
            return;
        }
        let mut all = Vec::new();
        let (socket, source) = &self.stats;
        if let Some((accepting, accepted)) = at(socket.try_clone()) {
            glommio::spawn_local(stats_port::serve(accepted, Rc::clone(source))).detach();
            all.push(accepting);
        }
        let admin = self.admin.iter().map(|(s, api)| (at(s.try_clone()), api));
        let ctl = self.ctl.iter().map(|(s, api)| (at(s.try_clone()), api));
        for (endpoint, api) in admin.chain(ctl) {
            if let Some((accepting, accepted)) = endpoint {
                glommio::spawn_local(admin::serve(accepted, Rc::clone(api))).detach();
                all.push(accepting);
            }
        }
        self.accepting = Some(all);
    }

    /// Leaves them to another process; who is inside is answered.
    pub(super) fn leave(&mut self) {
        self.accepting = None;
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

fn at(socket: io::Result<impl Into<OwnedFd>>) -> Option<(Accepting, Accepted)> {
    own(socket.and_then(|socket| accept(socket.into())))
}

// Without a descriptor left there is one endpoint fewer, and it says so.
fn own<T>(socket: io::Result<T>) -> Option<T> {
    socket
        .inspect_err(|error| error!(%error, "a listening socket cannot be shared"))
        .ok()
}
