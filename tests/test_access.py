"""Who may use the routes, as far as it does not show from outside."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rtwist.access import Access
from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier
from rtwist.errors import Refused

KEY = "the-api-key-of-the-tests"
VERIFIER = TokenVerifier(SharedSecrets("x" * 32), now=lambda: 0.0)
case = SynchronousTestCase()


class Asking:
    """A request with one header."""

    def __init__(self, key: str) -> None:
        self._key = key

    def getHeader(self, name: str) -> str | None:  # noqa: N802 - Twisted's name
        return self._key if name == "x-api-key" else None


@pytest.mark.parametrize("key", ["", "x", KEY[:-1], KEY[:-1] + "X", KEY, KEY * 1000, "ü", "\udcff"])
def test_keys_are_compared_in_a_time_that_tells_neither_their_text_nor_their_length(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    compared: list[tuple[int, int]] = []

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append((len(given), len(wanted)))
        return hmac.compare_digest(given, wanted)

    monkeypatch.setattr("rtwist.access.compare_digest", compare)
    request: Any = Asking(key)
    checked = Deferred.fromCoroutine(Access(VERIFIER, KEY).check(request, status_route=True))
    if key == KEY:
        case.successResultOf(checked)
    else:
        case.failureResultOf(checked, Refused)
    assert compared == [(32, 32)]
