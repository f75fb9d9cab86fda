"""What the model takes patterns for, case by case."""

from __future__ import annotations

import pytest

from tests.model.patterns import verdict

VALUES = {"userId": ("u1",), "companyId": (), "shopId": ("s1", "s2"), "role": ("order", "*")}


@pytest.mark.parametrize(
    ("patterns", "room", "prefix", "expected"),
    [
        ([], "lobby", "", None),
        (["lobby"], "lobby", "", True),
        (["lobby"], "lobby2", "", None),
        (["lob*"], "lobby", "", True),
        (["lobby*"], "lobby", "", True),
        (["*"], "lobby", "", True),
        (["*"], "order:7", "order:", None),
        (["or*"], "order:7", "order:", None),
        (["{role}:7"], "order:7", "order:", None),
        (["order:*"], "order:7", "order:", True),
        (["!*"], "order:7", "order:", False),
        (["!{role}:7"], "order:7", "order:", False),
        (["order:*", "!order:7"], "order:7", "order:", False),
        (["!order:7", "order:*"], "order:7", "order:", True),
        (["!order:7", "order:8"], "order:7", "order:", False),
        (["desk-{userId}"], "desk-u1", "", True),
        (["desk-{userId}"], "desk-{userId}", "", None),
        (["desk-{companyId}"], "desk-", "", None),
        (["desk-{shopId}"], "desk-s2", "", True),
        (["{userId}/{shopId}*"], "u1/s1/x", "", True),
        (["desk-{role}"], "desk-x", "", None),
        (["desk-{role}"], "desk-*", "", True),
    ],
)
def test_the_last_pattern_that_matches_decides(
    patterns: list[str], room: str, prefix: str, expected: bool | None
) -> None:
    assert verdict(patterns, room, prefix=prefix, values=VALUES) is expected
