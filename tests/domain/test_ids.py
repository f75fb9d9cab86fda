"""The one check for ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.ids import json_type, plain_text, text_id


@pytest.mark.parametrize(
    ("value", "text"), [("u1", "u1"), (7, "7"), (-7, "-7"), (0, "0"), ("ü 1", "ü 1"), ("x" * 200, "x" * 200)]
)
def test_text_and_integers_are_ids(value: object, text: str) -> None:
    assert text_id(value) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, "not a boolean"),
        (1.0, "not a fraction"),
        (None, "not null"),
        ([], "not an array"),
        ({}, "not an object"),
        ("", "must not be empty"),
        (" \u3000", "must not be empty"),
        ("x" * 201, "not be longer than 200"),
        (10**200, "not be longer than 200"),
        (-(10**199), "not be longer than 200"),
        pytest.param(10**5000, "not be longer than 200", id="5001 digits"),
        ("a\x00b", "control characters"),
        ("a\n", "control characters"),
        ("a\x7f", "control characters"),
        ("a\x85", "control characters"),
        ("a\ud800", "lone surrogates"),
        ("a\u2028b", "control characters"),
        ("\u202eb", "control characters"),
        ("\u2066b", "control characters"),
        ("7|user:u1", r"'\|'"),
    ],
)
def test_everything_else_is_refused_with_the_reason(value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        text_id(value)


def test_plain_text_may_hold_the_separator() -> None:
    assert plain_text("a|b") == "a|b"


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text())))
def test_what_is_accepted_can_be_sent(value: object) -> None:
    try:
        text = text_id(value)
    except ValueError:
        return
    assert text == str(value)
    assert text.encode("utf-8")
    assert 0 < len(text) <= 200


def test_types_have_json_names() -> None:
    assert json_type("") == "a string"
    assert json_type(1) == "an integer"
    assert json_type(b"") == "bytes"
