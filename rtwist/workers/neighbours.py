"""What a worker knows of the others: how to hand them connections, and how to be handed theirs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from twisted.application.internet import ClientService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from rtwist.workers.links import Receiver, Sender
from rtwist.workers.marks import mark_of, worker_of

_RETRY_SECONDS: Final = 0.2


class Neighbourhood(MultiService):
    """The other workers, as one worker sees them; `Neighbours` of its Engine.IO server.

    `number` is this worker's of `count`. `folder` holds their UNIX sockets and is this user's alone. `factory`, a
    `rtwist.engineio.Site`, makes the protocols of connections that are handed over to this worker. `node` is the
    mark that the sids of all of them begin with, where other nodes are to know whose they are.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, factory: IProtocolFactory, *, number: int, count: int, folder: Path, node: str = ""
    ) -> None:
        super().__init__()
        self.mark = node + mark_of(number)
        self._node = node
        self.handed = 0
        self._number = number
        self.taken = 0
        self._reactor = reactor
        self._factory = factory
        self._own = _path(folder, number)
        self._port: IListeningPort | None = None
        self._links: dict[int, Sender] = {}
        for other in range(count):
            if other != number:
                self._follow(other, _path(folder, other))

    def startService(self) -> None:
        """Be there for the others, and look for them."""
        with contextlib.suppress(FileNotFoundError):
            Path(self._own).unlink()  # of a worker that was killed
        self._port = self._reactor.listenUNIX(self._own, _Made(lambda: Receiver(self.adopt)), mode=0o600)
        super().startService()

    def stopService(self) -> Deferred[Any]:
        """Take and hand over no more."""
        port, self._port = self._port, None
        stopped = succeed(None) if port is None else maybeDeferred(port.stopListening)
        return stopped.addCallback(lambda _: maybeDeferred(super(Neighbourhood, self).stopService))

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

    def _follow(self, other: int, path: str) -> None:
        def lost() -> None:
            self._links.pop(other, None)

        def found(sender: Any) -> None:
            self._links[other] = sender
            self._log.info("worker {number} reaches {other}", number=self._number, other=other)

        endpoint = UNIXClientEndpoint(self._reactor, path)
        service = ClientService(
            endpoint,
            _Made(lambda: Sender(self._reactor, self._returned, lost)),
            retryPolicy=lambda _: _RETRY_SECONDS,
            clock=self._reactor,
            prepareConnection=found,
        )
        service.setServiceParent(self)


class _Made(Factory):
    """Protocols that are made by a function."""

    noisy = False

    def __init__(self, made: Callable[[], Protocol]) -> None:
        self._made = made

    def buildProtocol(self, _: object) -> Protocol:
        return self._made()


def _path(folder: Path, number: int) -> str:
    return str(folder / f"worker-{number}")
