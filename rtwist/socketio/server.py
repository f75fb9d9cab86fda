"""The Socket.IO server: namespaces over an Engine.IO server."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from rtwist.engineio import Server as EngineServer
from rtwist.engineio import Session, Site
from rtwist.engineio.incoming import Incoming
from rtwist.socketio.acks import Patience
from rtwist.socketio.behind import BehindRules
from rtwist.socketio.broadcast import BroadcastOperator, RoomNames
from rtwist.socketio.client import Client
from rtwist.socketio.events import H
from rtwist.socketio.files import client_files
from rtwist.socketio.namespace import AdapterFactory, Middleware, Namespace
from rtwist.socketio.options import Options
from rtwist.socketio.packet import ROOT
from rtwist.tasks import Tasks

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from rtwist.socketio.socket import Socket


SHUTTING_DOWN = "server shutting down"
SENT_AWAY = "sent away"
"""The reason of disconnections when the server closes."""


class Server:
    """A Socket.IO v5 server. What it offers directly (`on`, `use`, `to`, `emit` …) is the namespace `/`.

    `adapter` makes the adapter of each namespace; without it there is this node alone.
    """

    def __init__(
        self, clock: IReactorTime, options: Options | None = None, *, adapter: AdapterFactory | None = None
    ) -> None:
        self.clock = clock
        self.options = Options() if options is None else options
        self.tasks = Tasks()
        self.engine = EngineServer(clock, self.options, self._connected)
        self._behind = BehindRules(self.options.slow_consumers)
        self._ack_patience = Patience(clock, self.options.ack_timeout, self.note_limit)
        self._adapter = adapter
        self._namespaces: dict[str, Namespace] = {}
        self._clients: set[Client] = set()
        self.root = self.of(ROOT)

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The namespaces by name."""
        return self._namespaces

    @property
    def clients(self) -> frozenset[Client]:
        """The living connections."""
        return frozenset(self._clients)

    @property
    def incoming(self) -> Incoming:
        """Counts what is kept of what clients have sent."""
        return self.engine.admission.incoming

    def of(self, name: str) -> Namespace:
        """The namespace `name`, made on first use; clients are refused in names that were never asked for."""
        name = name if name.startswith("/") else f"/{name}"
        namespace = self._namespaces.get(name)
        if namespace is None:
            namespace = Namespace(
                name, self.clock, self._behind, self._ack_patience, tasks=self.tasks, adapter=self._adapter
            )
            self._namespaces[name] = namespace
        return namespace

    def site(
        self,
        fallback: IResource | None = None,
        *,
        too_large: Callable[[int], tuple[str, bytes]] = lambda most: ("text/plain", b""),
    ) -> Site:
        """A twisted.web site for an endpoint to listen with: this server at its path, `fallback` elsewhere.

        `too_large` is given the bytes a body may have, and returns content type and body of the answer to more.
        """
        dist = self.options.client_dist
        files: Mapping[str, IResource] = {} if dist is None else client_files(dist)
        return Site(self.engine, fallback, files=files, too_large=too_large)

    def flush(self) -> None:
        """Hand what was emitted in this turn of the reactor to the operating system, as far as sockets take it.

        A crash of the process cannot take it back then.
        """
        self.engine.outflow.flush()

    def reconfigure(self, options: Options) -> None:
        """Go by `options` from now on, as `rtwist.engineio.Server.reconfigure` tells; `client_dist` stays."""
        self.options = options
        self._behind.use(options.slow_consumers)
        self._ack_patience.seconds = options.ack_timeout
        self.engine.reconfigure(options)

    def admit_no_more(self) -> None:
        """Let nobody connect any more; who is in stays, and the port is the caller's to close."""
        self.engine.admit_no_more()

    def send_away(self, client: Client, reason: str = SHUTTING_DOWN) -> None:
        """End one connection as `close` ends all, but only once what waits for the client has gone out.

        The `remark` of its sockets is then `SENT_AWAY`.
        """
        for socket in client.sockets:
            socket.remark = SENT_AWAY
            socket.closed(reason)
        client.close()

    def close(self) -> None:
        """End every connection and every handler; clients see their transport close and reconnect elsewhere.

        Nobody can connect any more; the port is the caller's to close.
        """
        for client in self.clients:
            for socket in client.sockets:
                socket.closed(SHUTTING_DOWN)
        self.engine.close()
        for namespace in self._namespaces.values():
            namespace.adapter.close()
        self.tasks.stop()

    # The namespace "/"

    def on(self, event: str, handler: H | None = None) -> H | Callable[[H], H]:
        """`Namespace.on` of `/`: `connection` comes with each new socket."""
        return self.root.on(event) if handler is None else self.root.on(event, handler)

    def once(self, event: str, handler: H) -> None:
        """`Namespace.once` of `/`."""
        self.root.once(event, handler)

    def off(self, event: str, handler: H | None = None) -> None:
        """`Namespace.off` of `/`."""
        self.root.off(event, handler)

    def use(self, middleware: Middleware) -> Middleware:
        """`Namespace.use` of `/`."""
        return self.root.use(middleware)

    def to(self, room: RoomNames) -> BroadcastOperator:
        """The sockets of `/` in `room`, a name or several."""
        return self.root.to(room)

    def in_(self, room: RoomNames) -> BroadcastOperator:
        """The same as `to`."""
        return self.root.to(room)

    def except_(self, room: RoomNames) -> BroadcastOperator:
        """The sockets of `/` that are not in `room`."""
        return self.root.except_(room)

    @property
    def local(self) -> BroadcastOperator:
        """The sockets of `/` on this node."""
        return self.root.local

    @property
    def volatile(self) -> BroadcastOperator:
        """The sockets of `/` that can take an event at once."""
        return self.root.volatile

    def latest(self, key: Hashable = None) -> BroadcastOperator:
        """The sockets of `/`; of what waits for one, only the last of the event with this `key` is kept."""
        return self.root.latest(key)

    def timeout(self, seconds: float) -> BroadcastOperator:
        """The sockets of `/`, with a limit on how long acknowledgements may take."""
        return self.root.timeout(seconds)

    def emit(self, event: str, *args: Any) -> int:
        """Send `event` to every socket of `/`; returns how many there are on this node."""
        return self.root.emit(event, *args)

    def emit_with_ack(self, event: str, *args: Any) -> Deferred[list[Any]]:
        """Send `event` to every socket of `/`; fires with the first argument of each acknowledgement."""
        return self.root.emit_with_ack(event, *args)

    def server_side_emit(self, event: str, *args: Any) -> None:
        """`Namespace.server_side_emit` of `/`."""
        self.root.server_side_emit(event, *args)

    async def server_side_emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """`Namespace.server_side_emit_with_ack` of `/`."""
        return await self.root.server_side_emit_with_ack(event, *args)

    async def fetch_sockets(self) -> list[Socket]:
        """All sockets of `/`."""
        return await self.root.fetch_sockets()

    def sockets_join(self, room: RoomNames) -> None:
        """Put every socket of `/` into `room`."""
        self.root.sockets_join(room)

    def sockets_leave(self, room: RoomNames) -> None:
        """Take every socket of `/` out of `room`."""
        self.root.sockets_leave(room)

    def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect every socket of `/`; `close` also ends their connections."""
        self.root.disconnect_sockets(close)

    # Within

    def forget_client(self, client: Client) -> None:
        """Called by a client whose connection has ended."""
        self._clients.discard(client)

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        """Called when `who` has passed a limit; what is `common` is not logged."""
        self.engine.admission.note(limit, who, common=common)

    def _connected(self, session: Session) -> Client:
        client = Client(session, self)
        self._clients.add(client)
        return client
