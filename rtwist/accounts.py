"""Letting live sockets follow what becomes of their users and tokens: disconnected, or moved to other rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger

from rtwist.admissions import Admissions
from rtwist.auth.identity import Identity
from rtwist.auth.moves import moved
from rtwist.auth.policy import Entry, Kind, Policy, Room, kind_of, rooms_within
from rtwist.auth.revocation import Revocations, covers, dated
from rtwist.domain.emission import Disconnect, Effect, Reassign, Revoke
from rtwist.domain.owners import UNKNOWN, Owners, OwnersChanged, OwnerView
from rtwist.domain.rooms import order_room, order_scopes_of_owners, user_room
from rtwist.domain.timestamps import iso
from rtwist.presence import Presence, sockets_of
from rtwist.quoting import listed, quoted
from rtwist.socketio import Server, Socket


class Accounts:
    """Applies the effects of domain events to the sockets of this node.

    `policy` says who may be in which room, `admissions` asks where it does not; `owners` tells who owns an
    order; `revocations` remembers which tokens count no more, and `leeway` is how far ahead their issuer's clock
    may be; `max_rooms` bounds what one socket may follow; `now` returns the seconds since 1970.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        *,
        policy: Policy,
        admissions: Admissions | None,
        owners: OwnerView,
        presence: Presence,
        revocations: Revocations,
        leeway: float,
        max_rooms: int,
        now: Callable[[], float],
    ) -> None:
        self._io = io
        self._policy = policy
        self._admissions = admissions
        self._owners = owners
        self._presence = presence
        self._revocations = revocations
        self._leeway = leeway
        self.max_rooms = max_rooms
        self._now = now

    def apply(self, effect: Effect | OwnersChanged) -> None:
        """Do to live sockets what `effect` says."""
        if isinstance(effect, OwnersChanged):
            self._follow_owners(effect.order_id, effect.owners)
        elif isinstance(effect, Disconnect):
            self._io.to(user_room(effect.user_id)).local.disconnect_sockets(close=True)
        elif isinstance(effect, Revoke):
            self.revoke(effect)
        else:
            self._reassign(effect)

    def revoke(self, effect: Revoke) -> int:
        """Call tokens back, and disconnect the sockets that came with them; returns how many there were."""
        effect = dated(effect, self._now())
        self._revocations.add(effect, self._now())
        count = self.dismiss_all_revoked(effect)
        if not count:
            self._log.info("{effect}: nobody is connected with those tokens", effect=quoted(str(effect)))
        return count

    async def revoke_everywhere(self, effect: Revoke) -> int:
        """The same; returns once the other nodes can know, too, and raises `StoreFailed` if that takes longer."""
        count = self.revoke(effect)
        await self._revocations.settled()
        return count

    def dismiss_all_revoked(self, effect: Revoke) -> int:
        """Disconnect the sockets whose tokens `effect` calls back; returns how many there were."""
        user_id = effect.user_id
        sockets = self._io.root.sockets.values() if user_id is None else sockets_of(self._io, user_id)
        concerned = [one for one in sockets if covers(effect, one.data["identity"], leeway=self._leeway)]
        for socket in concerned:
            self.dismiss_revoked(socket)
        if concerned:
            told = quoted(str(effect))
            self._log.info("{effect}: {count} sockets disconnected", effect=told, count=len(concerned))
        return len(concerned)

    def dismiss_revoked(self, socket: Socket) -> None:
        """Disconnect a client whose token was called back."""
        self.dismiss(socket, "auth:revoked", "token_revoked", "The token was revoked")

    def dismiss(self, socket: Socket, event: str, code: str, message: str, **more: Any) -> None:
        """Tell a client why its token counts no more, then disconnect it."""
        told: Mapping[str, Any] = {"code": code, "message": message, **more, "timestamp": iso(self._now())}
        socket.emit(event, told)
        socket.disconnect(close=True)

    def renew(self, socket: Socket, identity: Identity) -> None:
        """The socket has come with a new token: it moves where that says."""
        self._place({socket: identity}, identity.user_id)

    def become(self, socket: Socket, identity: Identity) -> None:
        """From now on the socket is `identity`'s, the same user's: it is in the rooms that this one may be in.

        Rooms it asked for and may be in no longer are left. What the authorization URL decides about is asked
        again at once, and left when it says so.
        """
        former: Identity = socket.data["identity"]
        socket.data["identity"] = identity
        asked_for = socket.rooms - {socket.id, *former.rooms}
        wanted = {*identity.rooms, *self._kept(socket, identity, asked_for)}
        left = sorted((asked_for | {*former.rooms}) - wanted)
        joined = sorted(wanted - socket.rooms)
        for room in left:
            socket.leave(room)
        socket.join(joined)
        self._log.info(
            "user {user} on {socket} was moved: joined {joined}, left {left}",
            user=identity.user_id,
            socket=socket.id,
            joined=listed(joined),
            left=listed(left),
        )

    def _follow_owners(self, order_id: str, owners: Owners) -> None:
        room = Room(Kind.ORDER, order_room(order_id))
        rooms = self._io.root.adapter.rooms
        for socket in rooms.members([room.name]) if room.name in rooms else ():
            entry = self._policy.entry(socket.data["identity"], room, owners)
            if entry in (Entry.REFUSED, Entry.PENDING):
                socket.leave(room.name)
                self._log.info(
                    "{socket} left {room}, which has other owners now", socket=socket.id, room=room.name
                )
        for socket in rooms.members(order_scopes_of_owners(order_id, owners)):
            socket.join(room.name)

    def _reassign(self, effect: Reassign) -> None:
        sockets = sockets_of(self._io, effect.user_id)
        self._place(
            {socket: moved(socket.data["identity"], effect, self._now()) for socket in sockets}, effect.user_id
        )

    def _place(self, identities: Mapping[Socket, Identity], user_id: str) -> None:
        """Give sockets of the user other identities."""
        sockets = list(sockets_of(self._io, user_id))
        former = [socket.data["identity"].company_id for socket in sockets]
        for socket, identity in identities.items():
            before: Identity = socket.data["identity"]
            if (before.rooms, before.patterns) != (identity.rooms, identity.patterns):
                self.become(socket, identity)
            socket.data["identity"] = identity
        present = [socket.data["identity"].company_id for socket in sockets]
        self._presence.moved(user_id, former, present)

    def _kept(self, socket: Socket, identity: Identity, names: Iterable[str]) -> Iterator[str]:
        """The rooms for all that the socket asked for and still may be in, as many as it may have."""
        limit = self.max_rooms
        for room, present in _asked_for(names):
            owners = self._owners.recall(room.id) if room.kind is Kind.ORDER else UNKNOWN
            entry = self._policy.entry(identity, room, owners)
            rooms = present if entry is Entry.ASK else rooms_within(identity, room, entry)
            limit -= len(rooms)
            if limit < 0:
                rooms = ()
            self._follow_admission(socket, room, asked=entry is Entry.ASK and bool(rooms))
            yield from rooms

    def _follow_admission(self, socket: Socket, room: Room, *, asked: bool) -> None:
        if self._admissions is None:
            return
        if asked:
            self._admissions.ask_again(socket, room)
        else:
            self._admissions.forget(socket, room)


def _asked_for(names: Iterable[str]) -> list[tuple[Room, list[str]]]:
    """What somebody in the rooms of these names asked for, each with its rooms; orders and transfers last."""
    found: dict[Room, list[str]] = {}
    for name in names:
        scoped = name.startswith((Kind.ORDER.value, Kind.TRANSFER.value))
        plain = name.partition("|")[0] if scoped else name
        found.setdefault(Room(kind_of(plain), plain), []).append(name)
    return sorted(found.items(), key=lambda item: item[0].kind in (Kind.ORDER, Kind.TRANSFER))
