"""Patterns of rooms in tokens."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtwist.auth.patterns import MAX_PATTERN_CHARS, MAX_PATTERNS, last_match, read_pattern, read_patterns

VALUES = {"userId": ("u1",), "companyId": (), "shopId": ("s1", "s2"), "role": ("clerk", "*")}


def matches(pattern: str, room: str) -> bool:
    return read_pattern(pattern).matches(room, VALUES)


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("lobby", ["lobby"], ["lobby2", "Lobby", ""]),
        ("chat-*", ["chat-", "chat-1", "chat-*"], ["chat", "xchat-1"]),
        ("*", ["a", "order:7", "*"], []),
        ("order:*", ["order:7", "order:"], ["orders", "xorder:7"]),
        ("support:{userId}", ["support:u1"], ["support:u2", "support:u11", "support:{userId}", "support:"]),
        ("{userId}", ["u1"], ["u2"]),
        ("a{userId}{userId}b", ["au1u1b"], ["au1b"]),
        ("desk-{shopId}", ["desk-s1", "desk-s2"], ["desk-s3", "desk-"]),
        ("desk-{shopId}-*", ["desk-s1-", "desk-s2-7"], ["desk-s1", "desk-s12-7"]),
        ("{role}:{userId}", ["clerk:u1", "*:u1"], ["clerk:u2"]),
        ("{role}", ["clerk", "*"], ["anything"]),
        ("board:{companyId}", [], ["board:", "board:None", "board:{companyId}"]),
        ("board:{companyId}*", [], ["board:", "board:c1"]),
        ("a.c", ["a.c"], ["abc"]),
        ("[a-z]?+$", ["[a-z]?+$"], ["b"]),
    ],
)
def test_what_a_pattern_means(pattern: str, meant: list[str], not_meant: list[str]) -> None:
    assert all(matches(pattern, room) for room in meant)
    assert not any(matches(pattern, room) for room in not_meant)
    refusing = read_pattern(f"!{pattern}")
    assert refusing.refuses
    assert [refusing.matches(room, VALUES) for room in (*meant, *not_meant)] == [
        matches(pattern, room) for room in (*meant, *not_meant)
    ]


NAMES = st.text("ab-:*{}!", max_size=8)


@given(st.text("ab-:", max_size=6), st.booleans(), NAMES)
@example("a", True, "a")
def test_without_placeholders_it_is_what_a_shell_takes_it_for(literal: str, any_ending: bool, room: str) -> None:
    pattern = literal + "*" * any_ending
    if pattern:
        assert matches(pattern, room) == fnmatchcase(room, pattern)


PARTS = st.lists(st.sampled_from(["a", "b", "-", "{userId}", "{companyId}", "{shopId}"]), min_size=1, max_size=5)
IDS = st.lists(st.text("ab-", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)


@given(PARTS, st.booleans(), IDS, IDS, st.text("ab-", max_size=8))
@example(["{shopId}", "b"], False, ["u"], ["a", "ab"], "abb")
@example(["{userId}", "{shopId}"], True, ["a"], ["b", "bb"], "abbb")
def test_a_placeholder_stands_for_each_value_even_if_one_begins_like_another(
    parts: list[str], any_ending: bool, users: list[str], shops: list[str], room: str
) -> None:
    if parts.count("{shopId}") > 1:
        return
    values = {"userId": (users[0],), "shopId": tuple(shops), "companyId": ()}
    pattern = read_pattern("".join(parts) + "*" * any_ending)
    filled = ["".join(parts).replace("{userId}", users[0]).replace("{shopId}", shop) for shop in shops]
    meant = [one for one in filled if (room.startswith(one) if any_ending else room == one)]
    assert pattern.matches(room, values) is (bool(meant) and "{companyId}" not in parts)


@pytest.mark.parametrize(
    "value",
    [
        *("", "!", " ", "**", "a*b", "*a", "!a*b", "a\n", "a\x00", "\ud800", "x" * (MAX_PATTERN_CHARS + 1)),
        *("{", "}", "{}", "{user}", "{userId", "userId}", "{{userId}}", "{ userId }", "{claims}", "a{b}*"),
        *("{shopId}{role}", "{role}{role}", "{shopId}-{shopId}"),
        *(None, 7, True, ["a"], {"a": 1}),
    ],
)
def test_what_is_no_pattern(value: object) -> None:
    with pytest.raises(ValueError, match="must "):
        read_pattern(value)
    with pytest.raises(ValueError, match="a pattern in rooms must "):
        read_patterns("rooms", ["fine", value])


def test_a_claim_is_a_list_of_patterns_or_one() -> None:
    assert read_patterns("rooms", "a*") == read_patterns("rooms", ["a*"])
    assert read_patterns("rooms", []) == ()
    assert len(read_patterns("rooms", ["a"] * MAX_PATTERNS)) == MAX_PATTERNS
    with pytest.raises(ValueError, match="rooms must not hold more than 100"):
        read_patterns("rooms", ["a"] * (MAX_PATTERNS + 1))


def verdict(room: str, *patterns: str, prefix: str = "") -> bool | None:
    """True for granted, False for refused, None for neither."""
    found = last_match(read_patterns("rooms", list(patterns)), room, VALUES, prefix=prefix)
    return None if found is None else not found.refuses


def test_the_last_match_decides() -> None:
    assert verdict("a1", "b*") is None
    assert verdict("a1", "!b*") is None
    assert verdict("a1", "a*", "!a1") is False
    assert verdict("a1", "!a1", "a*") is True
    assert verdict("a2", "a*", "!a1") is True
    assert [verdict(room, "!*", "a*") for room in ("a", "b")] == [True, False]


def test_a_grant_must_name_the_kind_of_room_itself() -> None:
    values = {**VALUES, "role": ("order:",)}
    for pattern in ("*", "o*", "order*", "{role}*"):
        assert last_match([read_pattern(pattern)], "order:7", values, prefix="order:") is None
        assert verdict("order:7", f"!{pattern}", prefix="order:") is (None if "{" in pattern else False)
    for pattern in ("order:*", "order:7", "order:7*"):
        assert verdict("order:7", pattern, prefix="order:") is True
