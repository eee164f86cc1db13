//! What is believed, in the words of the JSON bodies.

use serde::Serialize;

use crate::base::PoolIdx;
use crate::control::clock::Micros;
use crate::control::clock::rfc3339;
use crate::control::health::Health;
use crate::control::health::sentinels::MasterReport;
use crate::control::health::sentinels::ReplicaReport;
use crate::control::health::sentinels::SentinelsReport;
use crate::control::health::standing::PoolView;
use crate::control::health::standing::ServerView;

/// The body of `/health`.
#[derive(Debug, Serialize)]
pub(in crate::control) struct HealthReport {
    /// `healthy` or `unhealthy`.
    pub(in crate::control) state: &'static str,
    /// Why not; empty also while it rises again.
    pub(in crate::control) reasons: Vec<&'static str>,
    /// Since when it is so.
    pub(in crate::control) since: String,
    pub(in crate::control) workers: Vec<WorkerReport>,
}

#[derive(Debug, Serialize)]
pub(in crate::control) struct WorkerReport {
    pub(in crate::control) worker: usize,
    /// How long ago its last pass was seen.
    pub(in crate::control) heartbeat_age_ms: u64,
    pub(in crate::control) stuck: bool,
}

/// The body of `/ready`.
#[derive(Debug, Serialize)]
pub(in crate::control) struct ReadyReport {
    /// `ready` or `unready`.
    pub(in crate::control) state: &'static str,
    /// Of the process: without health nothing is ready.
    pub(in crate::control) health: &'static str,
    pub(in crate::control) pools: Vec<PoolReport>,
}

/// A pool in it, and the body of `/ready/<pool>`.
#[derive(Debug, Serialize)]
pub(in crate::control) struct PoolReport {
    pub(in crate::control) pool: String,
    /// `ready` or `unready`.
    pub(in crate::control) state: &'static str,
    pub(in crate::control) since: String,
    /// How many servers it needs.
    pub(in crate::control) required: usize,
    /// How many it has.
    pub(in crate::control) usable: usize,
    /// Clients connected now.
    pub(in crate::control) clients: u64,
    pub(in crate::control) pubsub: PubsubReport,
    /// Only where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::control) sentinels: Option<SentinelsReport>,
    pub(in crate::control) servers: Vec<ServerReport>,
}

#[derive(Debug, Serialize)]
pub(in crate::control) struct ServerReport {
    pub(in crate::control) server: String,
    /// `connected`, `idle`, `unknown`, `failing`, `ejected`.
    pub(in crate::control) state: &'static str,
    /// Whether it is counted: follows the state after some samples.
    pub(in crate::control) usable: bool,
    /// Of all workers, those on which requests flow.
    pub(in crate::control) connections: u64,
    /// Those that one client each has for itself.
    pub(in crate::control) exclusive: ExclusiveReport,
    pub(in crate::control) failing_since: Option<String>,
    /// Where Sentinels are followed, and know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::control) master: Option<MasterReport>,
    /// Where replicas are read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::control) replicas: Vec<ReplicaReport>,
}

/// A pool's clients that listen to channels, of all workers.
#[derive(Debug, Serialize)]
pub(in crate::control) struct PubsubReport {
    pub(in crate::control) subscribers: u64,
    /// Channels and patterns, each client's counted.
    pub(in crate::control) subscriptions: u64,
    /// Clients that were closed because too much waited for them, since the start.
    pub(in crate::control) slow_closed: u64,
    /// Channels and patterns that were asked for again, since the start.
    pub(in crate::control) resubscribed: u64,
}

impl PubsubReport {
    /// Whether there is nothing to say.
    pub(in crate::control) fn is_empty(&self) -> bool {
        self.subscribers + self.slow_closed + self.resubscribed == 0
    }
}

/// A server's exclusive connections, of all workers.
#[derive(Debug, Serialize)]
pub(in crate::control) struct ExclusiveReport {
    /// Held or free.
    pub(in crate::control) connections: u64,
    pub(in crate::control) held: u64,
    /// Clients that wait for one.
    pub(in crate::control) waiting: u64,
    /// Clients that have waited in vain, since the start.
    pub(in crate::control) refused: u64,
}

