//! What those see who send clients here: health, and a drain that lets clients go.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tracing::info;
use tracing::warn;

use crate::control::admin;
use crate::control::clock::Micros;
use crate::control::event::Departure;
use crate::control::event::Event;
use crate::control::health::Health;
use crate::control::health::HealthOutputs;
use crate::control::health::SentinelState;
use crate::control::health::UnhealthyReason;
use crate::control::history::WorkerTimes;
use crate::control::main_loop::bequest::Departing;
use crate::control::notify;
use crate::control::watchdog::Watchdog;
use crate::reactor::ToWorker;

use super::Control;

/// How this process stands, and who is told.
pub(in crate::control) struct Standing {
    pub(super) health: Rc<RefCell<Health>>,
    pub(super) outputs: HealthOutputs,
    pub(super) watchdog: Option<Watchdog>,
    // Called once, when it serves.
    pub(super) ready: Option<Box<dyn FnOnce()>>,
}

/// Clients are told to go, or to stay.
#[derive(Default)]
pub(in crate::control) struct Departures {
    // How often they were told: what is due of an older order is not done.
    told: u32,
    // Until they are told to stay; it may be over.
    now: Option<Departing>,
}

impl Departures {
    fn begin(&mut self, departing: Departing, within: Duration) -> Departure {
        self.now = Some(departing);
        self.told = self.told.wrapping_add(1);
        let number = self.told;
        Departure { within, number }
    }

    fn end(&mut self) {
        self.now = None;
        self.told = self.told.wrapping_add(1);
    }

    /// What another process has begun is to be gone on with.
    pub(super) fn inherit(&mut self, departing: Option<Departing>) {
        self.now = departing;
    }

    /// Clients are going, or have been told to and had their time.
    pub(super) fn now(&self) -> Option<Departing> {
        self.now
    }
}

impl Control {
    /// Shows how things are, unless another process does yet.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.upgrade.stands_by() {
            self.standing.outputs.leave();
            return self.take_over();
        }
        self.endpoints.open();
        Ok(())
    }

    /// From now on this process serves.
    pub(in crate::control) fn serve(&mut self) {
        info!(workers = self.workers.to.len(), "serving");
        let now = self.clock.now();
        self.standing.health.borrow_mut().started(now);
        self.endpoints.open();
        self.standing.outputs.own();
        self.show_health();
        if let Some(ready) = self.standing.ready.take() {
            ready();
        }
        notify::ready();
    }

    /// A reason against giving clients to us, shown at once.
    pub(in crate::control) fn add_reason(&mut self, reason: UnhealthyReason) {
        let now = self.clock.now();
        self.standing.health.borrow_mut().add_reason(reason, now);
        self.show_health();
    }

    /// Lets clients go over `within`, `after` a while; the health that was shown first has to reach
    /// those who send clients here.
    pub(in crate::control) fn let_go(&mut self, after: Duration, within: Duration) {
        let departing = Departing::new(after, within, self.clock.now());
        let departure = self.departures.begin(departing, within);
        self.events.after(after, Event::LetGo(departure));
    }

    /// Lets those go, too, who have come since clients were told to, in what time is left.
    pub(in crate::control) fn go_on_departing(&mut self) {
        if let Some(departing) = self.departures.now() {
            let (after, within) = departing.left(self.clock.now());
            self.let_go(after, within);
        }
    }

    /// Clients that have not gone stay.
    pub(in crate::control) fn keep(&mut self) {
        self.departures.end();
        self.tell_all(&ToWorker::Keep);
    }

    pub(super) fn depart(&mut self, departure: Departure) {
        if departure.number == self.departures.told {
            let within = departure.within;
            info!(within_ms = within.as_millis(), "letting clients go");
            self.tell_all(&ToWorker::LetGo { within });
        }
    }

    pub(super) fn sample(&mut self) {
        let now = self.clock.now();
        self.look_at_sentinels(now);
        let (ask, turned) = self.standing.health.borrow_mut().sample(now);
        for worker in ask {
            self.workers.to[worker.index()].send(ToWorker::Pass);
        }
        for pool in turned {
            let health = self.standing.health.borrow();
            let Some(pool) = health.pool(pool) else {
                continue;
            };
            let (usable, needed) = (pool.usable(), pool.required);
            match pool.is_ready() {
                true => info!(pool = %pool.name, usable, needed, "pool ready"),
                false => warn!(pool = %pool.name, usable, needed, "pool not ready"),
            }
        }
        self.show_health();
        self.sample_history(now);
        if let Some(watchdog) = &mut self.standing.watchdog {
            let turns = !self
                .standing
                .health
                .borrow()
                .has_reason(UnhealthyReason::WorkerStuck);
            watchdog.sample(turns && !self.upgrade.stands_by(), now);
        }
    }

    fn sample_history(&self, now: Micros) {
        let mut history = self.shown.history.borrow_mut();
        if history.is_due(now) {
            let numbers = self.stats.numbers();
            let (telemetry, uptime) = (self.shown.telemetry.borrow(), self.clock.uptime());
            let p99_us = |pool: &str| telemetry.p99_us(pool, uptime);
            let times = WorkerTimes {
                cpu: admin::worker_cpu(),
                busy: admin::worker_busy(),
            };
            history.sample(now, &self.table, &numbers.workers, times, p99_us);
        }
    }

    fn look_at_sentinels(&mut self, now: Micros) {
        let mut health = self.standing.health.borrow_mut();
        for (pool, (view, then)) in self.servers.sentinels.views() {
            health.set_following(pool, SentinelState::new(&view, then, now));
        }
    }

    pub(in crate::control) fn show_health(&mut self) {
        self.standing.outputs.show(&self.standing.health.borrow());
    }
}
