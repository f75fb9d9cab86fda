"""Inputs with the right grammar and the wrong sense, made up by Hypothesis, which also finds the smallest one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtwist.intake.amqp.codec import shortstr, table
from rtwist.intake.amqp.message import write_properties
from rtwist.socketio.packet import Packet, encode
from tests.domain.test_properties import KINDS, events
from tests.engineio.strategies import PACKETS as ENGINE_PACKETS
from tests.fuzz.targets import TARGETS, signed
from tests.fuzz.tokens import TOKENS
from tests.intake.amqp.strategies import NAMES, PROPERTIES, TABLES
from tests.socketio.strategies import JSON, NUMBERS, PACKETS, STRINGS
from tests.support.wire import _length

EXAMPLES = settings(max_examples=200, deadline=None)


def pieces(target: str, *more: bytes) -> st.SearchStrategy[bytes]:
    """Words of the target's language in any order, with noise between them."""
    words = st.sampled_from([*TOKENS[target], *more])
    return st.lists(words | words | words | st.binary(max_size=4), max_size=12).map(b"".join)


# --- Engine.IO and Socket.IO

SEGMENTS = ENGINE_PACKETS.map(lambda packet: packet.segment) | st.binary(max_size=6) | pieces("engineio_payload")


@EXAMPLES
@given(st.lists(SEGMENTS, max_size=6).map(b"\x1e".join))
def test_payloads(data: bytes) -> None:
    TARGETS["engineio_payload"](data)


NUMBERS_OF = st.integers(-2, 12) | st.sampled_from([True, 1.0, 0.5, None, "0", "length"])
PLACEHOLDERS = st.fixed_dictionaries(
    {"_placeholder": st.sampled_from([True, True, True, 1, "true", None])}, optional={"num": NUMBERS_OF}
)
DATA = st.recursive(
    JSON | PLACEHOLDERS | PLACEHOLDERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=2),
)


@st.composite
def packet_texts(draw: st.DrawFn) -> bytes:
    """A packet as text, each part of it possibly odd."""
    head = draw(st.sampled_from("0123456222555666") | st.sampled_from(["", " ", "7", "٢"]))
    if head in "56":
        head += (
            draw(st.integers(0, 4).map(str) | st.sampled_from(["", "11", "-1", "1.0", "٣", "999999999999"])) + "-"
        )
    head += draw(st.sampled_from(["", "", "", "/a,", "/a", "/,", "/" + "n" * 201 + ",", ","]))
    head += draw(st.sampled_from(["", "", "0", "7", "007", "1" * 15, "1" * 16, "٣", " "]))
    body = draw(st.lists(DATA, max_size=4).map(lambda values: ["event", *values]) | DATA | st.none())
    text = "" if body is None else json.dumps(body, ensure_ascii=draw(st.booleans()))
    return (head + text).encode("utf-8", "surrogatepass")


def sent(packet: Packet) -> bytes:
    """A lawful packet with its attachments, which lose the octet that separates messages."""
    text, *attachments = (part.data for part in encode(packet))
    pieces = [str(text).encode()]
    pieces += [b"\xfe" + bytes(one).replace(b"\xff", b"") for one in attachments if isinstance(one, bytes)]
    return b"\xff".join(pieces)


NOISE = st.binary(max_size=5).map(lambda data: b"\xfe" + data.replace(b"\xff", b""))
MESSAGES = packet_texts() | NOISE | PACKETS.map(sent)


@EXAMPLES
@given(st.lists(MESSAGES, max_size=6).map(b"\xff".join))
def test_messages(data: bytes) -> None:
    TARGETS["socketio_messages"](data)


@EXAMPLES
@given(JSON, st.booleans(), pieces("json_text"), st.integers(0, 200))
def test_json(value: Any, escaped: bool, noise: bytes, at: int) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    TARGETS["json_text"](text)
    TARGETS["json_text"](text[:at] + noise + text[at:])


# --- tokens and events

CLAIM_NAMES = st.sampled_from(
    ["userId", "sub", "id", "companyId", "shopIds", "shops", "role", "roles", "exp", "nbf", "iat", "iss", "aud"]
)
HEADERS = st.fixed_dictionaries(
    {"alg": st.sampled_from(["HS256"] * 6 + ["none", "HS512", "RS256", None, 1, ["HS256"]])},
    optional={"kid": STRINGS | NUMBERS, "crit": JSON, "typ": JSON},
)
CLAIMS = st.dictionaries(CLAIM_NAMES | STRINGS, JSON | st.just(1_800_000_000), max_size=6)


@EXAMPLES
@given(HEADERS, CLAIMS, st.booleans())
def test_claims(header: Any, claims: dict[str, Any], complete: bool) -> None:
    if complete:
        claims = {"userId": "u", "exp": 1_800_000_000, **claims}
    TARGETS["token_claims"](json.dumps(header).encode() + b"\n" + json.dumps(claims).encode())


@EXAMPLES
@given(st.data())
def test_tokens(data: st.DataObject) -> None:
    token = signed(b'{"alg":"HS256"}', b'{"userId":"u","exp":1800000000}').encode()
    at = data.draw(st.integers(0, len(token)))
    TARGETS["token_text"](
        token[:at] + data.draw(pieces("token_text")) + token[at + data.draw(st.integers(0, 3)) :]
    )


