"""Writing HTTP answers on twisted.web requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer


def answer(request: Request, status: int, headers: Iterable[tuple[str, str]], body: bytes = b"") -> int:
    """Send a whole answer and finish `request`; returns what a resource's `render` must return."""
    set_head(request, status, headers, len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()
    return NOT_DONE_YET


class Stream(Protocol):
    """What a long answer needs of a request."""

    def write(self, data: bytes) -> object:
        """Hand a part of the answer to the connection."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> object:  # noqa: N802
        """Let `producer` be paused while the connection's buffer is full."""

    def unregisterProducer(self) -> object:  # noqa: N802
        """The producer is done."""

    def finish(self) -> object:
        """The answer is complete."""


@implementer(IPushProducer)
class LongAnswer:
    """The body of an answer that is too large to be written at once: a piece at a time, as the client reads.

    `moved` is called whenever some of `pieces` have been handed to the connection, with whether those were the
    last.
    """

    def __init__(self, request: Stream, pieces: Iterable[bytes], moved: Callable[[bool], None]) -> None:
        self._request = request
        self._pieces = iter(pieces)
        self._moved = moved
        self._paused = False

    def start(self) -> None:
        """Write as much as the connection takes."""
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        """The connection's buffer is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The connection's buffer has drained."""
        self._paused = False
        for piece in self._pieces:
            self._request.write(piece)
            if self._paused:
                self._moved(False)
                return
        self._request.unregisterProducer()
        self._request.finish()
        self._moved(True)

    def stopProducing(self) -> None:
        """The connection is lost."""


def set_head(request: Request, status: int, headers: Iterable[tuple[str, str]], size: int) -> None:
    """Give `request` the status and the headers of its answer, whose body is `size` bytes long."""
    request.setResponseCode(status)
    request.responseHeaders.removeHeader(b"content-type")
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % size])
