"""A blocking RESP2 client: enough to fill servers and to check that a contender answers rightly."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from bench.lib.connection import Connection
from bench.lib.errors import Failed

Reply = bytes | int | list["Reply"] | None


class Client(Connection):
    """One connection, to 127.0.0.1 unless said otherwise.

    Raises Failed on an error reply and OSError when the connection breaks.
    """

    def call(self, *words: str | bytes) -> Reply:
        """Sends one request and returns its reply."""
        self._socket.sendall(encode(words))
        return self._reply()

    def get(self, key: str) -> bytes | None:
        value = self.call("GET", key)
        assert value is None or isinstance(value, bytes)
        return value

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """In the order of the keys."""
        values = self.call("MGET", *keys)
        if not isinstance(values, list):
            raise Failed(f"MGET was answered by {values!r}")
        return [value if isinstance(value, bytes) else None for value in values]

    def set(self, key: str, value: bytes) -> None:
        if (reply := self.call("SET", key, value)) != b"OK":
            raise Failed(f"SET was answered by {reply!r}")

    def set_many(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        self.call("MSET", *(word for pair in pairs for word in pair))

    def delete_many(self, keys: Sequence[str]) -> None:
        self.call("DEL", *keys)

    def pid(self) -> int:
        """The process id of the server, by its own word."""
        info = self.call("INFO", "server")
        if not isinstance(info, bytes):
            raise Failed(f"INFO was answered by {info!r}")
        return int(info.partition(b"process_id:")[2].split()[0])

    def pipeline(self, requests: Sequence[Sequence[str | bytes]]) -> list[Reply | Failed]:
        """Sends all requests at once and returns their replies; an error reply is one of them."""
        self._socket.sendall(b"".join(encode(words) for words in requests))
        replies: list[Reply | Failed] = []
        for _ in requests:
            try:
                replies.append(self._reply())
            except Failed as refused:
                replies.append(refused)
        return replies

    def _reply(self) -> Reply:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("closed before the reply was complete")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Failed(f"error reply: {rest.decode(errors='replace')}")
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        raise Failed(f"not a RESP2 reply: {line[:40]!r}")


def encode(words: Iterable[str | bytes]) -> bytes:
    """A request as an array of bulk strings."""
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    head = b"*%d\r\n" % len(parts)
    return head + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def get_request(keys: Sequence[str]) -> bytes:
    """A GET, or MGET of many."""
    return encode(("GET" if len(keys) == 1 else "MGET", *keys))


def set_request(key: str, value: bytes) -> bytes:
    """A SET."""
    return encode(("SET", key, value))


def get_reply(values: Mapping[str, bytes | None]) -> bytes:
    """What a server says to a GET, or MGET, of these keys."""
    head = b"" if len(values) == 1 else b"*%d\r\n" % len(values)
    return head + b"".join(b"$-1\r\n" if v is None else b"$%d\r\n%b\r\n" % (len(v), v) for v in values.values())


SET_REPLY = b"+OK\r\n"
