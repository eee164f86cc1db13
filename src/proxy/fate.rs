//! What becomes of a server that fails: a fact of the process, not of one worker.
//!
//! Owns: the count of failures, and twemproxy's rules of ejection (twemproxy: `server_failure`).
//! Never: a clock; it says how long to wait, and is told when the time has come.
//! Lives once in the process, beside the workers, who report and are told.

use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Config;
use crate::proxy::change::Change;
use crate::proxy::output::Report;

/// What follows from a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// To be told to every worker.
    pub change: Option<Change>,
    /// The server is to be readmitted after this time.
    pub retry_after: Option<Duration>,
}

/// The standing of every server.
#[derive(Debug)]
pub struct Fates {
    pools: Vec<PoolFates>,
}

#[derive(Debug)]
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
}

impl Fates {
    /// All servers are good.
    #[must_use]
    pub fn new(config: &Config) -> Fates {
        let pools = config.pools.iter().map(|pool| PoolFates {
            ejects: pool.auto_eject_hosts,
            failure_limit: pool.server_failure_limit,
            retry_timeout: pool.server_retry_timeout,
            servers: vec![Fate::default(); pool.servers.len()],
        });
        Fates {
            pools: pools.collect(),
        }
    }

    /// Takes a worker's report.
    pub fn hear(&mut self, report: Report) -> Verdict {
        match report {
            Report::ServerFailed { pool, server } => self.failed(pool, server),
            Report::ServerAnswered { pool, server } => {
                self.pools[pool.index()].servers[server.index()].failures = 0;
                Verdict::default()
            }
        }
    }

    fn failed(&mut self, pool: PoolIdx, server: ServerIdx) -> Verdict {
        let rules = &mut self.pools[pool.index()];
        let fate = &mut rules.servers[server.index()];
        if !rules.ejects || fate.ejected {
            return Verdict::default();
        }
        fate.failures += 1;
        if fate.failures < rules.failure_limit {
            // Any worker's next good reply clears the count.
            let change = Some(Change::Suspect { pool, server });
            return Verdict {
                change,
                retry_after: None,
            };
        }
        *fate = Fate {
            failures: 0,
            ejected: true,
        };
        Verdict {
            change: Some(Change::Eject { pool, server }),
            retry_after: Some(rules.retry_timeout),
        }
    }

    /// The time to try an ejected server again has come.
    pub fn readmit(&mut self, pool: PoolIdx, server: ServerIdx) -> Option<Change> {
        let fate = &mut self.pools[pool.index()].servers[server.index()];
        let was_ejected = std::mem::take(&mut fate.ejected);
        was_ejected.then_some(Change::Readmit { pool, server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: PoolIdx = PoolIdx(0);
    const SERVER: ServerIdx = ServerIdx(1);

    fn fates(rules: &str) -> Fates {
        let text = format!(
            "a:\n  listen: 127.0.0.1:1\n  redis: true\n{rules}  servers:\n  - h:1:1\n  - h:2:1\n"
        );
        Fates::new(&Config::parse(&text, "test.yml").expect("a good configuration"))
    }

    fn fail(fates: &mut Fates) -> Verdict {
        fates.hear(Report::ServerFailed {
            pool: POOL,
            server: SERVER,
        })
    }

    #[test]
    fn a_server_is_ejected_at_the_limit_and_readmitted_once() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
        let suspect = Some(Change::Suspect {
            pool: POOL,
            server: SERVER,
        });
        assert_eq!(fail(&mut fates).change, suspect);
        let verdict = fail(&mut fates);
        assert_eq!(
            verdict.change,
            Some(Change::Eject {
                pool: POOL,
                server: SERVER
            })
        );
        assert_eq!(verdict.retry_after, Some(Duration::from_millis(30_000)));
        assert_eq!(
            fail(&mut fates),
            Verdict::default(),
            "it is ejected already"
        );
        let readmit = Some(Change::Readmit {
            pool: POOL,
            server: SERVER,
        });
        assert_eq!(fates.readmit(POOL, SERVER), readmit);
        assert_eq!(fates.readmit(POOL, SERVER), None);
    }

    #[test]
    fn a_good_reply_between_two_failures_forgives_the_first() {
        let mut fates = fates("  auto_eject_hosts: true\n  server_failure_limit: 2\n");
        fail(&mut fates);
        fates.hear(Report::ServerAnswered {
            pool: POOL,
            server: SERVER,
        });
        assert!(matches!(
            fail(&mut fates).change,
            Some(Change::Suspect { .. })
        ));
    }

    #[test]
    fn without_auto_eject_hosts_nobody_is_ejected() {
        let mut fates = fates("  server_failure_limit: 1\n");
        assert_eq!(fail(&mut fates), Verdict::default());
    }
}
