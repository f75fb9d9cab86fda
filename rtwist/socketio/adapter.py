"""Delivery to rooms: which sockets are meant is one thing, how packets reach them another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from rtwist.engineio.outbox import IfBehind
from rtwist.engineio.packet import Packet as EnginePacket
from rtwist.socketio.acks import BroadcastAck
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import Packet, encode
from rtwist.socketio.rooms import Rooms


class Selection(NamedTuple):
    """The sockets in any of `rooms` (all, when empty) that are in none of the `excluded` rooms.

    `local` leaves out those of other nodes.
    """

    rooms: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    local: bool = False


class Receiver(Protocol):
    """What delivery needs of a socket."""

    id: str

    def deliver(self, encoded: Sequence[EnginePacket], if_behind: IfBehind) -> None:
        """Send packets that are encoded already; `if_behind` says what becomes of them if they must wait."""


class Adapter:
    """The rooms of one namespace on this node; a cluster's adapter extends it to other nodes.

    Only sockets whose CONNECT was accepted are ever in it.
    """

    def __init__(self) -> None:
        self.rooms: Rooms[Any] = Rooms()

    def add(self, socket: Receiver, rooms: Iterable[str]) -> list[str]:
        """Put a socket into rooms; returns those that are new to it."""
        return self.rooms.add(socket, rooms)

    def remove(self, socket: Receiver, room: str) -> bool:
        """Take a socket out of a room; returns whether it was in it."""
        return self.rooms.remove(socket, room)

    def remove_all(self, socket: Receiver) -> None:
        """Forget a socket."""
        self.rooms.remove_all(socket)

    def select(self, selection: Selection) -> Collection[Any]:
        """The sockets of this node that `selection` means, each once."""
        return self.rooms.members(selection.rooms, selection.excluded)

    def reaches(self, rooms: Iterable[str]) -> bool:
        """Whether what is sent to `rooms` can reach anybody, so that it is worth encoding."""
        return any(room in self.rooms for room in rooms)

    def broadcast(
        self, packet: Packet, selection: Selection, if_behind: IfBehind = None, mark: Mark | None = None
    ) -> int:
        """Send `packet`, encoded once, to every selected socket; returns how many there are on this node.

        A cluster sends nothing with the same `mark` twice.
        """
        return send(packet, self.select(selection), if_behind)

    def broadcast_with_ack(self, packet: Packet, selection: Selection, ack: BroadcastAck) -> None:
        """Send `packet`, which has an id, to every selected socket, and have `ack` expect their answers."""
        for socket in self.select(selection):
            ack.expect(socket.acks)
        Adapter.broadcast(self, packet, selection)

    async def fetch(self, selection: Selection) -> list[Any]:
        """The selected sockets."""
        return list(self.select(selection))

    def join(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        """Put the selected sockets into `rooms`."""
        for socket in self.select(selection):
            socket.join(rooms)

    def leave(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        """Take the selected sockets out of `rooms`."""
        for socket in self.select(selection):
            for room in rooms:
                socket.leave(room)

    def server_side_emit(self, event: str, args: tuple[Any, ...]) -> None:
        """Tell the other nodes of `event`: the handlers of their namespaces hear it."""

    async def server_side_emit_with_ack(self, event: str, args: tuple[Any, ...]) -> list[Any]:
        """The same; what each of the others answers."""
        return []

    def close(self) -> None:
        """Let go of what reaches to other nodes; nothing is sent or heard afterwards."""

    async def server_count(self) -> int:
        """How many nodes there are, with this one."""
        return 1

    async def all_rooms(self) -> set[str]:
        """The rooms of all nodes."""
        return set(self.rooms.names())

    def disconnect(self, selection: Selection, close: bool) -> None:
        """Disconnect the selected sockets; `close` also ends their connections."""
        for socket in self.select(selection):
            socket.disconnect(close)


def send(packet: Packet, receivers: Collection[Receiver], if_behind: IfBehind) -> int:
    """Send `packet`, encoded once, to each of `receivers`; returns how many they are."""
    encoded = encode(packet)
    for receiver in receivers:
        receiver.deliver(encoded, if_behind)
    return len(receivers)
