"""Engine.IO and Socket.IO from a client's side, as far as the load generator needs it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
POLLING = "/socket.io/?EIO=4&transport=polling"
SEPARATOR = b"\x1e"
PING, EVENT, ACK = b"2", b"42", b"43"


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


def frame(payload: bytes) -> bytes:
    """A client's text frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


PONG = frame(b"3")


def connect_packet(token: str) -> bytes:
    return b"40" + json.dumps({"token": token}).encode()


def event_packet(event: str, argument: str) -> bytes:
    """An event with one argument that asks for an acknowledgement, number 0."""
    return f"420{json.dumps([event, argument])}".encode()


def payloads(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Each whole text frame of a server in `data`: its payload and where it ends."""
    at, length = 0, len(data)
    while length - at >= 2:
        size, start = data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            start += wide
            size = int.from_bytes(data[at + 2 : start], "big")
        at = start + size
        if at > length:
            return
        yield data[start:at], at


def response_end(data: bytes) -> tuple[int, int] | None:
    """Where the body of the HTTP response that `data` begins with starts and ends; None while it is not whole."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    start = head + 4
    headers = data[:head].lower()
    at = headers.find(b"content-length:")
    if at >= 0:
        end = start + int(headers[at + 15 : headers.find(b"\r\n", at) if b"\r\n" in headers[at:] else head])
        return (start, end) if len(data) >= end else None
    if b"chunked" in headers:
        return (start, len(data)) if data.endswith(b"0\r\n\r\n") else None
    return start, start


def opened(port: int) -> socket.socket:
    """A connected TCP socket that does not block."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
