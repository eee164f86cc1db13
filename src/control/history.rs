//! What pools, servers and workers have done lately: rates over the last second, and a point every
//! five seconds for a quarter of an hour.
//!
//! Owns: the rings, which are bounded by the number of pools and servers. Never: a clock; it is
//! sampled, and reads what the workers have published.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::config::Table;
use crate::control::clock::Micros;
use crate::stats::PoolStats;
use crate::stats::WorkerStats;

/// Rates are those of the last sample, which is as long.
const SAMPLE: Micros = 1_000_000;

/// The time of a point.
pub(super) const STEP_SECONDS: u64 = 5;
const STEP: Micros = STEP_SECONDS * 1_000_000;

/// A quarter of an hour.
pub(super) const POINTS_MAX: usize = 180;

/// A step of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// A second, of the pool's servers together.
    pub(super) requests: f64,
    /// A second.
    pub(super) errors: f64,
    /// Of the replies at its end: 99 of 100 took no longer at the server; 0 without a reply.
    pub(super) p99_us: u64,
}

/// A counter that is read again and again.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    read: Option<u64>,
    rate: f64,
}

impl Meter {
    // By how much it has grown since it was read last.
    #[expect(
        clippy::cast_precision_loss,
        reason = "what grows in a second is exact in an f64"
    )]
    fn read(&mut self, value: u64, seconds: f64) -> f64 {
        let before = self.read.replace(value).unwrap_or(value);
        let grown = value.saturating_sub(before) as f64;
        self.rate = grown / seconds;
        grown
    }
}

/// A pool.
#[derive(Debug, Default)]
pub(super) struct PoolHistory {
    servers: BTreeMap<ServerIdx, Meter>,
    errors: Meter,
    requests: f64,
    // Of the step under way.
    sum: Point,
    points: VecDeque<Point>,
}

impl PoolHistory {
    /// Requests a second.
    pub(super) fn requests(&self) -> f64 {
        self.requests
    }

    /// Errors of ours a second.
    pub(super) fn errors(&self) -> f64 {
        self.errors.rate
    }

    /// Requests a second of one of its servers.
    pub(super) fn requests_of(&self, server: ServerIdx) -> f64 {
        self.servers.get(&server).map_or(0.0, |meter| meter.rate)
    }

    /// The last so many points, the oldest first; the last one belongs to [`History::step`].
    pub(super) fn points(&self, most: usize) -> impl Iterator<Item = Point> {
        let skipped = self.points.len().saturating_sub(most);
        self.points.iter().skip(skipped).copied()
    }

    fn sample(&mut self, order: &[ServerIdx], workers: &[&PoolStats], seconds: f64) {
        self.requests = 0.0;
        let mut servers = std::mem::take(&mut self.servers);
        for (nth, idx) in order.iter().enumerate() {
            let mut meter = servers.remove(idx).unwrap_or_default();
            let all = workers.iter().map(|w| w.servers[nth].requests.value());
            self.sum.requests += meter.read(all.sum(), seconds);
            self.requests += meter.rate;
            self.servers.insert(*idx, meter);
        }
        let all = workers.iter().map(|w| w.counters.forward_error.value());
        self.sum.errors += self.errors.read(all.sum(), seconds);
    }

    fn step(&mut self, steps: usize, seconds: f64, p99_us: u64) {
        let sum = std::mem::take(&mut self.sum);
        let point = Point {
            requests: sum.requests / seconds,
            errors: sum.errors / seconds,
            p99_us,
        };
        self.points.extend(std::iter::repeat_n(point, steps));
        let gone = self.points.len().saturating_sub(POINTS_MAX);
        self.points.drain(..gone);
    }
}

/// Of each worker by its number, since it began.
#[derive(Debug, Default)]
pub(super) struct WorkerTimes {
    /// Its CPU time.
    pub(super) cpu: Vec<(u32, Micros)>,
    /// How long it has not slept; empty where the kernel does not say.
    pub(super) busy: Vec<(u32, Micros)>,
}

fn share(meter: &Meter) -> f64 {
    (meter.rate / 1e6).min(1.0)
}

