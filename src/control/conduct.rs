//! Conducts the process: hears what happens, and does what follows from it.
//!
//! Owns: the one loop of the control plane, and the state that it changes. Never: decides what the
//! life of the process (`supervisor`), a failure (`Fates`) or a name (`resolve`) means.

mod moves;

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::channels::local_channel::LocalReceiver;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::proxy::Change;
use crate::proxy::Fates;
use crate::proxy::Probe;
use crate::proxy::Report;
use crate::reactor::FromWorker;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::ToWorker;

use super::Ending;
use super::Log;
use super::Names;
use super::Probes;
use super::Setup;
use super::StatsSource;
use super::admin::Api;
use super::adopt;
use super::clock::Clock;
use super::event;
use super::event::Departure;
use super::event::Event;
use super::event::Events;
use super::health;
use super::health::Bar;
use super::health::Health;
use super::sentinel::Watching;
use super::signals::Signal;
use super::signs::Signs;
use super::stats_port;
use super::supervisor::Phase;
use super::supervisor::Step;
use super::supervisor::Supervisor;

pub(super) use moves::Switched;
pub(super) use moves::in_words;

/// Longer than a worker needs to close its sockets; what hangs longer is left to the kernel.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Workers are told the deadline itself; ours only catches a worker that does not keep it.
const GRACE: Duration = Duration::from_millis(500);

/// Runs until the process should end.
pub(super) async fn conduct(
    setup: Setup,
    inbox_wake: UnixStream,
    names_wake: UnixStream,
) -> Ending {
    let (events_of, events) = event::queue();
    let tell = events_of.clone();
    let signals = setup.signals;
    glommio::spawn_local(signals.forward(move |s| tell.tell(Event::Signal(s)))).detach();
    events_of.when_woken(inbox_wake, || Event::Inbox);
    events_of.when_woken(names_wake, || Event::Names);
    let listener = adopt::listener(setup.stats_listener);
    let stats = Rc::new(setup.stats);
    glommio::spawn_local(stats_port::serve(listener, Rc::clone(&stats))).detach();
    let clock = Clock::since(stats.started);
    let health = Health::new(
        &stats.shape,
        &setup.required_servers,
        &stats.workers,
        clock.now(),
    );
    let health = Rc::new(RefCell::new(health));
    if !setup.admin.is_empty() {
        events_of.every(health::PERIOD, || Event::Sample);
    }
    let api = |door| Api::new(door, &health, &stats, clock, &events_of);
    let signs = Signs::open(setup.admin, api);
    for change in setup.sentinels.changes() {
        if let Change::Fence { pool, fenced } = change {
            health.borrow_mut().set_fenced(pool, fenced, clock.now());
        }
    }
    let tell = events_of.clone();
    let sentinels = setup.sentinels.watch(move |c| tell.tell(Event::Change(c)));
    let control = Control {
        supervisor: Supervisor::new(setup.workers.len(), setup.drain_within),
        workers: setup.workers,
        inbox: setup.inbox,
        names: setup.names,
        sentinels,
        fates: setup.fates,
        probes: setup.probes,
        log: setup.log,
        stats,
        clock,
        health,
        signs,
        departures: 0,
        ready: Some(setup.ready),
        events: events_of,
    };
    control.run(events).await
}

