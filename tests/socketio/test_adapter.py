"""Delivery to rooms."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rtwist.errors import LocalProtocolError
from rtwist.socketio import Namespace, Server
from rtwist.socketio.adapter import Adapter, Selection
from rtwist.socketio.packet import Packet, PacketType
from tests.socketio.fakes import House


def test_a_receiver_lost_under_the_broadcast_does_not_stop_it() -> None:
    sent: list[str] = []

    class Receiver:
        def __init__(self, name: str) -> None:
            self.id = name

        def deliver(self, encoded: Any, if_behind: Any) -> None:
            sent.append(self.id)
            adapter.remove_all(self)

    adapter = Adapter()
    for name in "abc":
        adapter.add(Receiver(name), [name, "all"])
    everybody = Selection(("all",))
    assert adapter.broadcast(Packet(PacketType.EVENT, "/", ["x"]), everybody) == 3
    assert sorted(sent) == ["a", "b", "c"]
    assert list(adapter.select(everybody)) == []


def test_rooms_are_entered_and_left_through_the_adapter() -> None:
    class Receiver:
        id = "me"

        def deliver(self, encoded: Any, if_behind: Any) -> None:
            raise AssertionError("nobody sends")

    adapter, one = Adapter(), Receiver()
    assert adapter.add(one, ["a", "b", "a"]) == ["a", "b"]
    assert adapter.add(one, ["b", "c"]) == ["c"]
    assert (adapter.remove(one, "c"), adapter.remove(one, "c")) == (True, False)
    assert list(adapter.select(Selection(("a", "b"), ("c",)))) == [one]
    assert list(adapter.select(Selection((), ("b",)))) == []
    assert adapter.broadcast(Packet(PacketType.EVENT, "/", ["x"]), Selection(("c",))) == 0
    assert [adapter.reaches(rooms) for rooms in (["a"], ["c", "b"], ["c"], [])] == [True, True, False, False]


class Remembering(Adapter):
    """An adapter of one's own, which remembers what it was asked for."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__()
        self.name = namespace.name
        self.asked: list[tuple[Any, ...]] = []

    def join(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        self.asked.append(("join", selection, rooms))

    def leave(self, selection: Selection, rooms: tuple[str, ...]) -> None:
        self.asked.append(("leave", selection, rooms))

    def disconnect(self, selection: Selection, close: bool) -> None:
        self.asked.append(("disconnect", selection, close))

    async def fetch(self, selection: Selection) -> list[Any]:
        self.asked.append(("fetch", selection))
        return ["somebody"]

    def broadcast(self, packet: Packet, selection: Selection, if_behind: Any = None, mark: Any = None) -> int:
        self.asked.append(("broadcast", selection))
        return 0

    def server_side_emit(self, event: str, args: tuple[Any, ...]) -> None:
        self.asked.append(("server side", event, args))


def test_an_adapter_of_ones_own_is_asked_for_everything() -> None:
    io = Server(Clock(), adapter=Remembering)
    chosen = io.of("/shop").to("a").except_(["b", "c"])
    chosen.sockets_join("x")
    chosen.sockets_leave(["y", "z"])
    chosen.disconnect_sockets(True)
    chosen.local.emit("news")
    fetched = Deferred.fromCoroutine(chosen.fetch_sockets())
    io.of("/shop").server_side_emit("hello", 1)
    meant = Selection(("a",), ("b", "c"))
    adapter = io.of("/shop").adapter
    assert isinstance(adapter, Remembering)
    assert adapter.name == "/shop"
    assert adapter.asked == [
        ("join", meant, ("x",)),
        ("leave", meant, ("y", "z")),
        ("disconnect", meant, True),
        ("broadcast", meant._replace(local=True)),
        ("fetch", meant),
        ("server side", "hello", (1,)),
    ]
    assert fetched.result == ["somebody"]


def test_a_node_alone_is_its_whole_cluster(house: House) -> None:
    guest = house.guest()
    socket = guest.enter()
    socket.join("a")
    heard: list[Any] = []
    house.io.on("hello", heard.append)
    house.io.server_side_emit("hello", 1)
    adapter = house.io.root.adapter

    async def answers() -> list[Any]:
        return [
            await house.io.server_side_emit_with_ack("hello", 1),
            await adapter.server_count(),
            await adapter.all_rooms(),
        ]

    assert Deferred.fromCoroutine(answers()).result == [[], 1, {"a", socket.id}]
    assert heard == []
    house.io.local.emit("here")
    assert guest.hear() == ['2["here"]']


def test_what_another_node_emits_to_the_servers_reaches_the_handlers(house: House) -> None:
    heard: list[Any] = []
    house.io.on("hello", lambda *args: heard.append(args))
    house.io.root.server_side_event("hello", (1, "two"))
    assert heard == [(1, "two")]


@pytest.mark.parametrize("event", ["connect", "connection", "new_namespace"])
def test_the_servers_own_news_cannot_be_emitted_to_servers(house: House, event: str) -> None:
    with pytest.raises(LocalProtocolError, match=event):
        house.io.server_side_emit(event)
