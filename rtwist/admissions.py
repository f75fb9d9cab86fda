"""Rooms that the authorization URL let a socket into: asked about again, and left when it says so."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from weakref import ReferenceType, ref

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.auth.policy import REQUESTS, Room, refusal, rooms_held
from rtwist.authorization import Answer, Authorizer
from rtwist.errors import AuthorizationUnavailable
from rtwist.socketio import Server, Socket

SWEEP_SECONDS = 1.0
"""Between two looks for members to ask about."""

_KEY = "admissions"
_SLACK = 1000
"""Entries of rooms that were left, kept beside as many live ones before the queue is made anew."""


class _Admission:
    """That a socket may be in a room until `until`, in the seconds of the clock."""

    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until


class Admissions:
    """Puts the questions of sockets to the `authorizer`, and keeps an eye on whom it let in.

    Members are asked about again in the middle of the time for which the answer counts. While the authorizer has
    none they stay until that time ends, and no longer than one more try takes.
    """

    _log = Logger()

    def __init__(self, io: Server, authorizer: Authorizer, clock: IReactorTime) -> None:
        self._io = io
        self._authorizer = authorizer
        self._clock = clock
        self._due: list[tuple[float, int, ReferenceType[Socket], Room, _Admission]] = []
        self._number = count()
        self._tidy_at = _SLACK

    def __len__(self) -> int:
        """How many looks are still to come, those at rooms that were left meanwhile among them."""
        return len(self._due)

    async def ask(self, socket: Socket, room: Room) -> Answer | None:
        """Whether the socket's user may be in `room` now; None while the authorizer has no answer."""
        try:
            return await self._authorizer.ask(_identity(socket), room)
        except AuthorizationUnavailable:
            return None

    def keep(self, socket: Socket, room: Room, until: float) -> None:
        """The socket is in `room`, and may be until then, in the seconds of the clock."""
        admission = _Admission(until)
        socket.data.setdefault(_KEY, {})[room] = admission
        self._schedule(socket, room, admission)

    def forget(self, socket: Socket, room: Room) -> None:
        """The socket has left `room`."""
        socket.data.get(_KEY, {}).pop(room, None)

    def ask_again(self, socket: Socket, room: Room) -> None:
        """Ask at once about a room the socket is in, because something has changed."""
        kept: dict[Room, _Admission] = socket.data.setdefault(_KEY, {})
        admission = kept.setdefault(room, _Admission(self._clock.seconds()))
        self._io.tasks.start(f"asking about {room.name}", self._ask_again(socket, room, admission))

    def sweep(self) -> None:
        """Ask about all members whose time it is."""
        now = self._clock.seconds()
        while self._due and self._due[0][0] <= now:
            _, _, reference, room, admission = heappop(self._due)
            socket = reference()
            if socket is not None and _is_kept(reference, room, admission):
                self._io.tasks.start(f"asking about {room.name}", self._ask_again(socket, room, admission))

    def _schedule(self, socket: Socket, room: Room, admission: _Admission) -> None:
        now = self._clock.seconds()
        left = admission.until - now
        due = now + max(left / 2, min(left, SWEEP_SECONDS))
        heappush(self._due, (due, next(self._number), ref(socket), room, admission))
        if len(self._due) > self._tidy_at:
            self._tidy()

    def _tidy(self) -> None:
        # What was left stays until its time: a client that joins and leaves without end would fill the memory.
        self._due = [entry for entry in self._due if _is_kept(*entry[2:])]
        heapify(self._due)
        self._tidy_at = 2 * len(self._due) + _SLACK

    async def _ask_again(self, socket: Socket, room: Room, admission: _Admission) -> None:
        identity = _identity(socket)
        try:
            answer = await self._authorizer.ask(identity, room, again=True)
        except AuthorizationUnavailable:
            answer = None
        if not _is_current(socket, room, admission):
            return
        if answer is None and self._clock.seconds() < admission.until:
            self._schedule(socket, room, admission)
        elif _identity(socket) != identity:
            self.ask_again(socket, room)
        elif answer is not None and answer.allow:
            self.keep(socket, room, answer.until)
        else:
            self._expel(socket, room)

    def _expel(self, socket: Socket, room: Room) -> None:
        self.forget(socket, room)
        for name in rooms_held(room, socket.rooms):
            socket.leave(name)
        self._log.info("{socket} left {room}, which it may be in no longer", socket=socket.id, room=room.name)
        event = REQUESTS[room.kind]
        error = refusal(event)
        socket.emit("error", {"event": event, "code": error.code, "message": error.message, "room": room.name})


def _identity(socket: Socket) -> Identity:
    identity: Identity = socket.data["identity"]
    return identity


def _is_kept(reference: ReferenceType[Socket], room: Room, admission: _Admission) -> bool:
    socket = reference()
    return socket is not None and _is_current(socket, room, admission)


def _is_current(socket: Socket, room: Room, admission: _Admission) -> bool:
    return socket.connected and socket.data.get(_KEY, {}).get(room) is admission
