"""The points of the comparison: which command, by how many clients, how deep in the pipe, of what size.

Owns: the matrix, the names, the lengths of requests and replies. Never: runs anything.
"""

import enum
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product

from bench.lib import keyspace
from bench.lib.database import MEMCACHED
from bench.lib.database import REDIS
from bench.lib.database import Database
from bench.lib.errors import CannotRun

# What all clients together may have in flight. Beyond it a run measures how Redis and the proxies allocate memory
# (200 clients x 64 x 1 MiB would be 12.5 GiB), not what a request costs.
IN_FLIGHT_BYTES_MAX = 256 << 20

CLIENTS = (1, 8, 20, 50, 200)
PIPELINES = (1, 16)
VALUE_BYTES = (3, 1 << 10, 100 << 10, 1 << 20)
MGET_KEYS = (10, 100, 1000)
MGET_SERVERS = (2, 5)
MGET_CLIENTS = 50
# Active clients at once, and idle ones.
CROWDS = (1_000, 10_000)
IDLE = (0, 10_000)
# Of the requests a second at which the slowest contender is saturated.
OPEN_PERCENT = (10, 30, 50, 80)
OPEN_CLIENTS = 50
# memcached's: the values that bench/load writes name their key, so none has 3 bytes.
MEMCACHED_VALUE_BYTES = (64, 100 << 10)
MEMCACHED_LOADS = ((1, 1), (50, 1), (50, 16))
MEMCACHED_GET_KEYS, MEMCACHED_GET_SERVERS = 100, 5
# One way, between a proxy and its servers: another rack, and another site.
DELAYS_US = (100, 1000)


class Kind(enum.Enum):
    """How a point is loaded."""

    # Each client sends when its replies have come (redis-benchmark; before memcached bench/load).
    CLOSED = "closed"
    # The same, with a connection for each request.
    CHURN = "churn"
    # The same with so many clients that redis-benchmark takes longer to connect them (bench/load).
    CROWD = "crowd"
    # Requests are due at a fixed rate, whatever the replies do (bench/load).
    OPEN = "open"
    # Clients are connected and say nothing.
    IDLE = "idle"


@dataclass(frozen=True)
class Point:
    """One row of the comparison. `keys` and `servers` are 1 except for `mget`; sizes are in bytes.

    `mget` before memcached is a `get` of many keys. `percent` is of the saturation, for open loops. `delay_us` is the
    way to the servers, each way.
    """

    command: str
    value_bytes: int
    clients: int
    pipeline: int
    keys: int = 1
    servers: int = 1
    kind: Kind = Kind.CLOSED
    percent: int = 0
    delay_us: int = 0
    memcached: bool = False

    @property
    def database(self) -> Database:
        """What its servers are."""
        return MEMCACHED if self.memcached else REDIS

    @property
    def name(self) -> str:
        """As `--only` matches it: `get-3B-c50-P16`, `mget1000-5srv-c50-P1`, `open-50%`, `get-3B-c50-P1-100us`."""
        return f"{self.family}-{self.load}"

    @property
    def family(self) -> str:
        """The points that share a plot: all but the load."""
        if self.kind is not Kind.CLOSED:
            return self.kind.value
        if self.command == "mget":
            return f"{'get' if self.memcached else 'mget'}{self.keys}-{self.servers}srv"
        return f"{self.command}-{size_text(self.value_bytes)}"

    @property
    def load(self) -> str:
        """Clients and pipeline, or the share of the saturation."""
        if self.kind is Kind.OPEN:
            load = f"{self.percent}%"
        else:
            load = f"c{self.clients}" + (f"-P{self.pipeline}" if self.kind is Kind.CLOSED else "")
        return load + (f"-{self.delay_us}us" if self.delay_us else "")

    @property
    def step(self) -> int:
        """Requests that are out at a time. redis-benchmark sends whole pipelines, so that a number of
        requests that is no multiple of the pipeline would be exceeded (7.0: 1008 for 1000 by sixteens)."""
        return self.clients * self.pipeline

    @property
    def uses_generator(self) -> bool:
        """Whether bench/load is its load, and not redis-benchmark."""
        return self.memcached or self.kind in (Kind.CROWD, Kind.OPEN)

    @property
    def asked_keys(self) -> list[str]:
        """What one of its requests asks for; all others ask for other keys of the same length."""
        if self.memcached:
            return [keyspace.load_key(index) for index in range(self.keys)]
        if self.uses_generator:
            return [keyspace.absent_key(0)]
        return [keyspace.key(index) for index in range(self.keys)] if self.command == "mget" else [keyspace.SINGLE_KEY]

    @property
    def values(self) -> dict[str, bytes | None]:
        """What those keys are given; None for a key that is never there."""
        if self.memcached:
            return {key: keyspace.load_value(key, self.value_bytes) for key in self.asked_keys}
        return {key: None if self.uses_generator else self.value for key in self.asked_keys}

    @property
    def request(self) -> bytes:
        """What each of its requests says, but for which key of the same length it asks for."""
        if self.command == "set":
            return self.database.set_request(self.asked_keys[0], self.value)
        return self.database.get_request(self.asked_keys)

    @property
    def reply_bytes(self) -> int:
        """How long each of its replies is."""
        return len(self.database.set_reply if self.command == "set" else self.database.get_reply(self.values))

    @property
    def lengths(self) -> tuple[int, int]:
        """Of a request and its reply."""
        return len(self.request), self.reply_bytes

    @property
    def value(self) -> bytes:
        """What a key is given."""
        return b"x" * self.value_bytes


