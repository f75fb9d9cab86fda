"""What other nodes broadcast, to the sockets of this one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rtwist.cluster.messages import Broadcast, Target
from rtwist.engineio.outbox import DROP
from rtwist.socketio.adapter import Adapter, Selection
from rtwist.socketio.packet import Packet, PacketType, encode

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace


def selection_of(target: Target) -> Selection:
    """The sockets that another node means."""
    return Selection(target.rooms, target.excluded)


def deliver(adapter: Adapter, namespace: Namespace, said: Broadcast, before: float = math.inf) -> None:
    """Give it to the sockets of this node that came before the time `before` (seconds since 1970)."""
    data, selection = said.data, selection_of(said.target)
    packet = Packet(PacketType.EVENT, namespace.name, data)
    if_behind = DROP if said.flags.volatile else namespace.behind.of(namespace.name, data[0], data[1:])
    if before == math.inf:
        Adapter.broadcast(adapter, packet, selection, if_behind)
        return
    encoded = encode(packet)
    for socket in adapter.select(selection):
        if socket.handshake.time < before:
            socket.deliver(encoded, if_behind)
