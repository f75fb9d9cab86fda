"""What is fuzzed: each target takes any bytes and raises only when a promise is broken.

The promise is always this: a fault of the peer is answered with the one error that the module documents, and
what was accepted survives the journey back through the encoder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import jwt

from rtwist.auth.identity import Identity
from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier
from rtwist.domain.emission import Emission, Note
from rtwist.domain.event import read_event
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router, Rule
from rtwist.domain.routesfile import read_routes
from rtwist.domain.rules import BUILT_IN
from rtwist.engineio.packet import decode_packet, encode_payload, message, split_payload
from rtwist.errors import AuthError, BadEvent, ConfigError, RemoteProtocolError
from rtwist.socketio.jsoncodec import dumps, loads
from rtwist.socketio.packet import Decoder, Packet, encode
from tests.fuzz import targets_amqp, targets_http, targets_websocket
from tests.socketio.strategies import joined

MAX_DEPTH = 64
MAX_PACKETS = 100
MAX_ATTACHMENTS = 10
NOW = 1_700_000_000
SECRET = b"a secret of thirty-two bytes....."

Target = Callable[[bytes], None]
_Result = TypeVar("_Result")


def text_of(data: bytes) -> str | None:
    """Text as a transport hands it on, None for bytes that are not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


# --- Engine.IO and Socket.IO


def engineio_payload(data: bytes) -> None:
    """The body of a polling POST."""
    try:
        packets = [decode_packet(segment) for segment in split_payload(data, MAX_PACKETS)]
    except RemoteProtocolError:
        return
    assert len(packets) <= MAX_PACKETS
    body = encode_payload(packets)
    assert [decode_packet(segment) for segment in split_payload(body, MAX_PACKETS)] == packets
    for packet in packets:
        # As a frame of a WebSocket: two octets of head, or more with a long payload.
        assert packet.frame.endswith(packet.data if isinstance(packet.data, bytes) else packet.segment)


def socketio_messages(data: bytes) -> None:
    """Messages of one connection, one after the other: between 0xff, binary ones behind 0xfe."""
    decoder = Decoder(max_attachments=MAX_ATTACHMENTS, max_depth=MAX_DEPTH)
    for piece in data.split(b"\xff"):
        sent: str | bytes | None = piece[1:] if piece[:1] == b"\xfe" else text_of(piece)
        if sent is None:
            return
        try:
            packet = decoder.add(sent)
        except RemoteProtocolError:
            return
        assert (packet is None) is (decoder.pending is not None)
        if packet is not None:
            assert _returned(packet) == _joined(packet)


def _returned(packet: Packet) -> Packet:
    decoder = Decoder(max_attachments=MAX_ATTACHMENTS, max_depth=MAX_DEPTH)
    decoded = [decoder.add(part.data) for part in encode(packet)]
    assert decoded[:-1] == [None] * (len(decoded) - 1)
    assert decoded[-1] is not None
    return decoded[-1]


def _joined(packet: Packet) -> Packet:
    return Packet(packet.type, packet.namespace, joined(packet.data), packet.id)


def json_text(data: bytes) -> None:
    """A JSON text: what is accepted is what Python's own strict decoder makes of it, and can be written again."""
    text = text_of(data)
    if text is None:
        return
    try:
        value = loads(text, MAX_DEPTH)
    except RemoteProtocolError:
        return
    assert value == json.loads(text, parse_constant=_refuse)
    assert loads(dumps(value), MAX_DEPTH) == joined(value)


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} was accepted")


# --- who somebody is


def token_text(data: bytes) -> None:
    """A token as it came, whoever made it."""
    _verify(data.decode("utf-8", "surrogateescape"))


def token_claims(data: bytes) -> None:
    """A token that the issuer signed: its header, then after a line feed its claims."""
    header, _, claims = data.partition(b"\n")
    _verify(signed(header, claims))


def signed(header: bytes, claims: bytes) -> str:
    """A token with a good signature over any header and claims."""
    content = b".".join(jwt.utils.base64url_encode(part) for part in (header, claims))
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = algorithm.sign(content, algorithm.prepare_key(SECRET))
    return b".".join((content, jwt.utils.base64url_encode(signature))).decode()


_VERIFIER = TokenVerifier(SharedSecrets(SECRET), now=lambda: NOW)


def _verify(token: str) -> None:
    try:
        identity = finished(_VERIFIER.verify(token))
    except AuthError as refusal:
        code = refusal.code
    else:
        _is_sound(identity)
        return
    assert code in {"auth_required", "token_expired", "token_invalid"}


def _is_sound(identity: Identity) -> None:
    assert isinstance(identity, Identity)
    assert identity.user_id
    assert NOW < identity.expires_at < 253_402_300_800
    assert all(room.encode() for room in identity.rooms)


def finished(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: _Result = end.value
        return result
    raise AssertionError("it waits")


# --- domain events


def domain_event(data: bytes) -> None:
    """The body of an AMQP message behind its routing key, as the consumer and the built-in rules take it."""
    key, _, body = data.partition(b"\n")
    text = text_of(body)
    if text is None:
        return
    try:
        value = loads(text, MAX_DEPTH)
        event = read_event(value, now=NOW, routing_key=text_of(key) or None)
        answers = Router(BUILT_IN, OrderBook()).route(event)
    except (RemoteProtocolError, BadEvent) as error:
        str(error).encode("utf-8", "backslashreplace")
        return
    for answer in answers:
        if isinstance(answer, Emission):
            emission_is_sound(answer)


def emission_is_sound(emission: Emission) -> None:
    """It has somebody to go to, and a form on the wire."""
    assert bool(emission.rooms) is not emission.everyone
    for room in emission.rooms:
        room.encode()
        assert room.isprintable() or room.strip(), room
    assert message(dumps([emission.event, emission.data])).frame


def routes_file(data: bytes) -> None:
    """A routes file, and an event through the routes of a good one."""
    text = text_of(data)
    if text is None:
        return
    try:
        rules = read_routes(text, "routes.toml")
    except ConfigError as mistake:
        said = str(mistake)
    else:
        _apply(rules)
        return
    assert said.startswith("routes.toml")


def _apply(rules: dict[str, Rule]) -> None:
    event = read_event({"type": "order.created", "data": {"orderId": "1", "userId": "2"}}, now=NOW)
    try:
        answers = Router(rules, OrderBook()).route(event)
    except BadEvent:
        return
    for answer in answers:
        assert isinstance(answer, Emission | Note)
        if isinstance(answer, Emission):
            emission_is_sound(answer)


TARGETS: dict[str, Target] = {
    "engineio_payload": engineio_payload,
    "socketio_messages": socketio_messages,
    "json_text": json_text,
    "token_text": token_text,
    "token_claims": token_claims,
    "domain_event": domain_event,
    "routes_file": routes_file,
    **targets_amqp.TARGETS,
    **targets_http.TARGETS,
    **targets_websocket.TARGETS,
}
