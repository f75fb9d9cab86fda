"""How fast a client sends, and what it is told when that is too fast."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from twisted.internet.interfaces import IReactorTime

from rtwist.engineio.buckets import BURST_SECONDS, Bucket
from rtwist.socketio.packet import Packet, PacketType

LIMIT: Final = "max_events_per_second"
_CODE = "rate_limited"
_MESSAGE = "too many events in a short time; wait a little"
_CONNECT_COST = 10.0
# Of an event that is refused: who sends at less than twice the rate gets away with refusals. More than twice the
# default rate is what `max_packets_per_second` still lets through, which only slows a client down.
_REFUSED_SHARE = 0.5
_QUOTED = 100


class Tempo(Enum):
    """How fast a client is with its latest packet."""

    STEADY = auto()
    FAST = auto()
    WILD = auto()


class Pace:
    """Counts the packets of one connection; without a `rate` any number is fine."""

    __slots__ = ("_bucket", "_clock", "_most_debt")

    def __init__(self, rate: float | None, clock: IReactorTime) -> None:
        self._clock = clock
        self._bucket = None if rate is None else Bucket(rate, clock.seconds())
        self._most_debt = 0.0 if rate is None else rate * BURST_SECONDS

    def of(self, packet: Packet) -> Tempo:
        """Count `packet`: it may be handled, or must be refused, or the client must go."""
        bucket = self._bucket
        if bucket is None:
            return Tempo.STEADY
        cost = _CONNECT_COST if packet.type is PacketType.CONNECT else 1.0
        now = self._clock.seconds()
        if bucket.take(now, cost):
            return Tempo.STEADY
        return Tempo.FAST if bucket.spend(now, cost * _REFUSED_SHARE) > -self._most_debt else Tempo.WILD


def connect_refusal() -> dict[str, object]:
    """What a client hears that connects too often."""
    return {"message": _MESSAGE, "data": {"code": _CODE}}


def event_refusal(event: Packet) -> Packet:
    """The answer to an event that came too fast: its acknowledgement, or the event `error`."""
    error = {"code": _CODE, "message": _MESSAGE}
    if event.id is not None:
        return Packet(PacketType.ACK, event.namespace, [{"success": False, "error": error}], event.id)
    name = str(event.data[0])[:_QUOTED]
    return Packet(PacketType.EVENT, event.namespace, ["error", {"event": name, **error}])
