//! Another configuration, while everything goes on.
//!
//! Owns: the order of a reload, and that there is one at a time. First the file is read and new
//! sockets are opened, aside, because a name server or a port may be waited for; then, between two
//! other events, every worker and all of the control plane get the new table. If anything is wrong
//! nothing has changed. Never: reads a file or opens a socket (`Source`).

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use tracing::error;
use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Difference;
use crate::config::Table;
use crate::config::TooMany;
use crate::config::loss;
use crate::control::Commit;
use crate::control::Numbers;
use crate::control::Prepared;
use crate::control::Source;
use crate::control::Stamp;
use crate::control::asked::Reply;
use crate::control::event::Event;
use crate::control::probe;
use crate::control::source::Outcome;
use crate::control::supervisor::Phase;
use crate::messages::Change;
use crate::proxy::Reload;
use crate::reactor::ToWorker;
use crate::stats::PoolShape;
use crate::stats::Shape;
use crate::stats::WorkerStats;

use super::Control;
use super::watched::STILL_FOR;
use super::watched::Watched;

/// Reloads: the one that is under way, and who wants another after it.
pub(super) struct Reloading {
    source: Arc<dyn Source>,
    busy: bool,
    again: bool,
    // Whether somebody wants the next one, and whether nobody has wanted the one under way.
    asked: bool,
    by_itself: bool,
    // Who is told what comes of the one that is under way, and of the one after it.
    asking: Vec<Reply>,
    waiting: Vec<Reply>,
    file: Watched,
}

impl Reloading {
    /// `read`: as the file looked before it was read for the start.
    pub(super) fn new(source: Arc<dyn Source>, read: Option<Stamp>) -> Reloading {
        Reloading {
            source,
            busy: false,
            again: false,
            asked: false,
            by_itself: false,
            asking: Vec::new(),
            waiting: Vec::new(),
            file: Watched::new(read),
        }
    }
}

impl Control {
    /// Reads the file again, and serves what it says; whoever asks at `ctl` is told what came of it.
    pub(in crate::control) fn reload(&mut self, reply: Option<Reply>) {
        let reloading = &mut self.reloading;
        reloading.waiting.extend(reply);
        if self.upgrade.other_serves() {
            reloading.again = true;
            return self.leave_reload_to_another();
        }
        reloading.asked = true;
        // What is being read now may have been written before it was asked for.
        reloading.again = true;
        self.reload_next();
    }

    /// Whether a reload is under way.
    pub(in crate::control) fn is_reloading(&self) -> bool {
        self.reloading.busy
    }

    /// Begins the one that is wanted, if there is one and nothing is in its way.
    pub(in crate::control) fn reload_next(&mut self) {
        // Both processes have to mean the same by a pool: whoever serves in the end reads the file.
        if self.upgrade.is_under_way() {
            return;
        }
        let reloading = &mut self.reloading;
        if reloading.busy || !std::mem::take(&mut reloading.again) {
            return;
        }
        reloading.busy = true;
        reloading.asking = std::mem::take(&mut reloading.waiting);
        reloading.by_itself = !std::mem::take(&mut reloading.asked);
        reloading.file.is_read(reloading.source.stamp());
        let source = Arc::clone(&reloading.source);
        let served = Arc::clone(self.table.config());
        let events = self.events.clone();
        let task = async move {
            let reading = glommio::executor().spawn_blocking(move || source.prepare(&served));
            events.tell(Event::Prepared(reading.await));
        };
        glommio::spawn_local(task).detach();
    }

    /// Another process serves from now on, and is the one to reload, if somebody wants that. Who
    /// waits for what comes of it asks there.
    pub(in crate::control) fn leave_reload_to_another(&mut self) {
        let reloading = &mut self.reloading;
        let replies = reloading.waiting.drain(..);
        replies.for_each(Reply::elsewhere);
        if std::mem::take(&mut reloading.again) {
            info!("a reload is wanted: the new process is told");
            self.upgrade.pass_on(rustix::process::Signal::HUP);
        }
    }