/// All of it.
#[derive(Debug)]
pub(super) struct History {
    sampled_at: Micros,
    // When the last step was over by the grid, and when it was sampled.
    stepped_at: Micros,
    step_sampled_at: Micros,
    step: u64,
    pools: BTreeMap<PoolIdx, PoolHistory>,
    // The CPU time of each worker, in microseconds.
    cpu: BTreeMap<u32, Meter>,
    // How long each has not slept.
    busy: BTreeMap<u32, Meter>,
}

impl History {
    /// Nothing has happened yet.
    pub(super) fn new(now: Micros) -> History {
        History {
            sampled_at: now,
            stepped_at: now,
            step_sampled_at: now,
            step: 0,
            pools: BTreeMap::new(),
            cpu: BTreeMap::new(),
            busy: BTreeMap::new(),
        }
    }

    /// Whether the time to sample has come.
    pub(super) fn is_due(&self, now: Micros) -> bool {
        now >= self.sampled_at + SAMPLE
    }

    /// Reads what `workers` have counted, in the table's order, and for how long each has worked;
    /// `p99_us` says of a pool how long its replies take now, and is asked at the end of a step.
    pub(super) fn sample(
        &mut self,
        now: Micros,
        table: &Table,
        workers: &[Arc<WorkerStats>],
        times: WorkerTimes,
        p99_us: impl Fn(&str) -> u64,
    ) {
        let seconds = seconds(now.saturating_sub(self.sampled_at)).max(f64::EPSILON);
        self.sampled_at = now;
        let mut pools = std::mem::take(&mut self.pools);
        for (nth, (idx, _)) in table.pools().enumerate() {
            let mut pool = pools.remove(&idx).unwrap_or_default();
            let of_workers: Vec<&PoolStats> = workers.iter().map(|w| &w.pools[nth]).collect();
            pool.sample(table.server_order(idx), &of_workers, seconds);
            self.pools.insert(idx, pool);
        }
        for (worker, time) in times.cpu {
            self.cpu.entry(worker).or_default().read(time, seconds);
        }
        for (worker, time) in times.busy {
            self.busy.entry(worker).or_default().read(time, seconds);
        }
        self.step(now, table, p99_us);
    }

    // After a time without samples (the process was stopped) all of its steps are alike.
    fn step(&mut self, now: Micros, table: &Table, p99_us: impl Fn(&str) -> u64) {
        let steps = now.saturating_sub(self.stepped_at) / STEP;
        if steps == 0 {
            return;
        }
        let seconds = seconds(now - self.step_sampled_at);
        let many = usize::try_from(steps).map_or(POINTS_MAX, |steps| steps.min(POINTS_MAX));
        for (idx, config) in table.pools() {
            if let Some(pool) = self.pools.get_mut(&idx) {
                pool.step(many, seconds, p99_us(&config.name));
            }
        }
        self.step += steps;
        self.stepped_at += steps * STEP;
        self.step_sampled_at = now;
    }

    /// The number of the last step, from 1; 0 before that.
    pub(super) fn step_number(&self) -> u64 {
        self.step
    }

    /// When it was over.
    pub(super) fn stepped_at(&self) -> Micros {
        self.stepped_at
    }

    /// A pool, once it was sampled.
    pub(super) fn pool(&self, pool: PoolIdx) -> Option<&PoolHistory> {
        self.pools.get(&pool)
    }

    /// The share of the last second for which a worker has had its core, 0 to 1.
    pub(super) fn cpu(&self, worker: u32) -> Option<f64> {
        Some(share(self.cpu.get(&worker)?))
    }

