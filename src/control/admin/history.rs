//! `/api/history`: what pools have done in the last quarter of an hour.

use serde::Serialize;

use crate::control::clock::rfc3339;
use crate::control::history::POINTS_MAX;
use crate::control::history::Point;
use crate::control::history::STEP_SECONDS;
use crate::control::shown::Shown;

/// The body. The last element of every list belongs to the last step; a pool that is younger has
/// fewer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    step_seconds: u64,
    steps_max: usize,
    last_step: u64,
    last_step_at: String,
    pools: Vec<PoolHistory>,
}

#[derive(Debug, Serialize)]
struct PoolHistory {
    pool: String,
    requests_per_second: Vec<f64>,
    errors_per_second: Vec<f64>,
    p99_us: Vec<u64>,
}

/// The steps after `since`.
pub(super) fn report(shown: &Shown, since: u64) -> Report {
    let history = shown.history.borrow();
    let wanted = history.step_number().saturating_sub(since);
    let most = usize::try_from(wanted).map_or(POINTS_MAX, |most| most.min(POINTS_MAX));
    let table = shown.table.borrow();
    let pools = table.pools().map(|(idx, pool)| {
        let points = || history.pool(idx).into_iter().flat_map(|p| p.points(most));
        let column = |of: fn(Point) -> f64| points().map(|p| tenths(of(p))).collect();
        PoolHistory {
            pool: pool.name.to_string(),
            requests_per_second: column(|point| point.requests),
            errors_per_second: column(|point| point.errors),
            p99_us: points().map(|point| point.p99_us).collect(),
        }
    });
    Report {
        step_seconds: STEP_SECONDS,
        steps_max: POINTS_MAX,
        last_step: history.step_number(),
        last_step_at: rfc3339(history.stepped_at()),
        pools: pools.collect(),
    }
}

/// A rate, with as many digits as somebody reads.
pub(super) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
