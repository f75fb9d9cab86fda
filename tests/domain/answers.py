"""What a rule answers, taken apart."""

from __future__ import annotations

from typing import Any

from rtwist.domain.emission import Answer, Effect, Emission, Note
from rtwist.domain.event import DomainEvent
from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.domain.router import Rule

WHEN = "2024-10-24T08:30:00.000Z"


class Answers:
    """The answers of a rule to one event."""

    def __init__(self, rule: Rule, kind: str, data: dict[str, Any], owners: Owners = UNKNOWN) -> None:
        self.all: list[Answer] = list(rule(DomainEvent(kind, data, None, WHEN), owners))

    @property
    def emissions(self) -> list[Emission]:
        return [answer for answer in self.all if isinstance(answer, Emission)]

    @property
    def effects(self) -> list[Effect]:
        return [answer for answer in self.all if isinstance(answer, Effect)]

    @property
    def notes(self) -> list[str]:
        return [answer.text for answer in self.all if isinstance(answer, Note)]

    @property
    def addressed(self) -> dict[str, tuple[str, ...]]:
        return {emission.event: emission.rooms for emission in self.emissions}

    def __getitem__(self, name: str) -> dict[str, Any]:
        (found,) = (emission.data for emission in self.emissions if emission.event == name)
        return found
