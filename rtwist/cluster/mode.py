"""Which rooms have channels of their own in the sharded protocol; pure."""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """Which rooms have channels of their own; all nodes must have the same."""

    STATIC = "static"
    """None."""
    DYNAMIC = "dynamic"
    """All but those of one socket."""
    DYNAMIC_PRIVATE = "dynamic-private"
    """All."""
