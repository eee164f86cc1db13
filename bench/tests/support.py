"""What several tests need: real servers, a Coremux to measure before there is one, and waiting for a condition."""

import os
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.lib.database import REDIS
from bench.lib.process import Children
from bench.lib.servers import start_servers

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 30

# Takes Coremux's command line and is nutcracker: the bench can be tested without building Coremux, and all its ratios
# to nutcracker are then known to be about 1.
_STAND_IN = """#!/bin/sh
for word do
    shift
    if [ "$word" = --cores ]; then skip=1; elif [ "${skip:-0}" = 1 ]; then skip=0; else set -- "$@" "$word"; fi
done
exec nutcracker "$@"
"""


class WithServers(unittest.TestCase):
    """Real servers for each test, `server_count` of them, and a folder; all of it is gone after the test."""

    server_count = 1
    database = REDIS

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.children = self.enterContext(Children())
        self.servers = start_servers(self.children, self.server_count, self.folder, database=self.database)
        self.server = self.servers[0]


class WithPrograms(unittest.TestCase):
    """Runs programs of `bench/` with nutcracker in the place of Coremux; all that they write is gone after the test."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"
        self.stand_in = write_stand_in(self.folder)

    def argv(self, program: str, *words: str) -> list[str]:
        return [str(REPOSITORY / "bench" / program), "--coremux", str(self.stand_in), "--out", str(self.out), *words]

    def run_program(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def write_stand_in(folder: Path) -> Path:
    """An executable to give to `--coremux`."""
    return write_script(folder / "stand-in", _STAND_IN)


def write_script(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@contextmanager
def started(argv: Sequence[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A program as a terminal starts it: it ignores no signal, whatever this process was made to ignore.

    It does not outlive the block.
    """
    argv = ["env", "--default-signal=INT,HUP,PIPE", *argv]
    with subprocess.Popen(argv, text=True, **options) as process:
        try:
            yield process
        finally:
            # It may wait for what nobody sends any more.
            process.kill()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Polls until the condition holds; fails the test when it does not within the deadline."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """False for a process that is gone, and for a zombie that only its parent has not yet asked after."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def built_load() -> Path:
    """The load generator, in the build that `cargo test` has made, or makes now."""
    return _built_example("load")


def built_floor() -> Path:
    """The same of the floor."""
    return _built_example("floor")


def _built_example(name: str) -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    argv = ["cargo", "build", "--quiet", "--example", name, "--target-dir", str(target)]
    subprocess.run(argv, cwd=REPOSITORY, check=True)
    return target / "debug/examples" / name
