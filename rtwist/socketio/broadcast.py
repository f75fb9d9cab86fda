"""`to(room).except_(other).emit(...)`: who shall get an event, built up step by step."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

from rtwist.engineio.outbox import DROP, IfBehind, Latest
from rtwist.socketio.acks import BroadcastAck
from rtwist.socketio.adapter import Selection
from rtwist.socketio.behind import latest
from rtwist.socketio.packet import Packet, PacketType, event_data

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from rtwist.socketio.namespace import Namespace
    from rtwist.socketio.socket import Socket

RoomNames = str | Iterable[str]
_EVERYBODY = Selection()


class BroadcastOperator:
    """A selection of sockets of one namespace; each method returns a new, narrower or wider one."""

    __slots__ = ("_if_behind", "_namespace", "_timeout", "selection")

    def __init__(
        self,
        namespace: Namespace,
        selection: Selection = _EVERYBODY,
        if_behind: IfBehind = None,
        timeout: float | None = None,
    ) -> None:
        self._namespace = namespace
        self.selection = selection
        self._if_behind = if_behind
        self._timeout = timeout

    def to(self, room: RoomNames) -> BroadcastOperator:
        """Also the sockets in `room`, a name or several; each socket is meant once however many it is in."""
        selection = self.selection
        return self._meaning(selection._replace(rooms=selection.rooms + names(room)))

    def in_(self, room: RoomNames) -> BroadcastOperator:
        """The same as `to`."""
        return self.to(room)

    def except_(self, room: RoomNames) -> BroadcastOperator:
        """Not the sockets in `room`, a name or several."""
        selection = self.selection
        return self._meaning(selection._replace(excluded=selection.excluded + names(room)))

    @property
    def local(self) -> BroadcastOperator:
        """Not the sockets of other nodes."""
        return self._meaning(self.selection._replace(local=True))

    @property
    def volatile(self) -> BroadcastOperator:
        """Drop the event for sockets that cannot take it at once."""
        return self._treating(DROP)

    def latest(self, key: Hashable = None) -> BroadcastOperator:
        """Of what waits for a socket, keep only the last of this event with this `key`."""
        return self._treating(Latest(key))

    def timeout(self, seconds: float) -> BroadcastOperator:
        """How long `emit_with_ack` waits."""
        return BroadcastOperator(self._namespace, self.selection, self._if_behind, seconds)

    def _meaning(self, selection: Selection) -> BroadcastOperator:
        return BroadcastOperator(self._namespace, selection, self._if_behind, self._timeout)

    def _treating(self, if_behind: IfBehind) -> BroadcastOperator:
        return BroadcastOperator(self._namespace, self.selection, if_behind, self._timeout)

    def emit(self, event: str, *args: Any) -> int:
        """Send `event` to the selected sockets; returns how many of them are on this node.

        Raises `LocalProtocolError` for a reserved name and `TypeError` for arguments without a JSON form.
        """
        namespace, if_behind = self._namespace, self._if_behind
        packet = Packet(PacketType.EVENT, namespace.name, event_data(event, args))
        if if_behind is None:
            if_behind = namespace.behind.of(namespace.name, event, args)
        elif isinstance(if_behind, Latest):
            if_behind = latest(namespace.name, event, if_behind.key)
        return namespace.adapter.broadcast(packet, self.selection, if_behind)

    def emit_with_ack(self, event: str, *args: Any) -> Deferred[list[Any]]:
        """Send `event`; fires with the first argument of each acknowledgement once all have come.

        Fails with `AckTimeout`, which holds the responses so far, after the `timeout`. Without one that is the
        server's `ack_timeout`, and it fails with `AckLost` when a socket has left before it answered and all
        others have.
        """
        namespace = self._namespace
        packet_id = namespace.next_ack_id()
        packet = Packet(PacketType.EVENT, namespace.name, event_data(event, args), packet_id)
        ack = BroadcastAck(namespace.patience, packet_id, self._timeout)
        try:
            namespace.adapter.broadcast_with_ack(packet, self.selection, ack)
        except TypeError:
            ack.stop()
            raise
        return ack.sent()

    async def fetch_sockets(self) -> list[Socket]:
        """The selected sockets."""
        return await self._namespace.adapter.fetch(self.selection)

    def sockets_join(self, room: RoomNames) -> None:
        """Put the selected sockets into `room`, a name or several."""
        self._namespace.adapter.join(self.selection, names(room))

    def sockets_leave(self, room: RoomNames) -> None:
        """Take the selected sockets out of `room`, a name or several."""
        self._namespace.adapter.leave(self.selection, names(room))

    def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect the selected sockets; `close` also ends their connections."""
        self._namespace.adapter.disconnect(self.selection, close)


def names(room: RoomNames) -> tuple[str, ...]:
    """One or several room names as a tuple."""
    return (room,) if isinstance(room, str) else tuple(room)
