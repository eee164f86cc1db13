"""What hours of coming and going left behind, and whether it grows. Pure."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from bench.lib.summary import Spread
from bench.lib.trend import rise
from bench.lib.trend import second_half
from bench.lib.verdict import Verdict

KIB, MIB = 1 << 10, 1 << 20

# Of the second half, whatever its length: swings of the allocator are less, and after ten minutes a leak of a byte a
# connection is more.
MEMORY_RISE_BYTES_MAX = 1 * MIB
FILES_RISE_MAX = 10


@dataclass(frozen=True)
class Sample:
    """A moment of the proxy: seconds since the start, resident memory, open descriptors."""

    at_s: float
    rss_bytes: int
    files: int


@dataclass(frozen=True)
class SoakResult:
    """A run. `files_before`: descriptors before the first client; `files_left`: some seconds after the last one.

    `ends`: connections by how they ended; `failures`: those that were not served rightly, by what happened.
    """

    seconds: float
    ends: Mapping[str, int]
    failures: Mapping[str, int]
    samples: Sequence[Sample]
    files_before: int
    files_left: int
    rss_left_bytes: int

    @property
    def connections(self) -> int:
        return sum(self.ends.values())

    @property
    def memory_rise_bytes(self) -> float:
        """Of the second half."""
        return rise(second_half([(each.at_s, each.rss_bytes) for each in self.samples]))

    @property
    def files_rise(self) -> float:
        """Of the second half."""
        return rise(second_half([(each.at_s, each.files) for each in self.samples]))


def judge(result: SoakResult) -> list[Verdict]:
    """No growth, nothing left, nobody hurt."""
    where = f"{result.connections:,} connections in {result.seconds:.0f} s"
    rows = (
        ("memory's rise in the second half", MEMORY_RISE_BYTES_MAX / KIB, "KiB", result.memory_rise_bytes / KIB),
        ("descriptors' rise in the second half", FILES_RISE_MAX, "", result.files_rise),
        ("descriptors left", 0, "", result.files_left - result.files_before),
        ("connections not served rightly", 0, "", sum(result.failures.values())),
    )
    # Without samples there was no rise to be seen.
    return [
        Verdict(target, where, limit, True, unit, Spread(value, value, value) if result.samples else None)
        for target, limit, unit, value in rows
    ]
