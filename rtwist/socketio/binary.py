"""Binary values inside JSON: out of a packet into attachments, and back; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rtwist.errors import RemoteProtocolError

_BINARY = (bytes, bytearray, memoryview)
_LEAVES = frozenset({str, int, float, bool, type(None)})


def has_binary(value: Any) -> bool:
    """Whether `value` is or holds bytes anywhere."""
    items: Iterable[Any]
    if isinstance(value, dict):
        items = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    else:
        return isinstance(value, _BINARY)
    for item in items:  # no generator: it would take longer than the walk
        if type(item) in _LEAVES:
            continue
        if has_binary(item):
            return True
    return False


def deconstruct(value: Any, attachments: list[bytes]) -> Any:
    """`value` with each binary part replaced by a placeholder; the parts are appended to `attachments`."""
    if isinstance(value, _BINARY):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: deconstruct(item, attachments) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [deconstruct(item, attachments) for item in value]
    return value


def reconstruct(value: Any, attachments: Sequence[bytes]) -> Any:
    """`value` with each placeholder replaced by its attachment.

    Raises `RemoteProtocolError` unless every placeholder's number is an integer that an attachment has (Python
    would take -1, True and 1.0 as indexes), and stands once: what names a megabyte a thousand times would be a
    gigabyte to whoever it is sent on to.
    """
    return _reconstruct(value, list(attachments))


def _reconstruct(value: Any, left: list[bytes | None]) -> Any:
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            return _taken(left, value.get("num"))
        return {key: _reconstruct(item, left) for key, item in value.items()}
    if isinstance(value, list):
        return [_reconstruct(item, left) for item in value]
    return value


def _taken(left: list[bytes | None], number: Any) -> bytes:
    attachment = left[number] if type(number) is int and 0 <= number < len(left) else None
    if attachment is None:
        raise RemoteProtocolError("illegal attachments")
    left[number] = None
    return attachment
