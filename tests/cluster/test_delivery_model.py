"""Any order of events, cuts, losses and moves of the consumer: each client that stays hears each event once."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.deliveries import KeptLimits
from rtwist.cluster.hearing import MORE_SECONDS
from rtwist.cluster.sharded.adapter import ShardedAdapter
from tests.cluster.eventnodes import Client, Node, event, pass_time
from tests.cluster.stores import Stores

NODES = 3
ROOMS = ("a", "b")
nodes = st.integers(0, NODES - 1)
rooms = st.lists(st.sampled_from(ROOMS), min_size=1, unique=True)


class Told:
    """A client, what it has heard, and the first event that was not handled anywhere when it came."""

    def __init__(self, client: Client, rooms: list[str], first: int) -> None:
        self.client = client
        self.rooms = rooms
        self.first = first
        self.heard: list[int] = []


class Delivery(RuleBasedStateMachine):
    @initialize(make=st.sampled_from([ClassicAdapter, ShardedAdapter]))
    def start(self, make: Any) -> None:
        self.stores = Stores(None)
        kept = KeptLimits(seconds=1e6)
        log = self.stores.log(kept, idle=10)
        self.nodes = [Node(self.stores, make, log, number, kept=kept) for number in range(NODES)]
        self.rooms: list[list[str]] = []
        self.queue: list[int] = []
        self.unsure: set[int] = set()
        self.handled = 0
        self.in_order = True
        self.clients: list[Told] = []
        pass_time(self.stores, self.nodes, 5)
        for number in range(NODES):
            self.connect(number, list(ROOMS))

    @rule(number=nodes, rooms=rooms)
    def connect(self, number: int, rooms: list[str]) -> None:
        # Which of those that came before are heard is open: they may come again.
        self.stores.clock.advance(0.01)
        self.clients.append(Told(Client(self.nodes[number], *rooms), rooms, self.handled))

    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        if len(self.clients) > 1:
            self.listen()
            told = data.draw(st.sampled_from(self.clients))
            told.client.guest.leave()
            self.clients.remove(told)

    @rule(rooms=rooms)
    def publish(self, rooms: list[str]) -> None:
        self.queue.append(len(self.rooms))
        self.rooms.append(rooms)

    @precondition(lambda self: self.queue)
    @rule(number=nodes, most=st.integers(1, 3), answer_is_lost=st.booleans())
    def consume(self, number: int, most: int, answer_is_lost: bool) -> None:
        node, taken = self.nodes[number], self.queue[:most]
        if not node.outage.consumes:
            return
        if not node.reach.cut:
            self.handled = max(self.handled, taken[-1] + 1)
            # Its own clients have it at once, before what it will find that it missed.
            self.in_order = self.in_order and not node.bus.deaf
        node.reach.lost = answer_is_lost
        certain = node.take(*(event(each, *self.rooms[each]) for each in taken))
        node.reach.lost = False
        if certain:
            self.queue = self.queue[most:]
            self.unsure.difference_update(taken)
        elif answer_is_lost:
            self.unsure.update(taken)

    @precondition(lambda self: self.queue)
    @rule(number=nodes)
    def consume_and_fail(self, number: int) -> None:
        """The node is cut off between having read and having settled."""
        node = self.nodes[number]
        if node.outage.consumes and not node.reach.cut and node.bus.connected:
            node.cut()
            self.handled = max(self.handled, self.queue[0] + 1)
            self.in_order = self.in_order and not node.bus.deaf
            node.handle(event(self.queue[0], *self.rooms[self.queue[0]]))

    @rule(number=nodes, deaf=st.booleans())
    def cut(self, number: int, deaf: bool) -> None:
        if deaf:
            self.nodes[number].deafen()
        else:
            self.nodes[number].cut()

    @rule(number=nodes)
    def notice(self, number: int) -> None:
        node = self.nodes[number]
        if node.bus.deaf or node.reach.cut:
            node.lost()

    @rule(number=nodes, slowly=st.booleans())
    def reconnect(self, number: int, slowly: bool) -> None:
        node = self.nodes[number]
        if node.bus.deaf or node.reach.cut:
            node.lost()
            node.reconnect()
        if not slowly and not node.outage.consumes:
            node.found()

    # What became certain unknown to its node, and is lost before it is taken again, nobody puts again.
    @precondition(lambda self: not self.unsure)
    @rule()
    def lose(self) -> None:
        self.listen()
        self.in_order = False
        for node in self.nodes:
            if not (node.bus.deaf or node.reach.cut):
                node.leave()
        self.stores.lose()

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        if self.stores.clock.seconds() < 1_000_000 + 200:  # marks are remembered for longer
            pass_time(self.stores, self.nodes, seconds)

    @invariant()
    def nothing_twice(self) -> None:
        if hasattr(self, "clients"):
            self.listen()

    def listen(self) -> None:
        for told in self.clients:
            told.heard += told.client.heard()
            meant = {number: sum(room in told.rooms for room in rooms) for number, rooms in enumerate(self.rooms)}
            for number in set(told.heard):
                assert told.heard.count(number) <= meant[number], f"{number} came twice"
            if self.in_order:
                assert told.heard == sorted(told.heard)

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        for node in self.nodes:
            node.leave()
            node.come_back()
        while self.queue:
            self.consume(0, 3, False)
        pass_time(self.stores, self.nodes, MORE_SECONDS + 5)
        self.listen()
        for told in self.clients:
            for number in range(told.first, len(self.rooms)):
                meant = sum(room in told.rooms for room in self.rooms[number])
                assert told.heard.count(number) == meant, f"{number} is missing"


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
