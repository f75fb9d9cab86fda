"""Which sockets nodes mean, and what others broadcast to those of this one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rtwist.cluster.messages import Broadcast, Target
from rtwist.cluster.wire import well_formed
from rtwist.engineio.outbox import DROP
from rtwist.socketio.adapter import Adapter, Selection, send
from rtwist.socketio.packet import Packet, PacketType

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace


def selection_of(target: Target) -> Selection:
    """The sockets that another node means."""
    return Selection(target.rooms, target.excluded)


def target_from(selection: Selection) -> Target:
    """Which sockets other nodes shall take."""
    return Target(room_names_of(selection.rooms), room_names_of(selection.excluded))


def room_names_of(rooms: tuple[str, ...]) -> tuple[str, ...]:
    """Rooms as other nodes are told of them, each once."""
    if len(rooms) == 1:
        return (well_formed(rooms[0]),)
    return tuple(dict.fromkeys(map(well_formed, rooms)))


def deliver(adapter: Adapter, namespace: Namespace, said: Broadcast, before: float = math.inf) -> None:
    """Give it to the sockets of this node that came before the time `before` (seconds since 1970)."""
    receivers = adapter.select(selection_of(said.target))
    if before != math.inf:
        receivers = [socket for socket in receivers if socket.handshake.time < before]
    if not receivers:
        return
    data = said.data
    if_behind = DROP if said.flags.volatile else namespace.behind.of(namespace.name, data[0], data[1:])
    send(Packet(PacketType.EVENT, namespace.name, data), receivers, if_behind)
