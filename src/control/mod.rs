//! The control plane: one glommio executor on an ordinary thread.
//!
//! Owns: the statistics port, signals, the lookup of servers' names, the life and death of the
//! workers. Never: a client's or a server's byte; it meets the workers only in mailboxes and in
//! numbers that they publish. Lives on the main thread, and sleeps when nothing happens.

mod adopt;
mod resolve;
mod signals;
mod stats_port;
mod supervisor;

use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::AsyncReadExt;
use glommio::LocalExecutorBuilder;
use glommio::Placement;
use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalReceiver;
use glommio::channels::local_channel::LocalSender;
use thiserror::Error;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::proxy::Fates;
use crate::proxy::Report;
use crate::reactor::FromWorker;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::ToWorker;
use crate::stats::Shape;

pub use resolve::Lookup;
pub use resolve::Names;
pub use resolve::system_lookup;
pub use signals::Signals;
pub use stats_port::StatsSource;
pub use supervisor::Ending;

use signals::Signal;
use supervisor::Phase;
use supervisor::Step;
use supervisor::Supervisor;

/// The log as the control plane needs it: signals turn it.
pub trait Log {
    /// Opens the file again, after it was moved away.
    fn reopen(&self);
    /// Changes what is written by `by` of twemproxy's levels.
    fn change_level(&self, by: i8);
}

/// What the control plane works with.
pub struct Setup {
    /// What the statistics port prints.
    pub stats: StatsSource,
    /// Bound and listening.
    pub stats_listener: std::net::TcpListener,
    /// One for each worker, as `WorkerIdx` counts them.
    pub workers: Vec<Sender<ToWorker>>,
    /// Where all workers speak.
    pub inbox: Receiver<FromWorker>,
    /// The servers' names.
    pub names: Names,
    /// Which servers are good.
    pub fates: Fates,
    /// Registered before the workers started.
    pub signals: Signals,
    /// Turned by signals.
    pub log: Box<dyn Log>,
    /// Called once, when every worker serves.
    pub ready: Box<dyn FnOnce()>,
    /// How long clients have to get their answers after SIGTERM.
    pub drain_within: Duration,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

/// Why there is no control plane.
#[derive(Debug, Error)]
pub enum ControlError {
    /// glommio could not make its rings.
    #[error("the control plane's io_uring cannot be made: {0}")]
    Executor(String),
    /// No descriptor left.
    #[error("the control plane cannot listen to the workers: {0}")]
    Mailbox(#[from] io::Error),
}

/// glommio's least; nothing here is read from disk.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// A few dozen sockets at most.
const RING_DEPTH: usize = 64;

/// Longer than a worker needs to close its sockets; what hangs longer is left to the kernel.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Workers are told the deadline itself; ours only catches a worker that does not keep it.
const GRACE: Duration = Duration::from_millis(500);

/// Runs the control plane on this thread until the process should end.
///
/// # Errors
///
/// When it cannot be set up; the workers then run on and must be stopped by the caller.
pub fn run(setup: Setup) -> Result<Ending, ControlError> {
    let inbox_wake = setup.inbox.wake_socket()?;
    let names_wake = setup.names.wake_socket()?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("control")
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(|e| ControlError::Executor(e.to_string()))?;
    Ok(executor.run(conduct(setup, inbox_wake, names_wake)))
}

enum Event {
    Signal(Signal),
    Inbox,
    Names,
    LookUp(PoolIdx, ServerIdx),
    Readmit(PoolIdx, ServerIdx),
    Overdue(Phase),
}

async fn conduct(setup: Setup, inbox_wake: UnixStream, names_wake: UnixStream) -> Ending {
    let (sender, events) = local_channel::new_unbounded();
    let events_of = Events(Rc::new(sender));
    let tell = events_of.clone();
    let signals = setup.signals;
    glommio::spawn_local(signals.forward(move |s| tell.tell(Event::Signal(s)))).detach();
    events_of.when_woken(inbox_wake, || Event::Inbox);
    events_of.when_woken(names_wake, || Event::Names);
    let listener = adopt::listener(setup.stats_listener);
    let shape = setup.stats.shape.clone();
    glommio::spawn_local(stats_port::serve(listener, Rc::new(setup.stats))).detach();
    let control = Control {
        supervisor: Supervisor::new(setup.workers.len(), setup.drain_within),
        workers: setup.workers,
        inbox: setup.inbox,
        names: setup.names,
        fates: setup.fates,
        labels: Labels(shape),
        log: setup.log,
        ready: Some(setup.ready),
        events: events_of,
    };
    control.run(events).await
}

/// Where the tasks of this plane put what they learn; one loop handles it in order.
#[derive(Clone)]
struct Events(Rc<LocalSender<Event>>);

impl Events {
    fn tell(&self, event: Event) {
        // It fails only when the loop has ended.
        let _ = self.0.try_send(event);
    }

