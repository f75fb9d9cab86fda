"""Which worker a session is of: a character of its sid, the first one after the mark of the node; pure."""

from __future__ import annotations

import string
from typing import Final

_MARKS: Final = string.digits + string.ascii_letters + "-_"
MOST_WORKERS: Final = len(_MARKS)
"""One for each character of a sid; more than the cores of most machines."""


def mark_of(worker: int) -> str:
    """The character in the sids of `worker`; workers are numbered from 0 to `MOST_WORKERS` - 1."""
    return _MARKS[worker]


def worker_of(sid: str, node: str = "") -> int | None:
    """The worker of `node` whose session `sid` would be, or None when none of its sids begin like this."""
    at = len(node)
    found = _MARKS.find(sid[at]) if len(sid) > at and sid.startswith(node) else -1
    return None if found < 0 else found
