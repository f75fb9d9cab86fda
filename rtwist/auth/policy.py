"""Who may be in which room: one table for all that is decided about rooms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from rtwist.auth.patterns import last_match
from rtwist.domain.ids import MAX_ID_CHARS, plain_text, text_id
from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.domain.rooms import (
    SUPER_ADMIN,
    company_room,
    order_scopes_of_subscriber,
    role_room,
    scope_of_all,
    scopes_of,
    shop_room,
    transfer_scopes_of_subscriber,
    user_room,
)
from rtwist.errors import Refused

if TYPE_CHECKING:
    from rtwist.auth.identity import Identity


class Kind(Enum):
    """What a room is; the value is how the names of such rooms begin."""

    USER = "user:"
    COMPANY = "company:"
    SHOP = "shop:"
    ROLE = "role:"
    SUPER_ADMIN = "super_admin"
    SOCKET = "socket"
    SCOPE = "scope"
    ORDER = "order:"
    PRODUCT = "product:"
    TRANSFER = "transfer:"
    CUSTOM = ""


class Who(Enum):
    """Whom a cell of the table admits."""

    NOBODY = "nobody"
    ANYBODY = "any signed-in user"
    NAMED = "whose token names it"
    SELF = "the socket of that id"
    MEMBERS = "who is in the room"
    OWNERS = "owners of the order and super admins; anybody while no owner is known, pending"
    CONCERNED = "members of a company or shop and super admins, always pending"
    GRANTED = "whom the token or the authorization URL lets in"


class Row(NamedTuple):
    """Who is in a kind of room without asking, and whom each action admits."""

    automatic: Who
    join: Who
    leave: Who
    subscribe: Who
    unsubscribe: Who
    typing: Who


_NO, _ALL, _IN, _TOKEN = Who.NOBODY, Who.ANYBODY, Who.MEMBERS, Who.NAMED

TABLE: Mapping[Kind, Row] = {
    # kind                automatic  join  leave  subscribe   unsubscribe  typing
    Kind.USER:        Row(_TOKEN,    _NO,  _NO,   _NO,           _NO,      _IN),
    Kind.COMPANY:     Row(_TOKEN,    _NO,  _NO,   _NO,           _NO,      _IN),
    Kind.SHOP:        Row(_TOKEN,    _NO,  _NO,   _NO,           _NO,      _IN),
    Kind.ROLE:        Row(_TOKEN,    _NO,  _NO,   _NO,           _NO,      _NO),
    Kind.SUPER_ADMIN: Row(_TOKEN,    _NO,  _NO,   _NO,           _NO,      _IN),
    Kind.ORDER:       Row(_NO,       _NO,  _NO,   Who.OWNERS,    _ALL,     _IN),
    Kind.PRODUCT:     Row(_NO,       _NO,  _NO,   _ALL,          _ALL,     _NO),
    Kind.TRANSFER:    Row(_NO,       _NO,  _NO,   Who.CONCERNED, _ALL,     _NO),
    Kind.CUSTOM:      Row(_NO,       _ALL, _ALL,  _NO,           _NO,      _IN),
    Kind.SOCKET:      Row(Who.SELF,  _NO,  _NO,   _NO,           _NO,      _NO),
    Kind.SCOPE:       Row(_NO,       _NO,  _NO,   _NO,           _NO,      _NO),
}  # fmt: skip
"""Typing stays where the members may know of each other: roles, products and transfers span companies.

