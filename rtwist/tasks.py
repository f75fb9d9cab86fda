"""Background coroutines: named, logged when they fail, cancelled at stop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure


class Tasks:
    """The coroutines that nobody awaits; each belongs to one `Tasks`, which can end them all."""

    _log = Logger()

    def __init__(self) -> None:
        self._running: set[Deferred[Any]] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, coroutine: Coroutine[Deferred[Any], Any, Any]) -> None:
        """Run `coroutine` at once; a failure is logged under `name`, never lost and never raised."""
        if self._stopped:
            coroutine.close()
            return
        task: Deferred[Any] = Deferred.fromCoroutine(coroutine)
        self._running.add(task)
        task.addErrback(self._failed, name)
        task.addBoth(lambda _: self._running.discard(task))

    def stop(self) -> None:
        """Cancel what still runs; nothing can be started afterwards."""
        self._stopped = True
        for task in tuple(self._running):
            task.cancel()

    def _failed(self, failure: Failure, name: str) -> None:
        if self._stopped and failure.check(CancelledError):
            return
        self._log.failure("{name} failed", failure=failure, name=name)
