"""What becomes of events for clients that are behind: rules by the event's name; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from rtwist.engineio.outbox import SPARE, IfBehind, Latest
from rtwist.errors import ConfigError

_USAGE = "write drop, latest, latest:field, latest:field+field or disconnect"
_LATEST = "latest"
_REMEMBERED = 1024
"""Names of events that were looked up; an application has a few dozen."""

Fields = tuple[str, ...]
_Rule = IfBehind | Fields


class BehindRules:
    """Rules such as `{"position": "drop", "stock:*": "latest:productId"}`.

    A name with `*` at its end is for all events that begin so; of several that fit, the longest counts. An event
    without a rule waits, and the client is disconnected when too much does: `disconnect`. Raises `ConfigError`,
    which says which rule cannot be used and what to write.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self.use(rules)

    def use(self, rules: Mapping[str, str]) -> None:
        """Go by these rules from now on; raises `ConfigError` as at first."""
        self._exact: dict[str, _Rule] = {}
        self._prefixes: list[tuple[str, _Rule]] = []
        self._rule_of = lru_cache(maxsize=_REMEMBERED)(self._find_rule)
        for name, text in sorted(rules.items(), key=lambda rule: -len(rule[0])):
            if not name or "*" in name[:-1]:
                raise ConfigError(f"{name!r} is no event; write its name, or its beginning and then *")
            rule = _read(name, text)
            if name.endswith("*"):
                self._prefixes.append((name[:-1], rule))
            else:
                self._exact[name] = rule

    def of(self, namespace: str, event: str, args: Sequence[Any]) -> IfBehind:
        """What becomes of this event for a client that is behind."""
        rule = self._rule_of(event)
        if not isinstance(rule, tuple):
            return rule
        return _latest(namespace, event, rule, args)

    def _find_rule(self, event: str) -> _Rule:
        if event in self._exact:
            return self._exact[event]
        return next((rule for prefix, rule in self._prefixes if event.startswith(prefix)), None)


def latest(namespace: str, event: str, key: Hashable) -> Latest:
    """Keep only the last waiting `event` with this key; the same key of another event is another one."""
    return Latest((namespace, event, key))


def _read(name: str, text: str) -> _Rule:
    kind, colon, fields = text.partition(":")
    if kind == _LATEST and not colon:
        return ()
    if kind == _LATEST and all(fields.split("+")):
        return tuple(fields.split("+"))
    if text == "drop":
        return SPARE
    if text == "disconnect":
        return None
    raise ConfigError(f"the rule {text!r} for {name} is unknown; {_USAGE}")


def _latest(namespace: str, event: str, fields: Fields, args: Sequence[Any]) -> Latest | None:
    if not fields:
        return latest(namespace, event, None)
    data = args[0] if args else None
    if not isinstance(data, dict):
        return None
    values = tuple(data.get(field) for field in fields)
    if not all(type(value) in (str, int) for value in values):
        return None
    # One that says less than the last does not make it obsolete, so it has a place of its own.
    return latest(namespace, event, (values, frozenset(data)))
