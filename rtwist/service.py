"""The running service: listening ports over a Socket.IO server, stopped in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from rtwist.errors import ConfigError
from rtwist.intake.broker import Broker
from rtwist.rest import Rest
from rtwist.socketio import Server

_GOODBYE_SECONDS = 0.2


class RtwistService(MultiService):
    """Listens while it runs, and consumes from the `broker` when there is one.

    On stop it first stops listening and consuming, then lets every client's transport close.

    `started` is called once all ports listen. `observer`, when given, becomes the application's log observer.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        io: Server,
        rest: Rest,
        ports: Sequence[IService],
        *,
        started: Callable[[], None],
        broker: Broker | None = None,
        observer: ILogObserver | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._io = io
        self._rest = rest
        self._started = started
        self._broker = broker
        self._observer = observer
        for port in ports:
            port.setServiceParent(self)

    def setServiceParent(self, parent: object) -> None:
        """Join the application, and tell it where to log."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Start listening on ports that need privileges."""
        try:
            super().privilegedStartService()
        except ConfigError as error:
            raise SystemExit(f"rtwist: {error}") from None

    def startService(self) -> None:
        """Start serving."""
        super().startService()
        if self._broker is not None:
            self._broker.start()
        self._started()

    def stopService(self) -> Deferred[None]:
        """Stop; the result fires when clients have been told, so that they reconnect elsewhere."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._rest.draining = True
        self._log.info("stopping: {clients} clients are asked to reconnect", clients=len(self._io.clients))
        await DeferredList([super().stopService()])
        if self._broker is not None:
            # A failure is logged, and must not keep the clients waiting.
            await DeferredList([Deferred.fromCoroutine(self._broker.stop())])
        self._io.close()
        self._io.tasks.stop()
        # What was written just now leaves with the next turns of the reactor.
        await deferLater(self._clock, _GOODBYE_SECONDS)
