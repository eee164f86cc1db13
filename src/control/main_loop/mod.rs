//! The one loop of the control plane: hears what happens, and does what follows from it.
//!
//! Owns: the loop, the state that it changes, and all that acts on that state: each in a file of its
//! own. Nothing outside of this room sees it; events come in, and words go out. Never: decides what the
//! life of the process (`supervisor`), a failure (`Ejector`) or a name (`resolve`) means.

mod bequest;
pub mod ctl;
mod moves;
mod observers;
mod reload;
mod servers;
mod standing;
mod telemetry;
mod upgrade;
mod watched;
mod workers;

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::channels::local_channel::LocalReceiver;
use rustix::process::Signal as Unix;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::config::Table;
use crate::control::Ending;
use crate::control::Log;
use crate::control::Setup;
use crate::control::StatsSource;
use crate::control::actions::Actions;
use crate::control::admin;
use crate::control::admin::Api;
use crate::control::admin::Endpoint;
use crate::control::clock::Clock;
use crate::control::endpoints::Endpoints;
use crate::control::event;
use crate::control::event::Event;
use crate::control::event::Events;
use crate::control::health;
use crate::control::health::Health;
use crate::control::health::HealthOutputs;
use crate::control::health::UnhealthyReason;
use crate::control::history::History;
use crate::control::main_loop::upgrade::Upgrade;
use crate::control::notify;
use crate::control::shown::Shares;
use crate::control::shown::Shown;
use crate::control::signals::Signal;
use crate::control::supervisor::Phase;
use crate::control::supervisor::Step;
use crate::control::supervisor::Supervisor;
use crate::control::telemetry::Telemetry;
use crate::control::watchdog::Watchdog;
use crate::messages::Change;
use crate::reactor::ToWorker;

use observers::Observers;
use reload::Reloading;
use servers::Servers;
use standing::Departures;
use standing::Standing;
use workers::Workers;

pub(super) use moves::Switched;
pub(super) use moves::in_words;

/// Longer than a worker needs to close its sockets; what hangs longer is left to the kernel.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Workers are told the deadline itself; ours only catches a worker that does not keep it.
const GRACE: Duration = Duration::from_millis(500);

/// Runs until the process should end.
pub(super) async fn run(setup: Setup, inbox_wake: UnixStream, names_wake: UnixStream) -> Ending {
    let (events_of, events) = event::queue();
    let tell = events_of.clone();
    let signals = setup.signals;
    glommio::spawn_local(signals.forward(move |s| tell.tell(Event::Signal(s)))).detach();
    events_of.when_woken(inbox_wake, || Event::Inbox);
    events_of.when_woken(names_wake, || Event::Names);
    let stats = Rc::new(setup.stats);
    let clock = Clock::since(stats.started);
    let counters = stats.numbers().workers.clone();
    let health = Health::new(
        &stats.numbers().shape,
        &setup.required_servers,
        &counters,
        clock.now(),
    );
    let health = Rc::new(RefCell::new(health));
    let watchdog = Watchdog::new();
    if !setup.admin.is_empty() || watchdog.is_some() {
        events_of.every(health::PERIOD, || Event::Sample);
    }
    if setup.admin.shows_numbers() {
        events_of.every(crate::control::telemetry::PERIOD, || Event::Collect);
    }
    if setup.reload_on_change {
        events_of.every(watched::LOOK_PERIOD, || Event::LookAtFile);
    }
    let shown = Rc::new(Shown {
        health: Rc::clone(&health),
        stats: Rc::clone(&stats),
        clock,
        history: RefCell::new(History::new(clock.now())),
        recent: setup.admin.recent,
        table: RefCell::new(Arc::clone(&setup.table)),
        events: events_of.clone(),
        is_command: ctl::is_command,
        shares: Shares::default(),
        actions: Actions::new(setup.admin.actions),
        telemetry: RefCell::new(Telemetry::new(&setup.table, setup.workers.len())),
    });
    let api = |endpoint| Api::new(endpoint, &shown);
    let endpoints = Endpoints::new(
        (setup.stats_listener, Rc::clone(&stats)),
        setup
            .admin
            .http
            .map(|socket| (socket, api(Endpoint::Admin))),
        setup.admin.ctl.map(|socket| (socket, api(Endpoint::Ctl))),
    );
    let (file, port) = (setup.admin.health_file, setup.admin.health_port);
    let means = setup.admin.health_means;
    let behind_port = api(Endpoint::Health(means));
    let answer = move |accepted| {
        glommio::spawn_local(admin::serve(accepted, Rc::clone(&behind_port))).detach();
    };
    let outputs = HealthOutputs::new(file, port, Box::new(answer), means);
    for change in setup.sentinels.changes() {
        if let Change::Fence { pool, fenced } = change {
            health.borrow_mut().set_fenced(pool, fenced, clock.now());
        }
    }
    let tell = events_of.clone();
    let sentinels = setup.sentinels.watch(move |c| tell.tell(Event::Change(c)));
    let mut control = Control {
        supervisor: Supervisor::new(setup.workers.len(), setup.drain_within),
        workers: Workers {
            to: setup.workers,
            inbox: setup.inbox,
            counters,
        },
        servers: Servers {
            names: setup.names,
            sentinels,
            ejector: setup.ejector,
            probes: setup.probes,
        },
        log: setup.log,
        stats,
        clock,
        standing: Standing {
            health,
            outputs,
            watchdog,
            ready: Some(setup.ready),
        },
        shown,
        table: setup.table,
        reloading: Reloading::new(setup.source, setup.read),
        endpoints,
        upgrade: Upgrade::new(setup.upgrade),
        departures: Departures::default(),
        observers: Observers::default(),
        events: events_of,
    };
    if let Err(error) = control.open() {
        error!(%error, "cannot take over");
        return Ending::CalledOff;
    }
    control.run(events).await
}

