"""What becomes of the service's events for clients that are behind: the default, and reading more rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rtwist.errors import ConfigError
from rtwist.readers import as_names
from rtwist.socketio.behind import BehindRules

SLOW_CONSUMERS: Final = (
    "inventory:stock_changed=latest:productId",
    "presence:*=latest:userId",
    "typing=latest:roomId+userId",
)
"""Events that tell how things are: the last one says all. What happened must not be lost, so the rest waits."""


def as_slow_consumers(text: str) -> tuple[str, ...]:
    """Rules `event=rule` with commas between them."""
    rules = []
    for text_of_one in as_names(text):
        event, equals, rule = (part.strip() for part in text_of_one.partition("="))
        if not equals:
            raise ValueError(f"{text_of_one!r} has no =; write for example presence:*=drop")
        try:
            BehindRules({event: rule})
        except ConfigError as error:
            raise ValueError(str(error)) from None
        rules.append(f"{event}={rule}")
    return tuple(rules)


def all_rules(given: Iterable[str]) -> dict[str, str]:
    """The default rules and those `given`, by event, as `rtwist.socketio.Options` takes them."""
    return dict(rule.split("=", 1) for rule in (*SLOW_CONSUMERS, *given))
