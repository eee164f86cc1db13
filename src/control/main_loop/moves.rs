//! A server is elsewhere from now on: what the control plane does about it.
//!
//! Owns: who must know, whether Sentinels or somebody at `ctl` say so: every worker, the probes, the
//! resolver, the health. Never: decides where a server is.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::info;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::messages::Change;
use crate::messages::SocketAddress;
use crate::reactor::ToWorker;

use super::Control;
use super::Event;

/// What came of telling a pool where one of its servers is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Switched {
    /// It is used there from now on, and was there before.
    Moved(Vec<SocketAddress>),
    /// It is there already.
    There,
    /// The pool's Sentinels say where it is; they are being asked.
    Sentinels,
}

impl Control {
    /// A server is at these addresses and at no other, also none that its name is found to have.
    pub(in crate::control) fn move_server(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        addresses: Vec<SocketAddress>,
    ) {
        self.servers.probes.moved(pool, server, &addresses);
        self.servers.names.forget(pool, server);
        self.standing
            .health
            .borrow_mut()
            .set_unknown(pool, server, false);
        // An ejected one need not wait for its time: what has failed was another server.
        if let Some(probe) = self.servers.ejector.moved(pool, server) {
            self.events.after(probe.after, Event::ProbeDue(probe));
        }
        let change = Change::Moved {
            pool,
            server,
            addresses,
        };
        self.tell_all(&ToWorker::Change(Arc::new(change)));
    }

    /// Somebody says that a server is at `to`.
    pub(in crate::control) fn switch(
        &mut self,
        pool: PoolIdx,
        server: ServerIdx,
        to: SocketAddr,
    ) -> Switched {
        if self.servers.sentinels.follows(pool) {
            self.servers.sentinels.hint(pool, server);
            return Switched::Sentinels;
        }
        let mut from = self.servers.probes.known(pool, server).to_vec();
        if from.is_empty() {
            from = self.servers.names.known(pool, server);
        }
        let addresses = vec![SocketAddress::Tcp(to)];
        // An address that a name happens to have may change with it.
        if from == addresses && !self.servers.names.has(pool, server) {
            return Switched::There;
        }
        let (of, name) = self.labels(pool, server);
        info!(pool = of, server = name, from = %in_words(&from), %to, source = "ctl", "master moved");
        self.move_server(pool, server, addresses);
        Switched::Moved(from)
    }
}

/// Where a server was, for people.
pub(in crate::control) fn in_words(addresses: &[SocketAddress]) -> String {
    match addresses.first() {
        Some(SocketAddress::Tcp(address)) => address.to_string(),
        Some(SocketAddress::Unix(path)) => path.display().to_string(),
        None => "nowhere".to_owned(),
    }
}
