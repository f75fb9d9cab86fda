"""Nodes of a cluster in one process: each a Socket.IO server with a gateway, on one clock and one store."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt

from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier
from rtwist.cluster.presence import ClusterPresence
from rtwist.cluster.roll import Roll
from rtwist.domain.owners import OrderBook
from rtwist.gateway import Gateway
from rtwist.tasks import Tasks
from tests.cluster.stores import CHANNEL, Stores
from tests.socketio.fakes import Guest, House

SECRET = "a secret of the tests that is long enough"


class User:
    """A connection and what was told to it of presence."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def told(self) -> list[str]:
        """`+u1` for a user that came, `-u1` for one that went, since the last time."""
        events = [json.loads(packet[1:]) for packet in self.guest.hear() if packet.startswith("2[")]
        signs = {"presence:online": "+", "presence:offline": "-"}
        return [signs[name] + news["userId"] for name, news in events if name in signs]


class Node:
    """One node with presence on `roll`."""

    def __init__(self, stores: Stores, roll: Roll, name: str) -> None:
        self.stores = stores
        self.house = House([], ping_interval=1e8)
        self.tasks = Tasks()
        self.presence = ClusterPresence(self.house.io, roll, stores.new_bus(), CHANNEL, self.tasks, node=name)
        verifier = TokenVerifier(SharedSecrets(SECRET), now=time.time)
        self.gateway = Gateway(
            self.house.io, verifier=verifier, owners=OrderBook(), now=time.time, presence=self.presence
        )

    def beat(self) -> None:
        self.presence.beat()
        self.stores.deliver()

    def join(self, user_id: str, company: str | None = "c1", **claims: Any) -> User:
        body = {"userId": user_id, "companyId": company, "exp": time.time() + 600, **claims}
        guest = self.house.guest()
        guest.enter(auth={"token": jwt.encode(body, SECRET)})
        guest.hear()
        self.stores.deliver()
        return User(guest)

    def leave(self, user: User) -> None:
        user.guest.leave()
        self.stores.deliver()
