"""Where the other nodes are, as they say in shared records; pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from rtwist.engineio.nodes import Address, is_mark, read_address
from rtwist.errors import ConfigError

MAX_NODES: Final = 1000
"""Of one service, and those that have gone lately."""

MOST_CHARS: Final = 300
"""Of an address: the longest name of a host has 253."""


class NodeTable:
    """Marks and addresses of other nodes, `size` at most: who was not heard of for longest goes first.

    A node that is not heard of for `seconds` has gone. Of a time in which nothing could be heard, which ends with
    `listened`, no more than `idle` seconds count: while the store is away nobody goes. `own` is not kept.
    """

    def __init__(self, own: str, seconds: float, idle: float, size: int = MAX_NODES) -> None:
        self._own = own
        self._seconds = seconds
        self._idle = idle
        self._size = size
        self._age = 0.0
        self._last: float | None = None
        self._found: OrderedDict[str, tuple[float, Address]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def heard(self, mark: str, value: bytes) -> bool:
        """A node has said where it is; returns False for what no node says, which changes nothing."""
        if mark == self._own:
            return True
        if not is_mark(mark) or len(value) > MOST_CHARS:
            return False
        try:
            address = read_address(value.decode("ascii"))
        except (ConfigError, UnicodeDecodeError):
            return False
        self._found.pop(mark, None)
        self._found[mark] = (self._age, address)
        if len(self._found) > self._size:
            self._found.popitem(last=False)
        return True

    def listened(self, now: float) -> None:
        """All that was said until `now`, in seconds of any clock, has been heard."""
        if self._last is not None:
            self._age += min(max(now - self._last, 0.0), self._idle)
        self._last = now
        while self._found:
            mark, (heard, _) = next(iter(self._found.items()))
            if self._age - heard < self._seconds:
                break
            del self._found[mark]

    def find(self, mark: str) -> Address | None:
        """Where the node with that mark is."""
        found = self._found.get(mark)
        return None if found is None else found[1]
