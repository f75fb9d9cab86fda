"""Broadcasts that are read the short way say the same as when they are read with care."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from rtwist.cluster.bus import MemoryBus, MemoryHub
from rtwist.cluster.classic import messages, plain
from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.messages import Broadcast, Flags, Target
from rtwist.cluster.wire import Limits, pack
from rtwist.errors import RemoteProtocolError
from rtwist.socketio import Server
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import Packet, PacketType, encode, encode_plain_event
from tests.cluster.test_messages import HOSTILE, IDS, NAMES, ROOM_LISTS
from tests.socketio.strategies import WITH_BINARY

LIMITS = Limits()
KEYS = st.one_of(st.text(max_size=5), st.integers(-3, 3))
VALUES = st.recursive(
    st.one_of(WITH_BINARY, st.datetimes(timezones=st.just(timezone.utc))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
DATA = st.builds(lambda name, rest: [name, *rest], st.text(max_size=8), st.lists(VALUES, max_size=3))
PACKETS = st.fixed_dictionaries(
    {"type": st.sampled_from([2, 2, 2, 5, 3, 0]), "data": DATA},
    optional={"nsp": st.sampled_from(["/", "/", "/other"])},
)
FLAG_FIELDS = st.sampled_from(
    [{}, {}, {"volatile": True}, {"compress": False}, {"rtwist": [0, "k"]}, {"rtwist": [-1, "k"]}, {"rtwist": 5},
     {"rtwist": [0, "k"], "volatile": True}]
)  # fmt: skip
OPTIONS = st.fixed_dictionaries({"rooms": ROOM_LISTS, "except": ROOM_LISTS, "flags": FLAG_FIELDS})
MESSAGES = st.tuples(st.one_of(IDS, HOSTILE), st.one_of(PACKETS, HOSTILE), st.one_of(OPTIONS, HOSTILE))
NOTICE = ["notification:new", {"subject": "Your parcel", "count": 3, "metadata": None, "parts": [1.5, True]}]


def carefully(message: bytes) -> Broadcast | None:
    try:
        return messages.decode_broadcast(message, "/")
    except RemoteProtocolError:
        return None


@given(MESSAGES)
@example(("a", {"type": 2, "data": ["x", {1: 2}]}, {"rooms": ["r"]}))
@example(("a", {"type": 2, "data": ["x", b"123"]}, {"rooms": ["r"]}))
@example(("a", {"type": 2, "data": ["x", msgspec.msgpack.Ext(5, b"1")]}, {"rooms": ["r"]}))
@example(("a", {"type": 2, "data": ["x", datetime(2026, 1, 5, tzinfo=timezone.utc)]}, {"rooms": ["r"]}))
@example(("a", {"type": 2, "data": ["connect"]}, {"rooms": ["r"]}))
@example(("a", {"type": 2, "data": ["x"]}, {"rooms": ["r"], "flags": {"rtwist": [0, "e"]}}))
@example(("a", {"type": 2, "data": ["x"]}, {"rooms": ["r"], "flags": {"rtwist": [0, "e"], "volatile": True}}))
@example(("a", {"type": 2, "data": ["x"]}, {"rooms": ["r"], "flags": {"rtwist": [0]}}))
def test_what_is_read_the_short_way_is_the_same(parts: Any) -> None:
    message = pack(parts)
    found = plain.read(message, "/", LIMITS)
    if found is not None:
        said = carefully(message)
        assert said is not None
        target = Target(found.rooms, found.excluded)
        assert (said.uid, said.target, said.flags) == (found.uid, target, Flags(mark=found.mark))
        expected = encode(Packet(PacketType.EVENT, "/", said.data))
        assert [each.frame for each in encode_plain_event("/", found.data)] == [each.frame for each in expected]


@pytest.mark.parametrize("target", [Target(), Target(("user:u1",)), Target(("a", "b"), ("c",))])
def test_usual_broadcasts_are_read_the_short_way(target: Target) -> None:
    for mark in (None, Mark('"e1"', 2)):
        message = messages.encode_broadcast(Broadcast("abcdef", NOTICE, target, Flags(mark=mark)), "/")
        assert plain.read(message, "/", LIMITS) == ("abcdef", NOTICE, target.rooms, target.excluded, mark)
    assert plain.read(message, "/other", LIMITS) is None


@given(DATA, NAMES, IDS, st.none() | st.builds(Mark, IDS, st.integers(0, 1000)))
def test_what_is_written_the_short_way_is_the_same_to_the_byte(
    data: list[Any], room: str, uid: str, mark: Mark | None
) -> None:
    expected = messages.encode_broadcast(Broadcast(uid, data, Target((room,)), Flags(mark=mark)), "/x")
    assert plain.Writer(uid, "/x").to_room(data, room, mark) == expected


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "message",
    [
        ["e", nested(80)],
        ["e", "x" * plain.LONGEST],
        ["e", b"binary"],
        ["e", {"deep": [msgspec.msgpack.Ext(1, b"1")]}],
        ["connect"],
        [],
        [5],
    ],
    ids=["nested", "long", "binary", "extension", "reserved", "empty", "number"],
)
def test_unusual_broadcasts_are_left_to_careful_reading(message: list[Any]) -> None:
    packet = {"type": 2, "data": message, "nsp": "/"}
    assert plain.read(pack(("abcdef", packet, {"rooms": [], "except": [], "flags": {}})), "/", LIMITS) is None


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_rooms=1),
        Limits(max_room_length=4),
        Limits(max_id_length=5),
        Limits(max_depth=2),
        Limits(max_bytes=50),
    ],
)
def test_limits_are_left_to_careful_reading(limits: Limits) -> None:
    message = messages.encode_broadcast(Broadcast("abcdef", NOTICE, Target(("a", "other"))), "/")
    assert plain.read(message, "/", LIMITS) is not None
    assert plain.read(message, "/", limits) is None


class Receiver:
    """Stands in a room and notes what comes."""

    def __init__(self) -> None:
        self.id = "receiver"
        self.heard: list[Any] = []

    def deliver(self, encoded: Any, if_behind: Any) -> None:
        self.heard += [packet.data for packet in encoded]


def test_a_node_that_hears_nonsense_in_a_usual_form_counts_it_and_goes_on() -> None:
    hub = MemoryHub(Clock())
    bus = MemoryBus(hub)
    adapter = Server(Clock(), adapter=lambda namespace: ClassicAdapter(namespace, bus, node="mine")).root.adapter
    receiver = Receiver()
    adapter.add(receiver, ["r"])
    opts = {"rooms": ["r"], "except": [], "flags": {}}
    for data in (["keys", {None: 1}], ["good", {"a": 1}]):
        message = pack(("other", {"type": 2, "data": data, "nsp": "/"}, opts))
        bus.hear("socket.io#/#r#", message)
    assert receiver.heard == ['2["good",{"a":1}]']
    assert isinstance(adapter, ClassicAdapter)
    assert sum(adapter.counts.values()) == 1
    own = pack(("mine", {"type": 2, "data": ["own"], "nsp": "/"}, opts))
    for mine in (own, own.replace(pack("mine"), b"\xd9\x04mine")):  # in its usual and in a longer form
        bus.hear("socket.io#/#r#", mine)
    assert len(receiver.heard) == 1