Leaving what one is not in is no fault, so that nobody learns anything from the answer. A token's patterns and
the authorization URL extend or limit the cells of `join` and `subscribe` that are not NOBODY, and no others.
"""

CUSTOM_ROOMS: Mapping[str, Who] = {"open": Who.ANYBODY, "granted": Who.GRANTED, "closed": Who.NOBODY}
"""The values of --custom-rooms: the cell for joining a custom room."""

ASKABLE: Mapping[str, Kind] = {
    "custom": Kind.CUSTOM,
    "order": Kind.ORDER,
    "product": Kind.PRODUCT,
    "transfer": Kind.TRANSFER,
}
"""The values of --authorization-for."""

REQUESTS: Mapping[Kind, str] = {
    Kind.CUSTOM: "join_room",
    Kind.ORDER: "subscribe_order",
    Kind.PRODUCT: "subscribe_inventory",
    Kind.TRANSFER: "subscribe_transfer",
}
"""The event by which a client asks to be in a room."""

_REFUSALS = {
    "join_room": "this room is not yours to join",
    "leave_room": "this room is not yours to leave",
    "subscribe_order": "this order is not yours to follow",
    "subscribe_inventory": "this product is not yours to follow",
    "subscribe_transfer": "this transfer is not yours to follow",
    "unsubscribe": "this is not yours to leave",
    "typing": "this room is not yours to type in",
}


class Room(NamedTuple):
    """A room: its kind, and its name as clients know it."""

    kind: Kind
    name: str

    @property
    def id(self) -> str:
        """The name without the beginning of its kind: the order's id, the product's, the transfer's."""
        return self.name.removeprefix(self.kind.value)


class Entry(Enum):
    """What the policy says to somebody who asks to be in a room."""

    REFUSED = "refused"
    PENDING = "pending"
    """An event decides: it reaches those whom its owners entitle."""
    ADMITTED = "admitted"
    GRANTED = "granted"
    """As admitted, whoever owns what the room is about."""
    ASK = "ask"
    """The authorization URL decides."""


class Policy:
    """The table with the operator's choices.

    `custom_rooms` is a key of `CUSTOM_ROOMS`; `asked` are the kinds that an authorization URL decides about.
    """

    def __init__(self, custom_rooms: str = "open", asked: Iterable[Kind] = ()) -> None:
        custom = TABLE[Kind.CUSTOM]._replace(join=CUSTOM_ROOMS[custom_rooms])
        self._table = {**TABLE, Kind.CUSTOM: custom}
        self._asked = frozenset(asked)

    def row(self, kind: Kind) -> Row:
        """The rules for a kind of room."""
        return self._table[kind]

    def entry(self, identity: Identity, room: Room, owners: Owners = UNKNOWN) -> Entry:
        """Say whether `identity` may be in a `room` it asks for; `owners` are those of an order.

        What the token's patterns say comes first, then the authorization URL, then the table.
        """
        row = self.row(room.kind)
        who = row.subscribe if row.join is Who.NOBODY else row.join
        if who is Who.NOBODY:
            return Entry.REFUSED
        patterns = identity.patterns
        pattern = patterns and last_match(patterns, room.name, values_of(identity), prefix=room.kind.value)
        if pattern:
            return Entry.REFUSED if pattern.refuses else Entry.GRANTED
        if room.kind in self._asked:
            return Entry.ASK
        return _by_table(who, identity, owners)


def refusal(request: str) -> Refused:
    """The one answer to all who may not do what `request` asks: it does not tell them why."""
    return Refused("forbidden", _REFUSALS[request])


def automatic_rooms(identity: Identity) -> tuple[str, ...]:
    """The names of the rooms that `identity` is in without asking."""
    return tuple(room for named in _AUTOMATIC for room in named(identity))


def rooms_within(identity: Identity, room: Room, entry: Entry) -> tuple[str, ...]:
    """The rooms that somebody is in who got `entry` to `room`; none if it was refused.

    Orders and transfers have scoped rooms, see `rtwist.domain.rooms`.
    """
    if entry in (Entry.REFUSED, Entry.ASK):
        return ()
    if room.kind is Kind.ORDER:
        return _order_rooms(identity, room, entry)
    if room.kind is Kind.TRANSFER:
        if entry is Entry.GRANTED:
            return (scope_of_all(room.name),)
        return transfer_scopes_of_subscriber(
            room.id, identity.company_id, identity.shop_ids, identity.is_super_admin
        )
    return (room.name,)


def rooms_held(room: Room, present: Collection[str]) -> list[str]:
    """Those of the rooms `present` in which somebody is because of `room`."""
    if room.kind in (Kind.ORDER, Kind.TRANSFER):
        return scopes_of(room.name, present)
    return [room.name] if room.name in present else []


