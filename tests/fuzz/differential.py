"""The same packets through the parsers of JavaScript and of rtwist, both ways: equal, or a known difference."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtwist.engineio.packet import Packet as EnginePacket
from rtwist.engineio.packet import decode_packet, encode_payload, split_payload
from rtwist.errors import RemoteProtocolError
from rtwist.socketio.packet import ABSENT, Decoder, Packet, PacketType, encode
from tests.fuzz import packets
from tests.fuzz.differences import REFUSED, WAITING, Step, difference
from tests.fuzz.packets import Message
from tests.socketio.strategies import joined
from tests.support.clients import CLIENTS, require_node_modules

BATCH = 20_000
BASE64 = "base64 that is not well-formed"
"""The one difference of payloads: Node skips what is none, as Python would without being told not to."""
PARSERS = Path(__file__).with_name("parsers.js")


def tagged(value: Any) -> Any:
    """`value` as parsers.js wants it."""
    if value is ABSENT:
        return {"u": 1}
    if isinstance(value, bytes):
        return {"b": value.hex()}
    if isinstance(value, (list, tuple)):
        return [tagged(item) for item in value]
    if isinstance(value, dict):
        return {"o": [[key, tagged(item)] for key, item in value.items()]}
    return value


def untagged(value: Any) -> Any:
    """What parsers.js means, in values whose equality is that of JavaScript: all numbers are floats."""
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "o":
            return {key: untagged(item) for key, item in content}
        return {"b": bytes.fromhex, "n": float, "u": lambda _: ABSENT}[kind](content)
    return comparable(value)


def comparable(value: Any) -> Any:
    """A value of rtwist's in the form that `untagged` has."""
    if isinstance(value, bool) or value is None or isinstance(value, bytes):
        return value
    if isinstance(value, (int, float)):
        try:
            return ("number", float(value))
        except OverflowError:
            return ("number", float("inf") if value > 0 else float("-inf"))
    if isinstance(value, str):
        return joined(value)
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {joined(key): comparable(item) for key, item in value.items()}
    return value


class JavaScript:
    """The parsers of socket.io and engine.io in a Node process, asked for many answers at once."""

    def __init__(self) -> None:
        self._node = require_node_modules()

    def ask(self, questions: Sequence[tuple[str, Any]]) -> list[Any]:
        """An answer to each (operation, argument)."""
        done = subprocess.run(
            [self._node, str(PARSERS)],
            input="\n".join(map(json.dumps, questions)),
            env={**os.environ, "NODE_PATH": str(CLIENTS / "node_modules")},
            capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
        answers = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
        assert len(answers) == len(questions), done.stderr
        return answers


@dataclass
class Findings:
    """What came of a comparison: how many packets, which differences how often, and those without a reason."""

    packets: int = 0
    accepted: int = 0
    known: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)


# --- from text to packets


def our_results(messages: Sequence[Message]) -> tuple[list[Any], str]:
    """What rtwist makes of each message, as far as the first that it refuses, and why it does that."""
    decoder = Decoder(max_attachments=10, max_depth=64)
    results: list[Any] = []
    for message in messages:
        try:
            packet = decoder.add(message)
        except RemoteProtocolError as error:
            return [*results, REFUSED], str(error)
        results.append(WAITING if packet is None else plain(packet))
    return results, ""


def plain(packet: Packet) -> tuple[int, str, Any, Any]:
    """A packet of rtwist's for comparison."""
    number = ABSENT if packet.id is None else packet.id
    return int(packet.type), packet.namespace, comparable(number), comparable(packet.data)


def their_result(answer: Any) -> Any:
    """A packet of JavaScript's for comparison."""
    if answer in (REFUSED, WAITING):
        return answer
    kind, namespace, number, data = answer
    return kind, namespace, untagged(number), untagged(data)


def first_difference(messages: Sequence[Message], answers: Sequence[Any]) -> Step | None:
    """Where the parsers part, None when they agree to the end."""
    ours, fault = our_results(messages)
    for at, (mine, answer) in enumerate(zip(ours, answers, strict=False)):
        theirs = their_result(answer)
        if mine != theirs:
            return Step(messages[: at + 1], mine, fault if mine == REFUSED else "", theirs)
    assert len(ours) == len(answers)
    return None


