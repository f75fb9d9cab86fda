"""Functions of the application that fail: logged, and nobody but their own client notices."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from rtwist.engineio.packet import message
from rtwist.engineio.request import Handshake
from rtwist.engineio.session import Session
from tests.engineio.conftest import Failures, Fronts
from tests.engineio.fakes import FakePolling, FakeTransport, FakeWebSocket, Life
from tests.engineio.http_fakes import Ears, Front, Line
from tests.support.wire import CLOSE, Frame, close_frame

BUG = ["ValueError: bug"]


def fail(*args: object) -> Any:
    raise ValueError("bug")


def frames(line: Line) -> list[Frame]:
    """What is left to read, which must be frames."""
    found: list[Frame] = []
    while not line.silent:
        found.append(line.read_frame())
    return found


# connected


def test_a_polling_client_that_nobody_listens_to_is_gone(fronts: Fronts, failures: Failures) -> None:
    front = fronts(fail)
    client = front.open()
    assert failures.take() == BUG
    assert dict(front.server.sessions) == {}
    assert client.poster.request("POST", client.target, body=b"4hello").json()["code"] == 1
    assert client.getter.request("GET", client.target).json()["code"] == 1


def test_a_websocket_that_nobody_listens_to_is_closed_as_a_websocket(fronts: Fronts, failures: Failures) -> None:
    front = fronts(fail)
    line = front.line()
    assert line.handshake(front.target(transport="websocket")).status == 101
    opened, closing = frames(line)
    assert opened.payload.startswith(b"0{")
    assert closing.opcode == CLOSE
    assert failures.take() == BUG
    assert dict(front.server.sessions) == {}
    line.send(close_frame(1000))
    front.settle()
    assert (line.silent, line.pipe.ended, front.clock.getDelayedCalls()) == (True, True, [])


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("way", ["close", "abort"])
def test_a_session_that_ends_while_it_is_announced_tells_its_listener(
    fronts: Fronts, transport: str, way: str
) -> None:
    made: list[Ears] = []

    def connected(session: Session) -> Ears:
        made.append(Ears(session))
        session.close() if way == "close" else session.abort("forced close")
        return made[-1]

    front = fronts(connected)
    line = front.line()
    if transport == "polling":
        assert line.request("GET", front.target()).status == 200
    else:
        assert line.handshake(front.target(transport="websocket")).status == 101
    front.clock.advance(30)
    assert [ears.ends for ears in made] == [["forced close"]]
    assert dict(front.server.sessions) == {}


# Listener.message


class Fragile(Ears):
    """Fails on a message that says so."""

    def message(self, data: str | bytes) -> None:
        super().message(data)
        if data == "fail":
            fail()


@pytest.fixture
def fragile(fronts: Fronts) -> Front:
    """A site with listeners that fail when told to."""

    def connected(session: Session) -> Ears:
        front.ears.append(Fragile(session))
        return front.ears[-1]

    front = fronts(connected)
    return front


def test_a_listener_that_fails_on_a_post_ends_its_session_and_the_post_is_answered(
    fragile: Front, failures: Failures
) -> None:
    client, other = fragile.open(), fragile.open()
    client.park()
    assert client.post("4one", "4fail", "4three").text == "ok"
    assert failures.take() == BUG
    assert (client.ears.messages, client.ears.ends) == (["one", "fail"], ["forced close"])
    assert client.getter.read_response().text == "1"
    assert list(fragile.server.sessions) == [other.sid]
    assert other.post("4hello").text == "ok"
    assert other.ears.messages == ["hello"]


def test_a_listener_that_fails_on_a_frame_ends_its_session(fragile: Front, failures: Failures) -> None:
    line, other = fragile.line(), fragile.open()
    assert line.handshake(fragile.target(transport="websocket")).status == 101
    assert line.read_text().startswith("0{")
    line.send_text("4fail")
    line.send_text("4late")
    assert failures.take() == BUG
    assert [frame.opcode for frame in frames(line)] == [CLOSE]
    assert (fragile.ears[-1].messages, fragile.ears[-1].ends) == (["fail"], ["forced close"])
    assert other.post("4hello").text == "ok"


# Listener.closed


@pytest.mark.parametrize("transport", [FakePolling, FakeWebSocket])
def test_a_listener_that_fails_at_the_end_is_logged(failures: Failures, transport: type[FakeTransport]) -> None:
    life = Life(transport())
    life.closed = fail  # type: ignore[method-assign]
    life.session.abort("transport error")
    assert failures.take() == BUG
    assert (life.forgotten, life.transport.closed, life.clock.getDelayedCalls()) == ([life.session], 1, [])


def test_a_listener_that_fails_at_the_end_keeps_no_other_session_open(fronts: Fronts, failures: Failures) -> None:
    class Failing(Ears):
        def closed(self, reason: str, description: str) -> None:
            super().closed(reason, description)
            fail()

    made: list[Failing] = []

    def connected(session: Session) -> Failing:
        made.append(Failing(session))
        return made[-1]

    front = fronts(connected)
    for _ in range(3):
        front.open()
    front.server.close()
    assert [ears.ends for ears in made] == [["forced close"]] * 3
    assert failures.take() == BUG * 3


def test_a_listener_hears_of_the_end_even_if_its_transport_cannot_be_closed() -> None:
    class Broken(FakeWebSocket):
        def close(self) -> None:
            super().close()
            fail()

    life = Life(Broken())
    with pytest.raises(ValueError, match="bug"):
        life.session.abort("transport error")
    assert (life.reasons, life.forgotten) == (["transport error"], [life.session])
    assert life.clock.getDelayedCalls() == []


def test_who_listens_after_the_end_hears_of_it_once() -> None:
    life = Life(FakeWebSocket(), opened=False)
    life.session.open()
    life.session.abort("transport error", "why")
    life.session.listen(life)
    life.session.abort("forced close")
    life.session.send([message("late")])
    assert life.ends == [("transport error", "why")]


# allow_request


async def refuse_later(request: Handshake) -> str:
    return "no"


def number(request: Handshake) -> Any:
    return 1


def yes(request: Handshake) -> Any:
    return True


PROBLEM = "LocalProtocolError: allow_request returns None or a text, at once"
HOOKS = pytest.mark.parametrize(
    ("hook", "failure"), [(fail, BUG[0]), (number, PROBLEM), (yes, PROBLEM), (refuse_later, PROBLEM)]
)


@HOOKS
def test_who_cannot_be_judged_is_refused(fronts: Fronts, failures: Failures, hook: Any, failure: str) -> None:
    front = fronts(allow_request=hook)
    answer = front.line().request("GET", front.target())
    assert (answer.status, answer.json()) == (403, {"code": 4, "message": "Forbidden"})
    assert failures.take() == [failure]


@HOOKS
def test_a_websocket_that_cannot_be_judged_is_refused(
    fronts: Fronts, failures: Failures, hook: Any, failure: str
) -> None:
    front = fronts(allow_request=hook)
    line = front.line()
    assert line.handshake(front.target(transport="websocket")).status == 400
    assert failures.take() == [failure]
    assert dict(front.server.sessions) == {}


def test_a_judgement_that_comes_later_is_not_left_waiting(fronts: Fronts, failures: Failures) -> None:
    made: list[Any] = []

    def later(request: Handshake) -> Any:
        made.append(refuse_later(request))
        return made[-1]

    fronts(allow_request=later).line().request("GET", "/engine.io/?EIO=4&transport=polling")
    assert failures.take() == [PROBLEM]
    assert [inspect.getcoroutinestate(one) for one in made] == [inspect.CORO_CLOSED]


def test_an_empty_text_refuses_too(fronts: Fronts) -> None:
    front = fronts(allow_request=lambda request: "")
    assert front.line().request("GET", front.target()).json() == {"code": 4, "message": "Forbidden"}
