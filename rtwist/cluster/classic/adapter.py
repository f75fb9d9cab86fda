"""In one cluster with Node servers that use `createAdapter` of @socket.io/redis-adapter 8."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from rtwist.cluster.adapter import KEY, REQUESTS_TIMEOUT, ClusterAdapter, target_from
from rtwist.cluster.bus import Bus
from rtwist.cluster.classic import messages
from rtwist.cluster.messages import (
    Broadcast,
    Disconnect,
    DisconnectOne,
    Done,
    Join,
    JoinOne,
    Leave,
    LeaveOne,
    Request,
    Response,
)
from rtwist.socketio.adapter import Selection

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace

NODE_BYTES: Final = 6
_NODE = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


class ClassicAdapter(ClusterAdapter):
    """Broadcasts go by a channel of the namespace or of one room, requests and responses by their own.

    `key` begins the names of the channels. With `own_response_channels` a response goes to the channel of the
    node that asked, else to one that all nodes hear; every node listens on both. What changes rooms or
    disconnects is done when it arrives, by the sender too.
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
    ) -> None:
        super().__init__(namespace, bus, node=node, requests_timeout=requests_timeout)
        name = namespace.name
        self._own_response_channels = own_response_channels
        self._channel = f"{key}#{name}#"
        self._requests = f"{key}-request#{name}#"
        self._responses = f"{key}-response#{name}#"
        self._handlers[JoinOne] = self._on_one
        self._handlers[LeaveOne] = self._on_one
        self._handlers[DisconnectOne] = self._on_one
        bus.subscribe_pattern(f"{self._channel}*", self._heard_broadcast)
        bus.subscribe(self._requests, self._heard_request)
        for channel in (self._responses, f"{self._responses}{node}#"):
            bus.subscribe(channel, self._heard_response)

    def tell(self, message: Request) -> None:
        """See `ClusterAdapter`."""
        name = self._namespace.name
        if isinstance(message, Broadcast) and message.request_id is None:
            rooms = message.target.rooms
            channel = f"{self._channel}{rooms[0]}#" if len(rooms) == 1 else self._channel
            self._publish_broadcast(message, channel, messages.encode_broadcast(message, name))
        else:
            self._bus.publish(self._requests, messages.encode_request(message, name))

    def read_broadcast(self, message: bytes) -> Broadcast:
        """See `ClusterAdapter`."""
        return messages.decode_broadcast(message, self._namespace.name)

    def answer(self, asker: str | None, response: Response) -> None:
        """See `ClusterAdapter`."""
        own = self._own_response_channels and asker is not None and _NODE.fullmatch(asker)
        channel = f"{self._responses}{asker}#" if own else self._responses
        self._bus.publish(channel, messages.encode_response(response))

    async def server_count(self) -> int:
        """How many nodes listen for requests, this one among them."""
        return await self._bus.subscribers(self._requests)

    def join(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        """Put the selected sockets into `rooms`; those of this node too when the message has come back."""
        if selection.local:
            super().join(selection, rooms)
        else:
            self.tell(Join(target_from(selection), rooms, self.node))

    def leave(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        """Take the selected sockets out of `rooms`; those of this node too when the message has come back."""
        if selection.local:
            super().leave(selection, rooms)
        else:
            self.tell(Leave(target_from(selection), rooms, self.node))

    def disconnect(self, selection: Selection, close: bool) -> None:
        """Disconnect the selected sockets; those of this node too when the message has come back."""
        if selection.local:
            super().disconnect(selection, close)
        else:
            self.tell(Disconnect(target_from(selection), close, self.node))

    def close(self) -> None:
        """See `Adapter`."""
        super().close()
        for channel in (
            f"{self._channel}*", self._requests, self._responses, f"{self._responses}{self.node}#"
        ):  # fmt: skip
            self._bus.unsubscribe(channel)

    def _heard_broadcast(self, channel: str, message: bytes) -> None:
        room = channel.removeprefix(self._channel).removesuffix("#")
        if not room or room in self.rooms:
            self.heard(partial(self._broadcast_of_others, message))

    def _heard_request(self, _: str, message: bytes) -> None:
        self.heard(partial(self._request_to_do, message))

    def _heard_response(self, _: str, message: bytes) -> None:
        self.heard(partial(messages.decode_response, message))

    def _broadcast_of_others(self, message: bytes) -> Request | None:
        said = messages.decode_broadcast(message, self._namespace.name)
        return None if self.is_own(said) else said

    def _request_to_do(self, message: bytes) -> Request | None:
        said = messages.decode_request(message, self._namespace.name)
        changes = isinstance(said, Join | Leave | Disconnect)
        return said if changes or not self.is_own(said) else None

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
