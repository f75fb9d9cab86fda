"""A name for an emission, so that no socket gets it twice; pure."""

from __future__ import annotations

from typing import NamedTuple


class Mark(NamedTuple):
    """The emission `number` (from 0) of the event that `key` names among all nodes."""

    key: str
    number: int
