"""One process of clients that come and go: connect, ask once or twice, leave in one of many ways.

Run as a program of its own, several at once, because one Python process makes about 2,000 connections a second:

    python3 -m bench.lib.churn PORT RATE SECONDS NUMBER     prints its tally as one line of JSON

Owns: its sockets, the check of every reply. Never: looks at the proxy's process.
"""

import json
import random
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping

from bench.lib.resp import encode

_TIMEOUT_S = 10
# Lets the kernel choose the port when it knows the other end: ports can then be used again for another address.
_IP_BIND_ADDRESS_NO_PORT = 24
# A client's address is 127.NUMBER+1.0.1 to .200: one alone has 28,000 ports, and each is blocked for a while after use.
_ADDRESSES = 200
_RESET = struct.pack("ii", 1, 0)
# More than so far behind its schedule, it lets the rest of the delay go.
_BEHIND_S = 0.5


class Churn:
    """Clients of a port, one after the other."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._number = number
        self._random = random.Random(number)
        self._count = 0
        self.ends: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def run(self, rate: float, seconds: float) -> None:
        """Makes `rate` connections a second, or as many as it can."""
        kinds, weights = zip(*((kind, weight) for kind, (weight, _) in KINDS.items()), strict=True)
        begun = due = time.monotonic()
        while due < begun + seconds:
            now = time.monotonic()
            if now < due:
                time.sleep(due - now)
            elif now > due + _BEHIND_S:
                due = now
            (kind,) = self._random.choices(kinds, weights)
            self._one(kind)
            due += 1 / rate

    def _one(self, kind: str) -> None:
        self._count += 1
        self.ends[kind] += 1
        client = socket.socket()
        try:
            client.settimeout(_TIMEOUT_S)
            client.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            client.bind((f"127.{self._number + 1}.0.{self._count % _ADDRESSES + 1}", 0))
            client.connect(("127.0.0.1", self._port))
            KINDS[kind][1](self, client)
        except OSError as cause:
            self.failures[f"{kind}: {cause}"] += 1
        finally:
            client.close()

    def _words(self) -> tuple[bytes, bytes]:
        """A key of this process, and a value that was never written before."""
        # Far apart: twemproxy's default hash puts keys that differ in the last digit on one server.
        key = b"churn:%d:%08x" % (self._number, self._count % 100 * 2_654_435_761 % (1 << 32))
        return key, b"%b=%d" % (key, self._count)

    def expect(self, client: socket.socket, reply: bytes, what: str) -> None:
        """Reads what is due and no more; anything else is a failure of `what`."""
        received = b""
        while len(received) < len(reply) and (piece := client.recv(4096)):
            received += piece
        if received != reply:
            self.failures[f"{what}: {'a wrong reply' if received else 'closed without a reply'}"] += 1

    def ask(self, client: socket.socket) -> None:
        """One request, its reply, and the end."""
        key, value = self._words()
        client.sendall(encode(("SET", key, value)))
        self.expect(client, b"+OK\r\n", "ask")

    def ask_twice(self, client: socket.socket) -> None:
        """Two requests in one go: what was written is read."""
        key, value = self._words()
        client.sendall(encode(("SET", key, value)) + encode(("GET", key)))
        self.expect(client, b"+OK\r\n$%d\r\n%b\r\n" % (len(value), value), "ask twice")

    def half_close(self, client: socket.socket) -> None:
        """A request and the sending half's end: the reply is due all the same, and then the proxy's end."""
        key, value = self._words()
        client.sendall(encode(("SET", key, value)))
        client.shutdown(socket.SHUT_WR)
        self.expect(client, b"+OK\r\n", "half close")
        if client.recv(1):
            self.failures["half close: more than was asked for"] += 1

    def reset(self, client: socket.socket) -> None:
        """A request, and a reset before its reply."""
        key, _ = self._words()
        client.sendall(encode(("GET", key)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def reset_at_once(self, client: socket.socket) -> None:
        """A reset instead of a request."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def break_off(self, client: socket.socket) -> None:
        """Half a request, and the end."""
        key, value = self._words()
        request = encode(("SET", key, value))
        client.sendall(request[: len(request) // 2])

    def say_nothing(self, client: socket.socket) -> None:
        """The end at once."""


# How often of a hundred, and what.
KINDS: Mapping[str, tuple[int, Callable[[Churn, socket.socket], None]]] = {
    "ask": (40, Churn.ask),
    "ask twice": (25, Churn.ask_twice),
    "half close": (10, Churn.half_close),
    "reset": (10, Churn.reset),
    "reset at once": (5, Churn.reset_at_once),
    "break off": (5, Churn.break_off),
    "say nothing": (5, Churn.say_nothing),
}


def main() -> int:
    """Runs one process's part."""
    port, rate, seconds, number = sys.argv[1:]
    churn = Churn(int(port), int(number))
    begun = time.monotonic()
    churn.run(float(rate), float(seconds))
    tally = {"seconds": time.monotonic() - begun, "ends": churn.ends, "failures": churn.failures}
    print(json.dumps(tally))
    return 0


if __name__ == "__main__":
    sys.exit(main())
