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

/// The standing of every server.
#[derive(Debug)]
pub struct Fates {
    pools: Vec<PoolFates>,
}

#[derive(Debug, Default)]
struct PoolFates {
    ejects: bool,
    failure_limit: u32,
    retry_timeout: Duration,
    servers: Vec<Fate>,
}

#[derive(Clone, Debug, Default)]
struct Fate {
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

impl PoolFates {
    fn take_rules(&mut self, config: &PoolConfig) {
        self.ejects = config.failure.ejects();
        self.failure_limit = config.failure.limit;
        self.retry_timeout = config.failure.retry_timeout;
    }
}

impl Fate {
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

impl Fates {
    /// All servers are good.
    #[must_use]
    pub fn new(config: &Config) -> Fates {
        let pools = config.pools.iter().map(|pool| {
            let mut fates = PoolFates::default();
            fates.take_rules(pool);
            fates.servers = vec![Fate::default(); pool.servers.len()];
            fates
        });
        Fates {
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
                let fate = self.fate(pool, server);
                if fate.removed || fate.counted_at.is_some_and(|counted| since <= counted) {
                    return Verdict::default();
                }
                fate.counted_at = Some(at);
                self.failed(pool, server, answers, now)
            }
            Report::ServerAnswered { pool, server } => {
                self.fate(pool, server).failures = 0;
                Verdict::default()
            }
        }
    }

    fn failed(&mut self, pool: PoolIdx, server: ServerIdx, answers: bool, now: Time) -> Verdict {
        let rules = &mut self.pools[pool.index()];
        let fate = &mut rules.servers[server.index()];
        if rules.ejects && !fate.ejected {
            fate.failures += 1;
            if fate.failures >= rules.failure_limit {
                fate.failures = 0;
                fate.ejected = true;
                let probe = fate.probe(pool, server, rules.retry_timeout);
                fate.waits_since = Some(now);
                return Verdict {
                    change: Some(Change::Eject { pool, server }),
                    probe: Some(probe),
                };
            }
        }
        // Any worker's next good reply clears the count.
        let counts = rules.ejects && !fate.ejected;
        let wants_probe = !answers && !fate.probing;
        Verdict {
            change: counts.then_some(Change::Suspect { pool, server }),
            probe: wants_probe.then(|| fate.probe(pool, server, PROBE_PERIOD)),
        }
    }

    /// A server is elsewhere: one that is ejected is asked there at once whether it serves.
    #[must_use]
    pub fn moved(&mut self, pool: PoolIdx, server: ServerIdx) -> Option<Probe> {
        let fate = self.fate(pool, server);
        fate.ejected
            .then(|| fate.probe(pool, server, Duration::ZERO))
    }

    /// Takes the rules of other pools and servers; the standing of those that were there before
    /// stays. What follows for them is to be told to every worker; and ejected servers are to be asked
    /// when the new rules say, not the old ones.
    #[must_use]
    pub fn reload(&mut self, table: &Table, now: Time) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (pool, servers) in (0..).map(PoolIdx).zip(table.places()) {
            if self.pools.len() == pool.index() {
                self.pools.push(PoolFates::default());
            }
            let fates = &mut self.pools[pool.index()];
            fates.servers.resize_with(servers, Fate::default);
            let before = fates.retry_timeout;
            if let Some(config) = table.pool(pool) {
                fates.take_rules(config);
            }
            let (ejects, retry_timeout) = (fates.ejects, fates.retry_timeout);
            for (server, fate) in (0..).map(ServerIdx).zip(&mut fates.servers) {
                if table.server(pool, server).is_none() {
                    *fate = Fate {
                        removed: true,
                        series: fate.series.wrapping_add(1),
                        ..Fate::default()
                    };
                } else if !ejects && std::mem::take(&mut fate.ejected) {
                    (fate.failures, fate.probing, fate.waits_since) = (0, false, None);
                    verdicts.push(Verdict {
                        change: Some(Change::Readmit { pool, server }),
                        probe: None,
                    });
                } else if let (Some(since), true) = (fate.waits_since, before != retry_timeout) {
                    let after = (since + retry_timeout).since(now);
                    let probe = fate.probe(pool, server, after);
                    fate.waits_since = Some(since);
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
            self.fate(probe.pool, probe.server).waits_since = None;
        }
        needed.then_some(Probe { after, ..probe })
    }

    /// The server has answered a probe as a server does that can serve.
    pub fn probe_answered(&mut self, probe: Probe) -> Option<Change> {
        if !self.is_needed(probe) {
            return None;
        }
        let (pool, server) = (probe.pool, probe.server);
        let fate = self.fate(pool, server);
        fate.probing = false;
        Some(match std::mem::take(&mut fate.ejected) {
            true => Change::Readmit { pool, server },
            false => Change::Reachable { pool, server },
        })
    }

    fn is_needed(&mut self, probe: Probe) -> bool {
        let fate = self.fate(probe.pool, probe.server);
        fate.probing && fate.series == probe.series
    }

    fn fate(&mut self, pool: PoolIdx, server: ServerIdx) -> &mut Fate {
        &mut self.pools[pool.index()].servers[server.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: PoolIdx = PoolIdx(0);
    const SERVER: ServerIdx = ServerIdx(1);

    fn config(rules: &str) -> Config {
        let text = format!(
            "a:\n  listen: 127.0.0.1:1\n  redis: true\n{rules}  servers:\n  - h:1:1\n  - h:2:1\n"
        );
        Config::parse(&text, "test.yml").expect("a good configuration")
    }

    fn fates(rules: &str) -> Fates {
        Fates::new(&config(rules))
    }

    /// What began at `since` failed at `at`.
    fn fail(fates: &mut Fates, since: u64, at: u64) -> Verdict {
        let report = Report::ServerFailed {
            pool: POOL,
            server: SERVER,
            since: Time::from_micros(since),
            at: Time::from_micros(at),
            answers: false,
        };
        fates.hear(report, Time::from_micros(at))
    }

    fn suspect() -> Option<Change> {
        Some(Change::Suspect {
            pool: POOL,
            server: SERVER,
        })
    }

    #[test]
    fn a_server_is_ejected_at_the_limit_and_readmitted_once_by_a_probe() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
        let first = fail(&mut fates, 1, 2);
        assert_eq!(first.change, suspect());
        let early = first.probe.expect("a server that fails is probed");
        let verdict = fail(&mut fates, 3, 4);
        let eject = Some(Change::Eject {
            pool: POOL,
            server: SERVER,
        });
        assert_eq!(verdict.change, eject);
        let probe = verdict.probe.expect("an ejected server is probed");
        assert_eq!(probe.after, Duration::from_millis(30_000));
        assert_eq!(fates.probe_due(early), None, "not before its time");
        assert_eq!(fates.probe_answered(early), None, "not before its time");
        assert_eq!(
            fail(&mut fates, 5, 6),
            Verdict::default(),
            "ejected already"
        );
        let next = fates.probe_due(probe).expect("nobody has answered");
        let readmit = Some(Change::Readmit {
            pool: POOL,
            server: SERVER,
        });
        assert_eq!(fates.probe_answered(probe), readmit);
        assert_eq!(fates.probe_answered(next), None);
        assert_eq!(fates.probe_due(next), None);
    }

    #[test]
    fn one_crash_is_one_failure_however_many_connections_it_breaks() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
        assert_eq!(fail(&mut fates, 1, 100).change, suspect());
        for connection in 2..50 {
            assert_eq!(fail(&mut fates, connection, 101), Verdict::default());
        }
        let again = fail(&mut fates, 100, 102);
        assert_eq!(
            again,
            Verdict::default(),
            "begun when the crash was heard of"
        );
        assert!(matches!(
            fail(&mut fates, 103, 104).change,
            Some(Change::Eject { .. })
        ));
    }

    #[test]
    fn a_good_reply_between_two_failures_forgives_the_first() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
        fail(&mut fates, 1, 2);
        let answered = Report::ServerAnswered {
            pool: POOL,
            server: SERVER,
        };
        fates.hear(answered, Time::from_micros(3));
        assert_eq!(fail(&mut fates, 3, 4).change, suspect());
    }

