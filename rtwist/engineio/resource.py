"""The web resource at the root: Engine.IO requests to the server, everything else to the fallback."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as _Request

from rtwist.engineio.admission import Over
from rtwist.engineio.answers import answer
from rtwist.engineio.deflate import Agreement, agree
from rtwist.engineio.exchange import Headers, Manner
from rtwist.engineio.http import client_address, header_fields
from rtwist.engineio.polling import PollingTransport
from rtwist.engineio.request import ErrorCode, Handshake, Refusal, parse_query
from rtwist.engineio.server import Server
from rtwist.engineio.websocket import WebSocketTransport

if TYPE_CHECKING:
    from rtwist.engineio.http import Channel, Request

_JSON = ("Content-Type", "application/json")
_WEBSOCKET_VERSION = "13"


class Root(Resource):
    """Looks at the path once: an exact name in `files`, the Engine.IO path, or `fallback`."""

    isLeaf = True

    def __init__(self, server: Server, fallback: IResource, files: Mapping[str, IResource]) -> None:
        super().__init__()
        self._server = server
        self._path = server.options.path.encode()
        self._fallback = fallback
        self._files = {(server.options.path + name).encode(): resource for name, resource in files.items()}

    def render(self, request: _Request) -> int | bytes:
        """Answer `request`, now or later."""
        path = request.uri.partition(b"?")[0]
        resource = self._files.get(path)
        if resource is not None:
            return self._render_file(cast("Request", request), resource)
        if path.startswith(self._path):
            return self._render_engine(cast("Request", request))
        return cast(bytes, getChildForRequest(self._fallback, request).render(request))

    def _render_file(self, request: Request, resource: IResource) -> int | bytes:
        admission = self._server.admission
        over = admission.asks(client_address(request, admission))
        if over is not None:
            return _refuse_over(request, over, [])
        return cast(bytes, resource.render(request))

    def _render_engine(self, request: Request) -> int:
        handshake = request.handshake or read_handshake(request, self._server)
        if handshake is None:
            return _refuse(request, Refusal(ErrorCode.BAD_REQUEST, "unreadable request"), [])
        cors = self._server.cors
        if request.overlapping:
            return answer(request, 400, cors.headers(handshake.origin))
        if handshake.method == "OPTIONS" and cors.enabled:
            over = self._server.admission.asks(handshake.address)
            if over is not None:
                return _refuse_over(request, over, cors.headers(handshake.origin))
            requested = handshake.headers.get("access-control-request-headers")
            return answer(request, 204, cors.preflight_headers(handshake.origin, requested))
        headers = cors.headers(handshake.origin)
        over, refusal = self._check(handshake)
        if over is not None:
            return _refuse_over(request, over, headers)
        if handshake.asks_websocket:
            return self._render_websocket(request, handshake, refusal)
        if refusal is not None:
            return _refuse(request, refusal, headers)
        return self._render_polling(request, handshake, headers)

    def _check(self, handshake: Handshake) -> tuple[Over | None, Refusal | None]:
        """Whether a limit stands in the way of a request, or a rule of the protocol."""
        server = self._server
        known = server.sessions.get(handshake.query.get("sid", ""))
        if known is not None and self._is_taken(handshake):
            return None, None
        # What a session does not take is limited like what belongs to none: it costs as much, and is logged.
        over = server.admission.asks(handshake.address)
        if over is not None:
            return over, None
        refusal = server.check(handshake)
        if known is not None or refusal is not None:
            return None, refusal
        return server.admission.admits(handshake.address), None

    def _is_taken(self, handshake: Handshake) -> bool:
        """Whether a request that names a session is an ordinary one of its polling."""
        ordinary = handshake.method in ("GET", "POST") and not handshake.asks_websocket
        return ordinary and self._server.verify(handshake) is None

    def _render_polling(self, request: Request, handshake: Handshake, headers: Headers) -> int:
        sid = handshake.query.get("sid")
        if not sid:
            self._server.open_polling(
                handshake, request, lambda more: Manner(request.getHeader, [*headers, *more])
            )
            return NOT_DONE_YET
        if handshake.method not in ("GET", "POST"):
            return answer(request, 500, headers)
        transport = cast(PollingTransport, self._server.sessions[sid].transport)
        manner = Manner(request.getHeader, headers)
        # What was checked depends on the bytes of the request and on the session, so the next may do without.
        request.channel.remember(transport, manner)
        if handshake.method == "GET":
            transport.poll(request, manner)
        else:
            transport.post(request, request.content.getvalue(), manner)
        return NOT_DONE_YET

    def _compression(self, handshake: Handshake) -> Agreement | None:
        if not self._server.options.websocket_compression:
            return None
        return agree(handshake.headers.get("sec-websocket-extensions", ""))

    def _render_websocket(self, request: Request, handshake: Handshake, refusal: Refusal | None) -> int:
        if refusal is not None:
            return _refuse_upgrade(request, refusal.message)
        fault = websocket_fault(handshake)
        if fault is not None:
            return _refuse_upgrade(request, fault)
        key = handshake.headers["sec-websocket-key"]
        sid = handshake.query.get("sid")
        channel: Channel = request.channel
        transport: WebSocketTransport = self._server.websocket_factory.buildProtocol(channel.getPeer())
        channel.become(transport)
        transport.shake_hands(key, self._compression(handshake))
        transport.transport.registerProducer(transport, True)
        if sid:
            self._server.sessions[sid].probe(transport)
        else:
            self._server.open_websocket(handshake, transport)
        return NOT_DONE_YET


def read_handshake(request: Request, server: Server) -> Handshake | None:
    """`request` as the rules see it, or None when its query cannot be read."""
    path, _, query = request.uri.decode("latin-1").partition("?")
    try:
        fields = parse_query(query)
    except ValueError:
        return None
    headers = header_fields(request)
    peer = getattr(request.getClientAddress(), "host", "")
    return Handshake(
        method=request.method.decode("latin-1"),
        path=path,
        query=fields,
        headers=headers,
        address=server.admission.client_address(peer, headers),
        secure=request.isSecure(),
        time=server.now(),
    )


def websocket_fault(handshake: Handshake) -> str | None:
    """What is wrong with the request for a WebSocket (RFC 6455, section 4.2.1), or None."""
    headers = handshake.headers
    if handshake.method != "GET" or headers.get("upgrade", "").strip().lower() != "websocket":
        return "Invalid Upgrade header"
    if headers.get("sec-websocket-version", "").strip() != _WEBSOCKET_VERSION:
        return "Missing or invalid Sec-WebSocket-Version header"
    if int(headers.get("content-length") or 0) > 0 or "transfer-encoding" in headers:
        return "A request for a WebSocket has no body"
    try:
        key = base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return None if len(key) == 16 else "Missing or invalid Sec-WebSocket-Key header"


def _refuse(request: Request, refusal: Refusal, headers: Headers) -> int:
    body = msgspec.json.encode({"code": int(refusal.code), "message": refusal.message})
    return answer(request, refusal.status, [_JSON, *headers], body)


def _refuse_over(request: Request, over: Over, headers: Headers) -> int:
    # Whoever is refused like this shall not keep a connection.
    request.channel.persistent = False
    return answer(request, over.status, [("Connection", "close"), *over.headers, *headers], over.body)


def _refuse_upgrade(request: Request, message: str) -> int:
    request.channel.persistent = False
    body = message.encode()
    return answer(request, 400, [("Connection", "close"), ("Content-Type", "text/html")], body)
