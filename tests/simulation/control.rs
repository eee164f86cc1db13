//! The control plane: hears reports, ejects servers, looks names up, and tells every worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coremux::base::PoolIdx;
use coremux::base::ServerIdx;
use coremux::base::Time;
use coremux::config::Config;
use coremux::config::HostPort;
use coremux::config::ServerAddress;
use coremux::config::Table;
use coremux::ejection::Ejector;
use coremux::ejection::Probe;
use coremux::messages::Change;
use coremux::messages::Report;
use coremux::messages::SocketAddress;
use coremux::proxy::Reload;

use crate::tally::Happening;
use crate::trace::trace;
use crate::worker::DEAD_HOME;
use crate::world::Event;
use crate::world::World;

/// With these a server does not answer a probe.
const DEAF: [Happening; 6] = [
    Happening::ConnectRefused,
    Happening::ConnectSilent,
    Happening::ConnectUnreachable,
    Happening::Stalled,
    Happening::AuthRefused,
    Happening::NameUnknown,
];

/// As in the real one: not sooner after an answer is a name looked up again.
const GAP: std::time::Duration = std::time::Duration::from_secs(1);

/// What is known of a name.
#[derive(Debug, Default)]
struct Name {
    asked: bool,
    answered_at: Option<Time>,
    known: Vec<SocketAddress>,
}

/// What the process knows and its workers do not.
#[derive(Debug)]
pub struct Control {
    ejector: Ejector,
    /// What is served.
    pub table: Arc<Table>,
    /// What the workers are told of, in order.
    pub reloads: Vec<Reload>,
    /// By pool and server; `None` where the address needs no lookup.
    names: Vec<Vec<Option<Name>>>,
    /// When each server last answered a probe.
    pub answered: BTreeMap<(usize, usize), Time>,
    /// How many failures were reported of each server.
    pub failures: BTreeMap<(usize, usize), u64>,
    /// How many of them by the server's own word.
    pub spoken: BTreeMap<(usize, usize), u64>,
    /// By worker, pool and server: until when writes wait.
    pub held: BTreeMap<(usize, usize, usize), Time>,
    /// Each worker reads its mail in order: when it has read the last.
    mail: Vec<Time>,
}

impl Control {
    pub fn new(config: &Config, workers: usize) -> Control {
        let name = |address: &ServerAddress| match address {
            ServerAddress::Tcp(HostPort::Name { .. }) => Some(Name::default()),
            _ => None,
        };
        let pools = config.pools.iter();
        Control {
            ejector: Ejector::new(config),
            reloads: Vec::new(),
            table: Arc::new(Table::new(Arc::new(config.clone()))),
            names: pools
                .map(|pool| pool.servers.iter().map(|s| name(&s.address)).collect())
                .collect(),
            answered: BTreeMap::new(),
            failures: BTreeMap::new(),
            spoken: BTreeMap::new(),
            held: BTreeMap::new(),
            mail: vec![Time::ZERO; workers],
        }
    }

    pub fn has_name(&self, pool: usize, server: usize) -> bool {
        self.names[pool][server].is_some()
    }
}

fn ids(pool: usize, server: usize) -> (PoolIdx, ServerIdx) {
    let narrow = |index: usize| u16::try_from(index).expect("few pools and servers");
    (PoolIdx(narrow(pool)), ServerIdx(narrow(server)))
}

impl World {
    fn tell_all(&mut self, change: &Change) {
        for worker in 0..self.workers.len() {
            let arrival = self.mail_arrives(worker);
            self.schedule(arrival, Event::Mail(worker, change.clone()));
        }
    }

    /// When a worker reads what it is told now.
    pub fn mail_arrives(&mut self, worker: usize) -> Time {
        let arrival = (self.now + self.dice.micros(5, 800)).max(self.control.mail[worker]);
        self.control.mail[worker] = arrival;
        arrival
    }

    pub fn read_mail(&mut self, worker: usize, change: &Change) {
        trace!(self.now, "worker {worker} hears {change:?}");
        self.wake(worker);
        match change {
            Change::HoldWrites {
                pool,
                server,
                within,
            } => {
                let place = (worker, pool.index(), server.index());
                self.control.held.insert(place, self.now + *within);
            }
            Change::ReleaseWrites { pool, server } => {
                let place = (worker, pool.index(), server.index());
                self.control.held.remove(&place);
            }
            _ => {}
        }
        let routes = &mut self.oracle.routes[worker];
        match change {
            Change::Eject { pool, server } => {
                routes[pool.index()].set_live(server.index(), false, self.now);
            }
            Change::Readmit { pool, server } => {
                routes[pool.index()].set_live(server.index(), true, self.now);
            }
            _ => {}
        }
        self.workers[worker].proxy.apply(change, self.now);
    }

    /// A server's master is about to be replaced, or not after all.
    pub fn hold_writes(&mut self, pool: usize, server: usize, within: Duration) {
        let called_off = self.dice.percent(50).then(|| {
            let most = usize::try_from(within.as_micros()).expect("a second at the most");
            self.now + self.dice.micros(0, most)
        });
        let (pool, server) = ids(pool, server);
        self.tell_all(&Change::HoldWrites {
            pool,
            server,
            within,
        });
        if let Some(when) = called_off {
            for worker in 0..self.workers.len() {
                let arrival = self.mail_arrives(worker).max(when);
                let change = Change::ReleaseWrites { pool, server };
                self.schedule(arrival, Event::Mail(worker, change));
            }
        }
    }

