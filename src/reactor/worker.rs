//! A worker: one thread, one ring, one `Proxy`.
//!
//! Owns: the pass. Reap every completion and feed the `Proxy`; do what it asks; one send for every
//! connection that has bytes; one system call that submits all of it and waits.
//! Each of the acts of a pass has a room of its own below this one.

mod accepting;
mod acting;
mod hand_over;
mod mail;
mod receiving;
mod sending;
mod socket_table;
mod sockets;
mod time;

use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use crate::base::PoolIdx;
use crate::base::Time;
use crate::base::WorkerIdx;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::proxy::ProxySetup;
use crate::reactor::Receiver;
use crate::reactor::Sender;
use crate::reactor::admission::Admission;
use crate::reactor::clock::Clock;
use crate::reactor::memory::Memory;
use crate::reactor::memory::Watch;
use crate::reactor::message::Farewell;
use crate::reactor::message::FromWorker;
use crate::reactor::message::ToWorker;
use crate::reactor::ring::Completion;
use crate::reactor::ring::Ring;
use crate::reactor::token::Token;
use crate::reactor::wait::Wait;
use crate::reactor::wait::WaitFor;
use crate::stats::WorkerStats;

use accepting::Accepting;
use hand_over::Departure;
use socket_table::SocketTable;
use time::Alarms;

/// What a worker is given at its birth.
#[derive(Debug)]
pub struct WorkerSetup {
    /// Which worker.
    pub idx: WorkerIdx,
    /// How many there are.
    pub workers: u16,
    /// Where it runs; `None` lets the system choose.
    pub core: Option<core_affinity::CoreId>,
    /// Its own listening sockets.
    pub listeners: Vec<(PoolIdx, OwnedFd)>,
    /// The pools.
    pub config: Arc<Config>,
    /// Where it counts.
    pub stats: Arc<WorkerStats>,
    /// Which clients the process has room for.
    pub admission: Arc<Admission>,
    /// How much memory the process may have.
    pub memory: Arc<Memory>,
    /// What it is told.
    pub inbox: Receiver<ToWorker>,
    /// Where it tells.
    pub outbox: Sender<FromWorker>,
    /// The id of its first client, if it is to wait for `Accept` before it accepts any.
    pub stands_by: Option<u64>,
    /// Where its random numbers begin.
    pub seed: u64,
    /// All workers have the same: they tell each other when a server failed.
    pub clock: Clock,
}

/// Starts a worker. It says `Started` when it serves, and `Stopped` at its end, with the cause.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(setup: WorkerSetup) -> std::io::Result<thread::JoinHandle<()>> {
    let name = format!("worker-{}", setup.idx.0);
    thread::Builder::new().name(name).spawn(move || {
        let farewell = Farewell::of(setup.idx, setup.outbox.clone());
        let ended = Worker::new(setup).and_then(Worker::run);
        farewell.say(ended.err().map(|error| error.to_string()));
    })
}

struct Worker {
    // Dropped first, see `Ring`.
    ring: Ring,
    proxy: Proxy,
    stats: Arc<WorkerStats>,
    idx: WorkerIdx,
    clock: Clock,
    wait: Wait,
    sockets: SocketTable,
    accepting: Accepting,
    inbox: Receiver<ToWorker>,
    outbox: Sender<FromWorker>,
    completions: Vec<Completion>,
    mail: Vec<ToWorker>,
    alarms: Alarms,
    watch: Watch,
    departure: Departure,
}

impl Worker {
    fn new(setup: WorkerSetup) -> std::io::Result<Worker> {
        if let Some(core) = setup.core {
            if !core_affinity::set_for_current(core) {
                tracing::warn!(
                    worker = setup.idx.0,
                    core = core.id,
                    "worker could not be pinned"
                );
            }
        }
        let clock = setup.clock;
        let mut proxy = Proxy::new(ProxySetup {
            config: Arc::clone(&setup.config),
            stats: Arc::clone(&setup.stats),
            worker: setup.idx,
            workers: setup.workers,
            seed: setup.seed,
            epoch: clock.epoch(),
            process: std::process::id(),
        });
        proxy.number_clients_from(setup.stands_by.unwrap_or_default());
        Ok(Worker {
            ring: Ring::new()?,
            proxy,
            stats: setup.stats,
            idx: setup.idx,
            clock,
            wait: Wait::default(),
            sockets: SocketTable::default(),
            accepting: Accepting::new(setup.listeners, setup.admission, setup.stands_by.is_some())?,
            inbox: setup.inbox,
            outbox: setup.outbox,
            completions: Vec::new(),
            mail: Vec::new(),
            alarms: Alarms::default(),
            watch: Watch::new(setup.memory, setup.idx),
            departure: Departure::default(),
        })
    }

    fn run(mut self) -> std::io::Result<()> {
        self.ring
            .poll(self.inbox.as_fd().as_raw_fd(), Token::Mail.pack());
        let now = self.clock.now();
        self.accept_all();
        self.proxy.relieve(self.watch.at_rest(), now);
        self.proxy.start(now);
        self.outbox.send(FromWorker::Started(self.idx));
        while !self.departure.stopped {
            // What leaves in this pass leaves now: the time that a server takes begins here, and has
            // nothing of what the pass has cost so far.
            let now = self.clock.now();
            self.act(now);
            self.transmit(now);
            self.watch_the_time(now);
            let plan = self.wait.plan();
            self.ring.submit_and_wait(plan.completions, plan.at_most)?;
            let now = self.clock.now();
            self.stats.counters.passes.add(1);
            self.wait.turn(now);
            let mut completions = std::mem::take(&mut self.completions);
            self.ring.reap(&mut completions);
            self.count_pass(plan, completions.len());
            for completion in completions.drain(..) {
                self.complete(completion, now)?;
            }
            self.completions = completions;
            self.look_at_the_time(now);
        }
        Ok(())
    }

    fn count_pass(&self, plan: WaitFor, completions: usize) {
        let counters = &self.stats.counters;
        counters.completions.add(completions);
        if plan.at_most.is_some() {
            counters.gathers.add(1);
            let is_cut = completions < plan.completions;
            counters.gathers_cut.add(usize::from(is_cut));
        }
    }

    fn complete(&mut self, completion: Completion, now: Time) -> std::io::Result<()> {
        match Token::unpack(completion.token) {
            Token::Receive(place) => self.received(place, completion, now)?,
            Token::Send(place) => self.sent(place, completion, now),
            Token::Accept(listener) => self.accepted(listener, completion, now),
            Token::Connect(place) => self.connected(place, completion, now),
            Token::Cancel(place) => {
                if let Some(socket) = self.sockets.get_mut(place) {
                    socket.under_way -= 1;
                }
                self.close_if_idle(place);
            }
            Token::Timer => self.alarms.timer = None,
            Token::Mail => {
                if !completion.more {
                    self.ring
                        .poll(self.inbox.as_fd().as_raw_fd(), Token::Mail.pack());
                }
                self.read_mail(now);
            }
            Token::Nothing => {}
        }
        Ok(())
    }
}
