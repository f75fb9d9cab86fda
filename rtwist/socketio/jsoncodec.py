"""JSON as JavaScript peers write and read it (RFC 8259), strict where Python is lax; pure."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

from rtwist.errors import LimitPassed, RemoteProtocolError

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
# It also takes a string that never ends: were it to fail there, every quote would start another try.
_STRINGS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEPS)
_TOO_DEEP = "the value is nested too deeply, or holds itself"


def loads(text: str, max_depth: int) -> Any:
    """The value of a JSON text.

    Raises `RemoteProtocolError` when it is malformed, `LimitPassed` when it is nested deeper than `max_depth`.
    """
    # Counting brackets is cheap and bounds the depth from above; only suspicious texts are walked.
    suspicious = text.count("[") + text.count("{") > max_depth
    if suspicious and _depth(text) > max_depth:
        raise LimitPassed("max_depth", f"JSON nested deeper than {max_depth}")
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        if "\\u" in text:
            return _loads_surrogates(text)
        raise RemoteProtocolError("malformed JSON") from error


def footprint(text: str) -> int:
    """About how many bytes the value of a JSON text takes, besides those of its strings; `[[],[],` takes most."""
    return 32 * text.count(",") + 64 * text.count("[") + 192 * text.count("{")


def where_wrong(error: RemoteProtocolError) -> str:
    """What is wrong with a text that `loads` refused, and where if the decoder knows."""
    said = str(error.__cause__)
    if said == "Input data was truncated":
        return "it ends too early"
    if "out of range" in said:
        return "a number is out of range"
    return said.removeprefix("JSON is malformed: ") if said.endswith(")") else str(error)


def dumps(value: Any) -> str:
    """The JSON text of `value`; `TypeError` when it holds something JSON has no form for.

    NaN and infinities become null, as `JSON.stringify` makes them.
    """
    try:
        return _encoder.encode(value).decode("utf-8")
    except UnicodeEncodeError:
        return _dumps_surrogates(value)
    except RecursionError:
        raise TypeError(_TOO_DEEP) from None


def _dumps_surrogates(value: Any) -> str:
    # JavaScript strings may hold lone surrogates, which msgspec has no form for; they travel as escapes.
    try:
        plain = _without_nan(msgspec.to_builtins(value, str_keys=True))
        return json.dumps(plain, separators=(",", ":"), allow_nan=False)
    except (RecursionError, ValueError):
        raise TypeError(_TOO_DEEP) from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def _loads_surrogates(text: str) -> Any:
    # msgspec refuses the escapes of lone surrogates, which JSON.stringify sends.
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("malformed JSON") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is out of range")
    return value


def _depth(text: str) -> int:
    brackets = _STRINGS.sub("", text).encode("utf-8", "replace").translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
