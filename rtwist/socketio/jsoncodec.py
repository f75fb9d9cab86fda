"""JSON as JavaScript peers write and read it (RFC 8259), strict where Python is lax; pure."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

from rtwist.errors import RemoteProtocolError

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_OPENERS = "[{"


def loads(text: str, max_depth: int) -> Any:
    """The value of a JSON text; `RemoteProtocolError` when it is malformed or nested deeper than `max_depth`."""
    # Counting brackets is cheap and bounds the depth from above; only suspicious texts are walked.
    suspicious = text.count("[") + text.count("{") > max_depth
    if suspicious and _depth(text) > max_depth:
        raise RemoteProtocolError(f"JSON nested deeper than {max_depth}")
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        if "\\u" in text:
            return _loads_surrogates(text)
        raise RemoteProtocolError("malformed JSON") from error


def dumps(value: Any) -> str:
    """The JSON text of `value`; `TypeError` when it holds something JSON has no form for.

    NaN and infinities become null, as `JSON.stringify` makes them.
    """
    try:
        return _encoder.encode(value).decode("utf-8")
    except UnicodeEncodeError:
        # JavaScript strings may hold lone surrogates; they travel as escapes.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    except RecursionError:
        raise TypeError("the value is nested too deeply, or holds itself") from None


def _loads_surrogates(text: str) -> Any:
    # msgspec refuses the escapes of lone surrogates, which JSON.stringify sends.
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("malformed JSON") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _depth(text: str) -> int:
    depth = deepest = 0
    inside_string = False
    escaped = False
    for character in text:
        if inside_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside_string = False
        elif character == '"':
            inside_string = True
        elif character in _OPENERS:
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
