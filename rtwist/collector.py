"""Python's garbage collector, for a process of very many objects that live long."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 10_000
"""Objects more than before after which the newest are looked at; Python's own 700 are six connections."""


def relax() -> None:
    """Look at objects less often, and at those there are already never again; for the end of the start.

    A connection that has ended leaves no cycles, so little is found; looking at those that live took a seventh of
    the time of connecting, and at ten thousand of them stopped the process for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
