"""The twisted.web site of an Engine.IO server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from twisted.web.http import datetimeToString
from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Site as _Site

from rtwist.engineio.forwarding import Forwarder
from rtwist.engineio.handing import Neighbours
from rtwist.engineio.http import Channel, Request, origin_form
from rtwist.engineio.options import Options
from rtwist.engineio.resource import Root, read_handshake
from rtwist.engineio.server import Server


class Site(_Site):
    """The HTTP side of an Engine.IO server, for an endpoint to listen with.

    - `server`: served at its path; `fallback` gets every other path (404 without one).
    - `files`: resources for single paths below the server's own, such as the client's script.
    - `max_body`: bound of request bodies in bytes, by default the server's `max_payload`.
    - `too_large`: of that bound, content type and body of the 413 answer to a request that is not Engine.IO's.
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
        too_large: Callable[[int], tuple[str, bytes]] = lambda most: ("text/plain", b"Payload Too Large"),
    ) -> None:
        options = server.options
        root = Root(server, notFound() if fallback is None else fallback, files)
        super().__init__(root, parsePOSTFormSubmission=False, timeout=options.idle_timeout)
        self.clock = server.clock
        self.heartbeat_timeout = options.ping_interval + options.ping_timeout
        self._max_body = max_body
        self._go_by(options)
        server.on_change(self._go_by)
        self.admission = server.admission
        self.outflow = server.outflow
        self.polls_of = server.polls_of
        self._date = (0, b"")
        self._server = server
        self._path = options.path.encode()
        self._too_large = too_large

    @property
    def neighbours(self) -> Neighbours | None:
        """`Server.neighbours`."""
        return self._server.neighbours

    @property
    def forwarder(self) -> Forwarder | None:
        """`Server.forwarder`."""
        return self._server.forwarder

    def is_engine(self, target: bytes) -> bool:
        """Whether a request target is the server's, not the fallback's."""
        return origin_form(target).startswith(self._path)

    def _go_by(self, options: Options) -> None:
        self.timeOut = options.idle_timeout  # of the connections to come
        self.max_body = options.max_payload if self._max_body is None else self._max_body
        self.header_timeout = options.header_timeout
        self.body_timeout = options.body_timeout
        self.close_timeout = options.close_timeout
        self.unread_timeout = options.unread_timeout
        self.max_requests = options.max_requests

    def log(self, request: object) -> None:
        """Write no access log: request lines hold the secret sids of sessions."""

    def date(self) -> bytes:
        """The time for a Date header (RFC 9110, section 6.6.1), made once a second."""
        now = int(self._server.now())
        if self._date[0] != now:
            self._date = now, datetimeToString(now)
        return self._date[1]

    def body_begun(self, request: Request) -> None:
        """A request's headers have come and a body follows: a session takes one POST at a time."""
        if request.method != b"POST" or not request.uri.startswith(self._path):
            return
        request.handshake = read_handshake(request, self._server)
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
        engine = request.uri.startswith(self._path)
        content_type, body = ("text/plain", b"") if engine else self._too_large(self.max_body)
        origin = (request.requestHeaders.getRawHeaders(b"origin") or [b""])[0].decode("latin-1") or None
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *self._server.cors.headers(origin),
        ]
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        return ("HTTP/1.1 413 Payload Too Large\r\n" + "".join(lines) + "\r\n").encode("latin-1") + body
