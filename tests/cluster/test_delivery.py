"""Events over nodes: every client that stays connected gets each emission, and none twice, also after trouble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from twisted.internet.defer import fail
from twisted.logger import capturedLogs

from rtwist.cluster import deliveries as limits
from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.deliveries import Entry, KeptLimits
from rtwist.cluster.hearing import MORE_SECONDS
from rtwist.cluster.outage import WhileAway
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.errors import BusError
from tests.cluster.eventnodes import Client, Make, Node, event, pass_time
from tests.cluster.stores import Stores, result

Start = Callable[..., list[Node]]


@pytest.fixture(params=[ClassicAdapter, ShardedAdapter])
def start(request: pytest.FixtureRequest, stores: Stores) -> Start:
    """Starts three nodes, with one log, on one clock."""
    make: Make = request.param

    def started(kept: KeptLimits | None = None, number: int = 3, **options: Any) -> list[Node]:
        log = stores.log(kept, idle=10)
        nodes = [Node(stores, make, log, index, kept=kept, **options) for index in range(number)]
        pass_time(stores, nodes, 5)
        return nodes

    return started


def all_heard(clients: list[Client]) -> list[list[int]]:
    return [client.heard() for client in clients]


class TestWithoutTrouble:
    def test_each_client_hears_each_event_once_and_in_order(self, start: Start) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        for number in range(3):
            assert nodes[number].take(event(2 * number), event(2 * number + 1))
        assert all_heard(clients) == [[0, 1, 2, 3, 4, 5]] * 3
        pass_time(nodes[0].stores, nodes, 60)
        assert all_heard(clients) == [[]] * 3
        assert [node.hearing.late for node in nodes] == [0, 0, 0]

    @pytest.mark.parametrize("kept", [KeptLimits(bytes=1), KeptLimits(seconds=0.001, bytes=1)])
    def test_what_is_too_large_to_be_kept_is_published_all_the_same(self, start: Start, kept: KeptLimits) -> None:
        nodes = start(kept)
        client = Client(nodes[1], "a", "b")
        assert nodes[0].take(event(1, "a", "b"), event(2, "b"))
        assert nodes[0].take(event(3, "a"))
        assert client.heard() == [1, 1, 2, 3]
        assert nodes[0].deliveries.kept_bytes < 1000, "what is published goes with the next"

    def test_a_second_emission_of_an_event_is_another(self, start: Start) -> None:
        nodes = start()
        both, one = Client(nodes[1], "a", "b"), Client(nodes[1], "b")
        assert nodes[0].take(event(1, "a", "b"))
        assert (both.heard(), one.heard()) == ([1, 1], [1])

    def test_events_without_ids_are_different_ones(self, start: Start) -> None:
        nodes = start()
        client = Client(nodes[1])
        for _ in range(2):
            assert nodes[0].take(event(1, event_id=None))
        assert client.heard() == [1, 1]

    def test_a_node_that_starts_delivers_nothing_old(self, start: Start, stores: Stores) -> None:
        one = start(number=1)[0]
        client = Client(one)
        assert one.take(event(1))
        late = Node(stores, type(one.adapter), one.reach._log, 9)
        newcomer = Client(late)
        pass_time(stores, [one, late], 20)
        late.leave()
        late.come_back()
        pass_time(stores, [one, late], 20)
        assert (client.heard(), newcomer.heard()) == ([1], [])

    @pytest.mark.parametrize(("count", "gaps"), [(2, 0), (limits.MAX_HELD + 2, 1)])
    def test_a_node_that_starts_delivers_nothing_before_it_knows_who_may_hear_it(
        self, start: Start, stores: Stores, count: int, gaps: int
    ) -> None:
        one = start(number=1)[0]
        late = Node(stores, type(one.adapter), one.reach._log, 9, found=False)
        newcomer = Client(late)
        for first in range(0, count, 500):
            assert one.take(*[event(number) for number in range(first, min(first + 500, count))])
        assert newcomer.heard() == []
        late.found()
        assert newcomer.heard() == [count - 2, count - 1]
        assert late.hearing.gaps == gaps


class TestANodeThatWasCutOff:
    @pytest.mark.parametrize("noticed", [True, False])
    def test_its_clients_hear_what_was_published_meanwhile(
        self, start: Start, stores: Stores, noticed: bool
    ) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        assert nodes[0].take(event(0))
        nodes[2].cut()
        if noticed:
            nodes[2].lost()
        for number in range(1, 4):
            assert nodes[0].take(event(number))
            pass_time(stores, nodes, 6)
        nodes[2].lost()
        nodes[2].come_back()
        assert nodes[0].take(event(4))
        assert all_heard(clients) == [[0, 1, 2, 3, 4]] * 3
        assert nodes[2].hearing.late == 3

    def test_one_that_was_deaf_for_a_moment_too(self, start: Start, stores: Stores) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        nodes[1].deafen()
        assert nodes[0].take(event(1))
        pass_time(stores, nodes, 6)
        nodes[1].lost()
        nodes[1].come_back()
        assert all_heard(clients) == [[1]] * 3

    def test_what_its_clients_had_already_is_left_out(self, start: Start, stores: Stores) -> None:
        nodes = start()
        client = Client(nodes[1])
        assert nodes[0].take(event(1), event(2))  # behind the last look, so that it is read again
        nodes[1].leave()
        nodes[1].come_back()
        assert client.heard() == [1, 2]

    def test_clients_that_came_later_hear_nothing_of_it(self, start: Start, stores: Stores) -> None:
        nodes = start()
        here, there = Client(nodes[1]), Client(nodes[0])
        nodes[1].leave()
        assert nodes[0].take(event(1))
        stores.clock.advance(1)
        there.guest.leave()
        moved = Client(nodes[1])
        stores.clock.advance(1)
        assert nodes[0].take(event(2))
        nodes[1].come_back()
        assert (here.heard(), moved.heard()) == ([1, 2], [2])

    def test_rooms_count_as_they_are(self, start: Start) -> None:
        nodes = start()
        client = Client(nodes[1], "a", "b")
        nodes[1].leave()
        assert nodes[0].take(event(1, "a"), event(2, "b"))
        client.socket.leave("a")
        nodes[1].come_back()
        assert client.heard() == [2]

    def test_who_joins_a_room_later_does_not_hear_what_was_there_to_be_heard(
        self, start: Start, stores: Stores
    ) -> None:
        nodes = start()
        client = Client(nodes[1], "a")
        nodes[1].leave()
        nodes[1].come_back()
        assert nodes[0].take(event(1, "b"))
        client.socket.join("b")
        pass_time(stores, nodes, 5)
        assert nodes[0].take(event(2, "b"))
        assert client.heard() == [2]

    def test_what_comes_while_it_reads_waits_for_its_turn(self, start: Start) -> None:
        nodes = start()
        client = Client(nodes[1])
        nodes[1].leave()
        assert nodes[0].take(event(1))
        nodes[1].reconnect()  # it hears already, and has not read yet
        assert nodes[0].take(event(2))
        assert client.heard() == []
        nodes[1].found()
        assert client.heard() == [1, 2]

    def test_what_is_too_much_to_wait_is_read(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_HELD", 2)
        nodes = start()
        client = Client(nodes[1])
        nodes[1].leave()
        assert nodes[0].take(event(1))
        nodes[1].reconnect()
        for number in range(2, 8):
            assert nodes[0].take(event(number))
        nodes[1].found()
        assert client.heard() == list(range(1, 8))

    def test_what_is_kept_no_more_is_told_once(self, start: Start, stores: Stores) -> None:
        nodes = start(KeptLimits(seconds=20))
        client = Client(nodes[1])
        nodes[1].leave()
        for number in range(6):
            assert nodes[0].take(event(number))
            stores.clock.advance(8)
        with capturedLogs() as logs:
            nodes[1].come_back()
            pass_time(stores, nodes, 30)
        assert client.heard() == [3, 4, 5]
        told = [entry for entry in logs if "kept no more" in entry["log_format"]]
        assert [(round(entry["seconds"]), entry["count"]) for entry in told] == [(48, 3)]
        assert nodes[1].hearing.gaps == 1

    def test_nothing_that_is_kept_is_told_missing(self, start: Start, stores: Stores) -> None:
        nodes = start(KeptLimits(seconds=20))
        for number in range(6):
            assert nodes[0].take(event(number))
            pass_time(stores, nodes, 8)
        nodes[1].leave()
        nodes[1].come_back()
        assert nodes[1].hearing.gaps == 0

    def test_time_in_which_nobody_took_events_does_not_count(self, start: Start, stores: Stores) -> None:
        nodes = start(KeptLimits(seconds=20))
        client = Client(nodes[1])
        nodes[1].deafen()
        assert nodes[0].take(event(1))
        for node in nodes:
            node.leave()
        stores.clock.advance(3600)
        nodes[0].come_back()
        assert nodes[0].take(event(2))
        nodes[1].come_back()
        assert client.heard() == [1, 2]


class TestRedelivery:
    @pytest.mark.parametrize("again", [0, 1])
    def test_an_event_that_did_not_become_certain_is_new_where_it_was_not_heard(
        self, start: Start, stores: Stores, again: int
    ) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        nodes[0].cut()
        assert nodes[0].handle(event(1)) == ["StoreFailed"]
        assert all_heard(clients) == [[1], [], []]
        assert not nodes[0].deliveries.entry('"e1"').publish, "whoever gets it next does"
        nodes[0].lost()
        if again == 0:
            nodes[0].come_back()
        assert nodes[again].take(event(1))
        if again:
            nodes[0].come_back()
        assert all_heard(clients) == [[], [1], [1]]
        assert nodes[0].take(event(1))
        pass_time(stores, nodes, 30)
        assert all_heard(clients) == [[]] * 3

    @pytest.mark.parametrize("again", [0, 1])
    def test_one_that_became_certain_unknown_to_its_node(self, start: Start, stores: Stores, again: int) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        nodes[0].reach.lost = True
        assert nodes[0].handle(event(1)) == ["StoreFailed"]
        nodes[0].reach.lost = False
        nodes[0].leave()
        nodes[0].come_back()
        assert nodes[again].take(event(1))
        pass_time(stores, nodes, 30)
        assert all_heard(clients) == [[1]] * 3

    def test_an_emission_that_the_bus_did_not_take_goes_out_with_the_id(
        self, start: Start, stores: Stores
    ) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        nodes[0].bus.connected = False  # as when too much waits; the log is there
        said = nodes[0].handle(event(1))
        stores.deliver()
        assert said == ["certain"]
        assert all_heard(clients) == [[1]] * 3

    def test_what_the_bus_drops_of_others_has_no_event_put_again(
        self, start: Start, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nodes = start()
        client = Client(nodes[1])
        for number in range(5):
            assert nodes[0].take(event(number))
        puts: list[int] = []
        put = nodes[0].reach._log.put_events

        async def counted(entries: Sequence[Entry]) -> None:
            puts.append(len(entries))
            await put(entries)

        monkeypatch.setattr(nodes[0].reach, "put_events", counted, raising=False)
        monkeypatch.setattr(nodes[0].bus, "settled", lambda since: fail(BusError("too much waits")))
        assert nodes[0].take(event(5))
        assert (puts, client.heard()) == ([1], [0, 1, 2, 3, 4, 5])

    def test_an_emission_that_redis_refused_is_published_again(
        self, start: Start, stores: Stores, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        monkeypatch.setattr(nodes[0].bus, "publish", lambda channel, message: True)
        monkeypatch.setattr(nodes[0].bus, "settled", lambda since: fail(BusError("refused")))
        said = nodes[0].handle(event(1))
        stores.deliver()
        assert said == ["certain"]
        assert all_heard(clients) == [[1]] * 3


class TestAStoreThatLost:
    def test_who_published_puts_it_again_for_those_that_missed_it(self, start: Start, stores: Stores) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        assert nodes[0].take(event(0))
        pass_time(stores, nodes, 5)
        nodes[1].deafen()
        assert nodes[0].take(event(1))
        for node in nodes:
            node.leave()
        stores.lose()
        stores.clock.advance(10)
        nodes[1].come_back()
        nodes[2].come_back()
        assert nodes[2].take(event(2))
        nodes[0].come_back()
        pass_time(stores, nodes, MORE_SECONDS)
        assert [sorted(heard) for heard in all_heard(clients)] == [[0, 1, 2]] * 3

    def test_one_that_was_emptied_while_its_nodes_were_connected(self, start: Start, stores: Stores) -> None:
        nodes = start()
        client = Client(nodes[1])
        nodes[1].leave()
        assert nodes[0].take(event(1))
        stores.lose()
        nodes[1].come_back()
        assert client.heard() == []
        pass_time(stores, nodes, 10)
        assert client.heard() == [1]

    def test_what_was_heard_long_ago_is_not_heard_again(self, start: Start, stores: Stores) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        assert nodes[0].take(event(0))
        pass_time(stores, nodes, 5)
        for node in nodes:
            node.leave()
        nodes[1].deliveries._forget_mark('"e0"')  # as if it were too long ago
        stores.lose()
        for node in nodes:
            node.come_back()
        pass_time(stores, nodes, MORE_SECONDS)
        assert all_heard(clients) == [[0]] * 3

    def test_one_that_fell_back_without_a_new_name(self, start: Start, stores: Stores) -> None:
        nodes = start()
        clients = [Client(node) for node in nodes]
        for number in range(3):
            assert nodes[0].take(event(number))
        pass_time(stores, nodes, 5)
        for node in nodes:
            node.leave()
        fall_back(stores)
        for node in nodes:
            node.come_back()
        fresh = Node(stores, type(nodes[0].adapter), nodes[0].reach._log, 9)
        result(fresh.intake.catch_up())
        assert fresh.intake.accept([event(2)]).duplicates == 1
        nodes[1].leave()
        assert nodes[2].take(event(9))
        nodes[1].come_back()
        assert not nodes[0].handle(event(2)) or all_heard(clients) == [[0, 1, 2, 9]] * 3
        pass_time(stores, nodes, MORE_SECONDS)
        assert nodes[0].take(event(9))
        assert all_heard(clients) == [[]] * 3


def fall_back(stores: Stores) -> None:
    """The store loses what was put last: all, but for its name."""
    if stores.redis is None:
        (log,) = stores._memory
        epoch = log._epoch
        log.lose()
        log._epoch = epoch
    else:
        stores.redis.call("DEL", *(f"{{log}}:{name}" for name in ("state", "bodies", "serials", "values")))


class TestServingThisNodeOnly:
    def test_others_hear_late_what_was_taken_meanwhile(self, start: Start, stores: Stores) -> None:
        nodes = start(choice=WhileAway.LOCAL)
        clients = [Client(node) for node in nodes]
        nodes[0].leave()
        assert nodes[0].take(event(1))
        stores.clock.advance(20)
        clients[0].guest.leave()
        moved = Client(nodes[1])
        stores.clock.advance(1)
        assert clients[1].heard() == []
        nodes[0].come_back()
        pass_time(stores, nodes, 5)
        assert [client.heard() for client in (*clients[1:], moved)] == [[1], [1], []]
        pass_time(stores, nodes, 60)
        assert [client.heard() for client in (*clients[1:], moved)] == [[], [], []]
