"""The project's targets for `bench/compare --gate`, as a table, and their verdicts. Pure.

A row: what, where, whose figure by whose, the limit when everybody is pinned (`--pin`), the limit when nobody is.
The targets on memory are in `memory_gate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.contender import COREMUX
from bench.lib.contender import COREMUX_2
from bench.lib.contender import COREMUX_AUTO
from bench.lib.contender import DIRECT
from bench.lib.contender import ENVOY
from bench.lib.contender import NUTCRACKER
from bench.lib.contender import RELAY
from bench.lib.summary import PointResult
from bench.lib.summary import Spread
from bench.lib.summary import best_ratios
from bench.lib.summary import ratios
from bench.lib.summary import spread
from bench.lib.verdict import Verdict

RATE, P50, P99, CPU, SERVER = "requests_per_s", "p50_ms", "p99_ms", "proxy_cpu_us", "server_cpu_us"
_TEXT = {RATE: "requests/s", P50: "p50", P99: "p99", CPU: "CPU of the proxy", SERVER: "CPU of the server"}
# More is better of these, less of the others.
_AT_LEAST = (RATE,)

ONE, EIGHT, TWENTY, FIFTY, MANY, DEEP = "c1-P1", "c8-P1", "c20-P1", "c50-P1", "c200-P1", "c50-P16"


@dataclass(frozen=True)
class Target:
    """Coremux's figure at a point, divided by that of `against` in the same round, keeps to the limit.

    `pinned` and `loose` are limits; None: there is no target. With several to compare with, the best of them counts.
    """

    point: str
    metric: str
    against: str | tuple[str, ...]
    pinned: float | None
    loose: float | None
    of: str = COREMUX

    @property
    def text(self) -> str:
        return _TEXT[self.metric] if self.of == COREMUX else f"{_TEXT[self.metric]} of {self.of}"

    @property
    def at_most(self) -> bool:
        return self.metric not in _AT_LEAST

    @property
    def others(self) -> tuple[str, ...]:
        """All that it is compared with."""
        return (self.against,) if isinstance(self.against, str) else self.against


def _get_and_set(load: str, *rest: object) -> list[Target]:
    return [Target(f"{command}-{load}", *rest) for command in ("get", "set")]  # type: ignore[arg-type]


def _ahead_of_envoy(*points: str) -> list[Target]:
    return [Target(point, metric, ENVOY, 1.0, 1.0) for point in points for metric in (RATE, P50, CPU)]


TARGETS: Sequence[Target] = (
    # where, what, by whom, pinned, not pinned
    *_get_and_set(f"3B-{FIFTY}", RATE, DIRECT, 1.10, 1.0),
    *_get_and_set(f"3B-{FIFTY}", P50, NUTCRACKER, 0.75, 0.80),
    *_get_and_set(f"3B-{FIFTY}", CPU, NUTCRACKER, 0.80, 0.70),
    *_get_and_set(f"3B-{FIFTY}", SERVER, DIRECT, 0.35, 0.40),
    *_get_and_set(f"3B-{FIFTY}", CPU, RELAY, 1.15, None),
    Target(f"get-3B-{TWENTY}", RATE, DIRECT, 1.1, 0.95),
    Target(f"get-3B-{TWENTY}", P50, NUTCRACKER, 0.7, 0.85),
    Target(f"get-3B-{MANY}", RATE, DIRECT, 1.3, 1.15),
    Target(f"get-3B-{MANY}", P50, NUTCRACKER, 0.85, 0.92),
    Target(f"get-3B-{MANY}", CPU, NUTCRACKER, 0.62, 0.68),
    *_get_and_set(f"3B-{DEEP}", RATE, NUTCRACKER, 3.1, 2.3),
    *_get_and_set(f"3B-{DEEP}", CPU, NUTCRACKER, 0.20, 0.26),
    *_get_and_set(f"3B-{DEEP}", CPU, RELAY, 1.25, None),
    *_get_and_set(f"3B-{ONE}", RATE, NUTCRACKER, 1.0, 1.0),
    *_get_and_set(f"3B-{ONE}", P50, NUTCRACKER, 1.0, 1.0),
    *_get_and_set(f"3B-{ONE}", P99, NUTCRACKER, 1.0, 1.0),
    *_get_and_set(f"3B-{EIGHT}", RATE, NUTCRACKER, 1.15, 1.15),
    *_get_and_set(f"3B-{EIGHT}", P50, NUTCRACKER, 1.0, 1.0),
    *_get_and_set(f"3B-{EIGHT}", P99, NUTCRACKER, 1.0, 1.0),
    *_get_and_set(f"100KiB-{FIFTY}", CPU, NUTCRACKER, 0.6, 0.6),
    *_get_and_set(f"100KiB-{FIFTY}", RATE, NUTCRACKER, 1.25, 1.25),
    *_get_and_set(f"1MiB-{FIFTY}", CPU, NUTCRACKER, 0.8, 0.8),
    Target("mget1000-2srv-c50-P1", CPU, NUTCRACKER, 0.36, 0.36),
    Target("mget1000-5srv-c50-P1", CPU, NUTCRACKER, 0.36, 0.36),
    Target("open-50%", P99, NUTCRACKER, 1.0, 1.0),
    # Gathering must not be felt where the way to the server is long anyway.
    Target(f"get-3B-{FIFTY}-100us", P50, NUTCRACKER, 1.05, 1.05),
    Target(f"get-3B-{FIFTY}-1000us", P50, NUTCRACKER, 1.05, 1.05),
    *_ahead_of_envoy(*(f"get-3B-{load}" for load in (ONE, EIGHT, TWENTY, FIFTY, MANY, DEEP)), "mget1000-5srv-c50-P1"),
    # On two cores: within 5% of whatever number of workers is best.
    Target(f"get-3B-{FIFTY}", RATE, (COREMUX, COREMUX_2), None, 0.95, of=COREMUX_AUTO),
    Target(f"get-3B-{DEEP}", RATE, (COREMUX, COREMUX_2), None, 0.95, of=COREMUX_AUTO),
)


def _not_worse(*points: str) -> list[Target]:
    return [Target(point, metric, NUTCRACKER, 1.0, 1.0) for point in points for metric in (RATE, P50)]


_MANY_KEYS = "get100-5srv-c50-P1"

# Before memcached.
MEMCACHED_TARGETS: Sequence[Target] = (
    *_get_and_set(f"64B-{FIFTY}", CPU, NUTCRACKER, 0.65, 0.65),
    *_get_and_set(f"64B-{DEEP}", CPU, NUTCRACKER, 0.35, 0.35),
    Target(_MANY_KEYS, CPU, NUTCRACKER, 0.5, 0.5),
    *_not_worse(*(f"{command}-64B-{load}" for load in (ONE, FIFTY, DEEP) for command in ("get", "set"))),
    *_not_worse(f"get-100KiB-{FIFTY}", f"set-100KiB-{FIFTY}", _MANY_KEYS),
    Target("open-50%", P50, NUTCRACKER, 1.0, 1.0),
)


def targets(memcached: bool) -> Sequence[Target]:
    """Those before Redis, or before memcached."""
    return MEMCACHED_TARGETS if memcached else TARGETS


def chosen(of: Sequence[Target], is_pinned: bool, contenders: Sequence[str]) -> list[tuple[Target, float]]:
    """The targets that this run is judged by, with their limits: those between contenders that it has."""
    limits = [(target, target.pinned if is_pinned else target.loose) for target in of]
    return [
        (target, limit)
        for target, limit in limits
        if limit is not None and {target.of, *target.others} <= set(contenders)
    ]


def judge(results: Sequence[PointResult], targets: Sequence[tuple[Target, float]]) -> list[Verdict]:
    """A verdict for every target; those whose point was not measured are said to be so."""
    by_name = {result.point.name: result for result in results}
    return [
        Verdict(
            target=target.text,
            where=target.point,
            limit=limit,
            at_most=target.at_most,
            unit=f"× {' or '.join(target.others)}",
            measured=_measured(by_name.get(target.point), target),
        )
        for target, limit in targets
    ]


def _measured(result: PointResult | None, target: Target) -> Spread | None:
    if result is None:
        return None
    if len(target.others) > 1:
        return spread(best_ratios(result, target.metric, target.of, target.others, target.at_most))
    return spread(ratios(result, target.metric, target.of, target.others[0]))
