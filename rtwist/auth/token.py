"""Verifying JSON Web Tokens (RFC 7519), and minting them for development."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jwt
from jwt.utils import base64url_decode

from rtwist.auth.identity import ClaimNames, Identity, identity_from_claims
from rtwist.auth.keys import Key, KeySource, RememberingHMAC, SharedSecrets
from rtwist.auth.publickeys import MAX_KID_CHARS
from rtwist.auth.revocation import Revocations, RevokedTokens
from rtwist.auth.strictjson import strict_object
from rtwist.errors import AuthError, ConfigError, LimitPassed

if TYPE_CHECKING:
    from jwt.types import SigOptions

DEFAULT_MAX_TOKEN_BYTES = 8192
"""Decoding 900 KB takes 38 ms, before anything is known of the sender; HTTP headers end at 8 KB anyway."""

MAX_NUMERIC_DATE = 253_402_300_799
"""The last second of the year 9999: dates beyond it overflow timers and date types."""

_BASE64URL = re.compile(r"[A-Za-z0-9_.-]+")
_SIGNATURE_OPTIONS: SigOptions = {"verify_signature": True, "enforce_minimum_key_length": True}


class TokenVerifier:
    """Takes tokens and returns who they speak of.

    `audience` and `issuer` (one or several) are checked if given; `leeway` is how many seconds the issuer's
    clock may differ; a token must have each of `required_claims`. Tokens that `revocations` covers count no more.
    `now` returns the seconds since 1970. Raises `ConfigError` if `keys` mixes shared secrets with public keys,
    because a public key could then pass for a secret.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        audience: str | Sequence[str] | None = None,
        issuer: str | Sequence[str] | None = None,
        leeway: float = 0.0,
        required_claims: Sequence[str] = (),
        claim_names: ClaimNames | None = None,
        revocations: Revocations | None = None,
        max_token_bytes: int = DEFAULT_MAX_TOKEN_BYTES,
        now: Callable[[], float],
    ) -> None:
        if len({name.startswith("HS") for name in keys.algorithms}) != 1 or "none" in keys.algorithms:
            raise ConfigError("tokens are signed either with shared secrets (HS256) or with public keys")
        self._keys = keys
        self._audience = _several(audience)
        self._issuer = _several(issuer)
        self._required_claims = tuple(required_claims)
        self.leeway = leeway
        self.revocations: Revocations = RevokedTokens() if revocations is None else revocations
        self._claim_names = claim_names or ClaimNames()
        self._max_token_bytes = max_token_bytes
        self._now = now
        self._jws = jwt.PyJWS()
        self._jws.unregister_algorithm("HS256")
        self._jws.register_algorithm("HS256", RememberingHMAC(RememberingHMAC.SHA256))

    def adopt(self, other: TokenVerifier) -> None:
        """From now on verify as `other` does, by the same revocations and leeway as before."""
        self._keys = other._keys
        self._audience, self._issuer = other._audience, other._issuer
        self._required_claims = other._required_claims
        self._claim_names = other._claim_names
        self._max_token_bytes = other._max_token_bytes

    async def verify(self, token: object) -> Identity:
        """Return the identity in `token`, which is whatever the client sent as one.

        Raises `AuthError`: `auth_required` without a token, `token_expired` after its end, `token_revoked` for
        one that was called back, `token_invalid` for anything else, with the reason as its `__cause__`, for the
        log only. `KeysUnavailable` passes through.
        """
        if token is None or token == "":
            raise AuthError("Authentication required", "auth_required")
        source = self._keys  # there may be another when it has answered
        with _refusing():
            text = self._plausible(token)
            header = _header(text, source.algorithms)
        keys = await source.keys_for(header)
        with _refusing():
            claims = strict_object(self._payload(text, keys, source.algorithms))
            expires_at = self._checked_times(claims)
            self._check_origin(claims)
            self._check_presence(claims)
            identity = identity_from_claims(claims, expires_at=expires_at, names=self._claim_names)
        if self.revocations.cover(identity, self._now()):
            raise AuthError("Invalid or expired token", "token_revoked")
        return identity

    def _plausible(self, token: object) -> str:
        if not isinstance(token, str):
            raise ValueError("the token is not a string")  # noqa: TRY004 - the token's fault, not the caller's
        if token.lower().startswith("bearer "):
            raise ValueError('the token begins with "Bearer ": send it without')
        if not token.isascii():
            raise ValueError("the token is not ASCII text")
        if len(token) > self._max_token_bytes:
            passed = LimitPassed("jwt_max_bytes", f"longer than {self._max_token_bytes} bytes")
            raise AuthError("Invalid or expired token", "token_invalid") from passed
        return token

    def _payload(self, token: str, keys: Sequence[Key], algorithms: Sequence[str]) -> bytes:
        for key in keys:
            payload = self._payload_signed_by(key, token, list(algorithms))
            if payload is not None:
                return payload
        raise ValueError("no key fits the signature")

    def _payload_signed_by(self, key: Key, token: str, algorithms: list[str]) -> bytes | None:
        try:
            return bytes(self._jws.decode_complete(token, key, algorithms, _SIGNATURE_OPTIONS)["payload"])
        except jwt.PyJWTError:
            return None

    def _checked_times(self, claims: Mapping[str, Any]) -> float:
        now = self._now()
        expires_at = _numeric_date("exp", claims)
        if expires_at + self.leeway <= now:
            raise AuthError("Invalid or expired token", "token_expired")
        if "nbf" in claims and _numeric_date("nbf", claims) > now + self.leeway:
            raise ValueError("nbf lies in the future")
        if "iat" in claims:
            # It may lie a little in the future: issuers' clocks do, and RFC 7519 4.1.6 asks for no check.
            _numeric_date("iat", claims)
        return expires_at

    def _check_origin(self, claims: Mapping[str, Any]) -> None:
        if self._issuer is not None and claims.get("iss") not in self._issuer:
            raise ValueError("iss is missing, or another's")
        if self._audience is not None:
            audience = claims.get("aud")
            intended = audience if isinstance(audience, list) else [audience]
            if not any(name in self._audience for name in intended):
                raise ValueError("aud is missing, or another's")

    def _check_presence(self, claims: Mapping[str, Any]) -> None:
        for name in self._required_claims:
            if claims.get(name) is None:
                raise ValueError(f"{name} is missing")


