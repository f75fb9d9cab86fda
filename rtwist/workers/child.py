"""What a worker has from its parent: its number, the sockets it listens with, and orders."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.python.compat import iterbytes
from twisted.python.failure import Failure

from rtwist.listening import keep_for_others

ENVIRONMENT: Final = "INTERNAL_RTWIST_WORKER"
"""Names the variable in which the parent tells a worker what it is."""

READY_DESCRIPTOR: Final = 3
"""On which a worker tells its parent that it serves; the sockets to listen with follow."""

STOP: Final = b"s"
AT_ONCE: Final = b"a"
RELOAD: Final = b"r"
"""What a parent writes to the standard input of its workers. Not by signals: systemd and terminals signal all
processes of a service, workers would hear of it twice, and a second SIGTERM ends them at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place: its `number` of `count`, the `folder` of their UNIX sockets, how many `sockets` it got.

    `node` is the mark of the node that they are, "" when other nodes need not know it.
    """

    number: int
    count: int
    sockets: int
    folder: Path
    node: str = ""

    def encode(self) -> str:
        """As the value of an environment variable."""
        return f"{self.number}/{self.count}/{self.sockets}/{self.node}:{self.folder}"

    @property
    def descriptors(self) -> range:
        """The sockets to listen with, in the order of the endpoints."""
        return range(READY_DESCRIPTOR + 1, READY_DESCRIPTOR + 1 + self.sockets)


def place(environment: Mapping[str, str]) -> Place | None:
    """The place of this process; None for one that no parent has started."""
    text = environment.get(ENVIRONMENT)
    if text is None:
        return None
    numbers, _, folder = text.partition(":")
    *digits, node = numbers.split("/")
    number, count, sockets = map(int, digits)
    return Place(number, count, sockets, Path(folder), node)


class Inherited(Service):
    """Listens with a socket that the parent has bound, so that nobody is refused while a worker restarts."""

    def __init__(self, reactor: Any, descriptor: int, factory: IProtocolFactory) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._factory = factory
        self._port: IListeningPort | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        address: Any = None if self._port is None else self._port.getHost()
        if address is None:
            return f"descriptor {self._descriptor}"
        host = f"[{address.host}]" if isinstance(address, IPv6Address) else address.host
        return f"{host}:{address.port}"

    def startService(self) -> None:
        """Begin to accept connections."""
        super().startService()
        with socket.socket(fileno=self._descriptor) as listening:
            self._port = self._reactor.adoptStreamPort(listening.fileno(), listening.family, self._factory)
            keep_for_others(self._port)

    def stopService(self) -> Deferred[Any]:
        """Accept no more; the other workers go on."""
        super().stopService()
        port, self._port = self._port, None
        return succeed(None) if port is None else maybeDeferred(port.stopListening)


def say_ready() -> None:
    """Tell the parent that this worker serves."""
    os.write(READY_DESCRIPTOR, b"1")
    os.close(READY_DESCRIPTOR)


def follow_parent(
    reactor: Any,
    stop: Callable[[], None],
    *,
    at_once: Callable[[], None] = lambda: None,
    reload: Callable[[], None] = lambda: None,
) -> None:
    """Do what the parent says: `stop` in order, leave `at_once`, or `reload` the configuration.

    It also is to `stop` when the parent has died, which holds the other end of the standard input. `stop` may be
    called several times.
    """
    StandardIO(_Lifeline({STOP: stop, AT_ONCE: at_once, RELOAD: reload}, stop), reactor=reactor)


class _Lifeline(Protocol):
    def __init__(self, orders: Mapping[bytes, Callable[[], None]], left: Callable[[], None]) -> None:
        self._orders = orders
        self._left = left

    def dataReceived(self, data: bytes) -> None:
        for order in iterbytes(data):
            self._orders[order]()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._left()


def worker_arguments(
    arguments: Sequence[str], executable: str, twistd: Mapping[str, Any] | None = None
) -> list[str]:
    """The command of a worker, from the arguments of `rtwist` in its parent's command, and twistd's options."""
    program = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
    own = ["-n", "--pidfile="]
    if twistd and twistd.get("syslog"):
        own += ["--syslog", f"--prefix={twistd['prefix']}"]
    return [executable, "-c", program, *own, "rtwist", *arguments]
