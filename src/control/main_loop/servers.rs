//! How servers do and where they are: what follows from reports, probes, names and Sentinels.
//!
//! Owns: who is told of it: workers, health, log. Never: decides what a failure (`Ejector`) or a name
//! (`resolve`) means.

use std::sync::Arc;

use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::control::Names;
use crate::control::Probes;
use crate::control::event::Event;
use crate::control::sentinel::Watching;
use crate::ejection::Ejector;
use crate::ejection::Probe;
use crate::messages::Change;
use crate::messages::Report;
use crate::reactor::ToWorker;

use super::Control;

/// What is known of the servers, and who finds it out.
pub(in crate::control) struct Servers {
    pub(super) names: Names,
    pub(super) sentinels: Watching,
    pub(super) ejector: Ejector,
    pub(super) probes: Probes,
}

impl Control {
    /// The resolver has answered.
    pub(super) fn names_came(&mut self) {
        for answer in self.servers.names.take() {
            let (pool, server) = (answer.pool, answer.server);
            if !self.servers.names.learn(answer) {
                continue;
            }
            let unknown = self.servers.names.is_unknown(pool, server);
            self.standing
                .health
                .borrow_mut()
                .set_unknown(pool, server, unknown);
            self.tell_addresses(pool, server);
        }
        self.time_names();
    }

    /// A worker asks where a server is.
    pub(super) fn name_wanted(&mut self, pool: PoolIdx, server: ServerIdx) {
        // Who waits for a name that has just been found unknown need not wait for the next
        // lookup, which may not follow at once.
        if self.servers.names.is_unknown(pool, server) {
            self.tell_addresses(pool, server);
        }
        if let Some(delay) = self.servers.names.wanted(pool, server) {
            self.events.after(delay, Event::LookUp(pool, server));
        }
    }

    /// Sees that names are looked up again when what is known of them is old.
    pub(super) fn time_names(&mut self) {
        for (pool, server, delay) in self.servers.names.untimed() {
            self.events.after(delay, Event::Refresh(pool, server));
        }
    }

    pub(super) fn tell_addresses(&self, pool: PoolIdx, server: ServerIdx) {
        let change = self.servers.names.change(pool, server);
        self.tell_all(&ToWorker::Change(Arc::new(change)));
    }

    /// A worker tells how a server does.
    pub(super) fn reported(&mut self, report: Report) {
        let verdict = self.servers.ejector.hear(report, self.clock.time());
        if let Report::ServerFailed { pool, server, .. } = report {
            self.servers.sentinels.hint(pool, server);
        }
        if let Some(probe) = verdict.probe {
            self.events.after(probe.after, Event::ProbeDue(probe));
            if let Some(Change::Eject { pool, server }) = verdict.change {
                self.standing
                    .health
                    .borrow_mut()
                    .set_ejected(pool, server, true);
                let (pool, server) = self.labels(pool, server);
                let retry_ms = probe.after.as_millis();
                warn!(pool, server, retry_ms, "server ejected");
            }
        }
        if let Some(change) = verdict.change {
            self.tell_all(&ToWorker::Change(Arc::new(change)));
        }
    }

    /// The time to ask a server whether it serves again has come.
    pub(super) fn probe_due(&mut self, probe: Probe) {
        if let Some(next) = self.servers.ejector.probe_due(probe) {
            self.events.after(next.after, Event::ProbeDue(next));
            self.probe(probe);
        }
    }

    /// Asks a server whether it serves again; the answer is an event.
    fn probe(&self, probe: Probe) {
        let looked_up = self.servers.names.known(probe.pool, probe.server);
        let asking = self
            .servers
            .probes
            .ask(probe.pool, probe.server, &looked_up);
        let events = self.events.clone();
        let task = async move {
            if asking.await {
                events.tell(Event::ProbeAnswered(probe));
            }
        };
        glommio::spawn_local(task).detach();
    }

    /// A server that had failed answers.
    pub(super) fn probe_answered(&mut self, probe: Probe) {
        if let Some(change) = self.servers.ejector.probe_answered(probe) {
            let now = self.clock.now();
            let mut health = self.standing.health.borrow_mut();
            health.answered(probe.pool, probe.server, now);
            drop(health);
            let (pool, server) = self.labels(probe.pool, probe.server);
            match change {
                Change::Readmit { .. } => {
                    info!(pool, server, "server readmitted");
                    let mut health = self.standing.health.borrow_mut();
                    health.set_ejected(probe.pool, probe.server, false);
                }
                _ => info!(pool, server, "server answers again"),
            }
            self.tell_all(&ToWorker::Change(Arc::new(change)));
        }
    }

    /// The Sentinels have told of something that every worker must know.
    pub(in crate::control) fn told_by_sentinels(&mut self, change: Change) {
        let pool = match change {
            Change::Moved { pool, server, .. }
            | Change::Replicas { pool, server, .. }
            | Change::HoldWrites { pool, server, .. }
            | Change::ReleaseWrites { pool, server } => {
                self.table.server(pool, server).map(|_| pool)
            }
            Change::Fence { pool, .. } | Change::Hold { pool, .. } => Some(pool),
            _ => None,
        };
        // What was said of a pool that follows no Sentinels any more counts no longer.
        if pool.is_some_and(|pool| !self.servers.sentinels.follows(pool)) || pool.is_none() {
            return;
        }
        self.tell_fence(&change);
        match change {
            Change::Moved {
                pool,
                server,
                addresses,
            } => {
                self.move_server(pool, server, addresses);
                self.master_known(pool, server);
            }
            change => self.tell_all(&ToWorker::Change(Arc::new(change))),
        }
    }

    /// Writes to a pool are refused, or no longer.
    pub(super) fn tell_fence(&mut self, change: &Change) {
        if let Change::Fence { pool, fenced } = *change {
            let now = self.clock.now();
            self.standing
                .health
                .borrow_mut()
                .set_fenced(pool, fenced, now);
            self.show_health();
        }
    }

    /// What a pool and its server are called in the log.
    pub(in crate::control) fn labels(&self, pool: PoolIdx, server: ServerIdx) -> (&str, &str) {
        let of = self.table.pool(pool).map_or("?", |pool| &pool.name);
        let server = self.table.server(pool, server);
        (of, server.map_or("?", |server| &server.name))
    }
}
