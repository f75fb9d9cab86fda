"""The REST routes: read, check, call, encode."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from rtwist.access import Access
from rtwist.auth.revocation import read_revocation
from rtwist.domain.emission import Revoke
from rtwist.domain.ids import MAX_ID_CHARS, plain_text
from rtwist.domain.timestamps import iso
from rtwist.emit import (
    LocalUsers,
    Users,
    broadcast_to_all,
    emit_to_company,
    emit_to_role,
    emit_to_room,
    emit_to_shop,
    emit_to_user,
)
from rtwist.engineio.http import client_address
from rtwist.engineio.tally import Tally
from rtwist.errors import (
    BadEvent,
    BrokerError,
    BusError,
    KeysUnavailable,
    LimitPassed,
    LocalProtocolError,
    PublishError,
    Refused,
    RemoteProtocolError,
    StoreFailed,
    Unroutable,
)
from rtwist.front import JSON, Front, error_body
from rtwist.intake.broker import Broker
from rtwist.intake.intake import Intake
from rtwist.quoting import quoted
from rtwist.requests import DEFAULT_MAX_ROOM_NAME
from rtwist.shedding import DEFAULT_RATE, Rebalancing
from rtwist.socketio import Server
from rtwist.socketio.jsoncodec import loads, where_wrong

SERVICE = "websocket-service"
_SURROGATE = re.compile("[\ud800-\udfff]")
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
RETRY_SECONDS = 5
"""After which a client that could not be served may try again."""
_TARGETS: Mapping[str, Callable[[Server, str, str, Any], int]] = {
    "user": emit_to_user,
    "company": emit_to_company,
    "shop": emit_to_shop,
    "role": emit_to_role,
    "room": emit_to_room,
}


class Cluster(Protocol):
    """The other nodes, as /ready shows them."""

    @property
    def state(self) -> str:
        """`connected`, or what it is instead, and why."""

    @property
    def serves(self) -> bool:
        """Whether this node takes part in the service."""

    @property
    def position(self) -> int:
        """How much has been emitted to the other nodes."""

    async def settled(self, since: int) -> None:
        """Return once Redis has what was emitted since that position; raises `BusError` when it may not."""

    def as_dict(self) -> dict[str, Any]:
        """This node's name, and counts."""


