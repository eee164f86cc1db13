"""A server that misbehaves: it stands before a real one and passes on, delays, garbles or halves what it says.

    proxy ══► relay ══► server              PASS     every byte, at once
                                            DELAY    replies come late
                                            GARBAGE  requests are answered by bytes that are no reply
                                            HALF     half a reply, then silence

Owns: its connections. Runs on a thread of its own. Never: looks into what it passes on.
"""

import asyncio
import contextlib
import enum
import socket
import threading
from types import TracebackType

_CHUNK_BYTES = 1 << 16
_GARBAGE = b"\x00\xff!no reply at all\r\n$-7\r\n\r\n*x\r\n"
_START_TIMEOUT_S = 10


class Mode(enum.Enum):
    """What becomes of the server's bytes."""

    PASS = enum.auto()
    DELAY = enum.auto()
    GARBAGE = enum.auto()
    HALF = enum.auto()


class Relay:
    """Listens on 127.0.0.1 in front of `server_port` for as long as the `with` block lasts."""

    def __init__(self, server_port: int, delay_s: float) -> None:
        self._server_port = server_port
        self._delay_s = delay_s
        self._mode = Mode.PASS
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._halved: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> "Relay":
        self._thread.start()
        self._ready.wait(_START_TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_START_TIMEOUT_S)

    def set_mode(self, mode: Mode) -> None:
        """From now on. To PASS: connections that were left halfway are closed, as if the server was restarted."""

        def change() -> None:
            self._mode = mode
            if mode is Mode.PASS:
                for writer in self._halved:
                    writer.close()
                self._halved.clear()
            changed.set()

        changed = threading.Event()
        self._loop.call_soon_threadsafe(change)
        changed.wait(_START_TIMEOUT_S)

    def close_connections(self) -> None:
        """Ends all that there are, in order. New ones are taken."""

        def close() -> None:
            for writer in self._writers:
                writer.close()
            closed.set()

        closed = threading.Event()
        self._loop.call_soon_threadsafe(close)
        closed.wait(_START_TIMEOUT_S)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listener)
        self._ready.set()
        await self._over.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = None
        self._writers.add(writer)
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            pumps = [
                asyncio.ensure_future(self._requests(reader, writer, to_server)),
                asyncio.ensure_future(self._replies(from_server, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # as the server would: who cannot be served is closed
        finally:
            self._halved.discard(writer)
            self._writers.discard(writer)
            for each in (writer, to_server):
                if each is not None:
                    each.close()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_server: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._mode is Mode.GARBAGE:
                    writer.write(_GARBAGE)
                    await writer.drain()
                else:
                    to_server.write(data)
                    await to_server.drain()

    async def _replies(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        deliver = asyncio.ensure_future(self._deliver(late, writer))
        try:
            while data := await from_server.read(_CHUNK_BYTES):
                if self._mode is Mode.HALF:
                    # What is before it in the queue is whole; after it nothing comes any more.
                    late.put_nowait((0.0, data[: len(data) // 2]))
                    self._halved.add(writer)
                    await asyncio.Event().wait()
                wait_s = self._delay_s if self._mode is Mode.DELAY else 0.0
                late.put_nowait((asyncio.get_running_loop().time() + wait_s, data))
        finally:
            deliver.cancel()

    @staticmethod
    async def _deliver(late: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await late.get()
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                writer.write(data)
                await writer.drain()
