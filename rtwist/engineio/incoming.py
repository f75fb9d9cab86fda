"""What all clients together have begun to send and not ended, and who of them must give up; pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

LIMIT = "max_incoming_total"
"""How those who must give up are counted."""

# What is smaller is not counted: there is always room for it, and most messages come whole.
_SMALL = 4096
# They go until so much is free again, or the next piece would ask who has most once more.
_RELIEF = 0.9


class Sender(Hashable, Protocol):
    """Whoever keeps what a client has sent so far."""

    def give_up(self) -> str:
        """Drop it, and end what it came by; returns the client's address."""


class Incoming:
    """Counts bytes that are in memory because more has to come, or because they wait to be handled.

    Each sender is bounded by limits of its own; this bounds them all, for whoever opens ten thousand connections
    and sends a megabyte on each. When there are more than `most` bytes, those with most go first: `passed` is
    called with the limit's name and their addresses. What honest clients send is small, and gone in a moment.
    """

    __slots__ = ("_passed", "_sizes", "most", "size")

    def __init__(self, most: int, passed: Callable[[str, str], None]) -> None:
        self.size = 0
        self.most = most
        self._passed = passed
        self._sizes: dict[Sender, int] = {}

    def hold(self, sender: Sender, size: int) -> None:
        """The sender has `size` bytes now."""
        if size <= _SMALL:
            self.forget(sender)
            return
        self.size += size - self._sizes.get(sender, 0)
        self._sizes[sender] = size
        if self.size > self.most:
            self._relieve()

    def forget(self, sender: Sender) -> None:
        """The sender has nothing any more."""
        self.size -= self._sizes.pop(sender, 0)

    def _relieve(self) -> None:
        for sender in sorted(self._sizes, key=self._sizes.__getitem__, reverse=True):
            if self.size <= self.most * _RELIEF:
                return
            if sender in self._sizes:
                self.forget(sender)
                self._passed(LIMIT, sender.give_up())