class Rest:
    """The routes over a Socket.IO server and an intake.

    `revoke` calls tokens back at all nodes and tells how many sockets this one has disconnected; `users` tells
    who is connected, by default to this node; `now` returns the seconds since 1970; `drain_rate` is how many
    clients a second a rebalance sends away, None for all at once. `cluster` are the other nodes, if any.
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
        revoke: Callable[[Revoke], Awaitable[int]],
        max_depth: int = 64,
        max_room_name: int = DEFAULT_MAX_ROOM_NAME,
        broker: Broker | None = None,
        users: Users | None = None,
        drain_rate: int | None = DEFAULT_RATE,
        cluster: Cluster | None = None,
    ) -> None:
        self._io = io
        self._intake = intake
        self._access = access
        self._now = now
        self._revoke = revoke
        self.max_depth = max_depth
        self.max_room_name = max_room_name
        self._broker = broker
        self._users = LocalUsers(io) if users is None else users
        self._cluster = cluster
        self._strangers = Tally()
        self.rebalancing = Rebalancing(io, drain_rate)
        self.draining = False

    def resource(self, home: IResource | None = None) -> IResource:
        """The routes as a web resource, with the Socket.IO server's origin policy; `home` serves `/`."""
        engine = self._io.engine
        return Front(self._app.resource(), self._access, engine.admission, engine.cors, home)

    @_app.route("/health", methods=["GET"], strict_slashes=False)
    def health(self, request: IRequest) -> bytes:
        """Say that the process serves."""
        return self._json(request, {"status": "OK", "service": SERVICE, "timestamp": iso(self._now())})

    @_app.route("/ready", methods=["GET"], strict_slashes=False)
    def ready(self, request: IRequest) -> bytes:
        """Say whether events can come in and go out, and what stands in the way."""
        broker, cluster = self._broker, self._cluster
        able = (broker is None or broker.consuming) and (cluster is None or cluster.serves)
        ready = able and not self.draining
        request.setResponseCode(200 if ready else 503)
        status = "DRAINING" if self.draining else "READY" if ready else "NOT_READY"
        body = {
            "status": status,
            "service": SERVICE,
            "broker": "not configured" if broker is None else broker.state,
            "redis": "not configured" if cluster is None else cluster.state,
            "draining": self.draining,
            "clients": {
                **self._io.engine.admission.as_dict(),
                "incomingBytes": self._io.incoming.size,
                **self._io.engine.backlog.as_dict(),
            },
            "unauthorized": self._strangers.counts["unauthorized"],
            "timestamp": iso(self._now()),
        }
        if broker is not None:
            body["messages"] = broker.counters.as_dict()
        if cluster is not None:
            body["cluster"] = cluster.as_dict()
        return self._json(request, body)

    @_app.route("/connected-users", methods=["GET"], strict_slashes=False)
    async def connected_users(self, request: IRequest) -> bytes:
        """List the users with at least one socket."""
        await self._access.check(request, status_route=True)
        users = await self._users.users()
        return self._data(request, {"count": len(users), "users": users})

    @_app.route("/user-status/<path:user_id>", methods=["GET"], strict_slashes=False)
    async def user_status(self, request: IRequest, user_id: str) -> bytes:
        """Say whether a user has a socket."""
        await self._access.check(request, status_route=True)
        return self._data(request, {"userId": user_id, "isConnected": await self._users.is_present(user_id)})

    @_app.route("/events", methods=["POST"], strict_slashes=False)
    async def events(self, request: IRequest) -> bytes:
        """Take one domain event or an array of them: all, or none when one of them cannot be used."""
        await self._access.check(request, status_route=False)
        body = self._body(request)
        values = body if isinstance(body, list) else [body]
        try:
            if self._broker is not None and self._broker.takes_events:
                return self._data(request, {"published": await self._broker.publish(values)})
            await self._intake.catch_up()
            outcome = self._intake.accept(values)
        except BadEvent as error:
            raise Refused("bad_request", str(error)) from None
        settled = self._intake.settle()
        if settled is not None:
            await settled
        return self._data(request, outcome)

    @_app.route("/emit", methods=["POST"], strict_slashes=False)
    async def emit(self, request: IRequest) -> bytes:
        """Emit one event to a user, company, shop, role, room, or to all."""
        await self._access.check(request, status_route=False)
        kind, name, event, data = _emission(self._body(request), self.max_room_name)
        cluster = self._cluster
        if cluster is not None and not cluster.serves:
            raise Refused("unavailable", "clients of other nodes cannot be reached at the moment; try again")
        since = 0 if cluster is None else cluster.position
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
        try:
            if cluster is not None:
                await cluster.settled(since)
        except BusError as error:
            raise Refused(
                "unavailable", f"clients of this node have it, those of others may not: {error}"
            ) from None
        return self._data(request, {"receivers": receivers})

    @_app.route("/revoke", methods=["POST"], strict_slashes=False)
    async def revoke(self, request: IRequest) -> bytes:
        """Call tokens back: those of a user or a company, one by its id, or all."""
        await self._access.check(request, status_route=False)
        asked = read_revocation(self._body(request))
        try:
            return self._data(request, {"disconnected": await self._revoke(asked)})
        except StoreFailed as error:
            text = f"called back at this node; the others follow when Redis is back, or try again: {error}"
            raise Refused("unavailable", text) from None

    @_app.route("/rebalance", methods=["POST"], strict_slashes=False)
    async def rebalance(self, request: IRequest) -> bytes:
        """Send a share of the clients away, a few at a time, so that other nodes get them."""
        await self._access.check(request, status_route=False)
        share = _share(self._body(request))
        if self.draining:
            raise Refused("unavailable", "all clients leave: the service stops")
        return self._data(request, {"leaving": self.rebalancing.begin(share)})

    @_app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Turn whatever a route raised into a JSON error."""
        refusal = _refusal(failure, request)
        self._count(request, refusal)
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

    def _count(self, request: IRequest, refusal: Refused | None) -> None:
        address = client_address(request, self._io.engine.admission)
        if refusal is not None and refusal.limit is not None:
            self._io.note_limit(refusal.limit, address)
        if refusal is None or refusal.code != "unauthorized":
            return
        if self._strangers.add(refusal.code, self._io.clock.seconds()):
            self._log.warn(
                "{path} refused to {address}: {reason}; {count} times since the start",
                path=request.path.decode("latin-1"),
                address=address,
                reason=refusal.message,
                count=self._strangers.counts[refusal.code],
            )

    def _body(self, request: IRequest) -> Any:
        octets = request.content.getvalue()
        if not octets.strip():
            raise Refused("bad_request", "the body is empty")
        try:
            return loads(octets.decode("utf-8"), self.max_depth)
        except UnicodeDecodeError:
            raise Refused("bad_request", "the body is not UTF-8") from None
        except LimitPassed as passed:
            raise Refused("bad_request", f"the body is not JSON: {passed}", limit=passed.limit) from None
        except RemoteProtocolError as error:
            raise Refused("bad_request", f"the body is not JSON: {where_wrong(error)}") from None

    def _data(self, request: IRequest, data: object) -> bytes:
        return self._json(request, {"success": True, "data": data})

    def _json(self, request: IRequest, body: object) -> bytes:
        encoded = msgspec.json.encode(body)
        request.setHeader("Content-Type", JSON)
        request.setHeader("Content-Length", str(len(encoded)))
        request.setHeader("Cache-Control", "no-store")
        return encoded


def _emission(body: Any, max_room_name: int) -> tuple[str, str, str, Any]:
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
        most = max_room_name if kind == "room" else MAX_ID_CHARS
        return kind, plain_text(name, most), event, body.get("data")
    except ValueError as reason:
        raise Refused("bad_request", f"to.{kind} {reason}") from None


def _share(body: Any) -> float:
    share = body.get("share") if isinstance(body, dict) and len(body) == 1 else None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise Refused("bad_request", 'send {"share": 0.2}, a number above 0 and at most 1')
    return share


def _refusal(failure: Failure, request: IRequest) -> Refused | None:
    error = failure.value
    if isinstance(error, Refused):
        return error
    if isinstance(error, KeysUnavailable):
        return Refused("unavailable", "tokens cannot be checked at the moment")
    if isinstance(error, Unroutable):
        return Refused("unroutable", f"no queue is bound for events of this kind: {error}")
    if isinstance(error, StoreFailed | BusError):
        return Refused("unavailable", f"not confirmed for all nodes, try again with the same id: {error}")
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
