"""Delivery to rooms."""

from __future__ import annotations

from typing import Any

from rtwist.socketio.adapter import Adapter, Selection
from rtwist.socketio.packet import Packet, PacketType


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
