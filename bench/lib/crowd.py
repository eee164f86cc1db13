"""A crowd of clients: all connect, all make one request at the same time, and then stay connected without a word.

At the same time, because that is what makes a proxy hold the most, and shows whether it lets go of it: nutcracker
keeps 8 KiB a client after 10,000 requests at once, and 0.3 KiB after 10,000 in sequence.
"""

import resource
import socket
from types import TracebackType

from bench.lib import keyspace
from bench.lib.connection import ANSWER_TIMEOUT_S
from bench.lib.errors import CannotRun
from bench.lib.errors import Failed
from bench.lib.resp import encode

# Files other than the crowd: servers, listeners, logs.
_SPARE_FILES = 256

_REQUEST = encode(("GET", keyspace.SINGLE_KEY))


class Crowd:
    """`count` connections to a port of 127.0.0.1, closed at the end of the `with` block.

    `value` is what the key is known to hold. Raises Failed when a client is not answered or not rightly.
    """

    def __init__(self, port: int, count: int, value: bytes) -> None:
        self._port = port
        self._count = count
        self._reply = b"$%d\r\n%b\r\n" % (len(value), value)
        self._clients: list[socket.socket] = []

    def __enter__(self) -> "Crowd":
        try:
            for _ in range(self._count):
                self._clients.append(self._connect())
            self.ask()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def ask(self) -> None:
        """One request of every client, and its answer; a client that was dropped makes it fail."""
        try:
            for client in self._clients:
                client.sendall(_REQUEST)
            answered = sum(_received(client, len(self._reply)) == self._reply for client in self._clients)
        except OSError as cause:
            raise Failed(f"a client of {self._count} was dropped: {cause}") from cause
        if answered != self._count:
            raise Failed(f"{self._count - answered} of {self._count} clients were not answered rightly")

    def _connect(self) -> socket.socket:
        try:
            return socket.create_connection(("127.0.0.1", self._port), ANSWER_TIMEOUT_S)
        except OSError as cause:
            raise Failed(f"client {len(self._clients) + 1} cannot connect: {cause}") from cause

    def _close(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()


def allow_files(clients: int) -> None:
    """Raises the limit on open files, for this process and all that it starts, so that `clients` fit."""
    needed = clients + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotRun(
            f"{clients} clients need {needed} open files, but `ulimit -Hn` is {hard}: raise it, or use --clients"
        )
    # All there is: nutcracker derives how many clients it takes from the soft limit.
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _received(client: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (chunk := client.recv(size - len(received))):
        received += chunk
    return received
