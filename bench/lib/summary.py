"""Medians, ranges and ratios. Pure: knows no process, no file, no clock."""

import statistics
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.point import Point

# Figures of a sample that can be compared; the text is the column's title.
METRICS = {
    "requests_per_s": "req/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "proxy_cpu_us": "proxy µs/req",
    "redis_cpu_us": "Redis µs/req",
}


@dataclass(frozen=True)
class Sample:
    """One window of one contender. CPU is per request, in microseconds of user plus system time.

    `proxy_cpu_us` is None without a proxy. `others_share`: the part of the machine (0 to 1) that processes outside
    the benchmark took. `quiet`: the processes had come to rest when the window was closed.
    """

    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    proxy_cpu_us: float | None
    redis_cpu_us: float
    client_cpu_us: float
    others_share: float
    quiet: bool


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
