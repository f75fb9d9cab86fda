"""What the routes say while the service is being stopped."""

from __future__ import annotations

import time

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rtwist.access import Access
from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.intake.intake import Intake
from rtwist.rest import Rest
from rtwist.socketio import Server
from tests.service.peers import SECRET

result_of = SynchronousTestCase().successResultOf


@pytest.fixture
def rest() -> Rest:
    io = Server(Clock())
    access = Access(TokenVerifier(SharedSecrets(SECRET), now=time.time))
    return Rest(
        io,
        Intake(io, Router(BUILT_IN, OrderBook()), now=time.time),
        access,
        now=time.time,
        revoke=lambda _: succeed(0),
    )


def get(rest: Rest, path: str) -> tuple[int, dict[str, object]]:
    response = result_of(StubTreq(rest.resource()).get(f"http://localhost{path}"))
    body: Deferred[dict[str, object]] = response.json()
    return response.code, result_of(body)


def test_it_is_ready_until_it_drains(rest: Rest) -> None:
    status, answer = get(rest, "/ready")
    assert (status, answer["status"], answer["draining"]) == (200, "READY", False)
    rest.draining = True
    status, answer = get(rest, "/ready")
    assert (status, answer["status"], answer["draining"]) == (503, "DRAINING", True)


def test_the_process_is_still_healthy_while_it_drains(rest: Rest) -> None:
    rest.draining = True
    status, answer = get(rest, "/health")
    assert (status, answer["status"]) == (200, "OK")
