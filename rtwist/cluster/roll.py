"""The roll: which users are on which node, and what was told of it; the seam, its twin in memory, the news."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from rtwist.cluster.bus import Bus
from rtwist.domain.ids import MAX_ID_CHARS
from rtwist.errors import RemoteProtocolError

DEFAULT_LEASE = 10.0
"""Seconds that a node counts as alive after it was last heard of: the users of a killed one go offline then."""
RENEWALS_PER_LEASE = 4
"""A node renews its lease so often, so that one late answer does not end it."""
SWEEP_USERS = 200
"""How many users are seen to in one step: Redis serves nobody else meanwhile."""
_END_OF_TIME = 4e12
"""The year 2096, in milliseconds."""
MAX_NEWS_BYTES = 4_000_000
"""More than `SWEEP_USERS` users with some companies each take."""


class Seat(NamedTuple):
    """A user on one node: in which companies, None for gone; `told` is what was told before a loss."""

    user_id: str
    companies: Collection[str] | None
    told: Collection[str] = ()


class News(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user came to companies or went from them; `first` and `last` are those of the user in any company.

    `at` is in milliseconds since 1970, by the store's clock.
    """

    user: str
    came: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    first: bool = False
    last: bool = False
    at: float = 0.0


class Entered(NamedTuple):
    """What a node is told when it enters: the store's `epoch`, and whether all was lost since another one."""

    epoch: str
    lost: bool


class Roll(Protocol):
    """Who is where. Every change and its news are one step; the news go to the store's channel of the bus.

    A node that was not heard of for the length of a lease is dead: its name is worth nothing any more, and who
    sweeps next takes its users off the roll. When nobody was heard of for half that time, the store itself was
    away (or all nodes were): then all have another lease's time to report, and until it ends nothing is told. The
    same holds when the store has lost everything.
    """

    async def enter(self, node: str, epoch: str) -> Entered:
        """The node begins, under a name that it never had before; it knew the store as `epoch`, or as "" not."""

    async def renew(self, node: str) -> bool:
        """The node lives; False when its name is worth nothing: it must enter under another one."""

    async def place(self, node: str, seats: Sequence[Seat]) -> bool:
        """Set what the node knows of at most `SWEEP_USERS` users; False as for `renew`, then nothing was set."""

    async def leave(self, node: str, within: float = 0.0) -> None:
        """The node's name is given up; a sweep takes those off the roll who are there under it only.

        It does so `within` so many seconds from now, which are fewer than those of a lease.
        """

    async def sweep(self) -> bool:
        """See to users of dead nodes, and to what is due to be told; returns whether there may be more."""

    async def users(self) -> Collection[str]:
        """The ids of all users with at least one socket."""

    async def is_present(self, user_id: str) -> bool:
        """Whether the user has a socket."""


_decoder = msgspec.json.Decoder(list[News])


def read_news(message: bytes) -> list[News]:
    """The news in a message of the bus; raises `RemoteProtocolError` for what is none."""
    if len(message) > MAX_NEWS_BYTES:
        raise RemoteProtocolError(f"news of {len(message)} bytes")
    try:
        news = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"these are no news: {error}") from None
    for one in news:
        if not all(0 < len(name) <= MAX_ID_CHARS for name in (one.user, *one.came, *one.gone)):
            raise RemoteProtocolError("news of an id that is none")
        if not 0 <= one.at < _END_OF_TIME:
            raise RemoteProtocolError("news of a time that is none")
    return news


@dataclass
class _State:
    epoch: str = field(default_factory=lambda: secrets.token_hex(8))
    leases: dict[str, float] = field(default_factory=dict)
    seats: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    told: dict[str, frozenset[str]] = field(default_factory=dict)
    due: OrderedDict[str, None] = field(default_factory=OrderedDict)
    beat: float | None = None
    calm: float = 0.0


