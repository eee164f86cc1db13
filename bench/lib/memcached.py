"""A blocking client of memcached's text protocol: enough to fill servers and to check that a contender answers rightly.

Has the methods of `bench.lib.resp.Client` that know keys and values.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from bench.lib.connection import Connection
from bench.lib.errors import Failed


class Client(Connection):
    """One connection, to 127.0.0.1 unless said otherwise.

    Raises Failed on an error reply and OSError when the connection breaks.
    """

    def line(self, command: str) -> bytes:
        """Sends a command of one line and returns its reply of one line."""
        self._socket.sendall(command.encode() + b"\r\n")
        return self._line()

    def get(self, key: str) -> bytes | None:
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """In the order of the keys. Raises Failed when a value comes out of it, or of a key that was not asked."""
        self._socket.sendall(get_request(keys))
        values: list[bytes | None] = []
        while (line := self._line()) != b"END":
            word, key, _flags, size = line.split(b" ")
            found = self._stream.read(int(size) + 2)[:-2]
            while word == b"VALUE" and len(values) < len(keys) and keys[len(values)].encode() != key:
                values.append(None)
            if word != b"VALUE" or len(values) == len(keys):
                raise Failed(f"no value of what was asked: {line[:40]!r}")
            values.append(found)
        return values + [None] * (len(keys) - len(values))

    def set(self, key: str, value: bytes) -> None:
        self.set_many([(key, value)])

    def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        """All at once; raises Failed unless all are stored."""
        self._socket.sendall(b"".join(set_request(key, value) for key, value in pairs))
        replies = [self._line(errors=False) for _ in pairs]
        for reply in replies:
            if reply != b"STORED":
                raise Failed(f"error reply: {reply.decode(errors='replace')}")

    def delete_many(self, keys: Sequence[str]) -> None:
        self._socket.sendall(b"".join(b"delete %b\r\n" % key.encode() for key in keys))
        for _ in keys:
            self._line()

    def pid(self) -> int:
        """The process id of the server, by its own word."""
        self._socket.sendall(b"stats\r\n")
        stats = {}
        while (line := self._line()) != b"END":
            _, name, value = line.split(b" ", 2)
            stats[name] = value
        return int(stats[b"pid"])

    def _line(self, errors: bool = True) -> bytes:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("closed before the reply was complete")
        if errors and line.split()[:1] in ([b"ERROR"], [b"CLIENT_ERROR"], [b"SERVER_ERROR"]):
            raise Failed(f"error reply: {line[:-2].decode(errors='replace')}")
        return line[:-2]


def get_request(keys: Iterable[str]) -> bytes:
    """A `get` of one key or many."""
    return b"get %b\r\n" % " ".join(keys).encode()


def set_request(key: str, value: bytes) -> bytes:
    """A `set` that never expires."""
    return b"set %b 0 0 %d\r\n%b\r\n" % (key.encode(), len(value), value)


def get_reply(values: Mapping[str, bytes | None]) -> bytes:
    """What a server says to a `get` of these keys."""
    found = (b"VALUE %b 0 %d\r\n%b\r\n" % (key.encode(), len(v), v) for key, v in values.items() if v is not None)
    return b"".join(found) + b"END\r\n"


SET_REPLY = b"STORED\r\n"
