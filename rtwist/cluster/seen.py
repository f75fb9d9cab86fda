"""Which event ids were seen lately, by whichever node: the consumer may move from one to another."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from rtwist.cluster.deliveries import Deliveries
from rtwist.cluster.follower import Follower
from rtwist.cluster.records import Records
from rtwist.intake.window import DEFAULT_SECONDS, DEFAULT_SIZE, Window, key_of
from rtwist.tasks import Tasks

IDLE_SECONDS = 10.0
"""For `RecordLimits.idle`: ids do not age while nothing is handled, as when the broker is away."""


class SharedWindow(Window):
    """A `Window` that knows the ids of all nodes as of the last `follower.catch_up`.

    Nobody need ask for single ids: whoever is about to take events in catches up once before. `commit` has the
    others know what was added; `settled` says when that is certain. `now` returns the seconds that `add` takes.
    `deliveries` has what was published for the events; `records` are then a `NodeLog` of the same.
    """

    def __init__(
        self,
        records: Records,
        tasks: Tasks,
        now: Callable[[], float],
        seconds: float = DEFAULT_SECONDS,
        size: int = DEFAULT_SIZE,
        *,
        deliveries: Deliveries | None = None,
    ) -> None:
        super().__init__(seconds, size)
        self._deliveries = deliveries
        self.follower = Follower(records, tasks, self._heard, mine=self._mine, max_waiting=size)
        self._now = now
        self._fresh: dict[str, None] = {}

    def add(self, event_id: str, now: float) -> None:
        """Remember `event_id` as seen at `now`; the others know it after `commit`."""
        super().add(event_id, now)
        self._fresh[event_id] = None

    def forget(self, event_id: str) -> None:
        """As if `event_id` had never been added; too late once it was committed."""
        super().forget(event_id)
        self._fresh.pop(event_id, None)

    def commit(self, now: float) -> None:
        """Have the others know what was added since the last time."""
        fresh, self._fresh = self._fresh, {}
        if fresh:
            self.follower.put_all([(key_of(event_id), b"") for event_id in fresh])

    def settled(self) -> Deferred[None]:
        """Fires when all that was committed is certain.

        When it fails, what was not certain is forgotten: those events are to come again, for all.
        """
        return self.follower.settled().addErrback(self._unsettled)

    def _unsettled(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError):  # whoever waited has left, which says nothing about the ids
            keys = self.follower.withdraw()
            for key in keys:
                super().forget(json.loads(key))
            if self._deliveries is not None:
                self._deliveries.published(keys)
        return failure

    @property
    def publishes(self) -> bool:
        """Whether the emissions of events go out with their ids: where an id is certain, they are."""
        return self._deliveries is not None

    def _heard(self, key: str, value: bytes) -> None:
        try:
            event_id = json.loads(key)
        except (ValueError, RecursionError):
            return
        if isinstance(event_id, str):
            super().add(event_id, self._now())

    def _mine(self) -> list[tuple[str, bytes]]:
        return [(key_of(event_id), b"") for event_id in self._seen]
