"""The comparison notices what is missing, what is too much, and what comes in another order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.comparison import differences
from tests.model.live import Heard

A, B = Heard(0, "a", 1), Heard(0, "b", {"x": [2]})
PERHAPS = Heard(0, "a", 1, certain=False)
GOT_A, GOT_B = ("a", 1), ("b", {"x": [2]})
AT = "2026-01-31T09:30:00.000Z"


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ([], []),
        ([A, B, A], [GOT_A, GOT_B, GOT_A]),
        ([A, PERHAPS, B], [GOT_A, GOT_B]),
        ([A, PERHAPS, B], [GOT_A, GOT_A, GOT_B]),
        ([PERHAPS], []),
        ([Heard(0, "typing", {"roomId": "r"})], [("typing", {"roomId": "r", "timestamp": AT})]),
        ([Heard(0, "error", {"code": "c"})], [("error", {"code": "c", "message": "No."})]),
    ],
)
def test_what_must_come_has_come(expected: list[Heard], got: list[tuple[str, Any]]) -> None:
    assert [*differences("client", expected, got)] == []


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ([A], []),
        ([], [GOT_A]),
        ([A, B], [GOT_A]),
        ([A], [GOT_A, GOT_A]),
        ([A, B], [GOT_B, GOT_A]),
        ([A], [("a", 2)]),
        ([A], [GOT_B]),
        ([A, PERHAPS], [GOT_A, GOT_A, GOT_A]),
        ([PERHAPS], [GOT_B]),
        ([Heard(0, "typing", {"roomId": "r"})], [("typing", {"roomId": "r"})]),
        ([Heard(0, "typing", {"roomId": "r"})], [("typing", {"roomId": "r", "timestamp": "now"})]),
        ([Heard(0, "presence:online", {"userId": "u"})], [("presence:online", {"userId": "v", "timestamp": AT})]),
        ([Heard(0, "error", {"code": "c"})], [("error", {"code": "c", "message": ""})]),
        ([Heard(0, "auth:revoked", {})], [("auth:revoked", {"message": "Gone"})]),
    ],
)
def test_what_must_not_be_is_told_once(expected: list[Heard], got: list[tuple[str, Any]]) -> None:
    (told,) = differences("client", expected, got)
    assert told.startswith("client")
