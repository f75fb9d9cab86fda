"""A namespace: its sockets, its rooms, and who may enter."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime

from rtwist.errors import LocalProtocolError
from rtwist.socketio.acks import Patience
from rtwist.socketio.adapter import Adapter, Selection
from rtwist.socketio.behind import BehindRules
from rtwist.socketio.broadcast import BroadcastOperator, RoomNames, names
from rtwist.socketio.events import Handlers, Subscribable
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import RESERVED_SERVER_EVENTS, Packet, PacketType, event_data
from rtwist.socketio.socket import Handshake, Socket
from rtwist.tasks import Tasks

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from rtwist.socketio.client import Client

_SOCKET_ID_BYTES = 15
Middleware = Callable[[Socket], Any]
AdapterFactory = Callable[["Namespace"], Adapter]
"""Makes the adapter of a namespace."""


class Namespace(Subscribable):
    """The sockets that connected under one name. The event `connection` comes with each new `Socket`.

    `behind` says what becomes of events for clients that are behind, `patience` how long an acknowledgement may
    take.
    """

    def __init__(
        self,
        name: str,
        clock: IReactorTime,
        behind: BehindRules,
        patience: Patience,
        *,
        tasks: Tasks,
        adapter: AdapterFactory | None = None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.behind = behind
        self.patience = patience
        self.tasks = tasks
        self.middleware: list[Middleware] = []
        self._sockets: dict[str, Socket] = {}
        self._handlers = Handlers()
        self._ack_ids = count()
        # Last, for one that reaches other nodes may hear from them at once.
        self.adapter = Adapter() if adapter is None else adapter(self)

    @property
    def sockets(self) -> Mapping[str, Socket]:
        """The connected sockets by id."""
        return self._sockets

    def use(self, middleware: Middleware) -> Middleware:
        """Call `middleware(socket)`, plain or `async def`, before each connection; usable as a decorator.

        Raise `ConnectionRefused` to refuse the client, `ConnectLater` to make it retry.
        """
        self.middleware.append(middleware)
        return middleware

    def operator(self) -> BroadcastOperator:
        """All sockets, to be narrowed."""
        return BroadcastOperator(self)

    def to(self, room: RoomNames) -> BroadcastOperator:
        """The sockets in `room`, a name or several."""
        return BroadcastOperator(self, Selection(names(room)))

    def emit_to(self, rooms: tuple[str, ...], event: str, data: Any, mark: Mark | None = None) -> int:
        """The same as `to(rooms).emit(event, data)`, for those who have no use for an operator.

        The emission goes by the name `mark` among nodes.
        """
        packet = Packet(PacketType.EVENT, self.name, event_data(event, (data,)))
        if_behind = self.behind.of(self.name, event, (data,))
        return self.adapter.broadcast(packet, Selection(rooms), if_behind, mark)

    def in_(self, room: RoomNames) -> BroadcastOperator:
        """The same as `to`."""
        return self.to(room)

    def except_(self, room: RoomNames) -> BroadcastOperator:
        """All sockets but those in `room`, a name or several."""
        return self.operator().except_(room)

    @property
    def local(self) -> BroadcastOperator:
        """All sockets of this node."""
        return self.operator().local

    @property
    def volatile(self) -> BroadcastOperator:
        """All sockets that can take an event at once."""
        return self.operator().volatile

    def latest(self, key: Hashable = None) -> BroadcastOperator:
        """All sockets; of what waits for one, only the last of the event with this `key` is kept."""
        return self.operator().latest(key)

    def timeout(self, seconds: float) -> BroadcastOperator:
        """All sockets, with a limit on how long acknowledgements may take."""
        return self.operator().timeout(seconds)

    def emit(self, event: str, *args: Any) -> int:
        """Send `event` to all sockets; returns how many there are on this node."""
        return self.operator().emit(event, *args)

    def emit_with_ack(self, event: str, *args: Any) -> Deferred[list[Any]]:
        """Send `event` to all sockets; fires with the first argument of each acknowledgement."""
        return self.operator().emit_with_ack(event, *args)

    async def fetch_sockets(self) -> list[Socket]:
        """All sockets."""
        return await self.operator().fetch_sockets()

    def sockets_join(self, room: RoomNames) -> None:
        """Put all sockets into `room`."""
        self.operator().sockets_join(room)

    def sockets_leave(self, room: RoomNames) -> None:
        """Take all sockets out of `room`."""
        self.operator().sockets_leave(room)

    def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect all sockets; `close` also ends their connections."""
        self.operator().disconnect_sockets(close)

    def server_side_emit(self, event: str, *args: Any) -> None:
        """Have the handlers of `event` called on the other nodes of the cluster.

        Raises `LocalProtocolError` for a reserved name, `connection` among them.
        """
        self.adapter.server_side_emit(_server_side(event), args)

    async def server_side_emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """The same; what each of them answers, by calling the last argument of its handler.

        Raises `AckTimeout` with the answers so far when one does not in time.
        """
        return await self.adapter.server_side_emit_with_ack(_server_side(event), args)

    def server_side_event(self, event: str, args: Sequence[Any]) -> None:
        """Another node has emitted `event` to the servers; with an acknowledgement that is the last argument."""
        pending = self._handlers.announce(event, args)
        if pending:
            self.tasks.start(f"handling {event}", self._handlers.finish(event, pending))

    def next_ack_id(self) -> int:
        """A fresh id for a packet that wants an acknowledgement."""
        return next(self._ack_ids)

    # What clients and sockets call

    def new_socket(self, client: Client, handshake: Handshake) -> Socket:
        """A socket that is not yet accepted: in no room, and nothing is delivered to it."""
        return Socket(secrets.token_urlsafe(_SOCKET_ID_BYTES), self, client, handshake)

    def accept(self, socket: Socket) -> None:
        """The socket passed the middleware."""
        self._sockets[socket.id] = socket
        socket.accept(self._handlers)

    def forget(self, socket: Socket) -> None:
        """The socket has disconnected."""
        self._sockets.pop(socket.id, None)
        self.adapter.remove_all(socket)


def _server_side(event: str) -> str:
    if event in RESERVED_SERVER_EVENTS:
        raise LocalProtocolError(f'"{event}" is a reserved event name')
    return event
