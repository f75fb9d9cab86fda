"""Token or event: which of them says where a user belongs. The one that was issued later does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from msgspec import UNSET

from rtwist.auth.identity import Identity, Move
from rtwist.domain.emission import Reassign

_PLACES = ("company_id", "shop_ids", "roles")


def moved(identity: Identity, effect: Reassign, now: float) -> Identity:
    """`identity` with what the event says of its places, unless its token or another event is newer.

    An event that lies ahead is of `now` (seconds since 1970). A token that does not say when it was issued is
    older.
    """
    at = now if effect.at is None else min(effect.at, now)
    if identity.issued_at is not None and identity.issued_at > at:
        return identity
    latest = {move.name: move for move in identity.moves}
    for name in _PLACES:
        value = getattr(effect, name)
        if value is not UNSET and (name not in latest or latest[name].at <= at):
            latest[name] = Move(name, at, value)
    return _with(identity, latest.values())


def renewed(former: Identity, fresh: Identity) -> Identity:
    """The identity of a new token, with what events said of the `former` after the new token was issued."""
    issued_at = fresh.issued_at
    return _with(fresh, [move for move in former.moves if issued_at is None or issued_at <= move.at])


def is_older(fresh: Identity, former: Identity) -> bool:
    """Whether a new token was issued before the one it is to replace, as far as both say when."""
    issued = (fresh.issued_at, former.issued_at)
    return issued[0] is not None and issued[1] is not None and issued[0] < issued[1]


def _with(identity: Identity, moves: Iterable[Move]) -> Identity:
    values: dict[str, Any] = {move.name: move.value for move in moves}
    return replace(identity, **values, moves=tuple(moves))
