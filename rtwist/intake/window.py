"""Which event ids were seen lately; pure."""

from __future__ import annotations

from collections import OrderedDict

from rtwist.socketio.jsoncodec import dumps

DEFAULT_SECONDS = 600.0
DEFAULT_SIZE = 100_000


class Window:
    """Remembers ids for `seconds`, at most `size` of them; the oldest are forgotten first.

    Between `pause` and `resume` nothing gets older: what comes again once a broker is back must still be known.
    """

    def __init__(self, seconds: float = DEFAULT_SECONDS, size: int = DEFAULT_SIZE) -> None:
        self._seconds = seconds
        self._size = size
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._paused: float | None = None
        self._oldest = 0.0
        """When the first was added, or earlier."""

    def __len__(self) -> int:
        return len(self._seen)

    def holds(self, event_id: str, now: float) -> bool:
        """Whether `event_id` was added within the window that ends at `now` (seconds)."""
        added = self._seen.get(event_id)
        return added is not None and self._until(now) - added < self._seconds

    def add(self, event_id: str, now: float) -> None:
        """Remember `event_id` as seen at `now`."""
        seen = self._seen
        if event_id in seen:
            del seen[event_id]
        seen[event_id] = now
        while len(seen) > self._size:
            seen.popitem(last=False)
        if self._until(now) - self._oldest >= self._seconds:
            self._drop_old(self._until(now))

    def pause(self, now: float) -> None:
        """Let nothing get older from `now` on; once is enough."""
        if self._paused is None:
            self._paused = now

    def resume(self, now: float) -> None:
        """What was remembered at the pause is as old now as it was then."""
        if self._paused is not None:
            self._left_out(self._paused, now)
            self._paused = None

    def _left_out(self, since: float, now: float) -> None:
        later = max(now - since, 0.0)
        if later:
            self._seen = OrderedDict((one, min(added + later, now)) for one, added in self._seen.items())

    def _drop_old(self, now: float) -> None:
        while self._seen:
            event_id, self._oldest = next(iter(self._seen.items()))
            if now - self._oldest < self._seconds:
                break
            del self._seen[event_id]

    def _until(self, now: float) -> float:
        return now if self._paused is None else min(self._paused, now)

    def commit(self, now: float) -> None:
        """What was added is to last; nothing to do for a window that ends with the process."""

    def forget(self, event_id: str) -> None:
        """As if `event_id` had never been added."""
        self._seen.pop(event_id, None)


def key_of(event_id: str) -> str:
    """What `event_id` is called among nodes: ids are any text, lone surrogates too."""
    return dumps(event_id)
