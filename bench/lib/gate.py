"""The project's targets for `bench/compare --gate`, as a table, and their verdicts. Pure.

The targets on memory are in `memory_gate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.contender import COREMUX
from bench.lib.contender import DIRECT
from bench.lib.contender import NUTCRACKER
from bench.lib.summary import PointResult
from bench.lib.summary import ratios
from bench.lib.summary import spread
from bench.lib.verdict import Verdict


@dataclass(frozen=True)
class Target:
    """Coremux's figure at a point, divided by that of `against` in the same round, keeps to `limit`."""

    text: str
    point: str
    metric: str
    against: str
    limit: float
    at_most: bool = True


def _for_get_and_set(
    text: str, load: str, metric: str, against: str, limit: float, at_most: bool = True
) -> list[Target]:
    return [Target(text, f"{command}-{load}", metric, against, limit, at_most) for command in ("get", "set")]


TARGETS: Sequence[Target] = (
    *_for_get_and_set("CPU of the proxy", "3B-c50-P1", "proxy_cpu_us", NUTCRACKER, 0.65),
    *_for_get_and_set("throughput", "3B-c50-P1", "requests_per_s", DIRECT, 0.95, at_most=False),
    *_for_get_and_set("CPU of Redis", "3B-c50-P1", "redis_cpu_us", DIRECT, 0.6),
    *_for_get_and_set("CPU of the proxy", "3B-c50-P16", "proxy_cpu_us", NUTCRACKER, 0.28),
    *_for_get_and_set("throughput", "3B-c50-P16", "requests_per_s", NUTCRACKER, 2.3, at_most=False),
    *_for_get_and_set("p50 of a lone client", "3B-c1-P1", "p50_ms", NUTCRACKER, 1.0),
    *_for_get_and_set("p50 of 8 clients", "3B-c8-P1", "p50_ms", NUTCRACKER, 1.0),
    Target("CPU of the proxy", "mget1000-2srv-c50-P1", "proxy_cpu_us", NUTCRACKER, 0.5),
    Target("CPU of the proxy", "mget1000-5srv-c50-P1", "proxy_cpu_us", NUTCRACKER, 0.5),
    *_for_get_and_set("CPU of the proxy", "100KiB-c50-P1", "proxy_cpu_us", NUTCRACKER, 0.8),
    *_for_get_and_set("CPU of the proxy", "1MiB-c50-P1", "proxy_cpu_us", NUTCRACKER, 0.8),
)

POINTS = tuple(dict.fromkeys(target.point for target in TARGETS))


def judge(results: Sequence[PointResult], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """A verdict for every target; those whose point was not measured are said to be so."""
    by_name = {result.point.name: result for result in results}
    verdicts = []
    for target in targets:
        result = by_name.get(target.point)
        values = [] if result is None else ratios(result, target.metric, COREMUX, target.against)
        verdicts.append(
            Verdict(
                target=target.text,
                where=target.point,
                limit=target.limit,
                at_most=target.at_most,
                unit=f"× {target.against}",
                measured=spread(values),
            )
        )
    return verdicts