    /// The file was read.
    pub(super) fn prepared(&mut self, outcome: Outcome) {
        self.reloading.busy = false;
        if self.is_doubted(&outcome) {
            return self.go_on_after_upgrade();
        }
        let asking = std::mem::take(&mut self.reloading.asking);
        match outcome.and_then(|prepared| self.serve_another(prepared)) {
            Ok(text) => asking
                .into_iter()
                .for_each(|reply| reply.done(text.clone())),
            Err(problems) => {
                error!("reload refused: nothing has changed");
                let mut text = "refused, nothing has changed:\n".to_owned();
                for problem in problems {
                    error!("{problem}");
                    text += &(problem + "\n");
                }
                let replies = asking.into_iter();
                replies.for_each(|reply| reply.refused(text.clone()));
            }
        }
        self.go_on_after_upgrade();
    }

    /// The time to look whether the file was changed has come.
    pub(super) fn look_at_file(&mut self) {
        // It is looked at when it can be read.
        if self.upgrade.is_under_way() {
            return;
        }
        let reloading = &mut self.reloading;
        let seen = reloading.source.stamp();
        if reloading.file.looks(seen) && !reloading.busy {
            info!("configuration file changed");
            reloading.again = true;
            self.reload_next();
        }
    }

    /// Whether nobody has asked for what was read, and it looks like the half of a file: it is read
    /// again when it has been still for longer.
    fn is_doubted(&mut self, outcome: &Outcome) -> bool {
        let Ok(prepared) = outcome else {
            return false;
        };
        let Some(lost) = loss(self.table.config(), &prepared.config) else {
            return false;
        };
        let reloading = &mut self.reloading;
        let doubted = reloading.by_itself && reloading.file.doubt();
        if doubted {
            warn!(
                lost,
                still_for_s = STILL_FOR.as_secs(),
                "configuration file may not be whole: it is read when it has been still for longer, \
                 or when told to (`coremux ctl reload`)"
            );
        }
        doubted
    }

    fn serve_another(&mut self, prepared: Prepared) -> Result<String, Vec<String>> {
        if !matches!(self.supervisor.phase(), Phase::Starting | Phase::Serving) {
            return Err(vec!["the process is about to end".to_owned()]);
        }
        // Both processes have to mean the same by a pool.
        if self.upgrade.is_under_way() {
            return Err(vec!["an upgrade is under way".to_owned()]);
        }
        let Prepared { config, commit } = prepared;
        let mut text = String::new();
        for warning in config.warnings() {
            warn!("{warning}");
            text += &format!("{warning}\n");
        }
        let next = self.table.next(Arc::new(config));
        let next = next.map_err(|error: TooMany| vec![error.to_string()])?;
        let difference = Difference::between(&self.table, &next);
        if difference.is_empty() {
            info!("reloaded: nothing is different");
            return Ok(text + "nothing is different\n");
        }
        let lines = difference.lines(&self.table, &next);
        self.take_table(next, difference, commit);
        info!(changes = lines.len(), "reloaded");
        for line in lines {
            info!("{line}");
            text += &(line + "\n");
        }
        Ok(text + "reloaded\n")
    }

