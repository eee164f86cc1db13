//! What becomes of a server that fails: a fact of the process, not of one worker.
//!
//! Owns: the count of failures, twemproxy's rules of ejection (twemproxy: `server_failure`), and
//! when a server is to be probed. Never: a clock; it says how long to wait, and is told when the
//! time has come. Lives once in the process, beside the workers, who report and are told.
//!
//! One event counts once, however many connections of however many workers it breaks: what began
//! before the last failure was counted belongs to that failure.

use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::Time;
use crate::config::Config;
use crate::config::PoolConfig;
use crate::config::Table;
use crate::messages::Change;
use crate::messages::Report;

/// A server that fails is asked so often whether it serves again. Each probe has its own time to
/// connect, so several may be under way: one whose first packet was lost does not delay the next.
const PROBE_PERIOD: Duration = Duration::from_millis(60);

/// What follows from a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// To be told to every worker.
    pub change: Option<Change>,
    /// The server is to be probed.
    pub probe: Option<Probe>,
}

/// One server's turn to be asked whether it serves again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server's pool.
    pub pool: PoolIdx,
    /// The server.
    pub server: ServerIdx,
    /// From now.
    pub after: Duration,
    // Of another series than the last one there is no more need.
    series: u32,
}

/// Which servers are good, and which have failed how often.
#[derive(Debug)]
pub struct Ejector {
    pools: Vec<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    ejects: bool,
    failure_limit: u32,
    retry_timeout: Duration,
    servers: Vec<ServerState>,
}

#[derive(Clone, Debug, Default)]
struct ServerState {
    failures: u32,
    ejected: bool,
    // When it was, as long as it has not been asked since.
    waits_since: Option<Time>,
    counted_at: Option<Time>,
    probing: bool,
    series: u32,
    // It is served no longer.
    removed: bool,
}

impl PoolState {
    fn take_rules(&mut self, config: &PoolConfig) {
        self.ejects = config.failure.ejects();
        self.failure_limit = config.failure.limit;
        self.retry_timeout = config.failure.retry_timeout;
    }
}

impl ServerState {
    fn probe(&mut self, pool: PoolIdx, server: ServerIdx, after: Duration) -> Probe {
        self.probing = true;
        self.waits_since = None;
        self.series = self.series.wrapping_add(1);
        Probe {
            pool,
            server,
            after,
            series: self.series,
        }
    }
}

impl Ejector {
    /// All servers are good.
    #[must_use]
    pub fn new(config: &Config) -> Ejector {
        let pools = config.pools.iter().map(|pool| {
            let mut state = PoolState::default();
            state.take_rules(pool);
            state.servers = vec![ServerState::default(); pool.servers.len()];
            state
        });
        Ejector {
            pools: pools.collect(),
        }
    }

    /// Takes a worker's report. `now` is by the clock of whoever owns this, workers have another.
    pub fn hear(&mut self, report: Report, now: Time) -> Verdict {
        match report {
            Report::ServerFailed {
                pool,
                server,
                since,
                at,
                answers,
            } => {
                let state = self.state(pool, server);
                if state.removed || state.counted_at.is_some_and(|counted| since <= counted) {
                    return Verdict::default();
                }
                state.counted_at = Some(at);
                self.failed(pool, server, answers, now)
            }
            Report::ServerAnswered { pool, server } => {
                self.state(pool, server).failures = 0;
                Verdict::default()
            }
        }
    }

    fn failed(&mut self, pool: PoolIdx, server: ServerIdx, answers: bool, now: Time) -> Verdict {
        let pool_state = &mut self.pools[pool.index()];
        let state = &mut pool_state.servers[server.index()];
        if pool_state.ejects && !state.ejected {
            state.failures += 1;
            if state.failures >= pool_state.failure_limit {
                state.failures = 0;
                state.ejected = true;
                let probe = state.probe(pool, server, pool_state.retry_timeout);
                state.waits_since = Some(now);
                return Verdict {
                    change: Some(Change::Eject { pool, server }),
                    probe: Some(probe),
                };
            }
        }
        // Any worker's next good reply clears the count.
        let counts = pool_state.ejects && !state.ejected;
        let wants_probe = !answers && !state.probing;
        Verdict {
            change: counts.then_some(Change::Suspect { pool, server }),
            probe: wants_probe.then(|| state.probe(pool, server, PROBE_PERIOD)),
        }
    }

    /// A server is at another address: if it is ejected, it is probed there at once.
    #[must_use]
    pub fn moved(&mut self, pool: PoolIdx, server: ServerIdx) -> Option<Probe> {
        let state = self.state(pool, server);
        state
            .ejected
            .then(|| state.probe(pool, server, Duration::ZERO))
    }

    /// Takes the rules of other pools and servers; the standing of those that were there before
    /// stays. What follows for them is to be told to every worker; and ejected servers are to be asked
    /// when the new rules say, not the old ones.
    #[must_use]
    pub fn reload(&mut self, table: &Table, now: Time) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (pool, servers) in (0..).map(PoolIdx).zip(table.places()) {
            if self.pools.len() == pool.index() {
                self.pools.push(PoolState::default());
            }
            let pool_state = &mut self.pools[pool.index()];
            pool_state
                .servers
                .resize_with(servers, ServerState::default);
            let before = pool_state.retry_timeout;
            if let Some(config) = table.pool(pool) {
                pool_state.take_rules(config);
            }
            let (ejects, retry_timeout) = (pool_state.ejects, pool_state.retry_timeout);
            for (server, state) in (0..).map(ServerIdx).zip(&mut pool_state.servers) {
                if table.server(pool, server).is_none() {
                    *state = ServerState {
                        removed: true,
                        series: state.series.wrapping_add(1),
                        ..ServerState::default()
                    };
                } else if !ejects && std::mem::take(&mut state.ejected) {
                    (state.failures, state.probing, state.waits_since) = (0, false, None);
                    verdicts.push(Verdict {
                        change: Some(Change::Readmit { pool, server }),
                        probe: None,
                    });
                } else if let (Some(since), true) = (state.waits_since, before != retry_timeout) {
                    let after = (since + retry_timeout).since(now);
                    let probe = state.probe(pool, server, after);
                    state.waits_since = Some(since);
                    verdicts.push(Verdict {
                        change: None,
                        probe: Some(probe),
                    });
                }
            }
        }
        verdicts
    }

    /// A probe's time has come: when the next one is due, unless this one is not needed any more.
    pub fn probe_due(&mut self, probe: Probe) -> Option<Probe> {
        let after = PROBE_PERIOD;
        let needed = self.is_needed(probe);
        if needed {
            self.state(probe.pool, probe.server).waits_since = None;
        }
        needed.then_some(Probe { after, ..probe })
    }

    /// The server has answered a probe as a server does that can serve.
    pub fn probe_answered(&mut self, probe: Probe) -> Option<Change> {
        if !self.is_needed(probe) {
            return None;
        }
        let (pool, server) = (probe.pool, probe.server);
        let state = self.state(pool, server);
        state.probing = false;
        Some(match std::mem::take(&mut state.ejected) {
            true => Change::Readmit { pool, server },
            false => Change::Reachable { pool, server },
        })
    }

    fn is_needed(&mut self, probe: Probe) -> bool {
        let state = self.state(probe.pool, probe.server);
        state.probing && state.series == probe.series
    }

    fn state(&mut self, pool: PoolIdx, server: ServerIdx) -> &mut ServerState {
        &mut self.pools[pool.index()].servers[server.index()]
    }
}

#[cfg(test)]
mod tests;