def size_text(size_bytes: int) -> str:
    """3 -> `3B`, 102400 -> `100KiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes >= factor and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"


def all_points() -> list[Point]:
    """The whole matrix, small values first."""
    loads = product(VALUE_BYTES, ("get", "set"), CLIENTS, PIPELINES)
    small = VALUE_BYTES[0]
    return [
        *(
            Point(command, value_bytes, clients, pipeline)
            for value_bytes, command, clients, pipeline in loads
            if value_bytes * clients * pipeline <= IN_FLIGHT_BYTES_MAX
        ),
        *(
            Point("mget", keyspace.VALUE_BYTES, MGET_CLIENTS, 1, keys, servers)
            for servers, keys in product(MGET_SERVERS, MGET_KEYS)
        ),
        *(Point("get", small, OPEN_CLIENTS, 1, kind=Kind.OPEN, percent=percent) for percent in OPEN_PERCENT),
        *(Point("get", small, OPEN_CLIENTS, 1, delay_us=delay_us) for delay_us in DELAYS_US),
        *(Point("get", small, clients, 1, kind=Kind.CROWD) for clients in CROWDS),
        Point("get", small, OPEN_CLIENTS, 1, kind=Kind.CHURN),
        *(Point("get", small, clients, 1, kind=Kind.IDLE) for clients in IDLE),
    ]


def memcached_points() -> list[Point]:
    """The rows of `--memcached`."""
    small = MEMCACHED_VALUE_BYTES[0]
    return [
        *(
            Point(command, value_bytes, clients, pipeline, memcached=True)
            for value_bytes, command, (clients, pipeline) in product(
                MEMCACHED_VALUE_BYTES, ("get", "set"), MEMCACHED_LOADS
            )
        ),
        Point("mget", keyspace.VALUE_BYTES, 50, 1, MEMCACHED_GET_KEYS, MEMCACHED_GET_SERVERS, memcached=True),
        *(
            Point("get", small, OPEN_CLIENTS, 1, kind=Kind.OPEN, percent=percent, memcached=True)
            for percent in OPEN_PERCENT
        ),
    ]


def select(points: list[Point], patterns: list[str]) -> list[Point]:
    """The points whose name matches any of the shell patterns; all of them without patterns."""
    for pattern in patterns:
        if not any(fnmatchcase(point.name, pattern) for point in points):
            raise CannotRun(f"no point is named {pattern!r}; `--list` shows the names")
    return [point for point in points if not patterns or any(fnmatchcase(point.name, each) for each in patterns)]
