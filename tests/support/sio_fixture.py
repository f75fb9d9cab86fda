"""A server on which clients reach the whole of rtwist.socketio: they ask, it does, with Node's vocabulary."""

from __future__ import annotations

import argparse
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString

from rtwist.socketio import ConnectionRefused, Options, Server

JSON = Any


def attempt(error: Exception, **more: JSON) -> dict[str, JSON]:
    """How a failure is shown to the client that asked."""
    return {"error": str(error), **more}


def talk(io: Server, socket: Any) -> None:  # noqa: C901, PLR0915 - a list of commands
    """The commands that a client of the main namespace may give."""
    socket.data["seen"] = []

    def on(event: str) -> Any:
        def register(handler: Any) -> Any:
            socket.on(event, handler)
            return handler

        return register

    @on("message")
    def message(*args: JSON) -> None:
        socket.emit("message-back", *args)

    @on("who")
    def who(ack: Any) -> None:
        shake = socket.handshake
        headers = {str(name).lower(): value for name, value in shake.headers.items()}
        ack(
            {
                "id": socket.id,
                "rooms": sorted(socket.rooms),
                "auth": shake.auth,
                "cookie": headers.get("cookie"),
                "header": headers.get("x-probe"),
                "probe": shake.query.get("probe"),
            }
        )

    @on("seen")
    def seen(ack: Any) -> None:
        ack(socket.data["seen"])

    def look(event: str, args: Any) -> None:
        socket.data["seen"].append(event)
        if event == "forbidden":
            raise ValueError("forbidden by the middleware")

    socket.use(look)

    @on("forbidden")
    def forbidden(*args: JSON) -> None:
        socket.emit("forbidden-was-handled")

    @on("fail")
    def fail(*args: JSON) -> None:
        raise ValueError("a handler that fails")

    @on("later")
    async def later(value: JSON, ack: Any) -> None:
        answer = await socket.timeout(5).emit_with_ack("question", value)
        ack(answer)

    @on("join")
    def join(room: str, ack: Any) -> None:
        socket.join(room)
        ack(sorted(socket.rooms))

    @on("leave")
    def leave(room: str, ack: Any) -> None:
        socket.leave(room)
        ack(sorted(socket.rooms))

    @on("to")
    def to_rooms(rooms: list[str], *args: JSON) -> None:
        target = socket
        for room in rooms:
            target = target.to(room)
        target.emit(*args)

    @on("to-except")
    def to_except(room: str, excepted: str, *args: JSON) -> None:
        socket.to(room).except_(excepted).emit(*args)

    @on("broadcast")
    def broadcast(*args: JSON) -> None:
        socket.broadcast.emit(*args)

    @on("volatile")
    def volatile(*args: JSON) -> None:
        socket.volatile.emit(*args)

    @on("io-emit")
    def io_emit(*args: JSON) -> None:
        io.emit(*args)

    @on("io-to")
    def io_to(rooms: list[str], *args: JSON) -> None:
        target = io
        for room in rooms:
            target = target.to(room)
        target.emit(*args)

    @on("io-except")
    def io_except(room: str, *args: JSON) -> None:
        io.except_(room).emit(*args)

    @on("ask-me")
    async def ask_me(seconds: float, *args: JSON) -> None:
        *args_, ack = args
        try:
            answer = await socket.timeout(seconds).emit_with_ack(*args_)
        except Exception as error:
            ack(attempt(error))
        else:
            ack({"answer": answer})

    @on("ask-many")
    async def ask_many(count: int, event: str, ack: Any) -> None:
        asked = [socket.timeout(5).emit_with_ack(event, number) for number in range(count)]
        ack([await answer for answer in asked])

    @on("ask-room")
    async def ask_room(room: str, seconds: float, *args: JSON) -> None:
        *args_, ack = args
        try:
            answers = await io.to(room).timeout(seconds).emit_with_ack(*args_)
        except Exception as error:
            ack(attempt(error, answers=list(getattr(error, "responses", None) or [])))
        else:
            ack({"answers": answers})

    @on("in-join")
    def in_join(room: str, new: str, ack: Any) -> None:
        io.in_(room).sockets_join(new)
        ack()

    @on("in-leave")
    def in_leave(room: str, old: str, ack: Any) -> None:
        io.in_(room).sockets_leave(old)
        ack()

    @on("in-disconnect")
    def in_disconnect(room: str, close: bool) -> None:
        io.in_(room).disconnect_sockets(close)

    @on("in-fetch")
    async def in_fetch(room: str, ack: Any) -> None:
        ack(sorted([other.id for other in await io.in_(room).fetch_sockets()]))

    @on("leave-server")
    def leave_server(close: bool) -> None:
        socket.disconnect(close)

    @on("emit-and-leave")
    def emit_and_leave(close: bool) -> None:
        socket.emit("last words", b"bye")
        socket.disconnect(close)

    flooding = {"sent": 0, "limit": 0}

    def push() -> None:
        if flooding["sent"] < flooding["limit"]:
            socket.emit("drop", flooding["sent"])
            flooding["sent"] += 1
            reactor.callLater(0, push)  # type: ignore[attr-defined]

    @on("flood")
    def flood(limit: int) -> None:
        resting = flooding["sent"] == flooding["limit"]
        flooding["limit"] = limit
        if resting:
            push()

    @on("disconnecting")
    def disconnecting(reason: str) -> None:
        socket.data["rooms"] = sorted(socket.rooms)

    @on("disconnect")
    def disconnect(reason: str) -> None:
        rooms = socket.data.get("rooms")
        io.to("watchers").emit(
            "gone", {"id": socket.id, "reason": reason, "rooms": rooms, "after": sorted(socket.rooms)}
        )


