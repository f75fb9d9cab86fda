"""Quiet clients in one process: `python bench/listeners.py PORT` reads commands, JSON lines on standard input.

- `{"connect": [token, ...]}` opens a WebSocket for each token, and answers `{"connected": n}`.
- `{"report": true}` answers with what came since the last report: `events` of each client (least and most),
  `lost` connections, and the seconds from `sent` in an event to its arrival (`p50`, `p99`, `max`).

Events carry `"sent": <seconds since 1970>`; heartbeats are answered. One thread with epoll, so that a thousand
clients cost little.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import sys
import time
from typing import Any

SENT = re.compile(rb'"sent":\s*([0-9.]+)')
_UPGRADE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def text_frame(text: str) -> bytes:
    """A client's frame, masked with zeros."""
    payload = text.encode()
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


class Listener:
    """One client: takes frames apart as far as it must."""

    __slots__ = ("buffer", "events", "sock")

    def __init__(self, port: int, token: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.buffer = b""
        self.events = 0
        self.sock.sendall(_UPGRADE.encode() + text_frame("40" + json.dumps({"token": token})))
        while b'42["connected"' not in self.buffer:
            self.buffer += self._more()
        at = self.buffer.index(b"\r\n\r\n") + 4
        self.buffer = self.buffer[at:]
        self.sock.setblocking(False)

    def _more(self) -> bytes:
        chunk = self.sock.recv(65536)
        if not chunk:
            raise ConnectionError(f"not let in: {self.buffer!r}")
        return chunk

    def read(self, latencies: list[float]) -> bool:
        """Take what has come; False at the end of the connection."""
        try:
            chunk = self.sock.recv(262144)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.buffer += chunk
        now, at, data = time.time(), 0, self.buffer
        while (end := _frame_end(data, at)) is not None:
            start, end = end
            if data[start:end] == b"2":
                self.sock.send(text_frame("3"))
            elif (found := SENT.search(data, start, end)) is not None:
                self.events += 1
                latencies.append(now - float(found[1]))
            at = end
        self.buffer = data[at:]
        return bool(chunk)


def _frame_end(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and ends; None when it is not whole."""
    if len(data) - at < 2:
        return None
    size, start = data[at + 1] & 0x7F, at + 2
    if size >= 126:
        wide = 2 if size == 126 else 8
        if len(data) - start < wide:
            return None
        size, start = int.from_bytes(data[start : start + wide], "big"), start + wide
    return (start, start + size) if len(data) >= start + size else None


class Crowd:
    """All listeners, and what they heard since the last report."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._listeners: list[Listener] = []
        self._latencies: list[float] = []
        self._lost = 0

    def connect(self, tokens: list[str]) -> dict[str, Any]:
        for token in tokens:
            listener = Listener(self._port, token)
            self._listeners.append(listener)
            self._selector.register(listener.sock, selectors.EVENT_READ, listener)
            self.poll(0)
        return {"connected": len(self._listeners)}

    def report(self) -> dict[str, Any]:
        found, self._latencies = sorted(self._latencies), []
        events = [listener.events for listener in self._listeners]
        for listener in self._listeners:
            listener.events = 0
        lost, self._lost = self._lost, 0
        quantiles = {name: found[int((len(found) - 1) * part)] for name, part in PARTS.items()} if found else {}
        return {"events": [min(events), max(events)], "lost": lost, "count": len(found), **quantiles}

    def poll(self, seconds: float) -> bool:
        """Read what has come within `seconds`; False once standard input says something."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                return False
            if not key.data.read(self._latencies):
                self._selector.unregister(key.data.sock)
                self._lost += 1
        return True

    def serve(self) -> None:
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            while self.poll(1):
                pass
            line = sys.stdin.readline()
            if not line:
                return
            command = json.loads(line)
            answer = self.connect(command["connect"]) if "connect" in command else self.report()
            print(json.dumps(answer), flush=True)


PARTS = {"p50": 0.5, "p99": 0.99, "max": 1.0}

if __name__ == "__main__":
    os.set_blocking(sys.stdin.fileno(), True)
    Crowd(int(sys.argv[1])).serve()
