"""The smallest Engine.IO server: echoes every message, text or binary, with no Socket.IO on top."""

from __future__ import annotations

import argparse
import sys

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from rtwist.engineio import Listener, Options, Server, Session, Site, message


class Echo:
    """Sends every message of its session back."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def message(self, data: str | bytes) -> None:
        """Called with each message."""
        self._session.send([message(data)])

    def closed(self, reason: str, description: str) -> None:
        """Called once, at the end of the session."""


def connected(session: Session) -> Listener:
    """Called with each new session."""
    return Echo(session)


def main() -> None:
    """Read the options, listen on loopback, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=25.0, metavar="SECONDS")
    parser.add_argument("--ping-timeout", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--connect-timeout", type=float, default=45.0, metavar="SECONDS", help="unused here")
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    options = Options(
        path="/engine.io/",
        ping_interval=arguments.ping_interval,
        ping_timeout=arguments.ping_timeout,
        max_payload=1_000_000,
        cors_origins="*",
    )
    server = Server(reactor, options, connected)
    listening = serverFromString(reactor, f"tcp:{arguments.port}:interface=127.0.0.1").listen(Site(server))
    listening.addCallback(lambda port: print(f"listening on 127.0.0.1:{port.getHost().port}", flush=True))
    problems: list[Failure] = []
    listening.addErrback(problems.append)
    if problems:
        sys.exit(problems[0].getErrorMessage())
    reactor.run()


if __name__ == "__main__":
    main()
