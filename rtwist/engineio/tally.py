"""Counts who passed a limit, and how often the log hears of it; pure."""

from __future__ import annotations

import math
from collections import Counter

SECONDS_BETWEEN_WARNINGS = 10.0
"""A flood must not fill the disk: the log hears of each limit no more often."""


class Tally:
    """How often each limit was passed, by the name of its option."""

    __slots__ = ("_logged", "counts")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: dict[str, float] = {}

    def add(self, limit: str, now: float) -> bool:
        """Count one; returns whether the log should hear of it. `now` is in seconds."""
        self.counts[limit] += 1
        if now < self._logged.get(limit, -math.inf) + SECONDS_BETWEEN_WARNINGS:
            return False
        self._logged[limit] = now
        return True
