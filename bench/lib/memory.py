"""`bench/memory`: what idle clients, a burst of large values, and clients that do not read cost in resident memory.

Every measurement has a proxy of its own, freshly started, so that none inherits what another left behind.
"""

import argparse
import json
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.lib import cli
from bench.lib import contender
from bench.lib import machine
from bench.lib import open_load
from bench.lib import report
from bench.lib import rss
from bench.lib.burst import Burst
from bench.lib.cli import say
from bench.lib.contender import Contender
from bench.lib.contender import Proxy
from bench.lib.contender import start_proxy
from bench.lib.contender import with_flags
from bench.lib.coremux_binary import has_flag
from bench.lib.coremux_binary import load_binary
from bench.lib.cpu import wait_until_quiet
from bench.lib.crowd import Crowd
from bench.lib.crowd import allow_files
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.homes import keys_by_server
from bench.lib.homes import route_table
from bench.lib.memory_gate import BACK_WITHIN_BYTES
from bench.lib.memory_gate import BACK_WITHIN_S
from bench.lib.memory_gate import MIB
from bench.lib.memory_gate import BurstCost
from bench.lib.memory_gate import IdleCost
from bench.lib.memory_gate import MemoryResult
from bench.lib.memory_gate import SlowCost
from bench.lib.memory_gate import judge
from bench.lib.memory_gate import judge_slow
from bench.lib.open_load import LoadPlan
from bench.lib.point import size_text
from bench.lib.process import Children
from bench.lib.servers import Server
from bench.lib.servers import fill_value
from bench.lib.servers import start_servers
from bench.lib.slow_readers import VALUE_BYTES
from bench.lib.slow_readers import SlowReaders
from bench.lib.slow_readers import write_value
from bench.lib.summary import Spoiled
from bench.lib.summary import spread
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows

SCHEMA = "coremux-bench-memory/1"
ROUNDS = 3
CLIENTS = 10_000
BURST_MIB = 1024
_SMALL_VALUE_BYTES = 3

SLOW_CLIENTS = 1_000
SLOW_REQUESTS = 4
SLOW_S = 20.0
LIMIT_MIB = 256
# For the one flag that is still to be looked for: an older Coremux, and nutcracker, do not have it.
LIMIT_FLAG = "--memory-limit"
# Bystanders: few, and far from saturation.
BYSTANDERS, BYSTANDERS_PER_S, BYSTANDER_KEYS = 10, 500, 200
# Replies to bystanders may stand behind many large ones that were asked for before.
BYSTANDER_PATIENCE_S = 5.0
# What may be needed when nothing is held back: the proxy's, the server's and the sockets' copies.
_COPIES = 3
# A peak that has not risen for so long is one; a proxy that never stops to rise is measured until then.
_SETTLED_S, _SETTLE_TIMEOUT_S = 3.0, 60.0
SCENARIOS = ("idle", "burst", "slow")

Cost = TypeVar("Cost", IdleCost, BurstCost, SlowCost)


def main() -> int:
    """Measures every proxy and returns the exit code."""
    arguments = _parse()
    scenarios = arguments.only or SCENARIOS
    allow_files(max(arguments.clients if "idle" in scenarios else 0, arguments.slow_clients))
    if "slow" in scenarios:
        _check_memory(arguments.slow_clients)
    proxies = cli.chosen_proxies(arguments)
    load = load_binary(arguments.load) if "slow" in scenarios else None
    folder = cli.output_folder(arguments, "memory")
    setting = cli.setting(proxies) | {"clients": arguments.clients, "burst_mib": arguments.burst_mib}
    setting |= {"slow_clients": arguments.slow_clients, "limit_mib": arguments.limit_mib}
    results = {proxy.name: MemoryResult() for proxy, _ in proxies}
    with Children() as children:
        servers = start_servers(children, 1, folder / "run")
        fill_value(servers[0], _SMALL_VALUE_BYTES)
        write_value(servers[0])
        for turn in range(arguments.rounds):
            for proxy, binary in proxies:
                say(f"[{turn + 1}/{arguments.rounds}] {proxy.name}")
                result = results[proxy.name]

                def start(proxy: Proxy = proxy, binary: Path = binary) -> Contender:
                    return start_proxy(children, proxy, binary, servers, [1], folder / "run", arguments.cores)

                if "idle" in scenarios:
                    result.idle.append(_measured(children, start, partial(_idle_cost, clients=arguments.clients)))
                if "burst" in scenarios:
                    total_bytes = arguments.burst_mib * MIB
                    result.burst.append(_measured(children, start, partial(_burst_cost, total_bytes=total_bytes)))
                if load is not None:
                    limit_bytes = arguments.limit_mib * MIB if has_flag(binary, LIMIT_FLAG) else None
                    limit_text = f"{arguments.limit_mib}MiB"
                    limited = proxy if limit_bytes is None else with_flags(proxy, LIMIT_FLAG, limit_text)
                    slow = _Slow(children, load, servers, folder / "run" / "load", arguments, limit_bytes)
                    result.slow.append(_measured(children, partial(start, limited), slow.cost))
    return _report(arguments, setting, results, folder)


