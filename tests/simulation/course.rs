//! The course of a run: who comes, when all is healed, what must hold then, and at the very end.

use std::collections::VecDeque;
use std::time::Duration;

use coremux::base::Time;

use crate::client::Client;
use crate::client::State;
use crate::plan::Plan;
use crate::scenario::FAULTS_END;
use crate::scenario::RECOVERY;
use crate::tally::Happening;
use crate::trace::trace;
use crate::workload::Asker;
use crate::workload::verification;
use crate::world::Event;
use crate::world::World;

/// What one request may bring in besides its own bytes: a chunk that was received with it, and one
/// more that was under way when the proxy said stop.
const UNREAD_BYTES_MAX: usize = 2 << 20;

/// In one run.
const CLIENTS_MAX: usize = 25;

/// Replies that the proxy makes itself are shorter than this.
const OWN_REPLY_BYTES_MAX: usize = 128 << 10;

/// Twice as long as a server connection is kept that nobody uses.
const IDLES_ON: Duration = Duration::from_secs(600);

impl World {
    pub fn begin(&mut self) {
        let (at_once, later): (Vec<usize>, Vec<usize>) = (0..self.scenario.faults.len())
            .partition(|fault| self.scenario.faults[*fault].at == Time::ZERO);
        for fault in at_once {
            self.fault_begins(fault);
        }
        for fault in later {
            self.schedule(self.scenario.faults[fault].at, Event::Fault(fault));
        }
        for (time, interlude) in self.scenario.interludes.clone() {
            self.schedule(time, Event::Interlude(interlude));
        }
        self.look_up_first();
        self.plan_reloads();
        for number in 0..self.scenario.clients {
            let pool = self.dice.below(self.scenario.pools.len());
            let mut dice = self.dice.fork();
            let plan = Plan::new(&self.scenario.pools[pool], &mut dice);
            let mut asker = self.asker(number, pool);
            let first = asker.authenticate(&mut dice);
            let worker = self.dice.below(self.workers.len());
            let mut client = Client::new(pool, worker, plan, asker, dice);
            client.prepare(first);
            self.comes(client);
        }
        self.schedule(Time::ZERO + FAULTS_END, Event::AllHealed);
        match self.scenario.drain_at {
            Some(time) => self.schedule(time, Event::Drain),
            None => self.schedule(Time::ZERO + FAULTS_END + RECOVERY, Event::Verify),
        }
    }

    fn asker(&self, client: usize, pool: usize) -> Asker {
        let facts = self.scenario.pools[pool].facts.clone();
        Asker {
            client,
            authenticated: facts.password.is_none(),
            database: facts.database,
            resp3: false,
            facts,
            planned: VecDeque::new(),
            name: Vec::new(),
            large_left: 2,
        }
    }

    fn comes(&mut self, client: Client) {
        let number = self.clients.len();
        assert_eq!(
            number,
            self.oracle
                .client(client.pool, client.worker, self.verifying)
        );
        self.schedule(client.plan.start, Event::ClientActs(number));
        self.clients.push(client);
    }

    /// A client has left while replies are due to it; the next one takes its place soon, maybe
    /// before they come.
    pub fn somebody_else_comes(&mut self, number: usize) {
        if self.clients.len() >= CLIENTS_MAX || self.dice.percent(20) {
            return;
        }
        let (pool, worker) = (self.clients[number].pool, self.clients[number].worker);
        let mut dice = self.dice.fork();
        let mut plan = Plan::new(&self.scenario.pools[pool], &mut dice);
        plan.start = self.now + dice.micros(50, 600);
        let mut asker = self.asker(self.clients.len(), pool);
        let first = asker.authenticate(&mut dice);
        let mut client = Client::new(pool, worker, plan, asker, dice);
        client.prepare(first);
        self.comes(client);
    }

    fn all_gone(&self) -> bool {
        self.clients
            .iter()
            .all(|client| client.state == State::Gone)
    }

    /// When the others have gone, new clients find everything as it should be.
    pub fn verify(&mut self) {
        if !self.all_gone() {
            let later = self.now + self.dice.millis(50, 100);
            self.schedule(later, Event::Verify);
            return;
        }
        trace!(self.now, "all must be well now");
        self.verifying = true;
        for pool in 0..self.scenario.pools.len() {
            let known = self.oracle.known_keys(pool);
            let worker = self.dice.below(self.workers.len());
            let mut asker = self.asker(self.clients.len(), pool);
            let password = asker.log_in();
            let requests = verification(&mut asker, password.is_some(), &known);
            let dice = self.dice.fork();
            let mut client = Client::new(pool, worker, Plan::verifying(self.now), asker, dice);
            client.prepare(password);
            client.prepare(requests);
            self.comes(client);
        }
    }

    /// All clients are told to go.
    pub fn drain(&mut self) {
        trace!(self.now, "drain");
        let waiting = (0..self.clients.len()).any(|client| {
            self.clients[client].state != State::Gone && self.oracle.unanswered(client) > 0
        });
        if waiting {
            self.tally.count(Happening::Drained);
        }
        for worker in 0..self.workers.len() {
            self.wake(worker);
            let worker = &mut self.workers[worker];
            worker.drained_at = Some(self.now);
            worker.proxy.drain(self.now);
        }
    }

