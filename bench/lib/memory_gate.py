"""What a proxy's memory was seen to do, and the project's targets for it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from bench.lib.summary import Spoiled
from bench.lib.summary import Spread
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


@dataclass(frozen=True)
class SlowCost:
    """Resident memory before clients came who do not read, and at its highest while they stayed.

    `limit_bytes`: what the proxy was told to keep to, if it can be told. The rest is of bystanders, clients of the same
    server: their requests before (p99) and meanwhile. `closed`: how many of those who do not read were closed.
    `tcp_bytes`: what all sockets of the machine took then, in the kernel and therefore in nobody's resident memory.
    """

    before_bytes: int
    peak_bytes: int
    limit_bytes: int | None
    alone_p99_ms: float
    good: int
    failed: int
    p99_ms: float
    closed: int
    tcp_bytes: int


@dataclass
class MemoryResult:
    """All rounds of a contender."""

    idle: list[IdleCost | Spoiled] = field(default_factory=list)
    burst: list[BurstCost | Spoiled] = field(default_factory=list)
    slow: list[SlowCost | Spoiled] = field(default_factory=list)


def judge(result: MemoryResult, clients: int, burst_text: str) -> list[Verdict]:
    """The targets on idle clients and the burst. A round that was spoiled makes its target one not measured."""
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


def judge_slow(result: MemoryResult, limit_bytes: int, clients: int) -> list[Verdict]:
    """The targets on clients that do not read. A proxy that takes no limit has not kept to it."""
    slow = [each for each in result.slow if isinstance(each, SlowCost)]
    whole = len(slow) == len(result.slow) and all(each.limit_bytes == limit_bytes for each in slow)
    where = f"{clients:,} clients that do not read"
    return [
        Verdict(
            target="resident memory",
            where=where,
            limit=limit_bytes / MIB,
            at_most=True,
            unit="MiB",
            measured=_highest([each.peak_bytes / MIB for each in slow]) if whole else None,
        ),
        Verdict(
            target="failed requests of bystanders",
            where=where,
            limit=0,
            at_most=True,
            unit="",
            measured=_highest([each.failed for each in slow]) if len(slow) == len(result.slow) else None,
        ),
    ]


def _highest(values: Sequence[float]) -> Spread | None:
    """A limit that is never to be exceeded is judged by the worst round."""
    return Spread(max(values), min(values), max(values)) if values else None


def _any_spoiled(rounds: Sequence[object]) -> bool:
    return any(isinstance(each, Spoiled) for each in rounds)
