"""The clients: some connections, each asking one thing after the other, and a record of every operation.

A program of its own, run inside a client's namespace: `python3 -m lab.failover_lib.client SPEC RECORD`. It works
until SIGTERM, lets what is under way end, and writes RECORD. Every write goes to a key of its own with a value of its
own; every read asks for a key that the same connection has written, or for one that is never written, and knows
what the answer has to be.
"""

import asyncio
import itertools
import json
import signal
import sys
import time
from collections import deque
from dataclasses import astuple
from dataclasses import dataclass
from pathlib import Path

from bench.lib.resp import encode

SET, GET = "set", "get"
GOOD, ERROR, WRONG = "good", "error", "wrong"
# Why a connection is no longer there: closed or reset by the other side, or given up after the client's own timeout.
KEPT, BY_PEER, BY_TIMEOUT = "", "by peer", "by timeout"

CONNECT_TIMEOUT_S = 1.0
# Of its latest writes, how many a connection reads again.
_READ_BACK = 40


@dataclass(frozen=True)
class Operation:
    """One operation as its client saw it. Times are of the monotonic clock, the same in every namespace.

    `server`: 1 or 2, the group whose master has the key. `value`: what was written, or has to be read. `text`: of an
    error its words, of a wrong reply what came in place of `value` ("" for nothing at all).
    """

    started_s: float
    ended_s: float
    connection: int
    server: int
    kind: str
    key: str
    value: str
    outcome: str
    text: str
    dropped: str

    @property
    def latency_s(self) -> float:
        return self.ended_s - self.started_s


def old_value(key: str) -> str:
    """What every key holds before the clients begin."""
    return f"{key}=old"


def read_record(path: Path) -> list[Operation]:
    """The operations of a record, in the order in which they ended."""
    with path.open(encoding="utf-8") as lines:
        return [Operation(*json.loads(line)) for line in lines]


class _Dropped(Exception):
    """The connection is gone; the text says what the client was told, `how` who ended it."""

    def __init__(self, text: str, how: str) -> None:
        super().__init__(text)
        self.how = how


class _Refused(Exception):
    """An error reply; the connection stays."""


class _Connection:
    def __init__(self, number: int, spec: dict, common: dict, record: list[Operation]) -> None:
        self._number = number
        self._server: int = spec["server"]
        self._cold: list[str] = spec["cold"]
        self._fresh = iter(spec["fresh"])
        self._common = common
        self._record = record
        self._written: deque[tuple[str, str]] = deque(maxlen=_READ_BACK)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def work(self, stopping: asyncio.Event, first_at: float) -> None:
        """One operation each `interval_s`; a late one delays those after it, as a client that waits does."""
        due = first_at
        for number in itertools.count():
            await _until(due, stopping)
            if stopping.is_set():
                break
            await self._operate(number)
            due = max(due + self._common["interval_s"], time.monotonic())
        self._close()

    async def _operate(self, number: int) -> None:
        kind, key, value = self._next(number)
        started = time.monotonic()
        outcome, text, dropped = GOOD, "", KEPT
        try:
            reply = await self._ask(("SET", key, value) if kind == SET else ("GET", key))
            if kind == SET and reply == b"OK":
                self._written.append((key, value))
            elif kind == SET or reply is None or reply.decode() != value:
                outcome, text = WRONG, "" if reply is None else reply.decode(errors="replace")
        except _Refused as refused:
            outcome, text = ERROR, str(refused)
        except _Dropped as lost:
            outcome, text, dropped = ERROR, str(lost), lost.how
            self._close()
        self._record.append(
            Operation(
                started, time.monotonic(), self._number, self._server, kind, key, value, outcome, text, dropped
            )
        )

    def _next(self, number: int) -> tuple[str, str, str]:
        if number % 2 == 0:
            key = next(self._fresh)
            return SET, key, f"{key}={self._number}.{number}"
        if number % 4 == 1 and self._written:
            return GET, *self._written[number // 4 % len(self._written)]
        key = self._cold[number % len(self._cold)]
        return GET, key, old_value(key)

    async def _ask(self, words: tuple[str, ...]) -> bytes | None:
        reader, writer = self._streams or await self._connect()
        try:
            async with asyncio.timeout(self._common["timeout_s"]):
                writer.write(encode(words))
                return await _reply(reader)
        except TimeoutError as cause:
            raise _Dropped("client timed out", BY_TIMEOUT) from cause
        except asyncio.IncompleteReadError as cause:
            raise _Dropped("closed", BY_PEER) from cause
        except OSError as cause:
            raise _Dropped(cause.strerror or str(cause), BY_PEER) from cause

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._streams = await asyncio.open_connection(*self._common["address"])
        # What was never connected cannot be dropped.
        except TimeoutError as cause:
            raise _Dropped("connecting timed out", KEPT) from cause
        except OSError as cause:
            raise _Dropped(f"connecting: {cause.strerror or cause}", KEPT) from cause
        return self._streams

    def _close(self) -> None:
        if self._streams is not None:
            # Not `close`: it would wait for bytes to be sent to who is not there any more.
            self._streams[1].transport.abort()
            self._streams = None


async def _reply(reader: asyncio.StreamReader) -> bytes | None:
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest
    if kind == b"-":
        raise _Refused(rest.decode(errors="replace"))
    if kind == b"$" and rest == b"-1":
        return None
    if kind == b"$":
        return (await reader.readexactly(int(rest) + 2))[:-2]
    raise _Dropped(f"no reply to a GET or SET: {line!r}", BY_PEER)


async def _until(due: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(max(0.0, due - time.monotonic())):
            await stopping.wait()
    except TimeoutError:
        pass


async def _main(spec: dict, record: list[Operation]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    connections = [
        _Connection(number, each, spec, record) for number, each in enumerate(spec["connections"], spec["first_number"])
    ]
    begin = time.monotonic()
    step = spec["interval_s"] / len(connections)
    await asyncio.gather(
        *(connection.work(stopping, begin + index * step) for index, connection in enumerate(connections))
    )


def main() -> None:
    """Reads the specification, works until SIGTERM, writes the record."""
    spec_path, record_path = (Path(word) for word in sys.argv[1:])
    record: list[Operation] = []
    asyncio.run(_main(json.loads(spec_path.read_text(encoding="utf-8")), record))
    record.sort(key=lambda operation: operation.ended_s)
    with record_path.open("w", encoding="utf-8") as lines:
        for operation in record:
            lines.write(json.dumps(astuple(operation)) + "\n")


if __name__ == "__main__":
    main()
