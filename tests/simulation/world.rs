//! The world: virtual time, what happens next, and everybody in it.
//!
//! Owns: the queue of events. One pass takes all that is due at one time, hands it to whom it
//! concerns, and lets every worker act, as a turn of the reactor's loop does.

mod network;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use coremux::base::Time;
use coremux::config::Config;
use coremux::ejection::Probe;
use coremux::messages::Change;
use coremux::messages::Finding;
use coremux::messages::Inquiry;
use coremux::messages::Report;
use coremux::messages::ScriptNews;
use coremux::reactor::Admission;

use crate::client::Client;
use crate::control::Control;
use crate::data_plane;
use crate::dice::Dice;
use crate::interludes::Done;
use crate::interludes::Interlude;
use crate::link::Link;
use crate::oracle::Oracle;
use crate::records::Taken;
use crate::reload::Difference;
use crate::scenario::Scenario;
use crate::server::Server;
use crate::tally::Happening;
use crate::tally::Tally;
use crate::trace::trace;
use crate::worker::Worker;

/// A link's place among all that there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub usize);

/// What may happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something arrives at one end of a wire.
    Land {
        link: LinkId,
        at_proxy: bool,
    },
    Receive(LinkId),
    ReceiveCancelled(LinkId),
    SendCompletes(LinkId),
    GoOnSending(LinkId),
    LookAgain(usize),
    Connected(LinkId, i32),
    AllCancelled(LinkId),
    ClientActs(usize),
    ServerReads(LinkId),
    ServerWrites(LinkId),
    /// The control plane hears a worker's report.
    Hear(Report),
    /// A worker reads what the control plane tells it.
    Mail(usize, Change),
    /// A worker hears of a script.
    Script(usize, ScriptNews),
    /// A worker hears what another one asks.
    Ask(usize, Inquiry),
    /// It hears what another one has answered.
    Answer(Finding),
    /// The configuration of a pool is another one from now on.
    Reload(usize, Difference),
    /// A worker hears of that.
    Reloads {
        worker: usize,
        pool: usize,
        number: usize,
    },
    ProbeDue(Probe),
    ProbeAnswered(Probe),
    LookUp(usize, usize),
    LookedUp(usize, usize),
    /// A fault of the scenario begins.
    Fault(usize),
    /// It ends.
    Heal(usize),
    /// A connection to a server breaks.
    Break(LinkId),
    /// It carries nothing for a while.
    Freeze(LinkId),
    /// The process does something of its own accord.
    Interlude(Interlude),
    /// No fault from now on.
    AllHealed,
    /// Everything must be as if nothing had happened.
    Verify,
    Drain,
}

#[derive(Debug, PartialEq, Eq)]
struct Scheduled {
    time: Time,
    number: u64,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Everything.
#[derive(Debug)]
pub struct World {
    pub now: Time,
    pub dice: Dice,
    pub config: Arc<Config>,
    pub scenario: Scenario,
    pub workers: Vec<Worker>,
    pub admission: Admission,
    pub links: Vec<Link>,
    pub clients: Vec<Client>,
    /// By pool.
    pub servers: Vec<Vec<Server>>,
    pub control: Control,
    pub oracle: Oracle,
    pub tally: Tally,
    pub verifying: bool,
    /// By pool: whether it is ever reloaded.
    pub reloads: Vec<bool>,
    pub done: Done,
    /// Clients' connections that the proxy has not closed.
    pub open_clients: Vec<LinkId>,
    /// Connections that the proxy must close in this pass.
    pub out_of_step: Vec<LinkId>,
    /// Faults that last: their number, what they do, and the touch.
    pub lasting: Vec<(usize, Happening, usize)>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
}

/// More passes than this at one time is a loop that goes nowhere.
const PASSES_MAX: usize = 20_000;

impl World {
    pub fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let scenario = Scenario::new(&mut dice);
        let parsed = Config::parse(&scenario.config, "simulation.yml");
        let config = Arc::new(parsed.unwrap_or_else(|error| panic!("{error}")));
        let workers = (0..scenario.workers).map(|worker| {
            let (proxy, stats) =
                data_plane::of_worker(&config, worker, scenario.workers, dice.seed());
            Worker {
                proxy,
                stats,
                sockets: std::collections::BTreeMap::new(),
                refused: std::collections::BTreeSet::new(),
                awake: true,
                silent: Vec::new(),
                looks_again: false,
                drained_at: None,
                taken: Taken::default(),
            }
        });
        let workers: Vec<Worker> = workers.collect();
        let pools_count = config.pools.len();
        let pools = config.pools.iter();
        World {
            now: Time::ZERO,
            servers: pools
                .map(|pool| pool.servers.iter().map(|_| Server::default()).collect())
                .collect(),
            admission: Admission::new(&config, None),
            control: Control::new(&config, workers.len()),
            oracle: Oracle::new(&config, workers.len()),
            workers,
            config,
            scenario,
            dice,
            links: Vec::new(),
            clients: Vec::new(),
            tally: Tally::default(),
            verifying: false,
            reloads: vec![false; pools_count],
            done: Done::default(),
            open_clients: Vec::new(),
            out_of_step: Vec::new(),
            lasting: Vec::new(),
            queue: BinaryHeap::new(),
            scheduled: 0,
        }
    }

