"""Three servers of which one can be made to fail.

Owns: the servers, what stands before the first, and what a fault's row says. Never: sends load, judges, knows a fault.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.lib.database import Database
from bench.lib.errors import Failed
from bench.lib.process import Children
from bench.lib.process import send_signal
from bench.lib.servers import Server
from bench.lib.servers import start_server
from lab.faults_lib import namespace
from lab.faults_lib.relay import Mode
from lab.faults_lib.relay import Relay

SERVERS = 3
# A request may take 400 ms (`timeout`), so replies that are late by this much are late and not lost.
DELAY_S = 0.1
DISK_BYTES = 8 << 20
# Between two blows of a fault that is a series of them.
AGAIN_S = 0.1
# A server that is told to serve again does so in a second at most (Redis looks after its disk once a second).
_BACK_TIMEOUT_S = 20
_LOOK_S = 0.001


class Stage:
    """The servers, s0 first, and s0's relay if the fault is the relay's. A `with` block."""

    def __init__(self, children: Children, folder: Path, fault: "Fault", database: Database) -> None:
        self._children = children
        self._database = database
        self._folder = folder
        self._open = ExitStack()
        if fault.small_disk:
            self._disk = folder / "disk"
            namespace.small_disk(self._disk, DISK_BYTES)
            self._arguments = [*fault.arguments, "--dir", str(self._disk)]
        else:
            self._arguments = list(fault.arguments)
        self._faulty, self._process = self._start_faulty()
        others = [
            start_server(children, folder, f"{database.name}-{index}", database=database) for index in range(1, SERVERS)
        ]
        self._processes = [process for _, process in others]
        # As they are, for who reads and writes past the proxy.
        self.servers: Sequence[Server] = [self._faulty, *(server for server, _ in others)]
        self.relay = self._open.enter_context(Relay(self._faulty.port, DELAY_S)) if fault.relay else None
        namespace.reserve_ports([server.port for server in self.for_proxy])
        # Kept open: a server that takes no client any more still takes its words.
        self.control = self._open.enter_context(self._faulty.connect())
        self._occupied: list[socket.socket] = []
        self._blows: threading.Thread | None = None
        self._blows_over = threading.Event()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_repeating()
        self.leave()
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
        return [Server(self.relay.port, self._faulty.pid, self._database), *self.servers[1:]]

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
        self._faulty, self._process = self._start_faulty(self._faulty.port)

    def _start_faulty(self, port: int | None = None) -> tuple[Server, subprocess.Popen[str]]:
        name = f"{self._database.name}-0"
        return start_server(self._children, self._folder, name, self._arguments, port, database=self._database)

    def set_mode(self, mode: Mode) -> None:
        self._relay().set_mode(mode)

    def close_connections(self) -> None:
        """Those that the proxy has, in order."""
        self._relay().close_connections()

    def occupy(self, most: int) -> None:
        """Takes so many of the places that the server has for clients, or all of them."""
        while len(self._occupied) < most:
            client = socket.create_connection(("127.0.0.1", self.port), _BACK_TIMEOUT_S)
            client.sendall(b"version\r\n")
            if not client.recv(100).startswith(b"VERSION"):
                client.close()
                return
            self._occupied.append(client)

    def leave(self) -> None:
        """Gives the places back."""
        while self._occupied:
            self._occupied.pop().close()

    def _relay(self) -> Relay:
        if self.relay is None:
            raise AssertionError("the fault's row has no relay")
        return self.relay

    def repeat(self, blow: Callable[[], object]) -> None:
        """Strikes again and again until `stop_repeating`."""
        self._blows_over.clear()

        def strike() -> None:
            while not self._blows_over.is_set():
                blow()
                self._blows_over.wait(AGAIN_S)

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
        self._wait_until(lambda: self.control.set("stage", b"x"))

    def wait_until_it_accepts(self) -> None:
        """Until a new client of it is answered."""

        def ask() -> None:
            with self._faulty.connect() as client:
                client.get("stage")

        self._wait_until(ask)

    def _wait_until(self, act: Callable[[], None]) -> None:
        give_up_at = time.monotonic() + _BACK_TIMEOUT_S
        while time.monotonic() < give_up_at:
            try:
                return act()
            except (Failed, OSError):
                time.sleep(_LOOK_S)
        raise Failed(f"the server itself did not come back within {_BACK_TIMEOUT_S} s")


@dataclass(frozen=True)
class Fault:
    """A row of the table. `end` returns when the server itself serves again.

    `arguments` are the server's; `verb` is the kind of request that fails and is good again. `forgets`: what it was
    given may be gone afterwards by its own doing, but never be an older value.
    """

    about: str
    begin: Callable[[Stage], object]
    end: Callable[[Stage], object]
    arguments: Sequence[str] = ()
    relay: bool = False
    small_disk: bool = False
    verb: str | None = None
    forgets: bool = False
