"""A host: a network namespace with its own processes and files, whose end is the end of all that runs on it.

Owns: process 1 of the host, its overlays of /etc, /usr/local and /var/lib, an empty /run. Never: ends a process
of the machine outside; what runs on the host cannot even see one.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.lib.errors import Failed
from bench.lib.resp import Client
from lab.failover_lib.network import inside
from lab.failover_lib.wait import wait_for

READY_TIMEOUT_S = 10
# A namespace of processes is empty within milliseconds of the end of its process 1.
_OFF_TIMEOUT_S = 10

# Process 1: files of its own on top of the machine's, then reaping of orphans until the end.
_INIT = """
set -e
mount -t tmpfs lab /run
for place in etc usr/local var/lib; do
    mkdir -p "/run/.lab/$place/upper" "/run/.lab/$place/work"
    mount -t overlay lab -o "lowerdir=/$place,upperdir=/run/.lab/$place/upper,workdir=/run/.lab/$place/work" "/$place"
done
hostname "$1"
mkdir /run/log
mount --bind "$2" /run/log
echo ready
while :; do sleep 3600 & wait $!; done
"""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Running:
    """A process on a host."""

    def __init__(self, label: str, entered: subprocess.Popen[bytes], log: Path) -> None:
        self.label = label
        self.log = log
        self._entered = entered
        # nsenter waits beside the program, which is its only child; it has none yet for a moment.
        self.pid = wait_for(f"{label} runs", self._find_pid, READY_TIMEOUT_S, 0.002)

    def ended(self) -> bool:
        return self._entered.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; one to a process that has ended is of no effect."""
        if not self.ended():
            os.kill(self.pid, number)

    def end(self, number: signal.Signals, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Sends a signal and waits until the process has ended of it."""
        self.send(number)
        try:
            self._entered.wait(timeout_s)
        except subprocess.TimeoutExpired as cause:
            raise Failed(f"{self.label} does not end on {number.name}") from cause

    def _find_pid(self) -> int:
        if self.ended():
            words = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise CannotStart(f"{self.label} ended at once: {' / '.join(words)}")
        children = Path(f"/proc/{self._entered.pid}/task/{self._entered.pid}/children").read_text(encoding="ascii")
        return int(children.split()[0]) if children.strip() else 0


class CannotStart(Exception):
    """A program of the lab has ended when it was started."""


class Host:
    """A host of the lab, on from the beginning. `off` ends everything on it, as a power cut would.

    `folder` is where its logs and files are kept; the host has it as /run/log.
    """

    def __init__(self, name: str, address: str, namespace: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self.namespace = namespace
        self.folder = folder
        self._entered: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)
        # The kernel kills the host when the lab dies, and with its process 1 all others.
        self._init = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "--", "ip", "netns", "exec", namespace),
                *("unshare", "--pid", "--fork", "--kill-child=KILL", "--uts", "--mount", "--mount-proc"),
                *("--", "sh", "-c", _INIT, "init", name, str(folder)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._init.stdout is not None
        words = self._init.stdout.readline()
        if words != b"ready\n":
            raise Failed(f"host {name} does not come up: {words.decode(errors='replace').strip()}")
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text(encoding="ascii")
        self._first = int(children.split()[0])

    def path(self, inner: str) -> Path:
        """A file of the host, as seen from outside."""
        return Path(f"/proc/{self._first}/root") / inner.lstrip("/")

    def write(self, inner: str, text: str, mode: int = 0o644) -> None:
        """Writes a file of the host, with the directories above it."""
        file = self.path(inner)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        # For who reads a run's files afterwards.
        kept = self.folder / inner.lstrip("/").replace("/", "_")
        kept.write_text(text, encoding="utf-8")

    def install(self, source: Path, inner: str) -> None:
        """Copies a file of the machine to the host, with its mode."""
        file = self.path(inner)
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, file)

    def start(self, label: str, argv: Sequence[str]) -> Running:
        """Starts a program; what it prints goes to `<label>.log` of the host's folder."""
        log = self.folder / f"{label}.log"
        with log.open("ab") as stream:
            entered = subprocess.Popen(
                self._entering(argv), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
            )
        self._entered.append(entered)
        return Running(label, entered, log)

    def run(self, argv: Sequence[str], timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end."""
        argv = self._entering(argv)
        # To files: a daemon that the program leaves behind would hold a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True, timeout=timeout_s, check=False
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(argv, done.returncode, out.read(), err.read())

    def must_run(self, argv: Sequence[str], timeout_s: float = 20) -> str:
        """Runs a program that has to succeed; returns what it printed."""
        done = self.run(argv, timeout_s)
        if done.returncode != 0:
            raise Failed(f"{' '.join(argv)} on {self.name}: {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def client(self, address: str, port: int, timeout_s: float = 5) -> Client:
        """A connection from this host."""
        with inside(self.namespace):
            return Client(port, address, timeout_s)

    def ask(self, port: int, *words: str) -> object:
        """One request to a server on this host itself, whatever its cable does."""
        with self.client("127.0.0.1", port) as client:
            return client.call(*words)

    def has_address(self, address: str) -> bool:
        shown = subprocess.run(
            ["ip", "-n", self.namespace, "-o", "-4", "address", "show"], capture_output=True, text=True, check=True
        )
        return f" {address}/" in shown.stdout

    def off(self) -> None:
        """Cuts the power."""
        self._init.kill()
        self._init.wait(_OFF_TIMEOUT_S)
        for entered in self._entered:
            entered.wait(_OFF_TIMEOUT_S)
        if self._init.stdout is not None:
            self._init.stdout.close()
        wait_for(f"host {self.name} is empty", lambda: not self._pids(), _OFF_TIMEOUT_S)

    def _pids(self) -> list[str]:
        done = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=False)
        return done.stdout.split()

    def _entering(self, argv: Sequence[str]) -> list[str]:
        # Not by name but by process 1: its namespaces are exactly the host's.
        enter = ["nsenter", "--target", str(self._first), "--mount", "--uts", "--net", "--pid", "--"]
        # A host has a PATH of its own: whoever runs the lab may have none with /usr/local/bin.
        return [*enter, "env", f"PATH={_PATH}", *argv]
