"""An adapter that reaches the sockets of other nodes; which protocol it speaks is its subclasses' matter."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from rtwist.cluster.answers import Answers, FarAcks, NodesTimeout, Relay, forgetting
from rtwist.cluster.bus import Bus
from rtwist.cluster.deliveries import Deliveries
from rtwist.cluster.delivering import deliver, room_names_of, selection_of, target_from
from rtwist.cluster.messages import (
    Answer,
    AskRooms,
    AskSids,
    Broadcast,
    ClientAck,
    ClientCount,
    Disconnect,
    Fetch,
    Flags,
    Join,
    Leave,
    Message,
    Request,
    Response,
    RoomsAre,
    ServerSide,
    SocketsAre,
)
from rtwist.cluster.remote import RemoteSocket, describe
from rtwist.cluster.wire import MALFORMED, Limits, Reader, Unreadable
from rtwist.engineio.outbox import DROP, IfBehind
from rtwist.engineio.tally import Tally
from rtwist.errors import LimitPassed, RemoteProtocolError, RtwistError
from rtwist.socketio.acks import BroadcastAck
from rtwist.socketio.adapter import Adapter, Selection, send
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import Packet, PacketType, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtwist.socketio.namespace import Namespace

REQUESTS_TIMEOUT: Final = 5.0
"""Seconds; that of Node servers."""

KEY: Final = "socket.io"
"""What the names of channels begin with; that of Node servers."""

_REQUEST_ID_BYTES = 12
_NO_FLAGS: Final = Flags()
_VOLATILE: Final = Flags(volatile=True)


class ClusterAdapter(Adapter):
    """The rooms of `namespace` on this node, and a way over `bus` to those of other nodes.

    - `node`: this node's own name, which no other process has.
    - `requests_timeout`: seconds that the others have to answer, or what asks them fails with `NodesTimeout`. It
      fails with `RtwistError` at once when they cannot be asked, for the bus is cut off or takes no more.
    - `limits`: of what they say.

    Sockets of this node get, join, leave and are disconnected at once, with or without the bus. `counts` has how
    many messages of others could not be read, by the reason: `malformed`, `invalid`, `unknown`, `foreign` (see
    `rtwist.cluster.wire`), or the option that was passed.
    """

    _log = Logger()
    deliveries: Deliveries | None = None
    """What sockets of this node have had; without it, marks are passed over."""

    def __init__(
        self,
        namespace: Namespace,
        bus: Bus,
        *,
        node: str,
        requests_timeout: float = REQUESTS_TIMEOUT,
        limits: Limits | None = None,
    ) -> None:
        super().__init__()
        self.node = node
        self._reader = Reader(limits)
        self._tally = Tally()
        self._namespace = namespace
        self._bus = bus
        self._requests_timeout = requests_timeout
        self._answers = Answers(namespace.clock, requests_timeout)
        self._far_acks: dict[str, FarAcks] = {}
        self._relays: set[Relay] = set()
        self._handlers: dict[type, Callable[[Any], None]] = {
            Broadcast: self._on_broadcast,
            Join: lambda said: Adapter.join(self, selection_of(said.target), said.rooms),
            Leave: lambda said: Adapter.leave(self, selection_of(said.target), said.rooms),
            Disconnect: lambda said: Adapter.disconnect(self, selection_of(said.target), said.close),
            AskSids: self._on_ask_sids,
            AskRooms: self._on_ask_rooms,
            Fetch: self._on_fetch,
            ServerSide: self._on_server_side,
        }

    @property
    def counts(self) -> Counter[str]:
        """How many messages of other nodes could not be read, by the reason."""
        return self._tally.counts

    # What a protocol adds

    def tell(self, message: Request) -> None:
        """Publish a request to all nodes."""
        raise NotImplementedError

    def read_broadcast(self, message: bytes) -> Broadcast | None:
        """A broadcast as it was published; raises `RemoteProtocolError`."""
        raise NotImplementedError

    def answer(self, asker: str | None, response: Response) -> None:
        """Publish a response to the node `asker`."""
        raise NotImplementedError

    async def server_count(self) -> int:
        """How many nodes there are, with this one."""
        raise NotImplementedError

    # What the namespace asks for

    def reaches(self, rooms: Iterable[str]) -> bool:
        """Another node may have them, if it can be told."""
        return self._bus.connected or super().reaches(rooms)

    def broadcast(
        self, packet: Packet, selection: Selection, if_behind: IfBehind = None, mark: Mark | None = None
    ) -> int:
        """Also to the other nodes, which treat clients that are behind by their own rules."""
        count, mark = self._send_here(packet, selection, if_behind, mark)
        if not selection.local:
            if mark is None:
                flags = _VOLATILE if if_behind is DROP else _NO_FLAGS
            else:
                flags = Flags(volatile=if_behind is DROP, mark=mark)
            self.tell(Broadcast(self.node, packet.data, target_from(selection), flags))
        return count

    def broadcast_with_ack(self, packet: Packet, selection: Selection, ack: BroadcastAck) -> None:
        """Also to the other nodes, which pass on what their clients acknowledge."""
        super().broadcast_with_ack(packet, selection, ack)
        if selection.local:
            return
        request_id, since = self._new_request(), self._bus.position
        timeout = None if ack.timeout is None else int(ack.timeout * 1000)
        self.tell(Broadcast(self.node, packet.data, target_from(selection), Flags(timeout=timeout), request_id))
        far = FarAcks(ack, self._namespace.clock, self._requests_timeout)
        self._far_acks[request_id] = far
        self._bus.settled(since).addErrback(lambda _: far.lost())
        ack.done.addBoth(forgetting(self._forget_acks, request_id))
        self._namespace.tasks.start("counting the nodes", self._count_for(far))

    def join(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        """Also those of other nodes, when they hear of it."""
        super().join(selection, rooms)
        if not selection.local:
            self.tell(Join(target_from(selection), room_names_of(rooms), self.node))

    def leave(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        """Also those of other nodes, when they hear of it."""
        super().leave(selection, rooms)
        if not selection.local:
            self.tell(Leave(target_from(selection), room_names_of(rooms), self.node))

    def disconnect(self, selection: Selection, close: bool) -> None:
        """Also those of other nodes, when they hear of it."""
        super().disconnect(selection, close)
        if not selection.local:
            self.tell(Disconnect(target_from(selection), close, self.node))

    async def fetch(self, selection: Selection) -> list[Any]:
        """This node's sockets, then those of the others as `RemoteSocket`."""
        here = await super().fetch(selection)
        if selection.local:
            return here
        what = f"fetching sockets of {self._namespace.name}"
        ask = partial(Fetch, self.node, target=target_from(selection))
        for response in await self._ask(what, SocketsAre, lambda request_id: ask(request_id=request_id)):
            here += self._remote_sockets(response)
        return here

    async def all_rooms(self) -> set[str]:
        """The rooms of all nodes."""
        rooms = await super().all_rooms()
        what = f"asking for the rooms of {self._namespace.name}"
        for response in await self._ask(what, RoomsAre, partial(AskRooms, self.node)):
            rooms.update(response.rooms)
        return rooms

    def server_side_emit(self, event: str, args: tuple[Any, ...]) -> None:
        """Tell the other nodes of `event`."""
        self.tell(ServerSide(self.node, [event, *args]))

    async def server_side_emit_with_ack(self, event: str, args: tuple[Any, ...]) -> list[Any]:
        """What each of the others answers."""
        data = [event, *args]
        try:
            said = await self._ask(
                f"{event} to the servers", Answer, lambda request_id: ServerSide(self.node, data, request_id)
            )
        except NodesTimeout as error:
            error.responses = [response.value for response in error.responses]
            raise
        return [response.value for response in said]

    def close(self) -> None:
        """Wait for nobody any more."""
        self._answers.stop()
        for far in tuple(self._far_acks.values()):
            far.close()
        for relay in tuple(self._relays):
            relay.stop()

    # What other nodes ask for

    def heard(self, decode: Callable[[], Message]) -> None:
        """Act on what `decode` reads, if it can be read and is not this node's own."""
        try:
            message = decode()
        except RemoteProtocolError as error:
            self._unreadable(error)
            return
        handler = self._handlers.get(type(message))
        if handler is None:
            self._on_response(message)  # type: ignore[arg-type]
        elif message.uid != self.node:  # type: ignore[union-attr]
            handler(message)

    def _on_broadcast(self, said: Broadcast) -> None:
        if said.request_id is not None:
            self._relay(said, said.request_id)
        elif said.flags.mark is None or self.deliveries is None:
            deliver(self, self._namespace, said)
        elif not self.deliveries.hold(partial(self._deliver_once, said, said.flags.mark)):
            self._deliver_once(said, said.flags.mark)

    def deliver_late(self, message: bytes, before: float) -> bool:
        """Deliver what was published when this node could not hear; whether sockets here had not had it.

        `message` is as it was published, the time `before` (seconds since 1970): sockets that came later have no
        claim to it, or have it from the node where they were.
        """
        try:
            said = self.read_broadcast(message)
        except RemoteProtocolError as error:
            self._unreadable(error)
            return False
        if said is None or said.flags.mark is None:
            return False
        return self._deliver_once(said, said.flags.mark, before)

    def _deliver_once(self, said: Broadcast, mark: Mark, before: float = math.inf) -> bool:
        is_new = self.deliveries is not None and self.deliveries.is_new(mark)
        if is_new and self.deliveries is not None:
            deliver(self, self._namespace, said, before)
            self.deliveries.add(mark)
        return is_new

    def _relay(self, said: Broadcast, request_id: str) -> None:
        namespace = self._namespace
        sockets = list(self.select(selection_of(said.target)))
        packet_id = namespace.next_ack_id()
        encoded = encode(Packet(PacketType.EVENT, namespace.name, said.data, packet_id))
        self.answer(said.uid, ClientCount(request_id, len(sockets)))
        relay = Relay(
            packet_id, lambda value: self.answer(said.uid, ClientAck(request_id, value)), self._relays.discard
        )
        self._relays.add(relay)
        seconds = None if said.flags.timeout is None else said.flags.timeout / 1000
        relay.start([socket.acks for socket in sockets], namespace.patience, seconds)
        for socket in sockets:
            socket.deliver(encoded, None)

    def _on_ask_sids(self, said: AskSids) -> None:
        if said.request_id not in self._answers:
            sids = [socket.id for socket in self.select(Selection(said.rooms))]
            self.answer(said.uid, SocketsAre(said.request_id, sids))

    def _on_ask_rooms(self, said: AskRooms) -> None:
        self.answer(said.uid, RoomsAre(said.request_id, tuple(self.rooms.names())))

    def _on_fetch(self, said: Fetch) -> None:
        sockets = [describe(socket) for socket in self.select(selection_of(said.target))]
        self.answer(said.uid, SocketsAre(said.request_id, sockets))

    def _on_server_side(self, said: ServerSide) -> None:
        event, *args = said.data
        if said.request_id is not None:
            args.append(self._answerer(said.uid, said.request_id))
        self._namespace.server_side_event(event, args)

    def _on_response(self, response: Response) -> None:
        far = self._far_acks.get(response.request_id)
        if far is None:
            self._answers.add(response)
        elif isinstance(response, ClientCount):
            far.counted(response.clients)
        elif isinstance(response, ClientAck):
            far.acknowledged(response.value)

    # Within

    def _publish_broadcast(self, mark: Mark | None, channel: str, encoded: bytes) -> None:
        if mark is not None and self.deliveries is not None:
            # It goes out with its event's id, in one step: what is tried again is then published once.
            self.deliveries.sent(mark, channel, encoded, taken=False)
        else:
            self._bus.publish(channel, encoded)

    def _send_here(
        self, packet: Packet, selection: Selection, if_behind: IfBehind, mark: Mark | None
    ) -> tuple[int, Mark | None]:
        """Send it to sockets of this node that have not had it; how many, and the mark if that counts here."""
        receivers, deliveries = self.select(selection), self.deliveries
        # For nobody there is no need of a packet; whether the data has a form shows when the others are told.
        if mark is None or deliveries is None:
            return (send(packet, receivers, if_behind) if receivers or selection.local else 0), None
        is_new = deliveries.is_new(mark)
        count = send(packet, receivers, if_behind) if receivers and is_new else 0
        deliveries.add(mark)
        return count, mark

    async def _ask(self, what: str, kind: type[Response], request: Callable[[str], Request]) -> list[Any]:
        others = await self.server_count() - 1
        if others <= 0:
            return []
        request_id, since = self._new_request(), self._bus.position
        waiting = self._answers.ask(request_id, what, others, kind)
        try:
            self.tell(request(request_id))
        except TypeError:
            waiting.addErrback(lambda _: None)
            waiting.cancel()
            raise
        self._bus.settled(since).addErrback(partial(self._answers.fail, request_id))
        return await waiting

    async def _count_for(self, far: FarAcks) -> None:
        try:
            others = await self.server_count() - 1
        except RtwistError:
            far.lost()
        else:
            far.nodes(others)

    def _forget_acks(self, request_id: str) -> None:
        far = self._far_acks.pop(request_id, None)
        if far is not None:
            far.stop()

    def _answerer(self, asker: str | None, request_id: str) -> Callable[..., None]:
        answered = False

        def answer(value: Any = None, *_: Any) -> None:
            nonlocal answered
            if not answered:
                self.answer(asker, Answer(request_id, value))
                answered = True

        return answer

    def _remote_sockets(self, response: SocketsAre) -> list[RemoteSocket]:
        found = []
        for description in response.sockets:
            try:
                found.append(RemoteSocket(self._namespace, description, self._reader))
            except RemoteProtocolError as error:
                self._unreadable(error)
        return found

    def _unreadable(self, error: RemoteProtocolError) -> None:
        if self._tally.add(_cause(error), self._namespace.clock.seconds()):
            text = "a message of another node in {namespace} is passed over: {error}"
            self._log.warn(text, namespace=self._namespace.name, error=error)

    def _new_request(self) -> str:
        return secrets.token_urlsafe(_REQUEST_ID_BYTES)


def _cause(error: RemoteProtocolError) -> str:
    if isinstance(error, LimitPassed):
        return error.limit
    return error.cause if isinstance(error, Unreadable) else MALFORMED
