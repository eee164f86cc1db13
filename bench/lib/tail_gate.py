"""What a stalled server does to the others' latencies, and the project's target for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from bench.lib.summary import Spoiled
from bench.lib.summary import Spread
from bench.lib.summary import spread
from bench.lib.verdict import Verdict

# The p99.9 of the other servers' keys, divided by that of the undisturbed run beside it.
RATIO_MAX = 1.2


@dataclass(frozen=True)
class TailPair:
    """Two runs of the same length and rate, one after the other: p99.9 of the keys of the servers that do not stall.

    `errors`: failed requests for those keys while the one server was stalled.
    """

    undisturbed_ms: float
    stalled_ms: float
    errors: int

    @property
    def ratio(self) -> float:
        return self.stalled_ms / self.undisturbed_ms


@dataclass
class TailResult:
    """All rounds of a contender with one configuration. Rates are in requests a second."""

    saturation_per_s: float = 0.0
    rate_per_s: int = 0
    pairs: list[TailPair | Spoiled] = field(default_factory=list)

    def values(self, of: str) -> Spread | None:
        """The spread of a figure over the rounds that have one."""
        return spread(getattr(pair, of) for pair in self.pairs if isinstance(pair, TailPair))


def judge(results: Mapping[str, TailResult]) -> list[Verdict]:
    """Two verdicts for each configuration: the tail, and that nobody else's request fails.

    A spoiled round makes them not measured.
    """
    verdicts = []
    for where, result in results.items():
        spoiled = not result.pairs or any(isinstance(pair, Spoiled) for pair in result.pairs)
        for target, limit, unit, figure in (
            ("p99.9 of other servers' keys", RATIO_MAX, "× undisturbed", "ratio"),
            ("failed requests for other servers", 0, "", "errors"),
        ):
            measured = None if spoiled else result.values(figure)
            verdicts.append(Verdict(target, where, limit, True, unit, measured))
    return verdicts
