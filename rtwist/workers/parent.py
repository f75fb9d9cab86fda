"""The process that binds the ports, starts the workers, watches them and passes on what it is told."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.workers.child import AT_ONCE, ENVIRONMENT, READY_DESCRIPTOR, RELOAD, STOP, Place
from rtwist.workers.restarts import Restarts

STOP_SECONDS: Final = 60.0
"""For a worker to end once it was told to; whoever still runs then is killed. More than a stop may take."""


class Parent(Service):
    """Runs `count` workers by `command`, each listening with all of `sockets`, descriptors of the caller.

    `failed` is called once, with the exit status of a worker that ended before any had served: what is wrong
    then, such as an option, would be wrong again. Later ones are started again, see `Restarts`. `node` is the
    mark of all of them together, where there are other nodes.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        command: Sequence[str],
        *,
        count: int,
        sockets: Callable[[], Sequence[int]],
        failed: Callable[[int], None],
        environment: Mapping[str, str] = os.environ,
        stop_seconds: float = STOP_SECONDS,
        node: str = "",
    ) -> None:
        self.served = False
        self.reactor = reactor
        self.stop_seconds = stop_seconds
        self._node = node
        self._command = list(command)
        self.count = count
        self._sockets = sockets
        self._failed = failed
        self._environment = environment
        self._folder: Path | None = None
        self._workers: list[_Worker] = []

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        self._folder = Path(tempfile.mkdtemp(prefix="rtwist-"))  # readable by this user alone
        self._workers = [_Worker(self, number) for number in range(self.count)]
        for worker in self._workers:
            worker.start()

    def stopService(self) -> Deferred[Any]:
        """Have the workers stop in order; fires when all have ended."""
        super().stopService()
        return DeferredList([worker.stop() for worker in self._workers]).addCallback(self._clean)

    def stop_at_once(self, why: str) -> None:
        """Have the workers wait for nobody any more."""
        self._log.info("the workers leave at once: {why}", why=why)
        for worker in self._workers:
            worker.say(AT_ONCE)

    def reload(self) -> None:
        """Have the workers read their configuration again; one that has yet to start does so then."""
        for worker in self._workers:
            worker.say(RELOAD)

    def spawn(self, worker: _Worker) -> Any:
        """A process for `worker`."""
        sockets = self._sockets()
        place = Place(worker.number, self.count, len(sockets), cast(Path, self._folder), self._node)
        files: dict[int, int | str] = {0: "w", 1: 1, 2: 2, READY_DESCRIPTOR: "r"}
        files.update(zip(place.descriptors, sockets, strict=True))
        environment = {**self._environment, ENVIRONMENT: place.encode()}
        return self.reactor.spawnProcess(worker, self._command[0], self._command, env=environment, childFDs=files)

    def ended(self, worker: _Worker, status: int, signal: int | None) -> None:
        """`worker` has ended without being asked."""
        if not self.running:
            return
        if not self.served:
            self.running = False
            self._failed(status or 1)
            return
        delay = worker.restarts.ended(self.reactor.seconds())
        self._log.error(
            "worker {number} (pid {pid}) has ended {how}; it is started again in {delay:.1f} s",
            number=worker.number,
            pid=worker.pid,
            how=f"by signal {signal}" if signal else f"with status {status}",
            delay=delay,
        )
        worker.start_later(delay)

    def not_started(self, worker: _Worker, error: OSError) -> None:
        """There is no process for `worker`."""
        delay = worker.restarts.ended(self.reactor.seconds())
        self._log.error(
            "worker {number} cannot be started: {error}; it is tried again in {delay:.1f} s",
            number=worker.number,
            error=error,
            delay=delay,
        )
        worker.start_later(delay)

    def _clean(self, result: object) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class _Worker(ProcessProtocol):
    """One place among the workers, and the process that has it now."""

    _log = Logger()

    def __init__(self, parent: Parent, number: int) -> None:
        self.number = number
        self.restarts = Restarts()
        self.pid: int | None = None
        self._parent = parent
        self._timer: IDelayedCall | None = None
        self._ended: Deferred[None] | None = None

    def start(self) -> None:
        """Start a process."""
        self._timer = None
        self.restarts.started(self._parent.reactor.seconds())
        try:
            self.pid = self._parent.spawn(self).pid
        except OSError as error:  # of processes, files or memory there are too many at the moment
            self._parent.not_started(self, error)
            return
        self._log.info("worker {number} started (pid {pid})", number=self.number, pid=self.pid)

    def start_later(self, delay: float) -> None:
        """Start a process in `delay` seconds."""
        self._timer = self._parent.reactor.callLater(delay, self.start)

    def stop(self) -> Deferred[None]:
        """End the process; fires when it has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.pid is None:
            return succeed(None)
        self._ended = Deferred()
        self.say(STOP)
        self._timer = self._parent.reactor.callLater(self._parent.stop_seconds, self._kill)
        return self._ended

    def say(self, order: bytes) -> None:
        """Tell the process, if there is one, one of the orders in `rtwist.workers.child`."""
        if self.pid is not None and self.transport is not None:
            with contextlib.suppress(KeyError):  # its standard input is closed: it ends
                self.transport.writeToChild(0, order)

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803 - Twisted's name
        """The worker serves."""
        self._parent.served = True

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        """The process has ended, and all its pipes are closed."""
        status, signal = getattr(reason.value, "exitCode", None), getattr(reason.value, "signal", None)
        if self._ended is None:
            self._parent.ended(self, status or 0, signal)
            self.pid = None
            return
        self.pid = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self._ended = self._ended, None
        ended.callback(None)

    def _kill(self) -> None:
        self._timer = None
        self._log.warn("worker {number} (pid {pid}) does not end: it is killed", number=self.number, pid=self.pid)
        if self.transport is not None:
            with contextlib.suppress(ProcessExitedAlready):
                self.transport.signalProcess("KILL")
