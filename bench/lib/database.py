"""What differs between the two kinds of servers that programs here put behind a proxy: a table of two rows.

Owns: how a server is started, asked, and what its protocol makes of a key and a value. Never: starts one (`servers`).
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol
from typing import Self

from bench.lib import memcached
from bench.lib import resp


class Client(Protocol):
    """One connection to a server, or to a proxy before such servers."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def get(self, key: str) -> bytes | None: ...

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def set(self, key: str, value: bytes) -> None: ...

    def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None: ...

    def delete_many(self, keys: Sequence[str]) -> None: ...

    def pid(self) -> int: ...


@dataclass(frozen=True)
class Database:
    """A row of the table.

    `argv` is of the program, a port and a folder. The requests and replies are what goes over the wire; of `get_reply`
    None stands for a key that is not there.
    """

    name: str
    program: str
    package: str
    argv: Callable[[str, int, Path], list[str]]
    connect: Callable[[int], Client]
    get_request: Callable[[Sequence[str]], bytes]
    get_reply: Callable[[Mapping[str, bytes | None]], bytes]
    set_request: Callable[[str, bytes], bytes]
    set_reply: bytes


def _redis_argv(program: str, port: int, folder: Path) -> list[str]:
    argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    # No snapshot: its fork would be a burst of CPU and memory in somebody's window.
    return [*argv, "--save", "", "--appendonly", "no", "--tcp-backlog", "1024", "--maxclients", "15000"]


def _memcached_argv(program: str, port: int, _folder: Path) -> list[str]:
    # One thread, as Redis has: on few cores more would only take turns. Root needs a user to be.
    argv = [program, "-u", "root", "-p", str(port), "-l", "127.0.0.1", "-U", "0", "-t", "1"]
    return [*argv, "-m", "1024", "-I", "4m", "-b", "1024", "-c", "15000"]


REDIS = Database(
    "redis",
    "redis-server",
    "redis-server",
    _redis_argv,
    resp.Client,
    resp.get_request,
    resp.get_reply,
    resp.set_request,
    resp.SET_REPLY,
)
MEMCACHED = Database(
    "memcached",
    "memcached",
    "memcached",
    _memcached_argv,
    memcached.Client,
    memcached.get_request,
    memcached.get_reply,
    memcached.set_request,
    memcached.SET_REPLY,
)
