"""The service with a source of keys that does what a token's `kid` says, to see what clients see of it.

`late`: the keys come when any client emits `release` (`count waiting` tells for how many);
`away`: they cannot be had; `broken`: a bug.
`what is kept` answers with what is kept of what each client sent with its CONNECT.
Clients call the helpers of `rtwist.emit` with `call helper`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.logger import globalLogBeginner, textFileLogObserver

from rtwist import emit
from rtwist.access import Access
from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.errors import KeysUnavailable
from rtwist.gateway import Gateway
from rtwist.intake.intake import Intake
from rtwist.rest import Rest
from rtwist.socketio import Server
from tests.service.peers import API_KEY, SECRET


class ControlledKeys:
    """Shared secrets that come late, not now, or never."""

    algorithms = SharedSecrets.algorithms

    def __init__(self) -> None:
        self._secrets = SharedSecrets(SECRET)
        self.waiting: list[Deferred[None]] = []

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[bytes]:
        kid = header.get("kid")
        if kid == "late":
            until: Deferred[None] = Deferred()
            self.waiting.append(until)
            await until
        elif kid == "away":
            raise KeysUnavailable("the key server is away")
        elif kid == "broken":
            raise RuntimeError("a bug in the key source")
        return await self._secrets.keys_for(header)

    def release(self) -> int:
        waiting, self.waiting = self.waiting, []
        for until in waiting:
            until.callback(None)
        return len(waiting)


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    keys, orders = ControlledKeys(), OrderBook()
    io = Server(reactor)
    verifier = TokenVerifier(keys, now=time.time)

    def answer(event: str, *args: Any) -> None:
        if event == "release":
            args[-1](keys.release())
        elif event == "count waiting":
            args[-1](len(keys.waiting))
        elif event == "what is kept":
            args[-1]([dict(socket.handshake.auth) for socket in io.root.sockets.values()])
        elif event == "call helper":
            args[-1](getattr(emit, args[0])(io, *args[1:-1]))

    # Before the gateway, which answers every event that it does not know; the first answer counts.
    io.on("connection", lambda socket: socket.on_any(answer))
    gateway = Gateway(io, verifier=verifier, owners=orders, now=time.time)
    intake = Intake(io, Router(BUILT_IN, orders), now=time.time, live=gateway.accounts)
    rest = Rest(io, intake, Access(verifier, API_KEY), now=time.time, revoke=gateway.accounts.revoke_everywhere)
    serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(io.site(rest.resource()))
    cast(Any, reactor).run()


if __name__ == "__main__":
    main()
