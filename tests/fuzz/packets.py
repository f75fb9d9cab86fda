"""Packets made up by dice, lawful and not, fast enough for a hundred thousand of them."""

from __future__ import annotations

import json
import random
from typing import Any

from rtwist.engineio.packet import Packet as EnginePacket
from rtwist.engineio.packet import PacketType as EngineType
from rtwist.engineio.packet import encode_payload
from rtwist.socketio.packet import ABSENT, Packet, PacketType, encode

Message = str | bytes

STRINGS = (
    "", "x", "message", "é", "€ \U0001f600", "\x00\x1e\u2028", "\ud800", "\udc00a", '"\\/', "_placeholder", "num",
    "connect", "disconnect", "newListener", "toString", "__proto__", "a" * 300, "1", "-", "[", "{",
)  # fmt: skip
NUMBERS = (
    0,
    1,
    -1,
    1.5,
    -0.0,
    1e21,
    1e-7,
    5e-324,
    1.7976931348623157e308,
    2**53,
    2**53 + 1,
    -(2**63),
    2**64,
    10**30,
)
NAMESPACES = ("/", "/", "/", "/a", "/admin", "/é", "/a?b=c", "/" + "n" * 199)
TEXTS = (
    "", "0", "1", "2", "3", "4", "5-", "51-", "6", "7", " ", "/", "/a", ",", "-", "0", "12", "[", "]",
    '["x"]', '"x"', "{", "}",
    "null", "true", "1e400", "-0", "1.0", "9" * 16, "٣", "²", "\xa0", "\t", "\\ud800", "\\u0000",
    '{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":1}',
    '{"_placeholder":true,"num":0.5}', '{"_placeholder":1}', '["connect"]', "NaN",
    ",", ":", '"',
)  # fmt: skip


def scalar(dice: random.Random) -> Any:
    """A string, a number or one of the three words."""
    kind = dice.randrange(4)
    if kind == 0:
        return dice.choice((None, True, False))
    if kind == 1:
        return dice.choice(STRINGS)
    if kind == 2:
        return dice.choice(NUMBERS)
    return dice.choice((dice.randrange(-(10**6), 10**6), dice.uniform(-1e6, 1e6), dice.random()))


def value(dice: random.Random, *, binary: bool, depth: int = 3) -> Any:
    """Anything that a packet may carry."""
    kind = dice.randrange(8)
    if depth and kind == 0:
        return [value(dice, binary=binary, depth=depth - 1) for _ in range(dice.randrange(4))]
    if depth and kind == 1:
        return mapping(dice, binary=binary, depth=depth - 1)
    if binary and kind == 2:
        return dice.randbytes(dice.choice((0, 1, 2, 3, 40)))
    return scalar(dice)


def mapping(dice: random.Random, *, binary: bool, depth: int) -> dict[str, Any]:
    # JavaScript's own encoder loses a property named __proto__ when there are attachments.
    names = [name for name in STRINGS if name not in {"_placeholder", "__proto__"}]
    return {dice.choice(names): value(dice, binary=binary, depth=depth) for _ in range(dice.randrange(4))}


def packet(dice: random.Random) -> Packet:
    """A lawful Socket.IO packet."""
    kind = dice.choice(
        (PacketType.EVENT,) * 4 + (PacketType.ACK,) * 2 + (*list(PacketType)[:2], PacketType.CONNECT_ERROR)
    )
    namespace, data, number = dice.choice(NAMESPACES), ABSENT, None
    if kind in {PacketType.EVENT, PacketType.ACK}:
        number = dice.choice((None, 0, 7, 10**15 - 1, dice.randrange(1000)))
        args = [value(dice, binary=True, depth=2) for _ in range(dice.randrange(4))]
        data = ["event", *args] if kind is PacketType.EVENT else args
    elif kind is PacketType.CONNECT:
        data = dice.choice((ABSENT, mapping(dice, binary=False, depth=2)))
    elif kind is PacketType.CONNECT_ERROR:
        data = dice.choice((dice.choice(STRINGS), mapping(dice, binary=False, depth=2)))
    return Packet(kind, namespace, data, number)


