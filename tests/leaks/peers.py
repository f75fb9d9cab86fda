"""Raw clients, many at a time: HTTP, polling and WebSocket over asyncio streams, without any manners."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import socket
import struct
from typing import Any

TEXT, CLOSE = 0x1, 0x8
PATH = "/socket.io/?EIO=4"
SECONDS = 20.0


# The connections of one cycle, so that none outlives it.
WIRES: contextvars.ContextVar[list[Wire]] = contextvars.ContextVar("WIRES")


class Gone(Exception):
    """The server ended the connection."""


class Wire:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        WIRES.get([]).append(self)

    @classmethod
    async def dial(cls, port: int) -> Any:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def take(self, size: int) -> bytes:
        try:
            return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error

    async def head(self) -> tuple[int, dict[str, str]]:
        try:
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Gone from error
        pairs = (line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in pairs}

    async def ended(self) -> None:
        """Return when the server has ended the connection; what still comes is thrown away."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        self.writer.close()

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        """End the connection by RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Http(Wire):
    """A keep-alive connection."""

    def ask(self, method: str, target: str, body: str = "", size: int | None = None) -> None:
        length = len(body.encode()) if size is None else size
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        self.send((head + body).encode())

    async def answer(self) -> tuple[int, str]:
        status, headers = await self.head()
        return status, (await self.take(int(headers.get("content-length", "0")))).decode()

    async def fetch(self, method: str, target: str, body: str = "") -> str:
        self.ask(method, target, body)
        status, text = await self.answer()
        if status != 200:
            raise Gone(f"{status} {text}")
        return text


class WebSocket(Wire):
    """A WebSocket that reads and writes text frames."""

    @classmethod
    async def open(cls, port: int, sid: str = "") -> WebSocket:
        self: WebSocket = await cls.dial(port)
        named = f"&sid={sid}" if sid else ""
        self.send(
            f"GET {PATH}&transport=websocket{named} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        status, _ = await self.head()
        if status != 101:
            raise Gone(str(status))
        return self

    def frame(self, opcode: int, payload: bytes) -> None:
        key = os.urandom(4)
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        pad = (key * (size // 4 + 1))[:size]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
        self.send(bytes([0x80 | opcode]) + length + key + masked.to_bytes(size, "big"))

    def say(self, text: str) -> None:
        self.frame(TEXT, text.encode())

    async def hear(self) -> str:
        """The next text but a ping, which is answered; `Gone` at the end or at a close frame."""
        while True:
            first, size = await self.take(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.take(2))
            payload = await self.take(size)
            if first & 0xF == CLOSE:
                raise Gone("close frame")
            if payload != b"2":
                return payload.decode()
            self.say("3")

    async def hear_until(self, start: str) -> str:
        while not (text := await self.hear()).startswith(start):
            pass
        return text

    async def enter(self, kind: str, namespace: str = "") -> None:
        """CONNECT, and wait until the server has welcomed the client."""
        self.say(f"40{namespace}{json.dumps({'kind': kind})}")
        await self.hear_until(f"40{namespace}")

    def finish(self) -> None:
        self.frame(CLOSE, struct.pack("!H", 1000))


class Polling:
    """A polling session: one connection for GETs, one for POSTs."""

    def __init__(self, port: int, polls: Http, posts: Http) -> None:
        self.port = port
        self.polls = polls
        self.posts = posts
        self.sid = ""

    @classmethod
    async def open(cls, port: int) -> Polling:
        self = cls(port, await Http.dial(port), await Http.dial(port))
        (opened,) = await self.poll()
        self.sid = json.loads(opened[1:])["sid"]
        return self

    @property
    def target(self) -> str:
        return f"{PATH}&transport=polling" + (f"&sid={self.sid}" if self.sid else "")

    async def poll(self, *, pong: bool = True) -> list[str]:
        packets = (await self.polls.fetch("GET", self.target)).split("\x1e")
        if pong and "2" in packets:
            await self.post("3")
        return packets

    def park(self) -> None:
        """Send a GET whose answer is not read now."""
        self.polls.ask("GET", self.target)

    async def post(self, body: str) -> None:
        await self.posts.fetch("POST", self.target, body)

    async def enter(self, kind: str, namespace: str = "") -> None:
        await self.post(f"40{namespace}{json.dumps({'kind': kind})}")
        while not any(packet.startswith(f"40{namespace}") for packet in await self.poll()):
            pass

    async def upgrade(self) -> WebSocket:
        """Go over to WebSocket, as the JavaScript client does."""
        socket = await self.probe()
        self.park()
        await self.polls.answer()
        socket.say("5")
        self.hang_up()
        return socket

    async def probe(self) -> WebSocket:
        socket = await WebSocket.open(self.port, self.sid)
        socket.say("2probe")
        await socket.hear_until("3probe")
        return socket

    def hang_up(self) -> None:
        self.polls.close()
        self.posts.close()

    def abort(self) -> None:
        self.polls.abort()
        self.posts.abort()
