"""`bench/compare`: direct Redis, nutcracker, Coremux and others under the same load, in turns, in one run; or the same
before memcached.

Owns: the order of things, what the report consists of, the exit code.
"""

import argparse
import os
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

from bench.lib import cli
from bench.lib import contender
from bench.lib import gate
from bench.lib import machine
from bench.lib import plot
from bench.lib import report
from bench.lib.cli import say
from bench.lib.contender import PROXIES
from bench.lib.contender import Proxy
from bench.lib.coremux_binary import floor_binary
from bench.lib.coremux_binary import load_binary
from bench.lib.crowd import allow_files
from bench.lib.database import MEMCACHED
from bench.lib.database import REDIS
from bench.lib.errors import CannotRun
from bench.lib.machine import Pins
from bench.lib.measure import REPEATS
from bench.lib.measure import Bench
from bench.lib.point import CROWDS
from bench.lib.point import Point
from bench.lib.point import all_points
from bench.lib.point import memcached_points
from bench.lib.point import select
from bench.lib.process import Children
from bench.lib.servers import PROGRAMS
from bench.lib.servers import Server
from bench.lib.servers import fill_keyspace
from bench.lib.servers import start_delay
from bench.lib.servers import start_servers
from bench.lib.summary import PointResult
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows

ROUNDS, ROUNDS_QUICK = 5, 3
WINDOW_S, WINDOW_QUICK_S = 1.5, 0.5
# Beside the window: connections opened, processes at rest, clocks read; and once a contender, check and probe.
_WINDOW_EXTRA_S, _POINT_EXTRA_S = 0.1, 0.5


def main() -> int:
    """Runs the comparison and returns the exit code."""
    arguments = _parse()
    points = _chosen_points(arguments)
    if arguments.list:
        print("\n".join(point.name for point in points))
        return cli.EXIT_OK
    server = _server_program(arguments)
    pins = machine.pins(sorted(os.sched_getaffinity(0))) if arguments.pin else Pins()
    database = MEMCACHED if arguments.memcached else REDIS
    proxies = [
        each
        for each in cli.chosen_proxies(arguments, database)
        if _can_be_measured(each[0], pins, arguments.memcached)
    ]
    folder = cli.output_folder(arguments, "compare")
    setting = cli.setting(proxies, server, database) | {
        "rounds": arguments.rounds,
        "window_s": arguments.seconds,
        "coremux_cores": arguments.cores,
        "cores of client, proxy, server": f"{pins.client}, {pins.proxy}, {pins.servers}" if arguments.pin else "any",
    }
    windows = len(points) * (1 + len(proxies))
    expected_s = windows * (arguments.rounds * (arguments.seconds + _WINDOW_EXTRA_S) + _POINT_EXTRA_S)
    say(f"{len(points)} points, {arguments.rounds} rounds of {1 + len(proxies)} contenders into {folder}")
    say(f"about {expected_s / 60:.1f} min, more where rounds are uneven")
    results: list[PointResult] = []
    interrupted = False
    try:
        _measure(arguments, points, proxies, server, pins, folder, results)
    except KeyboardInterrupt:
        interrupted = True
        say(f"interrupted: reporting the {len(results)} points that are complete")
    return _report(arguments, setting, results, folder, interrupted)


def _parse() -> argparse.Namespace:
    description = "Compare direct Redis, nutcracker and Coremux under the same load."
    parser = cli.parser(description, ROUNDS, other_proxies=False)
    add = parser.add_argument
    add("--memcached", action="store_true", help="memcached in place of Redis, with points and targets of its own")
    extra = [name for name in PROXIES if name not in (contender.NUTCRACKER, contender.COREMUX, contender.RELAY)]
    add("--proxy", action="append", choices=extra, help="measure this one, too; may be repeated")
    add("--server", choices=PROGRAMS, help="what all of them stand before (default: redis-server)")
    add(
        "--program",
        action="append",
        type=cli.named_path,
        metavar="NAME=PATH",
        help="where a program is that is not installed: envoy, redis-8.2, valkey-9.1",
    )
    default = "default: target/release/examples/floor, built if missing"
    add("--floor", type=Path, metavar="PATH", help=f"the least that a proxy can cost ({default})")
    cli.add_load(parser)
    add("--pin", action="store_true", help="the client on one core, proxy and server on another; of three, each its own")
    add("--quick", action="store_true", help="the gate's points only, in short windows")
    add("--only", action="append", default=[], metavar="PATTERN", help="points by shell pattern; may be repeated")
    add("--seconds", type=cli.positive_seconds, metavar="S", help=f"length of a window (default: {WINDOW_S})")
    add("--list", action="store_true", help="print the names of the points and end")
    arguments = parser.parse_args()
    arguments.proxy = [contender.RELAY, *arguments.proxy]
    if arguments.rounds is None:
        arguments.rounds = ROUNDS_QUICK if arguments.quick else ROUNDS
    if arguments.seconds is None:
        arguments.seconds = WINDOW_QUICK_S if arguments.quick else WINDOW_S
    return arguments


def _chosen_points(arguments: argparse.Namespace) -> list[Point]:
    points = memcached_points() if arguments.memcached else all_points()
    if arguments.gate or arguments.quick:
        judged = {target.point for target in gate.targets(arguments.memcached)}
        points = [point for point in points if point.name in judged]
    return select(points, arguments.only)


def _server_program(arguments: argparse.Namespace) -> str:
    if arguments.memcached:
        if arguments.server is not None:
            raise CannotRun("--server chooses among Redis and its kin, and --memcached wants none of them")
        return MEMCACHED.program
    if arguments.server in (None, REDIS.program):
        return REDIS.program
    path = dict(arguments.program).get(arguments.server)
    if path is None:
        raise CannotRun(f"{arguments.server} is not there: {PROGRAMS[arguments.server]}")
    return str(path)


