"""A server of several processes, and raw connections to it."""

from __future__ import annotations

import json
import re
import socket
import sys
import time

from tests.support.processes import ROOT, Program, free_port

_NUMBERS = (
    "pid", "handed", "taken", "sessions", "nodes", "forwarding", "forwarded", "unreachable", "max_forwarded",
)  # fmt: skip
POLLING = "/socket.io/?EIO=4&transport=polling"
PROGRAM = str(ROOT / "tests" / "workers" / "program.py")


class Connection:
    """One HTTP connection, as bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, str]:
        """Status and body of the next answer."""
        head = self._until(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])  # type: ignore[index]
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return int(head.split(b" ")[1]), body.decode()

    def ask(self, data: bytes) -> tuple[int, str]:
        self.send(data)
        return self.answer()

    def ended(self) -> bool:
        """Whether the server closes the connection, with nothing more to read."""
        return not self._read and self.socket.recv(1) == b""

    def head(self) -> bytes:
        """What comes before a body, or in place of one."""
        return self._until(b"\r\n\r\n")

    def frame(self) -> bytes:
        """The payload of a short text frame."""
        while len(self._read) < 2 or len(self._read) < 2 + self._read[1]:
            self._more()
        size = self._read[1]
        payload, self._read = self._read[2 : 2 + size], self._read[2 + size :]
        return payload

    def close(self) -> None:
        self.socket.close()

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        head, _, self._read = self._read.partition(end)
        return head

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"the connection ended after {self._read!r}"
        self._read += data


class Cluster:
    """`program.py` with so many workers."""

    def __init__(self, workers: int = 2, **env: str) -> None:
        self.port = free_port()
        self.workers = workers
        self.program = Program([sys.executable, PROGRAM, str(self.port), str(workers)], env=env)
        self._open: list[Connection] = []
        self._killed = False

    def wait(self) -> None:
        """Return once each worker serves and has links to all others."""
        for number in range(self.workers):
            for other in range(self.workers):
                if number != other:
                    self.program.wait_for_output(f"worker {number} reaches {other}")

    def connect(self) -> Connection:
        connection = Connection(self.port)
        self._open.append(connection)
        return connection

    def to(self, worker: int) -> Connection:
        """A connection that `worker` has accepted; whichever accepts is the kernel's choice."""
        while True:
            connection = self.connect()
            if who(connection)["worker"] == worker:
                return connection
            connection.close()

    def refuses(self, seconds: float) -> bool:
        """Whether nobody can connect any more, `seconds` from now at the latest."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.connect()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:  # the port was closed while this one waited there
                continue
        return False

    def session(self, worker: int) -> str:
        """The sid of a new polling session of `worker`, joined to the namespace /."""
        connection = self.to(worker)
        status, body = connection.ask(get(POLLING))
        assert status == 200
        sid = str(json.loads(body[1:])["sid"])
        assert connection.ask(post(sid, b"40")) == (200, "ok")
        status, body = connection.ask(poll(sid))
        assert (status, body[:2]) == (200, "40")
        return sid

    def pid(self, worker: int) -> int:
        return int(who(self.to(worker))["pid"])

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        if not self._killed:
            assert self.program.stop() == 0
        assert [line for line in self.program.output if "Traceback" in line or "Unhandled" in line] == []

    def kill(self) -> None:
        """The parent dies, and can tell nobody."""
        self._killed = True
        self.program.process.kill()


def get(target: str, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


def poll(sid: str) -> bytes:
    return get(f"{POLLING}&sid={sid}")


def post(sid: str, body: bytes) -> bytes:
    head = f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def who(connection: Connection) -> dict[str, int]:
    """What the worker that has `connection` now says of itself."""
    status, body = connection.ask(get("/who"))
    assert status == 200
    worker, *numbers = body.split()
    return {
        "worker": int(worker),
        **dict(zip(_NUMBERS, map(int, numbers), strict=True)),
    }
