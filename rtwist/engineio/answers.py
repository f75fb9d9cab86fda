"""Writing HTTP answers on twisted.web requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from twisted.internet.interfaces import IPushProducer
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer


def answer(request: Request, status: int, headers: Iterable[tuple[str, str]], body: bytes = b"") -> int:
    """Send a whole answer and finish `request`; returns what a resource's `render` must return."""
    _set_head(request, status, headers, len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()
    return NOT_DONE_YET


@implementer(IPushProducer)
class LongAnswer:
    """An answer to a GET that is too large to be written at once: a piece at a time, as the client reads.

    `written` is called once all of it has been handed to the connection, at once or later; not if that is lost.
    """

    def __init__(
        self,
        request: Request,
        headers: Iterable[tuple[str, str]],
        pieces: Sequence[bytes],
        written: Callable[[], None],
    ) -> None:
        self._request = request
        self._pieces = deque(pieces)
        self._written = written
        self._paused = False
        _set_head(request, 200, headers, sum(map(len, pieces)))

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
        while self._pieces and not self._paused:
            self._request.write(self._pieces.popleft())
        if not self._pieces:
            self._request.unregisterProducer()
            self._request.finish()
            self._written()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._paused = True


def _set_head(request: Request, status: int, headers: Iterable[tuple[str, str]], size: int) -> None:
    request.setResponseCode(status)
    request.responseHeaders.removeHeader(b"content-type")
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % size])
