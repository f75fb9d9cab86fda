"""How fast a client may send events, and what it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.socketio.fakes import Guest, House, a_house

REFUSAL = {"code": "rate_limited", "message": "too many events in a short time; wait a little"}
BURST = 200


@pytest.fixture
def paced() -> Iterator[House]:
    """Ten events a second, two hundred at once."""
    yield from a_house(max_events_per_second=10.0)


def visitor(house: House) -> tuple[Guest, list[Any]]:
    """A client that has used up its bucket but for what is left after a CONNECT, and what is heard of it."""
    guest, socket = house.visitor()
    heard: list[Any] = []
    socket.on("a", lambda *args: heard.append(args))
    return guest, heard


def use_up(guest: Guest, cost: int = 10) -> None:
    for _ in range(BURST - cost):
        guest.say('2["a"]')


def test_an_event_too_many_is_refused_as_it_was_asked(paced: House) -> None:
    guest, heard = visitor(paced)
    use_up(guest)
    assert (len(heard), guest.hear()) == (190, [])
    guest.say('27["a"]', '2["a",1]')
    acknowledged, error = guest.hear()
    assert acknowledged.startswith("37[")
    assert json.loads(acknowledged[2:]) == [{"success": False, "error": REFUSAL}]
    assert json.loads(error[1:]) == ["error", {"event": "a", **REFUSAL}]
    assert len(heard) == 190
    paced.clock.advance(0.2)
    guest.say('2["a",2]')
    assert heard[-1] == (2,)
    assert paced.io.engine.admission.refused == {"max_events_per_second": 2}


def test_binary_events_are_refused_too(paced: House) -> None:
    guest, heard = visitor(paced)
    use_up(guest)
    guest.say('51-3["a",{"_placeholder":true,"num":0}]', b"x")
    (refusal,) = guest.hear()
    assert refusal.startswith("33[")
    assert len(heard) == 190


def test_in_a_namespace_the_refusal_comes_from_there(paced: House) -> None:
    paced.io.of("/chat")
    guest = paced.guest()
    guest.enter("/chat,")
    for _ in range(BURST - 10):
        guest.say('2/chat,["a"]')
    guest.say('2/chat,["' + "x" * 300 + '"]')
    (error,) = guest.hear()
    assert error.startswith("2/chat,")
    assert json.loads(error.removeprefix("2/chat,"))[1]["event"] == "x" * 100


def test_acknowledgements_and_farewells_are_never_refused(paced: House) -> None:
    guest, socket = paced.visitor()
    answers: list[Any] = []
    socket.emit("question", ack=answers.append)
    use_up(guest)
    guest.hear()
    guest.say('30["yes"]')
    assert answers == ["yes"]
    guest.say("1")
    assert not socket.connected


def test_a_storm_of_connects_is_refused(paced: House) -> None:
    guest = paced.guest()
    for _ in range(BURST // 11):
        guest.say("0", "1")
    guest.hear()
    guest.say("0")
    (refusal,) = guest.hear()
    told = json.loads(refusal.removeprefix("4"))
    assert told == {"message": REFUSAL["message"], "data": {"code": "rate_limited"}}
    assert not guest.gone
    paced.clock.advance(1.6)
    guest.enter()


def test_who_goes_on_at_twice_the_rate_is_sent_away(paced: House) -> None:
    guest, heard = visitor(paced)
    use_up(guest)
    sent = 0
    while not guest.gone:
        guest.say('2["a"]')
        sent += 1
    assert sent == pytest.approx(2 * BURST, abs=10)
    *_, refusal, farewell = guest.hear()
    assert (json.loads(refusal[1:]), farewell) == (["error", {"event": "a", **REFUSAL}], "1")
    assert len(heard) == 190


def test_who_sends_at_less_than_twice_the_rate_is_only_refused(paced: House) -> None:
    guest, heard = visitor(paced)
    for _ in range(3000):
        guest.say('2["a"]')
        guest.hear()
        guest.wire.session.received(guest.wire, "3")
        paced.clock.advance(1 / 18)
    assert not guest.gone
    assert len(heard) > 190


def test_who_keeps_to_the_rate_is_never_refused(paced: House) -> None:
    guest, heard = visitor(paced)
    for _ in range(1000):
        guest.say('2["a"]')
        guest.wire.session.received(guest.wire, "3")
        paced.clock.advance(0.1)
    assert len(heard) == 1000


def test_without_the_option_no_number_of_events_is_too_many(house: House) -> None:
    guest, heard = visitor(house)
    for _ in range(20_000):
        guest.say('2["a"]')
    assert len(heard) == 20_000


@pytest.mark.parametrize(("last", "gone"), [(5, False), (6, True)])
def test_the_size_of_a_packet_with_its_attachments_is_limited(last: int, *, gone: bool) -> None:
    head = '52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    for house in a_house(max_packet_bytes=len(head) + 10, collect=False):
        guest, heard = visitor(house)
        guest.say(head, b"12345", b"x" * last)
        assert (guest.gone, len(heard)) == (gone, 0 if gone else 1)


def test_text_counts_with_its_bytes() -> None:
    for house in a_house(max_packet_bytes=1000, collect=False):
        guest, heard = visitor(house)
        guest.say(f'2["a","{"é" * 495}"]')
        assert not guest.gone
        guest.say(f'2["a","{"é" * 496}"]')
        assert guest.gone
        assert len(heard) == 1
