"""What strangers write into the channels of a cluster: it raises nothing, reaches nobody, and is counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from rtwist.cluster.wire import Limits, json, pack
from tests.cluster.clusters import NODES, PROTOCOLS, Cluster, Party
from tests.cluster.test_messages import HOSTILE
from tests.socketio.fakes import only_new_garbage

MEMORY = ["classic", "classic, own channels", "sharded"]


@pytest.fixture(params=[*MEMORY, "classic by Redis", "sharded by Redis"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def a_party(protocol: str) -> Iterator[tuple[Cluster, Party]]:
    with only_new_garbage(), capturedLogs() as logs:
        cluster = Cluster(logs, PROTOCOLS[protocol])
        yield cluster, Party(cluster)
        cluster.end()


def channels_of(cluster: Cluster, number: int = 1) -> list[str]:
    """The channels of every kind that a node hears."""
    names = {name for name in cluster.buses[number].names if "*" not in name}
    return sorted(names | (set() if cluster.sharded else {"socket.io#/#", "socket.io#/#all#"}))


def state(party: Party) -> list[Any]:
    """What a message could change."""
    return [(socket.connected, socket.rooms) for socket in party.first + party.second]


def total(cluster: Cluster) -> int:
    return sum(cluster.adapter(number).counts.total() for number in range(NODES))


def write(cluster: Cluster, party: Party, channel: str, message: bytes) -> int:
    """How many nodes counted `message`, which must have had no effect."""
    before, counted = state(party), total(cluster)
    cluster.carrier.send(channel, message)
    cluster.settle()
    assert party.hear() == {}
    assert state(party) == before
    assert all(not bus.said for bus in cluster.buses)
    assert all(house.failures == [] for house in cluster.houses)
    return total(cluster) - counted


def hearers(cluster: Cluster, channel: str) -> int:
    """How many nodes hear the channel, and take what comes by it."""
    if not cluster.sharded and channel.startswith("socket.io#"):
        return NODES
    return sum(channel in bus.names for bus in cluster.buses)


KNOWN_BAD = [
    b"",
    b"{",
    b"{}",
    b"\x80",
    b"\x90",
    b"\xc0",
    b"\xc1",
    b"null",
    b"\xef\xbb\xbf{}",
    b'{"type":99}',
    b'{"type":3,"data":{},"uid":"u","nsp":"/"}',
    b'{"type":1,"data":null,"uid":"u","nsp":"/"}',
    b'{"requestId":"r","type":1e400}',
    b'{"type":2,"opts":{"rooms":[]},"rooms":["\\ud800"]}',
    b'{"requestId":"\\ud800","type":0,"rooms":[]}',
    b"\x93\x01\x02\x03",
    b"\x93\xa1u\xc0\xc0",
    b"\x91" * 100_000,
    b"{" + b'"a":{' * 100_000,
    b"[" * 100_000,
    b"\xdd\xff\xff\xff\xff",  # four thousand million items
    b"\xdf\xff\xff\xff\xff",  # as many fields
    b"\xc6\xff\xff\xff\xff",  # as many bytes
    b"\xdb\xff\xff\xff\xff",  # as many characters
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xc7\x0c\xff" + b"\xff" * 12,  # a time that is none
    pack({"type": 2, "requestId": "r", "rooms": []}) * 2,  # something behind it
]


@pytest.mark.parametrize("message", KNOWN_BAD, ids=lambda message: message[:12].hex())
def test_what_is_known_to_be_bad(cluster: Cluster, party: Party, message: bytes) -> None:
    for bus in cluster.buses:
        bus.said.clear()
    for channel in channels_of(cluster):
        assert write(cluster, party, channel, message) == hearers(cluster, channel)
    cluster.houses[1].io.emit("still")
    cluster.settle()
    assert party.heard('2["still"]') == set(party.guests)


TARGET = {"rooms": [], "except": []}
OPTS = {**TARGET, "flags": {}}
PACKET = {"type": 2, "data": ["event"], "nsp": "/"}
CLASSIC: list[tuple[str, Any]] = [
    ("socket.io#/#", ["u", PACKET, OPTS]),
    ("socket.io-request#/#", {"type": 2, "opts": TARGET, "rooms": ["x"]}),
    ("socket.io-request#/#", {"type": 3, "opts": TARGET, "rooms": ["all"]}),
    ("socket.io-request#/#", {"type": 4, "opts": TARGET, "close": True}),
    ("socket.io-request#/#", {"uid": "u", "requestId": "r", "type": 0, "rooms": []}),
    ("socket.io-request#/#", {"uid": "u", "requestId": "r", "type": 1}),
    ("socket.io-request#/#", {"uid": "u", "requestId": "r", "type": 5, "opts": TARGET}),
    ("socket.io-request#/#", {"uid": "u", "type": 6, "data": ["hello"]}),
    ("socket.io-request#/#", {"uid": "u", "requestId": "r", "type": 7, "packet": PACKET, "opts": OPTS}),
    ("socket.io-response#/#", {"requestId": "r", "type": 8, "clientCount": 1}),
]
_SHARDED = [
    (3, {"packet": {"type": 2, "data": ["event"]}, "opts": OPTS}),
    (4, {"opts": TARGET, "rooms": ["x"]}),
    (5, {"opts": TARGET, "rooms": ["all"]}),
    (6, {"opts": TARGET, "close": True}),
    (7, {"opts": TARGET, "requestId": "r"}),
    (8, {"requestId": "r", "sockets": []}),
    (9, {"packet": ["hello"]}),
    (11, {"requestId": "r", "clientCount": 1}),
]
SHARDED: list[tuple[str, Any]] = [
    ("socket.io#/#", {"type": kind, "data": data, "uid": "u", "nsp": "/"}) for kind, data in _SHARDED
]
# Nothing that any field may be: neither absent, nor empty, nor of its type.
WRONG: dict[str, Any] = {
    "opts": [5, "x", [1]],
    "rooms": ["x", 5, {"a": 1}, [[]], [{"a": 1}], [None], [1.5], [True], ["x" * 1001]],
    "except": ["x", 5, {"a": 1}, [None]],
    "flags": [5, "x", [1]],
    "packet": [5, "x", [1], [], {}, {"type": 3, "data": ["x"], "nsp": "/"}],
    "data": [5, "x", {"a": 1}, [], [5], [None], ["connect"], [["event"]]],
    "type": ["2", 2.5, True, 77, -1, 2**70, [2], {"a": 2}],
    "nsp": [None, 5, "/other", "", ["/"]],
    "uid": [5, "", [1], "x" * 101, {"a": 1}],
    "requestId": [5, "", [1], True, "x" * 101, {"a": 1}],
    "close": [5, "yes", [1], {"a": 1}],
    "clientCount": [None, -1, 1.5, "1", True, 2**60, [1]],
    "sockets": [None, 5, "x", {"a": 1}],
}


def damaged(value: Any) -> Iterator[Any]:
    """`value` with one field of the protocol wrong."""
    if isinstance(value, dict):
        for key, item in value.items():
            for wrong in WRONG.get(key, []):
                if key != "data" or isinstance(item, list) or not isinstance(wrong, dict):
                    yield {**value, key: wrong}
            if key != "data" or isinstance(item, dict):
                yield from ({**value, key: inner} for inner in damaged(item))
    elif isinstance(value, list) and len(value) == 3:
        for index, item in enumerate(value):
            yield from ([*value[:index], inner, *value[index + 1 :]] for inner in damaged(item))
        yield from ([*value[:index], 5, *value[index + 1 :]] for index in range(3))
        yield value[:2]
        yield [*value, 1]


def test_one_field_that_is_wrong(cluster: Cluster, party: Party) -> None:
    heard: list[Any] = []
    for house in cluster.houses:
        house.io.on("hello", lambda *args: heard.append(args))
    tried = 0
    for bus in cluster.buses:
        bus.said.clear()
    for channel, message in SHARDED if cluster.sharded else CLASSIC:
        for wrong in damaged(message):
            for form in (json, pack) if isinstance(message, dict) else (pack,):
                try:
                    written = form(wrong)
                except TypeError:
                    continue
                counted = write(cluster, party, channel, written)
                assert counted == NODES, (channel, wrong)
                tried += 1
    assert heard == []
    assert tried > 300


def test_each_limit_is_counted_by_its_name(protocol: str) -> None:
    limits = Limits(max_bytes=1000, max_depth=10, max_rooms=5, max_room_length=8, max_id_length=16)
    deep: Any = 1
    for _ in range(20):
        deep = [deep]
    opts = {**OPTS, "rooms": ["a"] * 6}
    long = {**OPTS, "except": ["a" * 9]}
    cases = [("bytes", OPTS, "u", "x" * 1000), ("depth", OPTS, "u", deep), ("rooms", opts, "u", 1),
             ("room_length", long, "u", 1), ("id_length", OPTS, "u" * 17, 1)]  # fmt: skip
    with only_new_garbage(), capturedLogs() as logs:
        cluster = Cluster(logs, PROTOCOLS[protocol.removesuffix(" by Redis")], limits=limits)
        party = Party(cluster)
        for name, selection, uid, value in cases:
            packet = {**PACKET, "data": ["event", value]}
            message: Any = [uid, packet, selection]
            if cluster.sharded:
                data = {"packet": packet, "opts": selection}
                message = {"type": 3, "data": data, "uid": uid, "nsp": "/"}
            for form in (json, pack) if cluster.sharded else (pack,):
                before = cluster.adapter(0).counts.copy()
                assert write(cluster, party, "socket.io#/#", form(message)) == NODES
                assert cluster.adapter(0).counts - before == {f"cluster_max_{name}": 1}
        cluster.end()


BYTES = st.binary(max_size=100) | st.binary(max_size=100).map(lambda some: b"{" + some)


@pytest.mark.parametrize("protocol", MEMORY)
def test_bytes_of_every_kind(protocol: str) -> None:
    with a_party(protocol) as (cluster, party):
        channels = channels_of(cluster)

        @given(st.sampled_from(channels), BYTES)
        def check(channel: str, message: bytes) -> None:
            assert write(cluster, party, channel, message) == hearers(cluster, channel)

        check()


@pytest.mark.parametrize("protocol", MEMORY)
def test_values_of_every_shape(protocol: str) -> None:
    """Some are messages; whatever they do, nothing fails."""
    with a_party(protocol) as (cluster, party):
        channels = channels_of(cluster)

        @given(st.sampled_from(channels), st.integers(0, 13), HOSTILE, st.booleans())
        def check(channel: str, kind: int, value: Any, whole: bool) -> None:
            fields = {"type": kind, "requestId": "r", "uid": "u", "nsp": "/"}
            made = {**value, **fields} if isinstance(value, dict) else {**fields, "data": value}
            cluster.carrier.send(channel, pack(made if whole else value))
            cluster.carrier.send(channel, pack(["u", PACKET, value]))
            cluster.carrier.send(channel, pack(["u", {**PACKET, "data": ["e", value]}, OPTS]))
            cluster.settle()
            assert all(house.failures == [] for house in cluster.houses)

        check()
        cluster.clock.advance(3600)
        party.hear()
