"""Telling a company who of its users comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.domain.rooms import SUPER_ADMIN, company_room, user_room
from rtwist.domain.timestamps import iso
from rtwist.entries import info
from rtwist.socketio import Server, Socket
from rtwist.socketio.adapter import Selection


class Presence(Protocol):
    """Hears of the users' sockets, and tells their companies."""

    def connected(self, socket: Socket, identity: Identity) -> None:
        """The socket has joined its rooms."""

    def disconnected(self, identity: Identity) -> None:
        """A socket of that identity has left its rooms."""

    def sent_away(self, identity: Identity, *, stopping: bool) -> None:
        """The same, but the client is to come back to another process, for this one is full, or `stopping`."""

    def moved(self, user_id: str, former: Iterable[str | None], present: Iterable[str | None]) -> None:
        """The companies of the user's live sockets have changed."""


class LocalPresence:
    """Emits `presence:online` with a user's first socket, and `presence:offline` when the last has gone.

    The user's company hears it, and super admins; the user's own sockets do not. A user whose tokens name
    several companies comes and goes in each of them on its own. `now` returns the seconds since 1970.
    """

    def __init__(self, io: Server, now: Callable[[], float]) -> None:
        self._io = io
        self._now = now

    def connected(self, socket: Socket, identity: Identity) -> None:
        """The socket has joined its rooms."""
        others = [
            other.data["identity"] for other in sockets_of(self._io, identity.user_id) if other is not socket
        ]
        self._tell("presence:online", identity.user_id, _audience(identity.company_id, others))

    def disconnected(self, identity: Identity) -> None:
        """A socket of that identity has left its rooms."""
        others = [other.data["identity"] for other in sockets_of(self._io, identity.user_id)]
        self._tell("presence:offline", identity.user_id, _audience(identity.company_id, others))

    def sent_away(self, identity: Identity, *, stopping: bool) -> None:
        """When all of this node leave, nobody has to hear of each."""
        if not stopping:
            self.disconnected(identity)

    def moved(self, user_id: str, former: Iterable[str | None], present: Iterable[str | None]) -> None:
        """The companies of the user's live sockets have changed; to super admins that is neither."""
        before, after = (
            {company for company in companies if company is not None} for companies in (former, present)
        )
        self._tell("presence:offline", user_id, tuple(map(company_room, sorted(before - after))))
        self._tell("presence:online", user_id, tuple(map(company_room, sorted(after - before))))

    def _tell(self, event: str, user_id: str, rooms: tuple[str, ...]) -> None:
        if rooms:
            tell(self._io, event, user_id, rooms, self._now())


_log = Logger()


def tell(io: Server, event: str, user_id: str, rooms: tuple[str, ...], now: float) -> None:
    """Emit news of a user to `rooms` on this node, though not to the user; `now` is in seconds since 1970."""
    news = {"userId": user_id, "timestamp": iso(now)}
    receivers = io.to(rooms).except_(user_room(user_id)).local.emit(event, news)
    target = list(rooms)
    text = f"emitted {event} of user {user_id} to {target}: {receivers} receivers"
    info(_log, text, event=event, user=user_id, target=target, receivers=receivers)


def sockets_of(io: Server, user_id: str) -> Iterable[Socket]:
    """The live sockets of a user."""
    return io.root.adapter.select(Selection((user_room(user_id),)))


def _audience(company_id: str | None, others: Iterable[Identity]) -> tuple[str, ...]:
    companies = {other.company_id for other in others}
    if company_id is None or company_id in companies:
        return ()
    return (company_room(company_id),) if companies - {None} else (company_room(company_id), SUPER_ADMIN)
