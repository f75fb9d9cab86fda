"""The processes of one host that share its ports: what their parent runs, and what makes a service a worker."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from rtwist.commandline import Options
from rtwist.config import Config
from rtwist.engineio import Site
from rtwist.engineio.nodes import new_mark
from rtwist.errors import ConfigError
from rtwist.listening import Listening
from rtwist.logs import FILE_VARIABLE, log_path
from rtwist.reloading import log_refused
from rtwist.signals import heed_signals, stop_in_order
from rtwist.socketio import Server
from rtwist.workers.child import Inherited, Place, follow_parent, say_ready, worker_arguments
from rtwist.workers.neighbours import Neighbourhood
from rtwist.workers.parent import Parent

STOP_SLACK = 10.0
"""Seconds that a worker has beyond --drain-timeout until it is killed."""


class Lead(MultiService):
    """Binds the ports of `config` and runs its workers; the service of the process that is no worker."""

    _log = Logger()

    def __init__(self, reactor: Any, options: Options, observer: ILogObserver | None) -> None:
        super().__init__()
        config: Config = options["config"]
        self._options = options
        self._observer = observer
        self._ports = [Listening(endpoint, Workers(), reactor) for endpoint in config.listen]
        for port in self._ports:
            port.setServiceParent(self)
        self._sockets: list[int] = []
        twistd: Mapping[str, Any] = options.parent or {}
        self._workers = Parent(
            reactor,
            worker_arguments(options["arguments"], sys.executable, twistd),
            count=config.workers,
            sockets=lambda: self._sockets,
            failed=partial(_end_with, reactor),
            environment=_environment(twistd),
            stop_seconds=_patience(config),
            node="" if config.cluster is None or config.cluster.advertise is None else new_mark(),
        )
        heed_signals(reactor, self._workers, self._reload)

    def setServiceParent(self, parent: object) -> None:
        """Join the application, and tell it where to log."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Bind the ports, and leave what comes to the workers."""
        try:
            super().privilegedStartService()
            self._sockets = [port.give_up_accepting() for port in self._ports]
        except ConfigError as error:
            raise SystemExit(f"rtwist: {error}") from None

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        addresses = ", ".join(port.address for port in self._ports)
        self._log.info("{count} workers listen on {addresses}", count=self._workers.count, addresses=addresses)
        self._workers.startService()

    def stopService(self) -> Deferred[Any]:
        """Fires when all workers have ended."""
        ended = self._workers.stopService()
        return DeferredList([ended, super().stopService()])

    def _reload(self) -> None:
        # What no worker could read is refused here, once.
        try:
            config = self._options.read()
        except ConfigError as error:
            log_refused(error)
            return
        self._workers.stop_seconds = _patience(config)
        self._workers.reload()


def _patience(config: Config) -> float:
    return config.drain.timeout + STOP_SLACK


def ports(reactor: Any, site: Site, config: Config, own: Place | None) -> list[Listening] | list[Inherited]:
    """What a process listens with; a worker has its place, `own`."""
    if own is None:
        return [Listening(endpoint, site, reactor) for endpoint in config.listen]
    return [Inherited(reactor, descriptor, site) for descriptor in own.descriptors]


def neighbourhood(reactor: Any, io: Server, site: Site, own: Place | None) -> list[Neighbourhood]:
    """A worker's way to the others."""
    if own is None:
        return []
    others = Neighbourhood(reactor, site, number=own.number, count=own.count, folder=own.folder, node=own.node)
    io.engine.neighbours = others
    return [others]


def obey(reactor: Any, stop_at_once: Callable[[str], None], reload: Callable[[], None]) -> None:
    """Do what the parent says, and stop when it has died."""
    stop = partial(stop_in_order, reactor)
    follow_parent(reactor, stop, at_once=partial(stop_at_once, "a second signal came"), reload=reload)
    reactor.callWhenRunning(say_ready)


class Workers(Factory[Protocol]):
    """Takes the place of who accepts the connections: the workers do."""

    noisy = False


def _environment(twistd: Mapping[str, Any]) -> Mapping[str, str]:
    path = log_path(twistd)
    return os.environ if path is None else {**os.environ, FILE_VARIABLE: path}


def _end_with(reactor: Any, status: int) -> None:
    # twistd ends with 0 whenever the reactor has stopped.
    atexit.register(os._exit, status)
    stop_in_order(reactor)
