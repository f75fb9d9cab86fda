"""Engine.IO and Socket.IO from a client's side, as far as the load generator needs it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
POLLING = "/socket.io/?EIO=4&transport=polling"
SEPARATOR = b"\x1e"
PING, EVENT, ACK = b"2", b"42", b"43"
TEXT, WEBSOCKET_PING, WEBSOCKET_PONG = 0x81, 0x89, 0x8A
"""First bytes of frames."""


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(target: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain;charset=UTF-8\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def upgrade(target: str) -> bytes:
    lines = (
        f"GET {target} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    return "\r\n".join((*lines, "", "")).encode()


def frame(payload: bytes, kind: int = TEXT) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([kind]) + length + bytes(4) + payload


PONG = frame(b"3")


def connect_packet(token: str) -> bytes:
    return b"40" + json.dumps({"token": token}).encode()


def event_packet(event: str, argument: str) -> bytes:
    """An event with one argument that asks for an acknowledgement, number 0."""
    return f"420{json.dumps([event, argument])}".encode()


def frames(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Each whole frame of a server in `data`: its first byte, its payload and where it ends."""
    at, length = 0, len(data)
    while length - at >= 2:
        kind, size, start = data[at], data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            start += wide
            size = int.from_bytes(data[at + 2 : start], "big")
        at = start + size
        if at > length:
            return
        yield kind, data[start:at], at


def response(data: bytes) -> tuple[bytes, int] | None:
    """The body of the HTTP response that `data` begins with, and where it ends; None while it is not whole."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    headers, start = data[: head + 2].lower(), head + 4
    if b"\r\ntransfer-encoding: chunked\r\n" in headers:
        return _chunks(data, start)
    at = headers.find(b"\r\ncontent-length:")
    size = 0 if at < 0 else int(headers[at + 17 : headers.find(b"\r\n", at + 17)])
    end = start + size
    return (data[start:end], end) if len(data) >= end else None


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    found: list[bytes] = []
    while (line := data.find(b"\r\n", at)) >= 0:
        start = line + 2
        end = start + int(data[at:line], 16)
        at = end + 2
        if len(data) < at:
            return None
        if start == end:
            return b"".join(found), at
        found.append(data[start:end])
    return None


def opened(port: int) -> socket.socket:
    """A connected TCP socket that does not block."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
