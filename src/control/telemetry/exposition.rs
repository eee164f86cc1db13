//! The sums as Prometheus reads them.

use crate::base::PoolIdx;
use crate::base::ServerIdx;
use crate::stats::Exposition;
use crate::stats::Kind;
use crate::telemetry::BOUNDS;
use crate::telemetry::Totals;

use super::Counted;
use super::Course;
use super::OfPool;
use super::Telemetry;

/// A series of a pool's: its name, what it is, the label, and where the numbers are.
type Series = (
    &'static str,
    &'static str,
    &'static str,
    fn(&OfPool) -> &Counted,
);

const OF_POOLS: &[Series] = &[
    (
        "coremux_command_requests_total",
        "Requests of clients by their command, whatever became of them.",
        "command",
        |pool| &pool.commands,
    ),
    (
        "coremux_command_errors_total",
        "Errors that servers have answered, by the command of the request, or of its part.",
        "command",
        |pool| &pool.errors,
    ),
    (
        "coremux_request_failures_total",
        "Errors of the proxy's own in place of a server's reply, by their cause.",
        "cause",
        |pool| &pool.failures,
    ),
];

/// A histogram: its name, what it is, and where the numbers are.
type Histogram = (&'static str, &'static str, fn(&Course) -> &Totals);

const OF_SERVERS: &[Histogram] = &[
    (
        "coremux_server_request_duration_seconds",
        "From when a request was handed to the kernel until its reply was read.",
        |course| &course.at_server.totals,
    ),
    (
        "coremux_proxy_request_duration_seconds",
        "From when a request was read until it was handed to the kernel: it waited for its turn, \
         for a connection, or was held.",
        |course| &course.in_proxy.totals,
    ),
];

impl Telemetry {
    /// Writes all of it. What has not come yet has no series.
    pub(in crate::control) fn expose(&self, out: &mut Exposition) {
        for (name, help, label, of) in OF_POOLS {
            let pools = self.names.iter();
            let pools = pools.filter_map(|names| Some((names, of(self.pools.get(&names.pool)?))));
            let mut pools = pools.filter(|(_, counted)| !counted.is_empty()).peekable();
            if pools.peek().is_some() {
                out.family(name, Kind::Counter, help);
            }
            for (names, counted) in pools {
                for (word, count) in counted {
                    out.sample(&[("pool", &names.name), (label, word)], *count);
                }
            }
        }
        if self.courses.is_empty() {
            return;
        }
        for (name, help, totals) in OF_SERVERS {
            out.histogram(name, help);
            for ((pool, server, family), course) in &self.courses {
                let Some((pool, server)) = self.names_of(*pool, *server) else {
                    continue;
                };
                let labels = [
                    ("pool", pool),
                    ("server", server),
                    ("family", family.name()),
                ];
                let totals = totals(course);
                out.distribution(&labels, &BOUNDS, &totals.counts, totals.count, totals.sum);
            }
        }
    }

    fn names_of(&self, pool: PoolIdx, server: ServerIdx) -> Option<(&str, &str)> {
        let names = self.names.iter().find(|names| names.pool == pool)?;
        let (_, server) = names.servers.iter().find(|(idx, _)| *idx == server)?;
        Some((&names.name, server))
    }
}
