"""The REST routes: read, check, call, encode."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import unquote

import msgspec
from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from rtwist.auth.revocation import read_revocation
from rtwist.auth.token import TokenVerifier
from rtwist.devpage import why_not
from rtwist.domain.emission import Revoke
from rtwist.domain.ids import plain_text
from rtwist.domain.timestamps import iso
from rtwist.emit import (
    broadcast_to_all,
    emit_to_company,
    emit_to_role,
    emit_to_room,
    emit_to_shop,
    emit_to_user,
    get_connected_users,
    is_user_connected,
)
from rtwist.engineio.answers import answer
from rtwist.engineio.cors import Cors
from rtwist.errors import (
    AuthError,
    BadEvent,
    BrokerError,
    KeysUnavailable,
    LocalProtocolError,
    PublishError,
    Refused,
    RemoteProtocolError,
    Unroutable,
)
from rtwist.intake.broker import Broker
from rtwist.intake.intake import Intake
from rtwist.quoting import quoted
from rtwist.socketio import Server
from rtwist.socketio.jsoncodec import loads, where_wrong

SERVICE = "websocket-service"
_JSON = "application/json"
_SURROGATE = re.compile("[\ud800-\udfff]")
_BEARER = "bearer "
_NO_KEY = (
    "this server has no API_KEY, so no key is accepted: set API_KEY (or --api-key-file) and restart, "
    "or send a super admin's token"
)
_STATUS = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "payload_too_large": 413,
    "unroutable": 422,
    "unavailable": 503,
}
_ASKED_HOST = "x-rtwist-asked-host"
"""Where routes find the Host that the client sent."""
RETRY_SECONDS = 5
"""After which a client that could not be served may try again."""
_TARGETS: Mapping[str, Callable[[Server, str, str, Any], int]] = {
    "user": emit_to_user,
    "company": emit_to_company,
    "shop": emit_to_shop,
    "role": emit_to_role,
    "room": emit_to_room,
}


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the protected routes: holders of the API key, super admins, in development loopback."""

    verifier: TokenVerifier
    api_key: str | None = None
    status_open_to_loopback: bool = False

    async def check(self, request: IRequest, *, status_route: bool) -> None:
        """Return if the request is allowed; raises `Refused` (unauthorized, forbidden) or `KeysUnavailable`."""
        if status_route and self.status_open_to_loopback and _from_this_machine(request):
            return
        key = request.getHeader("x-api-key")
        if key is not None:
            if self.api_key is None:
                raise Refused("unauthorized", _NO_KEY)
            # Of keys that differ in length, the comparison itself would take a time that shows it.
            if compare_digest(_digest(key), _digest(self.api_key)):
                return
            raise Refused("unauthorized", "the X-API-Key is not the server's")
        await self._check_bearer(request)

    async def _check_bearer(self, request: IRequest) -> None:
        authorization = request.getHeader("authorization") or ""
        if not authorization.lower().startswith(_BEARER):
            raise Refused("unauthorized", "send X-API-Key, or a super admin's token as Authorization: Bearer")
        try:
            identity = await self.verifier.verify(authorization[len(_BEARER) :].strip())
        except AuthError as refusal:
            raise Refused("unauthorized", refusal.message) from None
        if not identity.is_super_admin:
            raise Refused("forbidden", "this token is not a super admin's")