impl ExclusiveReport {
    /// Whether no client has wanted one.
    pub(in crate::control) fn is_empty(&self) -> bool {
        self.connections + self.waiting + self.refused == 0
    }
}

impl Health {
    pub(in crate::control) fn report(&self, now: Micros) -> HealthReport {
        let workers = self.pulses.iter().enumerate();
        HealthReport {
            state: if self.is_healthy() {
                "healthy"
            } else {
                "unhealthy"
            },
            reasons: self.reasons().collect(),
            since: rfc3339(self.since),
            workers: workers
                .map(|(worker, liveness)| WorkerReport {
                    worker,
                    heartbeat_age_ms: liveness.age(now) / 1000,
                    stuck: liveness.is_stuck(),
                })
                .collect(),
        }
    }

    /// Whether the process is healthy and every pool has the servers that it needs.
    pub(in crate::control) fn is_ready(&self) -> bool {
        self.is_healthy() && self.pools().iter().all(PoolView::is_ready)
    }

    pub(in crate::control) fn ready_report(&self) -> ReadyReport {
        ReadyReport {
            state: ready(self.is_ready()),
            health: if self.is_healthy() {
                "healthy"
            } else {
                "unhealthy"
            },
            pools: (0..self.pools.len()).map(|idx| self.of_pool(idx)).collect(),
        }
    }

    pub(in crate::control) fn pool_report(&self, pool: PoolIdx) -> PoolReport {
        self.of_pool(pool.index())
    }

    fn of_pool(&self, idx: usize) -> PoolReport {
        let pool = &self.pools[idx];
        let clients = self.workers.iter().map(|worker| {
            let counters = &worker.pools[idx].counters;
            counters.client_connections.value()
        });
        PoolReport {
            pool: pool.name.to_string(),
            state: ready(pool.is_ready()),
            since: rfc3339(pool.since),
            required: pool.required,
            usable: pool.usable(),
            clients: clients.sum(),
            pubsub: self.pubsub(idx),
            sentinels: pool.following.as_ref().map(|f| f.sentinels.clone()),
            // As the workers count them: by the table's order, and not by their places, of which a
            // reload may have given up some.
            servers: (0..)
                .zip(&pool.servers)
                .map(|(nth, server)| of_server(pool, server, self.exclusive((idx, nth))))
                .collect(),
        }
    }

    fn pubsub(&self, pool: usize) -> PubsubReport {
        let counters = || self.workers.iter().map(|worker| &worker.pools[pool].pubsub);
        PubsubReport {
            subscribers: counters().map(|c| c.subscribers.value()).sum(),
            subscriptions: counters().map(|c| c.subscriptions.value()).sum(),
            slow_closed: counters().map(|c| c.slow_closed.value()).sum(),
            resubscribed: counters().map(|c| c.resubscribed.value()).sum(),
        }
    }

    fn exclusive(&self, (pool, server): (usize, usize)) -> ExclusiveReport {
        let standings = || {
            let workers = self.workers.iter();
            workers.map(|worker| &worker.pools[pool].standings[server])
        };
        ExclusiveReport {
            connections: standings().map(|s| s.exclusive_connections.value()).sum(),
            held: standings().map(|s| s.exclusive_held.value()).sum(),
            waiting: standings().map(|s| s.exclusive_waiting.value()).sum(),
            refused: standings().map(|s| s.exclusive_refused.value()).sum(),
        }
    }
}

fn ready(ready: bool) -> &'static str {
    if ready { "ready" } else { "unready" }
}

fn of_server(pool: &PoolView, server: &ServerView, exclusive: ExclusiveReport) -> ServerReport {
    let following = pool.following.as_ref();
    let followed = following.and_then(|f| f.servers.get(&server.name));
    ServerReport {
        server: server.name.to_string(),
        state: server.state.name(),
        usable: server.is_usable(),
        connections: server.connections,
        exclusive,
        failing_since: server.failing_since.map(rfc3339),
        master: followed.and_then(|followed| followed.master.clone()),
        replicas: followed.map_or_else(Vec::new, |followed| followed.replicas.clone()),
    }
}
