"""In one cluster with Node servers that use `createAdapter` of @socket.io/redis-adapter 8."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from rtwist.cluster.adapter import KEY, REQUESTS_TIMEOUT, ClusterAdapter
from rtwist.cluster.bus import Bus
from rtwist.cluster.classic import messages, plain
from rtwist.cluster.classic.plain import Plain
from rtwist.cluster.messages import (
    Broadcast,
    DisconnectOne,
    Done,
    JoinOne,
    LeaveOne,
    Request,
    Response,
)
from rtwist.cluster.wire import Limits, well_formed
from rtwist.engineio.outbox import DROP, IfBehind
from rtwist.socketio.adapter import Selection
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import Packet, encode_plain_event

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace

NODE_BYTES: Final = 6
_NODE = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_GLOB = re.compile(r"[*?[\\]")


class ClassicAdapter(ClusterAdapter):
    """Broadcasts go by a channel of the namespace or of one room, requests and responses by their own.

    `key` begins the names of the channels. With `own_response_channels` a response goes to the channel of the
    node that asked, else to one that all nodes hear; every node listens on both. The other arguments are those
    of `ClusterAdapter`.
    """

    def __init__(
        self,
        namespace: Namespace,
        bus: Bus,
        *,
        node: str,
        requests_timeout: float = REQUESTS_TIMEOUT,
        key: str = KEY,
        own_response_channels: bool = False,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(namespace, bus, node=node, requests_timeout=requests_timeout, limits=limits)
        name = namespace.name
        self._limits = limits or Limits()
        self._writer = plain.Writer(node, name)
        self._own_broadcasts = messages.begins_broadcast(node)
        self._own_requests = messages.begins_request(node)
        self._own_response_channels = own_response_channels
        self._channel = f"{key}#{name}#"
        self._requests = f"{key}-request#{name}#"
        self._responses = f"{key}-response#{name}#"
        self._handlers[JoinOne] = self._on_one
        self._handlers[LeaveOne] = self._on_one
        self._handlers[DisconnectOne] = self._on_one
        self._pattern = f"{_GLOB.sub(_literally, self._channel)}*"
        bus.subscribe_pattern(self._pattern, self._heard_broadcast)
        bus.subscribe(self._requests, self._heard_request)
        for channel in (self._responses, f"{self._responses}{node}#"):
            bus.subscribe(channel, self._heard_response)

    def broadcast(
        self, packet: Packet, selection: Selection, if_behind: IfBehind = None, mark: Mark | None = None
    ) -> int:
        """See `ClusterAdapter`."""
        rooms = selection.rooms
        if len(rooms) != 1 or selection.excluded or selection.local or if_behind is DROP:
            return super().broadcast(packet, selection, if_behind, mark)
        count, mark = self._send_here(packet, selection, if_behind, mark)
        room = well_formed(rooms[0])
        self._publish_broadcast(mark, f"{self._channel}{room}#", self._writer.to_room(packet.data, room, mark))
        return count

    def tell(self, message: Request) -> None:
        """See `ClusterAdapter`."""
        name = self._namespace.name
        if isinstance(message, Broadcast) and message.request_id is None:
            rooms = message.target.rooms
            channel = f"{self._channel}{well_formed(rooms[0])}#" if len(rooms) == 1 else self._channel
            self._publish_broadcast(message.flags.mark, channel, messages.encode_broadcast(message, name))
        else:
            self._bus.publish(self._requests, messages.encode_request(message, name))

    def read_broadcast(self, message: bytes) -> Broadcast:
        """See `ClusterAdapter`."""
        return messages.decode_broadcast(message, self._namespace.name, self._reader)

    def answer(self, asker: str | None, response: Response) -> None:
        """See `ClusterAdapter`."""
        own = self._own_response_channels and asker is not None and _NODE.fullmatch(asker)
        channel = f"{self._responses}{asker}#" if own else self._responses
        self._bus.publish(channel, messages.encode_response(response))

    async def server_count(self) -> int:
        """How many nodes listen for requests, this one among them."""
        return await self._bus.subscribers(self._requests)

    def close(self) -> None:
        """See `Adapter`."""
        super().close()
        for channel in (
            self._pattern, self._requests, self._responses, f"{self._responses}{self.node}#"
        ):  # fmt: skip
            self._bus.unsubscribe(channel)

    def _heard_broadcast(self, channel: str, message: bytes) -> None:
        # Most is for rooms of others, or has come back: that costs no decoding.
        room = channel[len(self._channel) : -1]
        if (not room or room in self.rooms) and not message.startswith(self._own_broadcasts):
            said = plain.read(message, self._namespace.name, self._limits)
            if said is None or not self._deliver_plain(said):
                self.heard(partial(messages.decode_broadcast, message, self._namespace.name, self._reader))

    def _deliver_plain(self, said: Plain) -> bool:
        if said.uid == self.node:
            return True
        if said.mark is None or self.deliveries is None:
            return self._deliver_at_once(said)
        if not self.deliveries.is_new(said.mark):
            return True
        if self.deliveries.holding or not self._deliver_at_once(said):
            return False
        self.deliveries.add(said.mark)
        return True

    def _deliver_at_once(self, said: Plain) -> bool:
        receivers = self.select(Selection(said.rooms, said.excluded))
        if not receivers:
            return True
        namespace, data = self._namespace, said.data
        try:
            encoded = encode_plain_event(namespace.name, data)
        except TypeError:
            return False
        if_behind = namespace.behind.of(namespace.name, data[0], data[1:])
        for socket in receivers:
            socket.deliver(encoded, if_behind)
        return True

    def _heard_request(self, _: str, message: bytes) -> None:
        if not message.startswith(self._own_requests):
            self.heard(partial(messages.decode_request, message, self._namespace.name, self._reader))

    def _heard_response(self, _: str, message: bytes) -> None:
        self.heard(partial(messages.decode_response, message, self._reader))

    def _on_one(self, said: JoinOne | LeaveOne | DisconnectOne) -> None:
        socket = self._namespace.sockets.get(said.sid)
        if socket is None:
            return
        if isinstance(said, JoinOne):
            socket.join(said.room)
        elif isinstance(said, LeaveOne):
            socket.leave(said.room)
        else:
            socket.disconnect(said.close)
        self.answer(said.uid, Done(said.request_id))


def _literally(found: re.Match[str]) -> str:
    return f"[{found[0] * 2 if found[0] == chr(92) else found[0]}]"
