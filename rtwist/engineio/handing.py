"""HTTP connections whose requests may belong to another process: those are handed over with their connection."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import IPullProducer, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from rtwist.engineio.repeat import sid_of
from rtwist.engineio.repeating import RepeatingChannel, RepeatRules


class Neighbours(Interface):
    """The other processes that serve the same addresses as this one."""

    mark: str
    """What the sids of this process begin with; the rest of them is as random as ever."""

    def reach(self, sid: str) -> bool:
        """Whether the session `sid` is another process's, and that can be handed a connection now."""

    def hand(self, sid: str, descriptor: int, data: bytes) -> None:
        """Give the process of `sid` the connected socket `descriptor`, which is the callee's to close.

        `data` was read from it and not acted on.
        """


class HandingRules(RepeatRules, Interface):
    """What such connections ask of the site they belong to."""

    @property
    def neighbours(self) -> Neighbours | None:
        """The other processes, if there are any."""


class HandingChannel(RepeatingChannel):
    """A connection that goes to the process whose session its next request names.

    It goes once all answers before have left, with that request and all that was read after. For this channel it
    then is gone; the other process has it for all requests to come.
    """

    site: HandingRules
    transport: Any
    _handing: _Handing | None = None

    def allHeadersReceived(self) -> None:
        """The headers of a request have come, and nothing of it has been acted on."""
        neighbours = self.site.neighbours
        if neighbours is not None and self._requests_begun < self.site.max_requests:
            sid = sid_of(self._path)
            if neighbours.reach(sid) and not ISSLTransport.providedBy(self.transport):
                self._hand_over(neighbours, sid)
                return
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        """What came after the headers."""
        if self._handing is not None:
            self._handing.read.append(data)
        else:
            super().rawDataReceived(data)

    def stay(self) -> None:
        """Answer the next request here, whosever it is, and close the connection then."""
        self._requests_begun = self.site.max_requests

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, or another process has it."""
        self._handing = None
        super().connectionLost(reason)

    def _hand_over(self, neighbours: Neighbours, sid: str) -> None:
        fields = self.requests[-1].requestHeaders.getAllRawHeaders()
        head = head_of(self._command, self._path, self._version, fields)
        self._handing = _Handing(neighbours, sid, head)
        # With a body to come twisted.web does not begin the request.
        self.length = None
        self.setTimeout(None)
        self.outlet.flush()
        transport = self.transport
        transport.stopReading()
        transport.unregisterProducer()
        transport.registerProducer(_Drain(self._drained), False)
        transport.startWriting()

    def _drained(self) -> None:
        handing, transport = self._handing, self.transport
        if handing is None:
            return
        self._handing = None
        transport.unregisterProducer()
        descriptor = detach(transport)
        handing.neighbours.hand(handing.sid, descriptor, b"".join((*handing.read, getattr(self, "_buffer", b""))))


class _Handing:
    __slots__ = ("neighbours", "read", "sid")

    def __init__(self, neighbours: Neighbours, sid: str, head: bytes) -> None:
        self.neighbours = neighbours
        self.sid = sid
        self.read = [head]


@implementer(IPullProducer)
class _Drain:
    """Hears that the operating system has taken all that was written to a transport."""

    def __init__(self, drained: Any) -> None:
        self._drained = drained
        self._registered = False

    def resumeProducing(self) -> None:
        # Twisted asks once when it is registered, whatever still waits.
        if self._registered:
            self._drained()
        self._registered = True

    def stopProducing(self) -> None:
        pass


def detach(transport: Any) -> int:
    """Take the connected socket out of Twisted's `transport`, which is told that its connection is lost.

    The socket is returned as a descriptor for the caller to close; it is neither shut down nor reset.
    """
    transport.stopReading()
    transport.stopWriting()
    descriptor = os.dup(transport.fileno())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # What Twisted does to end a connection would end it for every process that has it.
        os.dup2(ours.fileno(), transport.fileno(), inheritable=False)
    transport.abortConnection()
    return descriptor


def head_of(command: bytes, target: bytes, version: bytes, fields: Iterable[tuple[bytes, list[bytes]]]) -> bytes:
    """A request up to its body, no longer than it came."""
    lines = [b"%s:%s\r\n" % (name, value) for name, values in fields for value in values]
    return b"%s %s %s\r\n%s\r\n" % (command, target, version, b"".join(lines))
