"""twisted.web's requests and connections, with limits, and connections that become WebSockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import IDelayedCall, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Request as _Request

from rtwist.engineio.admission import Admission
from rtwist.engineio.answers import LongAnswer, answer, set_head
from rtwist.engineio.exchange import Head, Watcher
from rtwist.engineio.forwarding import ForwardingChannel, ForwardingRules
from rtwist.engineio.incoming import Incoming
from rtwist.engineio.request import Handshake
from rtwist.engineio.tcp import limit_unread

_TOO_MUCH = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Rules(ForwardingRules, Interface):
    """What requests and connections ask of the site they belong to; times in seconds."""

    header_timeout: float
    body_timeout: float
    unread_timeout: float

    def body_begun(self, request: Request) -> None:
        """A request's headers have come and a body follows."""

    def body_dropped(self, request: Request) -> None:
        """The body of `request` is too large and will not be read."""

    def too_large_answer(self, request: Request) -> bytes:
        """The whole answer to a request whose body is too large."""


class Request(_Request):
    """A request whose body stays in memory, within a limit of bytes and of time.

    twisted.web would spool chunked bodies to disk without bound. `whole` tells whether the body has come,
    `gone` whether the client left; `handshake` is kept when it was read before the body.
    """

    channel: Channel
    content: BytesIO
    handshake: Handshake | None = None
    overlapping = False
    whole = False
    gone = False
    _size = 0
    _deadline: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        """The headers have come; `length` is the announced size of the body, None when it is chunked."""
        self.content = BytesIO()
        if length == 0:
            return
        # twisted.web tells a request these only once the body is whole; the channel knows them before.
        self.method = getattr(self.channel, "_command", b"")
        self.uri = origin_form(getattr(self.channel, "_path", b""))
        site = self.channel.site
        self._deadline = site.clock.callLater(site.body_timeout, self._too_slow)
        site.body_begun(self)
        if length is not None and length > site.max_body:
            self._too_large()

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body has come."""
        self._size += len(data)
        if self._size > self.channel.site.max_body:
            self._too_large()
        else:
            self.content.write(data)
            self._incoming.hold(self, self._size)

    def give_up(self) -> str:
        """Drop the body: too much has come from all clients together."""
        channel = self.channel
        self._drop_body()
        if self.whole:
            channel.transport.abortConnection()
        else:
            channel.site.body_dropped(self)
            channel.refuse(_TOO_MUCH)
        return str(getattr(channel.transport.getPeer(), "host", ""))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is whole."""
        self._cancel_deadline()
        if not self.channel.refusing:
            self.whole = True
            super().requestReceived(command, origin_form(path), version)

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` whether the answer was sent or the client left."""
        self.notifyFinish().addCallbacks(lambda _: watcher.answered(self), lambda _: watcher.left(self))

    def answer(self, status: int, head: Head, body: bytes = b"") -> None:
        """Send a whole answer."""
        channel = self.channel
        answer(self, status, head.headers, body)
        channel.wrote()

    def answer_long(self, head: Head, size: int, pieces: Iterable[bytes], moved: Callable[[bool], None]) -> None:
        """Send an answer of `size` bytes as the client reads it; `moved` is that of `LongAnswer`."""
        set_head(self, 200, head.headers, size)
        LongAnswer(self, pieces, moved).start()

    def render(self, resrc: IResource) -> None:
        """Render without telling the world which server version answers."""
        self.responseHeaders.removeHeader(b"server")
        super().render(resrc)

    def connectionLost(self, reason: Failure) -> None:
        """The client left before the answer."""
        self.gone = True
        if getattr(self, "channel", None) is not None:  # it has none once it is answered
            self._drop_body()
        super().connectionLost(reason)

    @property
    def _incoming(self) -> Incoming:
        return self.channel.site.admission.incoming

    def _drop_body(self) -> None:
        self._cancel_deadline()
        self._incoming.forget(self)
        self.content = BytesIO()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.channel.note("body_timeout")
        self.channel.refuse(_TOO_SLOW)

    def _too_large(self) -> None:
        channel = self.channel
        if not channel.refusing:
            self._drop_body()
            channel.note("max_payload")
            channel.site.body_dropped(self)
            channel.refuse(channel.site.too_large_answer(self))


class Upgraded(Interface):
    """What a connection may become; it calls `left` once the connection is gone."""

    left: Callable[[], None]

    def makeConnection(self, transport: Any) -> None:
        """The connection is handed over."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""


class Channel(ForwardingChannel):
    """One HTTP connection; it can be refused in the middle of a body, or become a WebSocket.

    `congested` tells whether the client leaves much of what was written to it unread.
    """

    site: Rules
    transport: Any
    refusing = False
    congested = False
    _gone = False
    _unread: Any = None
    _upgraded: Upgraded | None = None
    _abort_timer: IDelayedCall | None = None
    _header_timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Somebody has connected: turned away when there are too many, and expected to send a request soon."""
        over = self.site.admission.connected(self._peer_host())
        if over is not None:
            self.refusing = True
            self.transport.write(over.raw)
            self.transport.loseConnection()
            self._abort_later(self._abort)
            return
        super().connectionMade()
        limit_unread(self.transport, self.site.unread_timeout)
        self._expect_headers()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come; those of a refused body are thrown away."""
        if self.refusing or self.repeats(data):
            return
        self.read_in_full(data)
        try:
            super().dataReceived(data)
        except ValueError:
            # A Content-Length of thousands of digits.
            self.refuse(_BAD_REQUEST)
            return
        finally:
            self._arriving = b""
        if self._header_timer is None and self._upgraded is None and not self._gone and self._headers_begun():
            self._expect_headers()

    def rawDataReceived(self, data: bytes) -> None:
        """Body bytes, or frames that came in one piece with the request for a WebSocket."""
        if self._upgraded is not None:
            self._upgraded.dataReceived(data)
        elif not self.refusing:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """The headers of a request have come."""
        self.request_begun()
        super().allHeadersReceived()

    def request_begun(self) -> None:
        """The same, whoever has read them."""
        super().request_begun()
        if self._header_timer is not None:
            _cancel(self._header_timer)
            self._header_timer = None

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Whether the connection stays for another request, which it does for `max_requests`."""
        self._requests_begun += 1
        if self._requests_begun < self.site.max_requests:
            return bool(super().checkPersistence(request, version))
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False

    def requestDone(self, request: Any) -> None:
        """A request is answered; one that was sent behind it begins in a turn of its own.

        It could otherwise run in the middle of whatever wrote the answer, such as a broadcast. And not before the
        answers are read: a thousand requests are short, and their answers may be long.
        """
        self.site.admission.incoming.forget(request)
        if self.congested and self.persistent:
            self._unread = request
            self.setTimeout(self._savedTimeOut)
        elif any(getattr(self, "_dataBuffer", ())):
            self.site.clock.callLater(0, self._next_request, request)
        else:
            super().requestDone(request)

    def pauseProducing(self) -> None:
        """The socket's buffer is full."""
        self.congested = True
        super().pauseProducing()
        # Twisted would read on while a request is being answered, and keep all that comes.
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """The socket's buffer has drained."""
        self.congested = False
        super().resumeProducing()
        request, self._unread = self._unread, None
        if request is not None:
            self.site.clock.callLater(0, self._next_request, request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._left()
        self._gone = True
        self.congested = False
        _cancel(self._abort_timer)
        _cancel(self._header_timer)
        super().connectionLost(reason)

    def expect_reading(self) -> None:
        """Cut the client off in `close_timeout` seconds, if it still leaves so much unread."""
        if self.congested and self._abort_timer is None:
            self._abort_later(self._abort_unread)

    def refuse(self, answer: bytes) -> None:
        """Answer in the middle of a body, throw the rest of it away and close within `close_timeout`.

        Closing at once would reset the connection and the client might never read the answer.
        """
        self.refusing = True
        transport = self.transport
        _cancel(self._abort_timer)
        self._abort_later(self._abort)
        transport.unregisterProducer()
        transport.write(answer)
        if ISSLTransport.providedBy(transport) or not hasattr(transport, "loseWriteConnection"):
            transport.loseConnection()
        else:
            transport.loseWriteConnection()

    def become(self, protocol: Upgraded) -> None:
        """Hand the connection to `protocol`; this channel hears no more of it."""
        transport = self.transport
        _cancel(self._header_timer)
        # Sooner than the heartbeat would, the kernel must not give up a client whose network fails for a while.
        limit_unread(transport, self.site.heartbeat_timeout)
        # Not a method of the channel, which would stay in memory with its request as long as the connection.
        protocol.left = partial(self.site.admission.disconnected, self._peer_host())
        transport.unregisterProducer()
        if ISSLTransport.providedBy(transport) and hasattr(transport, "wrappedProtocol"):
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        self._upgraded = protocol
        protocol.makeConnection(transport)

    def note(self, limit: str, *, common: bool = False) -> None:
        """Count that the other end of this connection has passed `limit`."""
        self.site.admission.note(limit, self._peer_host(), common=common)

    def _peer_host(self) -> str:
        return getattr(self.transport.getPeer(), "host", "")

    def _left(self) -> None:
        self.site.admission.disconnected(self._peer_host())

    def _abort_later(self, abort: Callable[[], None]) -> None:
        self._abort_timer = self.site.clock.callLater(self.site.close_timeout, abort)

    def _abort(self) -> None:
        self._abort_timer = None
        self.note("close_timeout", common=True)
        self.transport.abortConnection()

    def _abort_unread(self) -> None:
        self._abort_timer = None
        if self.congested:
            self._abort()

    def _send100Continue(self) -> None:
        if not self.refusing:
            super()._send100Continue()

    def _next_request(self, request: Any) -> None:
        if not self._gone:
            super().requestDone(request)

    def _headers_begun(self) -> bool:
        # Between requests a connection may idle: there is neither a part of a line nor a request then.
        return not self._in_request and (bool(self.requests) or bool(getattr(self, "_buffer", b"")))

    def _expect_headers(self) -> None:
        # twisted.web's own timeout begins anew with every byte.
        timeout = self.site.header_timeout
        self._header_timer = self.site.clock.callLater(timeout, self._headers_timed_out)

    def _headers_timed_out(self) -> None:
        # Browsers connect ahead of need, and say nothing if there is none.
        begun = self._headers_begun()
        self.note("header_timeout", common=not begun)
        if begun:
            self.refuse(_TOO_SLOW)
        else:
            self.transport.abortConnection()


def header_fields(request: IRequest) -> dict[str, str]:
    """The headers of a request by their lower-case names; what is repeated is joined with commas."""
    return {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }


def client_address(request: IRequest, admission: Admission) -> str:
    """The address of the client that a request is from; "" when it has none."""
    peer = getattr(request.getClientAddress(), "host", "")
    return admission.client_address(peer, header_fields(request))


def _cancel(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()


def origin_form(target: bytes) -> bytes:
    """A request target as a path: servers must accept the absolute form too (RFC 9112, section 3.2.2)."""
    scheme, found, rest = target.partition(b"://")
    if found and scheme.lower() in (b"http", b"https"):
        return b"/" + rest.partition(b"/")[2]
    return b"/" if target == b"*" else target
