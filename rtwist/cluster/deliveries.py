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


Sent = tuple[str, bytes]
"""A channel, and a message as it was, or should have been, published there."""


class Entry(NamedTuple):
    """An event as all nodes are to know it: its key, and what was published for it `waited` seconds ago.

    `publish` says that this is still to be done.
    """

    key: str
    messages: tuple[Sent, ...] = ()
    waited: float = 0.0
    publish: bool = False


# Plain tuples of what holds nothing: there are many, and the garbage collector looks at no such.
_Known = tuple[float, int, float]
"""The age at which the event came, its numbers as bits, and when it came."""
_Own = tuple[float, float, int, int, tuple[Sent, ...]]
"""When the first was published, at which age, the last number, how many bytes, and what."""


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
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._marks_expire = -math.inf
        self._own: OrderedDict[str, _Own] = OrderedDict()
        self._own_expire = -math.inf
        self._unpublished: set[str] = set()
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
        key, number = mark
        now = self._now()
        age = (now if self._paused is None else self._paused) - self._left_out
        known = self._known.get(key)
        if known is not None and age - known[0] >= self._seconds:
            self._forget_mark(key)
            known = None
        added, numbers, since = known or (age, 0, now)
        self._known[key] = added, numbers | 1 << number, since
        if age >= self._marks_expire or len(self._known) > self._events:
            self._forget_marks(age)

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
        now = self._now()
        age = (now if self._paused is None else self._paused) - self._left_out
        own = self._own.get(key)
        if own is not None and number <= own[2]:  # the event came again
            self._forget(key)
            own = None
        at, since, _, size, messages = own or (now, age, -1, 0, ())
        self._own[key] = at, since, number, size + len(message), (*messages, (channel, message))
        if not taken:
            self._unpublished.add(key)
        self.kept_bytes += len(message)
        if age >= self._own_expire or self.kept_bytes > self.kept.bytes:
            self._drop_own(age)

    def entry(self, key: str) -> Entry:
        """The event of that key as others are to know it; without messages that are kept no more."""
        own = self._own.get(key)
        if own is None:
            return Entry(key)
        return Entry(key, own[4], max(self._now() - own[0], 0.0), key in self._unpublished)

    def published(self, keys: Iterable[str]) -> None:
        """Nothing of these is to be published any more, or it is by whoever gets the event next."""
        self._unpublished.difference_update(keys)

    # Within

    def _forget_mark(self, key: str) -> None:
        self.forgot_until = max(self.forgot_until, self._known.pop(key)[2])

    def _forget_marks(self, age: float) -> None:
        while self._known:
            key, (added, _, _) = next(iter(self._known.items()))
            self._marks_expire = added + self._seconds
            if len(self._known) <= self._events and age - added < self._seconds:
                return
            self._forget_mark(key)

    def _forget(self, key: str) -> None:
        self.kept_bytes -= self._own.pop(key)[3]
        self._unpublished.discard(key)

    def _age(self) -> float:
        return (self._now() if self._paused is None else self._paused) - self._left_out

    def _drop_own(self, age: float) -> None:
        while self._own:
            key, (at, since, _, _, _) = next(iter(self._own.items()))
            self._own_expire = since + self.kept.seconds
            if self.kept_bytes <= self.kept.bytes and age - since < self.kept.seconds:
                return
            # Others soon know its id, and would never have the rest.
            if key in self._unpublished and self._paused is None and self._now() - at < PUBLISH_SECONDS:
                return
            self._forget(key)
