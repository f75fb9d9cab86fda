"""Who a client is: read from the claims of its token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rtwist.auth.patterns import RoomPattern, read_patterns
from rtwist.auth.policy import automatic_rooms
from rtwist.domain.ids import plain_text
from rtwist.domain.rooms import SUPER_ADMIN

MAX_SHOPS = 1000
"""Each shop is a room to join at every connection."""

MAX_ROLES = 100
"""As for shops; people have a handful."""


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Under which claims a token may name things; of each tuple the first claim present counts."""

    user: tuple[str, ...] = ("userId", "user_id", "sub", "id")
    company: tuple[str, ...] = ("companyId", "company_id")
    shops: tuple[str, ...] = ("shopIds", "shops", "shop_ids")
    roles: tuple[str, ...] = ("role", "roles")
    rooms: tuple[str, ...] = ("rooms",)


@dataclass(frozen=True, slots=True)
class Move:
    """An event of that time said that the field `name` of an identity has this value."""

    name: str
    at: float
    value: Any


@dataclass(frozen=True, slots=True)
class Identity:
    """A user with their company, shops and roles: what is used of a token, and nothing else of it.

    `expires_at` is when the token ends, `issued_at` when it was signed, in seconds since 1970; `token_id` is its
    `jti`. Company, shops and roles may have been changed since by events: `moves` says which, and when, and
    `granted_company` is still the company that the token names.
    `expires_at` is when the token ends, in seconds since 1970; `patterns` are the rooms that the token grants
    beyond the rules, or refuses.
    """

    user_id: str
    company_id: str | None
    shop_ids: tuple[str, ...]
    roles: tuple[str, ...]
    expires_at: float
    issued_at: float | None = None
    token_id: str | None = None
    granted_company: str | None = None
    moves: tuple[Move, ...] = ()
    patterns: tuple[RoomPattern, ...] = ()

    @property
    def is_super_admin(self) -> bool:
        """Whether this user hears what every company hears."""
        return SUPER_ADMIN in self.roles

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms the user is in without asking: user, company, shops, roles, super admins."""
        return automatic_rooms(self)


def identity_from_claims(
    claims: Mapping[str, Any], *, expires_at: float, names: ClaimNames | None = None
) -> Identity:
    """Take the claims of a verified token and return who it speaks of.

    Integers become text. A claim that is null counts as absent. Raises ValueError, naming the claim, without
    a user, for ids that `plain_text` refuses (that of the token itself among them: what cannot be named cannot be
    called back), for too many shops or roles, and for patterns of rooms that are none: such a token is not used
    in part, for the part left out may be a restriction.
    """
    names = names or ClaimNames()
    name, user = _first(claims, names.user)
    if user is None:
        raise ValueError(f"no claim names the user: one of {', '.join(names.user)} must")
    user_id = _id(name, user)
    name, company = _first(claims, names.company)
    company_id = None if company is None else _id(name, company)
    shop_ids = _ids(*_first(claims, names.shops), limit=MAX_SHOPS)
    roles = _ids(*_first(claims, names.roles), limit=MAX_ROLES)
    token_id = None if claims.get("jti") is None else _id("jti", claims["jti"])
    name, rooms = _first(claims, names.rooms)
    patterns = () if rooms is None else read_patterns(name, rooms)
    return Identity(
        user_id,
        company_id,
        shop_ids,
        roles,
        expires_at,
        issued_at=claims.get("iat"),
        token_id=token_id,
        granted_company=company_id,
        patterns=patterns,
    )


def _first(claims: Mapping[str, Any], names: Iterable[str]) -> tuple[str, Any]:
    return next(((name, claims[name]) for name in names if claims.get(name) is not None), ("", None))


def _ids(name: str, value: Any, *, limit: int) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if len(values) > limit:
        raise ValueError(f"{name} must not hold more than {limit}")
    found = (_id(name, item.get("id") if isinstance(item, dict) else item) for item in values)
    return tuple(dict.fromkeys(found))


def _id(name: str, value: object) -> str:
    try:
        return plain_text(value)
    except ValueError as reason:
        raise ValueError(f"{name} {reason}") from None
