//! How long requests took, by server and family.

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::telemetry::Distribution;
use crate::telemetry::Family;

/// Where one family's requests to one server spent their time.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// From when the request was handed to the kernel until its reply was read.
    pub at_server: Distribution,
    /// From when the request was read until it was handed to the kernel.
    pub in_proxy: Distribution,
}

/// A server's, by the places of [`Family::ALL`]: those that were used lately have some.
type OfServer = [Option<Box<Times>>; Family::ALL.len()];

/// How long requests took, by server and family. Nobody has any until the first one is recorded.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    // As `PoolIdx` and `ServerIdx` count them.
    pools: Vec<Vec<Option<Box<OfServer>>>>,
    run: Run,
}

/// What was recorded last, and how often in a row: replies to what a client has sent together come
/// together, and have waited as long as each other; and mostly nothing waits in the proxy.
#[derive(Clone, Copy, Debug)]
struct Run {
    of: (PoolIdx, ServerIdx, Family),
    at_server: Repeated,
    in_proxy: Repeated,
}

/// A time, and how often it has come.
#[derive(Clone, Copy, Debug, Default)]
struct Repeated {
    micros: u64,
    count: u32,
}

impl Repeated {
    /// Once more, if it is the same.
    #[inline]
    fn add(&mut self, micros: u64) -> bool {
        let is_same = self.micros == micros;
        self.count += u32::from(is_same);
        is_same
    }

    /// Another time begins; the one before is recorded.
    fn begin(&mut self, micros: u64, of: &mut Distribution) {
        if self.count > 0 {
            of.record(self.micros, self.count);
        }
        *self = Repeated { micros, count: 1 };
    }
}

impl Default for Run {
    fn default() -> Run {
        Run {
            of: (PoolIdx(0), ServerIdx(0), Family::default()),
            at_server: Repeated::default(),
            in_proxy: Repeated::default(),
        }
    }
}

impl Latencies {
    /// Counts a request, and where it spent its time, in microseconds.
    #[inline]
    pub fn record(&mut self, of: (PoolIdx, ServerIdx, Family), at_server: u64, in_proxy: u64) {
        if self.run.of != of {
            self.end_run();
            self.run.of = of;
        }
        let run = &mut self.run;
        let same = (run.at_server.add(at_server), run.in_proxy.add(in_proxy));
        if same != (true, true) {
            self.go_on((at_server, in_proxy), same);
        }
    }

    /// Other times than those before begin.
    fn go_on(&mut self, (at_server, in_proxy): (u64, u64), same: (bool, bool)) {
        let mut run = self.run;
        let times = self.times(run.of);
        if !same.0 {
            run.at_server.begin(at_server, &mut times.at_server);
        }
        if !same.1 {
            run.in_proxy.begin(in_proxy, &mut times.in_proxy);
        }
        self.run = run;
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        let Repeated { micros, count } = run.at_server;
        if count == 0 {
            return;
        }
        let times = self.times(run.of);
        times.at_server.record(micros, count);
        times
            .in_proxy
            .record(run.in_proxy.micros, run.in_proxy.count);
    }

    fn times(&mut self, (pool, server, family): (PoolIdx, ServerIdx, Family)) -> &mut Times {
        let of = &mut self.of_server(pool, server)[family.index()];
        of.get_or_insert_default()
    }

    fn of_server(&mut self, pool: PoolIdx, server: ServerIdx) -> &mut OfServer {
        if self.pools.len() <= pool.index() {
            self.pools.resize_with(pool.index() + 1, Vec::new);
        }
        let servers = &mut self.pools[pool.index()];
        if servers.len() <= server.index() {
            servers.resize_with(server.index() + 1, || None);
        }
        servers[server.index()].get_or_insert_default()
    }

    /// All that was recorded.
    pub fn take(&mut self) -> impl Iterator<Item = ((PoolIdx, ServerIdx, Family), &Times)> {
        self.end_run();
        let pools = (0..).map(PoolIdx).zip(&self.pools);
        let servers = pools.flat_map(|(pool, servers)| {
            let servers = (0..).map(ServerIdx).zip(servers);
            servers.filter_map(move |(server, of)| Some((pool, server, of.as_deref()?)))
        });
        servers.flat_map(|(pool, server, of)| {
            let families = Family::ALL.into_iter().zip(of);
            families.filter_map(move |(family, times)| {
                let times = times
                    .as_deref()
                    .filter(|times| !times.at_server.is_empty())?;
                Some(((pool, server, family), times))
            })
        })
    }

    /// Forgets all of it. Who was used lately keeps the memory, and who was not does not.
    pub fn clear(&mut self) {
        self.run = Run::default();
        for place in self.pools.iter_mut().flatten() {
            let Some(of) = place else { continue };
            for times in of.iter_mut() {
                match times {
                    Some(used) if !used.at_server.is_empty() => {
                        used.at_server.clear();
                        used.in_proxy.clear();
                    }
                    unused => *unused = None,
                }
            }
            if of.iter().all(Option::is_none) {
                *place = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: (PoolIdx, ServerIdx, Family) = (PoolIdx(0), ServerIdx(0), Family::Read);
    const B: (PoolIdx, ServerIdx, Family) = (PoolIdx(2), ServerIdx(1), Family::Write);

    #[test]
    fn each_is_counted_once_whether_it_is_like_the_one_before_or_not() {
        let mut all = Latencies::default();
        for (of, at_server, in_proxy) in [
            (A, 100, 5),
            (A, 100, 5),
            (B, 100, 5),
            (A, 100, 6),
            (A, 0, 0),
        ] {
            all.record(of, at_server, in_proxy);
        }
        let sums: Vec<_> = all
            .take()
            .map(|(of, t)| (of, t.at_server.len(), t.at_server.sum(), t.in_proxy.sum()))
            .collect();
        assert_eq!(sums, [(A, 4, 300, 16), (B, 1, 100, 5)]);
    }

    #[test]
    fn a_time_that_goes_on_is_counted_as_often_as_the_one_beside_it() {
        let mut all = Latencies::default();
        for nth in 0..50 {
            all.record(A, nth % 7, nth / 10);
            all.record(A, nth % 7, nth / 10);
        }
        let (_, times) = all.take().next().unwrap();
        assert_eq!((times.at_server.len(), times.in_proxy.len()), (100, 100));
        let sum = (0..50).map(|nth| 2 * (nth % 7)).sum::<u64>();
        assert_eq!((times.at_server.sum(), times.in_proxy.sum()), (sum, 200));
    }

    #[test]
    fn the_first_of_a_run_is_counted_also_where_it_took_no_time() {
        let mut all = Latencies::default();
        all.record((PoolIdx(0), ServerIdx(0), Family::default()), 0, 0);
        assert_eq!(all.take().map(|(_, t)| t.in_proxy.len()).sum::<u64>(), 1);
    }

    #[test]
    fn who_is_used_no_longer_has_no_memory() {
        let mut all = Latencies::default();
        all.record(A, 1, 1);
        all.record(B, 1, 1);
        assert_eq!(all.take().count(), 2);
        all.clear();
        assert_eq!(all.take().count(), 0);
        all.record(A, 1, 1);
        assert_eq!(all.take().count(), 1);
        all.clear();
        assert!(all.pools[2][1].is_none());
        assert!(all.pools[0][0].is_some());
    }
}
