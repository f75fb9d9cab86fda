"""When a worker that has ended is started again; pure."""

from __future__ import annotations

from typing import Final

STEADY_SECONDS: Final = 30.0
"""A worker that lived for so long did not fail at its start: the next one is started at once."""

FIRST_DELAY: Final = 0.5
MOST_DELAY: Final = 30.0
"""Between starts: so that a worker that cannot live does not take all of a core to try."""


class Restarts:
    """How long to wait, for one worker. Times are in seconds of any clock."""

    def __init__(self) -> None:
        self._started = 0.0
        self._failures = 0

    def started(self, now: float) -> None:
        """The worker was started."""
        self._started = now

    def ended(self, now: float) -> float:
        """The worker has ended; in how many seconds to start it again."""
        if now - self._started >= STEADY_SECONDS:
            self._failures = 0
            return 0.0
        self._failures += 1
        # Bounded before it is raised: the delay would be a large number after a few days.
        return min(MOST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures - 1, 16))
