"""The clients' events: what each may ask for, and how it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.auth.policy import custom_room, order_rooms, subject_id, transfer_rooms
from rtwist.domain.owners import OwnerView
from rtwist.domain.rooms import order_room, product_room, scopes_of, transfer_room
from rtwist.domain.timestamps import iso
from rtwist.errors import Refused
from rtwist.socketio import Server, Socket

DEFAULT_MAX_ROOMS = 5000
"""Rooms one socket may ask for; following an order takes one for each shop of the user, and two or three more."""

_QUOTED = 100
"""Characters of a client's words that are sent back and logged."""

Answer = dict[str, Any]
Request = Callable[[Socket, Identity, Any], Answer | Awaitable[Answer]]
Refresh = Callable[[Socket, Any], Awaitable[Answer]]
Ack = Callable[..., None] | None


class Requests:
    """Answers each event of a client, by its acknowledgement or, when it is refused without one, by `error`.

    `refresh` takes a new token in; `owners` tells who owns an order; `now` returns the seconds since 1970;
    `max_rooms` bounds what one socket may join. Whoever waits for the answer to an event that is none of these is
    told so.
    """

    _log = Logger()

    def __init__(
        self, io: Server, *, owners: OwnerView, now: Callable[[], float], max_rooms: int, refresh: Refresh
    ) -> None:
        self._io = io
        self._owners = owners
        self._now = now
        self._max_rooms = max_rooms
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
            "refresh_token": lambda socket, _, value: refresh(socket, value),
        }

    @property
    def names(self) -> frozenset[str]:
        """The events that clients may send."""
        return frozenset(self._requests)

    def handle(self, socket: Socket, event: str, args: Sequence[Any]) -> Awaitable[None] | None:
        """Do what the client of `socket` asks for, and answer; `args` may end with the acknowledgement.

        Returns what is still going on, for the client's next events to wait for.
        """
        identity: Identity = socket.data["identity"]  # not that of the token: it may have moved since
        ack = args[-1] if args and callable(args[-1]) else None
        values = args[:-1] if ack is not None else args
        request = self._requests.get(event)
        if request is None:
            self._ignore(socket, identity, event, ack)
            return None
        try:
            answer = request(socket, identity, values[0] if values else None)
        except Refused as refusal:
            self._refuse(event, socket, identity, refusal, ack)
            return None
        if isinstance(answer, dict):
            _grant(answer, ack)
            return None
        return self._finish(answer, event, socket, identity, ack)

    async def _finish(
        self, answer: Awaitable[Answer], event: str, socket: Socket, identity: Identity, ack: Ack
    ) -> None:
        try:
            granted = await answer
        except Refused as refusal:
            self._refuse(event, socket, identity, refusal, ack)
        else:
            _grant(granted, ack)

    def _ignore(self, socket: Socket, identity: Identity, event: str, ack: Ack) -> None:
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
        ack: Ack,
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


def _grant(answer: Answer, ack: Ack) -> None:
    if ack is not None:
        ack({"success": True, **answer})
