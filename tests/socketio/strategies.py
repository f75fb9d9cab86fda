"""What Hypothesis makes up for Socket.IO."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rtwist.socketio.packet import ABSENT, RESERVED_EVENTS, Packet, PacketType

# JavaScript strings: any code units, lone surrogates too. (A pair of them would become one character.)
STRINGS = st.one_of(st.text(), st.text(st.characters(categories=["Cs", "So", "Ll"])))
NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False).map(lambda one: one + 0.0)
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, STRINGS)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = STRINGS.filter(lambda key: key != "_placeholder")
    return st.recursive(
        leaves, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4))
    )


JSON = nested(SCALARS)
WITH_BINARY = nested(st.one_of(SCALARS, st.binary(max_size=20)))
NAMESPACES = st.one_of(
    st.just("/"),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), max_size=20).map("/{}".format),
)
IDS = st.one_of(st.none(), st.integers(0, 10**15 - 1))
EVENTS = STRINGS.filter(lambda name: name not in RESERVED_EVENTS)
EVENT_DATA = st.builds(lambda name, args: [name, *args], EVENTS, st.lists(WITH_BINARY, max_size=4))
PACKETS = st.one_of(
    st.builds(
        Packet,
        st.just(PacketType.CONNECT),
        NAMESPACES,
        st.one_of(st.just(ABSENT), st.dictionaries(STRINGS, JSON)),
    ),
    st.builds(Packet, st.just(PacketType.DISCONNECT), NAMESPACES),
    st.builds(Packet, st.just(PacketType.EVENT), NAMESPACES, EVENT_DATA, IDS),
    st.builds(Packet, st.just(PacketType.ACK), NAMESPACES, st.lists(WITH_BINARY, max_size=4), IDS),
    st.builds(
        Packet, st.just(PacketType.CONNECT_ERROR), NAMESPACES, st.one_of(STRINGS, st.dictionaries(STRINGS, JSON))
    ),
)


def joined(value: Any) -> Any:
    """`value` as it looks after a journey: halves of a pair that stand side by side are one character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, dict):
        return {joined(key): joined(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [joined(item) for item in value]
    return value
