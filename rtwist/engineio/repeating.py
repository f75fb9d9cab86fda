"""HTTP connections on which requests repeat: those go to their session without being parsed again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final
from typing import Protocol as Interface

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel

from rtwist.engineio.answers import LongAnswer
from rtwist.engineio.exchange import Destination, Head, Manner, Watcher
from rtwist.engineio.outflow import Outflow, Outlet
from rtwist.engineio.repeat import learn, sid_of

_STATUS_LINES: Final = {status: b"HTTP/1.1 %d %s" % (status, text) for status, text in RESPONSES.items()}
# Part of what is used here is private to Twisted; without it every request is parsed.
_CAN_REPEAT: Final = all(
    hasattr(HTTPChannel(), name) for name in ("_handlingRequest", "_dataBuffer", "line_mode")
)


class RepeatRules(Interface):
    """What such connections ask of the site they belong to."""

    clock: IReactorTime
    max_body: int
    max_requests: int
    outflow: Outflow

    def polls_of(self, sid: str) -> Destination | None:
        """What takes the requests of the session `sid`, while that is there and polls."""

    def date(self) -> bytes:
        """The time for a Date header."""


class RepeatingChannel(HTTPChannel):
    """A connection that knows the last GET and the last POST of each session that were let in.

    A request that repeats one of them, as `Pattern` says, gets there at once. All else is read by twisted.web:
    what comes in pieces or before the last answer, and what is not lawful any more.
    """

    site: RepeatRules
    transport: Any
    # Whatever writes by another way flushes this before.
    outlet: Outlet
    requests: list[Any]
    congested = False
    _in_request = False
    _requests_begun = 0
    # The last request is answered, or none has come, and nothing has come since.
    _quiet = False
    _arriving = b""
    _answered_at = -math.inf

    def connectionMade(self) -> None:
        """Somebody has connected."""
        super().connectionMade()
        self.outlet = self.site.outflow.outlet(self.transport)
        self._quiet = _CAN_REPEAT

    def repeats(self, data: bytes) -> bool:
        """Whether `data` was a request like one before, which is under way now."""
        destination = self.site.polls_of(sid_of(data)) if self._quiet else None
        known = None if destination is None else destination.known.get(data[:4])
        if destination is None or known is None:
            return False
        pattern, manner = known
        body = pattern.match(data)
        # The last request of a connection is told so by twisted.web.
        if body is None or len(body) > self.site.max_body or self._requests_begun + 1 >= self.site.max_requests:
            return False
        exchange = self._begin()
        if not body:
            destination.poll(exchange, manner)
        elif destination.post_begun(exchange):
            destination.post(exchange, body, manner)
        else:
            exchange.answer(400, manner.refused)
        return True

    def read_in_full(self, data: bytes) -> None:
        """`data` is what twisted.web reads next."""
        self.outlet.flush()
        self._arriving = data if self._quiet else b""
        self._quiet = False

    def remember(self, destination: Destination, manner: Manner) -> None:
        """The request that is being read was let in, and so will be the next like it, on whatever connection."""
        pattern = learn(self._arriving)
        if pattern is not None:
            destination.known[self._arriving[:4]] = pattern, manner

    def requestDone(self, request: Any) -> None:
        """A request is answered, and nothing was sent behind it that is not in twisted.web's buffer."""
        self._quiet = _CAN_REPEAT and not getattr(self, "_buffer", b"")
        self._in_request = False
        super().requestDone(request)

    def repeated_done(self, request: Repeated) -> None:
        """A request that was not parsed is answered."""
        self._answered_at = self.site.clock.seconds()
        if any(self._dataBuffer):
            self.requestDone(request)
            return
        self.requests.clear()
        self._in_request = self._handlingRequest = False
        self.line_mode = 1
        self._quiet = True

    def loseConnection(self) -> None:  # noqa: N802
        """Close when all is written; what comes until then is not for us."""
        self._quiet = False
        super().loseConnection()

    def wrote(self) -> None:
        """Something was written to the connection itself."""
        self.site.outflow.wrote(self.transport)

    def timeoutConnection(self) -> None:  # noqa: N802
        """The connection has idled for long, unless requests that repeat came meanwhile, which set no timer."""
        idle = self.timeOut or 0
        rest = self._answered_at + idle - self.site.clock.seconds()
        if any(isinstance(request, Repeated) for request in self.requests):
            rest = idle
        if rest > 0:
            self.setTimeout(rest)
            self.timeOut = idle
        else:
            super().timeoutConnection()

    def request_begun(self) -> None:
        """The headers of a request have come."""
        self._in_request = True

    def expect_reading(self) -> None:
        """Cut the client off soon, if it leaves much unread."""
        raise NotImplementedError

    def _begin(self) -> Repeated:
        self._requests_begun += 1
        self.request_begun()
        self._quiet, self._handlingRequest = False, True
        # What comes meanwhile is kept for later.
        self.line_mode = 0
        exchange = Repeated(self)
        self.requests.append(exchange)
        return exchange


class Repeated:
    """A request that was not parsed; twisted.web's channel has it in its queue like its own."""

    __slots__ = ("_watcher", "channel", "gone", "whole")

    def __init__(self, channel: RepeatingChannel) -> None:
        self.channel = channel
        self.whole = True
        self.gone = False
        self._watcher: Watcher | None = None

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of the end."""
        self._watcher = watcher

    def answer(self, status: int, head: Head, body: bytes = b"") -> None:
        """Send a whole answer before the turn of the reactor ends."""
        outlet = self.channel.outlet
        outlet.write(self._head(status, head, len(body)) + body)
        outlet.flush_if_behind()
        self.finish()

    def answer_long(self, head: Head, size: int, pieces: Iterable[bytes], moved: Callable[[bool], None]) -> None:
        """Send an answer of `size` bytes as the client reads it."""
        self.channel.outlet.flush()
        self.write(self._head(200, head, size))
        LongAnswer(self, pieces, moved).start()

    def write(self, data: bytes) -> None:
        """Hand a part of the answer to the connection."""
        self.channel.transport.write(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        """Let `producer` be paused while the connection's buffer is full."""
        self.channel.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:  # noqa: N802
        """The producer is done."""
        self.channel.unregisterProducer()

    def finish(self) -> None:
        """The answer is complete."""
        self.channel.repeated_done(self)
        if self._watcher is not None:
            self._watcher.answered(self)

    def connectionLost(self, reason: Failure) -> None:
        """The client left before the answer."""
        self.gone = True
        if self._watcher is not None:
            self._watcher.left(self)

    def _head(self, status: int, head: Head, size: int) -> bytes:
        date = self.channel.site.date()
        return b"%s\r\nDate: %s\r\n%sContent-Length: %d\r\n\r\n" % (_STATUS_LINES[status], date, head.lines, size)
