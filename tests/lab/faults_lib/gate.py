"""What a fault of one server did to everybody's requests, and the project's targets for it. Pure."""

import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from bench.lib.summary import Spoiled
from bench.lib.summary import Spread
from bench.lib.summary import spread
from bench.lib.verdict import Verdict

# From the moment at which the server itself serves again to the first good reply through the proxy.
RECOVERY_MS_MAX = 100.0


@dataclass(frozen=True)
class FaultOutcome:
    """One run: a fault of one server under load, and its end.

    `mixed`: replies that were another request's (the first ends the run). `lost`: acknowledged writes that a GET
    missed, or that the server does not hold at the end. `failed`, `failed_others`: requests for the faulty server and
    for the others, by the error's text; `dropped_others`: connections of the others' clients that were closed.
    `recovery_ms` is None when no request was good again.
    """

    good: int
    mixed: int
    lost: int
    failed: Mapping[str, int]
    failed_others: Mapping[str, int]
    dropped: int
    dropped_others: int
    recovery_ms: float | None
    last_failure_ms: float
    longest_other_ms: float
    complaint: str = ""

    @property
    def failed_in_all(self) -> int:
        return sum(self.failed.values())

    @property
    def failed_others_in_all(self) -> int:
        """A client whose connection is closed has failed, too, also if nothing was under way on it."""
        return sum(self.failed_others.values()) + self.dropped_others


@dataclass
class FaultResult:
    """All rounds of a contender with a fault."""

    outcomes: list[FaultOutcome | Spoiled] = field(default_factory=list)

    @property
    def seen(self) -> list[FaultOutcome]:
        return [each for each in self.outcomes if isinstance(each, FaultOutcome)]

    def recovery(self) -> Spread | None:
        """A round without recovery took for ever."""
        return spread(math.inf if each.recovery_ms is None else each.recovery_ms for each in self.seen)

    def worst(self, of: Callable[[FaultOutcome], float]) -> Spread | None:
        """As a spread whose middle is the worst of the rounds: what must never happen has no median."""
        values = [of(each) for each in self.seen]
        return Spread(max(values), min(values), max(values)) if values else None


def judge(results: Mapping[str, FaultResult], recovery_ms_max: float = RECOVERY_MS_MAX) -> list[Verdict]:
    """Four verdicts for each fault; a round that was spoiled makes them not measured."""
    verdicts = []
    for fault, result in results.items():
        whole = len(result.seen) == len(result.outcomes)
        rows: Sequence[tuple[str, float, str, Spread | None]] = (
            ("mixed replies", 0, "", result.worst(lambda each: each.mixed)),
            ("acknowledged writes lost", 0, "", result.worst(lambda each: each.lost)),
            ("failed requests for other servers", 0, "", result.worst(lambda each: each.failed_others_in_all)),
            ("first good reply after the server is back", recovery_ms_max, "ms", result.recovery()),
        )
        verdicts += [
            Verdict(target, fault, limit, True, unit, measured if whole else None)
            for target, limit, unit, measured in rows
        ]
    return verdicts
