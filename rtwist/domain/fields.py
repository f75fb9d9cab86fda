"""Reading the typed fields of an event: wrong types are refused, in words that name the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, get_args

import msgspec

from rtwist.domain.event import DomainEvent
from rtwist.domain.ids import json_type, plain_text, text_id
from rtwist.errors import BadEvent

Fields = TypeVar("Fields", bound=msgspec.Struct)
_Bounds = msgspec.Meta(ge=-(2**53), le=2**53)
Number = Annotated[int, _Bounds] | Annotated[float, _Bounds]
"""The type of a field that is calculated with; larger numbers are not exact to JavaScript."""

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


MAX_IDS = 1000
"""Ids in one list: each of them is a room to address or to join."""


class _Checked(type):
    """What values a hook returned are taken for: the plain types that JSON encoders know."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, str | tuple)


class Id(str, metaclass=_Checked):
    """The type of a field that holds an id: text that `plain_text` has checked; integers have become text."""


class SubjectId(str, metaclass=_Checked):
    """The same for the id of what can be followed (an order, product, transfer): `text_id` has checked it."""


class Ids(tuple[Id, ...], metaclass=_Checked):
    """The type of a field that holds one id, or a list of ids or of objects with `id`, each once."""


def read(event: DomainEvent, fields: type[Fields]) -> Fields:
    """Take the event's data as the struct `fields`; null and "" count as absent, other fields are left out.

    Raises `BadEvent`, which names the field, for one that is missing, of the wrong type, or no id.
    """
    data, found = event.data, {}
    # What is as it should be, which is nearly everything, needs no general tool.
    try:
        for name, written, check in _checks(fields):
            value = data.get(written)
            if value is not None and value != "":
                found[name] = check(value)
        if "".join(data).isascii():
            return fields(**found)
    except (TypeError, ValueError):
        pass
    return _converted(event, fields)


def _converted(event: DomainEvent, fields: type[Fields]) -> Fields:
    """The same, for every type of field that there is, and with the reason when it cannot be."""
    present = {name: value for name, value in event.data.items() if not is_empty(value)}
    try:
        return msgspec.convert(present, fields, dec_hook=_id)
    except msgspec.ValidationError as error:
        raise BadEvent(_in_words(str(error), event.kind, event.data)) from None
    except UnicodeEncodeError:
        raise BadEvent(f"a field of an event of kind {event.kind} has a name with a lone surrogate") from None


def is_empty(value: object) -> bool:
    """Whether a field with this value is as good as absent."""
    return value is None or value == ""


def _id(kind: type, value: Any) -> Any:
    if kind is Id:
        return plain_text(value)
    if kind is SubjectId:
        return text_id(value)
    if kind is Ids:
        return _ids(value)
    raise NotImplementedError(f"fields of type {kind}")


def _ids(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_IDS:
        raise ValueError(f"must not hold more than {MAX_IDS}")
    found = (plain_text(one.get("id") if isinstance(one, dict) else one) for one in values)
    return tuple(dict.fromkeys(found))


def _exact_int(value: Any) -> int:
    if type(value) is int and -(2**53) <= value <= 2**53:
        return value
    raise TypeError("for _converted")


def _any_other(value: Any) -> Any:
    raise TypeError("for _converted")


_CHECKS: Mapping[Any, Callable[[Any], Any]] = {
    frozenset({Id}): plain_text,
    frozenset({SubjectId}): text_id,
    frozenset({Ids}): _ids,
    frozenset(get_args(Number)): _exact_int,
}
"""By the types of a field besides None."""


@cache
def _checks(fields: type[msgspec.Struct]) -> Sequence[tuple[str, str, Callable[[Any], Any]]]:
    """The name of each field, the name it has in events, and what returns a value that is as it should be."""
    found = []
    for field in msgspec.structs.fields(fields):
        types = frozenset(get_args(field.type) or (field.type,)) - {type(None)}
        found.append((field.name, field.encode_name, _CHECKS.get(types, _any_other)))
    return found


def _in_words(error: str, kind: str, data: Mapping[str, Any]) -> str:
    if match := _MISSING.fullmatch(error):
        if match[1] in data and data[match[1]] is None:
            return f"{match[1]} is null"
        return f"{match[1]} is missing in an event of kind {kind}"
    if not (match := _AT_PATH.fullmatch(error)):
        return error
    reason, name, path = match.groups()
    expected = _EXPECTED.fullmatch(reason)
    if expected is None:
        return f"{name}{path} " + ("must be a smaller number" if reason.startswith("Expected") else reason)
    words = dict.fromkeys(_WORDS[word] for word in expected[1].split(" | ") if word in _WORDS)
    got = "" if path else f", not {json_type(data[name])}"
    return f"{name}{path} must be {' or '.join(words)}{got}"
