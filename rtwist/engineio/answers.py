"""Writing HTTP answers on twisted.web requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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

    `size` is that of all `pieces` together. `moved` is called whenever some have been handed to the connection,
    with whether those were the last.
    """

    def __init__(
        self,
        request: Request,
        headers: Iterable[tuple[str, str]],
        size: int,
        pieces: Iterable[bytes],
        moved: Callable[[bool], None],
    ) -> None:
        self._request = request
        self._pieces = iter(pieces)
        self._moved = moved
        self._paused = False
        _set_head(request, 200, headers, size)

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


def _set_head(request: Request, status: int, headers: Iterable[tuple[str, str]], size: int) -> None:
    request.setResponseCode(status)
    request.responseHeaders.removeHeader(b"content-type")
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % size])