def _parse() -> argparse.Namespace:
    parser = cli.parser("Compare the resident memory of nutcracker and Coremux: idle clients, a burst.", ROUNDS)
    add = parser.add_argument
    add("--clients", type=cli.positive, default=CLIENTS, metavar="N", help=f"idle clients (default: {CLIENTS})")
    add("--burst-mib", type=cli.positive, default=BURST_MIB, metavar="N", help=f"burst (default: {BURST_MIB})")
    add("--only", action="append", choices=SCENARIOS, help="what is measured (default: all); may be repeated")
    add("--slow-clients", type=cli.positive, default=SLOW_CLIENTS, metavar="N", help="clients that do not read")
    add("--slow-seconds", type=cli.positive_seconds, default=SLOW_S, metavar="S", help="how long they stay")
    add("--limit-mib", type=cli.positive, default=LIMIT_MIB, metavar="N", help=f"Coremux's {LIMIT_FLAG} against them")
    cli.add_load(parser)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or ROUNDS
    return arguments


def _measured(children: Children, start: Callable[[], Contender], cost: Callable[[Contender], Cost]) -> Cost | Spoiled:
    """Starts a proxy for one measurement and ends it afterwards."""
    proxy = start()
    try:
        return cost(proxy)
    except (Failed, OSError) as cause:
        spoiled = Spoiled(proxy.reason_for(cause))
        say(f"  failed: {spoiled.reason}")
        return spoiled
    finally:
        if proxy.process is not None:
            children.end(proxy.process)


def _idle_cost(proxy: Contender, clients: int) -> IdleCost:
    wait_until_quiet(proxy.pids)
    before_bytes = rss.rss_bytes(proxy.pids)
    with Crowd(proxy.ports[1], clients, b"x" * _SMALL_VALUE_BYTES) as crowd:
        wait_until_quiet(proxy.pids)
        cost = IdleCost(clients, before_bytes, rss.rss_bytes(proxy.pids))
        # A client that has been dropped meanwhile costs nothing and must not pass for an idle one.
        crowd.ask()
    return cost


def _burst_cost(proxy: Contender, total_bytes: int) -> BurstCost:
    with Burst(proxy.ports[1]) as burst:
        wait_until_quiet(proxy.pids)
        before_bytes = rss.rss_bytes(proxy.pids)
        rss.forget_peak(proxy.pids)
        burst.write(total_bytes)
        burst.read(total_bytes)
        # The burst's clients stay connected: an idle one must not keep what it no longer needs.
        back_s, after_bytes = rss.seconds_until_below(proxy.pids, before_bytes + BACK_WITHIN_BYTES, BACK_WITHIN_S)
        return BurstCost(before_bytes, rss.peak_bytes(proxy.pids), after_bytes, back_s)


@dataclass(frozen=True)
class _Slow:
    """Clients that do not read, and bystanders who do."""

    children: Children
    load: Path
    servers: Sequence[Server]
    folder: Path
    arguments: argparse.Namespace
    limit_bytes: int | None

    def cost(self, proxy: Contender) -> SlowCost:
        self.folder.mkdir(exist_ok=True)
        keys = self.folder / "keys.txt"
        homes = keys_by_server(proxy, self.servers, BYSTANDER_KEYS)
        keys.write_text(route_table(homes), encoding="utf-8")
        plan = LoadPlan(
            port=proxy.ports[1],
            rate=BYSTANDERS_PER_S,
            seconds=self.arguments.slow_seconds / 4,
            keys=keys,
            connections=BYSTANDERS,
            patience_s=BYSTANDER_PATIENCE_S,
        )
        alone = open_load.run(self.children, self.load, plan, self.folder)
        wait_until_quiet(proxy.pids)
        before_bytes = rss.rss_bytes(proxy.pids)
        rss.forget_peak(proxy.pids)
        meanwhile = replace(plan, seconds=self.arguments.slow_seconds)
        with SlowReaders(proxy.ports[1], self.arguments.slow_clients, SLOW_REQUESTS) as slow:
            seen = open_load.run(self.children, self.load, meanwhile, self.folder)
            peak_bytes, closed = _settled_peak_bytes(proxy.pids), slow.closed()
            tcp_bytes = machine.tcp_bytes()
        for each in (alone, seen):
            if each.mixed:
                raise Failed(each.complaint)
        return SlowCost(
            before_bytes=before_bytes,
            peak_bytes=peak_bytes,
            limit_bytes=self.limit_bytes,
            alone_p99_ms=alone.together.p99_ms,
            good=seen.together.good,
            failed=seen.together.errors_in_all,
            p99_ms=seen.together.p99_ms,
            closed=closed,
            tcp_bytes=tcp_bytes,
        )


