"""What this node has given to its own sockets, and what it published for those of others; pure."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rtwist.socketio.mark import Mark

DEFAULT_SECONDS = 300.0
"""How long marks are remembered: far longer than what was published is kept for others, or a redelivery takes."""
DEFAULT_EVENTS = 100_000
"""How many events have their marks remembered: about 25 MB, and 100 seconds at 1,000 events a second."""
DEFAULT_KEPT_SECONDS = 60.0
"""How long what was published is kept: longer than Redis is away for a restart, a failover or a hung disk."""
DEFAULT_KEPT_BYTES = 64 * 1024 * 1024
"""That of 1,000 events a second, three emissions of 350 bytes each, for a minute."""
PUBLISH_SECONDS = 15.0
"""Longer than Redis takes to answer, or to be given up: what is not published by then never is."""
MAX_HELD = 2000
"""Broadcasts that wait while this node reads what it missed; beyond it they are read again instead."""


class KeptLimits(NamedTuple):
    """How much of what was published is kept, at Redis and at the node it is from: the oldest goes first."""

    seconds: float = DEFAULT_KEPT_SECONDS
    bytes: int = DEFAULT_KEPT_BYTES


class Sent(NamedTuple):
    """A message as it was, or should have been, published."""

    channel: str
    message: bytes


class Entry(NamedTuple):
    """An event as all nodes are to know it: its key, and what was published for it `waited` seconds ago.

    `publish` says that this is still to be done.
    """

    key: str
    messages: tuple[Sent, ...] = ()
    waited: float = 0.0
    publish: bool = False


class _Own:
    __slots__ = ("at", "last", "messages", "publish", "since", "size")

    def __init__(self, at: float, since: float) -> None:
        self.at = at
        self.since = since
        self.last = -1
        self.messages: list[Sent] = []
        self.publish = False
        self.size = 0


class Deliveries:
    """Which emissions this node's sockets have had, for `seconds` and of the last `events` events.

    `now` returns seconds. Between `pause` and `resume` nothing gets older. What came before `forgot_until` may be
    remembered no more. `kept` bounds what this node keeps of its own emissions, to tell them to others until
    these have them; what has yet to be published is kept besides, though not between `pause` and `resume`.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        seconds: float = DEFAULT_SECONDS,
        events: int = DEFAULT_EVENTS,
        kept: KeptLimits | None = None,
    ) -> None:
        self.kept = kept or KeptLimits()
        self.kept_bytes = 0
        self.overflowed = False
        self.forgot_until = -math.inf
        self._now = now
        self._seconds = seconds
        self._events = events
        self._known: OrderedDict[str, tuple[float, int, float]] = OrderedDict()
        self._own: OrderedDict[str, _Own] = OrderedDict()
        self._held: deque[Callable[[], object]] | None = None
        self._paused: float | None = None
        self._left_out = 0.0

    # Marks

    def __len__(self) -> int:
        return len(self._known)

    def is_new(self, mark: Mark) -> bool:
        """Whether the sockets of this node have not had it."""
        known = self._known.get(mark.key)
        return known is None or not known[1] >> mark.number & 1 or self._age() - known[0] >= self._seconds

    def add(self, mark: Mark) -> None:
        """The sockets of this node have it."""
        age = self._age()
        added, numbers, since = self._known.get(mark.key, (age, 0, self._now()))
        if age - added >= self._seconds:
            self._forget_mark(mark.key)
            added, numbers, since = age, 0, self._now()
        self._known[mark.key] = added, numbers | 1 << mark.number, since
        while len(self._known) > self._events or age - next(iter(self._known.values()))[0] >= self._seconds:
            self._forget_mark(next(iter(self._known)))

    def pause(self) -> None:
        """This node is cut off: nothing gets older."""
        if self._paused is None:
            self._paused = self._now()

    def resume(self) -> None:
        """The node is back."""
        if self._paused is not None:
            self._left_out += max(self._now() - self._paused, 0.0)
            self._paused = None

    # What comes while this node catches up

    @property
    def holding(self) -> bool:
        """Whether `hold` takes what comes."""
        return self._held is not None

    def hold_back(self) -> None:
        """From now on `hold` takes what comes, instead of delivering it."""
        if self._held is None:
            self._held = deque()
            self.overflowed = False

    def hold(self, deliver: Callable[[], object]) -> bool:
        """Whether `deliver` is called by `let_go`; what is too much is dropped, and `overflowed` says so."""
        if self._held is None:
            return False
        if len(self._held) >= MAX_HELD:
            self.drop_held()
            self.overflowed = True
        self._held.append(deliver)
        return True

    def drop_held(self) -> None:
        """What came until now will be read instead."""
        if self._held is not None:
            self._held.clear()
        self.overflowed = False

    def let_go(self) -> None:
        """Deliver what was held, in order, and hold nothing more."""
        held, self._held = self._held, None
        for deliver in held or ():
            deliver()

    # What this node published

    def sent(self, mark: Mark, channel: str, message: bytes, *, taken: bool) -> None:
        """Keep what was published; unless it was `taken` over, it is still to be."""
        key, number = mark
        own = self._own.get(key)
        if own is None or number <= own.last:  # the event came again
            if own is not None:
                self._forget(key)
            now = self._now()
            age = (now if self._paused is None else self._paused) - self._left_out
            own = self._own[key] = _Own(now, age)
            self._drop_own(age)
        size = len(message)
        own.last = number
        own.messages.append(Sent(channel, message))
        own.size += size
        if not taken:
            own.publish = True
        self.kept_bytes += size
        if self.kept_bytes > self.kept.bytes:
            self._drop_own(own.since)

    def entry(self, key: str) -> Entry:
        """The event of that key as others are to know it; without messages that are kept no more."""
        own = self._own.get(key)
        if own is None:
            return Entry(key)
        return Entry(key, tuple(own.messages), max(self._now() - own.at, 0.0), own.publish)

    def published(self, keys: Iterable[str]) -> None:
        """Nothing of these is to be published any more, or it is by whoever gets the event next."""
        for key in keys:
            own = self._own.get(key)
            if own is not None:
                own.publish = False

    # Within

    def _forget_mark(self, key: str) -> None:
        self.forgot_until = max(self.forgot_until, self._known.pop(key)[2])

    def _forget(self, key: str) -> None:
        own = self._own.pop(key, None)
        if own is not None:
            self.kept_bytes -= own.size

    def _age(self) -> float:
        return (self._now() if self._paused is None else self._paused) - self._left_out

    def _drop_own(self, age: float) -> None:
        while self._own:
            key, own = next(iter(self._own.items()))
            if self.kept_bytes <= self.kept.bytes and age - own.since < self.kept.seconds:
                return
            # Others soon know its id, and would never have the rest.
            if own.publish and self._paused is None and self._now() - own.at < PUBLISH_SECONDS:
                return
            self._forget(key)
