"""One session on a clock: heartbeat, buffer, close and what transports tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtwist.engineio.packet import PING, message
from tests.engineio.fakes import FakePolling, FakeTransport, FakeWebSocket, Life

BOTH = pytest.mark.parametrize("transport", [FakePolling, FakeWebSocket])
Lives = Callable[..., Life]


@pytest.fixture
def live() -> Iterator[Lives]:
    """Makes lives; each must have ended, or be ended here, without a timer left."""
    made: list[Life] = []

    def make(transport: type[FakeTransport] = FakePolling, **options: Any) -> Life:
        made.append(Life(transport(), **options))
        return made[-1]

    yield make
    for life in made:
        life.session.abort("transport error")
        assert life.clock.getDelayedCalls() == []
        assert len(life.ends) == len(life.forgotten) == life.transport.closed == 1


@BOTH
def test_the_handshake_tells_the_client_what_it_must_know(live: Lives, transport: type[FakeTransport]) -> None:
    life = live(transport)
    (opened,) = life.transport.take()
    assert list(json.loads(opened[1:]).items()) == [
        ("sid", "secret"),
        ("upgrades", ["websocket"] if transport is FakePolling else []),
        ("pingInterval", 25000),
        ("pingTimeout", 20000),
        ("maxPayload", 1000000),
    ]
    assert opened.startswith("0")


@pytest.mark.parametrize("options", [{"allow_upgrades": False}, {"transports": ("polling",)}])
def test_no_upgrade_is_offered_where_none_is_possible(live: Lives, options: dict[str, Any]) -> None:
    assert json.loads(live(**options).transport.take()[0][1:])["upgrades"] == []


# Heartbeat


def test_a_client_that_answers_pings_lives_on(live: Lives) -> None:
    life = live(FakeWebSocket)
    life.transport.take()
    for _ in range(5):
        life.clock.advance(24.5)
        assert life.transport.take() == []
        life.clock.advance(0.5)
        assert life.transport.take() == ["2"]
        life.clock.advance(19.5)
        life.receive("3")
        assert life.timers() == 1
    assert life.reasons == []


@BOTH
def test_a_silent_client_is_gone_after_interval_and_timeout(live: Lives, transport: type[FakeTransport]) -> None:
    life = live(transport)
    life.clock.advance(25)
    life.clock.advance(19.5)
    assert life.reasons == []
    life.clock.advance(0.5)
    assert life.reasons == ["ping timeout"]
    assert life.transport.closed == 1


def test_pongs_that_nobody_asked_for_move_no_timer(live: Lives) -> None:
    life = live(FakeWebSocket)
    for _ in range(40):
        life.clock.advance(0.5)
        life.receive("3", "3", "3")
    assert life.timers() == 1
    life.clock.advance(5)
    assert life.transport.take()[-1] == "2"
    life.receive("3", "3", "3")
    life.clock.advance(24)
    life.receive("3")
    assert life.transport.take() == []
    life.clock.advance(1)
    assert life.transport.take() == ["2"]


def test_messages_are_no_pongs(live: Lives) -> None:
    life = live(FakeWebSocket)
    life.clock.advance(25)
    life.receive("4still here")
    life.clock.advance(20)
    assert life.reasons == ["ping timeout"]


def test_a_ping_waits_for_the_next_poll(live: Lives) -> None:
    life = live()
    life.transport.take()
    life.clock.advance(25)
    life.polling.poll()
    assert life.transport.take() == ["2"]
    life.receive("3")
    life.clock.advance(44)
    assert life.reasons == []


# What clients send


@BOTH
def test_messages_of_the_client_are_heard_in_order(live: Lives, transport: type[FakeTransport]) -> None:
    life = live(transport)
    life.receive("4one", b"\x02", "bAw==", "4")
    assert life.messages == ["one", b"\x02", b"\x03", ""]


@BOTH
@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        ("", "parse error"),
        ("7", "parse error"),
        ("b", None),
        ("b!", "parse error"),
        ("0", "parse error"),
        ("0{}", "parse error"),
        ("2", "transport error"),
        ("2probe", "transport error"),
        ("3probe", None),
        ("5", None),
        ("6", None),
    ],
)
def test_what_each_packet_does_to_the_session(
    live: Lives, transport: type[FakeTransport], packet: str, reason: str | None
) -> None:
    life = live(transport)
    life.receive(packet, "4after")
    assert life.reasons == ([] if reason is None else [reason])
    assert ("after" in life.messages) is (reason is None)


def test_a_close_packet_ends_polling_and_frees_the_waiting_poll(live: Lives) -> None:
    life = live()
    life.transport.take()
    life.polling.poll()
    life.receive("1")
    assert life.reasons == ["transport close"]
    assert life.transport.take() == ["6"]


def test_a_close_packet_means_nothing_on_a_websocket(live: Lives) -> None:
    life = live(FakeWebSocket)
    life.receive("1", "4after")
    assert (life.reasons, life.messages) == ([], ["after"])


# Buffer


def test_what_a_poll_cannot_take_waits_for_the_next_one_in_order(live: Lives) -> None:
    life = live()
    life.transport.take()
    life.send("one", "two")
    assert not life.session.writable
    life.session.send([message("three"), message(b"\x04")])
    life.polling.poll()
    assert life.transport.take() == ["4one", "4two", "4three", "bBA=="]
    life.polling.poll()
    assert life.session.writable
    assert life.transport.take() == []
    life.send("five")
    assert life.transport.take() == ["4five"]


def test_nothing_overtakes_what_waits_for_a_full_socket(live: Lives) -> None:
    life = live(FakeWebSocket)
    socket = life.transport
    assert isinstance(socket, FakeWebSocket)
    socket.take()
    socket.full = True
    life.send("one", "two")
    socket.full = False
    life.send("three")
    assert socket.take() == []
    socket.drain()
    assert socket.take() == ["4one", "4two", "4three"]


@pytest.mark.parametrize(("last", "alive"), [(9, True), (10, True), (11, False)])
def test_a_client_may_be_behind_by_max_buffered_and_no_more(live: Lives, last: int, alive: bool) -> None:
    life = live(max_buffered=300)
    life.send("x" * 90, "x" * last)
    assert life.session.is_open is alive
    assert life.reasons == []
    life.clock.advance(0)
    assert life.reasons == ([] if alive else ["transport error"])


@pytest.mark.parametrize(("count", "alive"), [(10, True), (11, False)])
def test_packets_without_data_count_too(live: Lives, count: int, alive: bool) -> None:
    life = live(max_buffered=1000)
    life.send(*[""] * count)
    assert life.session.is_open is alive
    life.clock.advance(0)


def test_what_has_gone_out_no_longer_counts_as_buffered(live: Lives) -> None:
    life = live(max_buffered=200)
    for _ in range(10):
        life.send("x" * 90)
        life.polling.poll()
        life.transport.take()
    assert life.session.is_open


def test_a_client_too_far_behind_at_a_ping_leaves_no_timer(live: Lives) -> None:
    life = live(max_buffered=301)
    life.session.send([message("x" * 100)])
    life.clock.advance(25)
    life.session.send([PING, message("x")])
    life.clock.advance(0)
    assert life.reasons == ["transport error"]
    assert life.clock.getDelayedCalls() == []


# Close


def test_close_on_a_websocket_is_at_once(live: Lives) -> None:
    life = live(FakeWebSocket)
    life.session.close()
    assert (life.reasons, life.transport.closed, life.transport.aborted) == (["forced close"], 1, 0)


def test_close_on_a_full_websocket_lets_out_what_waits(live: Lives) -> None:
    life = live(FakeWebSocket)
    socket = life.transport
    assert isinstance(socket, FakeWebSocket)
    socket.take()
    socket.full = True
    life.send("last words")
    life.session.close()
    life.send("too late")
    life.receive("4too late")
    assert (life.session.is_open, life.reasons, life.messages) == (False, [], [])
    socket.drain()
    assert socket.take() == ["4last words"]
    assert (life.reasons, socket.closed, socket.aborted) == (["forced close"], 1, 0)


@pytest.mark.parametrize("waiting", [True, False])
def test_a_full_websocket_that_does_not_drain_is_left_when_close_has_taken_too_long(
    live: Lives, waiting: bool
) -> None:
    life = live(FakeWebSocket, close_timeout=5)
    socket = life.transport
    assert isinstance(socket, FakeWebSocket)
    socket.full = True
    life.session.blocked(socket)
    if waiting:
        life.send("last words")
    life.session.close()
    life.clock.advance(4.9)
    assert life.reasons == []
    life.clock.advance(0.1)
    assert (life.reasons, socket.aborted) == (["forced close"], 1)


def test_close_answers_a_waiting_poll(live: Lives) -> None:
    life = live()
    life.transport.take()
    life.polling.poll()
    life.session.close()
    assert (life.transport.take(), life.transport.closed) == ([], 1)
    assert life.reasons == ["forced close"]


def test_close_without_a_poll_waits_for_the_next_and_brings_what_waits(live: Lives) -> None:
    life = live()
    life.transport.take()
    life.send("last words")
    life.session.close()
    assert (life.reasons, life.session.is_open) == ([], False)
    life.send("too late")
    life.receive("4too late")
    life.clock.advance(29)
    life.polling.poll()
    assert life.transport.take() == ["4last words"]
    life.polling.poll()
    assert life.transport.closed == 1
    assert (life.reasons, life.messages) == (["forced close"], [])


def test_close_waits_thirty_seconds_and_no_longer(live: Lives) -> None:
    life = live()
    life.session.close()
    assert life.timers() == 1
    life.clock.advance(29.5)
    assert life.reasons == []
    life.clock.advance(0.5)
    assert life.reasons == ["forced close"]


@BOTH
def test_closing_twice_changes_nothing(live: Lives, transport: type[FakeTransport]) -> None:
    life = live(transport)
    life.session.close()
    life.session.close()
    life.session.abort("transport error")
    life.session.close()
    life.session.abort("transport error")
    assert len(life.ends) == 1
    assert len(life.forgotten) == 1


def test_a_transport_that_breaks_while_closing_ends_the_wait(live: Lives) -> None:
    life = live()
    life.session.close()
    life.session.lost(life.transport, "transport error", "gone")
    assert life.reasons == ["transport error"]


@BOTH
def test_after_the_end_nothing_happens(live: Lives, transport: type[FakeTransport]) -> None:
    life = live(transport)
    life.session.abort("transport error", "why")
    assert life.ends == [("transport error", "why")]
    sent = len(life.transport.sent)
    life.send("x")
    life.receive("4x", "3", "1")
    life.session.ready(life.transport)
    life.session.lost(life.transport, "transport close")
    life.clock.advance(100)
    assert (len(life.transport.sent), life.messages, len(life.ends)) == (sent, [], 1)


def test_a_listener_may_send_and_close_from_what_it_hears(live: Lives) -> None:
    life = live(FakeWebSocket)
    life.transport.take()
    life.message = lambda data: (life.send("reply"), life.session.close())  # type: ignore[method-assign]
    life.receive("4one", "4two")
    assert life.transport.take() == ["4reply"]
    assert life.reasons == ["forced close"]


def test_a_session_aborted_before_it_is_open_never_opens() -> None:
    life = Life(FakeWebSocket(), opened=False)
    life.session.abort("transport error")
    life.open()
    assert life.transport.take() == []
    assert life.clock.getDelayedCalls() == []


def test_a_transport_that_breaks_under_the_handshake_leaves_no_timer() -> None:
    class Breaking(FakeWebSocket):
        def send(self, packets: Any) -> None:
            self.session.lost(self, "transport close", "broken pipe")

    life = Life(Breaking())
    assert not life.session.is_open
    assert life.clock.getDelayedCalls() == []
