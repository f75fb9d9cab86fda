"""What comes before the REST routes."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from rtwist.access import ASKED_HOST, Access
from rtwist.engineio.admission import Admission, Over
from rtwist.engineio.answers import answer
from rtwist.engineio.cors import Cors
from rtwist.engineio.http import client_address

JSON = "application/json"
_PROBES = (b"/health", b"/ready")
"""Answered at any rate: a load balancer in front may have the address of all clients."""


class Front(Resource):
    """Stands before Klein: the origin policy, the rate of strangers, and requests that would make it fail.

    `admission` counts the requests of an address that come without the API key, as it does handshakes: checking a
    token takes time. `home` serves `/` if there is one.
    """

    isLeaf = True

    def __init__(
        self, routes: IResource, access: Access, admission: Admission, cors: Cors, home: IResource | None
    ) -> None:
        super().__init__()
        self._routes = routes
        self._access = access
        self._admission = admission
        self._cors = cors
        self._home = home

    def render(self, request: Request) -> Any:
        """Answer `request`, or have Klein do it."""
        _make_headers_readable(request)
        if self._home is not None and request.uri.partition(b"?")[0] == b"/":
            return self._home.render(request)
        origin = request.getHeader("origin")
        headers = self._cors.headers(origin)
        over = self._over(request)
        if over is not None:
            # Whoever is refused like this shall not keep a connection.
            request.channel.persistent = False
            body = msgspec.json.encode(error_body(over.code, over.message))
            return answer(request, over.status, [("Connection", "close"), *over.headers, *headers], body)
        if request.method == b"OPTIONS":
            requested = request.getHeader("access-control-request-headers")
            return answer(request, 204, self._cors.preflight_headers(origin, requested))
        if not _is_decodable(request):
            body = msgspec.json.encode(error_body("bad_request", "the path is not UTF-8"))
            return answer(request, 400, [("Content-Type", JSON), *headers], body)
        for name, value in headers:
            request.responseHeaders.addRawHeader(name, value)
        # Klein would build redirects from the client's Host, and fail on one that is no host name.
        request.requestHeaders.setRawHeaders(ASKED_HOST, [request.getHeader("host") or ""])
        request.requestHeaders.setRawHeaders(b"host", [b"localhost"])
        return self._routes.render(request)

    def _over(self, request: Request) -> Over | None:
        """Why a stranger gets no answer now; whoever has the API key does, and whoever asks for the health."""
        if request.path in _PROBES or self._access.has_key(request):
            return None
        return self._admission.asks(client_address(request, self._admission))


def error_body(code: str, message: str) -> dict[str, Any]:
    """The body of every error answer."""
    return {"success": False, "error": {"code": code, "message": message}}


def _make_headers_readable(request: Request) -> None:
    # Twisted reads header values as UTF-8, and fails on those that are not.
    for name, values in request.requestHeaders.getAllRawHeaders():
        if not b"".join(values).isascii():
            readable = [value.decode("utf-8", "replace").encode() for value in values]
            request.requestHeaders.setRawHeaders(name, readable)


def _is_decodable(request: Request) -> bool:
    try:
        unquote(request.uri.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        return False
    return True
