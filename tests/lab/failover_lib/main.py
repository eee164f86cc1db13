"""`tests/lab/failover`: runs the scenarios on the variants, several times each, and judges them."""

import argparse
import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path

from bench.lib import cli
from bench.lib import machine
from bench.lib.cli import say
from bench.lib.coremux_binary import REPOSITORY
from bench.lib.coremux_binary import coremux_binary
from bench.lib.coremux_binary import is_older_than_sources
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.verdict import verdict_rows
from lab.failover_lib import report
from lab.failover_lib.gate import Slack
from lab.failover_lib.gate import judge_targets
from lab.failover_lib.host import CannotStart
from lab.failover_lib.network import check_allowed
from lab.failover_lib.network import clean
from lab.failover_lib.proxy import Coremux
from lab.failover_lib.proxy import find_out
from lab.failover_lib.run import Result
from lab.failover_lib.run import run_once
from lab.failover_lib.scenario import SCENARIOS
from lab.failover_lib.variant import COREMUX
from lab.failover_lib.variant import NUTCRACKER
from lab.failover_lib.variant import VARIANTS
from lab.failover_lib.variant import Variant

SCHEMA = "coremux-bench-failover/1"
RUNS = 3
# What a change must not break, in a minute.
QUICK_SCENARIOS = ("master-1", "proxy", "failover-vip")

_PROGRAMS = {
    "redis-server": "redis-server",
    "redis-sentinel": "redis-sentinel",
    "redis-cli": "redis-tools",
    "keepalived": "keepalived",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "pkill": "procps",
    "sh": "dash",
}
_NUTCRACKER_PROGRAMS = {"nutcracker": "nutcracker", "killall": "psmisc", "flock": "util-linux"}


def main() -> int:
    """Runs what was asked for and returns the exit code."""
    arguments = _parse()
    # Debian puts daemons where an ordinary user's PATH does not look.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if arguments.list:
        print("scenarios:", *(f"  {name}: {row.title}" for name, row in SCENARIOS.items()), sep="\n")
        print("variants:", *(f"  {name}" for name in VARIANTS), sep="\n")
        return cli.EXIT_OK
    if arguments.clean:
        for name in clean():
            say(f"removed {name}")
        return cli.EXIT_OK
    variants = [VARIANTS[name] for name in arguments.variant]
    coremux = _check(variants, arguments)
    folder = cli.output_folder(arguments, "failover")
    runs: dict[tuple[str, str], list] = {(v.name, s): [] for s in arguments.scenario for v in variants}
    failures: list[str] = []
    number = 0
    # Round by round, so that what disturbs the machine for a while does not hit one variant alone.
    for turn in range(arguments.runs):
        for name in arguments.scenario:
            for variant in variants:
                number += 1
                label = f"{name}-{variant.name}-{turn + 1}"
                result = _run(variant, name, coremux, folder / "run" / label, number, arguments.quick)
                if isinstance(result, Result):
                    runs[variant.name, name].append(result.by_clients)
                else:
                    failures.append(f"{label}: {result}")
                _write_json(folder, arguments, runs, failures)
    return _report(arguments, _setting(variants, coremux), runs, failures, folder)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="What clients feel when masters, proxies, hosts and cables fail: six hosts as network namespaces, "
        "with real Redis, Sentinel, keepalived, and nutcracker or Coremux. Needs root.",
        epilog="Exit codes: 0 done (with --gate: all targets reached), 1 a target was not reached or a run failed, "
        "2 cannot run, 130 interrupted. See tests/lab/README.md.",
    )
    add = parser.add_argument
    add("--variant", action="append", choices=list(VARIANTS), help="only this one (default: all)")
    add("--scenario", action="append", choices=list(SCENARIOS), help="only this one (default: all)")
    add("--runs", type=cli.positive, metavar="N", help=f"runs of each (default: {RUNS})")
    add("--gate", action="store_true", help="judge the project's targets for Coremux")
    add("--slack-s", type=float, default=0.0, metavar="S", help="add this to each target in seconds: for a busy machine")
    add("--slack-errors", type=int, default=0, metavar="N", help="and this to those of requests caught under way")
    add("--quick", action="store_true", help="Coremux alone, a few scenarios, one run, with --gate; under 90 s")
    add("--coremux", type=Path, metavar="PATH", help="binary (default: target/release/coremux, built if missing)")
    add("--out", type=Path, metavar="DIR", help="output folder (default: one by date in target/bench)")
    add("--list", action="store_true", help="show scenarios and variants, and exit")
    add("--clean", action="store_true", help="remove namespaces that a killed run has left behind, and exit")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.gate = True
    quick = arguments.quick
    arguments.variant = arguments.variant or ([COREMUX] if quick else list(VARIANTS))
    arguments.scenario = arguments.scenario or list(QUICK_SCENARIOS if quick else SCENARIOS)
    arguments.runs = arguments.runs or (1 if quick else RUNS)
    return arguments