    /// The share of the last second for which a worker had something to do, 0 to 1.
    pub(super) fn busy(&self, worker: u32) -> Option<f64> {
        Some(share(self.busy.get(&worker)?))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a time between two samples is exact in an f64"
)]
fn seconds(time: Micros) -> f64 {
    time as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::stats::PoolShape;
    use crate::stats::Shape;

    use super::*;

    const POOL: PoolIdx = PoolIdx(0);

    fn table() -> Table {
        let text = "a:\n  listen: h:1\n  redis: true\n  servers:\n  - h:1:1 s1\n  - h:2:1 s2\n";
        let config = Config::parse(text, "test.yml").expect("a good configuration");
        Table::new(Arc::new(config))
    }

    fn workers() -> Vec<Arc<WorkerStats>> {
        let shape = Shape {
            pools: vec![PoolShape {
                name: Arc::from("a"),
                servers: vec![Arc::from("s1"), Arc::from("s2")],
            }],
        };
        (0..2).map(|_| Arc::new(WorkerStats::new(&shape))).collect()
    }

    struct World {
        table: Table,
        workers: Vec<Arc<WorkerStats>>,
        history: History,
        now: Micros,
    }

    impl World {
        fn new() -> World {
            let mut world = World {
                table: table(),
                workers: workers(),
                history: History::new(0),
                now: 0,
            };
            world.pass(1);
            world
        }

        // `seconds` later both workers have served one server so many requests more.
        fn pass(&mut self, seconds: u64) {
            self.now += seconds * SAMPLE;
            assert!(
                self.history.is_due(self.now) && !self.history.is_due(self.now - seconds * SAMPLE)
            );
            let times = WorkerTimes {
                cpu: vec![(0, self.now / 4), (1, self.now * 2)],
                busy: vec![(0, self.now / 2)],
            };
            self.history
                .sample(self.now, &self.table, &self.workers, times, |_| 250);
        }

        fn serve(&self, server: usize, requests: usize) {
            for worker in &self.workers {
                worker.pools[0].servers[server].requests.add(requests);
            }
            self.workers[1].pools[0].counters.forward_error.add(1);
        }

        fn points(&self) -> Vec<f64> {
            let pool = self.history.pool(POOL).unwrap();
            pool.points(POINTS_MAX)
                .map(|point| point.requests)
                .collect()
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_second_over_all_workers() {
        let mut world = World::new();
        world.serve(1, 50);
        world.pass(1);
        let pool = world.history.pool(POOL).unwrap();
        let rates = [0, 1].map(|server| pool.requests_of(ServerIdx(server)));
        assert_eq!(
            (rates, pool.requests(), pool.errors()),
            ([0.0, 100.0], 100.0, 1.0)
        );
        assert_eq!(
            [0, 1].map(|w| world.history.cpu(w)),
            [Some(0.25), Some(1.0)]
        );
        assert_eq!([0, 1].map(|w| world.history.busy(w)), [Some(0.5), None]);
        world.pass(2);
        assert_eq!(world.history.pool(POOL).unwrap().requests(), 0.0);
        assert_eq!(world.history.cpu(7), None);
    }

    #[test]
    fn a_point_is_the_mean_of_its_step_and_only_a_quarter_of_an_hour_is_kept() {
        let mut world = World::new();
        assert!(world.points().is_empty());
        for _ in 0..4 {
            world.serve(0, 10);
            world.pass(1);
        }
        assert_eq!(
            (world.points(), world.history.step_number()),
            (vec![16.0], 1)
        );
        for _ in 0..POINTS_MAX * 5 {
            world.serve(0, 1);
            world.pass(1);
        }
        assert_eq!(world.points(), vec![2.0; POINTS_MAX]);
        assert_eq!(world.history.stepped_at(), world.now);
        let pool = world.history.pool(POOL).unwrap();
        assert_eq!(pool.points(2).count(), 2);
        let last = pool.points(1).next().unwrap();
        assert_eq!((last.errors, last.p99_us), (1.0, 250));
    }

    #[test]
    fn a_time_without_samples_moves_no_point_to_another_time() {
        let mut world = World::new();
        world.serve(0, 50);
        world.pass(4);
        world.serve(0, 300);
        world.pass(60);
        assert_eq!(world.points(), [vec![20.0], vec![10.0; 12]].concat());
        assert_eq!(world.history.step_number(), 13);
        world.pass(3600);
        assert_eq!(world.points(), vec![0.0; POINTS_MAX]);
        assert_eq!(world.history.step_number(), 13 + 720);
    }
}
