"""Requests that older versions of the Node package make, which name one socket, or ask for ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.clusters import Cluster, Party

CHANNEL = "socket.io-request#/#"


@pytest.fixture(params=["classic", "classic, own channels", "classic by Redis"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(cluster: Cluster, **request: Any) -> list[tuple[str, dict[str, Any]]]:
    """What the nodes answer to a request of a stranger: the channels and the messages."""
    for bus in cluster.buses:
        bus.said.clear()
    cluster.carrier.send(CHANNEL, json.dumps({"requestId": "abc123", **request}).encode())
    cluster.settle()
    return [(channel, json.loads(message)) for bus in cluster.buses for channel, message in bus.said]


def test_one_socket_is_put_into_a_room(cluster: Cluster, party: Party) -> None:
    target = party.first[1]
    answers = ask(cluster, type=2, sid=target.id, room="x")
    assert ["x" in socket.rooms for socket in party.first + party.second] == [False, True] + [False] * 4
    assert answers == [("socket.io-response#/#", {"requestId": "abc123"})]


def test_one_socket_is_taken_out_of_a_room(cluster: Cluster, party: Party) -> None:
    answers = ask(cluster, type=3, sid=party.first[1].id, room="all")
    assert ["all" in socket.rooms for socket in party.first] == [True, False, True]
    assert answers == [("socket.io-response#/#", {"requestId": "abc123"})]


@pytest.mark.parametrize("close", [False, True])
def test_one_socket_is_disconnected(cluster: Cluster, party: Party, close: bool) -> None:
    answers = ask(cluster, type=4, sid=party.first[1].id, close=close)
    assert [socket.connected for socket in party.first] == [True, False, True]
    assert [party.guests[name].gone for name in "012"] == [False, close, False]
    assert answers == [("socket.io-response#/#", {"requestId": "abc123"})]


@pytest.mark.parametrize("request_type", [2, 3, 4])
def test_nobody_answers_for_a_socket_it_does_not_have(cluster: Cluster, party: Party, request_type: int) -> None:
    assert ask(cluster, type=request_type, sid="nobody's", room="x") == []


@pytest.mark.parametrize("rooms", [[], ["all"], ["odd", "even"], ["nobody"]])
def test_ids_of_the_sockets_in_rooms(cluster: Cluster, party: Party, rooms: list[str]) -> None:
    answers = ask(cluster, type=0, rooms=rooms)
    assert [channel for channel, _ in answers] == ["socket.io-response#/#"] * 3
    found = [sid for _, answer in answers for sid in answer["sockets"]]
    first = [socket.id for socket in party.first]
    everybody = first + [socket.id for socket in party.second]
    expected = everybody if not rooms else [] if rooms == ["nobody"] else first
    assert sorted(found) == sorted(expected)
    assert all(answer.keys() == {"requestId", "sockets"} for _, answer in answers)


def test_who_says_its_name_is_answered_as_others_are(cluster: Cluster, party: Party, protocol: str) -> None:
    (answer,) = ask(cluster, type=2, sid=party.first[1].id, room="x", uid="Old_1-")
    own = "own" in protocol
    assert answer == ("socket.io-response#/#Old_1-#" if own else "socket.io-response#/#", {"requestId": "abc123"})


@pytest.mark.parametrize(
    "request_fields",
    [
        {"type": 2, "sid": "s"},
        {"type": 2, "room": "x"},
        {"type": 3, "sid": 5, "room": "x"},
        {"type": 4},
        {"type": 4, "sid": "s", "close": "yes"},
        {"type": 0, "rooms": "all"},
        {"type": 0, "requestId": None},
        {"type": 0, "requestId": 7},
    ],
)
def test_what_lacks_something_is_counted(cluster: Cluster, party: Party, request_fields: dict[str, Any]) -> None:
    assert ask(cluster, **request_fields) == []
    assert [cluster.adapter(number).counts["invalid"] for number in range(3)] == [1, 1, 1]
