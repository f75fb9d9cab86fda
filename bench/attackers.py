"""One attack at full speed from one process: `python bench/attackers.py KIND PORT SECONDS TOKEN`.

Comes from 127.0.0.66, so that limits per address can tell it from others. Prints how often it was thrown out, and
how much it got through: bytes for those who write, connections for those who connect.
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator

SOURCE = ("127.0.0.66", 0)
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
HANDSHAKE = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WRITERS = 10


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


def text(data: str) -> bytes:
    return frame(1, data.encode())


def dial(port: int, window: int | None = None) -> socket.socket:
    """A connection from the attacker's address; OSError when it is not taken."""
    sock = socket.socket()
    if window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    sock.settimeout(5)
    sock.bind(SOURCE)
    sock.connect(("127.0.0.1", port))
    return sock


def enter(port: int, token: str, window: int | None = None) -> socket.socket:
    """A WebSocket that is connected as a user."""
    sock = dial(port, window)
    sock.sendall(UPGRADE + text("40" + json.dumps({"token": token})))
    got = b""
    while b'"connected"' not in got:
        chunk = sock.recv(4096)
        if not chunk:
            raise ConnectionError("not let in")
        got += chunk
    return sock


class Tally:
    """What an attack came to."""

    def __init__(self) -> None:
        self.through = 0
        self.thrown_out = 0


def write(port: int, token: str, until: float, tally: Tally, blocks: Iterator[bytes]) -> None:
    """Write `blocks` to several connections as fast as they take them; come back when thrown out."""
    selector = selectors.DefaultSelector()
    live = 0
    while time.monotonic() < until:
        while live < WRITERS:
            try:
                sock = enter(port, token)
            except OSError:
                tally.thrown_out += 1
                time.sleep(0.02)
                break
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            live += 1
        for key, events in selector.select(0.1) if live else ():
            sock = key.fileobj  # type: ignore[assignment]
            try:
                ended = bool(events & selectors.EVENT_READ) and not sock.recv(65536)
                if not ended and events & selectors.EVENT_WRITE:
                    tally.through += sock.send(next(blocks))
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                selector.unregister(sock)
                sock.close()
                live -= 1
                tally.thrown_out += 1


def endless(block: bytes) -> Iterator[bytes]:
    return itertools.repeat(block)


def events() -> Iterator[bytes]:
    return endless(text('42["x",1]') * 2000)


def tiny_frames() -> Iterator[bytes]:
    yield frame(1, b"4", fin=False)
    yield from endless(frame(0, b"2", fin=False) * 5000)


def pings() -> Iterator[bytes]:
    return endless(frame(9, b"p" * 125) * 300)


def joins() -> Iterator[bytes]:
    for number in itertools.count():
        yield b"".join(text(f'42{number}["join_room","r{number}-{each}"]') for each in range(200))


def connects() -> Iterator[bytes]:
    return endless((text("41") + text("40{}")) * 500)


def handshakes(port: int, until: float, tally: Tally, request: bytes = HANDSHAKE) -> None:
    """Open a connection, ask for a session, leave; again and again."""
    while time.monotonic() < until:
        try:
            with dial(port) as sock:
                sock.sendall(request)
                answered = sock.recv(4096)
        except OSError:
            answered = b""
        ok = answered.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101"))
        tally.through += ok
        tally.thrown_out += not ok


def slow_headers(port: int, until: float, tally: Tally) -> None:
    """Hold as many connections as possible, each with a header that grows by a byte a second."""
    held: list[socket.socket] = []
    while time.monotonic() < until:
        started = time.monotonic()
        while len(held) < 500 and time.monotonic() < until:
            try:
                held.append(dial(port))
            except OSError:
                tally.thrown_out += 1
                break
        for sock in tuple(held):
            try:
                sock.sendall(b"GET" if tally.through == 0 else b"x")
                tally.through += 1
                sock.setblocking(False)
                if not sock.recv(100):
                    raise ConnectionError
            except BlockingIOError:
                sock.settimeout(5)
            except OSError:
                held.remove(sock)
                tally.thrown_out += 1
        time.sleep(max(0.0, min(1 - (time.monotonic() - started), until - time.monotonic())))


def never_read(port: int, token: str, until: float, tally: Tally) -> None:
    """Sit in the room of the quiet clients and read nothing."""
    held: list[socket.socket] = []
    while time.monotonic() < until:
        while len(held) < 200 and time.monotonic() < until:
            try:
                held.append(enter(port, token, window=2048))
            except OSError:
                tally.thrown_out += 1
                time.sleep(0.05)
        tally.through = len(held)
        time.sleep(0.2)


BLOCKS: dict[str, Callable[[], Iterator[bytes]]] = {
    "events": events,
    "tiny frames": tiny_frames,
    "pings": pings,
    "joins": joins,
    "connects": connects,
}


def main() -> None:
    kind, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[4]
    until, tally = time.monotonic() + float(sys.argv[3]), Tally()
    if kind in BLOCKS:
        write(port, token, until, tally, BLOCKS[kind]())
    elif kind == "never read":
        never_read(port, token, until, tally)
    elif kind == "slow headers":
        slow_headers(port, until, tally)
    else:
        handshakes(port, until, tally, UPGRADE if kind == "websocket handshakes" else HANDSHAKE)
    print(json.dumps({"through": tally.through, "thrown_out": tally.thrown_out}))


if __name__ == "__main__":
    main()