class MemoryRoll:
    """The roll of nodes in one process; `now` returns seconds, `lease` is in seconds."""

    def __init__(self, now: Callable[[], float], bus: Bus, channel: str, lease: float = DEFAULT_LEASE) -> None:
        self._now = now
        self._bus = bus
        self._channel = channel
        self._lease = lease
        self._state = _State()

    def lose(self) -> None:
        """As if the store had been emptied."""
        self._state = _State()

    async def enter(self, node: str, epoch: str) -> Entered:
        """See `Roll`."""
        state, now = self._state, self._now()
        lost = epoch not in ("", state.epoch)
        if lost:
            state.calm = now + self._lease
        self._wake(now)
        state.leases[node] = now + self._lease
        return Entered(state.epoch, lost)

    async def renew(self, node: str) -> bool:
        """See `Roll`."""
        now = self._now()
        self._wake(now)
        if not self._is_alive(node, now):
            return False
        self._state.leases[node] = now + self._lease
        return True

    async def place(self, node: str, seats: Sequence[Seat]) -> bool:
        """See `Roll`."""
        state, now = self._state, self._now()
        self._wake(now)
        if not self._is_alive(node, now):
            return False
        for seat in seats:
            nodes = state.seats.setdefault(seat.user_id, {})
            nodes.pop(node, None)
            if seat.companies is not None:
                nodes[node] = frozenset(seat.companies)
            if seat.told:
                state.told[seat.user_id] = state.told.get(seat.user_id, frozenset()) | frozenset(seat.told)
        self._settle([seat.user_id for seat in seats], now)
        return True

    async def leave(self, node: str, within: float = 0.0) -> None:
        """See `Roll`."""
        if node in self._state.leases:
            self._state.leases[node] = self._now() + min(within, self._lease) if within else 0.0

    async def sweep(self) -> bool:
        """See `Roll`."""
        state, now = self._state, self._now()
        self._wake(now)
        dead = next((node for node, end in state.leases.items() if end <= now), None)
        if dead is not None:
            theirs = [user for user, nodes in state.seats.items() if dead in nodes][:SWEEP_USERS]
            for user in theirs:
                del state.seats[user][dead]
            self._settle(theirs, now)
            if len(theirs) < SWEEP_USERS:
                del state.leases[dead]
            return True
        if not state.due or now < state.calm:
            return False
        self._settle([state.due.popitem(last=False)[0] for _ in range(min(SWEEP_USERS, len(state.due)))], now)
        return bool(state.due)

    async def users(self) -> Collection[str]:
        """See `Roll`."""
        return {user for user, nodes in self._state.seats.items() if nodes}

    async def is_present(self, user_id: str) -> bool:
        """See `Roll`."""
        return bool(self._state.seats.get(user_id))

    def _is_alive(self, node: str, now: float) -> bool:
        return now < self._state.leases.get(node, 0.0)

    def _wake(self, now: float) -> None:
        state = self._state
        if state.beat is not None and now - state.beat > self._lease / 2 and any(state.leases.values()):
            state.leases = {node: end and now + self._lease for node, end in state.leases.items()}
            state.calm = now + self._lease
        state.beat = now

    def _settle(self, users: Sequence[str], now: float) -> None:
        if now < self._state.calm:
            self._state.due.update(dict.fromkeys(users))
            return
        news = [one for one in map(self._news, users) if one is not None]
        if news:
            self._bus.publish(self._channel, msgspec.json.encode(news))

    def _news(self, user: str) -> News | None:
        state = self._state
        nodes = state.seats.get(user, {})
        present = frozenset[str]().union(*nodes.values())
        told = state.told.pop(user, frozenset())
        if not nodes:
            state.seats.pop(user, None)
        if present:
            state.told[user] = present
        if present == told:
            return None
        came, gone = tuple(sorted(present - told)), tuple(sorted(told - present))
        return News(user, came, gone, not told, not present, self._now() * 1000)
