"""Clients that ask for large values and do not read: what a proxy makes of replies that nobody takes.

    slow client ──GET GET GET GET──► proxy ──► server       4 MiB a client want to leave, and nobody lets them
    bystander   ──GET/SET──────────► proxy ──► the same server
"""

import socket
from types import TracebackType

from bench.lib.errors import Failed
from bench.lib.resp import Client
from bench.lib.resp import encode
from bench.lib.servers import Server

VALUE_BYTES = 1 << 20
KEY = "slow:value"
# Small, so that what is not read stays with the proxy and not in 1,000 sockets.
_RECEIVE_BUFFER_BYTES = 64 << 10
_CONNECT_TIMEOUT_S = 20


def write_value(server: Server) -> None:
    """Gives the server the value that will be asked for."""
    with Client(server.port) as client:
        client.call("SET", KEY, b"x" * VALUE_BYTES)


class SlowReaders:
    """`count` clients of a port of 127.0.0.1, each with `requests` in a pipeline; they stay until the block ends."""

    def __init__(self, port: int, count: int, requests: int) -> None:
        self._port = port
        self._count = count
        self._requests = encode(("GET", KEY)) * requests
        self._clients: list[socket.socket] = []

    def __enter__(self) -> "SlowReaders":
        try:
            for _ in range(self._count):
                self._clients.append(self._connect())
        except OSError as cause:
            self._close()
            raise Failed(f"slow client {len(self._clients) + 1} of {self._count}: {cause}") from cause
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def closed(self) -> int:
        """How many of them the proxy has closed. They cannot see it: its end comes after all that they do not read."""
        own = {client.getsockname()[1] for client in self._clients}
        with open("/proc/net/tcp", encoding="ascii") as sockets:
            return len(own - set(established_peers(sockets.read(), self._port)))

    def _connect(self) -> socket.socket:
        client = socket.socket()
        try:
            client.settimeout(_CONNECT_TIMEOUT_S)
            # Before connecting: the window that is offered depends on it.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            client.connect(("127.0.0.1", self._port))
            client.sendall(self._requests)
        except BaseException:
            client.close()
            raise
        return client

    def _close(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()


def established_peers(table: str, port: int) -> list[int]:
    """The peers' ports of the connections that whoever listens at `port` has open, from /proc/net/tcp."""
    peers = []
    for line in table.splitlines()[1:]:
        # Fields: number, local address (hexadecimal), remote address, state (01: established), ...
        local, remote, state = line.split()[1:4]
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            peers.append(int(remote.rpartition(":")[2], 16))
    return peers