class Rest:
    """The routes over a Socket.IO server and an intake.

    `revoke` calls tokens back and returns how many sockets it has disconnected; `now` returns the seconds since
    1970.
    """

    _app = Klein()
    _log = Logger()

    def __init__(
        self,
        io: Server,
        intake: Intake,
        access: Access,
        *,
        now: Callable[[], float],
        revoke: Callable[[Revoke], int],
        max_depth: int = 64,
        broker: Broker | None = None,
    ) -> None:
        self._io = io
        self._intake = intake
        self._access = access
        self._now = now
        self._revoke = revoke
        self._max_depth = max_depth
        self._broker = broker
        self.draining = False

    def resource(self, home: IResource | None = None) -> IResource:
        """The routes as a web resource, with the Socket.IO server's origin policy; `home` serves `/`."""
        return _Front(self._app.resource(), self._io.engine.cors, home)

    @_app.route("/health", methods=["GET"], strict_slashes=False)
    def health(self, request: IRequest) -> bytes:
        """Say that the process serves."""
        return self._json(request, {"status": "OK", "service": SERVICE, "timestamp": iso(self._now())})

    @_app.route("/ready", methods=["GET"], strict_slashes=False)
    def ready(self, request: IRequest) -> bytes:
        """Say whether events can come in and go out, and what stands in the way."""
        broker = self._broker
        ready = not self.draining and (broker is None or broker.consuming)
        request.setResponseCode(200 if ready else 503)
        status = "DRAINING" if self.draining else "READY" if ready else "NOT_READY"
        body = {
            "status": status,
            "service": SERVICE,
            "broker": "not configured" if broker is None else broker.state,
            "redis": "not configured",
            "draining": self.draining,
            "clients": {
                **self._io.engine.admission.as_dict(),
                "incomingBytes": self._io.incoming.size,
                **self._io.engine.backlog.as_dict(),
            },
            "timestamp": iso(self._now()),
        }
        if broker is not None:
            body["messages"] = broker.counters.as_dict()
        return self._json(request, body)

    @_app.route("/connected-users", methods=["GET"], strict_slashes=False)
    async def connected_users(self, request: IRequest) -> bytes:
        """List the users with at least one socket."""
        await self._access.check(request, status_route=True)
        users = get_connected_users(self._io)
        return self._data(request, {"count": len(users), "users": users})

    @_app.route("/user-status/<path:user_id>", methods=["GET"], strict_slashes=False)
    async def user_status(self, request: IRequest, user_id: str) -> bytes:
        """Say whether a user has a socket."""
        await self._access.check(request, status_route=True)
        return self._data(request, {"userId": user_id, "isConnected": is_user_connected(self._io, user_id)})

    @_app.route("/events", methods=["POST"], strict_slashes=False)
    async def events(self, request: IRequest) -> bytes:
        """Take one domain event or an array of them: all, or none when one of them cannot be used."""
        await self._access.check(request, status_route=False)
        body = self._body(request)
        values = body if isinstance(body, list) else [body]
        try:
            if self._broker is not None and self._broker.takes_events:
                return self._data(request, {"published": await self._broker.publish(values)})
            outcome = self._intake.accept(values)
        except BadEvent as error:
            raise Refused("bad_request", str(error)) from None
        self._intake.settle()
        return self._data(request, outcome)

    @_app.route("/emit", methods=["POST"], strict_slashes=False)
    async def emit(self, request: IRequest) -> bytes:
        """Emit one event to a user, company, shop, role, room, or to all."""
        await self._access.check(request, status_route=False)
        kind, name, event, data = _emission(self._body(request))
        try:
            if kind == "all":
                receivers = broadcast_to_all(self._io, event, data)
            else:
                receivers = _TARGETS[kind](self._io, name, event, data)
        except LocalProtocolError as error:
            raise Refused("bad_request", str(error)) from None
        self._log.info(
            "emitted {event} to {kind} {name}: {receivers} receivers, asked for over REST",
            event=quoted(event),
            kind=kind,
            name=quoted(name),
            receivers=receivers,
        )
        return self._data(request, {"receivers": receivers})

    @_app.route("/revoke", methods=["POST"], strict_slashes=False)
    async def revoke(self, request: IRequest) -> bytes:
        """Call tokens back: those of a user or a company, one by its id, or all."""
        await self._access.check(request, status_route=False)
        return self._data(request, {"disconnected": self._revoke(read_revocation(self._body(request)))})

    @_app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Turn whatever a route raised into a JSON error."""
        refusal = _refusal(failure, request)
        if refusal is None:
            self._log.failure("{path} failed", failure=failure, path=request.path.decode("latin-1"))
            request.setResponseCode(500)
            return self._json(request, error_body("internal", "the server failed; its log says why"))
        request.setResponseCode(_STATUS[refusal.code])
        if refusal.code == "unavailable":
            request.setHeader("Retry-After", str(RETRY_SECONDS))
        if refusal.code == "unauthorized":
            request.setHeader("WWW-Authenticate", "Bearer")
        if isinstance(failure.value, MethodNotAllowed):
            request.setHeader("Allow", ", ".join(sorted(failure.value.valid_methods or ())))
        return self._json(request, error_body(refusal.code, refusal.message))

    def _body(self, request: IRequest) -> Any:
        octets = request.content.getvalue()
        if not octets.strip():
            raise Refused("bad_request", "the body is empty")
        try:
            return loads(octets.decode("utf-8"), self._max_depth)
        except UnicodeDecodeError:
            raise Refused("bad_request", "the body is not UTF-8") from None
        except RemoteProtocolError as error:
            raise Refused("bad_request", f"the body is not JSON: {where_wrong(error)}") from None

    def _data(self, request: IRequest, data: object) -> bytes:
        return self._json(request, {"success": True, "data": data})

    def _json(self, request: IRequest, body: object) -> bytes:
        encoded = msgspec.json.encode(body)
        request.setHeader("Content-Type", _JSON)
        request.setHeader("Content-Length", str(len(encoded)))
        request.setHeader("Cache-Control", "no-store")
        return encoded


class _Front(Resource):
    """Stands before Klein: the origin policy, and requests that would make it fail with a traceback."""

    isLeaf = True

    def __init__(self, routes: IResource, cors: Cors, home: IResource | None) -> None:
        super().__init__()
        self._routes = routes
        self._cors = cors
        self._home = home

    def render(self, request: Request) -> Any:
        _make_headers_readable(request)
        if self._home is not None and request.uri.partition(b"?")[0] == b"/":
            return self._home.render(request)
        origin = request.getHeader("origin")
        if request.method == b"OPTIONS":
            requested = request.getHeader("access-control-request-headers")
            return answer(request, 204, self._cors.preflight_headers(origin, requested))
        headers = self._cors.headers(origin)
        if not _is_decodable(request):
            body = msgspec.json.encode(error_body("bad_request", "the path is not UTF-8"))
            return answer(request, 400, [("Content-Type", _JSON), *headers], body)
        for name, value in headers:
            request.responseHeaders.addRawHeader(name, value)
        # Klein would build redirects from the client's Host, and fail on one that is no host name.
        request.requestHeaders.setRawHeaders(_ASKED_HOST, [request.getHeader("host") or ""])
        request.requestHeaders.setRawHeaders(b"host", [b"localhost"])
        return self._routes.render(request)


def error_body(code: str, message: str) -> dict[str, Any]:
    """The body of every error answer."""
    return {"success": False, "error": {"code": code, "message": message}}


def _emission(body: Any) -> tuple[str, str, str, Any]:
    """The target kind and name, the event and the data that a request to emit asks for."""
    usage = 'send {"to": {"user": "u1"}, "event": "name", "data": ...}'
    if not isinstance(body, dict) or not isinstance(body.get("to"), dict) or len(body["to"]) != 1:
        raise Refused("bad_request", f"{usage}, with exactly one target")
    event = body.get("event")
    if not isinstance(event, str) or not event or _SURROGATE.search(event):
        raise Refused("bad_request", f"event must be a name; {usage}")
    ((kind, name),) = body["to"].items()
    if kind == "all":
        if name is not True:
            raise Refused("bad_request", "to.all must be true")
        return "all", "", event, body.get("data")
    if kind not in _TARGETS:
        raise Refused("bad_request", f"to must name one of {', '.join(_TARGETS)} or all")
    try:
        return kind, plain_text(name), event, body.get("data")
    except ValueError as reason:
        raise Refused("bad_request", f"to.{kind} {reason}") from None


def _refusal(failure: Failure, request: IRequest) -> Refused | None:
    error = failure.value
    if isinstance(error, Refused):
        return error
    if isinstance(error, KeysUnavailable):
        return Refused("unavailable", "tokens cannot be checked at the moment")
    if isinstance(error, Unroutable):
        return Refused("unroutable", f"no queue is bound for events of this kind: {error}")
    if isinstance(error, BrokerError | PublishError):
        return Refused("unavailable", f"not confirmed by the broker, try again with the same id: {error}")
    if isinstance(error, HTTPException) and (error.code or 0) < 500:
        if isinstance(error, MethodNotAllowed):
            known = " or ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
            path, method = request.path.decode("latin-1"), request.method.decode("latin-1")
            return Refused("method_not_allowed", f"use {known} for {path}, not {method}")
        # What is neither 404 nor 405 is a redirect to a path that the client did not ask for.
        return Refused("not_found", "there is no such route")
    return None


def _from_this_machine(request: IRequest) -> bool:
    # A page of another site in a browser here is no such person, nor is whoever comes by a proxy here.
    forwarded = request.getHeader("x-forwarded-for") or request.getHeader("forwarded")
    return not forwarded and why_not(request, request.getHeader(_ASKED_HOST) or "") is None


def _digest(key: str) -> bytes:
    # Bytes that are no UTF-8 come out of the environment as lone surrogates, and are meant as bytes.
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


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
