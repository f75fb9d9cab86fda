"""The keys that verify tokens: the seam, and secrets shared with the issuer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from rtwist.errors import ConfigError

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

Key: TypeAlias = "AllowedPublicKeys | str | bytes"
"""What PyJWT verifies with. Not its PyJWK, which brings an algorithm of its own."""

MIN_SECRET_BYTES = 32
"""RFC 7518 3.2: "A key of the same size as the hash output [...] or larger MUST be used"."""

_MAX_REMEMBERED = 16
_RECIPE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'


class KeySource(Protocol):
    """Where `TokenVerifier` has its keys from."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The JWS algorithms accepted, all of one family: never HS256 beside RS256."""

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
        """Return the keys that may have signed a token with this header, none if it is a stranger's.

        The header is not verified yet. Raises `KeysUnavailable` if the keys cannot be had at the moment.
        """


class SharedSecrets:
    """HS256 with one secret, or with several while the issuer changes from one to the next.

    Raises `ConfigError` for no secret, for one shorter than 32 bytes, and for a public key or JWK in place of
    a secret, which everybody could sign with; it calls the secret by `name`.
    """

    algorithms = ("HS256",)

    def __init__(self, secrets: str | bytes | Sequence[str | bytes], *, name: str = "JWT_SECRET") -> None:
        several = [secrets] if isinstance(secrets, str | bytes) else list(secrets)
        if not several:
            raise ConfigError(f"{name} is missing; {_RECIPE}")
        self._secrets = tuple(_checked(secret, name) for secret in several)

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[bytes]:
        """Return all secrets: the headers of HS256 tokens seldom say which one signed."""
        return self._secrets


class RememberingHMAC(HMACAlgorithm):
    """HMAC that checks each secret once: PyJWT would look for a public key in it with every token."""

    def __init__(self, hash_alg: Any) -> None:
        super().__init__(hash_alg)
        self.prepare_key = lru_cache(maxsize=_MAX_REMEMBERED)(super().prepare_key)  # type: ignore[method-assign]


def _checked(secret: str | bytes, name: str) -> bytes:
    # Bytes that are no UTF-8 come out of the environment as lone surrogates, and are meant as bytes.
    octets = secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret
    if len(octets) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"{name} must have at least {MIN_SECRET_BYTES} bytes, this one has {len(octets)}; {_RECIPE}"
        )
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(octets)
    except InvalidKeyError as reason:
        raise ConfigError(f"{name} is no secret: {reason} Instead, {_RECIPE}") from None
