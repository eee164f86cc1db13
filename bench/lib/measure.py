"""Measures one point: checks the contenders, finds how many requests fill a window, and takes the windows in turns.

       round 1                      round 2                      …
    direct  nutcracker  coremux   nutcracker  coremux  direct
    └window┘└──window──┘└window┘  each: come to rest · read CPU clocks · load · come to rest · read CPU clocks

Owns: the windows and what is charged to them. Never: starts a proxy or a server, prints.
"""

import math
import resource
import time
from collections.abc import Sequence

from bench.lib import keyspace
from bench.lib import load
from bench.lib.contender import Contender
from bench.lib.cpu import total_cpu_ns
from bench.lib.cpu import wait_until_quiet
from bench.lib.errors import Failed
from bench.lib.machine import MachineReading
from bench.lib.machine import share_of_others
from bench.lib.point import Point
from bench.lib.process import Children
from bench.lib.resp import Client
from bench.lib.servers import Server
from bench.lib.servers import fill_value
from bench.lib.summary import PointResult
from bench.lib.summary import Sample
from bench.lib.summary import Spoiled

# Long enough that opening the connections does not hide the rate; the rate is only used to size the windows.
PROBE_S = 0.1
# A run so short that its rate cannot be told is followed by one so much longer.
PROBE_GROWTH = 10
# Two rounds of every client: below that the start of the load would be most of it.
STEPS_MIN = 2


def measure_point(
    children: Children,
    point: Point,
    contenders: Sequence[Contender],
    servers: Sequence[Server],
    rounds: int,
    window_s: float,
) -> PointResult:
    """All windows of a point. A contender that fails its check or its probe is not measured, and says why."""
    able = [contender for contender in contenders if point.servers in contender.ports]
    result = PointResult(point, {contender.name: [] for contender in able})
    requests: dict[str, int | Spoiled] = {}
    for contender in able:
        try:
            if point.command != "mget":
                fill_value(servers[0], point.value_bytes)
            check(contender, point)
            requests[contender.name] = _requests_that_fill(children, contender, point, window_s)
        except (Failed, OSError) as cause:
            requests[contender.name] = Spoiled(str(cause))
    for turn in range(rounds):
        # Nobody is always first, or always after the same neighbour's heat.
        first = turn % len(able)
        for contender in able[first:] + able[:first]:
            count = requests[contender.name]
            sample = count if isinstance(count, Spoiled) else _window(children, contender, servers, point, count)
            result.rounds[contender.name].append(sample)
    return result


def check(contender: Contender, point: Point) -> None:
    """Raises Failed unless the contender answers the point's command rightly: a wrong answer may be a fast one."""
    contender.check_running()
    with Client(contender.ports[point.servers]) as client:
        if point.command == "mget":
            asked = [keyspace.key(index) for index in range(point.keys)]
            reply = client.call("MGET", *asked)
            if reply != [b"x" * keyspace.VALUE_BYTES] * point.keys:
                raise Failed(f"wrong answer to an MGET of {point.keys} keys")
            return
        value = b"x" * point.value_bytes
        if point.command == "set" and client.call("SET", keyspace.SINGLE_KEY, value) != b"OK":
            raise Failed("wrong answer to a SET")
        if client.call("GET", keyspace.SINGLE_KEY) != value:
            raise Failed(f"wrong answer to a GET of {point.value_bytes} bytes")


def requests_that_last(seconds: float, requests_per_s: float, step: int) -> int:
    """How many requests take `seconds` at this rate: a multiple of `step`, at least STEPS_MIN of them."""
    return max(STEPS_MIN, round(seconds * requests_per_s / step)) * step


def _requests_that_fill(children: Children, contender: Contender, point: Point, window_s: float) -> int:
    """Probes the contender (which also opens its server connections) for the number of requests of a window.

    Each contender has its own number, so that all windows are about as long, also those of a slow one.
    """
    requests = point.step * STEPS_MIN
    while True:
        rate = load.run(children, contender.ports[point.servers], point, requests).requests_per_s
        if requests / rate >= PROBE_S:
            return requests_that_last(window_s, rate, point.step)
        enough = requests * PROBE_GROWTH if math.isinf(rate) else requests_that_last(2 * PROBE_S, rate, point.step)
        requests = min(enough, requests * PROBE_GROWTH)


def _window(
    children: Children, contender: Contender, servers: Sequence[Server], point: Point, requests: int
) -> Sample | Spoiled:
    try:
        contender.check_running()
        return _charged_load(children, contender, servers, point, requests)
    except (Failed, ProcessLookupError) as cause:
        # A proxy that died of the load explains a broken connection better than redis-benchmark does.
        if contender.process is not None and contender.process.poll() is not None:
            cause = Failed(f"{contender.name} ended with {contender.process.returncode}: {cause}")
        return Spoiled(str(cause))


def _charged_load(
    children: Children, contender: Contender, servers: Sequence[Server], point: Point, requests: int
) -> Sample:
    # The servers that are not part of the point only run their timers: about 0.2% of a core each.
    server_pids = [server.pid for server in servers[: point.servers]]
    watched = [*contender.pids, *server_pids]
    wait_until_quiet(watched)
    machine_before, client_before_ns = MachineReading.now(), _client_cpu_ns()
    proxy_before_ns, redis_before_ns = total_cpu_ns(contender.pids), total_cpu_ns(server_pids)
    outcome = load.run(children, contender.ports[point.servers], point, requests)
    quiet = wait_until_quiet(watched)
    proxy_ns = total_cpu_ns(contender.pids) - proxy_before_ns
    redis_ns = total_cpu_ns(server_pids) - redis_before_ns
    client_ns = _client_cpu_ns() - client_before_ns
    machine_after = MachineReading.now()
    if math.isinf(outcome.requests_per_s):
        raise Failed("the window was shorter than a millisecond")
    return Sample(
        requests=requests,
        requests_per_s=outcome.requests_per_s,
        p50_ms=outcome.p50_ms,
        p99_ms=outcome.p99_ms,
        proxy_cpu_us=proxy_ns / 1e3 / requests if contender.pids else None,
        redis_cpu_us=redis_ns / 1e3 / requests,
        client_cpu_us=client_ns / 1e3 / requests,
        others_share=share_of_others(machine_before, machine_after, proxy_ns + redis_ns + client_ns),
        quiet=quiet,
    )


def _client_cpu_ns() -> int:
    """CPU of all children that were waited for: within a window that is redis-benchmark alone, plus our own looks."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((ended.ru_utime + ended.ru_stime) * 1e9) + time.process_time_ns()