def room_named(value: object, is_socket_id: Callable[[str], bool], most: int = MAX_ID_CHARS) -> Room:
    """Take what a client sent as the name of a room, and return which it is.

    `is_socket_id` tells whether a name is the id of a live socket, which is that socket's own room. Raises
    `Refused` with `bad_request` for what cannot be a name, of more than `most` characters for example.
    """
    if isinstance(value, str) and len(value) > most:
        raise Refused("bad_request", f"the room must not be longer than {most} characters", limit="max_room_name")
    name = _checked("room", lambda text: plain_text(text, most), value)
    kind = kind_of(name)
    return Room(Kind.SOCKET if kind is Kind.CUSTOM and is_socket_id(name) else kind, name)


def kind_of(name: str) -> Kind:
    """What a room of this name is, unless it is the id of a socket."""
    if name == SUPER_ADMIN:
        return Kind.SUPER_ADMIN
    kind = _PREFIXES.get(name[: name.find(":") + 1], Kind.CUSTOM)
    return Kind.SCOPE if kind in (Kind.ORDER, Kind.TRANSFER) and "|" in name else kind


def subject(kind: Kind, value: object) -> Room:
    """Take what a client sent as the id of an order, product or transfer, and return its room.

    Raises `Refused` with `bad_request` for what cannot be an id.
    """
    return Room(kind, kind.value + _checked("id", text_id, value))


def values_of(identity: Identity) -> Mapping[str, tuple[str, ...]]:
    """What the placeholders of patterns stand for."""
    company = () if identity.company_id is None else (identity.company_id,)
    return {
        "userId": (identity.user_id,),
        "companyId": company,
        "shopId": identity.shop_ids,
        "role": identity.roles,
    }


_PREFIXES = {kind.value: kind for kind in Kind if kind.value.endswith(":")}
_NAMED: Mapping[Kind, Callable[[Identity], Iterable[str]]] = {
    Kind.USER: lambda who: (user_room(who.user_id),),
    Kind.COMPANY: lambda who: () if who.company_id is None else (company_room(who.company_id),),
    Kind.SHOP: lambda who: map(shop_room, who.shop_ids),
    Kind.ROLE: lambda who: map(role_room, who.roles),
    Kind.SUPER_ADMIN: lambda who: (SUPER_ADMIN,) if who.is_super_admin else (),
}
"""The rooms of each kind that a token names."""

_AUTOMATIC = tuple(_NAMED[kind] for kind, row in TABLE.items() if row.automatic is Who.NAMED)


def _by_table(who: Who, identity: Identity, owners: Owners) -> Entry:
    if who is Who.ANYBODY:
        return Entry.ADMITTED
    if who is Who.OWNERS:
        if _entitled(identity, owners):
            return Entry.ADMITTED
        return Entry.REFUSED if owners.known else Entry.PENDING
    concerned = identity.company_id is not None or identity.shop_ids or identity.is_super_admin
    return Entry.PENDING if who is Who.CONCERNED and concerned else Entry.REFUSED


def _entitled(identity: Identity, owners: Owners) -> bool:
    return owners.entitles(
        user_id=identity.user_id,
        company_id=identity.company_id,
        shop_ids=identity.shop_ids,
        super_admin=identity.is_super_admin,
    )


def _order_rooms(identity: Identity, room: Room, entry: Entry) -> tuple[str, ...]:
    """The plain room unless an event has to decide first, and the scopes in which events find the subscriber."""
    if entry is Entry.GRANTED:
        return (room.name, scope_of_all(room.name))
    scopes = order_scopes_of_subscriber(
        room.id, identity.user_id, identity.company_id, identity.shop_ids, identity.is_super_admin
    )
    return (room.name, *scopes) if entry is Entry.ADMITTED else scopes


def _checked(what: str, check: Callable[[object], str], value: object) -> str:
    try:
        return check(value)
    except ValueError as reason:
        raise Refused("bad_request", f"the {what} {reason}") from None
