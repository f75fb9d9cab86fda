"""What adapters do while their bus is away, and when it or a node goes in the middle of something."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.cluster.answers import NodesTimeout
from rtwist.cluster.wire import json, pack
from rtwist.errors import BusFull, RtwistError
from rtwist.socketio import AckLost, AckTimeout
from tests.cluster.clusters import SECONDS, Cluster, Party
from tests.socketio.test_acks import outcome


def answer(party: Party, name: str) -> None:
    """Acknowledge what a guest has just been asked, with its name."""
    (packet,) = party.guests[name].hear()
    party.guests[name].say(f'3{packet.removeprefix("2").split("[")[0]}["{name}"]')


def lose_it_after_counting(cluster: Cluster, number: int) -> None:
    """A node loses the others between counting them and asking them."""
    bus = cluster.buses[number]
    count = bus.subscribers

    async def subscribers(channel: str) -> int:
        counted: int = await count(channel)
        cluster.carrier.leave(number)
        return counted

    object.__setattr__(bus, "subscribers", subscribers)


class TestOwnSockets:
    def test_what_is_done_to_them_is_done_at_once_and_once(self, cluster: Cluster, party: Party) -> None:
        io, own = cluster.houses[0].io, party.first[0]
        io.root.to("all").sockets_join("new")
        assert "new" in own.rooms
        own.leave("new")
        io.root.to("all").sockets_leave("even")
        assert "even" not in own.rooms
        own.join("even")
        cluster.settle()
        assert [{"new", "even"} & socket.rooms for socket in party.first] == [{"even"}, {"new"}, {"new"}]
        io.root.to("all").disconnect_sockets()
        assert not own.connected
        cluster.settle()
        assert [socket.connected for socket in party.first] == [False] * 3

    def test_they_are_served_without_the_bus(self, cluster: Cluster, party: Party) -> None:
        cluster.carrier.leave(0)
        io, own = cluster.houses[0].io, party.first[0]
        io.to("all").emit("event")
        assert party.heard('2["event"]') == {"0"}
        io.root.to("all").sockets_join("new")
        io.to("new").emit("event")
        assert party.heard('2["event"]') == {"0"}
        io.root.to("all").sockets_leave("new")
        assert "new" not in own.rooms
        io.server_side_emit("hello")
        io.root.to("all").disconnect_sockets(close=True)
        assert (own.connected, party.guests["0"].gone) == (False, True)
        cluster.settle()
        assert [{"new"} & socket.rooms for socket in party.first] == [set()] * 3
        assert [socket.connected for socket in party.first] == [False, True, True]

    def test_own_messages_are_known_in_every_form(self, cluster: Cluster, party: Party) -> None:
        name, target = cluster.names[0], {"rooms": [], "except": []}
        packet = {"type": 2, "data": ["event"], "nsp": "/"}
        join: Any = {"type": 2, "opts": target, "rooms": ["x"], "uid": name}
        said: Any = {"packet": packet, "opts": {**target, "flags": {"volatile": True}}}
        requests, broadcast = "socket.io-request#/#", pack([name, packet, said["opts"]])
        if cluster.sharded:
            join = {"uid": name, "nsp": "/", "type": 4, "data": {"opts": target, "rooms": ["x"]}}
            requests, broadcast = "socket.io#/#", json({"uid": name, "nsp": "/", "type": 3, "data": said})
        cluster.carrier.send(requests, json(join))
        cluster.carrier.send("socket.io#/#", broadcast.replace(pack(name), b"\xd9\x10" + name.encode()))
        cluster.settle()
        assert ["x" in socket.rooms for socket in party.first] == [False, True, True]
        assert party.heard('2["event"]') == {"1", "1b", "2", "2b"}

    def test_nobody_else_is_worth_an_event_then(self, cluster: Cluster, party: Party) -> None:
        adapter = cluster.adapter(0)
        assert adapter.reaches(["odd"])
        cluster.carrier.leave(0)
        assert not adapter.reaches(["odd"])
        assert adapter.reaches(["even"])


class TestAskingWithoutTheBus:
    @pytest.mark.parametrize("late", [False, True])
    def test_it_fails_at_once_and_says_why(self, cluster: Cluster, party: Party, late: bool) -> None:
        root = cluster.houses[0].io.root
        works: list[Any] = [root.fetch_sockets, lambda: root.server_side_emit_with_ack("hello")]
        works += [] if cluster.sharded else [root.adapter.all_rooms]
        if late:
            lose_it_after_counting(cluster, 0)
            works = works[-1:]
        else:
            works.append(root.adapter.server_count)
            cluster.carrier.leave(0)
        for work in works:
            error = cluster.result(work())
            assert isinstance(error, RtwistError), work
            assert not isinstance(error, NodesTimeout)
            assert str(error)

    def test_what_is_here_can_be_had(self, cluster: Cluster, party: Party) -> None:
        cluster.carrier.leave(0)
        here = cluster.result(cluster.houses[0].io.local.fetch_sockets())
        assert {socket.id for socket in here} == {party.first[0].id, party.second[0].id}

    def test_own_clients_answer_and_it_is_told_that_others_may_miss(self, cluster: Cluster, party: Party) -> None:
        cluster.carrier.leave(0)
        found = outcome(cluster.houses[0].io.to("all").emit_with_ack("q"))
        cluster.settle()
        answer(party, "0")
        (error,) = found
        assert isinstance(error, AckLost)
        assert error.responses == ["0"]

    def test_with_a_timeout_what_has_come_is_told_then(self, cluster: Cluster, party: Party) -> None:
        cluster.carrier.leave(0)
        found = outcome(cluster.houses[0].io.root.to("all").timeout(1).emit_with_ack("q"))
        cluster.settle()
        answer(party, "0")
        assert found == []
        cluster.clock.advance(1)
        (error,) = found
        assert isinstance(error, AckTimeout)
        assert error.responses == ["0"]


class TestABusThatTakesNoMore:
    @pytest.fixture(params=["classic by Redis", "sharded by Redis"])
    def protocol(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_who_asks_is_told_at_once(self, cluster: Cluster, party: Party) -> None:
        cluster.carrier.buses[0]._max_waiting = 0
        error = cluster.result(cluster.houses[0].io.root.fetch_sockets())
        assert isinstance(error, BusFull)
        found = outcome(cluster.houses[0].io.to("all").emit_with_ack("q"))
        cluster.settle()
        answer(party, "0")
        (lost,) = found
        assert isinstance(lost, AckLost)
        assert lost.responses == ["0"]


class TestANodeThatDies:
    def test_after_it_has_counted_its_clients(self, cluster: Cluster, party: Party) -> None:
        found = outcome(cluster.houses[0].io.root.to("all").timeout(1).emit_with_ack("q"))
        cluster.settle()
        cluster.carrier.leave(2)
        for name in ("0", "1", "2"):
            answer(party, name)
        cluster.settle()
        assert found == []
        cluster.clock.advance(1)
        (error,) = found
        assert isinstance(error, AckTimeout)
        assert sorted(error.responses) == ["0", "1"]

    def test_before_it_has_answered(self, cluster: Cluster, party: Party) -> None:
        cluster.buses[2].silent = True
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.fetch_sockets()))
        cluster.settle()
        cluster.carrier.leave(2)
        cluster.clock.advance(SECONDS)
        (error,) = found
        assert isinstance(error, NodesTimeout)
        assert len(error.responses) == 1

    def test_it_is_not_asked_again(self, cluster: Cluster, party: Party) -> None:
        cluster.carrier.leave(2)
        cluster.settle()
        assert len(cluster.result(cluster.houses[0].io.root.fetch_sockets())) == 4
        found = outcome(cluster.houses[0].io.root.to("all").emit_with_ack("q"))
        cluster.settle()
        answer(party, "0")
        answer(party, "1")
        cluster.settle()
        assert sorted(found[0]) == ["0", "1"]
