"""The points of the comparison: which command, by how many clients, how deep in the pipe, of what size.

Owns: the matrix and the names. Never: runs anything.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product

from bench.lib import keyspace
from bench.lib.errors import CannotRun

# What all clients together may have in flight. Beyond it a run measures how Redis and the proxies allocate memory
# (200 clients x 64 x 1 MiB would be 12.5 GiB), not what a request costs.
IN_FLIGHT_BYTES_MAX = 256 << 20

CLIENTS = (1, 8, 50, 200)
PIPELINES = (1, 16, 64)
VALUE_BYTES = (3, 100, 1 << 10, 100 << 10, 1 << 20)
MGET_KEYS = (10, 100, 1000)
MGET_SERVERS = (2, 5)
MGET_CLIENTS = 50


@dataclass(frozen=True)
class Point:
    """One row of the comparison. `keys` and `servers` are 1 except for `mget`; sizes are in bytes."""

    command: str
    value_bytes: int
    clients: int
    pipeline: int
    keys: int = 1
    servers: int = 1

    @property
    def name(self) -> str:
        """As `--only` matches it: `get-3B-c50-P16`, `mget1000-5srv-c50-P1`."""
        return f"{self.family}-{self.load}"

    @property
    def family(self) -> str:
        """The points that share a plot: all but the load."""
        if self.command == "mget":
            return f"mget{self.keys}-{self.servers}srv"
        return f"{self.command}-{size_text(self.value_bytes)}"

    @property
    def load(self) -> str:
        """Clients and pipeline."""
        return f"c{self.clients}-P{self.pipeline}"

    @property
    def step(self) -> int:
        """Requests that are out at a time. redis-benchmark sends whole pipelines, so that a number of
        requests that is no multiple of the pipeline would be exceeded (7.0: 1008 for 1000 by sixteens)."""
        return self.clients * self.pipeline


def size_text(size_bytes: int) -> str:
    """3 -> `3B`, 102400 -> `100KiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"


def all_points() -> list[Point]:
    """The whole matrix, small values first."""
    loads = product(VALUE_BYTES, ("get", "set"), CLIENTS, PIPELINES)
    singles = [
        Point(command, value_bytes, clients, pipeline)
        for value_bytes, command, clients, pipeline in loads
        if value_bytes * clients * pipeline <= IN_FLIGHT_BYTES_MAX
    ]
    splits = [
        Point("mget", keyspace.VALUE_BYTES, MGET_CLIENTS, 1, keys, servers)
        for servers, keys in product(MGET_SERVERS, MGET_KEYS)
    ]
    return singles + splits


def select(points: list[Point], patterns: list[str]) -> list[Point]:
    """The points whose name matches any of the shell patterns; all of them without patterns."""
    for pattern in patterns:
        if not any(fnmatchcase(point.name, pattern) for point in points):
            raise CannotRun(f"no point is named {pattern!r}; `--list` shows the names")
    return [point for point in points if not patterns or any(fnmatchcase(point.name, each) for each in patterns)]
