"""A TCP proxy that fails on demand: it slices, delays, holds, cuts and refuses what passes between two peers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from tests.support.processes import free_port

Change = Callable[[bytes], bytes]
_RESET = struct.pack("ii", 1, 0)
_CHUNK = 65536


class Link:
    """One connection of a client and the one to the target that belongs to it."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = (near, far)
        self._tasks: list[asyncio.Task[None]] = []
        self._flowing = asyncio.Event()
        self._flowing.set()

    def start(self, near: asyncio.StreamReader, far: asyncio.StreamReader, outgoing: Change) -> None:
        """Pass bytes both ways; those to the target as `outgoing` changes them."""
        to_client, to_target = self._writers
        self._tasks = [
            asyncio.ensure_future(self._pump(near, to_target, outgoing)),
            asyncio.ensure_future(self._pump(far, to_client, bytes)),
        ]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Change) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await asyncio.sleep(self._proxy.latency)
                await self._flowing.wait()
                await self._write(writer, change(data))
            await self._flowing.wait()
            writer.write_eof()
        except OSError:
            await self._flowing.wait()
            self.cut()
            return
        if all(task.done() for task in self._tasks if task is not asyncio.current_task()):
            self._close()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        at = 0
        while at < len(data):
            size = self._proxy.piece or len(data)
            writer.write(data[at : at + size])
            at += size
            await writer.drain()
            if self._proxy.piece:
                for _ in range(2):  # a reader in this loop then finds each piece alone
                    await asyncio.sleep(0)
                await self._flowing.wait()

    def hold(self) -> None:
        """Pass nothing on any more, not even an end."""
        self._flowing.clear()

    def release(self) -> None:
        """Pass on what was held, and what comes."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset both connections."""
        for writer in self._writers:
            with contextlib.suppress(OSError):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self._end()

    def _close(self) -> None:
        for writer in self._writers:
            writer.close()
        self._end()

    def _end(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._proxy.links.discard(self)


class Proxy:
    """Listens on `port` of 127.0.0.1 and connects each client to `target`, a port there; all in one event loop.

    - `piece`: how many bytes are written at once; 0 for as many as there are.
    - `latency`: seconds that what was read waits before it is passed on.
    - `outgoing` makes, for each connection, what changes the bytes on their way to the target.
    """

    def __init__(self, target: int, *, outgoing: Callable[[], Change] = lambda: bytes) -> None:
        self.port = free_port()
        self.piece = 0
        self.latency = 0.0
        self.links: set[Link] = set()
        self.accepted = 0
        self._target = target
        self._outgoing = outgoing
        self._server: asyncio.Server | None = None

    async def accept(self) -> None:
        """Let clients in, again."""
        self._server = await asyncio.start_server(self._entered, "127.0.0.1", self.port)

    def refuse(self) -> None:
        """Let no further client in; those that are in stay."""
        assert self._server is not None
        self._server.close()

    def hold(self) -> None:
        """Make the connections of now half-open: they stay, and nothing passes. Others are served."""
        for link in self.links:
            link.hold()

    def release(self) -> None:
        """Let pass what was held, as when a cable is plugged in again."""
        for link in self.links:
            link.release()

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        for link in list(self.links):
            link.cut()

    async def _entered(self, near: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far, to_target = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            to_client.transport.abort()
            return
        link = Link(self, to_client, to_target)
        self.links.add(link)
        link.start(near, far, self._outgoing())

    async def __aenter__(self) -> Proxy:
        await self.accept()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.refuse()
        self.cut()
        await asyncio.sleep(0)  # the pumps that were cancelled end
