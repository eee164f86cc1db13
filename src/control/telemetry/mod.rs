//! What the workers have recorded of requests, added up: since the start, and lately.
//!
//! Owns: the sums, and how much is kept of them. Once a second every worker is asked for its records and
//! given others in return; one that does not answer is not asked again, and nobody waits for it.
//! Never: decides anything by them.

mod exposition;
mod lately;
mod report;
mod slow;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::base::WorkerIdx;
use crate::config::Table;
use crate::telemetry::Distribution;
use crate::telemetry::Family;
use crate::telemetry::Records;
use crate::telemetry::Tally;
use crate::telemetry::Totals;
use crate::telemetry::slow::SlowLog;

pub(super) use report::Lines;
pub(super) use report::WindowReport;

use lately::Lately;

/// How often workers are asked.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Of so many families of servers is kept how they were lately, which takes some 10 KiB each where
/// there is much to do. Of the others there are sums only.
const LATELY_MAX: usize = 2_048;

/// One server's requests of one family.
type Of = (PoolIdx, ServerIdx, Family);

/// A time that requests of one family take, in the proxy or at a server.
#[derive(Debug, Default)]
struct Taken {
    totals: Totals,
    lately: Option<Box<Lately>>,
}

impl Taken {
    fn add(&mut self, times: &Distribution, second: u64) {
        self.totals.add(times);
        if let Some(lately) = &mut self.lately {
            lately.add(times, second);
        }
    }
}

#[derive(Debug, Default)]
struct Course {
    at_server: Taken,
    in_proxy: Taken,
}

/// Numbers by a word.
type Counted = BTreeMap<&'static str, u64>;

#[derive(Debug, Default)]
struct OfPool {
    commands: Counted,
    errors: Counted,
    failures: Counted,
    slow: SlowLog,
}

/// The names of a pool and its servers, in the configuration's order.
#[derive(Debug)]
struct Names {
    pool: PoolIdx,
    name: Arc<str>,
    servers: Vec<(ServerIdx, Arc<str>)>,
    // How many slow requests are kept.
    slow_most: usize,
}

/// What the workers have recorded of requests, added up.
#[derive(Debug)]
pub(super) struct Telemetry {
    names: Vec<Names>,
    courses: BTreeMap<Of, Course>,
    pools: BTreeMap<PoolIdx, OfPool>,
    // As `WorkerIdx` counts them: whether it was asked, and has not answered.
    asked: Vec<bool>,
    spares: Vec<Records>,
    last_slow: u64,
}

impl Telemetry {
    /// Of so many workers that serve `table`.
    pub(super) fn new(table: &Table, workers: usize) -> Telemetry {
        let mut telemetry = Telemetry {
            names: Vec::new(),
            courses: BTreeMap::new(),
            pools: BTreeMap::new(),
            asked: vec![false; workers],
            spares: Vec::new(),
            last_slow: 0,
        };
        telemetry.reload(table);
        telemetry
    }

    /// Forgets what is no longer served.
    pub(super) fn reload(&mut self, table: &Table) {
        self.names = table
            .pools()
            .map(|(pool, config)| Names {
                pool,
                name: Arc::clone(&config.name),
                servers: table
                    .servers(pool)
                    .map(|(server, config)| (server, Arc::clone(&config.name)))
                    .collect(),
                slow_most: config.slow_log.length as usize,
            })
            .collect();
        self.courses
            .retain(|(pool, server, _), _| table.server(*pool, *server).is_some());
        self.pools.retain(|pool, _| table.pool(*pool).is_some());
    }

    /// Which workers are to be asked now, each with what it is to go on with.
    pub(super) fn ask(&mut self) -> Vec<(WorkerIdx, Records)> {
        let mut all = Vec::new();
        for (worker, asked) in (0..).map(WorkerIdx).zip(&mut self.asked) {
            if !std::mem::replace(asked, true) {
                all.push((worker, self.spares.pop().unwrap_or_default()));
            }
        }
        all
    }

    /// Takes what a worker has recorded; `uptime` says when.
    pub(super) fn take(&mut self, worker: WorkerIdx, mut records: Records, uptime: Duration) {
        if let Some(asked) = self.asked.get_mut(worker.index()) {
            *asked = false;
        }
        let second = uptime.as_secs();
        for (of, times) in records.latencies.take() {
            let is_known = self.is_known(of.0, of.1);
            let places = self.courses.len();
            let course = match self.courses.entry(of) {
                Entry::Occupied(course) => course.into_mut(),
                Entry::Vacant(place) if is_known => {
                    let course = place.insert(Course::default());
                    if places < LATELY_MAX {
                        course.at_server.lately = Some(Box::default());
                        course.in_proxy.lately = Some(Box::default());
                    }
                    course
                }
                // Its server was removed while this was on its way.
                Entry::Vacant(_) => continue,
            };
            course.at_server.add(&times.at_server, second);
            course.in_proxy.add(&times.in_proxy, second);
        }
        for (pool, counted) in records.pools() {
            if let Some(names) = self.names.iter().find(|names| names.pool == pool) {
                let sums = self.pools.entry(pool).or_default();
                add(&mut sums.commands, &counted.commands);
                add(&mut sums.errors, &counted.errors);
                add(&mut sums.failures, &counted.failures);
                let last = &mut self.last_slow;
                sums.slow.append(&counted.slow, names.slow_most, last);
            }
        }
        records.clear();
        self.spares.push(records);
    }

    /// The name of a pool; `None` if it was removed.
    pub(super) fn pool_name(&self, pool: PoolIdx) -> Option<&str> {
        let names = self.names.iter().find(|names| names.pool == pool);
        names.map(|names| &*names.name)
    }

    /// The name of a server; `None` if it was removed.
    pub(super) fn server_name(&self, pool: PoolIdx, server: ServerIdx) -> Option<&str> {
        let names = self.names.iter().find(|names| names.pool == pool)?;
        let (_, name) = names.servers.iter().find(|(idx, _)| *idx == server)?;
        Some(name)
    }

    fn is_known(&self, pool: PoolIdx, server: ServerIdx) -> bool {
        let of_pool = self.names.iter().find(|names| names.pool == pool);
        of_pool.is_some_and(|names| names.servers.iter().any(|(idx, _)| *idx == server))
    }
}

fn add(sums: &mut Counted, counted: &Tally) {
    for (word, count) in counted.iter() {
        *sums.entry(word).or_default() += count;
    }
}

#[cfg(test)]
mod tests;
