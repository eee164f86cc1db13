//! One pool's watcher at work: what happens goes in, what it asks for is done.
//!
//! Owns: the watcher, its connections and questions under way, the clock. Never: looks into what a
//! Sentinel sends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use glommio::Task;
use glommio::channels::local_channel;
use glommio::channels::local_channel::LocalReceiver;
use glommio::channels::local_channel::LocalSender;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::PoolConfig;
use crate::control::Lookup;
use crate::messages::Change;
use crate::messages::SocketAddress;
use crate::sentinel::Fact;
use crate::sentinel::LinkId;
use crate::sentinel::Measured;
use crate::sentinel::Memory;
use crate::sentinel::Output;
use crate::sentinel::ProbeId;
use crate::sentinel::Probed;
use crate::sentinel::View;
use crate::sentinel::Watcher;

use super::connection::Connection;
use super::log;
use super::names::Names;
use super::probe;

/// Something that the watcher must hear of.
pub(super) enum Happening {
    Connected(LinkId),
    Received(LinkId, Vec<u8>),
    Closed(LinkId, String),
    Probed(ProbeId, Probed),
    Measured(ProbeId, Measured),
    Hint(ServerIdx),
    Tick,
}

/// Where a watcher's tasks put what happens.
pub(super) struct Happenings {
    sender: LocalSender<Happening>,
    started: Instant,
    /// How much older the clock is than this: what is remembered is from before it was started.
    age: Duration,
    view: RefCell<View>,
    memory: RefCell<Memory>,
}

impl Happenings {
    /// How things stood when something last happened, and the watcher's time now.
    pub(super) fn view(&self) -> (View, Time) {
        (self.view.borrow().clone(), self.now())
    }

    /// What the next watcher is to go on with.
    pub(super) fn memory(&self) -> Memory {
        self.memory.borrow().clone()
    }

    fn now(&self) -> Time {
        Time::ZERO + self.age + self.started.elapsed()
    }

    pub(super) fn tell(&self, happening: Happening) {
        // It fails only when the watcher has ended.
        let _ = self.sender.try_send(happening);
    }
}

/// A new queue for one watcher, which goes on with `memory`.
pub(super) fn queue(memory: Memory) -> (Rc<Happenings>, LocalReceiver<Happening>) {
    let (sender, events) = local_channel::new_unbounded();
    let happenings = Happenings {
        sender,
        started: clock(),
        age: memory.age(),
        view: RefCell::default(),
        memory: RefCell::new(memory),
    };
    (Rc::new(happenings), events)
}

/// One pool's watcher at work.
pub(super) struct Drive<T> {
    idx: PoolIdx,
    /// By the pool's own order, in which the watcher counts them.
    servers: Vec<ServerIdx>,
    pool: PoolConfig,
    watcher: Watcher,
    names: Rc<Names>,
    happenings: Rc<Happenings>,
    tell: T,
    connections: HashMap<LinkId, Connection>,
    probes: HashMap<ProbeId, Task<()>>,
    /// By server: the address that the workers use, as far as it is known here.
    in_use: Vec<Option<SocketAddr>>,
    /// By server: whether where it is was told.
    told: Vec<bool>,
    /// By server: the replicas that the workers may read.
    read: Vec<Vec<SocketAddr>>,
    tick: Option<(Time, Task<()>)>,
}

impl<T: Fn(Change)> Drive<T> {
    pub(super) fn new(
        (idx, servers): (PoolIdx, Vec<ServerIdx>),
        pool: PoolConfig,
        in_use: Vec<Option<SocketAddr>>,
        seed: u64,
        lookup: &Lookup,
        happenings: &Rc<Happenings>,
        tell: T,
    ) -> Drive<T> {
        let now = happenings.now();
        let mut watcher = Watcher::new(&pool, seed, now);
        watcher.remember(&happenings.memory(), now);
        Drive {
            idx,
            servers,
            in_use,
            told: vec![false; pool.servers.len()],
            read: vec![Vec::new(); pool.servers.len()],
            watcher,
            pool,
            names: Names::new(lookup),
            happenings: Rc::clone(happenings),
            tell,
            connections: HashMap::new(),
            probes: HashMap::new(),
            tick: None,
        }
    }

    /// Works until it is dropped.
    pub(super) async fn run(mut self, events: LocalReceiver<Happening>) {
        self.act();
        while let Some(happening) = events.recv().await {
            self.hear(happening);
            self.act();
        }
    }

    fn now(&self) -> Time {
        self.happenings.now()
    }

