"""What clients ask for, on a clock: how often what goes to many may be asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier, mint
from rtwist.domain.owners import OrderBook
from rtwist.gateway import Gateway
from tests.socketio.fakes import Guest, House, a_house

SECRET = "a secret of the tests that is long enough"
NOW = 1_700_000_000.0
MEMBERS = 10


@pytest.fixture
def house() -> Iterator[House]:
    """A service in which a user may have five notes of typing delivered in a second, a hundred at once."""
    for made in a_house(ping_interval=1e6):
        verifier = TokenVerifier(SharedSecrets(SECRET), now=lambda: NOW)
        Gateway(made.io, verifier=verifier, owners=OrderBook(), now=lambda: NOW, max_typing=5)
        yield made


def join(house: House, user: str) -> Guest:
    """A client of the company that they are all in."""
    guest = house.guest()
    guest.enter(auth={"token": mint(SECRET, user=user, company="c1", now=NOW)})
    return guest


def ask(guest: Guest, *event: Any) -> Any:
    """The acknowledgement of an event."""
    guest.say(f"27{json.dumps(event)}")
    (answer,) = [packet for packet in guest.hear() if packet.startswith("37")]
    return json.loads(answer[2:])[0]


def type_once(guest: Guest) -> str:
    """The code of the refusal, or "" when it was delivered."""
    answer = ask(guest, "typing", {"roomId": "company:c1", "isTyping": True})
    return "" if answer["success"] else str(answer["error"]["code"])


def notes(guest: Guest) -> int:
    return sum(packet.startswith('2["typing"') for packet in guest.hear())


def test_typing_is_limited_by_how_many_hear_of_it(house: House) -> None:
    others = [join(house, f"u{number}") for number in range(MEMBERS)]
    typist = join(house, "typist")
    assert [type_once(typist) for _ in range(12)] == [""] * 10 + ["rate_limited"] * 2
    assert notes(others[0]) == 10
    assert type_once(others[0]) == "", "others may"
    house.clock.advance(1)
    assert [type_once(typist) for _ in range(2)] == ["", "rate_limited"]


def test_more_connections_of_a_user_do_not_help(house: House) -> None:
    for number in range(MEMBERS):
        join(house, f"u{number}")
    tabs = [join(house, "typist") for _ in range(5)]
    assert [type_once(tab) for tab in tabs * 4].count("") == 8, "of 14 deliveries each"


def test_who_types_to_nobody_may_go_on(house: House) -> None:
    typist = join(house, "typist")
    assert {type_once(typist) for _ in range(300)} == {""}
