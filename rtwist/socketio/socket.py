"""One client in one namespace."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from rtwist.engineio.outbox import DROP, IfBehind
from rtwist.engineio.packet import Packet as EnginePacket
from rtwist.errors import RtwistError
from rtwist.quoting import quoted
from rtwist.socketio.acks import AckCallback, PendingAcks, first_argument, wait_for_one
from rtwist.socketio.behind import latest
from rtwist.socketio.broadcast import BroadcastOperator, RoomNames, names
from rtwist.socketio.events import Handlers, Subscribable
from rtwist.socketio.packet import Packet, PacketType, encode, event_data

if TYPE_CHECKING:
    from rtwist.socketio.client import Client
    from rtwist.socketio.namespace import Namespace

EventMiddleware = Callable[[str, list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client said when it came: the CONNECT payload and the HTTP request that opened the connection.

    `auth` is `{}` when there was no payload; `headers` has lower-case names; `time` is Unix time in seconds.
    """

    auth: Mapping[str, Any]
    headers: Mapping[str, str]
    query: Mapping[str, str]
    address: str
    secure: bool
    time: float


class Socket(Subscribable):
    """One client in one namespace.

    `id` is public and, as a room name, addresses this socket alone. `data` is for the application. `remark` is
    what is known of the connection's end besides the reason, "" before.
    Events `disconnecting` and `disconnect` come with the reason, `error` with what event middleware raised.
    """

    _log = Logger()
    __slots__ = (
        "__weakref__",
        "_busy",
        "_client",
        "_draining",
        "_early_rooms",
        "_handlers",
        "_leaving",
        "_middleware",
        "_queue",
        "_queued",
        "_session",
        "acks",
        "connected",
        "data",
        "handshake",
        "id",
        "namespace",
        "remark",
    )

    def __init__(self, socket_id: str, namespace: Namespace, client: Client, handshake: Handshake) -> None:
        self.id = socket_id
        self.namespace = namespace
        self.handshake = handshake
        self.data: dict[str, Any] = {}
        self.acks = PendingAcks(client.options.max_pending_acks, client)
        self.connected = False
        self.remark = ""
        self._client = client
        self._session = client.session
        self._handlers = Handlers()
        self._middleware: list[EventMiddleware] = []
        # Made when an event has to wait, which is seldom: an empty one takes 760 bytes.
        self._queue: deque[tuple[str, list[Any], int]] | None = None
        self._queued = 0
        self._busy = False
        self._draining = False
        self._leaving = False
        self._early_rooms: list[str] = []

    def __repr__(self) -> str:
        return f"<Socket {self.id} in {self.namespace.name}>"

    # Rooms

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms this socket is in, its own id among them."""
        return self.namespace.adapter.rooms.rooms_of(self)

    def join(self, room: RoomNames) -> None:
        """Enter `room`, a name or several; before the CONNECT is accepted it takes effect with it."""
        if self.connected:
            self.namespace.adapter.add(self, names(room))
        else:
            self._early_rooms += names(room)

    def leave(self, room: str) -> None:
        """Leave `room`."""
        self.namespace.adapter.remove(self, room)

    # Sending

    def emit(self, event: str, *args: Any, ack: AckCallback | None = None) -> None:
        """Send `event` to this client; `ack` is called with the arguments of its acknowledgement, if it comes.

        Raises `LocalProtocolError` for a reserved name and `TypeError` for arguments without a JSON form.
        """
        if ack is not None:
            self._emit_and_wait(None, event, args).addCallbacks(
                lambda answer: self._acknowledged(event, ack, answer), lambda _: None
            )
            return
        name = self.namespace.name
        encoded = encode(Packet(PacketType.EVENT, name, event_data(event, args)))
        if self.connected:
            self._client.send(encoded, self.namespace.behind.of(name, event, args))

    def emit_with_ack(self, event: str, *args: Any) -> Deferred[Any]:
        """Send `event`; fires with the first argument of the acknowledgement.

        Fails with `AckLost` when the client leaves first, with `AckTimeout` after the server's `ack_timeout`.
        """
        return self._emit_and_wait(None, event, args).addCallback(first_argument)

    def timeout(self, seconds: float) -> TimedEmitter:
        """Emit with a limit on how long an acknowledgement may take."""
        return TimedEmitter(self, seconds)

    @property
    def volatile(self) -> LossyEmitter:
        """Emit only if it can leave at once."""
        return LossyEmitter(self, lambda _: DROP)

    def latest(self, key: Hashable = None) -> LossyEmitter:
        """Emit; of what waits for the client, only the last of the event with this `key` is kept."""
        return LossyEmitter(self, lambda event: latest(self.namespace.name, event, key))

    @property
    def broadcast(self) -> BroadcastOperator:
        """Everybody in the namespace but this socket."""
        return self.namespace.operator().except_(self.id)

    def to(self, room: RoomNames) -> BroadcastOperator:
        """Everybody in `room` but this socket."""
        return self.broadcast.to(room)

    def in_(self, room: RoomNames) -> BroadcastOperator:
        """The same as `to`."""
        return self.to(room)

    def except_(self, room: RoomNames) -> BroadcastOperator:
        """Everybody but this socket and those in `room`."""
        return self.broadcast.except_(room)

    def disconnect(self, close: bool = False) -> None:
        """Leave the namespace, which tells the client not to come back; `close` also ends its connection."""
        if not self.connected:
            return
        if close:
            self._client.disconnect()
            return
        if self._leaving:
            return
        self._client.send(encode(Packet(PacketType.DISCONNECT, self.namespace.name)))
        self.closed("server namespace disconnect")

    # Receiving

    def use(self, middleware: EventMiddleware) -> None:
        """Call `middleware(event, args)`, plain or `async def`, before each event; raising drops the event."""
        self._middleware.append(middleware)

    def on_any(self, handler: Callable[..., Any]) -> None:
        """Call `handler(event, *args)` for every event."""
        self._handlers.add_any(handler)

    # What the layers around call

    def accept(self, connection_handlers: Handlers) -> None:
        """The CONNECT is accepted: tell the client, then whoever waits for connections."""
        self.connected = True
        self.namespace.adapter.add(self, (self.id, *self._early_rooms))
        self._early_rooms = []
        reply = Packet(PacketType.CONNECT, self.namespace.name, {"sid": self.id})
        self._client.send(encode(reply))
        pending = connection_handlers.announce("connection", (self,))
        if pending:
            self._wait("connection", connection_handlers.finish, "connection", pending)

    def deliver(self, encoded: Sequence[EnginePacket], if_behind: IfBehind) -> None:
        """Send packets that are encoded already; `if_behind` says what becomes of them if they must wait."""
        if self.connected:
            self._session.send(encoded, if_behind)

    def received(self, packet: Packet, size: int) -> None:
        """The client sent an EVENT, ACK or DISCONNECT, which takes about `size` bytes of memory."""
        if packet.type is PacketType.EVENT:
            event, args = str(packet.data[0]), packet.data[1:]
            if packet.id is not None:
                args.append(self._acknowledger(packet.id))
            self._handle_in_order(event, args, size)
        elif packet.type is PacketType.ACK:
            self.acks.received(packet.id, packet.data)
        else:
            self.closed("client namespace disconnect")

    def closed(self, reason: str) -> None:
        """This socket has left its namespace; rooms can still be read while `disconnecting` is handled."""
        if not self.connected or self._leaving:
            return
        self._leaving = True
        self._call_last("disconnecting", reason)
        self.connected = False
        self.namespace.forget(self)
        self._client.forget(self)
        self._queue = None
        self._client.keep(-self._queued)
        self._queued = 0
        self.acks.lose()
        self._call_last("disconnect", reason)
        self._handlers.clear()
        self._middleware = []

    # Within

    def _handle_in_order(self, event: str, args: list[Any], size: int) -> None:
        options = self._client.options
        if not self._busy:
            self._handle(event, args)
        elif len(self._queue or ()) >= options.max_queued_events:
            self._client.over("max_queued_events", f"more than {options.max_queued_events} events wait")
        elif self._queued + size > options.max_queued_bytes:
            self._client.over("max_queued_bytes", f"events of more than {options.max_queued_bytes} bytes wait")
        else:
            if self._queue is None:
                self._queue = deque()
            self._queue.append((event, args, size))
            self._queued += size
            self._client.keep(size)

    def _handle(self, event: str, args: list[Any]) -> None:
        if self._middleware:
            self._wait(event, self._pass_middleware, event, args)
            return
        pending = self._handlers.call(event, args)
        if pending:
            self._wait(event, self._handlers.finish, event, pending)

    def _wait(self, event: str, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self._busy = True
        self._client.tasks.start(f"handling {event}", self._finish(work, *args))

    async def _finish(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        try:
            await work(*args)
        finally:
            self._busy = False
            self._drain()

    def _drain(self) -> None:
        # An event that is handled at once comes back here; one loop must do, or a long queue would nest too deep.
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue and not self._busy and self.connected:
                event, args, size = self._queue.popleft()
                self._queued -= size
                self._client.keep(-size)
                self._handle(event, args)
        finally:
            self._draining = False

    async def _pass_middleware(self, event: str, args: list[Any]) -> None:
        for middleware in self._middleware:
            try:
                result = middleware(event, args)
                if isinstance(result, (Deferred, Awaitable)):
                    await result
            except CancelledError:
                raise
            except Exception as error:
                self._refuse_event(event, error)
                return
        if self.connected:
            await self._handlers.finish(event, self._handlers.call(event, args))

    def _refuse_event(self, event: str, error: Exception) -> None:
        if self._handlers.has("error"):
            self._call_last("error", error)
        elif isinstance(error, RtwistError):
            self._log.info("{socket}: {event} refused: {error}", socket=self.id, event=quoted(event), error=error)
        else:
            self._log.failure("middleware before {event} failed", event=quoted(event))

    def _call_last(self, event: str, argument: object) -> None:
        # These are not the client's events: they do not wait for a handler that is still busy.
        pending = self._handlers.announce(event, (argument,))
        if pending:
            self._client.tasks.start(f"handling {event}", self._handlers.finish(event, pending))

    def _acknowledged(self, event: str, ack: AckCallback, args: Sequence[Any]) -> None:
        name = f"acknowledgement of {event}"
        pending = self._handlers.call_alone(ack, name, args)
        if pending:
            self._client.tasks.start(f"handling {name}", self._handlers.finish(name, pending))

    def _acknowledger(self, packet_id: int) -> Callable[..., None]:
        sent = False

        def acknowledge(*args: Any) -> None:
            nonlocal sent
            if sent or not self.connected:
                return
            encoded = encode(Packet(PacketType.ACK, self.namespace.name, list(args), packet_id))
            sent = True
            self._client.send(encoded)

        return acknowledge

    def _emit_and_wait(
        self, timeout: float | None, event: str, args: tuple[Any, ...]
    ) -> Deferred[tuple[Any, ...]]:
        packet_id = self.namespace.next_ack_id()
        encoded = encode(Packet(PacketType.EVENT, self.namespace.name, event_data(event, args), packet_id))
        result = wait_for_one(self.namespace.patience, self.acks, packet_id, timeout, self.id)
        if self.connected:
            self._client.send(encoded)
        else:
            self.acks.lose()
        return result


class TimedEmitter:
    """A socket's emit with a limit on how long an acknowledgement may take."""

    def __init__(self, socket: Socket, seconds: float) -> None:
        self._socket = socket
        self._seconds = seconds

    def emit(self, event: str, *args: Any, ack: AckCallback) -> None:
        """Send `event`; `ack` is called with None and the acknowledgement's arguments, or with the error."""
        socket = self._socket
        waiting = socket._emit_and_wait(self._seconds, event, args)
        waiting.addCallbacks(
            lambda answer: socket._acknowledged(event, ack, (None, *answer)),
            lambda failure: socket._acknowledged(event, ack, (failure.value,)),
        )

    def emit_with_ack(self, event: str, *args: Any) -> Deferred[Any]:
        """Fires with the first argument of the acknowledgement; fails with `AckTimeout` or `AckLost`."""
        return self._socket._emit_and_wait(self._seconds, event, args).addCallback(first_argument)


class LossyEmitter:
    """A socket's emit of what a client that is behind can do without."""

    def __init__(self, socket: Socket, if_behind: Callable[[str], IfBehind]) -> None:
        self._socket = socket
        self._if_behind = if_behind

    def emit(self, event: str, *args: Any) -> None:
        """Send `event`, unless the client is behind and the rule leaves it out."""
        socket = self._socket
        packet = Packet(PacketType.EVENT, socket.namespace.name, event_data(event, args))
        socket.deliver(encode(packet), self._if_behind(event))
