"""What strangers wrote, in one printable piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.quoting import MAX_LISTED, listed, quoted
from tests.service.peers import token


@pytest.mark.parametrize("text", ["", "join_room", "/chat", "a b", "ü€😀", "don't", '"x"'])
def test_what_prints_stays(text: str) -> None:
    assert quoted(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"'a\nb'"),
        ("\r", r"'\r'"),
        ("\x1b[2J", r"'\x1b[2J'"),
        ("\x9b", r"'\x9b'"),
        ("\u2028", r"'\u2028'"),
        ("\u202e", r"'\u202e'"),
        ("\ud800", r"'\ud800'"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize("end", [None, 100, 40, 3])
def test_no_token_is_left_nor_part_of_one(end: int | None) -> None:
    assert quoted(f"unknown event {token('u1')[:end]}, and more") == "unknown event (token), and more"


def test_a_list_without_end_is_cut() -> None:
    assert listed([]) == []
    assert listed(("a", "b\n")) == ["a", r"'b\n'"]
    names = [f"order:7|shop:{number}" for number in range(MAX_LISTED + 980)]
    assert listed(names) == [*names[:MAX_LISTED], "and 980 more"]
    assert listed(names[:MAX_LISTED]) == names[:MAX_LISTED]


@given(st.text())
def test_whatever_comes_it_prints(text: str) -> None:
    assert quoted(text).isprintable()
