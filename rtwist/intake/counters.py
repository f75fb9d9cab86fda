"""Counts of what became of messages; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Counters:
    """Since the process started; `dead` counts dead letters by why they died."""

    delivered: int = 0
    accepted: int = 0
    duplicates: int = 0
    emissions: int = 0
    retries: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    without_reason: int = 0
    connections: int = 0
    published: int = 0
    unpublished: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "dead": dict(self.dead)}
