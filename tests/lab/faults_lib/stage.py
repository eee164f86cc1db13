"""Three servers of which one can be made to fail in every way, and how each fault is begun and ended.

Owns: the table of faults. Never: sends load, judges.
To add a fault, write its row in FAULTS.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import send_signal
from bench.lib.resp import Client
from bench.lib.servers import Server
from bench.lib.servers import start_server
from lab.faults_lib import namespace
from lab.faults_lib.relay import Mode
from lab.faults_lib.relay import Relay

SERVERS = 3
# A request may take 400 ms (`timeout`), so replies that are late by this much are late and not lost.
DELAY_S = 0.1
LOSS_PERCENT = 10
DISK_BYTES = 8 << 20
# Between two blows of a fault that is a series of them.
_AGAIN_S = 0.1
# A server that is told to serve again does so in a second at most (Redis looks after its disk once a second).
_BACK_TIMEOUT_S = 20
_LOOK_S = 0.001


class Stage:
    """The servers, s0 first, and s0's relay if the fault is the relay's. A `with` block."""

    def __init__(self, children: Children, folder: Path, fault: "Fault") -> None:
        self._children = children
        self._folder = folder
        self._open = ExitStack()
        if fault.small_disk:
            self._disk = folder / "disk"
            namespace.small_disk(self._disk, DISK_BYTES)
            self._arguments = [*fault.arguments, "--dir", str(self._disk)]
        else:
            self._arguments = list(fault.arguments)
        self._faulty, self._process = start_server(children, folder, "redis-0", self._arguments)
        others = [start_server(children, folder, f"redis-{index}") for index in range(1, SERVERS)]
        self._processes = [process for _, process in others]
        # As they are, for who reads and writes past the proxy.
        self.servers: Sequence[Server] = [self._faulty, *(server for server, _ in others)]
        self.relay = self._open.enter_context(Relay(self._faulty.port, DELAY_S)) if fault.relay else None
        namespace.reserve_ports([server.port for server in self.for_proxy])
        # Kept open: a server that takes no client any more still takes its words.
        self.control = self._open.enter_context(Client(self._faulty.port))
        self._blows: threading.Thread | None = None
        self._blows_over = threading.Event()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_repeating()
        self._open.close()
        for process in (self._process, *self._processes):
            if process.poll() is None:
                send_signal(process.pid, signal.SIGCONT)
            self._children.end(process)

    @property
    def for_proxy(self) -> Sequence[Server]:
        """What the configuration file names."""
        if self.relay is None:
            return self.servers
        return [Server(self.relay.port, self._faulty.pid), *self.servers[1:]]

    @property
    def port(self) -> int:
        return self._faulty.port

    def signal(self, number: signal.Signals) -> None:
        send_signal(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        """Started again at its port; returns when it answers."""
        self._faulty, self._process = start_server(
            self._children, self._folder, "redis-0", self._arguments, self._faulty.port
        )

    def set_mode(self, mode: Mode) -> None:
        if self.relay is None:
            raise AssertionError("the fault's row has no relay")
        self.relay.set_mode(mode)

    def repeat(self, blow: Callable[[], object]) -> None:
        """Strikes again and again until `stop_repeating`."""
        self._blows_over.clear()

        def strike() -> None:
            while not self._blows_over.is_set():
                blow()
                self._blows_over.wait(_AGAIN_S)

        self._blows = threading.Thread(target=strike)
        self._blows.start()

    def stop_repeating(self) -> None:
        self._blows_over.set()
        if self._blows is not None:
            self._blows.join()
            self._blows = None

    def fill_disk(self) -> None:
        with open(self._disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                os.fsync(filler.fileno())

    def empty_disk(self) -> None:
        (self._disk / "filler").unlink()

    def wait_until_it_writes(self) -> None:
        """Until a SET that is sent to it past the proxy is done."""
        give_up_at = time.monotonic() + _BACK_TIMEOUT_S
        while time.monotonic() < give_up_at:
            try:
                self.control.call("SET", "stage", "x")
                return
            except Failed:
                time.sleep(_LOOK_S)
        raise Failed(f"the server itself did not come back within {_BACK_TIMEOUT_S} s")


@dataclass(frozen=True)
class Fault:
    """A row of the table. `end` returns when the server itself serves again.

    `arguments` are redis-server's; `verb` is the kind of request that fails and is good again.
    """

    about: str
    begin: Callable[[Stage], object]
    end: Callable[[Stage], object]
    arguments: Sequence[str] = ()
    relay: bool = False
    small_disk: bool = False
    verb: str | None = None


# What was acknowledged is in the file (of the kernel, if not of the disk) before the acknowledgement leaves, so a
# killed server has lost nothing, and what is missing afterwards was lost by the proxy.
_KEEPS = ("--appendonly", "yes", "--appendfsync", "no")


def _no_more_clients(stage: Stage) -> None:
    stage.control.call("CONFIG", "SET", "maxclients", "1")
    _drop_clients(stage)


def _drop_clients(stage: Stage) -> None:
    stage.control.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def _ended(stage: Stage) -> None:
    stage.stop_repeating()


def _memory_back(stage: Stage) -> None:
    stage.control.call("CONFIG", "SET", "maxmemory", "0")
    stage.wait_until_it_writes()


def _disk_back(stage: Stage) -> None:
    stage.empty_disk()
    stage.wait_until_it_writes()


FAULTS: Mapping[str, Fault] = {
    "kill": Fault("kill -9, then started again", Stage.kill, Stage.restart, arguments=_KEEPS),
    "stop": Fault(
        "SIGSTOP, then SIGCONT",
        lambda stage: stage.signal(signal.SIGSTOP),
        lambda stage: stage.signal(signal.SIGCONT),
    ),
    "drop": Fault(
        "all its packets dropped (nftables)",
        lambda stage: namespace.drop_packets(stage.port, 100),
        lambda _: namespace.pass_packets(),
    ),
    "reset": Fault(
        f"all its connections reset (ss -K) every {_AGAIN_S * 1000:g} ms",
        lambda stage: stage.repeat(lambda: namespace.reset_connections(stage.port)),
        _ended,
    ),
    "close": Fault(
        f"all its connections closed (CLIENT KILL) every {_AGAIN_S * 1000:g} ms",
        lambda stage: stage.repeat(lambda: _drop_clients(stage)),
        _ended,
    ),
    "delay": Fault(
        f"its replies {DELAY_S * 1000:g} ms late (relay)",
        lambda stage: stage.set_mode(Mode.DELAY),
        lambda stage: stage.set_mode(Mode.PASS),
        relay=True,
    ),
    "loss": Fault(
        f"{LOSS_PERCENT}% of its packets lost (nftables)",
        lambda stage: namespace.drop_packets(stage.port, LOSS_PERCENT),
        lambda _: namespace.pass_packets(),
    ),
    "garbage": Fault(
        "answers garbage (relay)",
        lambda stage: stage.set_mode(Mode.GARBAGE),
        lambda stage: stage.set_mode(Mode.PASS),
        relay=True,
    ),
    "half": Fault(
        "answers half a reply and stalls (relay)",
        lambda stage: stage.set_mode(Mode.HALF),
        lambda stage: stage.set_mode(Mode.PASS),
        relay=True,
    ),
    "maxclients": Fault(
        "takes no client (`maxclients`)",
        _no_more_clients,
        lambda stage: stage.control.call("CONFIG", "SET", "maxclients", "15000"),
    ),
    "disk": Fault(
        "its disk is full (-MISCONF)",
        Stage.fill_disk,
        _disk_back,
        arguments=_KEEPS,
        small_disk=True,
        verb="SET",
    ),
    "memory": Fault(
        "its memory is full (-OOM)",
        lambda stage: stage.control.call("CONFIG", "SET", "maxmemory", "1"),
        _memory_back,
        verb="SET",
    ),
}
