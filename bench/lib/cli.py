"""What the command lines of the programs share: contenders, output folder, exit codes."""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.lib import contender
from bench.lib import machine
from bench.lib.contender import Proxy
from bench.lib.coremux_binary import REPOSITORY
from bench.lib.coremux_binary import coremux_binary
from bench.lib.coremux_binary import floor_binary
from bench.lib.coremux_binary import is_older_than_sources
from bench.lib.database import Database
from bench.lib.database import REDIS
from bench.lib.errors import CannotRun
from bench.lib.process import end_on_signals

EXIT_OK = 0
EXIT_NOT_REACHED = 1
EXIT_CANNOT_RUN = 2
EXIT_INTERRUPTED = 130

# What every run needs beside its servers, and the Debian package that has it.
_PROGRAMS = {"redis-benchmark": "redis-tools", "setpriv": "util-linux"}

# Of these there is one contender in all programs but `compare`, or none.
_OWN_PROGRAMS = (contender.NUTCRACKER, contender.COREMUX, contender.FLOOR)


def parser(description: str, rounds: int, other_proxies: bool = True) -> argparse.ArgumentParser:
    """A parser with the options that all programs have; `--proxy` where other proxies can be measured."""
    made = argparse.ArgumentParser(
        description=description,
        epilog="Exit codes: 0 done (with --gate: all targets reached), 1 a target was not reached or a measurement "
        "failed, 2 cannot run, 130 interrupted. See bench/README.md.",
    )
    default = "default: target/release/coremux, built if missing"
    made.add_argument("--coremux", type=Path, metavar="PATH", help=f"binary ({default})")
    made.add_argument("--cores", type=positive, default=1, metavar="N", help="Coremux's workers (default: 1)")
    made.set_defaults(proxy=[], program=[], floor=None)
    if other_proxies:
        extra = [row.name for row in contender.PROXIES.values() if row.program not in _OWN_PROGRAMS]
        made.add_argument("--proxy", action="append", choices=extra, help="measure this proxy, too")
    made.add_argument("--rounds", type=positive, metavar="N", help=f"rounds (default: {rounds})")
    made.add_argument("--gate", action="store_true", help="judge the project's targets")
    made.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: one by date in target/bench)")
    return made


def add_load(to: argparse.ArgumentParser) -> None:
    """The load generator, for programs that use it."""
    default = "default: target/release/examples/load, built if missing"
    to.add_argument("--load", type=Path, metavar="PATH", help=f"the load generator ({default})")


def named_path(text: str) -> tuple[str, Path]:
    """For argparse: NAME=PATH, of a program."""
    name, _, path = text.partition("=")
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: NAME=PATH, of a program that can be run")
    return name, Path(path).resolve()


def positive(text: str) -> int:
    """For argparse: an integer of 1 or more."""
    if (number := int(text)) < 1:
        raise ValueError("must be 1 or more")
    return number


def positive_seconds(text: str) -> float:
    """For argparse: a length of time."""
    if not (seconds := float(text)) > 0:
        raise ValueError("must be more than nothing")
    return seconds


def guarded(main: Callable[[], int]) -> int:
    """Runs `main` so that its processes are ended on SIGTERM and SIGHUP, too, and its errors become exit codes."""
    end_on_signals()
    try:
        return main()
    except CannotRun as cause:
        say(f"{Path(sys.argv[0]).name}: {cause}")
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_INTERRUPTED


def chosen_proxies(arguments: argparse.Namespace, database: Database = REDIS) -> list[tuple[Proxy, Path]]:
    """nutcracker, Coremux and what `--proxy` adds, each with its binary, to stand before such servers.

    Raises CannotRun where one of the two cannot be had; of the others it is said, and they are left out.
    """
    programs = _PROGRAMS | {database.program: database.package}
    missing = {package for program, package in programs.items() if shutil.which(program) is None}
    if missing:
        raise CannotRun(f"missing programs: apt-get install {' '.join(sorted(missing))}")
    names = dict.fromkeys((contender.NUTCRACKER, contender.COREMUX, *arguments.proxy))
    found = {}
    for name in names:
        try:
            found[name] = _binary(contender.PROXIES[name], arguments)
        except CannotRun as cause:
            if name not in arguments.proxy or contender.PROXIES[name].program == contender.COREMUX:
                raise
            say(f"left out: {cause}")
    if arguments.coremux is None and is_older_than_sources(found[contender.COREMUX]):
        say("warning: target/release/coremux is older than the sources; `cargo build --release` makes a new one")
    return [(contender.PROXIES[name], binary) for name, binary in found.items()]


def _binary(proxy: Proxy, arguments: argparse.Namespace) -> Path:
    if proxy.program == contender.COREMUX:
        return coremux_binary(arguments.coremux)
    if proxy.program == contender.FLOOR:
        return floor_binary(arguments.floor)
    return contender.find_binary(proxy, dict(arguments.program))


def output_folder(arguments: argparse.Namespace, program: str) -> Path:
    """Made if needed, with `run/` in it for configurations and logs."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder: Path = arguments.out or REPOSITORY / f"target/bench/{program}-{stamp}-{os.getpid()}"
    (folder / "run").mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def setting(
    proxies: list[tuple[Proxy, Path]], server: str | None = None, database: Database = REDIS
) -> dict[str, object]:
    """What the figures depend on: machine, programs, commit."""
    versions = {proxy.name: machine.version_of([str(binary), proxy.version]) for proxy, binary in proxies}
    versions[database.name] = machine.version_of([server or database.program, "--version"])
    commit = subprocess.run(
        ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine.describe(),
        "versions": versions,
        "commit": commit.stdout.strip() or "unknown",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def setting_text(values: dict[str, object]) -> str:
    """The head of a report."""
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {each}" for name, each in value.items())
        lines.append(f"- {key.replace('_', ' ')}: {value}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Progress and complaints go to stderr; stdout has only the report."""
    print(text, file=sys.stderr, flush=True)