def build(options: Options) -> Server:
    """The server with all of its namespaces."""
    io = Server(reactor, options)

    @io.on("connection")
    def joined(socket: Any) -> None:
        talk(io, socket)

    guarded = io.of("/guarded")

    def first(socket: Any) -> None:
        refuse = socket.handshake.auth.get("refuse")
        if refuse == "with data":
            raise ConnectionRefused("no entry", {"code": "closed", "list": [1, None, "é"]})
        if refuse == "without data":
            raise ConnectionRefused("no reason")
        socket.data["first"] = True

    async def second(socket: Any) -> None:
        if socket.handshake.auth.get("refuse") == "later":
            await io.in_("nobody").fetch_sockets()
            raise ConnectionRefused("refused later", {"first": socket.data["first"]})

    guarded.use(first)
    guarded.use(second)

    @guarded.on("connection")
    def entered(socket: Any) -> None:
        socket.emit("welcome", {"first": socket.data.get("first")})
        guarded.emit("somebody entered")

    @io.of("/other").on("connection")
    def other(socket: Any) -> None:
        socket.join("shared")
        socket.on("all", lambda *args: io.of("/other").emit(*args))

    return io


def main() -> None:
    """Read the options, listen on loopback, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ping-interval", type=float, default=1.0)
    parser.add_argument("--ping-timeout", type=float, default=5.0)
    parser.add_argument("--connect-timeout", type=float, default=5.0)
    parser.add_argument("--websocket-compression", action="store_true")
    parser.add_argument("--origin", help="the only allowed one; any without it")
    arguments = parser.parse_args()
    io = build(
        Options(
            ping_interval=arguments.ping_interval,
            ping_timeout=arguments.ping_timeout,
            connect_timeout=arguments.connect_timeout,
            cors_origins=(arguments.origin,) if arguments.origin else "*",
            max_payload=1_000_000,
            websocket_compression=arguments.websocket_compression,
        )
    )
    listening = serverFromString(reactor, f"tcp:{arguments.port}:interface=127.0.0.1").listen(io.site())
    listening.addCallback(lambda port: print(f"listening on 127.0.0.1:{port.getHost().port}", flush=True))  # noqa: T201
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
