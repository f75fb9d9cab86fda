"""Asking the authorization URL: for how long an answer counts, and how many requests are under way."""

from __future__ import annotations

import gc
import json
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtwist.auth.identity import Identity
from rtwist.auth.policy import ASKABLE, Kind, Room
from rtwist.authorization import Answer, AuthorizationSettings, AuthorizationUrl
from rtwist.errors import AuthorizationUnavailable
from rtwist.tasks import Tasks

ANN = Identity("ann", None, (), (), 0)
BOB = Identity("bob", "c1", ("s1",), ("clerk",), 0)
CHAT, LOBBY, HALL = (Room(Kind.CUSTOM, name) for name in ("chat", "lobby", "hall"))
case = SynchronousTestCase()


class Service(Resource):
    """Keeps its requests until the test answers them."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Any, Request]] = []

    def render_POST(self, request: Request) -> int:
        assert request.content is not None
        question = json.loads(request.content.read())
        self.waiting.append((question, request))
        gone: Deferred[None] = request.notifyFinish()
        gone.addErrback(lambda _: self.waiting.remove((question, request)))
        return NOT_DONE_YET


class House:
    """An authorizer on a clock before that service."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.service = Service()
        self.tasks = Tasks()
        self._agent = RequestTraversalAgent(self.service)
        known = AuthorizationSettings("http://backend.example/", tuple(ASKABLE.values()), **settings)
        self.url = AuthorizationUrl(self.clock, known, self.tasks, self._agent)  # type: ignore[arg-type]

    def ask(self, identity: Identity, room: Room, *, again: bool = False) -> Deferred[Answer]:
        asked = Deferred.fromCoroutine(self.url.ask(identity, room, again=again))
        self.wait(0)
        return asked

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is sent arrive."""
        self.clock.advance(seconds)
        for _ in range(3):  # an answer may let the next request go, whose body is sent in the next turn
            self._agent.flush()
            self.clock.advance(0)
        self._agent.flush()

    @property
    def rooms(self) -> list[str]:
        """What is being asked about."""
        return [question["room"] for question, _ in self.service.waiting]

    def answer(self, **body: Any) -> None:
        """Answer the oldest request."""
        _, request = self.service.waiting.pop(0)
        request.write(json.dumps(body).encode())
        request.finish()
        self.wait(0)


@pytest.fixture
def house() -> House:
    return House()


def allowed(asked: Deferred[Answer]) -> bool:
    return case.successResultOf(asked).allow


def reason(asked: Deferred[Answer]) -> str:
    return str(case.failureResultOf(asked, AuthorizationUnavailable).value)


def test_an_answer_counts_for_the_time_of_the_option(house: House) -> None:
    asked = house.ask(ANN, CHAT)
    house.answer(allow=True)
    assert case.successResultOf(asked) == Answer(True, 60.0)
    house.wait(59.9)
    assert allowed(house.ask(ANN, CHAT))
    assert house.rooms == []
    house.wait(0.1)
    house.ask(ANN, CHAT)
    assert house.rooms == ["chat"]


@pytest.mark.parametrize(
    ("ttl", "until"),
    [(5, 5.0), (1.5, 1.5), (60, 60.0), (61, 60.0), (1e300, 60.0), (0, 1.0), (-7, 1.0), (None, 60.0)],
)
def test_the_service_may_shorten_it(house: House, ttl: float | None, until: float) -> None:
    asked = house.ask(ANN, CHAT)
    house.answer(allow=False, ttl=ttl)
    assert case.successResultOf(asked) == Answer(False, until)


def test_who_asks_again_gets_a_new_answer(house: House) -> None:
    first = house.ask(ANN, CHAT)
    house.answer(allow=True)
    assert allowed(first)
    again = house.ask(ANN, CHAT, again=True)
    assert house.rooms == ["chat"]
    house.answer(allow=False)
    assert not allowed(again)
    assert not allowed(house.ask(ANN, CHAT)), "and it is the one that counts from then on"


def test_answers_do_not_keep_the_thousand_shops_of_whom_they_are_about(house: House) -> None:
    def ask_about(number: int) -> None:
        shops = tuple(f"shop {number}-{index}" for index in range(1000))
        asked = house.ask(replace(ANN, user_id=f"u{number}", shop_ids=shops), CHAT)
        house.answer(allow=True)
        assert allowed(asked)

    ask_about(0)
    tracemalloc.start()
    for number in range(1, 51):
        ask_about(number)
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / 50 < 10_000, "bytes for each answer"


def test_one_question_is_under_way_once(house: House) -> None:
    asked = [house.ask(ANN, CHAT), house.ask(ANN, CHAT), house.ask(ANN, CHAT, again=True), house.ask(BOB, CHAT)]
    assert house.rooms == ["chat", "chat"]
    house.answer(allow=True)
    house.answer(allow=False)
    assert [allowed(one) for one in asked] == [True, True, True, False]


def test_no_more_requests_than_the_option_says() -> None:
    house = House(concurrency=2)
    asked = [house.ask(ANN, room) for room in (CHAT, LOBBY, HALL)]
    assert house.rooms == ["chat", "lobby"]
    house.answer(allow=True)
    assert house.rooms == ["lobby", "hall"]
    house.answer(allow=True)
    house.answer(allow=True)
    assert all(map(allowed, asked))


def test_waiting_for_ones_turn_counts() -> None:
    house = House(concurrency=1)
    first = house.ask(ANN, CHAT)
    house.wait(3)
    second = house.ask(ANN, LOBBY)
    house.wait(2)
    assert reason(first) == "no answer within 5 seconds"
    assert house.rooms == ["lobby"], "the first one's request is given up"
    house.wait(2.9)
    case.assertNoResult(second)
    house.wait(0.1)
    assert reason(second) == "no answer within 5 seconds"
    assert house.rooms == []


def test_a_failure_is_told_to_all_who_wait_and_to_nobody_after_them(house: House) -> None:
    asked = [house.ask(ANN, CHAT), house.ask(ANN, CHAT)]
    house.answer(allow="yes")
    told = [reason(one) for one in asked]
    assert all(text.startswith("its answer is not {allow: boolean, ttl?: number}: ") for text in told), told
    house.ask(ANN, CHAT)
    assert house.rooms == ["chat"]


def test_who_gives_up_waiting_does_not_spoil_it_for_others(house: House) -> None:
    first, second = house.ask(ANN, CHAT), house.ask(ANN, CHAT)
    first.addErrback(lambda _: None)
    first.cancel()
    house.answer(allow=True)
    assert allowed(second)


def test_stopping_ends_what_is_under_way_without_complaint(house: House) -> None:
    asked = house.ask(ANN, CHAT)
    with capturedLogs() as logs:
        house.tasks.stop()
    assert reason(asked) == "stopped"
    assert logs == []
    assert house.clock.getDelayedCalls() == []


def test_the_log_warns_every_ten_seconds_and_counts(house: House) -> None:
    with capturedLogs() as logs:
        for _ in range(5):
            asked = house.ask(ANN, CHAT)
            house.wait(5)
            reason(asked)
    assert [log["failures"] for log in logs] == [1, 2, 2]
    assert {log["log_level"].name for log in logs} == {"warn"}
