"""Typed fields, and what is said of those that are not of their type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtwist.domain.event import DomainEvent
from rtwist.domain.fields import MAX_IDS, Id, Ids, Number, SubjectId, _converted, read
from rtwist.errors import BadEvent
from rtwist.socketio.jsoncodec import dumps


class Thing(msgspec.Struct, frozen=True, rename="camel"):
    thing_id: SubjectId
    owner_id: Id | None = None
    weight: Number | None = None
    label: str | None = None
    parts: Ids | None = None


def thing(**data: Any) -> Thing:
    return read(DomainEvent("thing.made", data, None, ""), Thing)


def test_ids_become_text_that_encoders_know() -> None:
    found = thing(thingId=7, parts=[1, "1", {"id": "b", "name": "B"}], other=object())
    assert found == Thing("7", parts=("1", "b"))
    assert (type(found.thing_id), type(found.parts)) == (str, tuple)
    assert dumps([found.thing_id, found.parts]) == '["7",["1","b"]]'


def test_users_companies_and_shops_may_have_a_bar_in_their_ids() -> None:
    found = thing(thingId="x", ownerId="auth0|7", parts=["auth0|8"])
    assert (found.owner_id, found.parts) == ("auth0|7", ("auth0|8",))


def test_one_id_is_a_list_of_one() -> None:
    assert thing(thingId="x", parts=5).parts == ("5",)


@pytest.mark.parametrize("empty", [None, ""])
def test_what_is_empty_is_absent(empty: object) -> None:
    assert thing(thingId="x", weight=empty, label=empty, parts=empty) == Thing("x")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "thingId is missing in an event of kind thing.made"),
        ({"thingId": ""}, "thingId is missing in an event of kind thing.made"),
        ({"thingId": "a|b"}, "thingId must not contain '|'"),
        ({"thingId": " "}, "thingId must not be empty"),
        ({"thingId": True}, "thingId must be a string or an integer, not a boolean"),
        ({"weight": "5"}, "weight must be a number, not a string"),
        ({"weight": True}, "weight must be a number, not a boolean"),
        ({"weight": [5]}, "weight must be a number, not an array"),
        ({"weight": 10**40}, "weight must be a smaller number"),
        ({"weight": -1e300}, "weight must be a smaller number"),
        ({"label": 5}, "label must be a string, not an integer"),
        ({"parts": [1, {}]}, "parts must be a string or an integer, not null"),
        ({"parts": [[1]]}, "parts must be a string or an integer, not an array"),
        ({"parts": list(range(MAX_IDS + 1))}, f"parts must not hold more than {MAX_IDS}"),
    ],
)
def test_a_mistake_names_its_field(data: dict[str, Any], says: str) -> None:
    with pytest.raises(BadEvent) as caught:
        thing(**({"thingId": "x"} if data and "thingId" not in data else {}), **data)
    assert str(caught.value) == says


ids = st.sampled_from(
    ["7", "a|b", " ", "", "é", "\n", "x" * 201, 7, 2**53, 2**53 + 1, -(2**60), 5.0, 1.5, True, None]
)
listed = st.lists(ids | st.dictionaries(st.just("id"), ids), max_size=2)
things = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["thingId", "weight", "label", "\ud800"], ids),
        **dict.fromkeys(["ownerId", "parts"], ids | listed),
    },
)


@example({"thingId": "x", "\ud800": 1})
@example({"thingId": "x", "weight": 2**53 + 1})
@example({"thingId": "x", "parts": [1, {"id": "b"}]})
@given(things)
def test_the_short_way_comes_to_the_same_as_the_general_one(data: dict[str, Any]) -> None:
    def outcome(reader: Callable[..., Thing]) -> str:
        try:
            return repr(reader(DomainEvent("thing.made", data, None, ""), Thing))
        except BadEvent as error:
            return str(error)

    assert outcome(read) == outcome(_converted)
