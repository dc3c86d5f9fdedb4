"""A network that can be cut: a TCP proxy between a kind of process and the service it speaks to."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable

_CHUNK = 65536


class Proxy:
    """Forwards a loopback port of its own to `target`; `cut` and `heal` may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: int) -> None:
        self._loop, self._target = loop, target
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._refusing = False
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def cut(self, *, silent: bool) -> None:
        """Silent: nothing arrives any more, in either direction, until it is healed, and then late. Else:
        connections break, new ones too.
        """
        self._loop.call_soon_threadsafe(self._cut, silent)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._heal)

    def _cut(self, silent: bool) -> None:
        if silent:
            self._open.clear()
            return
        self._refusing = True
        for pair in self._pairs:
            for writer in pair:
                _reset(writer)

    def _heal(self) -> None:
        self._refusing = False
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # the harness ends; asyncio's server would report it as an error
        with contextlib.suppress(asyncio.CancelledError):
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        await self._open.wait()
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        pair = (writer, there)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(reader, there), self._pump(there_reader, writer))
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        await self._open.wait()
        writer.close()  # a half-closed connection is none for the protocols we carry


def _reset(writer: asyncio.StreamWriter) -> None:
    """Breaks a connection as a lost peer's kernel does: with a reset, not with an orderly end."""
    plain = writer.get_extra_info("socket")
    if plain is not None:
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Network:
    """Proxies by name, on a thread of their own."""

    def __init__(self) -> None:
        self.proxies: dict[str, Proxy] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def add(self, name: str, target: int) -> int:
        """The port that leads to `target`."""
        proxy = self.proxies[name] = Proxy(self._loop, target)
        asyncio.run_coroutine_threadsafe(proxy.start(), self._loop).result(10)
        return proxy.port

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()

    def close(self) -> None:
        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        stop: Callable[[], None] = self._loop.stop
        self._loop.call_soon_threadsafe(stop)
        self._thread.join(10)
        self._loop.close()
