"""Tokens that count no more although they have not expired."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, Protocol

from rtwist.auth.identity import Identity
from rtwist.domain.emission import Revoke
from rtwist.domain.ids import plain_text
from rtwist.domain.timestamps import read_timestamp, seconds_of
from rtwist.errors import Refused

DEFAULT_SECONDS = 2_592_000.0
"""Thirty days: tokens of users seldom live longer, and one that does would come back to life."""

DEFAULT_SIZE = 100_000
"""About 30 MB; whole companies and users take one entry each."""

_TARGETS = {"user": "user_id", "company": "company_id", "jti": "token_id"}
_USAGE = (
    'send {"user": "u1"}, {"company": "c1"}, {"jti": "t1"} or {"all": true}, each with or without "issuedBefore"'
)


class Revocations(Protocol):
    """The memory of what was called back.

    Neither `add` nor `cover` waits for anything: a store shared between nodes answers from its local copy.
    """

    def add(self, revoke: Revoke, now: float) -> bool:
        """Remember it; `now` is in seconds since 1970, and `revoke.issued_before` is not None.

        Returns whether more is called back now than before.
        """

    def cover(self, identity: Identity, now: float) -> bool:
        """Whether the token of `identity` was called back."""

    async def settled(self) -> None:
        """Return once all nodes can know what was added; raises `StoreFailed` when they can not yet."""


class RevokedTokens:
    """Remembers for `seconds`, which should be what the longest-lived token lives, and at most `size` entries.

    When there are more, the oldest is forgotten. The memory is lost when the process ends. `leeway` is how many
    seconds the issuer's clock may be ahead.
    """

    def __init__(
        self, seconds: float = DEFAULT_SECONDS, size: int = DEFAULT_SIZE, *, leeway: float = 0.0
    ) -> None:
        self._seconds = seconds
        self._size = size
        self._leeway = leeway
        self._until: dict[_Whom, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, revoke: Revoke, now: float) -> bool:
        """Remember it, in place of an earlier one for the same tokens; returns whether it says more than that."""
        whom = (revoke.user_id, revoke.company_id, revoke.token_id)
        issued_before = revoke.issued_before if revoke.issued_before is not None else now
        known = self._until.pop(whom, None)
        earlier = (issued_before, 0.0) if known is None else known
        # Popped and added again, so that the order of the entries is that of their age.
        self._until[whom] = (max(issued_before, earlier[0]), now + self._seconds)
        self._forget(now)
        return known is None or known[0] < issued_before or known[1] <= now

    def entries(self) -> list[Revoke]:
        """All that is remembered, the oldest first."""
        return [Revoke(*whom, issued_before) for whom, (issued_before, _) in self._until.items()]

    def cover(self, identity: Identity, now: float) -> bool:
        """Whether the token of `identity` was called back."""
        if not self._until:
            return False
        for whom in _all_of(identity):
            found = self._until.get(whom)
            if found is not None and now < found[1] and _is_meant(whom[2], found[0] + self._leeway, identity):
                return True
        return False

    async def settled(self) -> None:
        """See `Revocations`: there are no other nodes."""

    def _forget(self, now: float) -> None:
        while self._until:
            oldest = next(iter(self._until))
            if len(self._until) <= self._size and now < self._until[oldest][1]:
                return
            del self._until[oldest]


_Whom = tuple[str | None, str | None, str | None]


def _all_of(identity: Identity) -> set[_Whom]:
    """All that may have been called back and would concern the token of `identity`."""
    # The company that the token names counts, and the one that a live socket has been moved to since.
    companies = (identity.granted_company, identity.company_id, None)
    return set(product((identity.user_id, None), companies, (identity.token_id, None)))


def _is_meant(token_id: str | None, issued_before: float, identity: Identity) -> bool:
    return token_id is not None or identity.issued_at is None or identity.issued_at <= issued_before


def covers(revoke: Revoke, identity: Identity, *, leeway: float = 0.0) -> bool:
    """Whether `revoke`, whose `issued_before` is not None, is about the token of `identity`."""
    # Asked of every socket there is, so nothing is built for the answer.
    company = revoke.company_id
    return (
        revoke.user_id in (None, identity.user_id)
        and revoke.token_id in (None, identity.token_id)
        and (company is None or company in (identity.granted_company, identity.company_id))
        and _is_meant(revoke.token_id, (revoke.issued_before or 0.0) + leeway, identity)
    )


def dated(revoke: Revoke, now: float) -> Revoke:
    """`revoke` with a time, which is `now` for none and for one that lies ahead: new tokens must let in again."""
    given = revoke.issued_before
    return replace(revoke, issued_before=now if given is None else min(given, now))


def read_revocation(body: Any) -> Revoke:
    """What the body of a request asks to be called back; raises `Refused` with `bad_request`."""
    if not isinstance(body, dict):
        raise Refused("bad_request", _USAGE)
    targets = [name for name in body if name != "issuedBefore"]
    if len(targets) != 1 or targets[0] not in (*_TARGETS, "all"):
        raise Refused("bad_request", f"{_USAGE}, with exactly one target")
    (target,) = targets
    issued_before = _time(body["issuedBefore"]) if "issuedBefore" in body else None
    if target == "all":
        if body["all"] is not True:
            raise Refused("bad_request", "all must be true")
        return Revoke(issued_before=issued_before)
    try:
        named = {_TARGETS[target]: plain_text(body[target])}
    except ValueError as reason:
        raise Refused("bad_request", f"{target} {reason}") from None
    return Revoke(**named, issued_before=issued_before)


def _time(value: object) -> float:
    timestamp = read_timestamp(value)
    if timestamp is None:
        raise Refused("bad_request", "issuedBefore must be an ISO 8601 time, or seconds since 1970")
    return seconds_of(timestamp)
