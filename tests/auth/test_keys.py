"""Shared secrets."""

from __future__ import annotations

import pytest

from rtwist.auth.keys import KeySource, SharedSecrets
from rtwist.auth.settings import TokenSettings, shared_secrets
from rtwist.errors import ConfigError

OLD, NEW = "old secret, long enough for HS256", b"new secret, long enough for HS256"


def keys_of(source: KeySource) -> list[object]:
    with pytest.raises(StopIteration) as done:
        source.keys_for({}).send(None)
    return list(done.value.value)


def test_all_secrets_are_tried() -> None:
    assert keys_of(SharedSecrets([NEW, OLD])) == [NEW, OLD.encode()]
    assert keys_of(SharedSecrets(OLD)) == [OLD.encode()]
    assert SharedSecrets(OLD).algorithms == ("HS256",)


def test_bytes_from_the_environment_stay_bytes() -> None:
    raw = b"\xff" * 32
    assert keys_of(SharedSecrets(raw.decode("utf-8", "surrogateescape"))) == [raw]


@pytest.mark.parametrize("secrets", ["", "x" * 31, b"short", [OLD, "short"], []])
def test_short_and_missing_secrets_are_refused_with_a_recipe(
    secrets: str | bytes | list[str | bytes],
) -> None:
    with pytest.raises(ConfigError, match=r"JWT_SECRET .*token_urlsafe\(48\)") as caught:
        SharedSecrets(secrets)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        '{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}',
    ],
)
def test_what_is_no_secret_is_refused_at_once(secret: str) -> None:
    with pytest.raises(ConfigError, match="JWT_SECRET is no secret"):
        SharedSecrets(secret)


def test_secrets_are_not_shown() -> None:
    assert "old secret" not in repr(SharedSecrets(OLD))


def test_the_error_names_the_secret_that_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"^JWT_PREVIOUS_SECRET must have at least 32 bytes"):
        SharedSecrets("short", name="JWT_PREVIOUS_SECRET")
    with pytest.raises(ConfigError, match=r"^JWT_PREVIOUS_SECRET must have at least 32 bytes"):
        shared_secrets(TokenSettings(secret=OLD, previous_secret="short"))


def test_the_secret_and_the_one_before() -> None:
    assert keys_of(shared_secrets(TokenSettings(secret=OLD))) == [OLD.encode()]
    both = shared_secrets(TokenSettings(secret=NEW.decode(), previous_secret=OLD))
    assert keys_of(both) == [NEW, OLD.encode()]
