"""The server whose inside is counted; `GET /state` tells what it holds after a garbage collection."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, globalLogBeginner
from twisted.web.resource import Resource
from twisted.web.server import Request

from rtwist.socketio import AckLost, AckTimeout, ConnectionRefused, ConnectLater, Options, Server, Socket

OPTIONS = Options(
    ping_interval=2.5, ping_timeout=1.0, upgrade_timeout=1.5, connect_timeout=1.5, refused_timeout=0.5,
    close_timeout=0.5, poll_close_timeout=1.0, body_timeout=0.5,
)  # fmt: skip
ACK_SECONDS = 0.5
COUNTED = ("rtwist.", "autobahn.", "twisted.web.", "twisted.internet.")


def forgive(waiting: Deferred[Any]) -> None:
    waiting.addErrback(lambda failure: failure.trap(AckLost, AckTimeout))


class House:
    """What each client leaves traces in: rooms, handlers, acknowledgements that never come, slow work."""

    def __init__(self, io: Server) -> None:
        self.reasons: Counter[str] = Counter()
        io.on("connection", self.welcome)
        io.of("/members").use(self.refuse)
        io.of("/later").use(self.postpone)
        io.of("/slow").use(self.hesitate)

    def welcome(self, socket: Socket) -> None:
        kind = str(socket.handshake.auth["kind"])
        socket.data["socket"] = socket
        socket.join(["lobby", f"kind {kind}", f"pair {len(socket.namespace.sockets) // 2}"])
        socket.on("leave", socket.disconnect)
        socket.on("close", lambda: socket.disconnect(True))
        socket.on("work", self.work)
        socket.on("share", lambda data: socket.to(f"kind {kind}").emit("shared", data))
        socket.on("disconnect", lambda reason: self.count(kind, reason))
        forgive(socket.emit_with_ack("ask"))
        forgive(socket.timeout(ACK_SECONDS).emit_with_ack("ask in time"))
        forgive(socket.namespace.to(socket.id).timeout(ACK_SECONDS).emit_with_ack("ask all"))

    def count(self, kind: str, reason: str) -> None:
        self.reasons[f"{kind}: {reason}"] += 1

    async def work(self, *args: Any) -> None:
        await deferLater(reactor, 0.02)

    async def refuse(self, socket: Socket) -> None:
        await deferLater(reactor, 0.01)
        raise ConnectionRefused("Not a member", {"code": "not_a_member"})

    def postpone(self, socket: Socket) -> None:
        raise ConnectLater("not now")

    async def hesitate(self, socket: Socket) -> None:
        await deferLater(reactor, 0.05)


class State(Resource):
    """Everything that must not grow."""

    isLeaf = True

    def __init__(self, io: Server, house: House, complaints: list[str]) -> None:
        super().__init__()
        self._io = io
        self._house = house
        self._complaints = complaints

    def render_GET(self, request: Request) -> bytes:
        gc.collect()
        return json.dumps({"living": self.living(), "objects": self.objects(), **self.figures()}).encode()

    def living(self) -> dict[str, Any]:
        """What must be gone when every client has left."""
        spaces = self._io.namespaces.values()
        timers = {getattr(call.func, "__qualname__", repr(call.func)) for call in reactor.getDelayedCalls()}
        return {
            "sessions": len(self._io.engine.sessions),
            "clients": len(self._io.clients),
            "sockets": sum(len(space.sockets) for space in spaces),
            "rooms": sorted(name for space in spaces for name in space.adapter.rooms.names()),
            "tasks": len(self._io.tasks),
            "timers": sorted(timers - {"HTTPFactory._updateLogDateTime"}),
            "readers": len(reactor.getReaders()),
            "files": len(list(Path("/proc/self/fd").iterdir())),
        }

    def objects(self) -> dict[str, int]:
        names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
        return dict(Counter(name for name in names if name.startswith(COUNTED)))

    def figures(self) -> dict[str, Any]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "blocks": sys.getallocatedblocks(),
            "tracked": len(gc.get_objects()),
            "rss": pages * os.sysconf("SC_PAGE_SIZE"),
            "reasons": self._house.reasons,
            "complaints": self._complaints,
        }


def main() -> None:
    complaints: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.error and len(complaints) < 20:
            failure = event.get("log_failure")
            complaints.append(str(event.get("log_format")) + (failure.getTraceback() if failure else ""))

    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False, discardBuffer=True)
    io = Server(reactor, OPTIONS)
    house = House(io)
    root = Resource()
    root.putChild(b"state", State(io, house, complaints))
    listening = serverFromString(reactor, "tcp:0:interface=127.0.0.1:backlog=512").listen(io.site(root))
    listening.addCallback(lambda port: sys.stdout.write(f"listening on 127.0.0.1:{port.getHost().port}\n"))
    listening.addCallback(lambda _: sys.stdout.flush())
    reactor.run()


if __name__ == "__main__":
    main()
