"""Reading routes from TOML; every mistake names the file and the line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from rtwist.domain.ids import plain_text
from rtwist.domain.rooms import RESERVED_PREFIXES
from rtwist.domain.router import Rule, checked_pattern
from rtwist.domain.routes import ALL_FIELDS, PLACEHOLDER, Route, Routes
from rtwist.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEYS = ("pattern", "emit", "rooms", "everyone", "fields")
RESERVED_EVENTS = ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
"""Names that Socket.IO keeps for itself."""


def read_routes(text: str, source: str) -> dict[str, Rule]:
    """Take the text of a routes file and return its rules by pattern.

    Several routes may have the same pattern; each of them then emits. Raises `ConfigError`, which begins with
    `source` and the line, for the first mistake.
    """
    return _File(text, source).rules()


class _File:
    """The text of one routes file, and where in it things stand."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source

    def rules(self) -> dict[str, Rule]:
        """The checked rules."""
        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(self._syntax_error(str(error))) from None
        except (RecursionError, ValueError):
            # What the parser leaves to the interpreter: its stack, and its limit for digits.
            raise ConfigError(
                f"{self._source}: nested too deeply, or a number of more than a thousand digits"
            ) from None
        for name in document:
            if name != "route":
                self._fail(self._line_of_key(name, 0), f"unknown table {name!r}; {_meant(name, ['route'])}")
        tables = document.get("route", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._fail(self._line_of_key("route", 0), "write each route as a table of its own, under [[route]]")
        found: dict[str, list[Route]] = {}
        for index, table in enumerate(tables):
            entry = _Entry(self, index, table)
            found.setdefault(entry.pattern(), []).append(entry.route())
        return {
            pattern: routes[0] if len(routes) == 1 else Routes(tuple(routes)) for pattern, routes in found.items()
        }

    def fail_in(self, index: int, key: str | None, value: str | None, reason: str) -> NoReturn:
        """Raise the error about a value of a key of the route with this index, as precisely as it is found."""
        headers = self._headers()
        start = headers[index] if index < len(headers) else self._line_of_key("route", 0)
        end = headers[index + 1] if index + 1 < len(headers) else None
        line = start if key is None else self._line_of_key(key, start, end)
        if value is not None:
            line = self._line_of_text(value, line, end)
        self._fail(line, reason)

    def _fail(self, line: int, reason: str) -> NoReturn:
        raise ConfigError(f"{self._source}, line {line + 1}: {reason}")

    def _syntax_error(self, error: str) -> str:
        match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", error, re.DOTALL)
        if match is None:
            return f"{self._source}: {error}"
        line = match[2] or self._text.rstrip("\n").count("\n") + 1
        return f"{self._source}, line {line}: {match[1]}" + (f" (column {match[3]})" if match[3] else "")

    def _headers(self) -> list[int]:
        """The lines, from 0, where routes begin."""
        header = re.compile(r"\s*\[\[\s*(?:route|\"route\"|'route')\s*\]\]")
        return [line for line, text in self._lines() if header.match(text) and self._is_statement(line)]

    def _line_of_key(self, key: str, start: int, end: int | None = None) -> int:
        """The line that sets a key or opens a table of that name; `start` if it is written another way."""
        name = rf"(?:{re.escape(key)}|\"{re.escape(key)}\"|'{re.escape(key)}')"
        statement = re.compile(rf"\s*(?:{name}\s*[.=]|\[\[?\s*(?:route\s*\.\s*)?{name}\s*[\].])")
        for line, text in self._lines():
            if (
                start <= line
                and (end is None or line < end)
                and statement.match(text)
                and self._is_statement(line)
            ):
                return line
        return start

    def _line_of_text(self, text: str, start: int, end: int | None) -> int:
        found = (line for line, content in self._lines() if start <= line and text in content)
        line = next(found, start)
        return line if end is None or line < end else start

    def _lines(self) -> Iterable[tuple[int, str]]:
        return enumerate(self._text.split("\n"))

    def _is_statement(self, line: int) -> bool:
        # What comes before is complete, so that this line is not within a string or an array.
        try:
            tomllib.loads("\n".join(self._text.split("\n")[:line]))
        except tomllib.TOMLDecodeError:
            return False
        return True


class _Entry:
    """One route as it stands in the file."""

    def __init__(self, file: _File, index: int, table: Mapping[str, Any]) -> None:
        self._file = file
        self._index = index
        self._table = table
        for key in table:
            if key not in KEYS:
                self._fail(f"unknown key {key!r}; {_meant(key, KEYS)}", key)

    def pattern(self) -> str:
        """The kinds of events it is for."""
        pattern = self._text("pattern")
        try:
            return checked_pattern(pattern)
        except ConfigError as error:
            self._fail(str(error), "pattern", pattern)

    def route(self) -> Route:
        """The rule."""
        event = self._text("emit")
        if event in RESERVED_EVENTS:
            self._fail(f"{event!r} is a name that Socket.IO keeps for itself", "emit")
        everyone = self._table.get("everyone", False)
        if not isinstance(everyone, bool):
            self._fail("everyone must be true or false", "everyone")
        rooms = self._rooms()
        if everyone and rooms:
            self._fail("name rooms or say everyone = true, not both", "everyone")
        if not everyone and not rooms:
            key = "rooms" if "rooms" in self._table else None
            self._fail(
                'there is nobody to emit to: name rooms such as "user:{userId}", or say everyone = true', key
            )
        return Route(event, rooms, self._fields(everyone=everyone), everyone)

    def _rooms(self) -> tuple[str, ...]:
        rooms = self._texts("rooms")
        for room in rooms:
            self._check_room(room)
        return tuple(rooms)

    def _check_room(self, room: str) -> None:
        literal = PLACEHOLDER.sub("", room)
        if "{" in literal or "}" in literal:
            self._fail(
                f"{room!r} has a placeholder that is no field: write for example {{userId}}", "rooms", room
            )
        if "|" in literal:
            self._fail(f"{room!r} holds '|', which only rtwist's own room names do", "rooms", room)
        prefix, colon, rest = room.partition(":")
        known = [name.removesuffix(":") for name in RESERVED_PREFIXES]
        if colon and prefix in known and not rest:
            self._fail(f"{room!r} names no {prefix}: write for example {prefix}:{{{prefix}Id}}", "rooms", room)
        near = get_close_matches(prefix, known, n=1, cutoff=0.75)
        if colon and prefix not in known and near:
            self._fail(
                f"{room!r} would be a room that anybody may join; did you mean {near[0]!r}?", "rooms", room
            )

    def _fields(self, *, everyone: bool) -> tuple[str, ...]:
        if "fields" not in self._table:
            self._fail('fields is missing: list the fields to pass on, or say fields = "*" for all')
        if self._table["fields"] == ALL_FIELDS:
            if everyone:
                self._fail("everyone gets listed fields only: name them instead of *", "fields")
            return (ALL_FIELDS,)
        fields = self._texts("fields")
        if ALL_FIELDS in fields:
            self._fail('write fields = "*" to pass on all of them', "fields", ALL_FIELDS)
        for field in fields:
            if "." in field:
                self._fail(f"{field!r} lies within another field: only whole ones are passed on", "fields", field)
        return tuple(fields)

    def _text(self, key: str) -> str:
        if key not in self._table:
            self._fail(f"{key} is missing")
        return self._checked(key, self._table[key])

    def _texts(self, key: str) -> Sequence[str]:
        values = self._table.get(key, [])
        if not isinstance(values, list):
            self._fail(f"{key} must be an array of strings", key)
        return [self._checked(key, value) for value in values]

    def _checked(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            self._fail(
                f"{key} must be {'an array of strings' if key in ('rooms', 'fields') else 'a string'}", key
            )
        try:
            return plain_text(value)
        except ValueError as reason:
            self._fail(f"{key} {reason}", key)

    def _fail(self, reason: str, key: str | None = None, value: str | None = None) -> NoReturn:
        self._file.fail_in(self._index, key, value, reason)


def _meant(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there is {', '.join(known)}"