/// All that the loop changes; the acts of `ctl` get it, too.
struct Control {
    supervisor: Supervisor,
    workers: Workers,
    servers: Servers,
    log: Box<dyn Log>,
    stats: Rc<StatsSource>,
    clock: Clock,
    standing: Standing,
    shown: Rc<Shown>,
    /// What is served.
    table: Arc<Table>,
    reloading: Reloading,
    endpoints: Endpoints,
    upgrade: Upgrade,
    departures: Departures,
    observers: Observers,
    events: Events,
}

impl Control {
    async fn run(mut self, events: LocalReceiver<Event>) -> Ending {
        self.time_names();
        while let Some(event) = events.recv().await {
            for step in self.handle(event) {
                if let Some(ending) = self.take(step) {
                    return ending;
                }
            }
        }
        unreachable!("we hold a sender of our own events")
    }

    fn handle(&mut self, event: Event) -> Vec<Step> {
        match event {
            Event::Signal(signal) => vec![self.signal(signal)],
            Event::Overdue(phase) => {
                if phase == Phase::Draining && self.supervisor.phase() == phase {
                    let workers = self.supervisor.unfinished();
                    warn!(workers, "drain took too long");
                }
                vec![self.supervisor.overdue(phase)]
            }
            Event::Inbox => {
                let mut messages = Vec::new();
                self.workers.inbox.take(&mut messages);
                messages.into_iter().map(|m| self.hear(m)).collect()
            }
            Event::Names => {
                self.names_came();
                Vec::new()
            }
            Event::ProbeDue(probe) => {
                self.probe_due(probe);
                Vec::new()
            }
            Event::ProbeAnswered(probe) => {
                self.probe_answered(probe);
                Vec::new()
            }
            Event::Change(change) => {
                self.told_by_sentinels(change);
                Vec::new()
            }
            Event::LookUp(pool, server) => {
                self.servers.names.ask(pool, server);
                Vec::new()
            }
            Event::Refresh(pool, server) => {
                if let Some(delay) = self.servers.names.refresh(pool, server) {
                    self.events.after(delay, Event::Refresh(pool, server));
                }
                Vec::new()
            }
            Event::LetGo(departure) => {
                self.depart(departure);
                Vec::new()
            }
            Event::Prepared(outcome) => {
                self.prepared(outcome);
                Vec::new()
            }
            Event::LookAtFile => {
                self.look_at_file();
                Vec::new()
            }
            Event::Sample => {
                self.sample();
                Vec::new()
            }
            Event::Collect => {
                self.collect();
                Vec::new()
            }
            Event::Observing(observer) => {
                self.look_after(observer);
                Vec::new()
            }
            Event::OldSide => self.hear_old_side(),
            Event::NewSide => self.hear_new_side(),
            Event::MastersOverdue => {
                self.masters_overdue();
                Vec::new()
            }
            Event::HandedOver => vec![self.handed_over()],
            Event::Ctl(asked) => {
                ctl::act(self, asked);
                Vec::new()
            }
        }
    }

    fn signal(&mut self, signal: Signal) -> Step {
        match signal {
            Signal::End if self.call_off() => {}
            Signal::End => return self.supervisor.told_to_end(),
            Signal::Renew => {
                self.log.reopen();
                self.reload(None);
            }
            Signal::LogMore => self.turn_log(1, Unix::TTIN),
            Signal::LogLess => self.turn_log(-1, Unix::TTOU),
            Signal::Upgrade => self.start_upgrade(None),
            Signal::Ignored(signal) => info!(signal, "signal ignored"),
        }
        Step::Nothing
    }

    // What the new process has not been told with all else is told by the same signal.
    fn turn_log(&mut self, by: i8, signal: Unix) {
        self.log.change_level(by);
        if self.upgrade.has_left_the_endpoints() {
            self.upgrade.pass_on(signal);
        }
    }

    // Does what the supervisor decided; an ending when that was the last thing.
    fn take(&mut self, step: Step) -> Option<Ending> {
        match step {
            Step::Nothing => {}
            Step::Ready if self.upgrade.stands_by() => self.workers_stand_by(),
            Step::Ready => self.serve(),
            Step::Drain(within) => {
                // First of all, so that clients go elsewhere while it still serves. After a hand-over
                // they are elsewhere, and whoever asks asks about the other process.
                if !self.upgrade.is_gone() {
                    notify::stopping();
                    self.add_reason(UnhealthyReason::Ending);
                }
                info!(within_ms = within.as_millis(), "draining");
                self.tell_all(&ToWorker::Drain { within });
                self.events
                    .after(within + GRACE, Event::Overdue(Phase::Draining));
            }
            Step::Stop => {
                if !self.upgrade.is_gone() {
                    self.add_reason(UnhealthyReason::Ending);
                }
                self.tell_all(&ToWorker::Stop);
                self.events
                    .after(STOP_WITHIN, Event::Overdue(Phase::Stopping));
            }
            Step::End(ending) => return Some(self.upgrade.ending(ending)),
        }
        None
    }
}