@EXAMPLES
@given(st.sampled_from([*KINDS, ""]), events | st.dictionaries(STRINGS, JSON, max_size=3), st.integers(0, 3))
def test_events(kind: str, data: dict[str, Any], shape: int) -> None:
    envelope = {"type": kind, "data": data, "id": data.get("id"), "timestamp": data.get("status")}
    cloud = {**envelope, "specversion": "1.0", "source": "/x", "id": "1", "time": data.get("subject")}
    value = [data, envelope, cloud, {**envelope, **data}][shape]
    TARGETS["domain_event"](kind.encode() + b"\n" + json.dumps(value).encode())


@EXAMPLES
@given(st.lists(pieces("routes_file", b' = "', b'"', b"[", b"]", b" = ["), max_size=6).map(b"\n".join))
def test_routes(data: bytes) -> None:
    TARGETS["routes_file"](b"[[route]]\n" + data)


# --- AMQP


def prefixed(number: int, data: bytes) -> bytes:
    return bytes([number]) + data


@EXAMPLES
@given(TABLES, st.integers(0, 100), st.binary(max_size=3))
def test_tables(fields: Any, at: int, noise: bytes) -> None:
    raw = table(fields)
    TARGETS["amqp_table"](raw)
    TARGETS["amqp_table"](raw[:at] + noise + raw[at + len(noise) :])


@EXAMPLES
@given(PROPERTIES, st.integers(0, 100), st.binary(max_size=3))
def test_properties(properties: Any, at: int, noise: bytes) -> None:
    raw = write_properties(properties)
    TARGETS["amqp_properties"](raw)
    TARGETS["amqp_properties"](raw[:at] + noise + raw[at + len(noise) :])


@EXAMPLES
@given(st.integers(0, 255), st.lists(NAMES.map(shortstr) | st.binary(max_size=9), max_size=6).map(b"".join))
def test_arguments(method: int, data: bytes) -> None:
    TARGETS["amqp_arguments"](prefixed(method, data))


@st.composite
def amqp_frames(draw: st.DrawFn) -> bytes:
    """A frame whose parts need not fit together."""
    kind = draw(st.sampled_from([1, 1, 2, 2, 3, 3, 8, 0, 255]))
    channel = draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
    payload = draw(pieces("amqp_stream"))
    if kind == 1 and draw(st.booleans()):
        tail = draw(st.binary(max_size=30))
        payload = b"\x00\x3c\x00\x3c\x01c" + bytes(8) + draw(st.sampled_from([b"\x00\x00\x00", tail]))
    if kind == 2 and draw(st.booleans()):
        payload = b"\x00\x3c" + bytes(9) + draw(st.binary(min_size=1, max_size=8))
    size = len(payload) + draw(st.sampled_from([0] * 9 + [1, 5000]))
    end = draw(st.sampled_from([b"\xce"] * 9 + [b"\x00"]))
    return bytes([kind]) + channel.to_bytes(2, "big") + size.to_bytes(4, "big") + payload + end


@EXAMPLES
@given(st.integers(0, 255), st.lists(amqp_frames(), max_size=6).map(b"".join))
def test_streams(step: int, data: bytes) -> None:
    TARGETS["amqp_stream"](prefixed(step, data))


@settings(EXAMPLES, max_examples=60)
@given(st.lists(amqp_frames(), max_size=4).map(b"".join))
def test_connections(data: bytes) -> None:
    TARGETS["amqp_connection"](data)


@EXAMPLES
@given(pieces("amqp_urls", b"user", b"host", b","))
def test_urls(data: bytes) -> None:
    TARGETS["amqp_urls"](b"amqp://" + data)


# --- HTTP and WebSocket


@EXAMPLES
@given(pieces("origins", b"a.example", b"b.example:8080", b"\nb.example"))
def test_origins(data: bytes) -> None:
    TARGETS["origins"](data)


@EXAMPLES
@given(pieces("handshake", b"%00", b"=", b"\n"))
def test_handshakes(data: bytes) -> None:
    TARGETS["handshake"](data)


@EXAMPLES
@given(pieces("option_text", b"1", b"9" * 20, b" "))
def test_options(data: bytes) -> None:
    TARGETS["option_text"](data)


@settings(EXAMPLES, max_examples=60)
@given(st.integers(0, 255), pieces("http_site", b"/engine.io/?", b" HTTP/1.1\r\n", b"Host: h\r\n", b"&", b"\x1e"))
def test_requests(step: int, data: bytes) -> None:
    TARGETS["http_site"](prefixed(step, data))


@st.composite
def websocket_frames(draw: st.DrawFn) -> bytes:
    """A frame of a client, usually lawful in itself."""
    opcode = draw(st.sampled_from([0, 0, 1, 1, 1, 2, 8, 9, 10, 3, 15]))
    first = draw(st.sampled_from([0x80, 0x80, 0x80, 0, 0, 0xC0])) | opcode
    masked = draw(st.integers(0, 20)) != 0
    payload = draw(st.sampled_from([b"4", b"", b"1", b"2", b"\x03\xe8", b"4" * 126, b"4" * 999, b"x" * 1000]))
    payload += draw(st.binary(max_size=4) | st.just(b""))
    return bytes([first]) + _length(len(payload), masked=masked) + (bytes(4) if masked else b"") + payload


@EXAMPLES
@given(st.integers(0, 255), st.lists(websocket_frames(), max_size=8).map(b"".join))
def test_frames(step: int, data: bytes) -> None:
    TARGETS["websocket_frames"](prefixed(step, data))
