"""In one cluster with Node servers that use `createShardedAdapter` of @socket.io/redis-adapter 8."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from rtwist.cluster.adapter import KEY, REQUESTS_TIMEOUT, ClusterAdapter
from rtwist.cluster.bus import Bus
from rtwist.cluster.messages import Broadcast, Message, Request, Response
from rtwist.cluster.mode import Mode
from rtwist.cluster.sharded import messages
from rtwist.cluster.wire import Limits, well_formed
from rtwist.socketio.adapter import Adapter, Receiver

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace

SID_LENGTH: Final = 20
"""A room whose name is so long is taken for that of one socket."""


class ShardedAdapter(ClusterAdapter):
    """A channel for each namespace, one for each node, and one for each room that `mode` gives one.

    `key` begins the names of the channels. The other arguments are those of `ClusterAdapter`.
    """

    def __init__(
        self,
        namespace: Namespace,
        bus: Bus,
        *,
        node: str,
        requests_timeout: float = REQUESTS_TIMEOUT,
        key: str = KEY,
        mode: Mode = Mode.DYNAMIC,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(namespace, bus, node=node, requests_timeout=requests_timeout, limits=limits)
        self._own = messages.ends(node, namespace.name)
        self._mode = mode
        self._channel = f"{key}#{namespace.name}#"
        for channel in (self._channel, f"{self._channel}{node}#"):
            bus.subscribe(channel, self._heard)

    # Rooms and their channels

    def add(self, socket: Receiver, rooms: Iterable[str]) -> list[str]:
        """See `Adapter`."""
        wanted = tuple(rooms)
        fresh = [room for room in dict.fromkeys(wanted) if room not in self.rooms]
        added = super().add(socket, wanted)
        for room in fresh:
            if self._listens(room):
                self._bus.subscribe(self._room_channel(room), self._heard)
        return added

    def remove(self, socket: Receiver, room: str) -> bool:
        """See `Adapter`."""
        removed = super().remove(socket, room)
        if removed:
            self._left((room,))
        return removed

    def remove_all(self, socket: Receiver) -> None:
        """See `Adapter`."""
        rooms = self.rooms.rooms_of(socket)
        super().remove_all(socket)
        self._left(rooms)

    def _left(self, rooms: Iterable[str]) -> None:
        for room in rooms:
            if room not in self.rooms and self._listens(room):
                self._bus.unsubscribe(self._room_channel(room))

    def _listens(self, room: str) -> bool:
        # One that is called like this node has its channel already.
        return room != self.node and self._has_channel(room)

    def _has_channel(self, room: str) -> bool:
        if self._mode is Mode.DYNAMIC:
            return len(room) != SID_LENGTH
        return self._mode is Mode.DYNAMIC_PRIVATE

    def _room_channel(self, room: str) -> str:
        return f"{self._channel}{well_formed(room)}#"

    # What goes out

    def tell(self, message: Request) -> None:
        """See `ClusterAdapter`."""
        channel = self._channel
        if isinstance(message, Broadcast) and message.request_id is None:
            rooms = message.target.rooms
            if len(rooms) == 1 and self._has_channel(rooms[0]):
                channel = self._room_channel(rooms[0])
            self._publish_broadcast(
                message.flags.mark, channel, messages.encode(message, self.node, self._namespace.name)
            )
        else:
            self._publish(channel, message)

    def read_broadcast(self, message: bytes) -> Broadcast | None:
        """See `ClusterAdapter`."""
        _, said = messages.decode(message, self._namespace.name, self._reader)
        return said if isinstance(said, Broadcast) else None

    def answer(self, asker: str | None, response: Response) -> None:
        """See `ClusterAdapter`."""
        self._publish(f"{self._channel}{asker}#", response)

    def _publish(self, channel: str, message: Message) -> None:
        self._bus.publish(channel, messages.encode(message, self.node, self._namespace.name))

    async def server_count(self) -> int:
        """How many nodes listen on the namespace's channel, this one among them."""
        return await self._bus.subscribers(self._channel)

    async def all_rooms(self) -> set[str]:
        """The rooms of this node: the protocol has no question for those of others."""
        return await Adapter.all_rooms(self)

    def close(self) -> None:
        """See `Adapter`."""
        super().close()
        for channel in (self._channel, f"{self._channel}{self.node}#"):
            self._bus.unsubscribe(channel)
        for room in self.rooms.names():
            if self._listens(room):
                self._bus.unsubscribe(self._room_channel(room))

    # What comes in

    def _heard(self, _: str, message: bytes) -> None:
        if not message.endswith(self._own):  # it has come back
            self.heard(partial(self._said, message))

    def _said(self, message: bytes) -> Message:
        return messages.decode(message, self._namespace.name, self._reader)[1]
