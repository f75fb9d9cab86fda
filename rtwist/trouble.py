"""Telling of a trouble that goes on: when it begins, when it becomes another, and once in a while."""

from __future__ import annotations

from typing import Final

REPEATED_SECONDS: Final = 60.0
"""So that whoever looks at the last minutes of a log sees what is wrong, and finds little else there if it is."""


class Trouble:
    """What is wrong with one thing, by its words."""

    def __init__(self) -> None:
        self._told = ""
        self._at = 0.0

    def is_news(self, words: str, now: float) -> bool:
        """Whether to tell of it; `now` is in seconds of any clock."""
        if words == self._told and now - self._at < REPEATED_SECONDS:
            return False
        self._told, self._at = words, now
        return True

    def over(self) -> None:
        """It has ended: the next one is news, even of the same words."""
        self._told = ""
