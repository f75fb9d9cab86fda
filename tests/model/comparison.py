"""Holding what a client got against what it must have got: all of it, nothing else, in that order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.model.live import Heard

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_OF_THE_SERVER = {
    "presence:": ("timestamp",),
    "typing": ("timestamp",),
    "auth:": ("timestamp", "message"),
    "error": ("message",),
}
"""What is for the server to say, and must be there: when it happened, and in what words."""


def differences(name: str, expected: list[Heard], got: list[tuple[str, Any]]) -> Iterator[str]:
    """Where what a client got first differs from what it must have got, order and contents included."""
    heard = iter(got)
    one = next(heard, None)
    for at, each in enumerate(expected):
        if one is not None and same(each, one):
            one = next(heard, None)
        elif each.certain:
            lacks = f"{name} lacks {each}, number {at} of {len(expected)}"
            yield lacks if one is None else f"{name}, as number {at}: {one} instead of {each}"
            return
    if one is not None:
        yield f"{name} got {1 + len([*heard])} more, first {one}"


def same(expected: Heard, got: tuple[str, Any]) -> bool:
    """Whether it is that, with whatever the server had to add."""
    event, data = got
    for beginning, names in _OF_THE_SERVER.items():
        if event.startswith(beginning):
            said = {name: data.get(name) for name in names}
            data = {name: value for name, value in data.items() if name not in names}
            if not all(said.values()) or not ISO.fullmatch(said.get("timestamp", _SOME_TIME)):
                return False
    return event == expected.emission and data == expected.data


def worded(answer: dict[str, Any]) -> dict[str, Any]:
    """An acknowledgement without the words of an error, which must be there."""
    if answer["success"]:
        return answer
    error = dict(answer["error"])
    assert error.pop("message")
    return {**answer, "error": error}


_SOME_TIME = "2026-01-01T00:00:00.000Z"
