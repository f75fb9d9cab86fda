"""What a node does while Redis is away; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum


class WhileAway(Enum):
    """The choice of the operator."""

    HOLD = "hold"
    """Consume nothing: events stay in RabbitMQ until all nodes can hear of them."""
    LOCAL = "local"
    """Consume, and serve the sockets of this node only; those of other nodes never hear of it."""


class Standing(Enum):
    """How a node stands to the others."""

    AWAY = "away"
    """Redis cannot be reached, or never was yet."""
    CATCHING_UP = "catching up"
    """Redis is there; what the others have put there meanwhile is not all known yet."""
    JOINED = "joined"
    """All is known and heard."""


class Turn(Enum):
    """What can happen."""

    LOST = "lost"
    FOUND = "found"
    CAUGHT_UP = "caught up"


_NEXT: Mapping[tuple[Standing, Turn], Standing] = {
    (Standing.AWAY, Turn.LOST): Standing.AWAY,
    (Standing.AWAY, Turn.FOUND): Standing.CATCHING_UP,
    # A reading that was under way when Redis went away: it may lack what came after.
    (Standing.AWAY, Turn.CAUGHT_UP): Standing.AWAY,
    (Standing.CATCHING_UP, Turn.LOST): Standing.AWAY,
    (Standing.CATCHING_UP, Turn.FOUND): Standing.CATCHING_UP,
    (Standing.CATCHING_UP, Turn.CAUGHT_UP): Standing.JOINED,
    (Standing.JOINED, Turn.LOST): Standing.AWAY,
    (Standing.JOINED, Turn.FOUND): Standing.CATCHING_UP,
    (Standing.JOINED, Turn.CAUGHT_UP): Standing.JOINED,
}


class Outage:
    """Whether events may be consumed and acknowledged, by how the node stands and what the operator chose.

    `changed` is called with `consumes` whenever that becomes another.
    """

    def __init__(self, choice: WhileAway, changed: Callable[[bool], None] = lambda _: None) -> None:
        self.standing = Standing.AWAY
        self._choice = choice
        self.changed = changed

    @property
    def consumes(self) -> bool:
        """Whether events may be taken in."""
        return self._choice is WhileAway.LOCAL or self.standing is Standing.JOINED

    @property
    def waits_for_redis(self) -> bool:
        """Whether an event counts as handled only when Redis has what it caused."""
        return self._choice is WhileAway.HOLD or self.standing is not Standing.AWAY

    def turn(self, turn: Turn) -> None:
        """Something happened."""
        consumed = self.consumes
        self.standing = _NEXT[self.standing, turn]
        if self.consumes != consumed:
            self.changed(self.consumes)
