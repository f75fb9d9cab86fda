"""The e-commerce face of the Socket.IO server: who a client is, its rooms, and what it may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from rtwist.accounts import Accounts
from rtwist.auth.identity import Identity
from rtwist.auth.policy import custom_room, order_rooms, subject_id, transfer_rooms
from rtwist.auth.token import TokenVerifier
from rtwist.domain.owners import OwnerView
from rtwist.domain.rooms import order_room, product_room, scopes_of, transfer_room
from rtwist.domain.timestamps import iso
from rtwist.engineio.backlog import SLOW_CONSUMER
from rtwist.engineio.request import Handshake, Refusal
from rtwist.errors import AuthError, KeysUnavailable, Refused
from rtwist.presence import Presence
from rtwist.socketio import ConnectionRefused, ConnectLater, Server, Socket
from rtwist.socketio.server import SHUTTING_DOWN

_BEARER = "bearer "
DEFAULT_MAX_ROOMS = 5000
"""Rooms one socket may ask for; following an order takes one for each shop of the user, and two or three more."""

_QUOTED = 100
"""Characters of a client's words that are sent back and logged."""

Request = Callable[[Socket, Identity, Any], dict[str, Any]]


class Gateway:
    """Registers itself with a Socket.IO server: authentication, automatic rooms, the clients' events.

    `accounts` lets the sockets follow what becomes of their users. `owners` tells who owns an order; `now`
    returns the seconds since 1970; `max_rooms` bounds what one socket may join. Whoever waits for the answer to
    an event that is none of these is told so: handlers of others for events of their own must acknowledge
    before, in an `on_any` added before the gateway is made.
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
    ) -> None:
        self._io = io
        self._verifier = verifier
        self._owners = owners
        self._now = now
        self._max_rooms = max_rooms
        self._presence = Presence(io, now)
        self.accounts = Accounts(io, owners, self._presence, max_rooms)
        self._requests: Mapping[str, Request] = {
            "join_room": self._join_room,
            "leave_room": self._leave_room,
            "subscribe_order": self._subscribe_order,
            "unsubscribe_order": self._unsubscribe_order,
            "subscribe_inventory": self._subscribe_inventory,
            "unsubscribe_inventory": self._unsubscribe_inventory,
            "subscribe_transfer": self._subscribe_transfer,
            "unsubscribe_transfer": self._unsubscribe_transfer,
            "typing": self._typing,
        }
        io.use(self._authenticate)
        io.on("connection", self._connected)

    def log_refusal(self, request: Handshake, refusal: Refusal) -> None:
        """An HTTP request was refused before it became a connection."""
        self._log.info("request of {address} refused: {reason}", address=request.address, reason=refusal.hint)

    # Connecting

    async def _authenticate(self, socket: Socket) -> None:
        try:
            socket.data["identity"] = await self._verifier.verify(_token(socket))
        except AuthError as refusal:
            self._log.info(
                "client {socket} of {address} refused: {code} ({cause})",
                socket=socket.id,
                address=socket.handshake.address,
                code=refusal.code,
                cause=str(refusal.__cause__ or refusal.message),
            )
            raise ConnectionRefused(refusal.message, {"code": refusal.code}) from None
        except KeysUnavailable as error:
            raise ConnectLater(str(error)) from error

    def _connected(self, socket: Socket) -> None:
        identity: Identity = socket.data["identity"]
        socket.join(identity.rooms)
        # One handler for all: a closure for each request would cost every connection time and memory.
        socket.on_any(lambda event, *args: self._handle(socket, event, args))
        socket.on("disconnect", lambda reason: self._disconnected(socket, reason))
        self._log.info(
            "user {user} connected as {socket} to {rooms}",
            user=identity.user_id,
            socket=socket.id,
            rooms=list(identity.rooms),
        )
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
        self._log.info(
            "user {user} disconnected from {socket}: {reason}",
            user=identity.user_id,
            socket=socket.id,
            reason=f"{reason} ({socket.remark})" if slow else reason,
        )
        if reason != SHUTTING_DOWN:  # when all are sent away, nobody has to hear of each
            self._presence.disconnected(identity)

    # Answering requests

    def _handle(self, socket: Socket, event: str, args: Sequence[Any]) -> None:
        identity: Identity = socket.data["identity"]  # not that of the token: it may have moved since
        ack = args[-1] if args and callable(args[-1]) else None
        values = args[:-1] if ack is not None else args
        request = self._requests.get(event)
        if request is None:
            self._ignore(socket, identity, event, ack)
            return
        try:
            answer = {"success": True, **request(socket, identity, values[0] if values else None)}
        except Refused as refusal:
            self._refuse(event, socket, identity, refusal, ack)
        else:
            if ack is not None:
                ack(answer)

    def _ignore(self, socket: Socket, identity: Identity, event: str, ack: Callable[..., None] | None) -> None:
        # Without an acknowledgement nobody waits, and other servers say nothing, too.
        if ack is not None:
            name = event if len(event) <= _QUOTED else event[:_QUOTED] + "…"
            self._refuse(name, socket, identity, Refused("not_found", f"unknown event {name!r}"), ack)

    def _refuse(
        self,
        event: str,
        socket: Socket,
        identity: Identity,
        refusal: Refused,
        ack: Callable[..., None] | None,
    ) -> None:
        self._log.info(
            "{event} of user {user} on {socket} refused: {code}, {message}",
            event=event,
            user=identity.user_id,
            socket=socket.id,
            code=refusal.code,
            message=refusal.message,
        )
        error = {"code": refusal.code, "message": refusal.message}
        if ack is not None:
            ack({"success": False, "error": error})
        else:
            socket.emit("error", {"event": event, **error})

    # The clients' events

    def _join_room(self, socket: Socket, identity: Identity, name: Any) -> dict[str, Any]:
        room = custom_room(name, self._is_socket_id)
        self._join(socket, identity, (room,))
        return {"room": room}

    def _leave_room(self, socket: Socket, identity: Identity, name: Any) -> dict[str, Any]:
        room = custom_room(name, self._is_socket_id)
        return self._leave(socket, identity, room, (room,))

    def _subscribe_order(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        order_id = subject_id(value)
        rooms = order_rooms(identity, order_id, self._owners.recall(order_id))
        if not rooms:
            raise Refused("forbidden", "this order is not yours to follow")
        room = order_room(order_id)
        self._join(socket, identity, rooms)
        return {"room": room} if room in rooms else {"room": room, "pending": True}

    def _unsubscribe_order(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        return self._unsubscribe(socket, identity, order_room(subject_id(value)))

    def _subscribe_inventory(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        room = product_room(subject_id(value))
        self._join(socket, identity, (room,))
        return {"room": room}

    def _unsubscribe_inventory(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        return self._unsubscribe(socket, identity, product_room(subject_id(value)))

    def _subscribe_transfer(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        transfer_id = subject_id(value)
        rooms = transfer_rooms(identity, transfer_id)
        if not rooms:
            raise Refused("forbidden", "transfers concern companies and shops, and you belong to none")
        self._join(socket, identity, rooms)
        return {"room": transfer_room(transfer_id), "pending": True}

    def _unsubscribe_transfer(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        return self._unsubscribe(socket, identity, transfer_room(subject_id(value)))

    def _typing(self, socket: Socket, identity: Identity, value: Any) -> dict[str, Any]:
        room = value.get("roomId") if isinstance(value, dict) else None
        typing = value.get("isTyping") if isinstance(value, dict) else None
        if not isinstance(room, str) or not isinstance(typing, bool):
            raise Refused("bad_request", "typing takes {roomId: string, isTyping: boolean}")
        if room not in socket.rooms:
            raise Refused("forbidden", "you are not in this room")
        news = {"roomId": room, "userId": identity.user_id, "isTyping": typing}
        socket.to(room).emit("typing", {**news, "timestamp": iso(self._now())})
        return {"room": room}

    # Rooms

    def _join(self, socket: Socket, identity: Identity, rooms: tuple[str, ...]) -> None:
        present = socket.rooms
        new = [room for room in rooms if room not in present]
        if len(present) + len(new) > self._max_rooms + len(identity.rooms) + 1:
            raise Refused("too_many", f"a socket can ask for at most {self._max_rooms} rooms")
        socket.join(new)
        if new:
            self._log.info(
                "user {user} on {socket} joined {rooms}", user=identity.user_id, socket=socket.id, rooms=new
            )

    def _unsubscribe(self, socket: Socket, identity: Identity, room: str) -> dict[str, Any]:
        return self._leave(socket, identity, room, scopes_of(room, socket.rooms))

    def _leave(self, socket: Socket, identity: Identity, room: str, rooms: Iterable[str]) -> dict[str, Any]:
        left = [name for name in rooms if name in socket.rooms]
        for name in left:
            socket.leave(name)
        if left:
            self._log.info(
                "user {user} on {socket} left {rooms}", user=identity.user_id, socket=socket.id, rooms=left
            )
        return {"room": room}

    def _is_socket_id(self, name: str) -> bool:
        return name in self._io.root.sockets


def _token(socket: Socket) -> object:
    token = socket.handshake.auth.get("token")
    if token is not None:
        return token
    authorization = socket.handshake.headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()
    return None
