"""Events that more than one node gets: handled once, and acknowledged only when all can know."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.cluster.follower import Follower
from rtwist.cluster.outage import Outage, Turn, WhileAway
from rtwist.cluster.peers import AllNodes
from rtwist.cluster.records import Records
from rtwist.cluster.seen import IDLE_SECONDS, SharedWindow
from rtwist.cluster.truths import SharedOwners
from rtwist.domain.owners import OrderBook, Owners
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.errors import StoreFailed
from rtwist.intake.intake import Intake
from rtwist.tasks import Tasks
from tests.cluster.stores import Stores, result
from tests.cluster.test_records import SlowRecords
from tests.socketio.fakes import House

EVENT = {"id": "e1", "type": "order.created", "data": {"orderId": "o1", "userId": "u1", "companyId": "c1"}}


class Node:
    def __init__(self, ids: Records, owners: Records, choice: WhileAway = WhileAway.HOLD) -> None:
        self.house = House([], ping_interval=1e8)
        self.owners = SharedOwners(owners, Tasks(), OrderBook(), now=time.time)
        window = SharedWindow(ids, Tasks(), time.time)
        self.outage = Outage(choice)
        for turn in (Turn.FOUND, Turn.CAUGHT_UP):
            self.outage.turn(turn)
        self.intake = Intake(
            self.house.io,
            Router(BUILT_IN, self.owners),
            now=time.time,
            window=window,
            peers=AllNodes(self.outage, window, [self.owners.follower]),
        )

    def take(self, *events: Any) -> tuple[int, list[str]]:
        """How many were new, and what became of the wait for the others."""
        result(self.intake.catch_up())
        outcome = self.intake.accept(events)
        settled = self.intake.settle()
        said = ["at once"] if settled is None else []
        if settled is not None:
            settled.addCallbacks(
                lambda _: said.append("certain"), lambda failure: said.append(failure.type.__name__)
            )
        return outcome.accepted, said


@pytest.fixture
def nodes(stores: Stores) -> list[Node]:
    shared = stores.records(idle=IDLE_SECONDS, name="ids"), stores.records(name="owners")
    return [Node(*shared), Node(*shared), Node(*shared, WhileAway.LOCAL)]


def test_the_next_consumer_leaves_out_what_the_last_one_handled(nodes: list[Node]) -> None:
    assert nodes[0].take(EVENT) == (1, ["certain"])
    assert nodes[1].take(EVENT) == (0, ["certain"])
    assert nodes[2].take(EVENT, {**EVENT, "id": "e2"}) == (1, ["certain"])
    assert nodes[1].owners.recall("o1") == Owners("u1", "c1")


def test_what_was_not_certain_is_handled_again_by_whoever_gets_it(stores: Stores, nodes: list[Node]) -> None:
    one, other, _ = nodes
    result(one.intake.catch_up())
    stores.away = True
    one.intake.accept([EVENT])
    settled = one.intake.settle()
    assert settled is not None
    failures: list[Any] = []
    settled.addErrback(failures.append)
    assert failures[0].check(StoreFailed)
    with pytest.raises(StoreFailed):
        one.take(EVENT)
    stores.away = False
    assert other.take(EVENT) == (1, ["certain"])
    assert one.take(EVENT) == (0, ["certain"])


def test_who_chose_to_serve_this_node_only_waits_for_nobody(stores: Stores, nodes: list[Node]) -> None:
    local = nodes[2]
    stores.away = True
    local.outage.turn(Turn.LOST)
    assert local.take(EVENT) == (1, ["at once"])
    assert local.take(EVENT) == (0, ["at once"])


def test_emissions_are_waited_for(stores: Stores) -> None:
    window = SharedWindow(stores.records(), Tasks(), time.time)
    outage = Outage(WhileAway.HOLD)
    published: Deferred[None] = Deferred()
    settled = AllNodes(outage, window, [], lambda: published).settled()
    assert settled is not None
    assert not settled.called
    published.callback(None)
    assert settled.called


def test_effects_are_put_behind_the_emissions(stores: Stores) -> None:
    slow = SlowRecords(stores.records())
    window = SharedWindow(slow, Tasks(), time.time)
    put: list[str] = []
    effects = Follower(Told(put), Tasks(), lambda *_: None, waits=True)  # type: ignore[arg-type]
    window.add("e1", time.time())
    window.commit(time.time())
    effects.put("disconnect", b"u1")
    settled = AllNodes(Outage(WhileAway.HOLD), window, [], behind=[effects]).settled()
    assert settled is not None
    assert put == [], "the emissions go out with the id"
    slow.waiting.pop().callback(None)
    assert put == ["disconnect"]
    assert settled.called


class Told:
    """Records that take everything."""

    def __init__(self, put: list[str]) -> None:
        self._put = put

    async def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        self._put.extend(key for key, _ in records)
