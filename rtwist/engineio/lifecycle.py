"""The life of an Engine.IO session as tables: state and event to next state; pure.

Whatever a table does not hold cannot happen, or is a fault of the peer. `docs/protocol.rst` shows both tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType

from rtwist.engineio.packet import PacketType


class State(Enum):
    """Where a session is; only an open one carries messages."""

    OPENING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Event(Enum):
    """What moves a session on."""

    OPEN_SENT = auto()
    CLOSE_ASKED = auto()
    ENDED = auto()


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.OPENING, Event.OPEN_SENT): State.OPEN,
        (State.OPENING, Event.ENDED): State.CLOSED,
        (State.OPEN, Event.CLOSE_ASKED): State.CLOSING,
        (State.OPEN, Event.ENDED): State.CLOSED,
        (State.CLOSING, Event.ENDED): State.CLOSED,
    }
)


def step(state: State, event: Event) -> State | None:
    """The next state, or None when `event` means nothing in `state`."""
    return TRANSITIONS.get((state, event))


class Action(Enum):
    """What an open session does about a packet of the client."""

    DELIVER = auto()
    HEARTBEAT = auto()
    CLOSE = auto()
    IGNORE = auto()
    HEARTBEAT_FAULT = auto()
    FAULT = auto()


# In v4 the server pings: a ping of the client breaks the protocol, as does its `open`.
ON_POLLING: Mapping[PacketType, Action] = MappingProxyType(
    {
        PacketType.OPEN: Action.FAULT,
        PacketType.CLOSE: Action.CLOSE,
        PacketType.PING: Action.HEARTBEAT_FAULT,
        PacketType.PONG: Action.HEARTBEAT,
        PacketType.MESSAGE: Action.DELIVER,
        PacketType.UPGRADE: Action.IGNORE,
        PacketType.NOOP: Action.IGNORE,
    }
)
# A WebSocket is closed by its own closing handshake; there a close packet says nothing.
ON_WEBSOCKET: Mapping[PacketType, Action] = MappingProxyType({**ON_POLLING, PacketType.CLOSE: Action.IGNORE})


class Probe(Enum):
    """What a packet on a new WebSocket makes of the upgrade from polling."""

    PROBED = auto()
    UPGRADED = auto()
    REFUSED = auto()


def probe_step(packet_type: PacketType, data: str | bytes) -> Probe:
    """What the packet means for the upgrade; anything but a probe or an upgrade refuses the WebSocket."""
    if packet_type is PacketType.UPGRADE:
        return Probe.UPGRADED
    if packet_type is PacketType.PING and data == "probe":
        return Probe.PROBED
    return Probe.REFUSED