    fn hear(&mut self, happening: Happening) {
        let now = self.now();
        match happening {
            Happening::Connected(link) => self.watcher.connected(link, now),
            Happening::Received(link, bytes) => {
                // What was on its way when the connection was closed is not heard any more.
                if self.connections.contains_key(&link) {
                    self.watcher.received(link, &bytes, now);
                }
            }
            Happening::Closed(link, why) => {
                self.connections.remove(&link);
                self.watcher.closed(link, &why, now);
            }
            Happening::Probed(probe, answer) => {
                self.probes.remove(&probe);
                self.watcher.probed(probe, &answer, now);
            }
            Happening::Measured(probe, answer) => {
                self.probes.remove(&probe);
                self.watcher.measured(probe, &answer, now);
            }
            Happening::Hint(server) => {
                let nth = self.servers.iter().position(|known| *known == server);
                let nth = nth.and_then(|nth| u16::try_from(nth).ok());
                if let Some(nth) = nth {
                    self.watcher.hint(ServerIdx(nth), now);
                }
            }
            Happening::Tick => {
                self.tick = None;
                self.watcher.handle_timeout(now);
            }
        }
    }

    fn act(&mut self) {
        while let Some(output) = self.watcher.poll_output() {
            match output {
                Output::Connect { link, address } => {
                    let connection = Connection::open(link, address, &self.names, &self.happenings);
                    self.connections.insert(link, connection);
                }
                Output::Send { link, bytes } => {
                    if let Some(connection) = self.connections.get(&link) {
                        connection.send(bytes);
                    }
                }
                Output::Close(link) => {
                    self.connections.remove(&link);
                }
                Output::Probe { probe, address } => {
                    let password = self.pool.greeting.redis_auth.clone();
                    let (names, happenings) = (Rc::clone(&self.names), Rc::clone(&self.happenings));
                    let task = glommio::spawn_local(async move {
                        let answer = probe::ask(&address, password.as_ref(), &names).await;
                        happenings.tell(Happening::Probed(probe, answer));
                    });
                    self.probes.insert(probe, task);
                }
                Output::Measure { probe, address } => {
                    let password = self.pool.greeting.redis_auth.clone();
                    let (names, happenings) = (Rc::clone(&self.names), Rc::clone(&self.happenings));
                    let task = glommio::spawn_local(async move {
                        let answer = probe::measure(&address, password.as_ref(), &names).await;
                        happenings.tell(Happening::Measured(probe, answer));
                    });
                    self.probes.insert(probe, task);
                }
                Output::Fact(fact) => self.fact(&fact),
            }
        }
        *self.happenings.view.borrow_mut() = self.watcher.view(self.now());
        *self.happenings.memory.borrow_mut() = self.watcher.memory(self.now());
        self.set_tick();
    }

    fn fact(&mut self, fact: &Fact) {
        let mut from = None;
        match fact {
            Fact::Master { server, at, .. } => {
                from = self.in_use[server.index()].replace(*at);
                // Also where the workers are already: from here on no file says where it is.
                let is_first = !std::mem::replace(&mut self.told[server.index()], true);
                if is_first || from != Some(*at) {
                    (self.tell)(Change::Moved {
                        pool: self.idx,
                        server: self.servers[server.index()],
                        addresses: vec![SocketAddress::Tcp(*at)],
                    });
                }
            }
            Fact::Replica {
                server, at, unfit, ..
            } => {
                let read = &mut self.read[server.index()];
                read.retain(|other| other != at);
                if unfit.is_none() {
                    read.push(*at);
                }
                (self.tell)(Change::Replicas {
                    pool: self.idx,
                    server: self.servers[server.index()],
                    addresses: read.clone(),
                });
            }
            Fact::HoldWrites { server, within, .. } => (self.tell)(Change::HoldWrites {
                pool: self.idx,
                server: self.servers[server.index()],
                within: *within,
            }),
            Fact::ReleaseWrites { server, .. } => (self.tell)(Change::ReleaseWrites {
                pool: self.idx,
                server: self.servers[server.index()],
            }),
            Fact::Hold { hold, .. } => (self.tell)(Change::Hold {
                pool: self.idx,
                within: *hold,
            }),
            Fact::Fenced(fenced) => (self.tell)(Change::Fence {
                pool: self.idx,
                fenced: *fenced,
            }),
            _ => {}
        }
        log::fact(&self.pool, fact, from);
    }

    /// One timer, armed anew when the watcher wants to be called earlier.
    fn set_tick(&mut self) {
        let now = self.now();
        let Some(due) = self.watcher.next_timeout(now) else {
            return;
        };
        if self.tick.as_ref().is_some_and(|(set, _)| *set <= due) {
            return;
        }
        let happenings = Rc::clone(&self.happenings);
        // The watcher's microseconds are rounded down: not a tick too early.
        let delay = due.since(now) + Duration::from_micros(1);
        let task = glommio::spawn_local(async move {
            glommio::timer::sleep(delay).await;
            happenings.tell(Happening::Tick);
        });
        self.tick = Some((due, task));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the control plane is above the floors that are told the time"
)]
pub(super) fn clock() -> Instant {
    Instant::now()
}
