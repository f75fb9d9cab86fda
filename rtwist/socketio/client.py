"""One connection and the namespaces it is in."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtwist.engineio.incoming import Incoming
from rtwist.engineio.outbox import IfBehind
from rtwist.engineio.packet import Packet as EnginePacket
from rtwist.engineio.packet import wire_size
from rtwist.engineio.reasons import TRANSPORT_ERROR
from rtwist.engineio.session import Session
from rtwist.errors import LimitPassed, RemoteProtocolError
from rtwist.quoting import quoted
from rtwist.socketio import pace
from rtwist.socketio.errors import ConnectionRefused, ConnectLater
from rtwist.socketio.jsoncodec import footprint
from rtwist.socketio.options import Options
from rtwist.socketio.pace import Pace, Tempo, connect_refusal, event_refusal
from rtwist.socketio.packet import ABSENT, Decoder, Packet, PacketType, encode
from rtwist.socketio.socket import Handshake, Socket
from rtwist.tasks import Tasks

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace


class Directory(Protocol):
    """What a client must know of its server."""

    options: Options
    clock: IReactorTime
    tasks: Tasks

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The namespaces by name."""

    @property
    def incoming(self) -> Incoming:
        """Counts what is kept of what clients have sent."""

    def forget_client(self, client: Client) -> None:
        """The client has gone."""

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        """`who` has passed a limit, which is to be counted; what is `common` is not logged."""