    /// Whether a worker sends no write to a server now.
    pub fn writes_wait(&self, worker: usize, (pool, server): (usize, usize)) -> bool {
        let until = self.control.held.get(&(worker, pool, server));
        until.is_some_and(|until| self.now < *until)
    }

    pub fn hear(&mut self, report: Report) {
        trace!(self.now, "control hears {report:?}");
        if let Report::ServerFailed {
            pool,
            server,
            answers,
            ..
        } = report
        {
            let place = (pool.index(), server.index());
            *self.control.failures.entry(place).or_default() += 1;
            *self.control.spoken.entry(place).or_default() += u64::from(answers);
        }
        let verdict = self.control.ejector.hear(report, self.now);
        if let Some(probe) = verdict.probe {
            self.schedule(self.now + probe.after, Event::ProbeDue(probe));
        }
        if let Some(change) = verdict.change {
            if let Change::Eject { .. } = change {
                self.tally.count(Happening::Ejected);
            }
            self.tell_all(&change);
        }
    }

    /// The server is asked on a connection of its own, and answers if it can serve.
    pub fn probe(&mut self, probe: Probe) {
        let Some(next) = self.control.ejector.probe_due(probe) else {
            return;
        };
        self.schedule(self.now + next.after, Event::ProbeDue(next));
        let state = &self.servers[probe.pool.index()][probe.server.index()];
        if !DEAF.iter().any(|fault| state.has(*fault)) {
            let answer = self.now + self.dice.micros(50, 3000);
            self.schedule(answer, Event::ProbeAnswered(probe));
        }
    }

    pub fn probe_answered(&mut self, probe: Probe) {
        if let Some(change) = self.control.ejector.probe_answered(probe) {
            let server = (probe.pool.index(), probe.server.index());
            self.control.answered.insert(server, self.now);
            self.tally.count(match change {
                Change::Readmit { .. } => Happening::Readmitted,
                _ => Happening::AnsweredProbe,
            });
            self.tell_all(&change);
        }
    }

    // --- names ---

    /// What is known before the first client comes.
    pub fn look_up_first(&mut self) {
        for (pool, server) in self.all_servers() {
            if !self.control.has_name(pool, server) {
                continue;
            }
            if self.dice.percent(70) {
                self.looked_up(pool, server);
            } else {
                self.look_up_anyway(pool, server);
            }
        }
    }

    pub fn look_up_anyway(&mut self, pool: usize, server: usize) {
        if let Some(name) = &mut self.control.names[pool][server] {
            if !std::mem::replace(&mut name.asked, true) {
                self.look_up(pool, server);
            }
        }
    }

    /// A worker wants an address.
    pub fn name_wanted(&mut self, pool: usize, server: usize) {
        let Some(name) = &mut self.control.names[pool][server] else {
            return;
        };
        if std::mem::replace(&mut name.asked, true) {
            return;
        }
        let since = name.answered_at.map_or(GAP, |at| self.now.since(at));
        let begin = self.now + GAP.saturating_sub(since) + self.dice.micros(5, 300);
        self.schedule(begin, Event::LookUp(pool, server));
    }

    pub fn look_up(&mut self, pool: usize, server: usize) {
        let takes = match self.servers[pool][server].has(Happening::NameSlow) {
            true => {
                self.tally.count(Happening::NameSlow);
                self.dice.millis(200, 900)
            }
            false => self.dice.micros(100, 3000),
        };
        self.schedule(self.now + takes, Event::LookedUp(pool, server));
    }

    pub fn looked_up(&mut self, pool: usize, server: usize) {
        let state = &self.servers[pool][server];
        let (home, unknown) = (state.home, state.has(Happening::NameUnknown));
        let has_dead = state.has(Happening::DeadAddress);
        let address = |home: u8| {
            let narrow = |index: usize| u8::try_from(index).expect("few pools and servers");
            SocketAddress::Tcp(([10, narrow(pool), narrow(server), home], 6379).into())
        };
        let Some(name) = &mut self.control.names[pool][server] else {
            return;
        };
        name.asked = false;
        name.answered_at = Some(self.now);
        if unknown {
            self.tally.count(Happening::NameUnknown);
        } else {
            name.known = match has_dead {
                true => vec![address(DEAD_HOME), address(home)],
                false => vec![address(home)],
            };
        }
        let addresses = name.known.clone();
        let (pool, server) = ids(pool, server);
        self.tell_all(&Change::Addresses {
            pool,
            server,
            addresses,
        });
    }

    /// Every server, as pool and place.
    pub fn all_servers(&self) -> Vec<(usize, usize)> {
        let pools = self.servers.iter().enumerate();
        pools
            .flat_map(|(pool, servers)| (0..servers.len()).map(move |s| (pool, s)))
            .collect()
    }
}
