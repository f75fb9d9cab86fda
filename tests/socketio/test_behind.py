"""What an event is worth to a client that is behind: by rule, and by the word it is sent with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.outbox import SPARE, Latest
from rtwist.errors import ConfigError
from rtwist.socketio import Options
from rtwist.socketio.behind import BehindRules
from tests.socketio.fakes import House, a_house

RULES = {
    "price": "latest:id",
    "stock:*": "latest:product+shop",
    "stock:alert": "disconnect",
    "stock:low:*": "drop",
    "headline": "latest",
}


@pytest.fixture
def ruled() -> Iterator[House]:
    yield from a_house(slow_consumers=RULES)


def of(event: str, *args: Any) -> Any:
    return BehindRules(RULES).of("/", event, args)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("price", Latest), ("prices", None), ("stock:", Latest), ("stock:alert", None), ("stock:alerts", Latest),
        ("stock:low:x", SPARE), ("stock:low", Latest), ("headline", Latest), ("", None), ("*", None),
    ],
)  # fmt: skip
def test_the_longest_name_that_fits_says_the_rule(event: str, kind: Any) -> None:
    rule = of(event, {"id": 1, "product": "p", "shop": "s"})
    assert rule is kind if kind in (None, SPARE) else isinstance(rule, Latest)


def test_a_star_alone_is_for_all_events() -> None:
    rules = BehindRules({"*": "drop", "order": "disconnect"})
    assert rules.of("/", "x", ()) is SPARE
    assert rules.of("/", "order", ()) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"id": 1, "to": 5}, {"id": 1, "to": 6}, True),
        ({"id": 1, "to": 5}, {"to": 6, "id": 1}, True),
        ({"id": 1, "to": 5}, {"id": 2, "to": 5}, False),
        ({"id": 1}, {"id": "1"}, False),
        ({"id": 1, "to": 5}, {"id": 1}, False),
        ({"id": 1}, {"id": 1, "by": "u"}, False),
    ],
)
def test_what_makes_an_event_the_latest_of_another(one: Any, other: Any, same: bool) -> None:
    assert (of("price", one) == of("price", other)) is same


def test_the_key_is_that_of_one_event_in_one_namespace() -> None:
    rules = BehindRules({"*": "latest:id"})
    keys = {rules.of(space, event, [{"id": 1}]) for space in ("/", "/a") for event in ("x", "y")}
    assert len(keys) == 4


@pytest.mark.parametrize(
    "args",
    [(), (1,), ("x",), ([{"id": 1}],), ({},), ({"id": None},), ({"id": [1]},), ({"id": {}},), ({"id": True},)],
)
def test_an_event_without_the_field_waits_as_any_other(args: Any) -> None:
    assert of("price", *args) is None


@given(st.text("ab:*"), st.one_of(st.text(), st.sampled_from(["drop", "latest", "disconnect"])))
def test_a_rule_is_read_or_refused_with_what_to_write(event: str, text: str) -> None:
    name = event.rstrip("*")
    if text in ("drop", "latest", "disconnect") and event and "*" not in event[:-1]:
        expected = {"drop": SPARE, "latest": Latest(("/", name, None)), "disconnect": None}[text]
        assert BehindRules({event: text}).of("/", name, ()) == expected
    elif not text.startswith("latest:"):
        with pytest.raises(ConfigError, match="write"):
            BehindRules({event: text})


@pytest.mark.parametrize(
    "rules",
    [
        {"x": ""},
        {"x": "keep"},
        {"x": "latest:"},
        {"x": "latest:a+"},
        {"": "drop"},
        {"a*b": "drop"},
        {"**": "drop"},
    ],
)
def test_options_refuse_rules_that_cannot_work(rules: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Options(slow_consumers=rules)


def test_rules_hold_for_every_way_to_emit_and_only_while_behind(ruled: House) -> None:
    guest, socket = ruled.visitor()
    for number in range(2):
        ruled.io.emit("price", {"id": 1, "to": number})
    assert guest.hear() == ['2["price",{"id":1,"to":0}]', '2["price",{"id":1,"to":1}]']
    guest.wire.fill()
    ruled.io.emit("price", {"id": 1, "to": 2})
    ruled.io.to(socket.id).emit("order", 7)
    ruled.io.emit("stock:low:x", "dropped")
    socket.emit("price", {"id": 2, "to": 3})
    socket.emit("price", {"id": 1, "to": 4})
    guest.wire.drain()
    assert guest.hear() == ['2["order",7]', '2["price",{"id":2,"to":3}]', '2["price",{"id":1,"to":4}]']
    assert ruled.io.engine.backlog.counters.as_dict() == {
        "cut": {"max_buffered": 0, "max_buffered_age": 0, "max_buffered_total": 0}, "dropped": 1, "replaced": 1,
    }  # fmt: skip


def test_what_asks_for_an_acknowledgement_always_waits(ruled: House) -> None:
    guest, socket = ruled.visitor()
    guest.wire.fill()
    for _ in range(2):
        socket.emit("price", {"id": 1}, ack=lambda: None)
        ruled.io.timeout(1).emit_with_ack("price", {"id": 1}).addErrback(lambda _: None)
    guest.wire.drain()
    assert len(guest.hear()) == 4
    ruled.clock.advance(1)


def test_a_word_at_the_place_comes_before_the_rule(ruled: House) -> None:
    guest, socket = ruled.visitor()
    guest.wire.fill()
    ruled.io.latest("a").emit("stock:low:x", 1)
    ruled.io.root.latest("a").emit("stock:low:x", 2)
    ruled.io.of("/").operator().latest("b").emit("stock:low:x", 3)
    ruled.io.volatile.emit("price", {"id": 1})
    socket.volatile.emit("price", {"id": 1})
    socket.latest("a").emit("stock:low:x", 4)
    socket.latest().emit("other", b"5")
    socket.latest().emit("other", b"6")
    guest.wire.drain()
    assert guest.hear() == [
        '2["stock:low:x",3]', '2["stock:low:x",4]', '51-["other",{"_placeholder":true,"num":0}]', "bNg==",
    ]  # fmt: skip


def test_latest_can_be_narrowed_like_any_selection(house: House) -> None:
    (one, first), (two, _) = house.visitor(), house.visitor()
    first.join("room")
    for guest in (one, two):
        guest.wire.fill()
    assert house.io.to("room").latest("k").emit("x", 1) == 1
    assert house.io.latest("k").to("room").emit("x", 2) == 1
    assert first.broadcast.latest("k").emit("x", 3) == 1
    for guest in (one, two):
        guest.wire.drain()
    assert (one.hear(), two.hear()) == (['2["x",2]'], ['2["x",3]'])


def test_a_handler_of_the_end_can_tell_how_much_waited(house: House) -> None:
    guest, socket = house.visitor()
    heard: list[tuple[str, str]] = []
    socket.on("disconnect", lambda reason: heard.append((reason, socket.remark)))
    guest.wire.fill()
    socket.emit("x", "y" * house.io.options.max_buffered)
    assert (heard, guest.gone) == ([], True)
    socket.emit("nobody hears this")
    house.clock.advance(0)
    assert [reason for reason, _ in heard] == ["transport error"]
    assert heard[0][1].startswith("slow consumer: 16131")
    assert dict(house.io.root.sockets) == {}
