"""What one client may keep in memory: attachments that do not come, events that wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.socketio.fakes import Guest, House, a_house

ONE = '{"_placeholder":true,"num":0}'
TWO = '["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


@pytest.fixture
def small() -> Iterator[House]:
    """At most 1000 bytes wait for a handler."""
    yield from a_house(max_queued_bytes=1000)


def timers(house: House) -> int:
    """How many timers there are; each session has one."""
    return len(house.clock.getDelayedCalls())


# Attachments


@pytest.mark.parametrize(
    ("before", "announced"),
    [
        ([], f'51-["a",{ONE}]'),
        ([], f'52-/chat,["a",{ONE}]'),
        ([], f"61-0[{ONE}]"),
        (["0"], f'51-/chat,["a",{ONE}]'),
        (["0"], f'51-/nowhere,["a",{ONE}]'),
        (["0/slow,"], f'51-/slow,["a",{ONE}]'),
        (["0", "1"], f'51-["a",{ONE}]'),
    ],
)
def test_attachments_for_a_namespace_that_is_not_joined_end_the_connection_before_they_come(
    house: House, before: list[str], announced: str
) -> None:
    gate: Deferred[None] = Deferred()
    house.io.of("/chat")
    house.io.of("/slow").use(lambda socket: gate)
    guest = house.guest()
    guest.say(*before, announced)
    assert guest.gone
    assert house.clock.getDelayedCalls() == []
    gate.callback(None)


def test_attachments_that_never_come_end_the_connection(house: House) -> None:
    reasons: list[str] = []
    guest, socket = house.visitor()
    socket.on("disconnect", reasons.append)
    guest.say("52-" + TWO, b"one of two")
    house.clock.advance(29.5)
    assert not guest.gone
    house.clock.advance(0.5)
    assert (guest.gone, reasons, house.clock.getDelayedCalls()) == (True, ["forced close"], [])


def test_each_attachment_that_comes_buys_no_time(house: House) -> None:
    guest, _ = house.visitor()
    guest.say("53-" + TWO)
    for _ in range(2):
        house.clock.advance(14)
        guest.say(b"one of three")
    assert not guest.gone
    house.clock.advance(2)
    assert guest.gone


def test_attachments_that_come_in_time_stop_the_clock(house: House) -> None:
    seen: list[Any] = []
    guest, socket = house.visitor()
    socket.on("a", lambda *args: seen.append(args))
    for _ in range(3):
        guest.say("52-" + TWO, b"1")
        assert timers(house) == 2
        house.clock.advance(10)
        guest.say(b"2")
        assert timers(house) == 1
    assert seen == [(b"1", b"2")] * 3


@pytest.mark.parametrize("end", [Guest.leave, lambda guest: guest.say("2[]")])
def test_a_connection_that_ends_waits_for_no_attachment(house: House, end: Any) -> None:
    guest, _ = house.visitor()
    guest.say("52-" + TWO, b"1")
    end(guest)
    assert house.clock.getDelayedCalls() == []


# Events that wait


def event(size: int) -> str:
    """An event of that many bytes."""
    return f'2["a","{"x" * (size - 9)}"]'


def busy(house: House) -> tuple[Guest, list[Deferred[None]], list[int]]:
    """A client in the middle of a slow handler, its gates and the sizes of what was handled."""
    gates: list[Deferred[None]] = []
    seen: list[int] = []
    guest, socket = house.visitor()

    async def slow() -> None:
        gates.append(Deferred())
        await gates[-1]

    socket.on("slow", slow)
    socket.on("a", lambda data: seen.append(len(data)))
    guest.say('2["slow"]')
    return guest, gates, seen


@pytest.mark.parametrize(("last", "gone"), [(500, False), (501, True)])
def test_events_may_wait_up_to_max_queued_bytes_and_no_further(small: House, last: int, gone: bool) -> None:
    guest, gates, seen = busy(small)
    guest.say(event(500), event(last))
    assert (guest.gone, len(small.warnings)) == (gone, int(gone))
    gates[0].callback(None)
    assert len(seen) == (0 if gone else 2)


def test_attachments_count_as_what_waits(small: House) -> None:
    guest, gates, seen = busy(small)
    guest.say(f'51-["a",{ONE}]', b"x" * 500)
    assert not guest.gone
    guest.say(f'51-["a",{ONE}]', b"x" * 50)
    assert guest.gone
    gates[0].callback(None)
    assert seen == []


@pytest.mark.parametrize("value", ["[]", "{}", "7", "[7]", '{"b":7}'])
def test_many_small_values_count_with_the_memory_they_take(small: House, value: str) -> None:
    guest, gates, seen = busy(small)
    few, many = (f'2["a",[{",".join([value] * count)}]]' for count in (2, 30))
    guest.say(few)
    assert (guest.gone, len(many) < 500) == (False, True)
    guest.say(many)
    assert guest.gone
    gates[0].callback(None)
    assert seen == []


def test_what_waits_for_all_clients_is_bounded_and_those_with_most_go() -> None:
    for house in a_house(max_incoming_total=100_000):
        reasons: list[str] = []
        clients = [busy(house) for _ in range(4)]
        for guest, _, _ in clients:
            socket = next(iter(guest.wire.session._listener.sockets))  # type: ignore[attr-defined]
            socket.on("disconnect", reasons.append)
        for (guest, _, _), size in zip(clients, (20_000, 40_000, 30_000, 5_000), strict=True):
            guest.say(event(size))
        assert house.io.incoming.size == 95_000
        clients[3][0].say(f'51-["a",{ONE}]', b"x" * 100)
        assert [guest.gone for guest, _, _ in clients] == [False] * 4
        clients[3][0].say(event(5_000))
        assert [guest.gone for guest, _, _ in clients] == [False, True, False, False]
        assert reasons == ["transport error"]
        assert house.io.engine.admission.refused == {"max_incoming_total": 1}
        for _, gates, _ in clients:
            gates[0].callback(None)
        assert house.io.incoming.size == 0
        assert [len(seen) for _, _, seen in clients] == [1, 0, 1, 3]


def test_attachments_that_are_still_to_come_count_for_all_clients() -> None:
    for house in a_house(max_incoming_total=100_000):
        guest, _ = house.visitor()
        for _ in range(3):
            guest.say(f'52-["a",{ONE}]', b"x" * 90_000)
            assert house.io.incoming.size > 90_000
            guest.say(b"")
            assert house.io.incoming.size == 0
        guest.say(f'53-["a",{ONE}]', b"x" * 90_000)
        assert not guest.gone
        guest.say(b"x" * 20_000)
        assert guest.gone
        assert house.io.incoming.size == 0
        assert house.clock.getDelayedCalls() == []


@pytest.mark.parametrize("end", [Guest.leave, lambda guest: guest.say("2[]")])
def test_what_waits_is_gone_with_its_client(house: House, end: Any) -> None:
    guest, gates, _ = busy(house)
    guest.say(event(50_000), f'52-["a",{ONE}]', b"x" * 50_000)
    assert house.io.incoming.size > 100_000
    end(guest)
    assert house.io.incoming.size == 0
    gates[0].callback(None)
    assert house.io.incoming.size == 0


def test_what_has_been_handled_waits_no_longer(small: House) -> None:
    guest, gates, seen = busy(small)
    for turn in range(5):
        guest.say(event(900), '2["slow"]')
        gates[turn].callback(None)
    assert seen == [891] * 5
    guest.say(event(1000))
    assert not guest.gone
    gates[5].callback(None)
    assert len(seen) == 6


def test_what_is_handled_at_once_may_be_larger(small: House) -> None:
    guest, gates, seen = busy(small)
    gates[0].callback(None)
    guest.say(event(5000), event(5000))
    assert (guest.gone, len(seen)) == (False, 2)


def test_by_default_no_client_makes_the_server_keep_more_than_four_megabytes(house: House) -> None:
    guest, gates, _ = busy(house)
    sent = 0
    while not guest.gone:
        guest.say(event(900_000))
        sent += 1
    assert sent == 5
    gates[0].callback(None)
