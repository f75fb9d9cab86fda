"""Which worker a session is of: the first character of its sid; pure."""

from __future__ import annotations

import string
from typing import Final

_MARKS: Final = string.digits + string.ascii_letters + "-_"
MOST_WORKERS: Final = len(_MARKS)
"""One for each character that a sid may begin with; more than the cores of most machines."""


def mark_of(worker: int) -> str:
    """The character that the sids of `worker` begin with; workers are numbered from 0 to `MOST_WORKERS` - 1."""
    return _MARKS[worker]


def worker_of(sid: str) -> int | None:
    """The worker whose session `sid` would be, or None when no sid begins like this."""
    found = _MARKS.find(sid[:1]) if sid else -1
    return None if found < 0 else found