def _check(variants: list[Variant], arguments: argparse.Namespace) -> Coremux | None:
    """Raises CannotRun for what is missing; returns the Coremux to run, if one is to run."""
    programs = dict(_PROGRAMS)
    if any(each.program == NUTCRACKER for each in variants):
        programs |= _NUTCRACKER_PROGRAMS
    missing = {package for program, package in programs.items() if shutil.which(program) is None}
    if missing:
        raise CannotRun(f"missing programs: apt-get install {' '.join(sorted(missing))}")
    check_allowed()
    if all(each.program != COREMUX for each in variants):
        return None
    coremux = find_out(coremux_binary(arguments.coremux))
    if arguments.coremux is None and is_older_than_sources(coremux.binary):
        say("warning: target/release/coremux is older than the sources; `cargo build --release` makes a new one")
    if coremux.lacks:
        say(f"warning: this Coremux has to do without {', '.join(coremux.lacks)}")
    return coremux


def _run(
    variant: Variant, scenario: str, coremux: Coremux | None, folder: Path, number: int, quick: bool
) -> Result | str:
    """A run's figures, or why it has none."""
    if quick:
        variant = replace(variant, watch_s=variant.watch_s / 2)
    try:
        result = run_once(variant, SCENARIOS[scenario], coremux, folder, number)
    except (Failed, CannotStart, OSError, subprocess.SubprocessError) as cause:
        say(f"{folder.name}: failed: {cause}")
        return str(cause)
    words = report.summary_rows({(variant.name, scenario): [result.by_clients]}, [variant.name], [scenario])
    say(f"{folder.name}: {words[1][1]} [{result.seconds:.0f} s]")
    return result


def _setting(variants: list[Variant], coremux: Coremux | None) -> dict[str, object]:
    versions = {
        "redis": machine.version_of(["redis-server", "--version"]),
        "keepalived": machine.version_of(["keepalived", "--version"]),
    }
    for program in {each.program for each in variants}:
        binary = program if coremux is None or program != COREMUX else str(coremux.binary)
        versions[program] = machine.version_of([binary, "-V"])
    commit = subprocess.run(
        ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    lacks = {"Coremux has to do without": ", ".join(coremux.lacks)} if coremux and coremux.lacks else {}
    return {
        **lacks,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine.describe(),
        "versions": versions,
        "commit": commit.stdout.strip() or "unknown",
    }


def _write_json(folder: Path, arguments: argparse.Namespace, runs: dict, failures: list[str]) -> None:
    """After every run: an interrupted program has not measured for nothing."""
    content = {
        "schema": SCHEMA,
        "runs_asked": arguments.runs,
        "results": [
            {"variant": variant, "scenario": scenario, "runs": [_plain(run) for run in each]}
            for (variant, scenario), each in runs.items()
        ],
        "failures": failures,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")


def _plain(run: dict) -> dict:
    return {clients: asdict(figures) for clients, figures in run.items()}


def _report(
    arguments: argparse.Namespace, setting: dict[str, object], runs: dict, failures: list[str], folder: Path
) -> int:
    parts = [
        cli.setting_text(setting),
        f"## What the clients saw: seconds without a good reply for keys of master 1 / 2; medians of {arguments.runs}",
        report.table(report.summary_rows(runs, arguments.variant, arguments.scenario)),
        "## Every figure: median (min..max)",
        report.table(report.detail_rows(runs)),
        "## Errors",
        report.table(report.text_rows(runs)),
    ]
    if failures:
        parts += ["## Runs that failed", "\n".join(f"- {each}" for each in failures)]
    verdicts = []
    if arguments.gate:
        ours = {scenario: each for (variant, scenario), each in runs.items() if variant == COREMUX}
        verdicts = judge_targets(ours, Slack(arguments.slack_s, arguments.slack_errors))
        reached = sum(each.reached for each in verdicts)
        parts += ["## Targets", report.table(verdict_rows(verdicts)), f"{reached} of {len(verdicts)} reached"]
    text = "\n\n".join(parts) + "\n"
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text, end="")
    good = not failures and all(each.reached for each in verdicts)
    return cli.EXIT_OK if good else cli.EXIT_NOT_REACHED
