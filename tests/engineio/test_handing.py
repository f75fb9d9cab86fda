"""Taking a connected socket out of a transport, and a request's head as bytes again."""

from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http_headers import Headers

from rtwist.engineio.handing import detach, head_of

NAMES = st.from_regex(rb"\A[A-Za-z][A-Za-z0-9-]{0,10}\Z")
VALUES = st.from_regex(rb"\A[!-~]{1,10}\Z")


class Held:
    """A transport that ends its connection for everybody, as Twisted's do."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.told: list[str] = []

    def stopReading(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("stop reading")

    def stopWriting(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("stop writing")

    def fileno(self) -> int:
        return self._connection.fileno()

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("abort")
        self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._connection.close()


def test_the_connection_outlives_its_transport() -> None:
    ours, theirs = socket.socketpair()
    held = Held(ours)
    with theirs, socket.socket(fileno=detach(held)) as detached:
        assert held.told == ["stop reading", "stop writing", "abort"]
        detached.sendall(b"there")
        theirs.sendall(b"and back")
        assert theirs.recv(100) == b"there"
        assert detached.recv(100) == b"and back"
        assert detached.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == bytes(8)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=10))
def test_a_head_is_no_longer_than_it_came(fields: list[tuple[bytes, bytes]]) -> None:
    headers = Headers()
    for name, value in fields:
        headers.addRawHeader(name, value)
    head = head_of(b"GET", b"/x?sid=1", b"HTTP/1.1", headers.getAllRawHeaders())
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == b"GET /x?sid=1 HTTP/1.1"
    again = Headers()
    for line in lines:
        name, _, value = line.partition(b":")
        again.addRawHeader(name, value)
    assert again == headers
    came = b"GET /x?sid=1 HTTP/1.1\r\n" + b"".join(b"%s:%s\r\n" % field for field in fields) + b"\r\n"
    assert len(head) <= len(came)
