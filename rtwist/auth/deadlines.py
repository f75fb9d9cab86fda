"""What is due when: one queue for any number of keys, so that one timer serves them all."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

_SLACK = 64
"""Entries of keys that moved or went, kept beside as many live ones before the queue is made anew."""


class Deadlines:
    """Keys, each with one time at which it is due; takes memory for those there are, not for all there were."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: str, due: float) -> None:
        """Have `key` be due at that time, and no other."""
        if self._due.get(key) != due:
            self._due[key] = due
            heappush(self._queue, (due, key))
            self._tidy()

    def drop(self, key: str) -> None:
        """Forget `key`."""
        if self._due.pop(key, None) is not None:
            self._tidy()

    @property
    def first(self) -> float | None:
        """When the first key is due, None without any."""
        while self._queue and self._is_stale(self._queue[0]):
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def pop_due(self, now: float) -> list[str]:
        """The keys that are due at `now`, earliest first; they are forgotten."""
        found = []
        while (first := self.first) is not None and first <= now:
            _, key = heappop(self._queue)
            del self._due[key]
            found.append(key)
        return found

    def _is_stale(self, entry: tuple[float, str]) -> bool:
        due, key = entry
        return self._due.get(key) != due

    def _tidy(self) -> None:
        if len(self._queue) > 2 * len(self._due) + _SLACK:
            self._queue = [(due, key) for key, due in self._due.items()]
            heapify(self._queue)
