"""Starts processes and ends every one of them, by its own pid, however the run ends.

Owns: the list of what was started. Never: ends a process that it did not start, or picks a port by number.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

# SIGTERM is answered within milliseconds by all of them; a process that needs longer hangs.
END_TIMEOUT_S = 5
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Children:
    """A `with` block whose processes do not outlive it.

    They run in sessions of their own, so that Ctrl-C reaches only the benchmark, which then ends them one by one.
    If the benchmark itself is killed outright, the kernel ends them (PR_SET_PDEATHSIG, by way of setpriv(1),
    which replaces itself with the program: the pid is the program's own).
    """

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not cut the ending short; it is bounded by END_TIMEOUT_S a process.
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in _END_SIGNALS]
        for process in reversed(list(self._running)):
            self.end(process)
        for number, handler in before:
            signal.signal(number, handler)

    def start(self, argv: Sequence[str], log: Path, core: int | None = None) -> subprocess.Popen[str]:
        """Starts `argv`, on one core if so; what it prints goes to the end of `log`."""
        place = [] if core is None else ["taskset", "--cpu-list", str(core)]
        with log.open("ab") as stream:
            return self._popen([*place, *argv], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        """Runs `argv` to its end: exit code, stdout, stderr. Raises subprocess.TimeoutExpired."""
        process = self._popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        finally:
            self.end(process)
        return process.returncode, stdout, stderr

    def end(self, process: subprocess.Popen[str]) -> None:
        """Ends one process and reaps it; a process that has ended by itself is only reaped."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self._running:
            self._running.remove(process)

    def _popen(self, argv: Sequence[str], **streams: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *argv], text=True, start_new_session=True, **streams
        )
        self._running.append(process)
        return process


def send_signal(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that the run has started; one that has ended is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that the kernel had free a moment ago; who binds one must be ready to lose it."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def end_on_signals() -> None:
    """Lets SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that `with` blocks end their processes.

    What was ignored when the program was started stays ignored, as Python itself has it with SIGINT: that is what
    nohup and a shell's `&` are for.
    """

    def unwind(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, unwind)


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return "(it wrote nothing)"
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]) or "(it wrote nothing)"