def _can_be_measured(proxy: Proxy, pins: Pins, memcached: bool) -> bool:
    if pins != Pins() and proxy.name in (contender.COREMUX_2, contender.COREMUX_AUTO):
        say(f"left out: {proxy.name} has workers on several cores, which --pin does not give")
        return False
    if memcached and not proxy.memcached:
        say(f"left out: {proxy.name} does not speak memcached's protocol")
        return False
    return True


def _measure(
    arguments: argparse.Namespace,
    points: Sequence[Point],
    proxies: Sequence[tuple[Proxy, Path]],
    server: str,
    pins: Pins,
    folder: Path,
    results: list[PointResult],
) -> None:
    """Appends a result for every point as it is complete, so that an interruption loses only the last one."""
    logs = folder / "run"
    clients = max(point.clients for point in points)
    if clients >= min(CROWDS):
        allow_files(clients)
    needs_load = any(point.uses_generator for point in points)
    # Before anything is started: it may have to be built.
    load = load_binary(arguments.load) if needs_load else None
    with Children() as children:
        count = max(point.servers for point in points)
        servers = start_servers(children, count, logs, server, pins.servers, points[0].database)
        servers_of, helpers = _ways_to(children, servers, points, arguments.floor, logs)
        if any(point.command == "mget" and not point.memcached for point in points):
            fill_keyspace(servers)
        contenders = [contender.direct(points, servers_of)]
        for proxy, binary in proxies:
            started = contender.start_for_points(
                children, proxy, binary, points, servers_of, logs, arguments.cores, pins.proxy
            )
            contenders += [started] if started else []
        if pins.client is not None:
            # Every load that is started from here on is on this core, too.
            os.sched_setaffinity(0, {pins.client})
        bench = Bench(children, contenders, servers, arguments.rounds, arguments.seconds, logs, load, helpers)
        for index, point in enumerate(points, 1):
            say(f"[{index}/{len(points)}] {point.name}")
            results.append(bench.measure_point(point))
            for line in report.spoiled_lines(results[-1:]):
                say(f"  {line}")


def _ways_to(
    children: Children, servers: Sequence[Server], points: Sequence[Point], floor: Path | None, logs: Path
) -> tuple[Callable[[Point], Sequence[Server]], list[int]]:
    """The servers as a point sees them, some behind a slower network; and the processes that are the network."""
    delayed, helpers = {}, []
    for delay_us in sorted({point.delay_us for point in points if point.delay_us}):
        server, pid = start_delay(children, floor_binary(floor), servers[0], delay_us, logs)
        delayed[delay_us] = [server]
        helpers.append(pid)
    return lambda point: delayed.get(point.delay_us) or servers[: point.servers], helpers


def _report(
    arguments: argparse.Namespace,
    setting: dict[str, object],
    results: Sequence[PointResult],
    folder: Path,
    interrupted: bool,
) -> int:
    if not results:
        return cli.EXIT_INTERRUPTED
    report.write_json(folder / "results.json", setting, results)
    measured = {result.point.name for result in results}
    names = list(dict.fromkeys(name for result in results for name in result.rounds))
    targets = gate.targets(arguments.memcached)
    judged = [each for each in gate.chosen(targets, arguments.pin, names) if each[0].point in measured]
    verdicts = gate.judge(results, judged) if arguments.gate else []
    text = _text(setting, results, names, verdicts, len(targets))
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    try:
        plot.draw(results, folder)
    except CannotRun as cause:
        say(f"{cause}, then `bench/plot {folder / 'results.json'}`")
    if interrupted:
        return cli.EXIT_INTERRUPTED
    reached = all(verdict.reached for verdict in verdicts)
    return cli.EXIT_OK if reached and not report.spoiled_lines(results) else cli.EXIT_NOT_REACHED


def _text(
    setting: dict[str, object],
    results: Sequence[PointResult],
    names: Sequence[str],
    verdicts: Sequence[Verdict],
    targets: int,
) -> str:
    parts = [cli.setting_text(setting), report.noise_text(results)]
    for kind in dict.fromkeys(result.point.kind for result in results):
        of_kind = [result for result in results if result.point.kind is kind]
        parts.append(f"## {report.TITLES[kind]}: median (min..max) of the rounds")
        parts.append(report.markdown(report.figure_rows(of_kind)))
    for other in names:
        # The figures have theirs as multiples of the relay already.
        is_floor = other in PROXIES and PROXIES[other].knows_lengths
        if other != contender.COREMUX and contender.COREMUX in names and not is_floor:
            parts.append(f"## coremux ÷ {other}, round by round: median (min..max)")
            parts.append(report.markdown(report.ratio_rows(results, contender.COREMUX, other)))
    for title, lines in (
        ("Measurements that failed", report.spoiled_lines(results)),
        (f"Uneven, though measured {1 + REPEATS} times", report.uneven_lines(results)),
        ("Windows closed too early: their CPU figures are not complete", report.restless_lines(results)),
    ):
        if lines:
            parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)]
    if verdicts:
        reached = sum(verdict.reached for verdict in verdicts)
        parts.append(f"## Targets: {reached} of {len(verdicts)} reached, of {targets} in all")
        parts.append(report.markdown(verdict_rows(verdicts)))
        missed = [f"- {each.where}: {each.missed_text}" for each in verdicts if not each.reached]
        if missed:
            parts += ["Missed:", "\n".join(missed)]
        parts.append("The targets on memory are judged by `bench/memory --gate`.")
    return "\n\n".join(parts) + "\n"
