"""`examples/echo.py` in several processes, put together as the service does it: PORT COUNT as parent.

With NODES_REDIS, the port of a Redis, they are one of several nodes; FORWARD_TIMEOUT, FORWARD_MOST are optional.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.resource import Resource

from rtwist.cluster.directory import BEATS_PER_LEASE, Directory, directory_limits
from rtwist.cluster.redisrecords import RedisRecords
from rtwist.engineio.forwarding import Forwarder
from rtwist.engineio.nodes import new_mark, read_address
from rtwist.listening import Listening
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis
from rtwist.signals import heed_signals, stop_in_order
from rtwist.socketio import Options, Server
from rtwist.workers.child import Inherited, Place, follow_parent, place, say_ready
from rtwist.workers.neighbours import Neighbourhood
from rtwist.workers.parent import Parent
from tests.support.protocol_server import echo, greet, say

reactor: Any = _reactor
OPTIONS = Options(
    cors_origins="*",
    ping_interval=5.0,
    ping_timeout=20.0,
    trusted_proxies=("127.0.0.1",),
    max_buffered=64_000_000,
)
LEASE = 2.0
CHANNEL = "test:nodes"


class Who(Resource):
    """The worker's number and pid, how many connections it handed over and took, and its sessions.

    Then how many nodes it knows, and the requests forwarded now, those that were in all, and those that were not.
    """

    isLeaf = True

    def __init__(self, neighbours: Neighbourhood, server: Server) -> None:
        super().__init__()
        self.nodes: Directory | tuple[()] = ()
        self._neighbours = neighbours
        self._server = server

    def render_GET(self, request: object) -> bytes:
        known = self._neighbours
        sessions = len(self._server.engine.sessions)
        forwarder = self._server.engine.forwarder
        counts = {} if forwarder is None else forwarder.as_dict()
        forwarded = [counts.get(name, 0) for name in ("now", "forwarded", "unreachable", "max_forwarded")]
        numbers = [os.getpid(), known.handed, known.taken, sessions, len(self.nodes), *forwarded]
        return " ".join([known.mark[-1], *map(str, numbers)]).encode()


class Patient:
    """Stops when it is told to, and then waits to be told to do so at once, if WORKERS_WAIT is set."""

    def __init__(self, number: int) -> None:
        self._over: Deferred[None] = Deferred()
        self._number = number
        reactor.addSystemEventTrigger("before", "shutdown", self._stop)

    def stop_at_once(self, why: str) -> None:
        say(f"worker {self._number} leaves at once")
        self._over.callback(None)

    def _stop(self) -> Deferred[None] | None:
        say(f"worker {self._number} stops")
        return self._over if "WORKERS_WAIT" in os.environ else None


def work(own: Place) -> None:
    """One worker."""
    io = Server(reactor, OPTIONS)
    io.on("connection", echo)
    io.of("/custom").on("connection", greet)
    fallback = Resource()
    site = io.site(fallback)
    neighbours = Neighbourhood(
        reactor, site, number=own.number, count=own.count, folder=own.folder, node=own.node
    )
    who = Who(neighbours, io)
    fallback.putChild(b"who", who)
    fallback.putChild(b"ready", who)
    io.engine.neighbours = neighbours
    if own.node:
        who.nodes = join_nodes(io, own.node)
    ports = [Inherited(reactor, descriptor, site) for descriptor in own.descriptors]
    for service in (neighbours, *ports):
        service.startService()
    for port in ports:
        reactor.addSystemEventTrigger("before", "shutdown", port.stopService)
    patient, reloaded = Patient(own.number), partial(say, f"worker {own.number} reads its configuration again")
    follow_parent(
        reactor,
        partial(stop_in_order, reactor),
        at_once=partial(patient.stop_at_once, "the parent says so"),
        reload=reloaded,
    )
    heed_signals(reactor, patient, reloaded)
    reactor.callWhenRunning(say_ready)
    reactor.run()


def join_nodes(io: Server, mark: str) -> Directory:
    """Be one of several nodes."""
    redis = Redis(reactor, read_url(f"redis://127.0.0.1:{os.environ['NODES_REDIS']}"))
    records = RedisRecords(redis, "test-nodes", directory_limits(LEASE), CHANNEL)
    address = read_address(f"http://127.0.0.1:{sys.argv[1]}")
    nodes = Directory(records, io.tasks, reactor, mark=mark, address=address, lease=LEASE)
    RedisBus(redis).subscribe(CHANNEL, lambda *_: nodes.look())
    redis.watch(lambda connected: nodes.beat() if connected else None)
    redis.startService()
    LoopingCall(nodes.beat).start(LEASE / BEATS_PER_LEASE)
    io.engine.forwarder = Forwarder(
        reactor,
        nodes,
        timeout=float(os.environ.get("FORWARD_TIMEOUT", "5")),
        most=int(os.environ.get("FORWARD_MOST", "1000")),
    )
    return nodes


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
        node=new_mark() if "NODES_REDIS" in os.environ else "",
    )
    heed_signals(reactor, parent, parent.reload)
    parent.startService()
    for service in (parent, listening):
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
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
