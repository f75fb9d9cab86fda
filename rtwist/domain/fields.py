"""Reading the typed fields of an event: wrong types are refused, in words that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from rtwist.domain.event import DomainEvent
from rtwist.domain.ids import json_type, text_id
from rtwist.errors import BadEvent

Fields = TypeVar("Fields", bound=msgspec.Struct)
Number = int | float

_MISSING = re.compile(r"Object missing required field `(\w+)`")
_AT_PATH = re.compile(r"(.*) - at `\$\.(\w+)(.*)`")
_EXPECTED = re.compile(r"Expected `(.*)`, got `.*`")
_WORDS = {
    "int": "a number",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "object": "an object",
    "array": "an array",
}


class Id(str):
    """An id that `text_id` has checked; integers have become text."""

    __slots__ = ()


def read(event: DomainEvent, fields: type[Fields]) -> Fields:
    """Take the event's data as the struct `fields`; null and "" count as absent, other fields are left out.

    Raises `BadEvent`, which names the field, for one that is missing, of the wrong type, or no id.
    """
    present = {name: value for name, value in event.data.items() if not is_empty(value)}
    try:
        return msgspec.convert(present, fields, dec_hook=_id)
    except msgspec.ValidationError as error:
        raise BadEvent(_in_words(str(error), event.kind, present)) from None


def is_empty(value: object) -> bool:
    """Whether a field with this value is as good as absent."""
    return value is None or value == ""


def _id(kind: type, value: Any) -> Any:
    if kind is Id:
        return Id(text_id(value))
    raise NotImplementedError(f"fields of type {kind}")


def _in_words(error: str, kind: str, data: Mapping[str, Any]) -> str:
    if match := _MISSING.fullmatch(error):
        return f"{match[1]} is missing in an event of kind {kind}"
    if not (match := _AT_PATH.fullmatch(error)):
        return error
    reason, name, path = match.groups()
    expected = _EXPECTED.fullmatch(reason)
    if expected is None:
        return f"{name}{path} {reason}"
    words = dict.fromkeys(_WORDS[word] for word in expected[1].split(" | ") if word in _WORDS)
    got = "" if path else f", not {json_type(data[name])}"
    return f"{name}{path} must be {' or '.join(words)}{got}"
