"""A hundred thousand packets, lawful and not, through the parsers of JavaScript and of rtwist.

`make fuzz` takes more of them.
"""

from __future__ import annotations

import json
import re

import pytest

from rtwist.socketio.packet import Packet, PacketType
from tests.fuzz.differences import DIFFERENCES, Difference, Step, difference
from tests.fuzz.differential import BASE64, JavaScript, compare, first_difference, our_payload, plain, tagged
from tests.support.clients import CLIENTS
from tests.support.processes import ROOT

PACKETS = 100_000


@pytest.fixture(scope="module")
def javascript() -> JavaScript:
    return JavaScript()


def test_a_hundred_thousand_packets() -> None:
    found = compare(PACKETS)
    assert found.unknown == []
    # Neither all lawful nor all refused at once, and every difference comes up by itself.
    assert found.packets * 0.3 < found.accepted < found.packets * 0.8
    assert set(found.known) == {BASE64, *(one.name for one in DIFFERENCES)}


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.name)
def test_each_difference_is_there(one: Difference, javascript: JavaScript) -> None:
    (answers,) = javascript.ask([("decode", tagged(one.example))])
    step = first_difference(one.example, answers)
    assert step is not None, "the parsers agree by now: strike it"
    assert difference(step) is one


def test_base64_is_the_one_difference_of_payloads(javascript: JavaScript) -> None:
    assert our_payload("4a\x1ebAA\x1e4b") == [("message", "a"), "refused"]
    (answers,) = javascript.ask([("payload", "4a\x1ebAA\x1e4b")])
    assert answers == [["message", "a"], ["message", {"b": "00"}], ["message", "b"]]


def test_a_number_beyond_the_largest_is_seen_before_the_attachments_are_there() -> None:
    step = Step(['51-/a[,["x",{"_placeholder":true,"num":0},1e400]'], "refused", "malformed JSON", None)
    known = difference(step)
    assert known is not None
    assert known.name == "a number beyond the largest"


def test_what_has_no_reason_is_found() -> None:
    packet = plain(Packet(PacketType.EVENT, "/", ["x"]))
    other = plain(Packet(PacketType.EVENT, "/", ["y"]))
    for ours, theirs in [(packet, other), ("refused", packet), (packet, "refused"), (None, packet)]:
        assert difference(Step(['2["x"]'], ours, "malformed JSON", theirs)) is None


def test_the_parsers_are_those_of_the_clients() -> None:
    versions = {
        name: json.loads((CLIENTS / "node_modules" / name / "package.json").read_text())["version"]
        for name in ("socket.io-parser", "engine.io-parser")
    }
    assert versions["socket.io-parser"].startswith("4.")
    assert versions["engine.io-parser"].startswith("5.")


def test_users_are_told_of_the_differences() -> None:
    told = re.sub(r"\s+", " ", (ROOT / "docs" / "protocol.rst").read_text())
    for words in (
        "**Attachments**",
        "**Numbers**",
        "**JSON**",
        "**Base64**",
        "stands in one place only",
        "without its data",
    ):
        assert words in told
