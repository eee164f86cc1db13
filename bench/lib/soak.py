"""`bench/soak`: thousands of clients a second come and go, for minutes; does the proxy grow?

Owns: the processes, the samples, the report. Never: talks to the proxy itself (`churn` does).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.lib import cli
from bench.lib import contender
from bench.lib import report
from bench.lib import rss
from bench.lib.churn import Churn
from bench.lib.cli import say
from bench.lib.contender import Contender
from bench.lib.contender import start_proxy
from bench.lib.coremux_binary import REPOSITORY
from bench.lib.cpu import wait_until_quiet
from bench.lib.crowd import allow_files
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import tail
from bench.lib.servers import start_servers
from bench.lib.soak_gate import KIB
from bench.lib.soak_gate import MIB
from bench.lib.soak_gate import Sample
from bench.lib.soak_gate import SoakResult
from bench.lib.soak_gate import judge
from bench.lib.verdict import Verdict
from bench.lib.verdict import verdict_rows

SCHEMA = "coremux-bench-soak/1"
SECONDS = 600.0
RATE_PER_S = 5_000
SERVERS = 2
# What one Python process makes, on a machine that is shared with proxy and servers.
RATE_OF_PROCESS_PER_S = 1_000
SAMPLE_S = 1.0
# Two seconds of a few clients, then as long without any: those that linger go within a second.
WARM_UP_NUMBER, WARM_UP_PER_S, WARM_UP_S = 100, 100, 2.0
# For a client that was reset, or lingers, to be gone.
LEFT_TIMEOUT_S = 10.0
# Clients that wait for a reply when their time is over.
_END_TIMEOUT_S = 30.0


def main() -> int:
    """Runs it and returns the exit code."""
    arguments = _parse()
    # A connection lives for less than a second.
    allow_files(arguments.rate)
    proxies = cli.chosen_proxies(arguments)
    if not arguments.both:
        proxies = [(proxy, binary) for proxy, binary in proxies if proxy.name == contender.COREMUX]
    folder = cli.output_folder(arguments, "soak")
    setting = cli.setting(proxies) | {"connections/s": arguments.rate, "seconds": arguments.seconds}
    results: dict[str, SoakResult] = {}
    failures: dict[str, str] = {}
    for proxy, binary in proxies:
        with Children() as children:
            servers = start_servers(children, SERVERS, folder / "run")
            running = start_proxy(children, proxy, binary, servers, [SERVERS], folder / "run", arguments.cores)
            try:
                results[proxy.name] = _soak(children, running, arguments, folder / "run")
            except (Failed, OSError) as cause:
                failures[proxy.name] = running.reason_for(cause)
                say(f"{proxy.name} failed: {failures[proxy.name]}")
    return _report(arguments, setting, results, failures, folder)


def _parse() -> argparse.Namespace:
    parser = cli.parser("Clients come and go for minutes: does the proxy grow?", 1, other_proxies=False)
    add = parser.add_argument
    add("--seconds", type=cli.positive_seconds, default=SECONDS, metavar="S", help="length (default: 600)")
    add("--rate", type=cli.positive, default=RATE_PER_S, metavar="N", help=f"connections a second ({RATE_PER_S})")
    add("--both", action="store_true", help="nutcracker, too, for as long")
    return parser.parse_args()


def _soak(children: Children, running: Contender, arguments: argparse.Namespace, folder: Path) -> SoakResult:
    # So that every server has its connection.
    warm_up = Churn(running.ports[SERVERS], WARM_UP_NUMBER)
    warm_up.run(WARM_UP_PER_S, WARM_UP_S)
    if warm_up.failures:
        raise Failed(f"not served: {dict(warm_up.failures)}")
    wait_until_quiet(running.pids)
    time.sleep(WARM_UP_S)
    files_before = _open_files(running.pids)
    count = math.ceil(arguments.rate / RATE_OF_PROCESS_PER_S)
    say(f"{running.name}: {arguments.rate:,} connections a second for {arguments.seconds:g} s, {count} processes")
    processes = [_start_churn(children, running, arguments, count, number, folder) for number in range(count)]
    samples: list[Sample] = []
    begun = time.monotonic()
    # The processes begin and end by themselves; samples are taken while all of them are at work.
    while (at_s := time.monotonic() - begun) < arguments.seconds:
        running.check_running()
        samples.append(Sample(at_s, rss.rss_bytes(running.pids), _open_files(running.pids)))
        if len(samples) % 10 == 0:
            say(f"  {at_s:4.0f} s: {samples[-1].rss_bytes / MIB:.1f} MiB, {samples[-1].files} descriptors")
        time.sleep(max(0.0, begun + len(samples) * SAMPLE_S - time.monotonic()))
    ends: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    seconds = 0.0
    for number, process in enumerate(processes):
        tally = _tally_of(process, folder / f"churn-{running.name}-{number}.log")
        ends.update(tally["ends"])
        failures.update(tally["failures"])
        seconds = max(seconds, tally["seconds"])
    files_left = _files_left(running.pids, files_before)
    rss_left_bytes = rss.rss_bytes(running.pids)
    return SoakResult(seconds, dict(ends), dict(failures), samples, files_before, files_left, rss_left_bytes)


def _start_churn(
    children: Children, running: Contender, arguments: argparse.Namespace, count: int, number: int, folder: Path
) -> subprocess.Popen[str]:
    # env, because a child of this run starts where this run was started.
    argv = ["env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "bench.lib.churn"]
    argv += [str(running.ports[SERVERS]), str(arguments.rate / count), str(arguments.seconds), str(number)]
    return children.start(argv, folder / f"churn-{running.name}-{number}.log")


def _tally_of(process: subprocess.Popen[str], log: Path) -> Mapping[str, Mapping[str, int]]:
    try:
        if process.wait(_END_TIMEOUT_S) == 0:
            return json.loads(tail(log, 1))
    except subprocess.TimeoutExpired as cause:
        raise Failed("a process of clients did not end") from cause
    except json.JSONDecodeError as cause:
        raise CannotRun(f"{log}: {cause}") from cause
    raise CannotRun(f"a process of clients failed:\n{tail(log)}")


def _open_files(pids: Sequence[int]) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def _files_left(pids: Sequence[int], before: int) -> int:
    """Descriptors once they are back at what they were, or when they had time enough."""
    give_up_at = time.monotonic() + LEFT_TIMEOUT_S
    while (files := _open_files(pids)) > before and time.monotonic() < give_up_at:
        time.sleep(0.05)
    return files


def _report(
    arguments: argparse.Namespace,
    setting: dict[str, object],
    results: Mapping[str, SoakResult],
    failures: Mapping[str, str],
    folder: Path,
) -> int:
    plain = {name: asdict(each) for name, each in results.items()}
    content = {"schema": SCHEMA, "setting": setting, "results": plain, "failures": failures}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    own = results.get(contender.COREMUX)
    verdicts = judge(own) if arguments.gate and own is not None else []
    text = _text(setting, results, failures, verdicts)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    reached = not failures and all(verdict.reached for verdict in verdicts)
    return cli.EXIT_OK if reached else cli.EXIT_NOT_REACHED


def _text(
    setting: dict[str, object],
    results: Mapping[str, SoakResult],
    failures: Mapping[str, str],
    verdicts: Sequence[Verdict],
) -> str:
    rows = [["contender", "connections", "a second", "not served", "MiB: after 1 s", "middle", "end", "at rest"]]
    rows[0] += ["rise of 2nd half, KiB", "bytes a connection", "descriptors: before", "most", "rise", "left"]
    lines = []
    for name, each in results.items():
        last = len(each.samples) - 1
        at = [each.samples[place].rss_bytes / MIB for place in (min(1, last), last // 2, last)]
        rows.append(
            [
                name,
                f"{each.connections:,}",
                f"{each.connections / each.seconds:,.0f}",
                f"{sum(each.failures.values()):,}",
                *(f"{value:.1f}" for value in (*at, each.rss_left_bytes / MIB)),
                f"{each.memory_rise_bytes / KIB:+,.0f}",
                f"{each.memory_rise_bytes / max(1, each.connections / 2):+.2f}",
                f"{each.files_before}",
                f"{max(sample.files for sample in each.samples)}",
                f"{each.files_rise:+.1f}",
                f"{each.files_left}",
            ]
        )
        ends = ", ".join(f"{count:,} {kind}" for kind, count in each.ends.items())
        lines.append(f"- {name}: {ends}")
        lines += [f"- {name}: not served: {count:,} × {what}" for what, count in each.failures.items()]
    lines += [f"- {name}: failed: {reason}" for name, reason in failures.items()]
    parts = [cli.setting_text(setting), "## Clients that come and go", report.markdown(rows), "\n".join(lines)]
    if verdicts:
        parts += ["## Targets", report.markdown(verdict_rows(verdicts))]
    return "\n\n".join(parts) + "\n"
