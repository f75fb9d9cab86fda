"""The smallest Socket.IO server: says what it was told at the door, and echoes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from rtwist.socketio import Options, Server, Socket


def greet(socket: Socket) -> None:
    """Send the CONNECT payload back, `{}` without one."""
    socket.emit("auth", socket.handshake.auth)


def echo(socket: Socket) -> None:
    """Answer `message` with `message-back`, and `message-with-ack` by its acknowledgement."""

    def message(*args: Any) -> None:
        socket.emit("message-back", *(value for value in args if not callable(value)))

    def message_with_ack(*args: Any) -> None:
        if args and callable(args[-1]):
            *values, acknowledge = args
            acknowledge(*values)

    socket.on("message", message)
    socket.on("message-with-ack", message_with_ack)
    greet(socket)


def main() -> None:
    """Read the options, listen on loopback, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=25.0, metavar="SECONDS")
    parser.add_argument("--ping-timeout", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--connect-timeout", type=float, default=45.0, metavar="SECONDS")
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    options = Options(
        ping_interval=arguments.ping_interval,
        ping_timeout=arguments.ping_timeout,
        connect_timeout=arguments.connect_timeout,
        max_payload=1_000_000,
        cors_origins="*",
    )
    io = Server(reactor, options)
    io.on("connection", echo)
    io.of("/custom").on("connection", greet)
    listening = serverFromString(reactor, f"tcp:{arguments.port}:interface=127.0.0.1").listen(io.site())
    listening.addCallback(lambda port: print(f"listening on 127.0.0.1:{port.getHost().port}", flush=True))
    problems: list[Failure] = []
    listening.addErrback(problems.append)
    if problems:
        sys.exit(problems[0].getErrorMessage())
    reactor.run()


if __name__ == "__main__":
    main()
