"""From an event to its emissions: finds the rule for the event's kind and the owners of its order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Protocol

from rtwist.domain.emission import Answer
from rtwist.domain.event import DomainEvent
from rtwist.domain.kinds import CACHED_KINDS
from rtwist.domain.owners import UNKNOWN, Owners, owners_in
from rtwist.errors import ConfigError, UnknownKind

Rule = Callable[[DomainEvent, Owners], Sequence[Answer]]
"""A pure function; the owners are those of the order the event names, `UNKNOWN` if it names none.

What it answers with takes effect in that order.
"""

_PATTERN = re.compile(r"(?:[a-z0-9_-]+|\*|#)(?:\.(?:[a-z0-9_-]+|\*|#))*")


class OwnerStore(Protocol):
    """The memory of who owns which order.

    Neither method waits for anything: a store shared between nodes answers from its local copy.
    """

    def recall(self, order_id: str) -> Owners:
        """Return the owners remembered of an order, `UNKNOWN` if there are none."""

    def remember(self, order_id: str, owners: Owners) -> None:
        """Replace what is remembered of an order."""


class Router:
    """Applies to each event the rule with the most specific pattern that matches its kind.

    Patterns are AMQP topic patterns over the dotted words of a kind: `*` stands for one word, `#` for any
    number of them, none included. Word by word from the left, a literal is more specific than `*`, and `*`
    than `#`. Raises `ConfigError` for a pattern of another form.
    """

    def __init__(self, rules: Mapping[str, Rule], owners: OwnerStore) -> None:
        self._owners = owners
        self.use(rules)

    def use(self, rules: Mapping[str, Rule]) -> None:
        """Go by these rules from now on; raises `ConfigError` for a pattern of another form."""
        patterns = sorted(rules, key=lambda pattern: (_breadth(pattern), pattern))
        self._rules = [(_regex(pattern), rules[pattern]) for pattern in patterns]
        self._others = _others(rules)
        self._rule_for = lru_cache(maxsize=CACHED_KINDS)(self._find)

    def route(self, event: DomainEvent, learnt: MutableMapping[str, Owners] | None = None) -> Sequence[Answer]:
        """Return what the event causes; learns the owners of an order from order and payment events.

        What is new of owners goes into `learnt`, for the events routed with it only, until `learn` makes it
        known to all; without `learnt` that is at once. Raises `UnknownKind` if there is no rule, and `BadEvent`
        if the event does not satisfy its rule; then nothing is learnt from it.
        """
        rule = self._rule_for(event.kind)
        if rule is None:
            raise UnknownKind(f"unknown kind {event.kind!r}: there is no rule for it; {self._others}")
        order_id = event.id_of("orderId")
        if order_id is None:
            return rule(event, UNKNOWN)
        news: MutableMapping[str, Owners] = {} if learnt is None else learnt
        remembered = news.get(order_id) or self._owners.recall(order_id)
        owners = _merged(event, remembered)
        answers = rule(event, owners)
        if owners != remembered:
            news[order_id] = owners
        if learnt is None:
            self.learn(news)
        return answers

    def learn(self, learnt: Mapping[str, Owners]) -> None:
        """Remember the owners of orders, by order id."""
        for order_id, owners in learnt.items():
            self._owners.remember(order_id, owners)

    def _find(self, kind: str) -> Rule | None:
        return next((rule for regex, rule in self._rules if regex.fullmatch("." + kind)), None)


def _merged(event: DomainEvent, remembered: Owners) -> Owners:
    if event.domain == "order":
        return owners_in(event).or_else(remembered)
    if event.domain == "payment":
        # Who pays need not be the customer: a payment must not take an order away from its owners.
        return remembered.or_else(owners_in(event))
    # Others may mean anybody by `userId`, so they teach nothing.
    return remembered


def _others(patterns: Iterable[str]) -> str:
    # By domain, and with `*`, which publishers know better than AMQP's `#`.
    names = sorted({pattern.partition(".")[0] + ".*" if "." in pattern else pattern for pattern in patterns})
    return f"only {', '.join(names)} have rules, or use POST /emit" if names else "use POST /emit"


def _breadth(pattern: str) -> tuple[int, ...]:
    # The 2 ends the pattern: `order` is narrower than `order.#`, and `#.created` narrower than `#`.
    return (*({"*": 1, "#": 3}.get(word, 0) for word in pattern.split(".")), 2)


def checked_pattern(pattern: str) -> str:
    """Return the pattern; raises `ConfigError` if it is none."""
    if not _PATTERN.fullmatch(pattern):
        raise ConfigError(
            f"{pattern!r} is no pattern for kinds: write dotted words of a-z, 0-9, _ and -, or * or #"
        )
    return pattern


def _regex(pattern: str) -> re.Pattern[str]:
    words = {"*": r"\.[^.]+", "#": r"(?:\.[^.]+)*"}
    return re.compile(
        "".join(words.get(word, rf"\.{re.escape(word)}") for word in checked_pattern(pattern).split("."))
    )