class Client:
    """One Engine.IO session as Socket.IO sees it: takes packets apart and hands them to its sockets."""

    _log = Logger()
    __slots__ = (
        "_connecting",
        "_decoder",
        "_kept",
        "_memory",
        "_pace",
        "_server",
        "_size",
        "_sockets",
        "_timer",
        "_waiting",
        "options",
        "session",
        "tasks",
    )

    def __init__(self, session: Session, server: Directory) -> None:
        self.session = session
        self.options = server.options
        self.tasks = server.tasks
        self._server = server
        self._decoder = Decoder(
            max_attachments=server.options.max_attachments, max_depth=server.options.max_depth
        )
        self._sockets: dict[str, Socket] = {}
        self._connecting: tuple[str, ...] = ()
        self._timer: IDelayedCall | None = None
        self._waiting: IDelayedCall | None = None
        self._size = 0
        self._memory = 0
        self._kept = 0
        self._pace = Pace(server.options.max_events_per_second, server.clock)
        self._expect_connect("connect_timeout")

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """One socket for each namespace this client is in."""
        return tuple(self._sockets.values())

    # What the session calls

    def message(self, data: str | bytes) -> None:
        """A message of the wire has come; anything the protocol does not allow ends the connection."""
        try:
            packet = self._decoder.add(data)
            self._add_size(data)
            if packet is not None:
                memory, self._size, self._memory = self._memory, 0, 0
                self._stop_waiting()
                self._route(packet, memory)
                return
            if self._waiting is None:
                self._wait_for_attachments()
            self.keep(0)
        except LimitPassed as passed:
            self.over(passed.limit, str(passed))
        except RemoteProtocolError as error:
            self._log.info("{sid} broke the protocol: {error}", sid=self._public_name(), error=str(error))
            self.close()

    def closed(self, reason: str, description: str) -> None:
        """The session has ended."""
        self._stop_timer()
        self._stop_waiting()
        self._memory = 0
        for socket in self.sockets:
            socket.remark = description
            socket.closed(reason)
        self._server.incoming.forget(self)
        self._server.forget_client(self)

    # What sockets call

    def send(self, encoded: Sequence[EnginePacket], if_behind: IfBehind = None) -> None:
        """Send the packets of one Socket.IO packet; `if_behind` says what becomes of it if it must wait."""
        self.session.send(encoded, if_behind)

    def keep(self, change: int) -> None:
        """Events that wait to be handled take `change` bytes more than before, or less."""
        self._kept += change
        self._server.incoming.hold(self, self._kept + self._memory)

    def give_up(self) -> str:
        """End the connection: too much has come from all clients together, and much of it is this one's."""
        self.session.abort(TRANSPORT_ERROR, "too much of what clients sent waits")
        return self.session.handshake.address

    def forget(self, socket: Socket) -> None:
        """A socket has left its namespace."""
        self._sockets.pop(socket.namespace.name, None)
        if not self._sockets and self.session.is_open:
            self._expect_connect("connect_timeout")

    def disconnect(self) -> None:
        """Disconnect every socket of this connection, then close it."""
        for socket in self.sockets:
            socket.disconnect()
        self.close()

    def close(self) -> None:
        """Close the connection; what is still to be sent goes first."""
        self.session.close()

    def note_limit(self, limit: str, *, common: bool = False) -> None:
        """Count that this client has passed `limit`."""
        who = f"{self._public_name()} of {self.session.handshake.address}"
        self._server.note_limit(limit, who, common=common)

    def over(self, limit: str, message: str) -> None:
        """This client has passed `limit`: it hears so as the event `error`, and its connection is closed."""
        self.note_limit(limit)
        for socket in self.sockets:
            socket.emit("error", {"event": None, "code": "too_many", "message": message})
        self.close()

    # Within

    def _add_size(self, data: str | bytes) -> None:
        size = wire_size(data)
        self._size += size
        self._memory += size if isinstance(data, bytes) else max(size, footprint(data))
        if self._size > self.options.max_packet_bytes:
            raise LimitPassed("max_packet_bytes", f"a packet of more than {self.options.max_packet_bytes} bytes")

    def _wait_for_attachments(self) -> None:
        pending = self._decoder.pending
        if pending is None or pending.namespace not in self._sockets:
            # Nothing is kept for a client that is not in the namespace.
            raise RemoteProtocolError("attachments before CONNECT")
        timeout = self.options.attachment_timeout
        self._waiting = self._server.clock.callLater(timeout, self._attachments_timed_out)

    def _attachments_timed_out(self) -> None:
        self._waiting = None
        self.over("attachment_timeout", f"attachments that took more than {self.options.attachment_timeout:g} s")

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
            self.keep(0)

    def _route(self, packet: Packet, memory: int) -> None:
        socket = self._sockets.get(packet.namespace)
        tempo = self._pace.of(packet)
        if tempo is not Tempo.STEADY and self._slowed_down(tempo, packet, socket):
            return
        if packet.type is PacketType.CONNECT:
            if socket is not None or packet.namespace in self._connecting:
                raise RemoteProtocolError(f"second CONNECT to {quoted(packet.namespace)}")
            self._connect(packet)
        elif socket is None:
            raise RemoteProtocolError(f"{packet.type.name} before CONNECT to {quoted(packet.namespace)}")
        elif packet.type is PacketType.CONNECT_ERROR:
            raise RemoteProtocolError("CONNECT_ERROR from a client")
        else:
            socket.received(packet, memory)

    def _slowed_down(self, tempo: Tempo, packet: Packet, socket: Socket | None) -> bool:
        """Refuse a packet that came too fast, or end the connection; False when it is to be handled after all."""
        if tempo is Tempo.FAST and packet.type not in (PacketType.EVENT, PacketType.CONNECT):
            return False
        self.note_limit(pace.LIMIT)
        if packet.type is PacketType.EVENT and socket is not None:
            self.send(encode(event_refusal(packet)))
        elif packet.type is PacketType.CONNECT:
            self._refuse(packet.namespace, connect_refusal())
        if tempo is Tempo.WILD:
            self._log.info("{sid} is sent away: it goes on too fast", sid=self._public_name())
            self.disconnect()
        return True

    def _connect(self, packet: Packet) -> None:
        namespace = self._server.namespaces.get(packet.namespace)
        if namespace is None:
            self._refuse(packet.namespace, {"message": "Invalid namespace"})
            return
        auth = {} if packet.data is ABSENT else packet.data
        first = self.session.handshake
        handshake = Handshake(auth, first.headers, first.query, first.address, first.secure, first.time)
        socket = namespace.new_socket(self, handshake)
        if not namespace.middleware:
            self._accept(socket)
            return
        self._connecting += (namespace.name,)
        self.tasks.start(f"connecting to {namespace.name}", self._pass_middleware(socket))

    async def _pass_middleware(self, socket: Socket) -> None:
        namespace = socket.namespace
        try:
            for middleware in namespace.middleware:
                result = middleware(socket)
                if isinstance(result, (Deferred, Awaitable)):
                    await result
        except ConnectionRefused as refused:
            reason: dict[str, Any] = {"message": refused.message}
            if refused.data is not None:
                reason["data"] = refused.data
            self._refuse(namespace.name, reason)
        except ConnectLater as error:
            self._log.warn("cannot connect clients to {name} now: {error}", name=namespace.name, error=error)
            self.close()
        except CancelledError:
            self.close()
            raise
        except Exception:
            # Refusing would stop the client from retrying, and the fault is ours.
            self._log.failure("middleware of {name} failed", name=namespace.name)
            self.close()
        else:
            if self.session.is_open:
                self._accept(socket)
        finally:
            self._connecting = tuple(name for name in self._connecting if name != namespace.name)

    def _accept(self, socket: Socket) -> None:
        self._stop_timer()
        self._sockets[socket.namespace.name] = socket
        socket.namespace.accept(socket)

    def _refuse(self, name: str, reason: dict[str, Any]) -> None:
        try:
            encoded = encode(Packet(PacketType.CONNECT_ERROR, name, reason))
        except TypeError:
            self._log.failure("the data of a refusal in {name} has no JSON form", name=name)
            encoded = encode(Packet(PacketType.CONNECT_ERROR, name, {"message": reason["message"]}))
        self.send(encoded)
        if not self._sockets and self.session.is_open:
            self._expect_connect("refused_timeout")

    def _expect_connect(self, limit: str) -> None:
        clock = self._server.clock
        seconds: float = getattr(self.options, limit)
        if self._timer is not None:
            # Being refused again and again must not buy time.
            seconds = min(seconds, self._timer.getTime() - clock.seconds())
            self._timer.cancel()
        self._timer = clock.callLater(max(seconds, 0), self._connect_timed_out, limit)

    def _connect_timed_out(self, limit: str) -> None:
        self._timer = None
        # Whose token was refused often leaves without closing the connection.
        self.note_limit(limit, common=limit == "refused_timeout")
        self.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _public_name(self) -> str:
        # The session's sid is a secret; sockets' ids are not.
        return next((socket.id for socket in self._sockets.values()), self.session.handshake.address)
