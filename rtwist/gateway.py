"""The e-commerce face of the Socket.IO server: who a client is, and the rooms it is in without asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from twisted.logger import Logger

from rtwist.accounts import Accounts
from rtwist.admissions import Admissions
from rtwist.auth.identity import Identity
from rtwist.auth.policy import Policy
from rtwist.auth.token import TokenVerifier
from rtwist.authorization import Authorizer
from rtwist.domain.owners import OwnerView
from rtwist.domain.timestamps import iso
from rtwist.engineio.backlog import SLOW_CONSUMER
from rtwist.engineio.request import Handshake, Refusal
from rtwist.entries import info
from rtwist.errors import AuthError, KeysUnavailable
from rtwist.leases import LeaseOptions, Leases
from rtwist.limits import DEFAULT_MAX_TYPING
from rtwist.presence import LocalPresence, Presence
from rtwist.quoting import listed, quoted
from rtwist.requests import DEFAULT_MAX_ROOM_NAME, DEFAULT_MAX_ROOMS, Requests
from rtwist.socketio import ConnectionRefused, ConnectLater, Server, Socket
from rtwist.socketio.server import SENT_AWAY, SHUTTING_DOWN

_BEARER = "bearer "


class Gateway:
    """Registers itself with a Socket.IO server: authentication, automatic rooms, the clients' events.

    `accounts` lets the sockets follow what becomes of their users; `requests` answers the clients' events.
    `owners` tells who owns an order; `now` returns the seconds since 1970; `max_rooms` bounds what one socket
    may join, `max_room_name` the characters of a room's name; `lease` is what becomes of a connection whose token
    ends. `policy` says who may be in which room, and `authorizer` decides where the policy wants it to; then
    somebody must call `admissions.sweep` every `SWEEP_SECONDS`. `presence` tells who comes and goes, by default
    on this node. Whoever waits for the answer to an event that is no request is told so: handlers of others for
    events of their own must acknowledge before, in an `on_any` added before the gateway is made.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        *,
        verifier: TokenVerifier,
        owners: OwnerView,
        now: Callable[[], float],
        max_rooms: int = DEFAULT_MAX_ROOMS,
        max_room_name: int = DEFAULT_MAX_ROOM_NAME,
        max_typing: float | None = DEFAULT_MAX_TYPING,
        lease: LeaseOptions | None = None,
        policy: Policy | None = None,
        authorizer: Authorizer | None = None,
        presence: Presence | None = None,
    ) -> None:
        self._io = io
        self._verifier = verifier
        self._now = now
        self._presence = LocalPresence(io, now) if presence is None else presence
        self.admissions = None if authorizer is None else Admissions(io, authorizer, io.root.clock)
        policy = policy or Policy()
        self.accounts = Accounts(
            io,
            policy=policy,
            admissions=self.admissions,
            owners=owners,
            presence=self._presence,
            revocations=verifier.revocations,
            leeway=verifier.leeway,
            max_rooms=max_rooms,
            now=now,
        )
        self._leases = Leases(io, verifier=verifier, accounts=self.accounts, now=now, options=lease)
        self.requests = Requests(
            io,
            policy=policy,
            admissions=self.admissions,
            owners=owners,
            now=now,
            max_rooms=max_rooms,
            max_room_name=max_room_name,
            max_typing=max_typing,
            refresh=self._leases.refresh,
        )
        io.use(self._authenticate)
        io.on("connection", self._connected)

    def reconfigure(
        self, *, max_rooms: int, max_room_name: int, max_typing: float | None, lease: LeaseOptions
    ) -> None:
        """Go by other limits from now on."""
        self.requests.reconfigure(max_rooms=max_rooms, max_room_name=max_room_name, max_typing=max_typing)
        self.accounts.max_rooms = max_rooms
        self._leases.options = lease

    def log_refusal(self, request: Handshake, refusal: Refusal) -> None:
        """An HTTP request was refused before it became a connection."""
        reason = quoted(refusal.hint)
        self._log.info("request of {address} refused: {reason}", address=request.address, reason=reason)

    async def _authenticate(self, socket: Socket) -> None:
        token = _token(socket)
        if "token" in socket.handshake.auth:
            # It is worth as much to whoever reads it here, and is as long as all else that is kept of a user.
            socket.handshake = replace(socket.handshake, auth=_without_token(socket.handshake.auth))
        try:
            socket.data["identity"] = await self._verifier.verify(token)
        except AuthError as refusal:
            self._log.info(
                "client {socket} of {address} refused: {code} ({cause})",
                socket=socket.id,
                address=socket.handshake.address,
                code=refusal.code,
                cause=str(refusal.__cause__ or refusal.message),
            )
            if refusal.limit is not None:
                self._io.note_limit(refusal.limit, socket.handshake.address)
            raise ConnectionRefused(refusal.message, {"code": refusal.code}) from None
        except KeysUnavailable as error:
            raise ConnectLater(str(error)) from error

    def _connected(self, socket: Socket) -> None:
        identity: Identity = socket.data["identity"]
        socket.join(identity.rooms)
        # One handler for all: a closure for each request would cost every connection time and memory.
        socket.on_any(lambda event, *args: self.requests.handle(socket, event, args))
        socket.on("disconnect", lambda reason: self._disconnected(socket, reason))
        self._leases.begin(socket)
        user, rooms = identity.user_id, listed(identity.rooms)
        text = f"user {user} connected as {socket.id} to {rooms}"
        info(self._log, text, user=user, socket=socket.id, rooms=rooms)
        socket.emit(
            "connected",
            {
                "message": "Connected to the event server",
                "socketId": socket.id,
                "userId": identity.user_id,
                "rooms": list(identity.rooms),
                "timestamp": iso(self._now()),
            },
        )
        self._presence.connected(socket, identity)

    def _disconnected(self, socket: Socket, reason: str) -> None:
        identity: Identity = socket.data["identity"]
        slow = socket.remark.startswith(SLOW_CONSUMER)
        self._leases.end(socket)
        self._log.info(
            "user {user} disconnected from {socket}: {reason}",
            user=identity.user_id,
            socket=socket.id,
            reason=f"{reason} ({socket.remark})" if slow else reason,
        )
        if reason == SHUTTING_DOWN or socket.remark == SENT_AWAY:
            self._presence.sent_away(identity, stopping=reason == SHUTTING_DOWN)
        else:
            self._presence.disconnected(identity)


def _without_token(auth: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in auth.items() if name != "token"}


def _token(socket: Socket) -> object:
    token = socket.handshake.auth.get("token")
    if token is not None:
        return token
    authorization = socket.handshake.headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()
    return None