    /// What the proxy holds for a client stays within its limits, but for what was on its way when
    /// the client reached them.
    pub fn check_limits(&mut self) {
        for link in self.out_of_step.drain(..) {
            let closing = self.links[link.0]
                .socket
                .as_ref()
                .is_none_or(|socket| socket.closing);
            assert!(closing, "a connection that is out of step stays open");
        }
        self.open_clients
            .retain(|link| self.links[link.0].socket.is_some());
        for id in &self.open_clients {
            let link = &mut self.links[id.0];
            let load = self.workers[link.worker].proxy.client_load(link.conn);
            let load = load.expect("an open socket is a connection of the proxy's");
            let crate::link::Peer::Client(client) = link.peer else {
                continue;
            };
            let pool = &self.config.pools[self.clients[client].pool];
            let limit = pool.limits.client_output_bytes;
            let requests = pool.limits.client_requests_in_flight.get() as usize;
            assert!(
                load.requests_in_flight <= requests,
                "{:?} has {} requests on their way",
                link.peer,
                load.requests_in_flight
            );
            assert!(
                load.unread_bytes <= UNREAD_BYTES_MAX,
                "{} bytes of {:?} are received and not looked at",
                load.unread_bytes,
                link.peer
            );
            if load.owed_bytes < limit {
                link.over_limit = None;
                continue;
            }
            let before = link.over_limit.replace(load.requests_in_flight);
            if before.is_none() {
                self.tally.count(Happening::OverLimit);
            }
            assert!(
                before.is_none_or(|before| load.requests_in_flight <= before),
                "{:?} is over its limit and its requests are read",
                link.peer
            );
            let largest = self.oracle.largest_reply * pool.servers.len();
            let replies = (load.requests_in_flight + 1) * largest.max(OWN_REPLY_BYTES_MAX);
            // What was in flight when the limit was reached may all have come meanwhile.
            link.most_owed = link.most_owed.max(replies);
            assert!(
                load.owed_bytes <= limit + link.most_owed,
                "{} bytes are owed to {:?}, the limit is {limit}",
                load.owed_bytes,
                link.peer
            );
        }
    }

    /// Everybody has gone, and the proxy may still wait with what nobody uses.
    pub fn only_idles_on(&self) -> bool {
        let deadline = self.scenario.deadline() + IDLES_ON;
        self.all_gone() && self.is_last() && self.now < deadline
    }

    fn is_last(&self) -> bool {
        self.verifying || self.scenario.drain_at.is_some()
    }

    /// Nobody uses another database than the pool's any more: the proxy keeps no connection for one.
    fn check_unused(&mut self) {
        let mut closed = 0;
        for worker in &self.workers {
            let standings = worker.stats.pools.iter().flat_map(|pool| &pool.standings);
            closed += standings
                .map(|standing| standing.unused_connections.value())
                .sum::<u64>();
        }
        self.tally
            .count_many(Happening::UnusedDatabaseClosed, closed);
        for (pool, servers) in self.servers.iter().enumerate() {
            let config = &self.config.pools[pool];
            let mut conns = servers.iter().flat_map(|server| &server.conns);
            assert!(
                conns.all(|(link, conn)| conn.is_greeted_for_all(config)
                    || self.links[link.0].socket.is_none()),
                "a connection for another database is left"
            );
        }
    }

    /// Everybody has gone; nothing of them is left.
    pub fn check_the_end(&mut self) {
        self.check_unused();
        assert!(self.all_gone(), "the world stands still: {}", self.stuck());
        assert!(self.is_last());
        for (server, transients) in &self.oracle.transients {
            let reported = self.control.failures.get(server).copied().unwrap_or(0);
            assert!(
                reported >= *transients,
                "failures of {server:?} are kept secret"
            );
        }
        for (server, heard) in &self.control.spoken {
            let spoken = self.oracle.spoken.get(server).copied().unwrap_or(0);
            assert!(
                *heard <= spoken,
                "{server:?} has said {spoken} times that it cannot serve, {heard} were heard"
            );
        }
        for (number, worker) in self.workers.iter().enumerate() {
            assert_eq!(
                worker.proxy.client_count(),
                0,
                "clients of worker {number} are left"
            );
            let drained = self.scenario.drain_at.is_some();
            assert_eq!(worker.proxy.is_drained(), drained);
            let open = worker.sockets.len() as u64;
            assert_eq!(
                worker.stats.curr_connections.value(),
                open,
                "curr_connections"
            );
            for (pool, stats) in worker.stats.pools.iter().enumerate() {
                let clients = stats.counters.client_connections.value();
                assert_eq!(clients, 0, "client_connections of pool {pool}");
                for (server, stats) in stats.servers.iter().enumerate() {
                    let name = format!("server {pool}.{server} of worker {number}");
                    assert_eq!(stats.in_queue.value(), 0, "in_queue of {name}");
                    assert_eq!(stats.in_queue_bytes.value(), 0, "in_queue_bytes of {name}");
                    assert_eq!(stats.out_queue.value(), 0, "out_queue of {name}");
                    assert_eq!(
                        stats.out_queue_bytes.value(),
                        0,
                        "out_queue_bytes of {name}"
                    );
                    let links = worker.sockets.values();
                    let open = links
                        .filter(|link| self.server_of(**link) == Some((pool, server)))
                        .count();
                    let counted = stats.server_connections.value();
                    assert_eq!(counted, open as u64, "server_connections of {name}");
                }
            }
        }
    }

    /// Who has not gone, for a message.
    pub fn stuck(&self) -> String {
        let clients = self.clients.iter().enumerate();
        let stuck = clients.filter(|(_, client)| client.state != State::Gone);
        let lines = stuck.map(|(number, client)| {
            format!(
                "\n  client {number} is {:?}, {} replies due, {}",
                client.state,
                self.oracle.unanswered(number),
                self.oracle.first_unanswered(number)
            )
        });
        lines.collect()
    }
}
