"""What a proxy's memory was seen to do, and the project's targets for it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from bench.lib.summary import Spoiled
from bench.lib.summary import spread
from bench.lib.verdict import Verdict

KIB, MIB = 1 << 10, 1 << 20

IDLE_CLIENT_KIB_MAX = 1.0
BACK_WITHIN_BYTES = 20 * MIB
BACK_WITHIN_S = 10.0


@dataclass(frozen=True)
class IdleCost:
    """Resident memory before a crowd of clients and while all of them are connected and idle."""

    clients: int
    before_bytes: int
    with_clients_bytes: int

    @property
    def kib_per_client(self) -> float:
        return (self.with_clients_bytes - self.before_bytes) / self.clients / KIB


@dataclass(frozen=True)
class BurstCost:
    """Resident memory before a burst, at its highest, and when it was back within BACK_WITHIN_BYTES.

    `back_s` is None when it was not back after BACK_WITHIN_S; `after_bytes` is then what it was at that time.
    """

    before_bytes: int
    peak_bytes: int
    after_bytes: int
    back_s: float | None

    @property
    def kept_mib(self) -> float:
        return (self.after_bytes - self.before_bytes) / MIB


@dataclass
class MemoryResult:
    """All rounds of a contender."""

    idle: list[IdleCost | Spoiled] = field(default_factory=list)
    burst: list[BurstCost | Spoiled] = field(default_factory=list)


def judge(result: MemoryResult, clients: int, burst_text: str) -> list[Verdict]:
    """The two targets. A round that was spoiled makes its target one that was not measured."""
    return [
        Verdict(
            target="memory of an idle client",
            where=f"{clients:,} clients that made a request",
            limit=IDLE_CLIENT_KIB_MAX,
            at_most=True,
            unit="KiB",
            measured=None if _any_spoiled(result.idle) else spread(each.kib_per_client for each in result.idle),
        ),
        Verdict(
            target=f"memory kept {BACK_WITHIN_S:g} s after a burst",
            where=f"{burst_text} of values",
            limit=BACK_WITHIN_BYTES / MIB,
            at_most=True,
            unit="MiB",
            measured=None if _any_spoiled(result.burst) else spread(each.kept_mib for each in result.burst),
        ),
    ]


def _any_spoiled(rounds: Sequence[object]) -> bool:
    return any(isinstance(each, Spoiled) for each in rounds)