    fn take_table(
        &mut self,
        next: Table,
        difference: Difference,
        commit: Box<dyn FnOnce(Commit<'_>) -> Vec<ToWorker> + Send>,
    ) {
        let moved = self.moved_by(&next, &difference);
        let table = Arc::new(next);
        let counters = self.workers.counters.iter();
        let counters = counters.map(|stats| Arc::new(stats.grown(table.places())));
        self.workers.counters = counters.collect();
        let messages = commit(Commit {
            was: &self.table,
            reload: Reload {
                table: Arc::clone(&table),
                difference: Arc::new(difference),
                moved: moved.clone(),
            },
            stats: self.workers.counters.clone(),
        });
        for (worker, message) in self.workers.to.iter().zip(messages) {
            worker.send(message);
        }
        self.table = table;
        *self.shown.table.borrow_mut() = Arc::clone(&self.table);
        self.servers.names.reload(&self.table, &moved);
        self.servers.probes.reload(&self.table, &moved);
        self.shown.telemetry.borrow_mut().reload(&self.table);
        let shape = shape_of(&self.table);
        let shown = numbers_of(&self.table, &self.workers.counters);
        let now = self.clock.now();
        let mut health = self.standing.health.borrow_mut();
        health.reload(&self.table, &shape, &shown, now);
        drop(health);
        *self.stats.numbers.borrow_mut() = Numbers {
            shape,
            workers: shown,
            client_limits: client_limits_of(&self.table),
        };
        for (pool, server) in moved {
            let mut health = self.standing.health.borrow_mut();
            health.set_unknown(pool, server, false);
            drop(health);
            if let Some(probe) = self.servers.ejector.moved(pool, server) {
                self.events.after(probe.after, Event::ProbeDue(probe));
            }
        }
        self.tell_what_follows();
        self.time_names();
        self.show_health();
    }

    /// What the new table means for what is known of servers and masters.
    fn tell_what_follows(&mut self) {
        for verdict in self.servers.ejector.reload(&self.table, self.clock.time()) {
            if let Some(probe) = verdict.probe {
                self.events.after(probe.after, Event::ProbeDue(probe));
            }
            let Some(change) = verdict.change else {
                continue;
            };
            if let Change::Readmit { pool, server } = change {
                let mut health = self.standing.health.borrow_mut();
                health.set_ejected(pool, server, false);
            }
            self.tell_all(&ToWorker::Change(Arc::new(change)));
        }
        let (probes, names) = (&self.servers.probes, &self.servers.names);
        let in_use = |pool, server| {
            let known = probes.known(pool, server).first().cloned();
            known.or_else(|| names.known(pool, server).into_iter().next())
        };
        for change in self.servers.sentinels.reload(&self.table, in_use) {
            self.tell_fence(&change);
            self.tell_all(&ToWorker::Change(Arc::new(change)));
        }
    }

    /// The servers that the file has moved. Where Sentinels have said where a master is, the file
    /// says nothing any more.
    fn moved_by(&self, next: &Table, difference: &Difference) -> BTreeSet<(PoolIdx, ServerIdx)> {
        let mut moved = BTreeSet::new();
        for (pool, server, config) in next.all_servers() {
            if self.table.server(pool, server).is_none() {
                continue;
            }
            let follows = |table: &Table| {
                let pool = table.pool(pool);
                pool.is_some_and(|pool| !pool.sentinels.addresses.is_empty())
            };
            let told = self.servers.probes.is_told(pool, server);
            let other = difference.moves(pool, server);
            let counts = match follows(next) {
                true => other && !told,
                false => other || (told && follows(&self.table)),
            };
            let known = probe::known(&config.address);
            let is_there = !known.is_empty() && self.servers.probes.known(pool, server) == known;
            if counts && !is_there {
                moved.insert((pool, server));
            }
        }
        moved
    }
}

/// The names of what is served, in the configuration's order.
fn shape_of(table: &Table) -> Shape {
    let pools = table.pools().map(|(_, pool)| PoolShape {
        name: Arc::clone(&pool.name),
        servers: pool.servers.iter().map(|s| Arc::clone(&s.name)).collect(),
    });
    Shape {
        pools: pools.collect(),
    }
}

/// How many clients each pool may have, in the same order.
fn client_limits_of(table: &Table) -> Vec<Option<NonZeroU32>> {
    let pools = table.pools();
    pools
        .map(|(_, pool)| pool.limits.client_connections)
        .collect()
}

/// Each worker's numbers in the same order.
fn numbers_of(table: &Table, counters: &[Arc<WorkerStats>]) -> Vec<Arc<WorkerStats>> {
    let shown = |stats: &Arc<WorkerStats>| {
        let pools = table.pools();
        Arc::new(stats.of(pools.map(|(pool, _)| (pool, table.server_order(pool)))))
    };
    counters.iter().map(shown).collect()
}
