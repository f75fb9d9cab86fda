"""Which deliveries may be acknowledged together; pure."""

from __future__ import annotations

from collections import deque


class Ledger:
    """The deliveries of one connection, in order, until they are settled.

    An acknowledgement covers all deliveries before it (AMQP 0-9-1, section 1.8.3.13), so that one which is not
    settled yet holds back those behind it.
    """

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        self._settled: dict[int, bool] = {}
        self._due: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, tag: int) -> None:
        """A delivery came; tags grow."""
        self._open.append(tag)

    def settle(self, tag: int, *, acknowledge: bool = True) -> None:
        """A delivery is done with; not to `acknowledge` one says that the broker has it back already."""
        if self._open[0] != tag:
            self._settled[tag] = acknowledge
            return
        self._open.popleft()
        if acknowledge:
            self._due = tag
        while self._settled and self._open[0] in self._settled:
            tag = self._open.popleft()
            if self._settled.pop(tag):
                self._due = tag

    def give_back(self, tag: int) -> None:
        """The delivery, and those behind it, will not be settled here."""
        while self._open and self._open[-1] >= tag:
            self._open.pop()

    def due(self) -> int | None:
        """The delivery to acknowledge, with all before it; None when there is none."""
        due, self._due = self._due, None
        return due
