"""A small chat on rtwist.socketio: names, rooms, who is here, who is typing.

    python examples/chat.py

The page, chat.html, uses the ordinary socket.io-client, which this server serves at /socket.io/socket.io.js.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.static import Data

from rtwist.socketio import ConnectionRefused, Options, Server, Socket

HERE = Path(__file__).resolve().parent
TEST_CLIENT = HERE.parent / "tests" / "clients" / "node_modules" / "socket.io-client" / "dist"
MAX_NAME = 30
MAX_TEXT = 2000

Ack = Callable[..., None]


class Chat:
    """Everybody is in one room at a time; a room exists while somebody is in it."""

    def __init__(self, io: Server) -> None:
        self._io = io
        io.use(self._name)
        io.on("connection", self._connected)

    def _name(self, socket: Socket) -> None:
        name = trimmed(socket.handshake.auth.get("name"), MAX_NAME)
        if name is None:
            raise ConnectionRefused(f"Choose a name of 1 to {MAX_NAME} characters", {"code": "bad_name"})
        socket.data["name"] = self._unique(name)

    def _connected(self, socket: Socket) -> None:
        name = socket.data["name"]

        @socket.on("enter")
        async def enter(wish: Any, ack: Ack) -> None:
            wanted = trimmed(wish, MAX_NAME)
            if wanted is None:
                ack({"error": f"A room's name has 1 to {MAX_NAME} characters"})
                return
            await self._leave(socket)
            # The prefix keeps people out of the rooms that are named for sockets.
            room = socket.data["room"] = f"chat:{wanted}"
            socket.join(room)
            ack({"name": name, "room": wanted})
            socket.to(room).emit("news", f"{name} has come in")
            await self._tell_who_is_in(room)

        @socket.on("leave")
        async def leave() -> None:
            await self._leave(socket)

        @socket.on("say")
        def say(text: Any, ack: Ack) -> None:
            said, room = trimmed(text, MAX_TEXT), socket.data.get("room")
            if said is None or room is None:
                ack({"error": f"Enter a room, and say 1 to {MAX_TEXT} characters"})
                return
            self._io.to(room).emit("said", {"name": name, "text": said, "time": int(time.time() * 1000)})
            ack({})

        @socket.on("typing")
        def typing(on: Any) -> None:
            room = socket.data.get("room")
            if room is not None:
                socket.to(room).volatile.emit("typing", {"name": name, "on": on is True})

        @socket.on("disconnect")
        async def gone(reason: str) -> None:
            await self._leave(socket)

    async def _leave(self, socket: Socket) -> None:
        room = socket.data.pop("room", None)
        if room is not None:
            socket.leave(room)
            self._io.to(room).emit("news", f"{socket.data['name']} has left")
            await self._tell_who_is_in(room)

    async def _tell_who_is_in(self, room: str) -> None:
        members = await self._io.in_(room).fetch_sockets()
        self._io.to(room).emit("people", sorted(member.data["name"] for member in members))

    def _unique(self, name: str) -> str:
        taken = {socket.data["name"] for socket in self._io.root.sockets.values()}
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name} {number}"
        return unique


def trimmed(value: Any, most: int) -> str | None:
    """`value` without white space around it; None when it is no text of 1 to `most` characters."""
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= most else None


def client_dist(parser: argparse.ArgumentParser, given: Path | None) -> Path:
    """The folder with the JavaScript client; ends the program with advice when there is none."""
    dist = TEST_CLIENT if given is None else given
    if not (dist / "socket.io.js").is_file():
        parser.error(
            f"the page needs the JavaScript client, and {dist} holds no socket.io.js: run "
            "`npm install socket.io-client` and add `--client-dist node_modules/socket.io-client/dist`"
        )
    return dist


def main() -> None:
    """Read the options, listen, run."""
    parser = argparse.ArgumentParser(description="A small chat on rtwist.socketio.")
    parser.add_argument("--port", type=int, default=3000, help="default: 3000")
    parser.add_argument("--interface", default="127.0.0.1", help="default: 127.0.0.1, this machine only")
    parser.add_argument(
        "--client-dist", type=Path, metavar="FOLDER", help="dist of the npm package socket.io-client"
    )
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    io = Server(reactor, Options(client_dist=client_dist(parser, arguments.client_dist)))
    Chat(io)
    pages = Resource()
    pages.putChild(b"", Data((HERE / "chat.html").read_bytes(), "text/html; charset=utf-8"))
    endpoint = f"tcp:{arguments.port}:interface={arguments.interface}"
    listening = serverFromString(reactor, endpoint).listen(io.site(pages))
    listening.addCallback(
        lambda port: print(f"chat at http://{arguments.interface}:{port.getHost().port}/", flush=True)
    )
    problems: list[Failure] = []
    listening.addErrback(problems.append)
    if problems:
        sys.exit(problems[0].getErrorMessage())
    reactor.run()


if __name__ == "__main__":
    main()
