"""A burst of large values: all clients write them at once, then all ask for them at once before any reads.

        SET phase   every client: sends all its SETs, reads +OK when one comes
        GET phase   every client: sends all its GETs; only then they start to read what has been piling up
"""

import selectors
import socket
import time
from contextlib import ExitStack
from types import TracebackType

from bench.lib.errors import Failed
from bench.lib.resp import encode

CLIENTS = 64
VALUE_BYTES = 1 << 20
# 1 GiB over loopback and Redis takes seconds, also on a busy machine.
PHASE_TIMEOUT_S = 120
_RECEIVE_BYTES = 1 << 18


class Burst:
    """64 connections that stay open, idle, after the burst, until the end of the `with` block."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = ExitStack()
        self._clients: list[socket.socket] = []

    def __enter__(self) -> "Burst":
        for _ in range(CLIENTS):
            client = self._open.enter_context(socket.create_connection(("127.0.0.1", self._port), PHASE_TIMEOUT_S))
            client.setblocking(False)
            self._clients.append(client)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def write(self, total_bytes: int) -> None:
        """Sends values of `total_bytes` in all and waits for every +OK."""
        rounds = values_of_each(total_bytes)
        value = b"x" * VALUE_BYTES
        requests = [encode(("SET", _key(index), value)) for index in range(CLIENTS)]
        self._exchange([(request, rounds) for request in requests], b"+OK\r\n", rounds)

    def read(self, total_bytes: int) -> None:
        """Asks for values of `total_bytes` in all, and reads them when all have been asked for."""
        rounds = values_of_each(total_bytes)
        for index, client in enumerate(self._clients):
            # A few hundred bytes: they fit the socket's buffer whatever the proxy does.
            client.sendall(encode(("GET", _key(index))) * rounds)
        self._exchange([(b"", 0)] * CLIENTS, b"$%d\r\n" % VALUE_BYTES + b"x" * VALUE_BYTES + b"\r\n", rounds)

    def _exchange(self, requests: list[tuple[bytes, int]], reply: bytes, replies: int) -> None:
        """Sends each client's request so many times and reads `replies` times `reply`, all clients at once."""
        give_up_at = time.monotonic() + PHASE_TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            for client, (request, times) in zip(self._clients, requests, strict=True):
                talk = _Talk(client, request, times, reply, replies)
                selector.register(client, talk.interest, talk)
            while selector.get_map():
                if time.monotonic() > give_up_at:
                    late = len(selector.get_map())
                    raise Failed(f"{late} clients of the burst were not done after {PHASE_TIMEOUT_S} s")
                for ready, events in selector.select(timeout=1):
                    talk = ready.data
                    talk.proceed(events)
                    if talk.is_done:
                        selector.unregister(talk.client)
                    elif talk.interest != ready.events:
                        selector.modify(talk.client, talk.interest, talk)


class _Talk:
    """One client's part in a phase."""

    def __init__(self, client: socket.socket, request: bytes, times: int, reply: bytes, replies: int) -> None:
        self.client = client
        self._request = memoryview(request)
        self._unsent = len(request) * times
        self._reply = memoryview(reply)
        self._unread = len(reply) * replies
        self._buffer = bytearray(_RECEIVE_BYTES)

    @property
    def interest(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    @property
    def is_done(self) -> bool:
        return self._unsent == 0 and self._unread == 0

    def proceed(self, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                # The end of the request that is being sent; the whole of it when it is the next one's turn.
                rest = self._unsent % len(self._request) or len(self._request)
                self._unsent -= self.client.send(self._request[-rest:])
            if events & selectors.EVENT_READ:
                self._read()
        except BlockingIOError:
            return
        except OSError as cause:
            raise Failed(f"a client of the burst was dropped: {cause}") from cause

    def _read(self) -> None:
        count = self.client.recv_into(self._buffer)
        if count == 0 or count > self._unread:
            raise Failed("a client of the burst was closed, or got more than it asked for")
        received = memoryview(self._buffer)[:count]
        while received:
            expected = self._reply[-(self._unread % len(self._reply) or len(self._reply)) :][: len(received)]
            # As bytes: comparing memoryviews goes element by element, which would make these the slow clients.
            if bytes(received[: len(expected)]) != bytes(expected):
                raise Failed(f"wrong answer in the burst: {bytes(received[:40])!r}")
            self._unread -= len(expected)
            received = received[len(expected) :]


def values_of_each(total_bytes: int) -> int:
    """How many values each client sends and reads for `total_bytes` in all; at least one."""
    return max(1, total_bytes // (CLIENTS * VALUE_BYTES))


def _key(index: int) -> str:
    return f"burst:{index}"
