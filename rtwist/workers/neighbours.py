"""What a worker knows of the others: how to hand them connections, and how to be handed theirs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from rtwist.workers.links import Receiver, Sender
from rtwist.workers.marks import mark_of, worker_of

_RETRY_SECONDS: Final = 0.2


class Neighbourhood(Service):
    """The other workers, as one worker sees them; `Neighbours` of its Engine.IO server.

    `number` is this worker's of `count`. `folder` holds their UNIX sockets and is this user's alone. `factory`, a
    `rtwist.engineio.Site`, makes the protocols of connections that are handed over to this worker. `node` is the
    mark that the sids of all of them begin with, where other nodes are to know whose they are.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, factory: IProtocolFactory, *, number: int, count: int, folder: Path, node: str = ""
    ) -> None:
        self.mark = node + mark_of(number)
        self._node = node
        self.handed = 0
        self._number = number
        self.taken = 0
        self._reactor = reactor
        self._factory = factory
        self._folder = folder
        self._own = _path(folder, number)
        self._port: IListeningPort | None = None
        self._links: dict[int, Sender] = {}
        self._timers: dict[int, IDelayedCall] = {}
        self._others = [other for other in range(count) if other != number]

    def startService(self) -> None:
        """Be there for the others, and look for them."""
        with contextlib.suppress(FileNotFoundError):
            Path(self._own).unlink()  # of a worker that was killed
        self._port = self._reactor.listenUNIX(self._own, Links(lambda: Receiver(self.adopt)), mode=0o600)
        super().startService()
        for other in self._others:
            self._follow(other)

    def stopService(self) -> Deferred[Any]:
        """Take and hand over no more."""
        super().stopService()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for link in tuple(self._links.values()):
            link.transport.loseConnection()
        port, self._port = self._port, None
        return succeed(None) if port is None else maybeDeferred(port.stopListening)

    def reach(self, sid: str) -> bool:
        """Whether the session `sid` is another worker's that can be handed a connection now."""
        worker = worker_of(sid, self._node)
        link = None if worker is None else self._links.get(worker)
        return link is not None and link.ready

    def hand(self, sid: str, descriptor: int, data: bytes) -> None:
        """Hand a connection to the worker of `sid`; to this one, when that has gone meanwhile."""
        link = self._links.get(cast(int, worker_of(sid, self._node)))
        if link is None:
            self._returned(descriptor, data)
        else:
            self.handed += 1
            link.hand(descriptor, data)

    def adopt(self, descriptor: int, data: bytes) -> None:
        """Serve a connection, of which `data` was read before."""
        self._adopt(descriptor, data, stays=False)

    def _returned(self, descriptor: int, data: bytes) -> None:
        # The other worker may wake up with the same connection in hand: it must find it closed soon.
        self._adopt(descriptor, data, stays=True)

    def _adopt(self, descriptor: int, data: bytes, *, stays: bool) -> None:
        with socket.socket(fileno=descriptor) as connection:
            connection.setblocking(False)
            try:
                transport = self._reactor.adoptStreamConnection(
                    connection.fileno(), connection.family, self._factory
                )
            except OSError:
                # The client left on the way, or too many files are open.
                return
        if transport is not None:
            self.taken += 1
            if stays:
                transport.protocol.stay()
            transport.protocol.dataReceived(data)

    def _follow(self, other: int) -> None:
        # Without Twisted's ClientService, which logs every attempt: a worker may be away for a while.
        self._timers.pop(other, None)
        endpoint = UNIXClientEndpoint(self._reactor, _path(self._folder, other))
        sender = Sender(self._reactor, self._returned, partial(self._lost, other))
        endpoint.connect(Links(lambda: sender)).addCallbacks(
            self._found, lambda _: self._later(other), callbackArgs=(other,)
        )

    def _found(self, sender: Any, other: int) -> None:
        if not self.running:
            sender.transport.abortConnection()
            return
        self._links[other] = sender
        self._log.info("worker {number} reaches {other}", number=self._number, other=other)

    def _lost(self, other: int) -> None:
        self._links.pop(other, None)
        self._later(other)

    def _later(self, other: int) -> None:
        if self.running:
            self._timers[other] = self._reactor.callLater(_RETRY_SECONDS, self._follow, other)


class Links(Factory):
    """Protocols that are made by a function."""

    noisy = False

    def __init__(self, made: Callable[[], Protocol]) -> None:
        self._made = made

    def buildProtocol(self, _: object) -> Protocol:
        """One for each connection."""
        return self._made()


def _path(folder: Path, number: int) -> str:
    return str(folder / f"worker-{number}")