def compare_messages(cases: Sequence[Sequence[Message]], javascript: JavaScript, found: Findings) -> None:
    """Decode what connections send."""
    for messages, answers in zip(cases, javascript.ask([("decode", tagged(one)) for one in cases]), strict=True):
        step = first_difference(messages, answers)
        found.packets += len(answers)
        found.accepted += sum(answer not in (REFUSED, WAITING) for answer in answers)
        if step is None:
            continue
        known = difference(step)
        if known is not None:
            found.known[known.name] += 1
        else:
            found.unknown.append(f"{step.messages!r}: {step.ours!r} {step.fault}, in JavaScript {step.theirs!r}")


# --- from packets to text


def compare_packets(cases: Sequence[Packet], javascript: JavaScript, found: Findings) -> None:
    """Encode with either and decode with the other."""
    ours = [[part.data for part in encode(packet)] for packet in cases]
    arguments = [
        tagged((int(one.type), one.namespace, ABSENT if one.id is None else one.id, one.data)) for one in cases
    ]
    theirs = javascript.ask([("encode", argument) for argument in arguments])
    read = javascript.ask([("decode", tagged(messages)) for messages in ours])
    for packet, answers, encoded in zip(cases, read, theirs, strict=True):
        found.packets += 2
        found.accepted += 2
        expected = plain(packet)
        if their_result(answers[-1]) != expected:
            found.unknown.append(f"{packet!r} reaches JavaScript as {answers!r}")
        back, fault = our_results([bytes.fromhex(one["b"]) if isinstance(one, dict) else one for one in encoded])
        if back[-1] != expected:
            found.unknown.append(f"{packet!r} comes from JavaScript as {encoded!r}: {back!r} {fault}")


# --- payloads


def our_payload(text: str) -> list[Any]:
    """The packets that rtwist finds in a payload, as far as the first that is none."""
    results: list[Any] = []
    for segment in split_payload(text.encode(), 1000):
        try:
            packet = decode_packet(segment)
        except RemoteProtocolError:
            return [*results, REFUSED]
        results.append((packet.type.name.lower(), packet.data))
    return results


def compare_payloads(cases: Sequence[str], javascript: JavaScript, found: Findings) -> None:
    """Decode the bodies of polling requests."""
    for text, answers in zip(cases, javascript.ask([("payload", text) for text in cases]), strict=True):
        ours = our_payload(text)
        theirs = [one if one == REFUSED else (one[0], _data(one[1])) for one in answers]
        found.packets += len(ours)
        found.accepted += sum(one != REFUSED for one in ours)
        if ours == theirs:
            continue
        at = len(ours) - 1
        if ours[-1] == REFUSED and ours[:at] == theirs[:at] and text.split("\x1e")[at].startswith("b"):
            found.known[BASE64] += 1
        else:
            found.unknown.append(f"{text!r}: {ours!r}, in JavaScript {theirs!r}")


def _data(value: Any) -> str | bytes:
    data = untagged(value)
    return "" if data is ABSENT else data


def compare_joined(cases: Sequence[Sequence[EnginePacket]], javascript: JavaScript, found: Findings) -> None:
    """Encode payloads: to the same octets."""
    questions = [("joined", [(one.type.name.lower(), tagged(one.data)) for one in case]) for case in cases]
    for case, answer in zip(cases, javascript.ask(questions), strict=True):
        found.packets += len(case)
        found.accepted += len(case)
        if encode_payload(case) != answer.encode():
            found.unknown.append(f"{case!r} is {encode_payload(case)!r}, in JavaScript {answer!r}")


def compare(total: int, seed: object = 0) -> Findings:
    """Compare until `total` packets went through both."""
    javascript, found = JavaScript(), Findings()
    for number in _batches():
        dice = random.Random(f"{seed} {number}")
        size = min(BATCH, max(100, (total - found.packets) // 4))
        compare_messages([packets.messages(dice) for _ in range(size // 2)], javascript, found)
        compare_messages([packets.made_up(dice) for _ in range(size // 2)], javascript, found)
        compare_packets([packets.packet(dice) for _ in range(size // 4)], javascript, found)
        compare_payloads([packets.payload(dice) for _ in range(size // 4)], javascript, found)
        compare_joined([packets.engine_packets(dice) for _ in range(size // 8)], javascript, found)
        if found.packets >= total:
            return found
    raise AssertionError("unreachable")


def _batches() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def report(total: int) -> bool:
    """Compare and print; whether every difference has its reason."""
    found = compare(total)
    print(f"\n{found.packets} packets through both parsers, {found.accepted} accepted; known differences:")
    for name, times in found.known.most_common():
        print(f"{times:>8}  {name}")
    print(f"{len(found.unknown)} without a reason", *found.unknown[:20], sep="\n")
    return not found.unknown


__all__ = ["BASE64", "Findings", "PacketType", "compare", "report"]