    fn when_woken(&self, wake: UnixStream, event: fn() -> Event) {
        let events = self.clone();
        let task = async move {
            let mut wake = adopt::stream(wake);
            let mut bytes = [0; 16];
            while let Ok(1..) = wake.read(&mut bytes).await {
                events.tell(event());
            }
        };
        glommio::spawn_local(task).detach();
    }

    fn after(&self, delay: Duration, event: Event) {
        let events = self.clone();
        let task = async move {
            glommio::timer::sleep(delay).await;
            events.tell(event);
        };
        glommio::spawn_local(task).detach();
    }
}

struct Control {
    supervisor: Supervisor,
    workers: Vec<Sender<ToWorker>>,
    inbox: Receiver<FromWorker>,
    names: Names,
    fates: Fates,
    labels: Labels,
    log: Box<dyn Log>,
    ready: Option<Box<dyn FnOnce()>>,
    events: Events,
}

impl Control {
    async fn run(mut self, events: LocalReceiver<Event>) -> Ending {
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
                    self.tell_addresses(pool, server);
                }
                Vec::new()
            }
            Event::Readmit(pool, server) => {
                if let Some(change) = self.fates.readmit(pool, server) {
                    let (pool_name, name) = self.labels.of(pool, server);
                    info!(pool = pool_name, server = name, "server readmitted");
                    self.tell_all(&ToWorker::Change(Arc::new(change)));
                }
                Vec::new()
            }
            Event::LookUp(pool, server) => {
                self.names.ask(pool, server);
                Vec::new()
            }
        }
    }

    fn signal(&mut self, signal: Signal) -> Step {
        match signal {
            Signal::End => return self.supervisor.told_to_end(),
            Signal::ReopenLog => self.log.reopen(),
            Signal::LogMore => self.log.change_level(1),
            Signal::LogLess => self.log.change_level(-1),
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
                let (Report::ServerFailed { pool, server }
                | Report::ServerAnswered { pool, server }) = report;
                if let Some(delay) = verdict.retry_after {
                    let (pool_name, name) = self.labels.of(pool, server);
                    let retry_ms = delay.as_millis();
                    warn!(pool = pool_name, server = name, retry_ms, "server ejected");
                    self.events.after(delay, Event::Readmit(pool, server));
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
                if let Some(ready) = self.ready.take() {
                    ready();
                }
            }
            Step::Drain(within) => {
                info!(within_ms = within.as_millis(), "draining");
                self.tell_all(&ToWorker::Drain { within });
                self.events
                    .after(within + GRACE, Event::Overdue(Phase::Draining));
            }
            Step::Stop => {
                self.tell_all(&ToWorker::Stop);
                self.events
                    .after(STOP_WITHIN, Event::Overdue(Phase::Stopping));
            }
            Step::End(ending) => return Some(ending),
        }
        None
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
}

/// What pools and servers are called in the log.
struct Labels(Shape);

impl Labels {
    fn of(&self, pool: PoolIdx, server: ServerIdx) -> (&str, &str) {
        let pool = &self.0.pools[pool.index()];
        (&pool.name, &pool.servers[server.index()])
    }
}
