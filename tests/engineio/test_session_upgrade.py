"""From polling to WebSocket, step by step on a clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engineio.fakes import FakeWebSocket, Life


@pytest.fixture
def life() -> Iterator[Life]:
    """A polling session that has had its handshake."""
    made = Life()
    made.transport.take()
    yield made
    made.session.abort("transport error")
    assert made.clock.getDelayedCalls() == []
    assert made.session.transport.closed == 1
    assert len(made.ends) == len(made.forgotten) == 1


def test_a_probe_is_answered_and_polling_goes_on(life: Life) -> None:
    socket = life.probe("2probe")
    assert socket.take() == ["3probe"]
    life.send("by polling")
    life.polling.poll()
    assert life.transport.take() == ["4by polling"]
    assert life.session.transport_name == "polling"


def test_waiting_polls_get_a_noop_each_tenth_of_a_second(life: Life) -> None:
    life.probe("2probe")
    for _ in range(3):
        life.polling.poll()
        assert life.transport.take() == []
        life.clock.advance(0.125)
        assert life.transport.take() == ["6"]
    life.clock.advance(0.125)
    assert life.transport.take() == []


def test_no_noop_before_the_probe_packet(life: Life) -> None:
    life.probe()
    life.polling.poll()
    life.clock.advance(5)
    assert life.transport.take() == []


def test_an_upgrade_frees_the_waiting_poll_and_moves_what_waits(life: Life) -> None:
    socket = life.probe("2probe")
    life.polling.poll()
    life.clock.advance(0.125)
    life.transport.take()
    life.send("one", "two")
    life.receive("5", over=socket)
    assert socket.take() == ["3probe", "4one", "4two"]
    assert life.session.transport_name == "websocket"
    life.send("three")
    assert socket.take() == ["4three"]
    assert life.timers() == 1


def test_an_upgrade_with_a_poll_still_waiting_answers_it(life: Life) -> None:
    socket = life.probe("2probe")
    life.polling.poll()
    life.receive("5", over=socket)
    assert life.transport.take() == ["6"]


def test_messages_right_behind_the_upgrade_packet_are_heard(life: Life) -> None:
    life.receive("4by polling")
    life.probe("2probe", "5", "4by websocket")
    assert life.messages == ["by polling", "by websocket"]


def test_an_upgrade_without_a_probe_is_taken(life: Life) -> None:
    assert life.probe("5").take() == []
    assert life.session.transport_name == "websocket"


def test_what_waits_goes_out_once_a_full_websocket_drains(life: Life) -> None:
    life.send("one")
    socket = life.probe("2probe")
    socket.full = True
    life.receive("5", over=socket)
    life.send("two")
    assert socket.take() == ["3probe"]
    socket.drain()
    assert socket.take() == ["4one", "4two"]


@pytest.mark.parametrize(
    "packet", ["4hello", "2", "2other", "3probe", "0", "1", "6", "", "9", "b!", b"\x02probe"]
)
def test_anything_else_on_the_probe_closes_only_the_websocket(life: Life, packet: str | bytes) -> None:
    socket = life.probe("2probe")
    life.receive(packet, over=socket)
    assert socket.closed == 1
    assert life.session.is_open
    assert life.messages == []
    life.receive("5", "4late", over=socket)
    assert (life.session.transport_name, life.messages) == ("polling", [])


@pytest.mark.parametrize("packets", [(), ("2probe",)])
def test_a_probe_that_takes_too_long_closes_only_the_websocket(life: Life, packets: tuple[str, ...]) -> None:
    socket = life.probe(*packets)
    life.clock.pump([0.125] * 79)
    assert socket.closed == 0
    life.clock.advance(0.125)
    assert socket.closed == 1
    assert life.session.is_open
    assert life.timers() == 1


def test_a_repeated_probe_buys_no_time(life: Life) -> None:
    socket = life.probe()
    for _ in range(80):
        life.receive("2probe", over=socket)
        life.clock.advance(0.125)
    assert socket.closed == 1
    assert life.timers() == 1


def test_a_second_websocket_is_refused_and_the_first_goes_on(life: Life) -> None:
    first = life.probe("2probe")
    second = life.probe("2probe", "5")
    assert (second.closed, second.take()) == (1, [])
    life.receive("5", over=first)
    assert life.session.transport is first


def test_a_websocket_after_the_upgrade_is_refused(life: Life) -> None:
    life.probe("2probe", "5")
    late = life.probe("2probe", "5", "4late")
    assert (late.closed, life.messages) == (1, [])
    assert life.session.is_open


def test_a_websocket_that_failed_makes_room_for_another(life: Life) -> None:
    first = life.probe("2probe")
    life.session.lost(first, "transport close")
    assert life.probe("2probe", "5").closed == 0
    assert life.session.transport_name == "websocket"


def test_polling_is_no_longer_heard_after_the_upgrade(life: Life) -> None:
    life.probe("2probe", "5")
    life.receive("4twice")
    life.session.lost(life.transport, "transport error")
    life.session.ready(life.transport)
    assert (life.messages, life.reasons) == ([], [])


def test_polling_that_breaks_while_upgrading_ends_both(life: Life) -> None:
    socket = life.probe("2probe")
    life.session.lost(life.transport, "transport error")
    assert life.reasons == ["transport error"]
    assert socket.closed == 1


def test_a_ping_timeout_while_upgrading_ends_both() -> None:
    life = Life(ping_interval=1, ping_timeout=1)
    socket = life.probe("2probe")
    life.clock.advance(1)
    life.clock.advance(1)
    assert (life.reasons, socket.closed, life.transport.closed) == (["ping timeout"], 1, 1)
    assert life.clock.getDelayedCalls() == []


def test_a_server_that_closes_while_upgrading_ends_both(life: Life) -> None:
    socket = life.probe("2probe")
    life.polling.poll()
    life.session.close()
    assert life.reasons == ["forced close"]
    assert (socket.closed, life.transport.closed) == (1, 1)


def test_a_close_that_waits_for_a_poll_ends_by_the_upgrade(life: Life) -> None:
    socket = life.probe("2probe")
    life.send("last words")
    life.session.close()
    life.receive("5", over=socket)
    assert socket.take() == ["3probe", "4last words"]
    assert (life.reasons, socket.closed) == (["forced close"], 1)


def test_a_closing_session_takes_no_probe(life: Life) -> None:
    life.session.close()
    assert life.probe("2probe", "5").closed == 1
    assert life.session.transport_name == "polling"


def test_a_heartbeat_goes_on_across_the_upgrade(life: Life) -> None:
    life.clock.advance(24)
    socket = life.probe("2probe", "5")
    life.clock.advance(1)
    assert socket.take()[-1] == "2"
    life.receive("3", over=socket)
    life.clock.advance(25)
    assert socket.take() == ["2"]


def test_an_upgrade_refused_after_the_end_does_nothing() -> None:
    life = Life()
    socket = life.probe("2probe")
    life.session.abort("transport error")
    assert isinstance(socket, FakeWebSocket)
    sent = len(socket.sent)
    life.receive("2probe", "5", "4x", over=socket)
    life.session.lost(socket, "transport close")
    assert (len(socket.sent), socket.closed, life.messages) == (sent, 1, [])
