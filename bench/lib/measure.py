"""Measures one point: checks the contenders, finds how large a load fills a window, and takes the windows in turns.

       round 1                      round 2                      …
    direct  nutcracker  coremux   nutcracker  coremux  direct
    └window┘└──window──┘└window┘  each: come to rest · read CPU clocks · load · come to rest · read CPU clocks

Owns: the windows and what is charged to them. Never: starts a proxy or a server, prints.
"""

import math
import resource
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lib import keyspace
from bench.lib import load
from bench.lib import open_load
from bench.lib.contender import Contender
from bench.lib.cpu import total_cpu_ns
from bench.lib.cpu import wait_until_quiet
from bench.lib.cpu import wakeups
from bench.lib.crowd import Crowd
from bench.lib.errors import Failed
from bench.lib.homes import route_table
from bench.lib.homes import server_name
from bench.lib.machine import MachineReading
from bench.lib.machine import share_of_others
from bench.lib.open_load import LoadPlan
from bench.lib.point import CROWDS
from bench.lib.point import Kind
from bench.lib.point import Point
from bench.lib.process import Children
from bench.lib.servers import Server
from bench.lib.servers import fill
from bench.lib.servers import fill_value
from bench.lib.summary import PointResult
from bench.lib.summary import Sample
from bench.lib.summary import Spoiled
from bench.lib.summary import uneven_contenders

# Long enough that opening the connections does not hide the rate; the rate is only used to size the windows.
PROBE_S = 0.1
# A run so short that its rate cannot be told is followed by one so much longer.
PROBE_GROWTH = 10
# Two rounds of every client: below that the start of the load would be most of it.
STEPS_MIN = 2
# A row whose rounds lie too far apart gets as many again, so often.
REPEATS = 2
# A percentile of a thousand needs thousands; the first requests of new connections are not among them.
OPEN_WINDOWS, OPEN_WARMUP_S = 2, 0.3
# redis-benchmark opens its connections anew for each request; more than this and the ports run out.
CHURN_REQUESTS_MAX = 15_000


