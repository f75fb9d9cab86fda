"""Letting live sockets follow what becomes of their users: disconnected, or moved to other rooms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from msgspec import UNSET
from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.auth.policy import entitled, order_rooms, transfer_rooms
from rtwist.domain.emission import Disconnect, Reassign
from rtwist.domain.owners import Owners, OwnersChanged, OwnerView
from rtwist.domain.rooms import (
    ORDER_PREFIX,
    TRANSFER_PREFIX,
    order_room,
    order_scopes_of_owners,
    subjects_in,
    user_room,
)
from rtwist.presence import Presence, sockets_of
from rtwist.socketio import Server, Socket


class Accounts:
    """Applies the effects of domain events to the sockets of this node.

    `owners` tells who owns an order; `max_rooms` bounds what one socket may follow.
    """

    _log = Logger()

    def __init__(self, io: Server, owners: OwnerView, presence: Presence, max_rooms: int) -> None:
        self._io = io
        self._owners = owners
        self._presence = presence
        self._max_rooms = max_rooms

    def apply(self, effect: Disconnect | Reassign | OwnersChanged) -> None:
        """Do to live sockets what `effect` says."""
        if isinstance(effect, OwnersChanged):
            self._follow_owners(effect.order_id, effect.owners)
        elif isinstance(effect, Disconnect):
            self._io.to(user_room(effect.user_id)).disconnect_sockets(close=True)
        else:
            self._reassign(effect)

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
        sockets = list(sockets_of(self._io, effect.user_id))
        former = [socket.data["identity"].company_id for socket in sockets]
        for socket in sockets:
            identity: Identity = socket.data["identity"]
            moved = _moved(identity, effect)
            if moved != identity:
                socket.data["identity"] = moved
                self._move(socket, identity, moved)
        present = [socket.data["identity"].company_id for socket in sockets]
        self._presence.moved(effect.user_id, former, present)

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


def _moved(identity: Identity, effect: Reassign) -> Identity:
    return replace(
        identity,
        company_id=identity.company_id if effect.company_id is UNSET else effect.company_id,
        shop_ids=identity.shop_ids if effect.shop_ids is UNSET else effect.shop_ids,
        roles=identity.roles if effect.roles is UNSET else effect.roles,
    )
