"""Revocations, owners of orders and effects on users' sockets: known to all nodes, and to those that start later.

Each keeps a copy in memory that answers at once, and a `Follower` of the shared records behind it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct

from rtwist.auth.identity import MAX_ROLES, MAX_SHOPS, Identity
from rtwist.auth.revocation import RevokedTokens
from rtwist.cluster.follower import Follower
from rtwist.cluster.records import RecordLimits, Records
from rtwist.domain.emission import Disconnect, Effect, Reassign, Revoke
from rtwist.domain.ids import plain_text
from rtwist.domain.owners import OrderBook, Owners, OwnersChanged
from rtwist.engineio.tally import Tally
from rtwist.intake.intake import LiveSockets
from rtwist.tasks import Tasks

MAX_RECORD_BYTES = 1_000_000
"""Far more than a user with `MAX_SHOPS` shops takes."""
_MOST_VERSION = 2**53 - 1
_DRIFT_SECONDS = 5.0
"""How far the clock of one node may be behind that of another."""
_encode = msgspec.json.encode


class SharedRevocations:
    """A `Revocations` of all nodes: `local` is this node's copy, and answers.

    `dismiss` disconnects the sockets of this node that one is about; it is called with those of other nodes.
    `now` returns the seconds since 1970. The records should be kept as long as `local` keeps them.
    """

    def __init__(self, records: Records, tasks: Tasks, local: RevokedTokens, *, now: Callable[[], float]) -> None:
        self.unreadable = Tally()
        self.dismiss: Callable[[Revoke], object] = lambda _: None
        self.follower = Follower(records, tasks, self._heard, mine=self._mine)
        self._local = local
        self._now = now

    def add(self, revoke: Revoke, now: float) -> bool:
        """See `Revocations`; the other nodes hear of it."""
        is_news = self._local.add(revoke, now)
        if is_news:
            self.follower.put(*_written(revoke))
        return is_news

    def cover(self, identity: Identity, now: float) -> bool:
        """See `Revocations`."""
        return self._local.cover(identity, now)

    async def settled(self) -> None:
        """See `Revocations`."""
        await self.follower.settled()

    def _heard(self, key: str, value: bytes) -> None:
        revoke = _read(value, _Revocation, self.unreadable)
        if revoke is None:
            return
        effect = Revoke(revoke.user, revoke.company, revoke.token, revoke.before)
        if self._local.add(effect, self._now()):
            self.dismiss(effect)

    def _mine(self) -> Iterable[tuple[str, bytes]]:
        return [_written(revoke) for revoke in self._local.entries()]


class SharedOwners:
    """An `OwnerStore` of all nodes: `local` is this node's copy, and answers.

    `changed` lets the sockets of this node follow what other nodes have learnt. `now` returns the seconds since
    1970. A node that was cut off may say of an order what others have replaced since: they say theirs again.
    """

    def __init__(self, records: Records, tasks: Tasks, local: OrderBook, *, now: Callable[[], float]) -> None:
        self.unreadable = Tally()
        self.changed: Callable[[OwnersChanged], object] = lambda _: None
        self.follower = Follower(records, tasks, self._heard, mine=self._mine)
        self._local = local
        self._now = now

    def recall(self, order_id: str) -> Owners:
        """See `OwnerStore`."""
        return self._local.recall(order_id)

    def remember(self, order_id: str, owners: Owners) -> None:
        """See `OwnerStore`; the other nodes hear of it."""
        # Greater than that of an order forgotten here, and greater than the known one by whatever clock.
        version = max(int(self._now() * 1000), self._local.recall(order_id).version + 1)
        owners = replace(owners, version=min(version, _MOST_VERSION))
        self._local.remember(order_id, owners)
        self.follower.put(order_id, _owned(owners))

    def _heard(self, key: str, value: bytes) -> None:
        found = _read(value, _Owned, self.unreadable)
        if found is None:
            return
        owners, known = Owners(found.user, found.company, found.shop, found.version), self._local.recall(key)
        if owners.version < known.version:
            self.follower.put(key, _owned(known))
            return
        self._local.remember(key, owners)
        if owners != known:
            self.changed(OwnersChanged(key, owners))

    def _mine(self) -> Iterable[tuple[str, bytes]]:
        return [(order_id, _owned(owners)) for order_id, owners in self._local.items()]


class SharedEffects:
    """A `LiveSockets` of all nodes: what an event does to a user's sockets every node does to its own, once.

    `local` does it here. `node` names this process as no other. A node that starts later has no sockets that an
    earlier effect could be about. When the store has lost effects, whoever knows them puts them again for the
    nodes that were cut off: `kept` says how many and for how long, as for `records`. `now` returns the seconds
    since 1970. What `Revoke` and `OwnersChanged` are about is shared by `SharedRevocations` and `SharedOwners`.
    """

    def __init__(
        self,
        records: Records,
        tasks: Tasks,
        local: LiveSockets,
        *,
        node: str,
        kept: RecordLimits,
        now: Callable[[], float],
    ) -> None:
        self.unreadable = Tally()
        # Nobody is to be disconnected before the emissions of the same event are out.
        self.follower = Follower(records, tasks, self._heard, mine=self._mine, waits=True)
        self._local = local
        self._node = node
        self._kept = kept
        self._now = now
        self._number = 0
        self._began = now()
        self._known: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def apply(self, effect: Effect | OwnersChanged) -> None:
        """Do it to the sockets of this node at once, and have the others do it to theirs."""
        self._local.apply(effect)
        now = self._now()
        if isinstance(effect, Disconnect):
            self._put(_Effect(effect.user_id, disconnect=True, put=now))
        elif isinstance(effect, Reassign):
            self._put(
                _Effect(effect.user_id, False, effect.company_id, effect.shop_ids, effect.roles, effect.at, now)
            )

    def _put(self, effect: _Effect) -> None:
        self._number += 1
        key, value = f"{self._node}.{self._number}", _encode(effect)
        self._know(key, value)
        self.follower.put(key, value)

    def _heard(self, key: str, value: bytes) -> None:
        if key in self._known or key.rpartition(".")[0] == self._node:
            return
        found = _read(value, _Effect, self.unreadable)
        if found is None:
            return
        self._know(key, value)
        if found.put < self._began - _DRIFT_SECONDS:
            return
        if found.disconnect:
            self._local.apply(Disconnect(found.user))
        else:
            self._local.apply(Reassign(found.user, found.company, found.shops, found.roles, found.at))

    def _know(self, key: str, value: bytes) -> None:
        now = self._now()
        self._known[key] = now, value
        while (
            len(self._known) > self._kept.size or next(iter(self._known.values()))[0] <= now - self._kept.seconds
        ):
            self._known.popitem(last=False)

    def _mine(self) -> Iterable[tuple[str, bytes]]:
        return [(key, value) for key, (_, value) in self._known.items()]


class _Revocation(Struct, frozen=True, omit_defaults=True):
    before: float
    user: str | None = None
    company: str | None = None
    token: str | None = None

    def __post_init__(self) -> None:
        _check(self.user, self.company, self.token)


class _Owned(Struct, frozen=True, omit_defaults=True):
    user: str | None = None
    company: str | None = None
    shop: str | None = None
    version: Annotated[int, Meta(ge=0, le=_MOST_VERSION)] = 0

    def __post_init__(self) -> None:
        _check(self.user, self.company, self.shop)


class _Effect(Struct, frozen=True, omit_defaults=True):
    user: str
    disconnect: bool = False
    company: str | msgspec.UnsetType | None = UNSET
    shops: tuple[str, ...] | msgspec.UnsetType = UNSET
    roles: tuple[str, ...] | msgspec.UnsetType = UNSET
    at: float | None = None
    put: float = 0.0

    def __post_init__(self) -> None:
        shops, roles = (() if names is UNSET else names for names in (self.shops, self.roles))
        if len(shops) > MAX_SHOPS or len(roles) > MAX_ROLES:
            raise ValueError("too many shops or roles")
        _check(self.user, None if self.company is UNSET else self.company, *shops, *roles)


def _check(*ids: str | None) -> None:
    for one in ids:
        if one is not None and plain_text(one) != one:
            raise ValueError("an id that is none")


def _owned(owners: Owners) -> bytes:
    return _encode(_Owned(owners.user, owners.company, owners.shop, owners.version))


def _written(revoke: Revoke) -> tuple[str, bytes]:
    whom = (revoke.user_id, revoke.company_id, revoke.token_id)
    # The time is part of the key, so that an earlier one never takes the place of a later one.
    key = _encode((*whom, revoke.issued_before)).decode()
    return key, _encode(_Revocation(revoke.issued_before or 0.0, *whom))


def _read(value: bytes, kind: type[Any], unreadable: Tally) -> Any:
    """The record, None for what is none: whoever writes to Redis is not trusted to write well."""
    try:
        if len(value) <= MAX_RECORD_BYTES:
            return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    unreadable.add(kind.__name__, 0.0)
    return None
