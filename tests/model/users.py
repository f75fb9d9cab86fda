"""The model of users: who is let in with which token, what they may ask for, and what becomes of both.

Written from sections 2 and 4 of the contract, docs/rooms.rst and docs/security.rst. It knows tokens, places and
what is followed; rooms only as names that somebody says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.model.live import BETWEEN, DISCONNECTED, GONE, Live
from tests.model.patterns import Values, verdict
from tests.model.payloads import Data
from tests.model.section4 import NOBODY, SUPER_ADMIN, Section4, Told, Viewer

PLACES = ("company", "shops", "roles")
OWN_PREFIXES = ("user:", "company:", "shop:", "role:", "order:", "product:", "transfer:")
"""Rooms that nobody joins by name."""
SILENT_PREFIXES = ("role:", "product:", "transfer:")
"""Rooms whose members may not know of each other."""
PREFIXES = {"orders": "order:", "products": "product:", "transfers": "transfer:", "rooms": ""}
"""How the names of what can be asked for begin, by where a guest keeps it."""
FOLLOWED = {"order": "orders", "inventory": "products", "transfer": "transfers"}


@dataclass(frozen=True)
class Token:
    """What a token says; `issued` in seconds since 1970, `flaw` is the code for one that is no good."""

    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    issued: int | None = None
    id: str | None = None
    ends: str = ""
    flaw: str | None = None


NO_TOKEN = Token("")


@dataclass(eq=False)
class Guest(Viewer):
    """A client with the token it came with last, and what events have said of its user's places since.

    `socket` is the id that the server has given it, `arrival` its place in the order of coming.
    """

    token: Token = NO_TOKEN
    rooms: set[str] = field(default_factory=set)
    moves: dict[str, tuple[float, Any]] = field(default_factory=dict)
    socket: str = ""
    arrival: int = 0

    def facts(self) -> Iterator[tuple[str, str]]:
        yield from super().facts()
        yield from (("room", each) for each in self.rooms)

    @property
    def values(self) -> Values:
        """What the placeholders of patterns stand for."""
        company = () if self.company is None else (self.company,)
        return {"userId": (self.user,), "companyId": company, "shopId": self.shops, "role": self.roles}


class Revoked(NamedTuple):
    """Tokens that were called back: of this user, of this company, with this id, issued up to then."""

    user: str | None
    company: str | None
    id: str | None
    until: float

    def covers(self, token: Token, companies: Collection[str | None]) -> bool:
        """Whether the token of somebody of these companies is meant."""
        return (
            self.user in (None, token.user)
            and self.id in (None, token.id)
            and (self.company is None or self.company in companies)
            and (self.id is not None or token.issued is None or token.issued <= self.until)
        )


def guest(name: str, token: Token) -> Guest:
    """A client that comes with this token."""
    return Guest(name, token.user, token.company, token.shops, token.roles, token=token)


class Users(Live):
    """Who hears what, whoever comes with whatever token, and however users are moved, sent away and revoked.

    `now` is the time of whatever says none or one that lies ahead. `open_rooms` is whether any user may join
    custom rooms.
    """

    def __init__(self, now: float, *, open_rooms: bool = True) -> None:
        super().__init__()
        self._now = now
        self._open = open_rooms
        self._revoked: list[Revoked] = []
        self._arrivals = 0

    # Coming, and coming with another token

    def enter(self, viewer: Guest) -> str | None:
        """A client connects with its token: the code it is refused with, or None, and then it is in."""
        refused = self._flaw(viewer.token)
        if refused is None:
            self._arrivals += 1
            viewer.arrival = self._arrivals
            self.join(viewer)
        return refused

    def refresh(self, viewer: Guest, token: Token) -> Data:
        """A client hands in another token: the acknowledgement."""
        code = self._flaw(token) or ("forbidden" if self._is_unfit(viewer, token) else None)
        if code is not None:
            return _refusal(code)
        viewer.moves = {
            name: move for name, move in viewer.moves.items() if token.issued is None or token.issued <= move[0]
        }

        def place(mine: Viewer) -> None:
            if mine is viewer:
                before, viewer.token = viewer.token, token
                self._settle(viewer, before)

        self._record(BETWEEN, self._moved(viewer.user, self._sockets_of(viewer.user), place))
        if any(one.covers(token, (token.company, viewer.company)) for one in self._revoked):
            self._record(BETWEEN, self._dismissed([viewer]))
        return {"success": True, "expiresAt": token.ends}

    def _flaw(self, token: Token) -> str | None:
        if token.flaw is None and any(one.covers(token, (token.company,)) for one in self._revoked):
            return "token_revoked"
        return token.flaw

    def _is_unfit(self, viewer: Guest, token: Token) -> bool:
        issued, before = token.issued, viewer.token.issued
        return token.user != viewer.user or (issued is not None and before is not None and issued < before)

    # What clients ask for

    def join_room(self, viewer: Guest, name: str) -> Data:
        """The acknowledgement of `join_room`."""
        granted = None if self._is_reserved(name) else self._verdict(viewer, "rooms", name)
        if self._is_reserved(name) or granted is False or (granted is None and not self._open):
            return _refusal("forbidden")
        self._change(viewer, "rooms", name, wanted=True)
        return _granted(name)

    def leave_room(self, viewer: Guest, name: str) -> Data:
        """The acknowledgement of `leave_room`."""
        if self._is_reserved(name):
            return _refusal("forbidden")
        self._change(viewer, "rooms", name, wanted=False)
        return _granted(name)

    def typing(self, viewer: Guest, name: str, *, typing: bool) -> Data:
        """The acknowledgement of `typing`."""
        members = self.members(name)
        if viewer not in members or name.startswith(SILENT_PREFIXES) or name == viewer.socket:
            return _refusal("forbidden")
        news = {"roomId": name, "userId": viewer.user, "isTyping": typing}
        self._record(BETWEEN, [Told("typing", news, members - {viewer})])
        return _granted(name)

    def members(self, name: str) -> Set[Viewer]:
        """Who is in the room of this name."""
        if name == SUPER_ADMIN:
            return self._who("role", SUPER_ADMIN)
        kind, colon, each = name.partition(":")
        if colon and kind == "order":
            return self._followers(each)
        if colon and f"{kind}:" in OWN_PREFIXES:
            return self._who(kind, each)
        return {viewer for viewer in self.viewers if _socket(viewer) == name} or self._who("room", name)

    def _is_reserved(self, name: str) -> bool:
        return name == SUPER_ADMIN or name.startswith(OWN_PREFIXES) or name in map(_socket, self.viewers)

    def entitled(self, viewer: Viewer, order: str) -> bool:
        return self._is_granted(viewer, "orders", order) or super().entitled(viewer, order)

    def _concerned(self, viewer: Viewer, transfer: Data) -> bool:
        return self._is_granted(viewer, "transfers", transfer["transferId"]) or super()._concerned(
            viewer, transfer
        )

    def _refused(self, viewer: Viewer, what: str, subject: str) -> str | None:
        granted = self._verdict(viewer, FOLLOWED[what], subject)
        if granted is not None:
            return None if granted else "forbidden"
        return super()._refused(viewer, what, subject)

    def _pending(self, viewer: Viewer, what: str, subject: str) -> bool:
        granted = self._is_granted(viewer, FOLLOWED[what], subject)
        return not granted and super()._pending(viewer, what, subject)

    def _is_granted(self, viewer: Viewer, kept: str, subject: str) -> bool:
        return self._verdict(viewer, kept, subject) is True

    def _verdict(self, viewer: Viewer, kept: str, subject: str) -> bool | None:
        assert isinstance(viewer, Guest)
        prefix = PREFIXES[kept]
        return verdict(viewer.token.patterns, prefix + subject, prefix=prefix, values=viewer.values)

    # What services say beside events

    def emit(self, to: str, name: str, emission: str, data: Any) -> int:
        """Something is emitted as it stands: how many get it."""
        addressees = {
            "all": lambda: self.viewers,
            "company": lambda: self._company_and_admins(name),
            "room": lambda: self.members(name),
        }
        found = addressees[to]() if to in addressees else self._who(to, name)
        return self._record(BETWEEN, [Told(emission, data, found)])

    def revoke(
        self, *, user: str | None = None, company: str | None = None, jti: str | None = None, until: float | None
    ) -> int:
        """Tokens are called back: how many clients have to go."""
        concerned = self._call_back(Revoked(user, company, jti, self._clipped(until)))
        going = len(concerned)
        self._record(BETWEEN, self._dismissed(concerned))
        return going

    def _call_back(self, revoked: Revoked) -> list[Guest]:
        self._revoked.append(revoked)
        return [one for one in self._in_order() if revoked.covers(one.token, (one.token.company, one.company))]

    def _clipped(self, at: float | None) -> float:
        return self._now if at is None else min(at, self._now)

    # What events do to clients

    def _user(self, action: str, data: Data, at: str) -> Iterator[Told]:
        yield from Section4._user(self, action, data, at)
        user = data["userId"]
        mine = self._sockets_of(user)
        if action in GONE:
            yield from self._sent_away(mine, why=None)
        elif action == "updated":
            moves = self._moves(data, at)
            yield from self._moved(user, mine, lambda viewer: self._move(viewer, moves))
        elif action == "revoked":
            concerned = self._call_back(Revoked(user, None, data.get("jti"), self._until(data, at)))
            yield from self._dismissed(concerned)

    def _company(self, action: str, data: Data, at: str) -> Iterator[Told]:
        yield from super()._company(action, data, at)
        if action == "revoked":
            concerned = self._call_back(Revoked(None, data["companyId"], None, self._until(data, at)))
            yield from self._dismissed(concerned)

    def _until(self, data: Data, at: str) -> float:
        return self._clipped(data["issuedBefore"] if "issuedBefore" in data else _seconds(at))

    def _moves(self, data: Data, at: str) -> dict[str, tuple[float, Any]]:
        said: dict[str, Any] = {}
        if "companyId" in data:
            said["company"] = data["companyId"]
        if "shopIds" in data:
            said["shops"] = tuple(data["shopIds"])
        if "role" in data:
            said["roles"] = (data["role"],) if data["role"] else ()
        return {name: (self._clipped(_seconds(at)), value) for name, value in said.items()}

    def _move(self, viewer: Viewer, moves: dict[str, tuple[float, Any]]) -> None:
        assert isinstance(viewer, Guest)
        for name, (at, value) in moves.items():
            if viewer.token.issued is not None and viewer.token.issued > at:
                continue
            if name not in viewer.moves or viewer.moves[name][0] <= at:
                viewer.moves[name] = at, value
        self._settle(viewer, viewer.token)

    def _settle(self, viewer: Guest, before: Token) -> None:
        """Where the client belongs, and what of all it asked for it may still have."""
        former = (*_places(viewer), before.patterns)
        for name in PLACES:
            _, value = viewer.moves.get(name, (0.0, getattr(viewer.token, name)))
            setattr(viewer, name, value)
        if former == (*_places(viewer), viewer.token.patterns):
            return
        for what, kept in FOLLOWED.items():
            followed: set[str] = getattr(viewer, kept)
            followed -= {each for each in followed if self._refused(viewer, what, each)}
        for room in sorted(viewer.rooms):
            granted = self._verdict(viewer, "rooms", room)
            if granted is False or (granted is None and not self._open):
                viewer.rooms.discard(room)

    # Going

    def _dismissed(self, concerned: list[Guest]) -> Iterator[Told]:
        """Clients whose tokens count no more are told so, and sent away."""
        if len({viewer.user for viewer in concerned}) == 1:
            yield from self._sent_away(concerned, why="auth:revoked")
            return
        for viewer in concerned:
            yield from _farewell(viewer, "auth:revoked")
            yield from self._gone(viewer)

    def _sent_away(self, mine: list[Guest], *, why: str | None) -> Iterator[Told]:
        """Clients of one user are sent away, in an order that is the server's affair."""
        if not mine:
            return
        for viewer in mine:
            yield from _farewell(viewer, why)
            self._remove(viewer)
        user = mine[0].user
        still = {viewer.company for viewer in self._who("user", user)} - {None}
        left = {viewer.company for viewer in mine} - {None} - still
        if not left:
            return
        colleagues: Set[Viewer] = NOBODY.union(*(self._who("company", company) for company in left))
        admins = NOBODY if still else self._who("role", SUPER_ADMIN)
        yield self._told("offline", user, colleagues | admins)
        if len(left) > 1:
            # A company hears when its last one goes, super admins of all: whether that is once or twice for who
            # is both depends on whose turn comes last.
            yield self._told("offline", user, colleagues & admins)._replace(certain=False)

    def _sockets_of(self, user: str) -> list[Guest]:
        return [viewer for viewer in self._in_order() if viewer.user == user]

    def _in_order(self) -> list[Guest]:
        guests = [viewer for viewer in self.viewers if isinstance(viewer, Guest)]
        return sorted(guests, key=lambda viewer: viewer.arrival)


def _farewell(viewer: Guest, why: str | None) -> Iterator[Told]:
    if why is not None:
        yield Told(why, {"code": "token_revoked"}, {viewer})
    yield Told(DISCONNECTED, None, {viewer})


def _places(viewer: Viewer) -> tuple[Any, ...]:
    return tuple(getattr(viewer, name) for name in PLACES)


def _socket(viewer: Viewer) -> str:
    return viewer.socket if isinstance(viewer, Guest) else ""


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def _granted(room: str) -> Data:
    return {"success": True, "room": room}


def _refusal(code: str) -> Data:
    return {"success": False, "error": {"code": code}}
