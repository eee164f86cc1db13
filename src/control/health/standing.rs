//! How servers do, as all workers together know it, and which pools can serve.
//!
//! Owns: what each server is called (connected, failing, …), and rise and fall of its use. Never:
//! asks a worker; it reads what they publish.
//!
//! Workers have connections of their own, so they may differ. The latest evidence counts: a server
//! is failing if some worker's requests fail, unless another worker, or a probe, had a good reply
//! since.

use std::sync::Arc;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::PoolConfig;
use crate::control::clock::Micros;
use crate::control::health::debounce::Debounced;
use crate::control::health::sentinels::SentinelState;
use crate::stats::PoolShape;
use crate::stats::WorkerStats;

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum State {
    /// Requests flow, or could.
    Connected,
    /// Nobody has asked for it, and nothing bad is known.
    Idle,
    /// Its name has no address.
    Unknown,
    /// The last that was heard of it was a failure.
    Failing,
    /// Its keys live on other servers until it is readmitted.
    Ejected,
}

impl State {
    /// In JSON, and for people.
    pub(in crate::control) fn name(self) -> &'static str {
        match self {
            State::Connected => "connected",
            State::Idle => "idle",
            State::Unknown => "unknown",
            State::Failing => "failing",
            State::Ejected => "ejected",
        }
    }

    fn is_good(self) -> bool {
        matches!(self, State::Connected | State::Idle)
    }
}

/// A server that answers again, or no longer, is believed after so many samples: a restart of a
/// Redis is over before, and costs no reply that is not an error already.
const RISE: u32 = 3;
const FALL: u32 = 3;

/// A server.
#[derive(Debug)]
pub(in crate::control) struct ServerView {
    pub(super) idx: ServerIdx,
    pub(in crate::control) name: Arc<str>,
    pub(in crate::control) state: State,
    /// Of all workers, those on which requests flow.
    pub(in crate::control) connections: u64,
    /// The earliest of the workers' present failures.
    pub(in crate::control) failing_since: Option<Micros>,
    pub(super) ejected: bool,
    pub(super) unknown: bool,
    usable: Debounced,
    // Each worker's replies at the last sample.
    replies: Vec<u64>,
    // Until when good replies were seen.
    good_at: Micros,
}

impl ServerView {
    fn new(idx: ServerIdx, name: &Arc<str>, workers: usize) -> ServerView {
        ServerView {
            idx,
            name: Arc::clone(name),
            state: State::Idle,
            connections: 0,
            failing_since: None,
            ejected: false,
            unknown: false,
            usable: Debounced::new(true, RISE, FALL),
            replies: vec![0; workers],
            good_at: 0,
        }
    }

    /// Whether it is to be counted on.
    pub(in crate::control) fn is_usable(&self) -> bool {
        self.usable.is_good()
    }

    /// A probe was answered: good news without any client's request.
    pub(super) fn answered(&mut self, now: Micros) {
        self.good_at = now;
    }

    // `before` is when the last sample was taken: a reply that came since is at least as new.
    fn sample(&mut self, at: (usize, usize), workers: &[Arc<WorkerStats>], before: Micros) {
        let (mut connections, mut failed_at) = (0, None);
        let mut failing_since: Option<Micros> = None;
        for (worker, seen) in workers.iter().zip(&mut self.replies) {
            let pool = &worker.pools[at.0];
            let standing = &pool.standings[at.1];
            connections += standing.ready_connections.value();
            // What a replica says is no news of its master.
            let all = pool.servers[at.1].responses.value();
            let replies = all.wrapping_sub(standing.replica_replies.value());
            let answers = replies != std::mem::replace(seen, replies);
            match standing.failing_since.value() {
                0 if answers => self.good_at = self.good_at.max(before),
                0 => {}
                since => {
                    failing_since = Some(failing_since.map_or(since, |other| other.min(since)));
                    failed_at = failed_at.max(Some(standing.failed_at.value()));
                }
            }
        }
        let failing = failed_at.is_some_and(|at| at >= self.good_at);
        self.connections = connections;
        self.failing_since = failing_since.filter(|_| failing);
        self.state = match () {
            () if self.ejected => State::Ejected,
            () if self.unknown => State::Unknown,
            () if failing => State::Failing,
            () if connections > 0 => State::Connected,
            () => State::Idle,
        };
        self.usable.see(self.state.is_good());
    }
}

/// A pool.
#[derive(Debug)]
pub(in crate::control) struct PoolView {
    pub(super) idx: PoolIdx,
    pub(in crate::control) name: Arc<str>,
    pub(in crate::control) servers: Vec<ServerView>,
    /// How many servers it needs.
    pub(in crate::control) required: usize,
    /// Since when it is ready, or is not.
    pub(in crate::control) since: Micros,
    /// What its Sentinels say, if it has any.
    pub(in crate::control) following: Option<SentinelState>,
    ready: bool,
}

impl PoolView {
    pub(super) fn new(
        idx: PoolIdx,
        shape: &PoolShape,
        required: usize,
        workers: usize,
        now: Micros,
    ) -> PoolView {
        let servers = (0..).map(ServerIdx).zip(&shape.servers);
        let servers = servers.map(|(idx, name)| ServerView::new(idx, name, workers));
        PoolView {
            idx,
            name: Arc::clone(&shape.name),
            servers: servers.collect(),
            required,
            since: now,
            following: None,
            ready: true,
        }
    }

