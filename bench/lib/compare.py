"""`bench/compare`: direct Redis, nutcracker and Coremux under the same load, in turns, in one run.

Owns: the order of things, what the report consists of, the exit code.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.lib import cli
from bench.lib import contender
from bench.lib import gate
from bench.lib import plot
from bench.lib import report
from bench.lib.cli import say
from bench.lib.contender import Proxy
from bench.lib.errors import CannotRun
from bench.lib.measure import measure_point
from bench.lib.point import Point
from bench.lib.point import all_points
from bench.lib.point import select
from bench.lib.process import Children
from bench.lib.servers import fill_keyspace
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
    proxies = cli.chosen_proxies(arguments)
    folder = cli.output_folder(arguments, "compare")
    setting = cli.setting(proxies) | {
        "rounds": arguments.rounds,
        "window_s": arguments.seconds,
        "coremux_cores": arguments.cores,
    }
    windows = len(points) * (1 + len(proxies))
    expected_s = windows * (arguments.rounds * (arguments.seconds + _WINDOW_EXTRA_S) + _POINT_EXTRA_S)
    say(f"{len(points)} points, {arguments.rounds} rounds of {1 + len(proxies)} contenders into {folder}")
    say(f"about {expected_s / 60:.1f} min")
    results: list[PointResult] = []
    interrupted = False
    try:
        _measure(arguments, points, proxies, folder, results)
    except KeyboardInterrupt:
        interrupted = True
        say(f"interrupted: reporting the {len(results)} points that are complete")
    return _report(arguments, setting, results, folder, interrupted)


def _parse() -> argparse.Namespace:
    parser = cli.parser("Compare direct Redis, nutcracker and Coremux under redis-benchmark.", ROUNDS)
    add = parser.add_argument
    add("--quick", action="store_true", help="the gate's points only, in short windows: 1 to 2 minutes")
    add("--only", action="append", default=[], metavar="PATTERN", help="points by shell pattern; may be repeated")
    add("--seconds", type=cli.positive_seconds, metavar="S", help=f"length of a window (default: {WINDOW_S})")
    add("--list", action="store_true", help="print the names of the points and end")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = ROUNDS_QUICK if arguments.quick else ROUNDS
    if arguments.seconds is None:
        arguments.seconds = WINDOW_QUICK_S if arguments.quick else WINDOW_S
    return arguments


def _chosen_points(arguments: argparse.Namespace) -> list[Point]:
    points = all_points()
    if arguments.gate or arguments.quick:
        points = [point for point in points if point.name in gate.POINTS]
    return select(points, arguments.only)


def _measure(
    arguments: argparse.Namespace,
    points: Sequence[Point],
    proxies: Sequence[tuple[Proxy, Path]],
    folder: Path,
    results: list[PointResult],
) -> None:
    """Appends a result for every point as it is complete, so that an interruption loses only the last one."""
    counts = sorted({point.servers for point in points})
    logs = folder / "run"
    with Children() as children:
        servers = start_servers(children, max(counts), logs)
        if any(point.command == "mget" for point in points):
            fill_keyspace(servers)
        contenders = [contender.direct(servers, counts)]
        for proxy, binary in proxies:
            if not proxy.splits and 1 not in counts:
                continue
            contenders.append(contender.start_proxy(children, proxy, binary, servers, counts, logs, arguments.cores))
        for index, point in enumerate(points, 1):
            say(f"[{index}/{len(points)}] {point.name}")
            results.append(measure_point(children, point, contenders, servers, arguments.rounds, arguments.seconds))
            for line in report.spoiled_lines(results[-1:]):
                say(f"  {line}")


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
    verdicts = gate.judge(results, [target for target in gate.TARGETS if target.point in measured])
    text = _text(setting, results, verdicts if arguments.gate else [])
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    try:
        plot.draw(results, folder)
    except CannotRun as cause:
        say(f"{cause}, then `bench/plot {folder / 'results.json'}`")
    if interrupted:
        return cli.EXIT_INTERRUPTED
    reached = all(verdict.reached for verdict in verdicts) or not arguments.gate
    return cli.EXIT_OK if reached and not report.spoiled_lines(results) else cli.EXIT_NOT_REACHED


def _text(setting: dict[str, object], results: Sequence[PointResult], verdicts: Sequence[Verdict]) -> str:
    names = dict.fromkeys(name for result in results for name in result.rounds)
    parts = [
        cli.setting_text(setting),
        report.noise_text(results),
        "## Figures: median (min..max) of the rounds",
        report.markdown(report.figure_rows(results)),
    ]
    for other in names:
        if other != contender.COREMUX and contender.COREMUX in names:
            parts.append(f"## coremux ÷ {other}, round by round: median (min..max)")
            parts.append(report.markdown(report.ratio_rows(results, contender.COREMUX, other)))
    for title, lines in (
        ("Measurements that failed", report.spoiled_lines(results)),
        ("Windows closed too early: their CPU figures are not complete", report.restless_lines(results)),
    ):
        if lines:
            parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)]
    if verdicts:
        reached = sum(verdict.reached for verdict in verdicts)
        parts.append(f"## Targets: {reached} of {len(verdicts)} reached, of {len(gate.TARGETS)} in all")
        parts.append(report.markdown(verdict_rows(verdicts)))
        parts.append("The targets on memory are judged by `bench/memory --gate`.")
    return "\n\n".join(parts) + "\n"
