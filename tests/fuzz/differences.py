"""Where rtwist reads a packet otherwise than the JavaScript parsers, on purpose: all of it, with the reasons.

docs/protocol.rst tells users of the same in fewer words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtwist.socketio.packet import ABSENT
from tests.fuzz.packets import Message

REFUSED = "refused"
WAITING = None
Result = Any
"""REFUSED, WAITING, or a packet as (type, namespace, id, data)."""


@dataclass(frozen=True)
class Step:
    """The first message of a connection that the two parsers take differently."""

    messages: Sequence[Message]
    """Up to and including that message."""
    ours: Result
    fault: str
    """Why rtwist refused it, "" when it did not."""
    theirs: Result

    @property
    def text(self) -> str:
        """The last text message, which the step is about."""
        return next((one for one in reversed(self.messages) if isinstance(one, str)), "")

    @property
    def refused(self) -> bool:
        """Whether rtwist alone refused it."""
        return self.ours == REFUSED and self.theirs != REFUSED


@dataclass(frozen=True)
class Difference:
    """One deliberate difference: an example of it, and how to tell it."""

    name: str
    reason: str
    example: Sequence[Message]
    seen_in: Callable[[Step], bool]


_BLANKS = r"[\s\ufeff]"
_BLANK_ID = re.compile(rf"[0-6](?:[0-9]+-)?(?:/[^,]*,)?[0-9]*{_BLANKS}")


def _refused_for(fault: str) -> Callable[[Step], bool]:
    return lambda step: step.refused and fault in step.fault


def _read_by_theirs(step: Step) -> Any:
    if step.theirs is not WAITING:
        return step.theirs
    # Not handed on before its attachments are there; Python's own decoder reads numbers as JavaScript does.
    for start in re.finditer(r"\[", step.text):
        try:
            return json.loads(step.text[start.start() :])
        except ValueError:
            continue
    return None


def _has_infinity(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_infinity, value))
    if isinstance(value, dict):
        return any(map(_has_infinity, value.values()))
    return isinstance(value, float) and math.isinf(value)


def _without_data(theirs: Result) -> bool:
    # A binary packet waits for its attachments first.
    return theirs is WAITING or theirs[3] is ABSENT


DIFFERENCES = [
    Difference(
        "a packet without its payload",
        "Node hands on an event or an acknowledgement whose data is undefined; the protocol demands an array.",
        ["2"],
        lambda step: step.refused and "invalid payload" in step.fault and _without_data(step.theirs),
    ),
    Difference(
        "a blank for a type",
        'JavaScript\'s Number("") and Number(" ") are 0, which is CONNECT.',
        [""],
        lambda step: (
            step.refused and step.fault == "unknown packet type" and not step.text[:1].strip("\ufeff").strip()
        ),
    ),
    Difference(
        "a blank as an ack id",
        "To Number() a blank is 0 too, and part of an id; here it belongs to the JSON, which may begin so.",
        ['2 ["x"]'],
        lambda step: step.theirs != REFUSED and bool(_BLANK_ID.match(step.text)),
    ),
    Difference(
        "an ack id of more than 15 digits",
        "JavaScript's number is no longer exact and may become Infinity.",
        ["2" + "9" * 16 + '["x"]'],
        _refused_for("ack id is too long"),
    ),
    Difference(
        "a namespace of more than 200 characters",
        "It is a key in dictionaries and a word in the log before it is known.",
        ["0/" + "n" * 200],
        _refused_for("namespace name is too long"),
    ),
    Difference(
        "a count of attachments that Number() reads",
        "Digits only, as the protocol says; Number() also reads blanks, signs, fractions, exponents and 0x1.",
        ['51.0-["x"]'],
        lambda step: step.ours == REFUSED and step.theirs is WAITING and step.fault == "illegal attachments",
    ),
    Difference(
        "a binary packet without attachments",
        "Complete at once; the newest Node parser refuses it, older ones wait for ever.",
        ['50-["x"]'],
        lambda step: (
            step.theirs == REFUSED
            and step.ours not in (REFUSED, WAITING)
            and bool(re.match("[56]0+-", step.text))
        ),
    ),
    Difference(
        "a placeholder's number that is no integer",
        "Node takes 0.5 as an index that nothing has, and hands on undefined; 1.0 is refused along with it.",
        ['51-["x",{"_placeholder":true,"num":0.5}]', b"a"],
        lambda step: (
            step.refused
            and step.fault == "illegal attachments"
            and bool(re.search(r'"num": ?-?[0-9]+[.eE]', step.text))
        ),
    ),
    Difference(
        "an attachment in several places",
        "An encoder never does that, and sent on it would be as many attachments: a megabyte becomes a gigabyte.",
        ['51-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', b"a"],
        lambda step: step.refused and step.fault == "illegal attachments" and _repeats(step.text),
    ),
    Difference(
        "JSON nested more than 64 deep",
        "The interpreter's stack ends somewhere.",
        ["2" + '["x",' + "[" * 64 + "]" * 65],
        _refused_for("JSON nested deeper"),
    ),
    Difference(
        "a number beyond the largest",
        "JavaScript reads Infinity, which no JSON can say again.",
        ['2["x",1e400]'],
        lambda step: step.refused and step.fault == "malformed JSON" and _has_infinity(_read_by_theirs(step)),
    ),
]


def _repeats(text: str) -> bool:
    numbers = re.findall(r'"num": ?([0-9]+)', text)
    return len(set(numbers)) < len(numbers)


def difference(step: Step) -> Difference | None:
    """The deliberate difference that a step shows, None when there is no reason for it."""
    return next((one for one in DIFFERENCES if one.seen_in(step)), None)
