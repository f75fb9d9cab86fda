"""Letting live sockets follow what becomes of their users and tokens: disconnected, or moved to other rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.auth.moves import moved
from rtwist.auth.policy import entitled, order_rooms, transfer_rooms
from rtwist.auth.revocation import Revocations, covers, dated
from rtwist.domain.emission import Disconnect, Effect, Reassign, Revoke
from rtwist.domain.owners import Owners, OwnersChanged, OwnerView
from rtwist.domain.rooms import (
    ORDER_PREFIX,
    TRANSFER_PREFIX,
    order_room,
    order_scopes_of_owners,
    subjects_in,
    user_room,
)
from rtwist.domain.timestamps import iso
from rtwist.presence import Presence, sockets_of
from rtwist.socketio import Server, Socket


class Accounts:
    """Applies the effects of domain events to the sockets of this node.

    `owners` tells who owns an order; `revocations` remembers which tokens count no more, and `leeway` is how far
    ahead their issuer's clock may be; `max_rooms` bounds what one socket may follow; `now` returns the seconds
    since 1970.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        *,
        owners: OwnerView,
        presence: Presence,
        revocations: Revocations,
        leeway: float,
        max_rooms: int,
        now: Callable[[], float],
    ) -> None:
        self._io = io
        self._owners = owners
        self._presence = presence
        self._revocations = revocations
        self._leeway = leeway
        self._max_rooms = max_rooms
        self._now = now

    def apply(self, effect: Effect | OwnersChanged) -> None:
        """Do to live sockets what `effect` says."""
        if isinstance(effect, OwnersChanged):
            self._follow_owners(effect.order_id, effect.owners)
        elif isinstance(effect, Disconnect):
            self._io.to(user_room(effect.user_id)).disconnect_sockets(close=True)
        elif isinstance(effect, Revoke):
            self.revoke(effect)
        else:
            self._reassign(effect)

    def revoke(self, effect: Revoke) -> int:
        """Call tokens back, and disconnect the sockets that came with them; returns how many there were."""
        effect = dated(effect, self._now())
        self._revocations.add(effect, self._now())
        user_id = effect.user_id
        sockets = self._io.root.sockets.values() if user_id is None else sockets_of(self._io, user_id)
        concerned = [one for one in sockets if covers(effect, one.data["identity"], leeway=self._leeway)]
        for socket in concerned:
            self.dismiss_revoked(socket)
        self._log.info("{effect}: {count} sockets disconnected", effect=effect, count=len(concerned))
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

    def _follow_owners(self, order_id: str, owners: Owners) -> None:
        room = order_room(order_id)
        rooms = self._io.root.adapter.rooms
        for socket in rooms.members([room]) if room in rooms else ():
            if not entitled(socket.data["identity"], owners):
                socket.leave(room)
                self._log.info("{socket} left {room}, which has other owners now", socket=socket.id, room=room)
        for socket in rooms.members(order_scopes_of_owners(order_id, owners)):
            socket.join(room)

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
            socket.data["identity"] = identity
            if before.rooms != identity.rooms:
                self._move(socket, before, identity)
        present = [socket.data["identity"].company_id for socket in sockets]
        self._presence.moved(user_id, former, present)

    def _move(self, socket: Socket, former: Identity, identity: Identity) -> None:
        followed = {room for room in socket.rooms if room.startswith((ORDER_PREFIX, TRANSFER_PREFIX))}
        others = len(socket.rooms) - len(followed) - len(former.rooms) - 1
        wanted = {*identity.rooms, *self._followed(socket, identity, self._max_rooms - others)}
        left = sorted((followed | {*former.rooms}) - wanted)
        joined = sorted(wanted - socket.rooms)
        for room in left:
            socket.leave(room)
        socket.join(joined)
        self._log.info(
            "user {user} on {socket} was moved: joined {joined}, left {left}",
            user=identity.user_id,
            socket=socket.id,
            joined=joined,
            left=left,
        )

    def _followed(self, socket: Socket, identity: Identity, limit: int) -> Iterator[str]:
        """The rooms of the orders and transfers the socket follows, as far as it still may, at most `limit`."""
        orders = subjects_in(socket.rooms, ORDER_PREFIX)
        transfers = subjects_in(socket.rooms, TRANSFER_PREFIX)
        for rooms in (
            *(order_rooms(identity, order_id, self._owners.recall(order_id)) for order_id in orders),
            *(transfer_rooms(identity, transfer_id) for transfer_id in transfers),
        ):
            limit -= len(rooms)
            if limit >= 0:
                yield from rooms
