"""The server that tests/protocol speaks to: `protocol_server.py '{"kind": "socketio", "options": {...}}'`.

Echoes as the examples do, and tells on its output what tests want to know of its inside: sessions that open
and close, sockets that leave and why. tests/protocol/node_fixture.js behaves the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.web.server import Site

from rtwist.engineio import Cookie, Handshake, Session, message
from rtwist.engineio import Options as EngineOptions
from rtwist.engineio import Server as EngineServer
from rtwist.engineio import Site as EngineSite
from rtwist.socketio import ConnectionRefused, ConnectLater, Options, Server, Socket


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def may_enter(request: Handshake) -> str | None:
    """The text with which the request asks to be refused."""
    return request.headers.get("x-refuse")


class Echo:
    """Sends every Engine.IO message back; `close`, `count:N` and `note:TOKEN` are commands."""

    def __init__(self, session: Session) -> None:
        self._session = session
        say("opened", session.sid)

    def message(self, data: str | bytes) -> None:
        text = data if isinstance(data, str) else ""
        command, _, argument = text.partition(":")
        if command == "note":
            say("noted", argument)
        if command == "close":
            self._session.close()
        elif command == "count":
            for number in range(int(argument)):
                self._session.send([message(f"number {number}")])
        else:
            self._session.send([message(data)])

    def closed(self, reason: str, description: str) -> None:
        say("closed", self._session.sid, reason, f"({description})")


def echo(socket: Socket) -> None:
    name = socket.handshake.auth.get("name")
    socket.emit("auth", socket.handshake.auth)
    socket.on("message", lambda *args: socket.emit("message-back", *map(without_ack, args)))
    socket.on("message-with-ack", acknowledge)
    socket.on("ack-twice", lambda ack: [ack("first"), ack("second")])
    socket.on("ask", lambda question: ask(socket, question))
    socket.on("leave", socket.disconnect)
    socket.on("close", lambda: socket.disconnect(True))
    socket.on("note", lambda token: say("noted", token))
    socket.on("disconnecting", lambda reason: say("leaving", name, reason, socket.id in socket.rooms))
    socket.on("disconnect", lambda reason: say("left", name, reason))


def without_ack(value: Any) -> Any:
    return None if callable(value) else value


def acknowledge(*args: Any) -> None:
    if args and callable(args[-1]):
        args[-1](*args[:-1])


def ask(socket: Socket, question: Any) -> None:
    socket.emit("question", question, ack=lambda *answers: socket.emit("answered", *answers))


def greet(socket: Socket) -> None:
    socket.emit("auth", socket.handshake.auth)


def welcome(socket: Socket) -> None:
    socket.emit("welcome")


def members_only(socket: Socket) -> None:
    if socket.handshake.auth.get("token") != "good":
        raise ConnectionRefused("Not a member", {"code": "not_a_member"})


def not_now(socket: Socket) -> None:
    raise ConnectLater("the keys cannot be fetched")


def tick_while_waiting(io: Server) -> Any:
    """Middleware that takes its time while events go out to the namespace."""

    async def wait(socket: Socket) -> None:
        ticks = LoopingCall(io.of("/slow").emit, "tick")
        ticks.start(0.02)
        await deferLater(reactor, 0.2)
        ticks.stop()
        if socket.handshake.auth.get("refuse"):
            raise ConnectionRefused("Too late")

    return wait


def socket_io_site(options: Options) -> Site:
    io = Server(reactor, options)
    io.on("connection", echo)
    io.of("/custom").on("connection", greet)
    members, slow = io.of("/members"), io.of("/slow")
    io.of("/later").use(not_now)
    io.root.on("connection", lambda socket: socket.on("shut-down", io.close))
    members.use(members_only)
    slow.use(tick_while_waiting(io))
    members.on("connection", welcome)
    slow.on("connection", welcome)
    return io.site()


def chosen(settings: dict[str, Any]) -> dict[str, Any]:
    """The options as the classes want them: no lists, no nested objects, no functions by name."""
    options = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings["options"].items()
    }
    if "client_dist" in options:
        options["client_dist"] = Path(options["client_dist"])
    if options.get("cookie"):
        options["cookie"] = Cookie(**options["cookie"])
    if settings.get("refusing"):
        options["allow_request"] = may_enter
    if settings["kind"] == "engineio":
        options.pop("connect_timeout", None)
    return options


def serve(settings: dict[str, Any]) -> Deferred[Any]:
    options = chosen(settings)
    if settings["kind"] == "engineio":
        site = EngineSite(EngineServer(reactor, EngineOptions(**options), Echo))
    else:
        site = socket_io_site(Options(**options))
    return serverFromString(reactor, f"tcp:{settings.get('port', 0)}:interface=127.0.0.1").listen(site)


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    serve(json.loads(sys.argv[1])).addCallback(lambda port: say(f"listening on 127.0.0.1:{port.getHost().port}"))
    reactor.run()


if __name__ == "__main__":
    main()
