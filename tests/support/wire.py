"""Raw HTTP and WebSocket over a blocking loopback socket: nothing is tidied up on the way out or in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

HOST = "127.0.0.1"
SECONDS = 5.0

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NO_STATUS = 1005  # a close frame without a code
NO_CLOSE_FRAME = 1006  # the connection ended without a close frame

Headers = Sequence[tuple[str, str]]
_WireT = TypeVar("_WireT", bound="Wire")


class Ended(Exception):
    """The peer ended the connection where more bytes were expected."""


class Wire:
    """One TCP connection; every read has a deadline, so that a silent server fails a test at once."""

    def __init__(self, port: int, seconds: float = SECONDS) -> None:
        self.sock = socket.create_connection((HOST, port), timeout=seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seconds = seconds
        self._received = bytearray()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_or_be_cut(self, data: bytes) -> bool:
        """Send what the peer may refuse to read to its end; False when it cut the connection."""
        try:
            self.sock.sendall(data)
        except OSError:
            return False
        return True

    def _more(self) -> None:
        try:
            chunk = self.sock.recv(65536)
        except ConnectionError as error:
            raise Ended(f"reset after {bytes(self._received)!r}") from error
        if not chunk:
            raise Ended(f"ended after {bytes(self._received)!r}")
        self._received += chunk

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def read_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._more()
        return self._take(size)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`."""
        while (at := self._received.find(mark)) < 0:
            self._more()
        return self._take(at + len(mark))

    def read_to_end(self) -> bytes:
        """Everything until the peer ends the connection, in whatever manner."""
        with contextlib.suppress(Ended):
            while True:
                self._more()
        return self._take(len(self._received))

    def read_to_silence(self, seconds: float) -> bytes:
        """Everything until the peer ends the connection or sends nothing for that long."""
        self.sock.settimeout(seconds)
        try:
            return self.read_to_end()
        except TimeoutError:
            return self._take(len(self._received))
        finally:
            self.sock.settimeout(self.seconds)

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing arrives, not even an end, for that long."""
        if self._received:
            return False
        self.sock.settimeout(seconds)
        try:
            self._more()
        except TimeoutError:
            return True
        except Ended:
            return False
        finally:
            self.sock.settimeout(self.seconds)
        return False

    def finish_sending(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST, as a crashed or hostile peer would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self: _WireT) -> _WireT:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(frozen=True)
class Response:
    """An HTTP response with its header lines as they were on the wire."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that may occur once only, whatever its case."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} is repeated: {values}"
        return values[0] if values else None

    def spelled(self, name: str) -> str | None:
        """The value of the header spelled exactly so."""
        return dict(self.headers).get(name)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def http_request(method: str, target: str, headers: Headers = (), body: bytes | None = None) -> bytes:
    """The bytes of a request; Host and Content-Length are added unless `headers` speak of them."""
    given = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {HOST}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(body: bytes, size: int = 1000) -> bytes:
    """`body` in the chunked transfer coding."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKED = (("Transfer-Encoding", "chunked"),)


class HttpClient(Wire):
    """A keep-alive connection: requests may be pipelined, sent in halves or answered one by one."""

    def send_request(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> None:
        self.send(http_request(method, target, headers, body))

    def request(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Response:
        self.send_request(method, target, headers, body)
        return self.read_response()

    def read_head(self) -> Response:
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        version, status, reason = (lines[0] + " ").split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        pairs = [line.split(":", 1) for line in lines[1:]]
        return Response(int(status), reason.strip(), tuple((name, value.strip()) for name, value in pairs), b"")

    def read_response(self) -> Response:
        head = self.read_head()
        return Response(head.status, head.reason, head.headers, self._read_body(head))

    def _read_body(self, head: Response) -> bytes:
        if head.status in {101, 204, 304}:
            return b""
        if (length := head.header("Content-Length")) is not None:
            return self.read_exactly(int(length))
        if (head.header("Transfer-Encoding") or "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self.read_to_end()

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.read_until(b"\r\n"), 16):
            yield self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        assert self.read_exactly(2) == b"\r\n"


def fetch(port: int, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Response:
    """One request on a connection of its own."""
    with HttpClient(port) as client:
        return client.request(method, target, headers, body)


@dataclass(frozen=True)
class Frame:
    """A WebSocket frame as it was received."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else NO_STATUS


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    declared: int | None = None,
) -> bytes:
    """A frame's bytes, lawful or not; `declared` is a length other than the payload's own."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    head = bytes([first]) + _length(len(payload) if declared is None else declared, masked=masked)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + _mask(key, payload)


def _length(size: int, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes([bit | size])
    if size < 65536:
        return bytes([bit | 126]) + struct.pack("!H", size)
    return bytes([bit | 127]) + struct.pack("!Q", size)


def _mask(key: bytes, payload: bytes) -> bytes:
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def fragmented(opcode: int, parts: Iterable[bytes]) -> bytes:
    """One message in several frames."""
    pieces = list(parts)
    opcodes = [opcode] + [CONTINUATION] * (len(pieces) - 1)
    last = len(pieces) - 1
    return b"".join(
        frame(op, part, fin=at == last) for at, (op, part) in enumerate(zip(opcodes, pieces, strict=True))
    )


class WebSocketClient(HttpClient):
    """A WebSocket that does its own handshake and shows every frame."""

    def handshake_bytes(self, target: str, headers: Headers = ()) -> bytes:
        """The upgrade request; a header given with an empty value replaces the usual one by nothing."""
        self._key = base64.b64encode(os.urandom(16)).decode()
        usual = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self._key,
            "Sec-WebSocket-Version": "13",
        }
        given = dict(headers)
        kept = [(name, value) for name, value in usual.items() if name not in given]
        return http_request("GET", target, [*kept, *((name, value) for name, value in headers if value)])

    def handshake(self, target: str, headers: Headers = (), early: bytes = b"") -> Response:
        """Ask for the upgrade, with `early` bytes in the same segment; the server's head, unchecked."""
        self.send(self.handshake_bytes(target, headers) + early)
        return self.read_head()

    @classmethod
    def open(
        cls, port: int, target: str, headers: Headers = (), early: bytes = b"", seconds: float = SECONDS
    ) -> WebSocketClient:
        """A WebSocket whose handshake the server accepted as RFC 6455 demands."""
        client = cls(port, seconds)
        head = client.handshake(target, headers, early)
        assert head.status == 101, (head, client.read_to_end())
        assert (head.header("Upgrade") or "").lower() == "websocket"
        assert (head.header("Connection") or "").lower() == "upgrade"
        assert head.header("Sec-WebSocket-Accept") == client.expected_accept()
        assert head.header("Sec-WebSocket-Extensions") is None
        return client

    def expected_accept(self) -> str:
        digest = hashlib.sha1(self._key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")  # noqa: S324
        return base64.b64encode(digest.digest()).decode()

    def send_text(self, text: str) -> None:
        self.send(frame(TEXT, text.encode()))

    def send_binary(self, data: bytes) -> None:
        self.send(frame(BINARY, data))

    def read_frame(self) -> Frame:
        first, second = self.read_exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.read_exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read_exactly(8))
        assert not second & 0x80, "a server never masks"
        return Frame(first & 0xF, self.read_exactly(size), bool(first & 0x80), first >> 4 & 7)

    def read_text(self) -> str:
        """The next frame, which must be a whole text message."""
        received = self.read_frame()
        assert (received.opcode, received.fin, received.rsv) == (TEXT, True, 0), received
        return received.payload.decode()

    def read_binary(self) -> bytes:
        received = self.read_frame()
        assert (received.opcode, received.fin, received.rsv) == (BINARY, True, 0), received
        return received.payload

    def read_to_close(self) -> tuple[list[Frame], int]:
        """The frames that still came, and the close code: `NO_CLOSE_FRAME` when there was none."""
        frames: list[Frame] = []
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            try:
                received = self.read_frame()
            except Ended:
                return frames, NO_CLOSE_FRAME
            if received.opcode == CLOSE:
                return frames, received.close_code
            frames.append(received)
        raise AssertionError(f"not closed, received {frames[:20]}")

    def close_code(self) -> int:
        """The code with which the server closes; nothing else may come before."""
        frames, code = self.read_to_close()
        assert frames == [], frames
        return code
