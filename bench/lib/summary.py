"""Medians, ranges and ratios. Pure: knows no process, no file, no clock."""

import statistics
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.point import Kind
from bench.lib.point import Point

# Figures of a sample that can be compared; the text is the column's title.
METRICS = {
    "requests_per_s": "req/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p999_ms": "p99.9 ms",
    "proxy_cpu_us": "proxy µs/req",
    "server_cpu_us": "server µs/req",
    "wakeups_per_s": "wake-ups/s",
    "cpu_us_per_s": "proxy µs/s",
}

# The middle half of the rounds lies within so much of the median, or the row is measured again. Latencies at rest are
# of two kinds, by how deep the cores sleep: a limit as for throughput would repeat every row.
_UNEVEN_MAX, _UNEVEN_AT_REST_MAX = 0.10, 0.30


@dataclass(frozen=True)
class Sample:
    """One window of one contender. CPU is per request, in microseconds of user plus system time.

    What a window has not measured is None: `proxy_cpu_us` without a proxy, `p999_ms` by redis-benchmark; of idle
    clients there are only `wakeups_per_s` of the proxy's threads, and its `cpu_us_per_s`. `others_share`: the part of
    the machine (0 to 1) that processes outside the benchmark took. `quiet`: the processes had come to rest when the
    window was closed.
    """

    requests: int
    requests_per_s: float | None
    p50_ms: float | None
    p99_ms: float | None
    proxy_cpu_us: float | None
    server_cpu_us: float | None
    client_cpu_us: float | None
    others_share: float
    quiet: bool
    p999_ms: float | None = None
    wakeups_per_s: float | None = None
    cpu_us_per_s: float | None = None


@dataclass(frozen=True)
class Spoiled:
    """A window without figures."""

    reason: str


@dataclass(frozen=True)
class PointResult:
    """All windows of a point: by contender, in the order of the rounds."""

    point: Point
    rounds: dict[str, list[Sample | Spoiled]]


@dataclass(frozen=True)
class Spread:
    """The middle of some values and their range."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of the values that are there; None when there are none."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    return Spread(statistics.median(present), min(present), max(present))


def unevenness(samples: Sequence[Sample | Spoiled], metric: str) -> float | None:
    """How far apart the quarters of the rounds lie, by their median; None of fewer than three rounds.

    Not the range: a single disturbed round, which the median does not mind, would never be outweighed by further ones.
    """
    values = [value for value in metric_values(samples, metric) if value is not None]
    if len(values) < 3:
        return None
    lower, median, upper = statistics.quantiles(values, method="inclusive")
    return (upper - lower) / median if median else None


def load_metric(point: Point) -> str:
    """What the load leaves free: a closed loop its throughput, an open one its latency."""
    return {Kind.OPEN: "p50_ms", Kind.IDLE: "wakeups_per_s"}.get(point.kind, "requests_per_s")


def uneven_contenders(result: PointResult) -> dict[str, float]:
    """Those whose rounds lie too far apart to tell a median from, and how far."""
    metric = load_metric(result.point)
    limit = _UNEVEN_MAX if metric == "requests_per_s" else _UNEVEN_AT_REST_MAX
    found = {name: unevenness(samples, metric) or 0.0 for name, samples in result.rounds.items()}
    return {name: uneven for name, uneven in found.items() if uneven > limit}


def metric_values(samples: Sequence[Sample | Spoiled], metric: str) -> list[float | None]:
    """The metric of every round, None where the round was spoiled or the contender has no such figure."""
    return [None if isinstance(sample, Spoiled) else getattr(sample, metric) for sample in samples]


def ratios(result: PointResult, metric: str, of: str, to: str) -> list[float | None]:
    """`of` divided by `to`, round by round.

    The two windows of a pair lie seconds apart and see the same machine: what slows both cancels out. Two medians
    over the whole run would not have that. A round that lacks either figure gives None.
    """
    pairs = zip(
        metric_values(result.rounds.get(of, []), metric),
        metric_values(result.rounds.get(to, []), metric),
        strict=False,
    )
    return [None if above is None or not below else above / below for above, below in pairs]


def best_ratios(
    result: PointResult, metric: str, of: str, others: Sequence[str], less_is_better: bool
) -> list[float | None]:
    """`of` divided by the best of `others`: the one whose median is, not whoever was lucky in that round."""
    medians = {name: spread(metric_values(result.rounds.get(name, []), metric)) for name in others}
    present = {name: each.median for name, each in medians.items() if each is not None}
    if not present:
        return []
    best = (min if less_is_better else max)(present, key=lambda name: present[name])
    return ratios(result, metric, of, best)