@dataclass
class Bench:
    """What all points share. `helpers`: processes whose CPU is neither the proxy's nor anybody else's.

    `saturation` is found when it is first asked for: what the slowest contender does of requests a second.
    """

    children: Children
    contenders: Sequence[Contender]
    servers: Sequence[Server]
    rounds: int
    window_s: float
    folder: Path
    generator: Path | None = None
    helpers: Sequence[int] = ()
    saturation: float | None = None

    def measure_point(self, point: Point) -> PointResult:
        """All windows of a point. A contender that fails its check or its probe is not measured, and says why."""
        able = [contender for contender in self.contenders if point in contender.ports]
        if point.kind is Kind.IDLE:
            able = [contender for contender in able if contender.pids]
        result = PointResult(point, {contender.name: [] for contender in able})
        sizes = {contender.name: self._checked_size(contender, point) for contender in able}
        if point.kind is Kind.OPEN and self.saturation is None:
            rates = [size for size in sizes.values() if not isinstance(size, Spoiled)]
            self.saturation = min(rates, default=None)
        for repeat in range(1 + REPEATS):
            if repeat and not uneven_contenders(result):
                break
            self._take_turns(point, able, sizes, result)
        return result

    def _take_turns(
        self, point: Point, able: list[Contender], sizes: Mapping[str, float | Spoiled], result: PointResult
    ) -> None:
        for turn in range(self.rounds):
            # Nobody is always first, or always after the same neighbour's heat.
            first = turn % len(able) if able else 0
            for contender in able[first:] + able[:first]:
                size = sizes[contender.name]
                sample = size if isinstance(size, Spoiled) else self._window(contender, point, size)
                result.rounds[contender.name].append(sample)

    def _checked_size(self, contender: Contender, point: Point) -> float | Spoiled:
        """How many requests fill a window; of an open loop, what saturates the contender."""
        try:
            if point.memcached:
                keys = [keyspace.load_key(index) for index in range(point.clients * point.keys)]
                values = {key: keyspace.load_value(key, point.value_bytes) for key in keys}
                fill(self.servers[: point.servers], values)
            elif point.command != "mget":
                fill_value(self.servers[0], point.value_bytes)
            check(contender, point)
            if point.kind is Kind.OPEN and self.saturation is None:
                return self._drive(contender, point, None).requests_per_s
            return 0 if point.uses_generator or point.kind is Kind.IDLE else self._requests_that_fill(contender, point)
        except (Failed, OSError) as cause:
            return Spoiled(str(cause))

    def _requests_that_fill(self, contender: Contender, point: Point) -> int:
        """Probes the contender (which also opens its server connections) for the number of requests of a window.

        Each contender has its own number, so that all windows are about as long, also those of a slow one.
        """
        requests = point.step * STEPS_MIN
        while True:
            rate = load.run(self.children, contender.ports[point], point, requests).requests_per_s
            if requests / rate >= PROBE_S:
                fill = requests_that_last(self.window_s, rate, point.step)
                return min(fill, CHURN_REQUESTS_MAX) if point.kind is Kind.CHURN else fill
            enough = requests * PROBE_GROWTH if math.isinf(rate) else requests_that_last(2 * PROBE_S, rate, point.step)
            requests = min(enough, requests * PROBE_GROWTH)

    def _window(self, contender: Contender, point: Point, size: float) -> Sample | Spoiled:
        try:
            contender.check_running()
            if point.kind is Kind.IDLE:
                return self._idle(contender, point)
            return self._charged_load(contender, point, size)
        except (Failed, OSError) as cause:
            return Spoiled(contender.reason_for(cause))

    def _charged_load(self, contender: Contender, point: Point, size: float) -> Sample:
        # The servers that are not part of the point only run their timers: about 0.2% of a core each.
        server_pids = [server.pid for server in self.servers[: point.servers]]
        watched = [*contender.pids, *server_pids]
        wait_until_quiet(watched)
        machine_before, own_before_ns = MachineReading.now(), self._own_cpu_ns()
        proxy_before_ns, servers_before_ns = total_cpu_ns(contender.pids), total_cpu_ns(server_pids)
        outcome = self._drive(contender, point, size)
        quiet = wait_until_quiet(watched)
        proxy_ns = total_cpu_ns(contender.pids) - proxy_before_ns
        servers_ns = total_cpu_ns(server_pids) - servers_before_ns
        own_ns = self._own_cpu_ns() - own_before_ns
        machine_after = MachineReading.now()
        if math.isinf(outcome.requests_per_s):
            raise Failed("the window was shorter than a millisecond")
        requests = outcome.requests
        return Sample(
            requests=requests,
            requests_per_s=outcome.requests_per_s,
            p50_ms=outcome.p50_ms,
            p99_ms=outcome.p99_ms,
            p999_ms=outcome.p999_ms,
            proxy_cpu_us=proxy_ns / 1e3 / requests if contender.pids else None,
            server_cpu_us=servers_ns / 1e3 / requests,
            client_cpu_us=own_ns / 1e3 / requests,
            others_share=share_of_others(machine_before, machine_after, proxy_ns + servers_ns + own_ns),
            quiet=quiet,
        )

    def _drive(self, contender: Contender, point: Point, size: float | None) -> load.Outcome:
        """The load of one window. Without a size, an open loop runs closed, as fast as the contender goes."""
        port = contender.ports[point]
        if not point.uses_generator:
            return load.run(self.children, port, point, round(size or 0))
        if self.generator is None:
            raise Failed("no load generator")
        is_open = point.kind is Kind.OPEN and size is not None
        plan = LoadPlan(
            port=port,
            rate=max(1, round((self.saturation or 0) * point.percent / 100)) if is_open else None,
            seconds=OPEN_WARMUP_S + self.window_s * (OPEN_WINDOWS if point.kind is Kind.OPEN else 1),
            keys=self._keys(point),
            connections=point.clients,
            warmup_s=OPEN_WARMUP_S,
            in_flight=point.pipeline,
            sets=100 if point.command == "set" else 0,
            value_bytes=point.value_bytes,
            memcached=point.memcached,
            keys_per_get=point.keys,
        )
        report = open_load.run(self.children, self.generator, plan, self.folder / "load")
        seen = report.together
        if report.mixed or seen.errors_in_all or not seen.good:
            raise Failed(f"the load failed: {report.complaint or dict(seen.errors) or 'no reply'}")
        return load.Outcome(report.good_per_s, seen.p50_ms, seen.p99_ms, seen.p999_ms, report.answered)

    def _keys(self, point: Point) -> Path:
        count = point.clients * point.keys if point.memcached else max(CROWDS)
        path = self.folder / f"keys-{count}.txt"
        if not path.exists():
            key = keyspace.load_key if point.memcached else keyspace.absent_key
            path.write_text(route_table({server_name(0): [key(index) for index in range(count)]}), encoding="utf-8")
        return path

    def _idle(self, contender: Contender, point: Point) -> Sample:
        """Wake-ups and CPU while nobody says a word; each client has made a request before."""
        with Crowd(contender.ports[point], point.clients, point.value):
            wait_until_quiet(contender.pids)
            machine_before, own_before_ns = MachineReading.now(), self._own_cpu_ns()
            woken, used_ns, began = wakeups(contender.pids), total_cpu_ns(contender.pids), time.monotonic()
            time.sleep(self.window_s)
            seconds = time.monotonic() - began
            used_ns, woken = total_cpu_ns(contender.pids) - used_ns, wakeups(contender.pids) - woken
            others = share_of_others(machine_before, MachineReading.now(), used_ns + self._own_cpu_ns() - own_before_ns)
        return Sample(
            requests=0,
            requests_per_s=None,
            p50_ms=None,
            p99_ms=None,
            proxy_cpu_us=None,
            server_cpu_us=None,
            client_cpu_us=None,
            others_share=others,
            quiet=True,
            wakeups_per_s=woken / seconds,
            cpu_us_per_s=used_ns / 1e3 / seconds,
        )

    def _own_cpu_ns(self) -> int:
        """CPU of helpers and of all children that were waited for: within a window that is the load, plus our looks."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return round((ended.ru_utime + ended.ru_stime) * 1e9) + time.process_time_ns() + total_cpu_ns(self.helpers)


def check(contender: Contender, point: Point) -> None:
    """Raises Failed unless the contender answers the point's command rightly: a wrong answer may be a fast one."""
    contender.check_running()
    with point.database.connect(contender.ports[point]) as client:
        if point.command == "set":
            # Raises by itself.
            client.set(point.asked_keys[0], point.value)
            return
        expected = list(point.values.values())
        seen = client.get_many(point.asked_keys) if point.command == "mget" else [client.get(point.asked_keys[0])]
        if seen != expected:
            raise Failed(f"wrong answer to {point.command.upper()} ({point.name})")


def requests_that_last(seconds: float, requests_per_s: float, step: int) -> int:
    """How many requests take `seconds` at this rate: a multiple of `step`, at least STEPS_MIN of them."""
    return max(STEPS_MIN, round(seconds * requests_per_s / step)) * step
