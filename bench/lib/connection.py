"""A connection to a server or a proxy, whatever is spoken on it."""

import socket
from types import TracebackType
from typing import Self

# A server that is up answers in microseconds; with a loaded machine in tens of milliseconds.
ANSWER_TIMEOUT_S = 10


class Connection:
    """One connection, to 127.0.0.1 unless said otherwise; a context that closes it."""

    def __init__(self, port: int, address: str = "127.0.0.1", timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._socket = socket.create_connection((address, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()
