"""`bench/memory`: what idle clients and a burst of large values cost nutcracker and Coremux in resident memory.

Every measurement has a proxy of its own, freshly started, so that none inherits what another left behind.
"""

import argparse
import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.lib import cli
from bench.lib import contender
from bench.lib import report
from bench.lib import rss
from bench.lib.burst import Burst
from bench.lib.cli import say
from bench.lib.contender import Contender
from bench.lib.contender import start_proxy
from bench.lib.cpu import wait_until_quiet
from bench.lib.crowd import Crowd
from bench.lib.crowd import allow_files
from bench.lib.errors import Failed
from bench.lib.memory_gate import BACK_WITHIN_BYTES
from bench.lib.memory_gate import BACK_WITHIN_S
from bench.lib.memory_gate import MIB
from bench.lib.memory_gate import BurstCost
from bench.lib.memory_gate import IdleCost
from bench.lib.memory_gate import MemoryResult
from bench.lib.memory_gate import judge
from bench.lib.point import size_text
from bench.lib.process import Children
from bench.lib.servers import fill_value
from bench.lib.servers import start_servers
from bench.lib.summary import Spoiled
from bench.lib.summary import spread
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows

SCHEMA = "coremux-bench-memory/1"
ROUNDS = 3
CLIENTS = 10_000
BURST_MIB = 1024
_SMALL_VALUE_BYTES = 3

Cost = TypeVar("Cost", IdleCost, BurstCost)


def main() -> int:
    """Measures every proxy and returns the exit code."""
    arguments = _parse()
    allow_files(arguments.clients)
    proxies = cli.chosen_proxies(arguments)
    folder = cli.output_folder(arguments, "memory")
    setting = cli.setting(proxies) | {"clients": arguments.clients, "burst_mib": arguments.burst_mib}
    results = {proxy.name: MemoryResult() for proxy, _ in proxies}
    with Children() as children:
        servers = start_servers(children, 1, folder / "run")
        fill_value(servers[0], _SMALL_VALUE_BYTES)
        for turn in range(arguments.rounds):
            for proxy, binary in proxies:
                say(f"[{turn + 1}/{arguments.rounds}] {proxy.name}")
                start = partial(start_proxy, children, proxy, binary, servers, [1], folder / "run", arguments.cores)
                result = results[proxy.name]
                result.idle.append(_measured(children, start, partial(_idle_cost, clients=arguments.clients)))
                total_bytes = arguments.burst_mib * MIB
                result.burst.append(_measured(children, start, partial(_burst_cost, total_bytes=total_bytes)))
    return _report(arguments, setting, results, folder)


def _parse() -> argparse.Namespace:
    parser = cli.parser("Compare the resident memory of nutcracker and Coremux: idle clients, a burst.", ROUNDS)
    add = parser.add_argument
    add("--clients", type=cli.positive, default=CLIENTS, metavar="N", help=f"idle clients (default: {CLIENTS})")
    add("--burst-mib", type=cli.positive, default=BURST_MIB, metavar="N", help=f"burst (default: {BURST_MIB})")
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


def _report(
    arguments: argparse.Namespace, setting: dict[str, object], results: Mapping[str, MemoryResult], folder: Path
) -> int:
    content = {"schema": SCHEMA, "setting": setting, "results": {name: asdict(each) for name, each in results.items()}}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    verdicts: list[Verdict] = []
    if arguments.gate:
        burst_text = size_text(arguments.burst_mib * MIB)
        verdicts = judge(results[contender.COREMUX], arguments.clients, burst_text)
    text = _text(setting, results, verdicts)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    failed = any(isinstance(each, Spoiled) for result in results.values() for each in (*result.idle, *result.burst))
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
    parts = [
        cli.setting_text(setting),
        "## Resident memory: median (min..max) of the rounds",
        report.markdown(rows),
    ]
    spoiled = dict.fromkeys(
        f"- {name}: {each.reason}"
        for name, result in results.items()
        for each in (*result.idle, *result.burst)
        if isinstance(each, Spoiled)
    )
    if spoiled:
        parts += ["## Measurements that failed", "\n".join(spoiled)]
    if verdicts:
        parts += ["## Targets", report.markdown(verdict_rows(verdicts))]
    return "\n\n".join(parts) + "\n"
