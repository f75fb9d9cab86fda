"""Nodes of a cluster in one process that take events, emit them, and can be cut off from the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rtwist.cluster.adapter import ClusterAdapter
from rtwist.cluster.deliveries import Deliveries, KeptLimits
from rtwist.cluster.eventlog import EventLog, NodeLog
from rtwist.cluster.hearing import BEAT_SECONDS, Hearing
from rtwist.cluster.outage import Outage, Turn, WhileAway
from rtwist.cluster.peers import AllNodes, Published
from rtwist.cluster.seen import SharedWindow
from rtwist.domain.emission import Answer, Emission
from rtwist.domain.event import DomainEvent
from rtwist.errors import RtwistError, StoreFailed
from rtwist.intake.intake import Intake
from rtwist.tasks import Tasks
from tests.cluster.stores import Stores, result
from tests.socketio.fakes import Guest, House

Make = Callable[..., ClusterAdapter]


class ToRooms:
    """Each event says to which rooms it goes, one emission for each of its `rooms`."""

    def route(self, event: DomainEvent, learnt: MutableMapping[str, Any] | None) -> Sequence[Answer]:
        data = event.data
        return [Emission("news", {"n": data["n"]}, (room,)) for room in data["rooms"]]

    def learn(self, learnt: Any) -> None:
        """There is nothing to learn."""


def event(number: int, *rooms: str, event_id: str | None = "") -> dict[str, Any]:
    """The event `number` for `rooms`; without an id when that is None."""
    said = {"type": "order.created", "data": {"n": number, "rooms": rooms or ("all",)}}
    return said if event_id is None else {**said, "id": event_id or f"e{number}"}


class Client:
    """A connection in `rooms`, and what it heard."""

    def __init__(self, node: Node, *rooms: str) -> None:
        self.node = node
        self.guest: Guest
        self.guest, self.socket = node.house.visitor()
        self.socket.handshake = replace(self.socket.handshake, time=node.now())
        self.socket.join(rooms or ("all",))
        self.guest.hear()
        node.stores.clock.advance(0.01)

    def heard(self) -> list[int]:
        """The numbers of the events that came since the last time."""
        packets = [packet for packet in self.guest.hear() if packet.startswith("2[")]
        return [json.loads(packet[1:])[1]["n"] for packet in packets]


class Reach:
    """The log as one node reaches it: not at all while it is `cut` off; a `lost` put is not answered any more."""

    def __init__(self, log: EventLog) -> None:
        self.cut = False
        self.lost = False
        self.late_channel = log.late_channel
        self._log = log

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._log, name)

        async def through(*args: Any) -> Any:
            if self.cut:
                raise StoreFailed("cut off")
            answer = await method(*args)
            if self.lost and name == "put_events":
                raise StoreFailed("no answer")
            return answer

        return through


class Node:
    """One node; `make` makes its adapter, `kept` bounds what it keeps, `log` is that of all.

    Unless it is `found` it does not know yet who may hear what.
    """

    def __init__(
        self,
        stores: Stores,
        make: Make,
        log: EventLog,
        number: int,
        *,
        kept: KeptLimits | None = None,
        choice: WhileAway = WhileAway.HOLD,
        found: bool = True,
    ) -> None:
        self.stores = stores
        self.bus = stores.new_bus()
        self.logs: list[Any] = []
        adapter = partial(make, bus=self.bus, node=f"node{number}")
        self.house = House(self.logs, clock=stores.clock, adapter=adapter, ping_interval=1e8)
        self.tasks = Tasks()
        self.deliveries = Deliveries(stores.clock.seconds, kept=kept)
        self.adapter: Any = self.house.io.root.adapter
        self.adapter.deliveries = self.deliveries
        self.reach = Reach(log)
        records = NodeLog(self.reach, self.deliveries)
        self.window = SharedWindow(records, self.tasks, self.now, deliveries=self.deliveries)
        self.hearing = Hearing(
            self.reach, self.bus, self.adapter, self.deliveries,
            ids=self.window.follower, tasks=self.tasks, clock=stores.clock, now=self.now,
        )  # fmt: skip
        self.outage = Outage(choice)
        peers = AllNodes(self.outage, self.window, [], Published(self.bus))
        self.intake = Intake(self.house.io, ToRooms(), now=self.now, window=self.window, peers=peers)
        if found:
            self.found()

    def now(self) -> float:
        """Seconds since 1970."""
        return 1.7e9 + self.stores.clock.seconds()

    # Trouble

    def cut(self) -> None:
        """Nothing gets out or in; the node has not noticed yet."""
        self.bus.connected = False
        self.reach.cut = True

    def lost(self) -> None:
        """The node notices."""
        self.outage.turn(Turn.LOST)
        self.hearing.lost()

    def deafen(self) -> None:
        """Nothing gets in; the node has not noticed yet."""
        self.bus.deaf = True

    def reconnect(self) -> None:
        """All gets out and in again; the node has not noticed yet."""
        self.bus.connected = True
        self.bus.deaf = False
        self.reach.cut = False

    def found(self) -> None:
        """The node notices that."""
        self.outage.turn(Turn.FOUND)
        self.outage.turn(Turn.CAUGHT_UP)
        self.tasks.start("catching up", self.hearing.found())
        self.stores.deliver()

    def leave(self) -> None:
        """The node is cut off and notices at once."""
        self.cut()
        self.lost()

    def come_back(self) -> None:
        """The node is back and notices at once."""
        self.reconnect()
        self.found()

    def beat(self) -> None:
        """The next look is due."""
        self.hearing.beat()
        self.stores.deliver()

    # Events

    def handle(self, *events: Any) -> list[str]:
        """Take events and settle; what becomes of that, nothing as long as it is not certain."""
        self.intake.accept(events)
        settled = self.intake.settle()
        said: list[str] = []
        if settled is None:
            return ["at once"]
        settled.addCallbacks(lambda _: said.append("certain"), lambda failure: said.append(failure.type.__name__))
        return said

    def take(self, *events: Any) -> bool:
        """Take events as a consumer does; whether they may be acknowledged."""
        try:
            result(self.intake.catch_up())
        except RtwistError:
            return False
        said = self.handle(*events)
        self.stores.deliver()
        return said in (["certain"], ["at once"])


def pass_time(stores: Stores, nodes: Sequence[Node], seconds: float) -> None:
    """Time passes, and all nodes look regularly."""
    for step in _steps(seconds):
        stores.clock.advance(step)
        for node in nodes:
            node.beat()


def _steps(seconds: float) -> Iterator[float]:
    while seconds > 0:
        yield min(seconds, BEAT_SECONDS)
        seconds -= BEAT_SECONDS
