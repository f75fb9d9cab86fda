"""What carries messages between nodes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rtwist.cluster.bus import Bus, MemoryBus, MemoryHub


class Nodes:
    """Three buses at one hub, and what each has heard."""

    def __init__(self) -> None:
        self.clock = Clock()
        hub = MemoryHub(self.clock)
        self.buses = [MemoryBus(hub) for _ in range(3)]
        self.heard: list[list[tuple[str, bytes]]] = [[], [], []]

    def __getitem__(self, number: int) -> Bus:
        return self.buses[number]

    def listen(self, number: int, channel: str) -> None:
        heard = self.heard[number]
        add = self[number].subscribe_pattern if "*" in channel else self[number].subscribe
        add(channel, lambda *message: heard.append(message))

    def arrive(self) -> None:
        self.clock.pump([0] * 20)


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


def result(work: Any) -> Any:
    return Deferred.fromCoroutine(work).result


def test_messages_reach_all_who_subscribe_in_order(nodes: Nodes) -> None:
    for number in (0, 1):
        nodes.listen(number, "news")
    for text in (b"a", b"b", b"c"):
        nodes[0].publish("news", text)
    nodes[0].publish("other", b"d")
    assert nodes.heard == [[], [], []]
    nodes.arrive()
    expected = [("news", text) for text in (b"a", b"b", b"c")]
    assert nodes.heard == [expected, expected, []]


def test_patterns_hear_every_channel_that_matches(nodes: Nodes) -> None:
    nodes.listen(2, "news#*")
    for channel in ("news#", "news#room#", "new", "news"):
        nodes[1].publish(channel, b"x")
    nodes.arrive()
    assert nodes.heard[2] == [("news#", b"x"), ("news#room#", b"x")]


def test_who_unsubscribes_hears_no_more(nodes: Nodes) -> None:
    for channel in ("news", "n*"):
        nodes.listen(0, channel)
    nodes[0].unsubscribe("news")
    nodes[1].publish("news", b"x")
    nodes.arrive()
    assert nodes.heard[0] == [("news", b"x")]
    nodes[0].unsubscribe("n*")
    nodes[1].publish("news", b"y")
    nodes.arrive()
    assert nodes.heard[0] == [("news", b"x")]


def test_subscribers_are_counted_by_the_name_of_the_channel(nodes: Nodes) -> None:
    nodes.listen(0, "news")
    nodes.listen(1, "news")
    nodes.listen(2, "n*")
    assert result(nodes[2].subscribers("news")) == 2
    assert result(nodes[2].subscribers("other")) == 0


def test_who_is_cut_off_misses_what_is_published_and_hears_again_afterwards(nodes: Nodes) -> None:
    nodes.listen(0, "news")
    nodes.buses[0].connected = False
    nodes[1].publish("news", b"missed")
    nodes[0].publish("news", b"lost")
    assert result(nodes[1].subscribers("news")) == 0
    nodes.arrive()
    nodes.buses[0].connected = True
    nodes[1].publish("news", b"heard")
    nodes.arrive()
    assert nodes.heard[0] == [("news", b"heard")]
