"""The running service: listening ports over a Socket.IO server, stopped in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from rtwist.engineio.options import POLLING
from rtwist.engineio.relay import Relay
from rtwist.errors import ConfigError
from rtwist.intake.broker import Broker
from rtwist.rest import Rest
from rtwist.shedding import BATCH_SECONDS, DrainOptions, shed
from rtwist.socketio import Server
from rtwist.socketio.client import Client

_GOODBYE_SECONDS = 0.2
_BROKER_SECONDS = 5.0
"""For what is in hand to be handled and acknowledged, before the clients begin to leave."""
_LEAVE_SECONDS = 2.0
"""For the other nodes to be told; if they are not, they find out when this node's lease ends."""
_LINGER_SECONDS = 3.0
"""For clients that are to be told at their next poll, or that have not taken yet what waits for them."""


class Cluster(Protocol):
    """The other nodes."""

    def startService(self) -> None:
        """Look for them, and be there for them."""

    async def leave(self) -> None:
        """Tell them that this node ends, and stop."""


class RtwistService(MultiService):
    """Listens while it runs, and consumes from the `broker` when there is one.

    On stop it lets its clients go in the order of `drain`: /ready says so, after a while nobody can connect any
    more, it consumes no more, and the clients' transports close a few at a time.

    `ports` are what it listens with; `lasting` are services that clients need until they are gone. `cluster` is
    joined first and left last.

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
        lasting: Sequence[IService] = (),
        broker: Broker | None = None,
        cluster: Cluster | None = None,
        observer: ILogObserver | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._io = io
        self._rest = rest
        self._started = started
        self._broker = broker
        self._cluster = cluster
        self._observer = observer
        self.drain = DrainOptions()
        self._over: Deferred[str | None] = Deferred()
        self._ports = MultiService()
        self._ports.setServiceParent(self)
        for port in ports:
            port.setServiceParent(self._ports)
        for service in lasting:
            service.setServiceParent(self)

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
        if self._cluster is not None:
            self._cluster.startService()
        super().startService()
        if self._broker is not None:
            self._broker.start()
        self._started()

    def stopService(self) -> Deferred[None]:
        """Stop; the result fires when clients have been told, so that they reconnect elsewhere."""
        return Deferred.fromCoroutine(self._stop())

    def stop_at_once(self, why: str) -> None:
        """Wait for nobody any more; does nothing before and after it stops."""
        if self._rest.draining:
            self._end_wait(why)

    async def _stop(self) -> None:
        self._rest.draining = True
        drain = self.drain
        self._log.info(
            "stopping: {clients} clients are asked to reconnect, at least {rate} a second, within {timeout:g} s",
            clients=len(self._io.clients),
            rate="all" if drain.rate is None else drain.rate,
            timeout=drain.timeout,
        )
        late = self._clock.callLater(drain.timeout, self.stop_at_once, f"{drain.timeout:g} s have passed")
        orderly = Deferred.fromCoroutine(self._let_go(self._clock.seconds() + drain.timeout))
        orderly.addErrback(lambda failure: self._log.failure("could not stop in order", failure))
        orderly.addCallback(lambda _: self._end_wait(None))
        why = await self._over
        if why is not None:
            self._log.info("stopping at once: {why}", why=why)
        if late.active():
            late.cancel()
        self._io.close()
        await DeferredList([super().stopService().addTimeout(_LEAVE_SECONDS, self._clock)], consumeErrors=True)
        if self._cluster is not None:
            await self._leave(self._cluster)
        self._io.tasks.stop()
        # What was written just now leaves with the next turns of the reactor.
        await deferLater(self._clock, _GOODBYE_SECONDS)

    async def _leave(self, cluster: Cluster) -> None:
        try:
            await Deferred.fromCoroutine(cluster.leave()).addTimeout(_LEAVE_SECONDS, self._clock)
        except DeadlinePassed:
            self._log.warn("the other nodes could not be told in time")

    def _end_wait(self, why: str | None) -> None:
        if not self._over.called:
            self._over.callback(why)

    async def _let_go(self, end: float) -> None:
        clock, drain = self._clock, self.drain
        if drain.delay:
            await deferLater(clock, drain.delay)
        self._io.admit_no_more()
        if self._broker is not None:
            await self._stop_consuming(self._broker, min(_BROKER_SECONDS, (end - clock.seconds()) / 4))
        clients = self._io.clients
        polling = [client for client in clients if client.session.transport_name == POLLING]
        left = end - clock.seconds()
        linger = min(_LINGER_SECONDS, left / 4)
        if polling:
            # Each hears of the end at its next poll, for which it may need a new connection.
            within = (left - 2 * linger) * len(polling) / len(clients)
            await shed(clock, polling, self._io.send_away, rate=drain.rate, within=within)
            await self._wait_for(polling, linger)
        await DeferredList([self._ports.stopService()])
        within = end - linger - clock.seconds()
        forwarder = self._io.engine.forwarder
        passing = [] if forwarder is None else forwarder.lasting
        shedding = (
            shed(clock, self._io.clients, self._io.send_away, rate=drain.rate, within=within),
            # Clients of other nodes, whose WebSockets go through this one.
            shed(clock, passing, Relay.let_go, rate=drain.rate, within=within, there=lambda relay: relay.is_open),
        )
        await gatherResults([Deferred.fromCoroutine(one) for one in shedding], consumeErrors=True)
        await self._wait_for(self._io.clients, linger)

    async def _stop_consuming(self, broker: Broker, within: float) -> None:
        # A broker that fails or does not answer must not keep the clients waiting: all would leave at the end.
        over: Deferred[None] = Deferred()
        stopping = Deferred.fromCoroutine(broker.stop())
        stopping.addErrback(lambda failure: self._log.failure("could not stop consuming in order", failure))
        stopping.addCallback(lambda _: None if over.called else over.callback(None))
        try:
            await over.addTimeout(within, self._clock)
        except DeadlinePassed:
            self._log.warn("RabbitMQ does not answer: the clients do not wait for it any longer")

    async def _wait_for(self, clients: Collection[Client], seconds: float) -> None:
        end = self._clock.seconds() + seconds
        while not self._io.clients.isdisjoint(clients) and self._clock.seconds() < end:
            await deferLater(self._clock, BATCH_SECONDS)
