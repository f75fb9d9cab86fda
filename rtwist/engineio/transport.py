"""What a session needs of a transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rtwist.engineio.packet import Packet

if TYPE_CHECKING:
    from rtwist.engineio.session import Session


class Transport(Protocol):
    """A way to the client. Its news go to the session: `received`, `blocked`, `ready`, `lost`.

    `batch` is how many bytes it wants at once from what has waited. `patience` is for how many seconds a client
    may take nothing before it counts as behind: one that polls takes nothing between two polls.
    """

    name: str
    session: Session
    batch: int
    patience: float

    @property
    def writable(self) -> bool:
        """Whether `send` may be called now."""

    @property
    def stuck(self) -> bool:
        """Whether much of what it has sent lies unread in the connection's buffer, or before it."""

    @property
    def unsent(self) -> Sequence[Packet]:
        """The large packets it has taken and not yet handed to the connection to their end."""

    def send(self, packets: Sequence[Packet]) -> None:
        """Put `packets` on the wire in order; the transport must be writable."""

    def close(self) -> None:
        """Let the client know and leave; nothing is received or sent afterwards."""

    def abort(self) -> None:
        """Leave at once; what the client has not read is lost."""
