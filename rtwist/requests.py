"""The clients' events: what each may ask for, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.logger import Logger

from rtwist.admissions import Admissions
from rtwist.auth.identity import Identity
from rtwist.auth.policy import (
    REQUESTS,
    Entry,
    Kind,
    Policy,
    Room,
    Row,
    Who,
    refusal,
    room_named,
    rooms_held,
    rooms_within,
    subject,
)
from rtwist.domain.owners import UNKNOWN, OwnerView
from rtwist.domain.timestamps import iso
from rtwist.engineio.buckets import Buckets
from rtwist.entries import info
from rtwist.errors import Refused
from rtwist.quoting import listed, quoted
from rtwist.socketio import Server, Socket

DEFAULT_MAX_ROOMS = 5000
"""Rooms one socket may ask for; following an order takes one for each shop of the user, and two or three more."""

DEFAULT_MAX_ROOM_NAME = 200
"""Characters of a room's name, which stays in memory with the room; as many as an id may have."""

_QUOTED = 100
"""Characters of a client's words that are sent back and logged."""

Answer = dict[str, Any]
Request = Callable[[Socket, Any], "Answer | Coroutine[Any, Any, Answer]"]
Ack = Callable[..., None] | None


class Requests:
    """Answers each event of a client, by its acknowledgement or, when it is refused without one, by `error`.

    `owners` tells who owns an order; `now` returns the seconds since 1970; `max_rooms` bounds what one socket
    may join, `max_room_name` the characters of a room's name; `refresh` takes a new token in. Without
    `admissions` what the policy would have asked about is refused. Whoever waits for the answer to an event that
    is none of these is told so.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        *,
        policy: Policy,
        admissions: Admissions | None,
        owners: OwnerView,
        now: Callable[[], float],
        max_rooms: int,
        max_room_name: int,
        max_typing: float | None,
        refresh: Request,
    ) -> None:
        self._io = io
        self._policy = policy
        self._admissions = admissions
        self._owners = owners
        self._now = now
        self._max_rooms = max_rooms
        self._max_typing = max_typing
        self._typists = Buckets(max_typing)
        self._max_room_name = max_room_name
        self._requests: Mapping[str, Request] = {
            "join_room": self._join_room,
            "leave_room": self._leave_room,
            "subscribe_order": partial(self._subscribe, Kind.ORDER),
            "unsubscribe_order": partial(self._unsubscribe, Kind.ORDER),
            "subscribe_inventory": partial(self._subscribe, Kind.PRODUCT),
            "unsubscribe_inventory": partial(self._unsubscribe, Kind.PRODUCT),
            "subscribe_transfer": partial(self._subscribe, Kind.TRANSFER),
            "unsubscribe_transfer": partial(self._unsubscribe, Kind.TRANSFER),
            "typing": self._typing,
            "refresh_token": refresh,
        }

    def reconfigure(self, *, max_rooms: int, max_room_name: int, max_typing: float | None) -> None:
        """Go by other limits from now on; who is in more rooms stays, and another rate begins anew."""
        self._max_rooms, self._max_room_name = max_rooms, max_room_name
        if max_typing != self._max_typing:
            self._max_typing, self._typists = max_typing, Buckets(max_typing)

    @property
    def names(self) -> frozenset[str]:
        """The events that clients may send."""
        return frozenset(self._requests)

    def handle(self, socket: Socket, event: str, args: Sequence[Any]) -> Coroutine[Any, Any, None] | None:
        """Do what the client of `socket` asks for, and answer; `args` may end with the acknowledgement.

        Returns what is still to be waited for before the client's next event, if anything.
        """
        ack = args[-1] if args and callable(args[-1]) else None
        values = args[:-1] if ack is not None else args
        request = self._requests.get(event)
        if request is None:
            self._ignore(socket, event, ack)
            return None
        try:
            answer = request(socket, values[0] if values else None)
        except Refused as refused:
            self._refuse(event, socket, refused, ack)
            return None
        if isinstance(answer, Coroutine):
            return self._finish(event, socket, answer, ack)
        _grant(answer, ack)
        return None

    async def _finish(self, event: str, socket: Socket, answer: Coroutine[Any, Any, Answer], ack: Ack) -> None:
        try:
            _grant(await answer, ack)
        except Refused as refused:
            self._refuse(event, socket, refused, ack)

    def _ignore(self, socket: Socket, event: str, ack: Ack) -> None:
        # Without an acknowledgement nobody waits, and other servers say nothing, too.
        if ack is not None:
            name = event if len(event) <= _QUOTED else event[:_QUOTED] + "…"
            self._refuse(name, socket, Refused("not_found", f"unknown event {name!r}"), ack)

    def _refuse(self, event: str, socket: Socket, refused: Refused, ack: Ack) -> None:
        self._log.info(
            "{event} of user {user} on {socket} refused: {code}, {message}",
            event=quoted(event),
            user=_identity(socket).user_id,
            socket=socket.id,
            code=refused.code,
            message=quoted(refused.message),
        )
        if refused.limit is not None:
            self._io.note_limit(refused.limit, f"user {_identity(socket).user_id} on {socket.id}")
        error = {"code": refused.code, "message": refused.message}
        if ack is not None:
            ack({"success": False, "error": error})
        else:
            socket.emit("error", {"event": event, **error})

    # The clients' events

    def _join_room(self, socket: Socket, name: Any) -> Answer | Coroutine[Any, Any, Answer]:
        room = self._room(name)
        if self._policy.row(room.kind).join is Who.NOBODY:
            raise refusal("join_room")
        return self._enter(socket, room)

    def _leave_room(self, socket: Socket, name: Any) -> Answer:
        room = self._room(name)
        if self._policy.row(room.kind).leave is Who.NOBODY:
            raise refusal("leave_room")
        return self._leave(socket, room)

    def _subscribe(self, kind: Kind, socket: Socket, value: Any) -> Answer | Coroutine[Any, Any, Answer]:
        return self._enter(socket, subject(kind, value))

    def _unsubscribe(self, kind: Kind, socket: Socket, value: Any) -> Answer:
        if self._policy.row(kind).unsubscribe is Who.NOBODY:
            raise refusal("unsubscribe")
        return self._leave(socket, subject(kind, value))

    def _typing(self, socket: Socket, value: Any) -> Answer:
        name = value.get("roomId") if isinstance(value, dict) else None
        typing = value.get("isTyping") if isinstance(value, dict) else None
        if not isinstance(name, str) or not isinstance(typing, bool):
            raise Refused("bad_request", "typing takes {roomId: string, isTyping: boolean}")
        if name not in socket.rooms or self._row(name).typing is not Who.MEMBERS:
            raise refusal("typing")
        user = _identity(socket).user_id
        now = self._io.clock.seconds()
        bucket = self._typists.of(user, now)
        if bucket.level(now) <= 0:
            told = "too many have heard of your typing; wait a little"
            raise Refused("rate_limited", told, limit="max_typing_per_second")
        news = {"roomId": name, "userId": user, "isTyping": typing, "timestamp": iso(self._now())}
        bucket.spend(now, socket.to(name).emit("typing", news))
        return {"room": name}

    # Rooms

    def _enter(self, socket: Socket, room: Room) -> Answer | Coroutine[Any, Any, Answer]:
        owners = self._owners.recall(room.id) if room.kind is Kind.ORDER else UNKNOWN
        entry = self._policy.entry(_identity(socket), room, owners)
        if entry is Entry.ASK and self._admissions is not None:
            return self._ask(socket, room, self._admissions)
        return self._admit(socket, room, entry)

    async def _ask(self, socket: Socket, room: Room, admissions: Admissions) -> Answer:
        identity = _identity(socket)
        answer = await admissions.ask(socket, room)
        if _identity(socket) != identity:  # it has moved meanwhile: the answer is about somebody else
            again = self._enter(socket, room)
            return await again if isinstance(again, Coroutine) else again
        if answer is None or not answer.allow:
            raise refusal(REQUESTS[room.kind])
        granted = self._admit(socket, room, Entry.GRANTED)
        admissions.keep(socket, room, answer.until)
        return granted

    def _admit(self, socket: Socket, room: Room, entry: Entry) -> Answer:
        identity = _identity(socket)
        rooms = rooms_within(identity, room, entry)
        if not rooms:
            raise refusal(REQUESTS[room.kind])
        if socket.connected:  # and has not left while the answer was on its way
            self._join(socket, identity, rooms)
        return {"room": room.name, **({"pending": True} if entry is Entry.PENDING else {})}

    def _join(self, socket: Socket, identity: Identity, rooms: Iterable[str]) -> None:
        present = socket.rooms
        new = [room for room in rooms if room not in present]
        if len(present) + len(new) > self._max_rooms + len(identity.rooms) + 1:
            told = f"a socket can ask for at most {self._max_rooms} rooms"
            raise Refused("too_many", told, limit="max_rooms")
        socket.join(new)
        if new:
            self._log_rooms(socket, "joined", new)

    def _leave(self, socket: Socket, room: Room) -> Answer:
        left = rooms_held(room, socket.rooms)
        for name in left:
            socket.leave(name)
        if self._admissions is not None:
            self._admissions.forget(socket, room)
        if left:
            self._log_rooms(socket, "left", left)
        return {"room": room.name}

    def _log_rooms(self, socket: Socket, done: str, names: Collection[str]) -> None:
        user, rooms = _identity(socket).user_id, listed(names)
        text = f"user {user} on {socket.id} {done} {rooms}"
        info(self._log, text, user=user, socket=socket.id, done=done, rooms=rooms)

    def _row(self, name: str) -> Row:
        return self._policy.row(room_named(name, self._is_socket_id, len(name)).kind)

    def _room(self, name: Any) -> Room:
        return room_named(name, self._is_socket_id, self._max_room_name)

    def _is_socket_id(self, name: str) -> bool:
        return name in self._io.root.sockets


def _grant(answer: Answer, ack: Ack) -> None:
    if ack is not None:
        ack({"success": True, **answer})


def _identity(socket: Socket) -> Identity:
    # Not that of the token: it may have moved since.
    identity: Identity = socket.data["identity"]
    return identity