    #[test]
    fn without_auto_eject_hosts_nobody_is_ejected_and_an_answer_to_a_probe_is_told() {
        let mut fates = fates("  server_failure_limit: 1\n");
        let verdict = fail(&mut fates, 1, 2);
        assert_eq!(verdict.change, None);
        let probe = verdict.probe.expect("a server that fails is probed");
        assert_eq!(fail(&mut fates, 3, 4), Verdict::default(), "one series");
        let reachable = Some(Change::Reachable {
            pool: POOL,
            server: SERVER,
        });
        assert_eq!(fates.probe_answered(probe), reachable);
    }

    #[test]
    fn an_ejected_server_that_is_elsewhere_is_asked_there_at_once() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 1\n");
        assert_eq!(fates.moved(POOL, SERVER), None, "nothing is wrong with it");
        let later = fail(&mut fates, 1, 2).probe.expect("it is ejected");
        let probe = fates.moved(POOL, SERVER).expect("it is elsewhere");
        assert_eq!(probe.after, Duration::ZERO);
        assert_eq!(fates.probe_due(later), None, "that was for the old place");
        let readmit = fates.probe_answered(probe);
        assert!(matches!(readmit, Some(Change::Readmit { .. })));
    }

    #[test]
    fn an_ejected_server_is_asked_when_a_reload_says_counted_from_its_ejection() {
        let rules = |retry_ms: u32| {
            format!(
                "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: {retry_ms}\n"
            )
        };
        let table = |retry_ms: u32| Table::new(std::sync::Arc::new(config(&rules(retry_ms))));
        let at = |ms: u64| Time::from_micros(ms * 1000);
        let mut fates = fates(&rules(60_000));
        let late = fail(&mut fates, 1, 1000).probe.expect("it is ejected");
        assert_eq!(fates.reload(&table(60_000), at(11)), [], "as before");
        let mut probe_of = |retry_ms, now| {
            let verdicts = fates.reload(&table(retry_ms), at(now));
            assert_eq!(verdicts.len(), 1);
            assert_eq!(verdicts[0].change, None);
            verdicts[0].probe.expect("another time")
        };
        assert_eq!(probe_of(100, 21).after, Duration::from_millis(80));
        let sooner = probe_of(50, 61);
        assert_eq!(sooner.after, Duration::ZERO, "it is late already");
        assert_eq!(fates.probe_due(late), None, "that was by the old rules");
        assert!(fates.probe_due(sooner).is_some());
        assert_eq!(fates.reload(&table(20), at(70)), [], "it is being asked");
    }

    #[test]
    fn a_server_that_says_that_it_cannot_serve_is_counted_and_not_probed() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
        let report = Report::ServerFailed {
            pool: POOL,
            server: SERVER,
            since: Time::from_micros(1),
            at: Time::from_micros(2),
            answers: true,
        };
        let verdict = fates.hear(report, Time::from_micros(2));
        assert_eq!((verdict.change, verdict.probe), (suspect(), None));
    }
}
