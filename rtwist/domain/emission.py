"""What a rule answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Emission:
    """One Socket.IO event for everybody who is in at least one of `rooms`; without rooms, for everyone.

    A socket in several of the rooms gets it once. `data` is shared by its receivers: nobody changes it.
    """

    event: str
    data: dict[str, Any]
    rooms: tuple[str, ...]