    /// Lives through the whole scenario.
    ///
    /// # Panics
    /// When anything is not as it must be.
    pub fn run(mut self) -> Tally {
        trace!(self.now, "{}", self.scenario.config);
        self.begin();
        for worker in 0..self.workers.len() {
            self.workers[worker].proxy.start(self.now);
            self.act_and_transmit(worker);
        }
        let mut passes = 0;
        while let Some(next) = self.next_time() {
            passes = if next > self.now { 0 } else { passes + 1 };
            assert!(passes < PASSES_MAX, "the loop turns and time stands still");
            self.now = self.now.max(next);
            assert!(
                self.now < self.scenario.deadline() || self.only_idles_on(),
                "the run does not end: {}",
                self.stuck()
            );
            self.pass();
        }
        self.check_the_end();
        self.check_records();
        for worker in &self.workers {
            let streamed = worker.stats.counters.replies_streamed.value();
            self.tally.count_many(Happening::Streamed, streamed);
        }
        self.tally
    }

    fn next_time(&self) -> Option<Time> {
        let event = self.queue.peek().map(|Reverse(scheduled)| scheduled.time);
        let timeouts = self
            .workers
            .iter()
            .filter_map(|worker| worker.proxy.next_timeout());
        event.into_iter().chain(timeouts).min()
    }

    fn pass(&mut self) {
        let last = self.scheduled;
        while let Some(Reverse(next)) = self.queue.peek() {
            // What follows from this pass is for the next one.
            if next.time > self.now || next.number > last {
                break;
            }
            if let Some(Reverse(next)) = self.queue.pop() {
                self.handle(next.event);
            }
        }
        for worker in 0..self.workers.len() {
            let next = self.workers[worker].proxy.next_timeout();
            let due = next.is_some_and(|next| next <= self.now);
            if due {
                self.wake(worker);
                self.workers[worker].proxy.handle_timeout(self.now);
            }
            if std::mem::take(&mut self.workers[worker].awake) {
                self.act_and_transmit(worker);
            }
        }
        self.check_limits();
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Land { link, at_proxy } => self.land(link, at_proxy),
            Event::Receive(link) => self.receive(link),
            Event::ReceiveCancelled(link) => self.receive_cancelled(link),
            Event::SendCompletes(link) => self.send_completes(link),
            Event::GoOnSending(link) => self.go_on_sending(link),
            Event::LookAgain(worker) => self.looks_again(worker),
            Event::Connected(link, errno) => self.connected(link, errno),
            Event::AllCancelled(link) => self.all_cancelled(link),
            Event::ClientActs(client) => self.client_acts(client),
            Event::ServerReads(link) => self.server_reads(link),
            Event::ServerWrites(link) => self.server_writes(link),
            Event::Hear(report) => self.hear(report),
            Event::Mail(worker, change) => self.read_mail(worker, &change),
            Event::Script(worker, news) => {
                self.wake(worker);
                self.workers[worker].proxy.hear_script(&news);
            }
            Event::Ask(worker, inquiry) => {
                self.wake(worker);
                self.workers[worker].proxy.asked(&inquiry, self.now);
            }
            Event::Answer(finding) => {
                let asker = finding.asker.index();
                self.wake(asker);
                self.workers[asker].proxy.answered(&finding, self.now);
            }
            Event::Reload(pool, difference) => self.reload(pool, difference),
            Event::Reloads {
                worker,
                pool,
                number,
            } => self.reloads(worker, pool, number),
            Event::ProbeDue(probe) => self.probe(probe),
            Event::ProbeAnswered(probe) => self.probe_answered(probe),
            Event::LookUp(pool, server) => self.look_up(pool, server),
            Event::LookedUp(pool, server) => self.looked_up(pool, server),
            Event::Fault(fault) => self.fault_begins(fault),
            Event::Heal(fault) => self.fault_ends(fault),
            Event::Break(link) => self.break_link(link),
            Event::Freeze(link) => self.freeze_link(link),
            Event::Interlude(interlude) => self.interlude(interlude),
            Event::AllHealed => self.all_healed(),
            Event::Verify => self.verify(),
            Event::Drain => self.drain(),
        }
    }

    pub fn schedule(&mut self, time: Time, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled {
            time,
            number: self.scheduled,
            event,
        }));
    }
}
