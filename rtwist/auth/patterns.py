"""Patterns of room names in a token: what they grant its bearer beyond the rules, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rtwist.domain.ids import MAX_ID_CHARS, plain_text

MAX_PATTERNS = 100
"""Each is tried at every request; a token of 8 KB holds some two hundred short ones."""

MAX_PATTERN_CHARS = MAX_ID_CHARS
"""As long as a room's name may be, and longer would match nothing."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}", re.ASCII)
_ONE = ("userId", "companyId")
_SEVERAL = ("shopId", "role")
PLACEHOLDERS = (*_ONE, *_SEVERAL)
"""What a pattern may take from the identity; `shopId` and `role` stand for each of the user's."""

Values = Mapping[str, tuple[str, ...]]
"""What the placeholders stand for, by name; a pattern that uses one without values matches nothing."""


@dataclass(frozen=True, slots=True)
class RoomPattern:
    """A room name, or with `open_ended` how one begins; `refuses` rather than grants.

    `parts` are literal text and the name of a placeholder by turns, literal first and last.
    """

    parts: tuple[str, ...]
    open_ended: bool = False
    refuses: bool = False

    @property
    def beginning(self) -> str:
        """The text before the first placeholder."""
        return self.parts[0]

    def matches(self, room: str, values: Values) -> bool:
        """Whether `room` is meant. What is filled in is literal: a user called `*` is no wildcard."""
        return self._fits(room, self.parts, values)

    def _fits(self, rest: str, parts: tuple[str, ...], values: Values) -> bool:
        literal, *more = parts
        if not more:
            return rest.startswith(literal) if self.open_ended else rest == literal
        if not rest.startswith(literal):
            return False
        rest, choices, others = rest[len(literal) :], values.get(more[0], ()), tuple(more[1:])
        if not rest.startswith(choices):  # one look at a thousand shops, for a token may hold a hundred patterns
            return False
        return any(rest.startswith(one) and self._fits(rest[len(one) :], others, values) for one in choices)


def read_patterns(name: str, value: object) -> tuple[RoomPattern, ...]:
    """The patterns in the claim `name`: a list of texts, or one text.

    `*` may end a pattern and stands for any ending; `!` before it makes it refuse; `{userId}`, `{companyId}`,
    `{shopId}` and `{role}` stand for what the user has. Raises ValueError, naming the claim, for anything else.
    """
    texts = value if isinstance(value, list) else [value]
    if len(texts) > MAX_PATTERNS:
        raise ValueError(f"{name} must not hold more than {MAX_PATTERNS} patterns")
    try:
        return tuple(map(read_pattern, texts))
    except ValueError as reason:
        raise ValueError(f"a pattern in {name} {reason}") from None


def read_pattern(value: object) -> RoomPattern:
    """One pattern; raises ValueError, whose text fits behind what it is about ("must ...")."""
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - the token's fault, not the caller's
    text = plain_text(value)
    refuses = text.startswith("!")
    body = text.removeprefix("!")
    open_ended = body.endswith("*")
    parts = tuple(_PLACEHOLDER.split(body.removesuffix("*")))
    if not body or "*" in body[:-1]:
        raise ValueError("must name a room, with * at the end only")
    if any("{" in literal or "}" in literal for literal in parts[::2]) or {*parts[1::2]} - {*PLACEHOLDERS}:
        known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
        raise ValueError(f"must use braces for {known} only")
    if sum(part in _SEVERAL for part in parts[1::2]) > 1:
        raise ValueError("must hold {shopId} or {role} once at most")
    return RoomPattern(parts, open_ended, refuses)


def last_match(patterns: Iterable[RoomPattern], room: str, values: Values, *, prefix: str) -> RoomPattern | None:
    """The last of `patterns` that speaks of `room`, whose kind begins with `prefix`.

    A refusal speaks of every room it matches. A grant must begin with the prefix itself, so that `*`, or a
    role called `order`, opens no orders.
    """
    for pattern in reversed(tuple(patterns)):
        spoken_of = pattern.refuses or pattern.beginning.startswith(prefix)
        if spoken_of and pattern.matches(room, values):
            return pattern
    return None