def messages(dice: random.Random) -> list[Message]:
    """What one connection sends: packets one after the other, usually with something wrong about one of them."""
    found: list[Message] = []
    for _ in range(dice.randint(1, 3)):
        sent = [part.data for part in encode(packet(dice))]
        if dice.random() < 0.7:
            sent[0] = damaged(str(sent[0]), dice)
        if dice.random() < 0.1:
            sent.insert(dice.randrange(len(sent) + 1), dice.randbytes(2))
        if dice.random() < 0.05:
            sent.pop()
        found += sent
    return found


def damaged(text: str, dice: random.Random) -> str:
    """`text` after some small accidents, still text that UTF-8 has a form for."""
    for _ in range(dice.randint(1, 3)):
        at = dice.choice((0, 1, 2, 3, dice.randrange(len(text) + 1)))
        cut = dice.choice((0, 0, 1, 2, 5))
        text = text[:at] + dice.choice((*TEXTS, "", "", text[at - 3 : at])) + text[at + cut :]
    return text


def made_up(dice: random.Random) -> list[Message]:
    """A packet put together of parts, each of which may be odd."""
    if dice.random() < 0.3:
        return binary(dice)
    head = dice.choice("2223355501465 7²") + dice.choice(("", "", "", *TEXTS))
    head += dice.choice(("", "", "/a,", "/", "/a", "/" + "n" * 200 + ",")) + dice.choice(
        ("", "", "0", "12", "9" * 15, "1" * 16, " ", "1 ")
    )
    args = [dice.choice((scalar(dice), place(dice))) for _ in range(dice.randrange(3))]
    body = dice.choice(
        (json.dumps(["x", *args]), json.dumps(scalar(dice)), json.dumps(place(dice)), "", dice.choice(TEXTS))
    )
    return [head + body, *(dice.randbytes(1) for _ in range(dice.randrange(3)))]


def binary(dice: random.Random) -> list[Message]:
    """A binary packet with the attachments it announces; its placeholders, or its count, may be odd."""
    number = dice.choice((0, 1, 1, 1, 2, 2, 3, 10, 11))
    count = dice.choice(("{}",) * 12 + ("0{}", "{}.0", " {}", "+{}", "{}e0", "0x{}", "{}.5", "-{}")).format(
        number
    )
    inner: Any = [place(dice) for _ in range(dice.randint(1, 3))]
    for _ in range(dice.choice((0, 0, 0, 1, 3, 70))):
        inner = dice.choice(([inner], {"a": inner}))
    text = f"{dice.choice('56')}{count}-{dice.choice(('', '/a,', '7'))}{json.dumps(['x', inner])}"
    return [text, *(dice.randbytes(1) for _ in range(number))]


def place(dice: random.Random) -> dict[str, Any]:
    """A placeholder, or what looks like one."""
    number = dice.choice((0,) * 6 + (1, 1, 2, -1, 10, 1.0, 0.5, -0.0, True, "0", None, "length"))
    return {"_placeholder": dice.choice((True,) * 8 + (1, "true", False)), "num": number}


def engine_packets(dice: random.Random) -> list[EnginePacket]:
    """Lawful Engine.IO packets for one payload."""
    found = []
    for _ in range(dice.randint(1, 4)):
        if dice.random() < 0.3:
            found.append(EnginePacket(EngineType.MESSAGE, dice.randbytes(dice.randrange(6))))
        else:
            text = dice.choice(STRINGS).replace("\x1e", "").encode("utf-8", "replace").decode()
            found.append(EnginePacket(dice.choice(list(EngineType)), text))
    return found


def payload(dice: random.Random) -> str:
    """The text of a payload, usually damaged."""
    text = encode_payload(engine_packets(dice)).decode()
    for _ in range(dice.choice((0, 1, 1, 2))):
        at = dice.randrange(len(text) + 1)
        odd = dice.choice(("", "\x1e", "b", "4", "7", "=", "A", "AA", " ", "€", "-", "\x1eb"))
        text = text[:at] + odd + text[at + dice.choice((0, 0, 1, 3)) :]
    return text
