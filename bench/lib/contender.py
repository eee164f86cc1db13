"""The contenders: a table of proxies (how each is configured and started) and what runs of them.

Owns: configuration files, ports, readiness. Never: sends load.
To compare another proxy, write its row in PROXIES: `bench/compare --proxy NAME` does the rest.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.lib import keyspace
from bench.lib.cpu import family
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import free_ports
from bench.lib.process import tail
from bench.lib.resp import Client
from bench.lib.servers import READY_TIMEOUT_S
from bench.lib.servers import START_ATTEMPTS
from bench.lib.servers import Server

DIRECT = "direct"
NUTCRACKER = "nutcracker"
COREMUX = "coremux"


@dataclass(frozen=True)
class Pool:
    """A port to listen at and the servers behind it."""

    port: int
    servers: Sequence[Server]


@dataclass(frozen=True)
class Launch:
    """What a command line is made from."""

    binary: Path
    config: Path
    log: Path
    spare_port: int
    cores: int


@dataclass(frozen=True)
class Proxy:
    """A row of the table.

    `splits`: it maps keys to servers, and takes a request for keys on several of them apart. A proxy that does not
    is given one server and leaves out the points of several. `version` is appended to the binary.
    All processes that the started one starts are counted as the proxy's.
    """

    name: str
    package: str
    splits: bool
    version: str
    config: Callable[[Sequence[Pool]], str]
    argv: Callable[[Launch], list[str]]


def nutcracker_yml(pools: Sequence[Pool], keys: Sequence[str] = ()) -> str:
    """twemproxy's file, for twemproxy and Coremux alike: keys spread by fnv1a_64 over ketama.

    Without `timeout:`, which would make the slowest points (200 clients x 1 MiB) fail instead of slow, unless
    `keys` (further lines of each pool, such as `timeout: 400`) has it.
    """
    return "".join(
        f"servers{len(pool.servers)}:\n"
        f"  listen: 127.0.0.1:{pool.port}\n"
        "  hash: fnv1a_64\n"
        "  distribution: ketama\n"
        "  redis: true\n"
        "  backlog: 1024\n"
        + "".join(f"  {line}\n" for line in keys)
        + "  servers:\n"
        # A name each, so that the ring, and with it a key's server, is the same in every run.
        + "".join(f"   - 127.0.0.1:{server.port}:1 s{index}\n" for index, server in enumerate(pool.servers))
        for pool in pools
    )


def haproxy_cfg(pools: Sequence[Pool]) -> str:
    """TCP mode on one thread: what forwarding bytes costs without looking at them."""
    sections = "".join(
        f"listen servers{len(pool.servers)}\n"
        f"    bind 127.0.0.1:{pool.port} backlog 1024\n"
        f"    server s0 127.0.0.1:{pool.servers[0].port}\n"
        for pool in pools
    )
    # haproxy warns, and drops idle clients late or never, without explicit timeouts.
    return (
        "global\n    nbthread 1\n"
        "defaults\n    mode tcp\n"
        "    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n" + sections
    )


def _nutcracker_argv(launch: Launch) -> list[str]:
    return [
        *(str(launch.binary), "-c", str(launch.config), "-o", str(launch.log)),
        *("-a", "127.0.0.1", "-s", str(launch.spare_port)),
    ]


PROXIES: Mapping[str, Proxy] = {
    row.name: row
    for row in (
        Proxy(NUTCRACKER, "nutcracker", True, "-V", nutcracker_yml, _nutcracker_argv),
        Proxy(
            COREMUX,
            "",
            True,
            "-V",
            nutcracker_yml,
            lambda launch: [*_nutcracker_argv(launch), "--cores", str(launch.cores)],
        ),
        Proxy(
            "haproxy",
            "haproxy",
            False,
            "-v",
            haproxy_cfg,
            lambda launch: [str(launch.binary), "-db", "-f", str(launch.config)],
        ),
    )
}


def with_keys(proxy: Proxy, *keys: str) -> Proxy:
    """The same proxy with further keys in its pools; for those that are given twemproxy's file."""
    return replace(proxy, config=partial(nutcracker_yml, keys=keys))


def with_flags(proxy: Proxy, *flags: str) -> Proxy:
    """The same proxy with further flags."""
    return replace(proxy, argv=lambda launch: [*proxy.argv(launch), *flags])


@dataclass
class Contender:
    """Something that answers: `direct` (no process of its own) or a running proxy.

    `ports` are by the number of servers behind them.
    """

    name: str
    ports: Mapping[int, int]
    pids: tuple[int, ...] = ()
    log: Path | None = None
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def check_running(self) -> None:
        """Raises Failed, with its last words, when the proxy has ended."""
        if self.process is not None and self.process.poll() is not None:
            last_words = tail(self.log) if self.log else ""
            raise Failed(f"{self.name} ended with {self.process.returncode}: {last_words}")

    def reason_for(self, cause: Exception) -> str:
        """Why something went wrong: a proxy that has ended explains a broken connection better than the connection."""
        try:
            self.check_running()
        except Failed as ended:
            return str(ended)
        return str(cause)


def direct(servers: Sequence[Server], counts: Sequence[int]) -> Contender:
    """No proxy: the first server, which holds all keys, whatever the number of servers."""
    return Contender(DIRECT, {count: servers[0].port for count in counts})


def find_binary(proxy: Proxy) -> Path:
    """A Debian proxy's program."""
    # Debian puts daemons where an ordinary user's PATH does not look.
    found = shutil.which(proxy.name) or shutil.which(proxy.name, path="/usr/sbin:/sbin")
    if found is None:
        raise CannotRun(f"{proxy.name} is not installed: apt-get install {proxy.package}")
    return Path(found)


def start_proxy(
    children: Children,
    proxy: Proxy,
    binary: Path,
    servers: Sequence[Server],
    counts: Sequence[int],
    folder: Path,
    cores: int,
) -> Contender:
    """Starts the proxy with a pool for each of `counts` servers; returns when every pool has answered a request."""
    counts = counts if proxy.splits else [count for count in counts if count == 1]
    log = folder / f"{proxy.name}.log"
    config = folder / f"{proxy.name}.conf"
    for _ in range(START_ATTEMPTS):
        spare_port, *ports = free_ports(1 + len(counts))
        pools = [Pool(port, servers[:count]) for port, count in zip(ports, counts, strict=True)]
        config.write_text(proxy.config(pools), encoding="utf-8")
        process = children.start(proxy.argv(Launch(binary, config, log, spare_port, cores)), log)
        if all(_answers(process, port) for port in ports):
            contender = Contender(proxy.name, dict(zip(counts, ports, strict=True)), log=log, process=process)
            contender.pids = family(process.pid)
            return contender
        children.end(process)
    raise CannotRun(f"{proxy.name} does not start ({config}):\n{tail(log)}")


def _answers(process: subprocess.Popen[str], port: int) -> bool:
    """True once a GET through the port is answered; False when the proxy has ended or is not ready in time."""
    give_up_at = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            with Client(port) as client:
                client.call("GET", keyspace.SINGLE_KEY)
            return process.poll() is None
        except (OSError, Failed):
            time.sleep(0.01)
    return False
