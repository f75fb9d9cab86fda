"""The messages of both adapter protocols, to the byte as the Node packages write them."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.cluster import messages as m
from rtwist.cluster.classic import messages as classic
from rtwist.cluster.sharded import messages as sharded
from rtwist.cluster.wire import READER, pack
from rtwist.errors import RemoteProtocolError
from tests.socketio.strategies import WITH_BINARY
from tests.support.processes import ROOT

SCRIPT = ROOT / "tests" / "cluster" / "captured.js"


class Captured(NamedTuple):
    """What a Node package has published."""

    channel: str
    message: bytes


@pytest.fixture(scope="module")
def captured() -> dict[str, Captured]:
    ran = subprocess.run(["node", str(SCRIPT)], capture_output=True, text=True, check=True, timeout=120)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {line["name"]: Captured(line["channel"], bytes.fromhex(line["hex"])) for line in lines}


TARGETS = {
    "all": m.Target(),
    "room": m.Target(("a",)),
    "rooms": m.Target(("a", "b"), ("c",)),
    "join": m.Target(("a",), ("b",)),
}
EVENTS: list[tuple[str, tuple[list[Any], m.Target, m.Flags]]] = [
    ("all", (["all", 1], TARGETS["all"], m.Flags())),
    ("room", (["room", {"n": -1.5, "s": "é", "t": True, "z": None}], TARGETS["room"], m.Flags())),
    ("rooms", (["rooms"], TARGETS["rooms"], m.Flags())),
    ("volatile", (["v", [1, 128, 65536, 4294967296, -33]], TARGETS["all"], m.Flags(volatile=True))),
    ("compress", (["c"], TARGETS["all"], m.Flags(compress=False))),
    ("binary", (["b", b"\x01\x02\x03", {"deep": b"x"}], TARGETS["all"], m.Flags())),
    ("undefined", (["u", None, {}], TARGETS["all"], m.Flags())),
]
REQUESTS: list[tuple[str, m.Request]] = [
    ("join", m.Join(TARGETS["join"], ("c", "d"))),
    ("leave", m.Leave(TARGETS["room"], ("c",))),
    ("disconnect", m.Disconnect(TARGETS["room"], True)),
    ("server side", m.ServerSide(None, ["hello", {"n": 1}])),
    ("with ack", m.Broadcast("", ["q", 1], flags=m.Flags(timeout=1000), request_id="?")),
    ("fetch", m.Fetch(None, "?", TARGETS["room"])),
    ("server side with ack", m.ServerSide(None, ["hello", 2], "?")),
    ("all rooms", m.AskRooms(None, "?")),
]
RESPONSES: list[tuple[str, m.Response]] = [
    ("rooms", m.RoomsAre("r1", ())),
    ("sockets", m.SocketsAre("r2", [])),
    ("fetch", m.SocketsAre("r3", [])),
    ("server side", m.Answer("r4", "world")),
    ("count", m.ClientCount("r5", 0)),
]


def as_said(expected: Any, found: Any) -> Any:
    """`expected` by whom `found` is, and under its id."""
    changes = {"uid": found.uid}
    if getattr(expected, "request_id", None):
        changes["request_id"] = found.request_id
    return type(expected)(**{field: getattr(expected, field) for field in expected.__struct_fields__} | changes)


class TestAsNodeWritesIt:
    @pytest.mark.parametrize("program", ["classic", "emitter"])
    @pytest.mark.parametrize(("name", "said"), EVENTS)
    def test_a_broadcast(self, captured: dict[str, Captured], program: str, name: str, said: Any) -> None:
        message = captured[f"{program} {name}"].message
        found = classic.decode_broadcast(message, "/")
        assert found == m.Broadcast(found.uid, *said)
        assert (found.uid == m.EMITTER) == (program == "emitter")
        assert classic.encode_broadcast(found, "/") == message

    @pytest.mark.parametrize(("name", "said"), EVENTS)
    def test_a_sharded_broadcast(self, captured: dict[str, Captured], name: str, said: Any) -> None:
        message = captured[f"sharded {name}"].message
        uid, found = sharded.decode(message, "/")
        assert found == m.Broadcast(uid, *said)
        assert sharded.encode(found, uid, "/") == message

    @pytest.mark.parametrize(("name", "expected"), REQUESTS)
    def test_a_request(self, captured: dict[str, Captured], name: str, expected: m.Request) -> None:
        message = captured[f"classic {name}"].message
        found = classic.decode_request(message, "/")
        assert found == as_said(expected, found)
        assert found.uid
        assert classic.encode_request(found, "/") == message

    @pytest.mark.parametrize(("name", "expected"), REQUESTS[:4])
    def test_a_request_of_the_emitter(
        self, captured: dict[str, Captured], name: str, expected: m.Request
    ) -> None:
        message = captured[f"emitter {name}"].message
        found = classic.decode_request(message, "/")
        assert found == as_said(expected, found)
        assert found.uid == (m.EMITTER if name == "server side" else None)
        assert classic.encode_request(found, "/") == message

    @pytest.mark.parametrize(("name", "expected"), REQUESTS[:-1])
    def test_a_sharded_request(self, captured: dict[str, Captured], name: str, expected: m.Request) -> None:
        message = captured[f"sharded {name}"].message
        uid, found = sharded.decode(message, "/")
        assert found == as_said(expected, found)
        assert sharded.encode(found, uid, "/") == message

    @pytest.mark.parametrize(("name", "expected"), RESPONSES)
    def test_a_response(self, captured: dict[str, Captured], name: str, expected: m.Response) -> None:
        message = captured[f"answer {name}"].message
        assert classic.decode_response(message) == expected
        assert classic.encode_response(expected) == message

    def test_of_another_namespace(self, captured: dict[str, Captured]) -> None:
        message = captured["classic other namespace"].message
        assert classic.decode_broadcast(message, "/other").data == ["x"]
        with pytest.raises(RemoteProtocolError):
            classic.decode_broadcast(message, "/")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
IDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=20)
ROOM_LISTS = st.lists(NAMES, max_size=3).map(tuple)
TARGETS_MADE = st.builds(m.Target, ROOM_LISTS, ROOM_LISTS)
FLAGS = st.builds(
    m.Flags, st.booleans(), st.none() | st.booleans(), st.none() | st.integers(0, int(m.MAX_TIMEOUT))
)
# What both forms hold without loss.
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
DATA = st.builds(lambda name, args: [name, *args], NAMES, st.lists(PLAIN, max_size=3))
BROADCASTS = st.builds(m.Broadcast, IDS, DATA, TARGETS_MADE, FLAGS)
ASKING = st.builds(m.Broadcast, IDS, DATA, TARGETS_MADE, FLAGS, IDS)
COMMON_REQUESTS = st.one_of(
    ASKING,
    st.builds(m.Join, TARGETS_MADE, ROOM_LISTS, IDS),
    st.builds(m.Leave, TARGETS_MADE, ROOM_LISTS, IDS),
    st.builds(m.Disconnect, TARGETS_MADE, st.booleans(), IDS),
    st.builds(m.Fetch, IDS, IDS, TARGETS_MADE),
    st.builds(m.ServerSide, IDS, DATA, st.none() | IDS),
)
CLASSIC_REQUESTS = st.one_of(
    COMMON_REQUESTS,
    st.builds(m.JoinOne, IDS, IDS, NAMES),
    st.builds(m.LeaveOne, IDS, IDS, NAMES),
    st.builds(m.DisconnectOne, IDS, IDS, st.booleans()),
    st.builds(m.AskSids, IDS, ROOM_LISTS),
    st.builds(m.AskRooms, IDS, IDS),
)
COMMON_RESPONSES = st.one_of(
    st.builds(m.SocketsAre, IDS, st.lists(PLAIN, max_size=3)),
    st.builds(m.Answer, IDS, PLAIN),
    st.builds(m.ClientCount, IDS, st.integers(0, 2**53 - 1)),
    st.builds(m.ClientAck, IDS, PLAIN),
)
CLASSIC_RESPONSES = st.one_of(COMMON_RESPONSES, st.builds(m.Done, IDS), st.builds(m.RoomsAre, IDS, ROOM_LISTS))


class TestThereAndBack:
    @given(BROADCASTS)
    def test_broadcasts(self, message: m.Broadcast) -> None:
        assert classic.decode_broadcast(classic.encode_broadcast(message, "/x"), "/x") == message

    @given(CLASSIC_REQUESTS)
    def test_requests(self, message: m.Request) -> None:
        assert classic.decode_request(classic.encode_request(message, "/x"), "/x") == message

    @given(CLASSIC_RESPONSES)
    def test_responses(self, message: m.Response) -> None:
        assert classic.decode_response(classic.encode_response(message)) == message

    @given(st.one_of(BROADCASTS, COMMON_REQUESTS, COMMON_RESPONSES))
    def test_sharded(self, message: Any) -> None:
        uid = getattr(message, "uid", None) or "node"
        assert sharded.decode(sharded.encode(message, uid, "/x"), "/x") == (uid, message)

    @given(WITH_BINARY)
    def test_any_value_of_an_event_has_a_form(self, value: Any) -> None:
        READER.read(pack([value]))


def attempt(message: bytes) -> None:
    """Read `message` in every way; nothing but our own error may come of it."""
    readers: list[Any] = [
        lambda: classic.decode_broadcast(message, "/"),
        lambda: classic.decode_request(message, "/"),
        lambda: classic.decode_response(message),
        lambda: sharded.decode(message, "/"),
    ]
    for reader in readers:
        with contextlib.suppress(RemoteProtocolError):
            reader()


FIELDS = st.sampled_from(
    ["type", "uid", "requestId", "opts", "rooms", "except", "flags", "packet", "data", "nsp", "sid", "room",
     "close", "clientCount", "sockets", "volatile", "compress", "timeout"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 14), st.floats(), NAMES, st.binary(max_size=3), st.just("/")
)
HOSTILE = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=6), max_leaves=20
)


class TestGarbage:
    @given(st.binary(max_size=200))
    def test_bytes(self, message: bytes) -> None:
        attempt(message)
        attempt(b"{" + message)

    @given(HOSTILE)
    def test_values_of_every_shape(self, value: Any) -> None:
        attempt(pack(value))

    @given(st.integers(0, 9), HOSTILE.filter(lambda value: isinstance(value, dict)))
    def test_requests_of_every_type(self, kind: int, value: dict[str, Any]) -> None:
        attempt(pack({**value, "type": kind, "requestId": "r", "uid": "u", "nsp": "/"}))

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"{",
            b"\xc1",
            b"\x91" * 100_000,
            b"{" + b'"a":{' * 100_000,
            pack({b"key": 1}),
            b"\x81\x90\x01",  # a key that is an array
            b"\x81\x80\x01",  # a key that is a map
            b"\xd4\x07\x00",  # an unknown extension
            b"\xd6\xff\xff\xff\xff\xff",  # a time
            b"\xc7\x0c\xff" + b"\xff" * 12,  # a time out of range
            b"\xdd\xff\xff\xff\xff",  # four thousand million items
        ],
    )
    def test_known_bad(self, message: bytes) -> None:
        attempt(message)
        with pytest.raises(RemoteProtocolError):
            classic.decode_broadcast(message, "/")

    def test_too_deep(self) -> None:
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        with pytest.raises(RemoteProtocolError):
            READER.read(pack(deep))

    def test_times_are_strings_as_in_javascript(self) -> None:
        assert READER.read(b"\x91\xd6\xff\x00\x00\x00\x01") == ["1970-01-01T00:00:01.000Z"]

    def test_numbers_are_room_names_too(self) -> None:
        message = pack(("u", {"type": 2, "data": ["x"], "nsp": "/"}, {"rooms": [5, 6.0], "except": []}))
        assert classic.decode_broadcast(message, "/").target.rooms == ("5", "6")
