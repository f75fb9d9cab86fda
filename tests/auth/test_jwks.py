"""How often keys are fetched, and what those who wait for them get; time is a clock's."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from rtwist.auth.jwks import JwksKeys
from rtwist.errors import KeysUnavailable
from rtwist.tasks import Tasks
from tests.support.keys import P256, RSA, key_set


class Server:
    """A key server: each fetch waits for an answer, or gets the standing one."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.tasks = Tasks()
        self.asked: list[Deferred[bytes]] = []
        self.answers: bytes | Exception | None = None
        self.keys = JwksKeys(self._fetch, tasks=self.tasks, clock=self.clock.seconds, max_age=600)

    def _fetch(self) -> Deferred[bytes]:
        self.asked.append(Deferred())
        if self.answers is not None:
            self.answer(self.answers)
        return self.asked[-1]

    def answer(self, value: bytes | Exception) -> None:
        if isinstance(value, Exception):
            self.asked[-1].errback(value)
        else:
            self.asked[-1].callback(value)

    def login(self, kid: str | None = "k1", alg: str = "ES256") -> Login:
        return Login(self.keys, {"alg": alg, **({} if kid is None else {"kid": kid})})


class Login:
    """Somebody who waits for keys."""

    def __init__(self, keys: JwksKeys, header: dict[str, str]) -> None:
        self.got: list[Any] = []
        self.deferred = Deferred.fromCoroutine(keys.keys_for(header))
        self.deferred.addBoth(self.got.append)

    @property
    def waits(self) -> bool:
        return not self.got

    @property
    def keys(self) -> Sequence[Any]:
        return list(self.got[0])

    @property
    def failure(self) -> str:
        assert self.got[0].check(KeysUnavailable), self.got
        return str(self.got[0].getErrorMessage())


@pytest.fixture
def server() -> Iterator[Server]:
    with capturedLogs() as logs:
        yield Server()
    gc.collect()
    assert [event for event in logs if "log_failure" in event] == []


K1 = [P256.public_key()]


def test_a_hundred_logins_are_one_fetch(server: Server) -> None:
    logins = [server.login() for _ in range(100)]
    assert len(server.asked) == 1
    assert all(login.waits for login in logins)
    server.answer(key_set(k1=P256))
    assert [login.keys for login in logins] == [K1] * 100
    assert server.login().keys == K1
    assert len(server.asked) == 1


def test_a_fetch_that_takes_long_stays_the_only_one(server: Server) -> None:
    server.keys.refresh()
    server.keys.refresh()
    first = server.login()
    server.clock.advance(1000)
    second = server.login()
    assert len(server.asked) == 1
    server.answer(key_set(k1=P256))
    assert first.keys == second.keys == K1


def test_keys_are_chosen_by_algorithm_and_id(server: Server) -> None:
    server.answers = key_set(P256, k1=P256, k2=RSA)
    assert server.login("k2", "RS256").keys == [RSA.public_key()]
    assert server.login("k2", "ES256").keys == []
    assert server.login(None).keys == K1 * 2
    assert server.login(None, "EdDSA").keys == []


def test_an_id_that_nobody_knows_is_looked_for_every_half_minute_at_most(server: Server) -> None:
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1
    for _ in range(1000):
        assert server.login("unknown").keys == []
    assert len(server.asked) == 1, "they had just been fetched"
    server.clock.advance(30)
    for number in range(1000):
        assert server.login(f"unknown {number}").keys == []
        server.clock.advance(0.01)
    assert len(server.asked) == 2


def test_a_new_key_is_found(server: Server) -> None:
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1
    server.answers = key_set(k2=RSA)
    server.clock.advance(30)
    assert server.login("k2", "RS256").keys == [RSA.public_key()]
    assert server.login("k1").keys == [], "the old one was taken away"
    assert len(server.asked) == 2


def test_many_with_a_new_key_wait_for_one_fetch(server: Server) -> None:
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1
    server.answers = None
    server.clock.advance(30)
    logins = [server.login("k2", "RS256") for _ in range(50)]
    assert server.login("k1").keys == K1, "whose key is known need not wait"
    assert len(server.asked) == 2
    server.answer(key_set(k1=P256, k2=RSA))
    assert [login.keys for login in logins] == [[RSA.public_key()]] * 50


def test_old_keys_are_renewed_without_anybody_waiting(server: Server) -> None:
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1
    server.answers = None
    server.clock.advance(601)
    assert server.login().keys == K1
    assert server.login().keys == K1
    assert len(server.asked) == 2
    server.answer(key_set(k9=P256))
    assert server.login("k9").keys == K1


def test_keys_that_nobody_used_for_long_are_renewed_first(server: Server) -> None:
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1
    server.answers = None
    server.clock.advance(1201)
    login = server.login()
    assert login.waits
    server.answer(key_set(k2=RSA))
    assert login.keys == [], "its key was withdrawn meanwhile"


@pytest.mark.parametrize(
    "failure", [KeysUnavailable("down"), ValueError("odd"), b"<html>", key_set(), b'{"keys":[5]}']
)
def test_keys_stay_when_they_cannot_be_renewed(server: Server, failure: bytes | Exception) -> None:
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1
    server.answers = failure
    for _ in range(3):
        server.clock.advance(1300)
        assert server.login().keys == K1
        assert server.login().keys == K1
    assert len(server.asked) == 4
    assert "key server fails" in server.login("k2").failure, "the key may be there when the server is"


@pytest.mark.parametrize("failure", [KeysUnavailable("down"), b"[]", key_set()])
def test_without_any_keys_nobody_can_sign_in_and_a_moment_later_it_is_tried_again(
    server: Server, failure: bytes | Exception
) -> None:
    logins = [server.login() for _ in range(100)]
    server.answer(failure)
    assert all(login.failure.startswith("there are no keys: ") for login in logins)
    assert server.login().failure
    assert len(server.asked) == 1
    server.clock.advance(5)
    server.answers = key_set(k1=P256)
    assert server.login().keys == K1


def test_who_leaves_takes_nobody_along(server: Server) -> None:
    first, second = server.login(), server.login()
    first.deferred.cancel()
    server.answer(key_set(k1=P256))
    assert second.keys == K1


def test_a_bug_in_the_fetch_is_logged_and_nobody_waits_for_ever() -> None:
    with capturedLogs() as logs:
        server = Server()
        login = server.login()
        server.answer(RuntimeError("a bug"))
    assert "a bug" in login.failure
    assert [event["log_failure"].type for event in logs if "log_failure" in event] == [RuntimeError]
