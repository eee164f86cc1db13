//! How requests went lately, for people and for programs.
//!
//! Requests that wait by their own wish (`BLPOP`) are left out: they say nothing of a server.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::base::ServerIdx;
use crate::telemetry::Family;
use crate::telemetry::Spread;

use super::Course;
use super::Taken;
use super::Telemetry;
use super::lately::Window;

/// How requests went over one stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::control) struct WindowReport {
    /// `10s`, `1m`, `15m`.
    pub(in crate::control) window: &'static str,
    /// Replies of servers.
    pub(in crate::control) requests: u64,
    /// The same a second, over as much of the window as the process is old.
    pub(in crate::control) requests_per_second: f64,
    /// From when they were handed to the kernel until their replies were read.
    pub(in crate::control) at_server: Percentiles,
    /// From when they were read until they were handed to the kernel.
    pub(in crate::control) in_proxy: Percentiles,
}

/// Times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::control) struct Percentiles {
    pub(in crate::control) p50_us: u64,
    pub(in crate::control) p90_us: u64,
    pub(in crate::control) p99_us: u64,
    pub(in crate::control) p999_us: u64,
    pub(in crate::control) max_us: u64,
}

impl Percentiles {
    fn of(spread: &Spread) -> Percentiles {
        Percentiles {
            p50_us: spread.per_mille(500),
            p90_us: spread.per_mille(900),
            p99_us: spread.per_mille(990),
            p999_us: spread.per_mille(999),
            max_us: spread.longest(),
        }
    }
}

/// The same for people: the lines of a pool, or of a server.
pub(in crate::control) struct Lines<'a>(pub(in crate::control) &'a [WindowReport]);

impl Lines<'_> {
    /// Each line begins with `indent`; of a time without requests there is none.
    pub(in crate::control) fn write(&self, indent: &str, out: &mut String) {
        for report in self.0.iter().filter(|report| report.requests > 0) {
            let _ = writeln!(
                out,
                "{indent}last {}: {} requests/s; at the server {}; in the proxy {}",
                report.window,
                rate(report.requests_per_second),
                in_words(report.at_server),
                in_words(report.in_proxy)
            );
        }
    }
}

fn rate(per_second: f64) -> String {
    match per_second < 10.0 {
        true => format!("{per_second:.1}"),
        false => format!("{per_second:.0}"),
    }
}

fn in_words(times: Percentiles) -> String {
    format!(
        "p50 {} p90 {} p99 {} p99.9 {} max {}",
        millis(times.p50_us),
        millis(times.p90_us),
        millis(times.p99_us),
        millis(times.p999_us),
        millis(times.max_us)
    )
}

/// `0.13ms`, `12ms`: as much as is known of it.
pub(super) fn millis(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000, micros % 1_000);
    match whole {
        0..10 => format!("{whole}.{:02}ms", rest / 10),
        10..100 => format!("{whole}.{}ms", rest / 100),
        _ => format!("{whole}ms"),
    }
}

impl Telemetry {
    /// How requests of a pool went, by the pool's name.
    pub(in crate::control) fn of_pool(&self, pool: &str, uptime: Duration) -> Vec<WindowReport> {
        self.windows(pool, |_| true, uptime)
    }

    /// The same of one of its servers, by its name.
    pub(in crate::control) fn of_server(
        &self,
        pool: &str,
        server: &str,
        uptime: Duration,
    ) -> Vec<WindowReport> {
        let names = self.names.iter().find(|names| *names.name == *pool);
        let mut servers = names.into_iter().flat_map(|names| &names.servers);
        let Some((idx, _)) = servers.find(|(_, name)| **name == *server) else {
            return Vec::new();
        };
        self.windows(pool, |server| server == *idx, uptime)
    }

    /// 99 of 100 replies of a pool in the last 10 s took no longer at the server; 0 without a reply.
    pub(in crate::control) fn p99_us(&self, pool: &str, uptime: Duration) -> u64 {
        let Some(names) = self.names.iter().find(|names| *names.name == *pool) else {
            return 0;
        };
        let from = (names.pool, ServerIdx(0), Family::Read);
        let of_pool = self.courses.range(from..);
        let of_pool = of_pool.take_while(|((pool, ..), _)| *pool == names.pool);
        let counted = of_pool.filter(|((.., family), _)| *family != Family::Blocking);
        let mut sum = Spread::default();
        for (_, course) in counted {
            if let Some(lately) = &course.at_server.lately {
                sum.merge(&lately.within(Window::ALL[0], uptime.as_secs()));
            }
        }
        sum.per_mille(990)
    }

    fn windows(
        &self,
        pool: &str,
        which: impl Fn(ServerIdx) -> bool,
        uptime: Duration,
    ) -> Vec<WindowReport> {
        let Some(names) = self.names.iter().find(|names| *names.name == *pool) else {
            return Vec::new();
        };
        let from = (names.pool, ServerIdx(0), Family::Read);
        let of_pool = self.courses.range(from..);
        let of_pool = of_pool.take_while(|((pool, ..), _)| *pool == names.pool);
        let counted = of_pool
            .filter(|((_, server, family), _)| *family != Family::Blocking && which(*server));
        let courses: Vec<&Course> = counted.map(|(_, course)| course).collect();
        let reports = Window::ALL.into_iter().map(|window| {
            let sum = |taken: fn(&Course) -> &Taken| {
                let mut sum = Spread::default();
                let all = courses
                    .iter()
                    .filter_map(|course| taken(course).lately.as_ref());
                all.for_each(|lately| sum.merge(&lately.within(window, uptime.as_secs())));
                sum
            };
            let at_server = sum(|course| &course.at_server);
            let requests = at_server.count();
            let seconds = window.seconds().min(uptime.as_secs()).max(1);
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let requests_per_second = requests as f64 / seconds as f64;
            WindowReport {
                window: window.name(),
                requests,
                requests_per_second,
                at_server: Percentiles::of(&at_server),
                in_proxy: Percentiles::of(&sum(|course| &course.in_proxy)),
            }
        });
        reports.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_about_three_digits() {
        for (micros, text) in [
            (0, "0.00ms"),
            (126, "0.12ms"),
            (9_990, "9.99ms"),
            (12_345, "12.3ms"),
            (1_234_567, "1234ms"),
        ] {
            assert_eq!(millis(micros), text);
        }
    }
}
