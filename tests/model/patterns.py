"""What the patterns of a token say of a room, written a second time from docs/rooms.rst."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

Values = Mapping[str, Sequence[str]]
"""What a user has, by the name of the placeholder."""


def verdict(patterns: Sequence[str], room: str, *, prefix: str, values: Values) -> bool | None:
    """Whether the last pattern that matches grants the room; `prefix` is that of its kind. None without one."""
    for pattern in reversed(patterns):
        refuses, body = pattern.startswith("!"), pattern.removeprefix("!")
        if not refuses and not body.startswith(prefix):
            continue
        if any(_fits(name, room, open_ended=body.endswith("*")) for name in _names(body, values)):
            return not refuses
    return None


def _names(body: str, values: Values) -> Iterator[str]:
    """What the pattern stands for, without its asterisk."""
    names: Iterable[str] = [body.removesuffix("*")]
    for placeholder, mine in values.items():
        if f"{{{placeholder}}}" in body:
            names = [name.replace(f"{{{placeholder}}}", one) for name in names for one in mine]
    yield from names


def _fits(name: str, room: str, *, open_ended: bool) -> bool:
    return room.startswith(name) if open_ended else room == name
