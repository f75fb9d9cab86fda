"""Connections between real processes: raw HTTP to a worker that does not have the session."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from tests.support.processes import ROOT, Program, free_port

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

    def __init__(self, workers: int = 2) -> None:
        self.port = free_port()
        self.workers = workers
        self.program = Program([sys.executable, PROGRAM, str(self.port), str(workers)])
        self._open: list[Connection] = []

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
        assert self.program.stop() == 0


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
        **dict(zip(("pid", "handed", "taken", "sessions"), map(int, numbers), strict=True)),
    }


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    return running


class TestTheOwnerAnswers:
    def test_a_request_goes_to_the_worker_of_its_session(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        assert sid.startswith("0")
        assert len(sid) == 25
        assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")

    def test_the_connection_stays_with_its_new_owner(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")
        assert who(connection)["worker"] == 0

    def test_it_may_go_back(self, cluster: Cluster) -> None:
        first, second, connection = cluster.session(0), cluster.session(1), cluster.to(1)
        for _ in range(3):
            for sid in (first, second):
                assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")
                assert who(connection)["worker"] == int(sid[0])


class TestWhatWasRead:
    def test_the_body_of_a_post_goes_along(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        assert connection.ask(post(sid, b'42["message","a body"]')) == (200, "ok")
        status, body = connection.ask(poll(sid))
        assert (status, "a body" in body) == (200, True)

    @pytest.mark.parametrize("at", [1, 30, 100, -10, -1])
    def test_a_request_in_two_pieces(self, cluster: Cluster, at: int) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        request = post(sid, b'42["message","two pieces"]')
        connection.send(request[:at])
        # An answered request on another connection: by then the first piece has long been read.
        who(cluster.to(1))
        assert connection.ask(request[at:]) == (200, "ok")
        assert "two pieces" in connection.ask(poll(sid))[1]

    def test_a_large_body(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        text = "x" * 900_000
        assert connection.ask(post(sid, f'42["message","{text}"]'.encode())) == (200, "ok")
        assert text in connection.ask(poll(sid))[1]

    def test_a_chunked_body(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        head = f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert connection.ask(head.encode() + b'11\r\n42["message","x"]\r\n0\r\n\r\n') == (200, "ok")

    def test_a_body_after_100_continue(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        head, _, body = post(sid, b'42["message","x"]').partition(b"\r\n\r\n")
        connection.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.head() == b"HTTP/1.1 100 Continue"
        assert connection.ask(body) == (200, "ok")

    def test_pipelined_requests_are_answered_in_order(self, cluster: Cluster) -> None:
        first, second, connection = cluster.session(0), cluster.session(1), cluster.to(1)
        sids = [first, second, second, first, first, second]
        requests = [post(sid, b'42["message","x"]') + get("/who") for sid in sids]
        connection.send(b"".join(requests))
        for sid in sids:
            assert connection.answer() == (200, "ok")
            assert connection.answer()[1].startswith(sid[0])
