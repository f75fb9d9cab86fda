"""What a rule answers with: emissions, effects on live sockets, and notes for the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Emission(Struct, frozen=True):
    """One Socket.IO event for everybody who is in at least one of `rooms`, or for `everyone`.

    A socket in several of the rooms gets it once. `data` is shared by its receivers: nobody changes it.
    Raises ValueError for neither rooms nor everyone, and for both: an audience that came out empty by mistake
    must not become the whole world.
    """

    event: str
    data: dict[str, Any]
    rooms: tuple[str, ...] = ()
    everyone: bool = False

    def __post_init__(self) -> None:
        if bool(self.rooms) is self.everyone:
            raise ValueError(f"{self.event} must be either for rooms or for everyone")


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Every socket of the user is to be disconnected, and its connection closed."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Reassign:
    """Every live socket of the user gets this company, these shops and these roles; UNSET ones stay.

    `at` is when that became so, in seconds since 1970, None for now: a token issued later knows better.
    """

    user_id: str
    company_id: str | UnsetType | None = UNSET
    shop_ids: tuple[str, ...] | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    at: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything stays as it is."""
        return self.company_id is UNSET and self.shop_ids is UNSET and self.roles is UNSET


@dataclass(frozen=True, slots=True)
class Revoke:
    """Tokens issued up to `issued_before` (seconds since 1970, None for now) count no more.

    Those of the user, of the company, with the id, whichever are given; all tokens if none is. A token that does
    not say when it was issued is among them. One with the id is, whenever it was issued.
    """

    user_id: str | None = None
    company_id: str | None = None
    token_id: str | None = None
    issued_before: float | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the log: an audience that could not be addressed, and what was missing."""

    text: str


Effect = Disconnect | Reassign | Revoke
"""What a rule may do to live sockets."""

Answer = Emission | Effect | Note


def missing(emission: str, *fields: str) -> Note:
    """The note that an emission has one audience less, because the event has none of the fields."""
    return Note(f"{emission} does not reach everybody it is for: the event has no {' or '.join(fields)}")
