"""`examples/echo.py` in several processes, put together as the service does it: PORT COUNT as parent."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Factory
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource

from rtwist.listening import Listening
from rtwist.socketio import Options, Server
from rtwist.workers.child import Inherited, Place, follow_parent, place, say_ready
from rtwist.workers.neighbours import Neighbourhood
from rtwist.workers.parent import Parent
from tests.support.protocol_server import echo, greet, say

reactor: Any = _reactor
OPTIONS = Options(cors_origins="*", ping_interval=5.0, ping_timeout=20.0)


class Who(Resource):
    """The worker's number and pid, how many connections it handed over and took, and its sessions."""

    isLeaf = True

    def __init__(self, neighbours: Neighbourhood, server: Server) -> None:
        super().__init__()
        self._neighbours = neighbours
        self._server = server

    def render_GET(self, request: object) -> bytes:
        known = self._neighbours
        sessions = len(self._server.engine.sessions)
        return f"{known.mark} {os.getpid()} {known.handed} {known.taken} {sessions}".encode()


def stop() -> None:
    with suppress(ReactorNotRunning):
        reactor.stop()


def stop_on_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(stop))


def work(own: Place) -> None:
    """One worker."""
    io = Server(reactor, OPTIONS)
    io.on("connection", echo)
    io.of("/custom").on("connection", greet)
    fallback = Resource()
    site = io.site(fallback)
    neighbours = Neighbourhood(reactor, site, number=own.number, count=own.count, folder=own.folder)
    fallback.putChild(b"who", Who(neighbours, io))
    fallback.putChild(b"ready", Who(neighbours, io))
    io.engine.neighbours = neighbours
    ports = [Inherited(reactor, descriptor, site) for descriptor in own.descriptors]
    for service in (neighbours, *ports):
        service.startService()
    follow_parent(reactor, stop)
    reactor.callWhenRunning(stop_on_sigterm)
    signal.signal(signal.SIGHUP, lambda *_: say(f"worker {own.number} got SIGHUP"))
    reactor.callWhenRunning(say_ready)
    reactor.run()


def lead(port: str, count: str) -> int:
    """The parent; returns its exit status."""
    listening = Listening(f"tcp:{port}:interface=127.0.0.1", Factory(), reactor)
    listening.startService()
    bound = listening.give_up_accepting()
    statuses = []

    def failed(status: int) -> None:
        statuses.append(status)
        reactor.stop()

    command = [sys.executable, *sys.argv]
    parent = Parent(
        reactor,
        command,
        count=int(count),
        sockets=lambda: [bound],
        failed=failed,
        stop_seconds=float(os.environ.get("WORKERS_STOP_SECONDS", "60")),
    )

    def pass_on() -> None:
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(parent.signal, "HUP"))

    reactor.callWhenRunning(pass_on)
    parent.startService()
    reactor.addSystemEventTrigger("before", "shutdown", parent.stopService)
    reactor.callWhenRunning(stop_on_sigterm)
    reactor.run()
    return statuses[0] if statuses else 0


def main() -> None:
    own = place(os.environ)
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    if own is None:
        sys.exit(lead(*sys.argv[1:3]))
    if "WORKERS_FAIL" in os.environ:
        sys.exit(int(os.environ["WORKERS_FAIL"]))
    work(own)


if __name__ == "__main__":
    main()
