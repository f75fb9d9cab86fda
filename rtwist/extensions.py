"""Rules from outside: those that installed packages offer, and those of the operator's routes file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from rtwist.domain.emission import Answer, Emission
from rtwist.domain.event import DomainEvent
from rtwist.domain.owners import Owners
from rtwist.domain.router import Rule, checked_pattern
from rtwist.domain.routesfile import RESERVED_EVENTS, read_routes
from rtwist.domain.rules import BUILT_IN
from rtwist.errors import ConfigError

GROUP = "rtwist.rules"
"""The entry point group: each entry names a mapping of patterns to rules, or something to call for one."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class OfferedRule:
    """A package's rule, with a check of what it answers before any of it takes effect."""

    rule: Rule
    origin: str

    def __call__(self, event: DomainEvent, owners: Owners) -> list[Answer]:
        """What the rule answers; raises `TypeError` for what is no answer, saying whose rule it was."""
        answers: Any = self.rule(event, owners)
        if not isinstance(answers, Iterable):
            raise TypeError(f"{self.origin} answers {event.kind} with {answers!r}, which is no list")
        checked = list(answers)
        for answer in checked:
            if not isinstance(answer, Answer) or (
                isinstance(answer, Emission) and answer.event in RESERVED_EVENTS
            ):
                raise TypeError(f"{self.origin} answers {event.kind} with {answer!r}, which cannot be emitted")
        return checked


def all_rules(routes: Path | None, offered: Iterable[EntryPoint] | None = None) -> dict[str, Rule]:
    """Every rule by its pattern: of the same pattern the routes file's counts, then a package's, then rtwist's.

    `offered` are the packages' entry points, those of `GROUP` unless given. Raises `ConfigError`, which names
    the package and its entry, or the file and the line.
    """
    found = entry_points(group=GROUP) if offered is None else offered
    return {**BUILT_IN, **_offered_rules(found), **({} if routes is None else _routes_of(routes))}


def _offered_rules(offered: Iterable[EntryPoint]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    origins: dict[str, str] = {}
    for entry in sorted(offered, key=_origin):
        origin = _origin(entry)
        for pattern, rule in _loaded(entry).items():
            if pattern in rules:
                raise ConfigError(f"{origin} and {origins[pattern]} both have a rule for {pattern!r}: remove one")
            origins[pattern] = origin
            rules[pattern] = OfferedRule(_checked_rule(origin, pattern, rule), origin)
        _log.info("{origin} brings rules", origin=origin)
    return rules


def _loaded(entry: EntryPoint) -> Mapping[Any, Any]:
    try:
        value = entry.load()
        if callable(value) and not isinstance(value, Mapping):
            value = value()
    except Exception as error:  # whatever a package's code raises
        raise ConfigError(f"{_origin(entry)} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{_origin(entry)} must be a mapping of patterns to rules, or return one; it is {value!r}"
        )
    return value


def _checked_rule(origin: str, pattern: Any, rule: Any) -> Rule:
    try:
        checked_pattern(pattern if isinstance(pattern, str) else f"{pattern!r} (not a string)")
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None
    if not callable(rule):
        raise ConfigError(f"{origin}: the rule for {pattern!r} cannot be called, it is {rule!r}")
    checked: Rule = rule
    return checked


def _routes_of(path: Path) -> dict[str, Rule]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the routes file {path} cannot be read: {error}") from None
    return read_routes(text, str(path))


def _origin(entry: EntryPoint) -> str:
    package = "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    return f"the entry point {entry.name!r} ({entry.value}) of {package}"