/// All that the loop changes; the acts of `ctl` get it, too.
pub(super) struct Control {
    supervisor: Supervisor,
    workers: Vec<Sender<ToWorker>>,
    inbox: Receiver<FromWorker>,
    names: Names,
    sentinels: Watching,
    fates: Fates,
    probes: Probes,
    pub(super) log: Box<dyn Log>,
    pub(super) stats: Rc<StatsSource>,
    pub(super) clock: Clock,
    pub(super) health: Rc<RefCell<Health>>,
    signs: Signs,
    // How often clients were told to go, or to stay.
    departures: u32,
    ready: Option<Box<dyn FnOnce()>>,
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
                self.inbox.take(&mut messages);
                messages.into_iter().map(|m| self.hear(m)).collect()
            }
            Event::Names => {
                for answer in self.names.take() {
                    let (pool, server) = (answer.pool, answer.server);
                    self.names.learn(answer);
                    let unknown = self.names.is_unknown(pool, server);
                    self.health.borrow_mut().set_unknown(pool, server, unknown);
                    self.tell_addresses(pool, server);
                }
                self.time_names();
                Vec::new()
            }
            Event::ProbeDue(probe) => {
                if let Some(next) = self.fates.probe_due(probe) {
                    self.events.after(next.after, Event::ProbeDue(next));
                    self.probe(probe);
                }
                Vec::new()
            }
            Event::ProbeAnswered(probe) => {
                if let Some(change) = self.fates.probe_answered(probe) {
                    let now = self.clock.now();
                    let mut health = self.health.borrow_mut();
                    health.answered(probe.pool, probe.server, now);
                    drop(health);
                    let (pool, server) = self.labels(probe.pool, probe.server);
                    match change {
                        Change::Readmit { .. } => {
                            info!(pool, server, "server readmitted");
                            let mut health = self.health.borrow_mut();
                            health.set_ejected(probe.pool, probe.server, false);
                        }
                        _ => info!(pool, server, "server answers again"),
                    }
                    self.tell_all(&ToWorker::Change(Arc::new(change)));
                }
                Vec::new()
            }
            Event::Change(change) => {
                if let Change::Fence { pool, fenced } = change {
                    let now = self.clock.now();
                    self.health.borrow_mut().set_fenced(pool, fenced, now);
                    self.show_health();
                }
                match change {
                    Change::Moved {
                        pool,
                        server,
                        addresses,
                    } => self.move_server(pool, server, addresses),
                    change => self.tell_all(&ToWorker::Change(Arc::new(change))),
                }
                Vec::new()
            }
            Event::LookUp(pool, server) => {
                self.names.ask(pool, server);
                Vec::new()
            }
            Event::Refresh(pool, server) => {
                if let Some(delay) = self.names.refresh(pool, server) {
                    self.events.after(delay, Event::Refresh(pool, server));
                }
                Vec::new()
            }
            Event::LetGo(departure) => {
                self.depart(departure);
                Vec::new()
            }
            Event::Sample => {
                self.sample();
                Vec::new()
            }
            Event::Ctl(asked) => {
                asked.act(self);
                Vec::new()
            }
        }
    }

    fn signal(&mut self, signal: Signal) -> Step {
        match signal {
            Signal::End => return self.supervisor.told_to_end(),
            Signal::ReopenLog => self.log.reopen(),
            Signal::LogMore => _ = self.log.change_level(1),
            Signal::LogLess => _ = self.log.change_level(-1),
            Signal::Ignored(signal) => info!(signal, "signal ignored"),
        }
        Step::Nothing
    }

    fn hear(&mut self, message: FromWorker) -> Step {
        match message {
            FromWorker::Started(worker) => self.supervisor.started(worker),
            FromWorker::Drained(worker) => self.supervisor.drained(worker),
            FromWorker::Stopped { worker, error } => {
                if let Some(error) = &error {
                    error!(worker = worker.0, error, "worker failed");
                }
                self.supervisor.stopped(worker, error)
            }
            FromWorker::ShortOfMemory => {
                self.tell_all(&ToWorker::ShortOfMemory);
                Step::Nothing
            }
            FromWorker::Resolve { pool, server } => {
                // Who waits for a name that has just been found unknown need not wait for the next
                // lookup, which may not follow at once.
                if self.names.is_unknown(pool, server) {
                    self.tell_addresses(pool, server);
                }
                if let Some(delay) = self.names.wanted(pool, server) {
                    self.events.after(delay, Event::LookUp(pool, server));
                }
                Step::Nothing
            }
            FromWorker::Report(report) => {
                let verdict = self.fates.hear(report);
                if let Report::ServerFailed { pool, server, .. } = report {
                    self.sentinels.hint(pool, server);
                }
                if let Some(probe) = verdict.probe {
                    self.events.after(probe.after, Event::ProbeDue(probe));
                    if let Some(Change::Eject { pool, server }) = verdict.change {
                        self.health.borrow_mut().set_ejected(pool, server, true);
                        let (pool, server) = self.labels(pool, server);
                        let retry_ms = probe.after.as_millis();
                        warn!(pool, server, retry_ms, "server ejected");
                    }
                }
                if let Some(change) = verdict.change {
                    self.tell_all(&ToWorker::Change(Arc::new(change)));
                }
                Step::Nothing
            }
        }
    }

    // Does what the supervisor decided; an ending when that was the last thing.
    fn take(&mut self, step: Step) -> Option<Ending> {
        match step {
            Step::Nothing => {}
            Step::Ready => {
                info!(workers = self.workers.len(), "serving");
                let now = self.clock.now();
                self.health.borrow_mut().started(now);
                self.show_health();
                if let Some(ready) = self.ready.take() {
                    ready();
                }
            }
            Step::Drain(within) => {
                // First of all, so that clients go elsewhere while it still serves.
                self.bar(Bar::Ending);
                info!(within_ms = within.as_millis(), "draining");
                self.tell_all(&ToWorker::Drain { within });
                self.events
                    .after(within + GRACE, Event::Overdue(Phase::Draining));
            }
            Step::Stop => {
                self.bar(Bar::Ending);
                self.tell_all(&ToWorker::Stop);
                self.events
                    .after(STOP_WITHIN, Event::Overdue(Phase::Stopping));
            }
            Step::End(ending) => return Some(ending),
        }
        None
    }

    /// Sees that names are looked up again when what is known of them is old.
    fn time_names(&mut self) {
        for (pool, server, delay) in self.names.untimed() {
            self.events.after(delay, Event::Refresh(pool, server));
        }
    }

    /// Asks a server whether it serves again; the answer is an event.
    fn probe(&self, probe: Probe) {
        let looked_up = self.names.known(probe.pool, probe.server);
        let asking = self.probes.ask(probe.pool, probe.server, &looked_up);
        let events = self.events.clone();
        let task = async move {
            if asking.await {
                events.tell(Event::ProbeAnswered(probe));
            }
        };
        glommio::spawn_local(task).detach();
    }

    fn tell_addresses(&self, pool: PoolIdx, server: ServerIdx) {
        let change = self.names.change(pool, server);
        self.tell_all(&ToWorker::Change(Arc::new(change)));
    }

    fn tell_all(&self, message: &ToWorker) {
        for worker in &self.workers {
            worker.send(message.clone());
        }
    }

    /// A reason against giving clients to us, shown at once.
    pub(super) fn bar(&mut self, bar: Bar) {
        let now = self.clock.now();
        self.health.borrow_mut().bar(bar, now);
        self.show_health();
    }

    /// Lets clients go over `within`, `after` a while; the health that was shown first has to reach
    /// those who send clients here.
    pub(super) fn let_go(&mut self, after: Duration, within: Duration) {
        self.departures = self.departures.wrapping_add(1);
        let number = self.departures;
        let departure = Departure { within, number };
        self.events.after(after, Event::LetGo(departure));
    }

    /// Clients that have not gone stay.
    pub(super) fn keep(&mut self) {
        self.departures = self.departures.wrapping_add(1);
        self.tell_all(&ToWorker::Keep);
    }

    fn depart(&mut self, departure: Departure) {
        if departure.number == self.departures {
            let within = departure.within;
            info!(within_ms = within.as_millis(), "letting clients go");
            self.tell_all(&ToWorker::LetGo { within });
        }
    }

    fn sample(&mut self) {
        let now = self.clock.now();
        let (ask, turned) = self.health.borrow_mut().sample(now);
        for worker in ask {
            self.workers[worker.index()].send(ToWorker::Pass);
        }
        for pool in turned {
            let health = self.health.borrow();
            let pool = &health.pools()[pool.index()];
            let (usable, needed) = (pool.usable(), pool.required);
            match pool.is_ready() {
                true => info!(pool = %pool.name, usable, needed, "pool ready"),
                false => warn!(pool = %pool.name, usable, needed, "pool not ready"),
            }
        }
        self.show_health();
    }

    fn show_health(&mut self) {
        self.signs.show(&self.health.borrow());
    }

    /// What a pool and its server are called in the log.
    fn labels(&self, pool: PoolIdx, server: ServerIdx) -> (&str, &str) {
        let pool = &self.stats.shape.pools[pool.index()];
        (&pool.name, &pool.servers[server.index()])
    }
}