def mint(
    secret: str | bytes,
    *,
    user: str,
    company: str | None = None,
    shops: Sequence[str] = (),
    roles: Sequence[str] = (),
    lifetime: float = 3600,
    now: float,
) -> str:
    """Return an HS256 token for development; raises `ConfigError` for a secret `SharedSecrets` refuses."""
    SharedSecrets(secret)
    claims: dict[str, Any] = {"userId": user, "iat": int(now), "exp": int(now + lifetime)}
    if company is not None:
        claims["companyId"] = company
    if shops:
        claims["shopIds"] = list(shops)
    if roles:
        claims["roles"] = list(roles)
    return jwt.encode(claims, secret, algorithm="HS256")


def _header(token: str, algorithms: Sequence[str]) -> dict[str, Any]:
    encoded, *others = token.split(".")
    if len(others) != 2:
        raise ValueError("not three parts")
    if not _BASE64URL.fullmatch(token):
        # RFC 7515 2: base64url "with all trailing '=' characters omitted"; decoders let more through.
        raise ValueError("not base64url without padding")
    header = strict_object(base64url_decode(encoded))
    if header.get("alg") not in algorithms:
        raise ValueError("alg is not accepted")
    if "crit" in header or "b64" in header:
        # RFC 7515 4.1.11: if extensions "are not understood and supported by the recipient, then the
        # JWS is invalid"; none is supported here.
        raise ValueError("crit and b64 are not supported")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
        raise ValueError(f"kid is not a string of at most {MAX_KID_CHARS} characters")
    return header


@contextmanager
def _refusing() -> Iterator[None]:
    # Not around the key source: what goes wrong there is not the token's fault.
    try:
        yield
    except ValueError as reason:
        raise AuthError("Invalid or expired token", "token_invalid") from reason


def _several(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else names if names is None else tuple(names)


def _numeric_date(name: str, claims: Mapping[str, Any]) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is not a number")  # noqa: TRY004 - the token's fault, not the caller's
    if not 0 <= value <= MAX_NUMERIC_DATE:
        raise ValueError(f"{name} is out of range")
    return float(value)