def _settled_peak_bytes(pids: Sequence[int]) -> int:
    """The highest resident memory, once it has stopped to rise: gigabytes take their time."""
    give_up_at = time.monotonic() + _SETTLE_TIMEOUT_S
    peak_bytes, risen_at = rss.peak_bytes(pids), time.monotonic()
    while time.monotonic() - risen_at < _SETTLED_S and time.monotonic() < give_up_at:
        time.sleep(rss.LOOK_S)
        if (now_bytes := rss.peak_bytes(pids)) > peak_bytes:
            peak_bytes, risen_at = now_bytes, time.monotonic()
    return peak_bytes


def _check_memory(clients: int) -> None:
    needed = clients * SLOW_REQUESTS * VALUE_BYTES * _COPIES
    available = machine.available_bytes()
    if available < needed:
        raise CannotRun(
            f"{clients} clients that do not read may take {needed / MIB:,.0f} MiB of memory, and "
            f"{available / MIB:,.0f} are free: use --slow-clients, or --only idle --only burst"
        )


def _report(
    arguments: argparse.Namespace, setting: dict[str, object], results: Mapping[str, MemoryResult], folder: Path
) -> int:
    content = {"schema": SCHEMA, "setting": setting, "results": {name: asdict(each) for name, each in results.items()}}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    verdicts: list[Verdict] = []
    if arguments.gate:
        own, scenarios = results[contender.COREMUX], arguments.only or SCENARIOS
        idle, burst = judge(own, arguments.clients, size_text(arguments.burst_mib * MIB))
        verdicts = [verdict for name, verdict in (("idle", idle), ("burst", burst)) if name in scenarios]
        if "slow" in scenarios:
            verdicts += judge_slow(own, arguments.limit_mib * MIB, arguments.slow_clients)
    text = _text(setting, results, verdicts)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    failed = any(isinstance(each, Spoiled) for result in results.values() for each in _all_of(result))
    return cli.EXIT_OK if not failed and all(verdict.reached for verdict in verdicts) else cli.EXIT_NOT_REACHED


def _text(setting: dict[str, object], results: Mapping[str, MemoryResult], verdicts: Sequence[Verdict]) -> str:
    rows = [["contender", "KiB per idle client", "before burst, MiB", "peak, MiB", "after, MiB", "back after, s"]]
    for name, result in results.items():
        idle = [each for each in result.idle if not isinstance(each, Spoiled)]
        bursts = [each for each in result.burst if not isinstance(each, Spoiled)]
        late = sum(each.back_s is None for each in bursts)
        back = report.range_text(spread(each.back_s for each in bursts))
        rows.append(
            [
                name,
                report.range_text(spread(each.kib_per_client for each in idle)),
                report.range_text(spread(each.before_bytes / MIB for each in bursts)),
                report.range_text(spread(each.peak_bytes / MIB for each in bursts)),
                report.range_text(spread(each.after_bytes / MIB for each in bursts)),
                f"{back} not in {BACK_WITHIN_S:g} s: {late} of {len(bursts)}".strip() if late else back,
            ]
        )
    parts = [cli.setting_text(setting)]
    if any(result.idle or result.burst for result in results.values()):
        parts += ["## Resident memory: median (min..max) of the rounds", report.markdown(rows)]
    slow_rows = _slow_rows(results)
    if len(slow_rows) > 1:
        parts += ["## Clients that ask for values of 1 MiB and do not read", report.markdown(slow_rows)]
    spoiled = dict.fromkeys(
        f"- {name}: {each.reason}"
        for name, result in results.items()
        for each in _all_of(result)
        if isinstance(each, Spoiled)
    )
    if spoiled:
        parts += ["## Measurements that failed", "\n".join(spoiled)]
    if verdicts:
        parts += ["## Targets", report.markdown(verdict_rows(verdicts))]
    return "\n\n".join(parts) + "\n"


def _slow_rows(results: Mapping[str, MemoryResult]) -> list[list[str]]:
    rows = [["contender", "limit, MiB", "before, MiB", "peak, MiB", "TCP of the machine, MiB", "closed"]]
    rows[0] += ["bystanders: good", "failed", "p99 alone, ms", "p99, ms"]
    for name, result in results.items():
        slow = [each for each in result.slow if not isinstance(each, Spoiled)]
        if not slow:
            continue
        limit_bytes = slow[0].limit_bytes
        rows.append(
            [
                name,
                "none" if limit_bytes is None else f"{limit_bytes / MIB:g}",
                report.range_text(spread(each.before_bytes / MIB for each in slow)),
                report.range_text(spread(each.peak_bytes / MIB for each in slow)),
                report.range_text(spread(each.tcp_bytes / MIB for each in slow)),
                f"{max(each.closed for each in slow):,}",
                f"{min(each.good for each in slow):,}",
                f"{max(each.failed for each in slow):,}",
                report.range_text(spread(each.alone_p99_ms for each in slow)),
                report.range_text(spread(each.p99_ms for each in slow)),
            ]
        )
    return rows


def _all_of(result: MemoryResult) -> tuple[IdleCost | BurstCost | SlowCost | Spoiled, ...]:
    return (*result.idle, *result.burst, *result.slow)
