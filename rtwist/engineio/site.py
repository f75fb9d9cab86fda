"""twisted.web around an Engine.IO server: body limits, and connections that become WebSockets."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any

from twisted.internet.interfaces import IDelayedCall, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Request as _Request
from twisted.web.server import Site as _Site

from rtwist.engineio.request import Handshake
from rtwist.engineio.resource import Root, read_handshake
from rtwist.engineio.server import Server


class Request(_Request):
    """A request whose body stays in memory, within a limit of bytes and of time.

    twisted.web would spool chunked bodies to disk without bound.
    """

    channel: Channel
    content: BytesIO
    handshake: Handshake | None = None
    overlapping = False
    _size = 0
    _deadline: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        """The headers have come; `length` is the announced size of the body, None when it is chunked."""
        self.content = BytesIO()
        self._size = 0
        site = self.channel.site
        if length == 0:
            return
        # twisted.web tells a request these only once the body is whole; the channel knows them before.
        self.method = getattr(self.channel, "_command", b"")
        self.uri = getattr(self.channel, "_path", b"")
        self._deadline = site.clock.callLater(site.body_timeout, self._too_slow)
        site.body_begun(self)
        if length is not None and length > site.max_body:
            self._too_large(site)

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body has come."""
        self._size += len(data)
        site = self.channel.site
        if self._size > site.max_body:
            self._too_large(site)
        else:
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The body is whole."""
        self._cancel_deadline()
        if not self.channel.refusing:
            super().requestReceived(command, path, version)

    def render(self, resrc: IResource) -> None:
        """Render without telling the world which server version answers."""
        self.responseHeaders.removeHeader(b"server")
        super().render(resrc)

    def connectionLost(self, reason: Failure) -> None:
        """The client left before the answer."""
        self._cancel_deadline()
        super().connectionLost(reason)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.channel.transport.abortConnection()

    def _too_large(self, site: Site) -> None:
        channel = self.channel
        if not channel.refusing:
            self._cancel_deadline()
            site.body_dropped(self)
            channel.refuse(site.too_large_answer(self))


class Channel(HTTPChannel):
    """One HTTP connection; it can be refused in the middle of a body, or become a WebSocket."""

    site: Site
    transport: Any
    refusing = False
    _upgraded: Protocol | None = None
    _abort_timer: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come; those of a refused body are thrown away."""
        if not self.refusing:
            super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:
        """Body bytes, or frames that came in one piece with the request for a WebSocket."""
        if self._upgraded is not None:
            self._upgraded.dataReceived(data)
        elif not self.refusing:
            super().rawDataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._abort_timer is not None and self._abort_timer.active():
            self._abort_timer.cancel()
        super().connectionLost(reason)

    def refuse(self, answer: bytes) -> None:
        """Answer in the middle of a body, throw the rest of it away and close within `close_timeout`.

        Closing at once would reset the connection and the client might never read the answer.
        """
        self.refusing = True
        transport = self.transport
        self._abort_timer = self.site.clock.callLater(self.site.close_timeout, transport.abortConnection)
        transport.unregisterProducer()
        transport.write(answer)
        if ISSLTransport.providedBy(transport) or not hasattr(transport, "loseWriteConnection"):
            transport.loseConnection()
        else:
            transport.loseWriteConnection()

    def become(self, protocol: Protocol) -> None:
        """Hand the connection to `protocol`; this channel hears no more of it."""
        transport = self.transport
        transport.unregisterProducer()
        if ISSLTransport.providedBy(transport) and hasattr(transport, "wrappedProtocol"):
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        self._upgraded = protocol
        protocol.makeConnection(transport)


class Site(_Site):
    """The HTTP side of an Engine.IO server, for an endpoint to listen with.

    - `server`: served at its path; `fallback` gets every other path (404 without one).
    - `files`: resources for single paths below the server's own, such as the client's script.
    - `max_body`: bound of request bodies in bytes, by default the server's `max_payload`.
    - `too_large`: content type and body of the 413 answer to a request that is not Engine.IO's.
    """

    protocol = Channel  # type: ignore[assignment]
    requestFactory = Request

    def __init__(
        self,
        server: Server,
        fallback: IResource | None = None,
        *,
        files: Mapping[str, IResource] = MappingProxyType({}),
        max_body: int | None = None,
        too_large: tuple[str, bytes] = ("text/plain", b"Payload Too Large"),
    ) -> None:
        options = server.options
        root = Root(server, notFound() if fallback is None else fallback, files)
        super().__init__(root, parsePOSTFormSubmission=False)
        self.clock = server.clock
        self.max_body = options.max_payload if max_body is None else max_body
        self.body_timeout = options.body_timeout
        self.close_timeout = options.close_timeout
        self._server = server
        self._path = options.path.encode()
        self._too_large = too_large

    def log(self, request: object) -> None:
        """Write no access log: request lines hold the secret sids of sessions."""

    def body_begun(self, request: Request) -> None:
        """A request's headers have come and a body follows: a session takes one POST at a time."""
        if request.method != b"POST" or not request.uri.startswith(self._path):
            return
        request.handshake = read_handshake(request, self._server.now())
        transport = self._server.polling_transport(request.handshake)
        if transport is not None:
            request.overlapping = not transport.post_begun(request)

    def body_dropped(self, request: Request) -> None:
        """The body of `request` is too large and will not be read."""
        transport = self._server.polling_transport(request.handshake)
        if transport is not None:
            transport.post_dropped(request)

    def too_large_answer(self, request: Request) -> bytes:
        """The whole answer to a request whose body is too large, as bytes for the connection."""
        content_type, body = self._too_large
        if request.uri.startswith(self._path):
            content_type, body = "text/plain", b""
        origin = request.requestHeaders.getRawHeaders("origin", [None])[0]
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *self._server.cors.headers(origin),
        ]
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        return ("HTTP/1.1 413 Payload Too Large\r\n" + "".join(lines) + "\r\n").encode("latin-1") + body