    /// The same pool with other servers; what is believed of those it had before stays.
    pub(super) fn reload(&mut self, config: &PoolConfig, servers: &[ServerIdx], workers: usize) {
        self.name = Arc::clone(&config.name);
        self.required = config.ready_servers.of(config.servers.len());
        if config.sentinels.addresses.is_empty() {
            self.following = None;
        }
        let mut before = std::mem::take(&mut self.servers);
        let all = servers.iter().zip(&config.servers);
        self.servers = all
            .map(|(&idx, server)| {
                let known = before.iter().position(|known| known.idx == idx);
                match known {
                    Some(known) => before.swap_remove(known),
                    None => ServerView::new(idx, &server.name, workers),
                }
            })
            .collect();
    }

    /// How many servers are to be counted on.
    pub(in crate::control) fn usable(&self) -> usize {
        self.servers.iter().filter(|s| s.is_usable()).count()
    }

    /// Whether it has the servers that it needs.
    pub(in crate::control) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Looks at pool number `idx` of every worker; whether it became ready, or is no longer.
    pub(super) fn sample(
        &mut self,
        idx: usize,
        workers: &[Arc<WorkerStats>],
        before: Micros,
        now: Micros,
    ) -> bool {
        for (nth, server) in self.servers.iter_mut().enumerate() {
            server.sample((idx, nth), workers, before);
        }
        let ready = self.usable() >= self.required;
        if ready == self.ready {
            return false;
        }
        self.ready = ready;
        self.since = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Shape;

    struct World {
        pool: PoolView,
        workers: Vec<Arc<WorkerStats>>,
        now: Micros,
    }

    impl World {
        fn new(required: usize) -> World {
            let shape = PoolShape {
                name: Arc::from("p"),
                servers: vec![Arc::from("s"), Arc::from("t")],
            };
            let all = Shape {
                pools: vec![shape.clone()],
            };
            World {
                pool: PoolView::new(PoolIdx(0), &shape, required, 2, 0),
                workers: (0..2).map(|_| Arc::new(WorkerStats::new(&all))).collect(),
                now: 1_000,
            }
        }

        fn fails(&self, worker: usize, server: usize) {
            let standing = &self.workers[worker].pools[0].standings[server];
            standing.failed_at.set(self.now);
            standing.failing_since.set(self.now);
        }

        fn replies(&self, worker: usize, server: usize) {
            self.workers[worker].pools[0].servers[server]
                .responses
                .add(1);
        }

        fn sample(&mut self) -> State {
            let before = self.now;
            self.now += 100;
            self.pool.sample(0, &self.workers, before, self.now);
            self.now += 100;
            self.pool.servers[0].state
        }
    }

    #[test]
    fn a_server_that_nobody_asked_is_counted_on() {
        let mut world = World::new(2);
        assert_eq!(world.sample(), State::Idle);
        assert!(world.pool.is_ready());
        let standing = &world.workers[1].pools[0].standings[0];
        standing.ready_connections.add(1);
        assert_eq!(world.sample(), State::Connected);
    }

    #[test]
    fn a_server_that_fails_for_a_moment_stays_in_use_and_one_that_goes_on_failing_does_not() {
        let mut world = World::new(2);
        world.fails(0, 0);
        assert_eq!(world.sample(), State::Failing);
        world.workers[0].pools[0].standings[0].failing_since.set(0);
        world.replies(0, 0);
        assert_eq!(world.sample(), State::Idle);
        assert!(world.pool.is_ready());
        world.fails(0, 0);
        (0..FALL).for_each(|_| _ = world.sample());
        assert!(!world.pool.is_ready());
        assert_eq!(world.pool.usable(), 1);
    }

    #[test]
    fn the_latest_evidence_of_any_worker_counts() {
        let mut world = World::new(1);
        world.fails(0, 0);
        assert_eq!(world.sample(), State::Failing);
        world.replies(1, 0);
        assert_eq!(world.sample(), State::Idle, "the other worker was answered");
        assert_eq!(world.pool.servers[0].failing_since, None);
        assert_eq!(world.sample(), State::Idle);
        world.fails(0, 0);
        assert_eq!(world.sample(), State::Failing, "and then it failed again");
    }

    #[test]
    fn a_probe_that_is_answered_is_good_news() {
        let mut world = World::new(1);
        world.fails(0, 0);
        assert_eq!(world.sample(), State::Failing);
        world.pool.servers[0].answered(world.now);
        assert_eq!(world.sample(), State::Idle, "although no request was");
        world.fails(0, 0);
        assert_eq!(world.sample(), State::Failing);
    }

    #[test]
    fn late_replies_to_a_worker_that_fails_are_no_good_news() {
        let mut world = World::new(1);
        world.fails(0, 0);
        world.replies(0, 0);
        assert_eq!(world.sample(), State::Failing);
    }

    #[test]
    fn an_ejected_server_and_one_without_an_address_are_not_counted_on() {
        let mut world = World::new(1);
        world.pool.servers[0].ejected = true;
        world.pool.servers[1].unknown = true;
        assert_eq!(world.sample(), State::Ejected);
        assert_eq!(world.pool.servers[1].state, State::Unknown);
        (1..FALL).for_each(|_| _ = world.sample());
        assert!(!world.pool.is_ready());
        world.pool.servers[0].ejected = false;
        (0..RISE).for_each(|_| _ = world.sample());
        assert!(world.pool.is_ready());
    }
}
