"""What can be set about tokens: which keys verify them, and what they must say; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from rtwist.auth.identity import ClaimNames
from rtwist.auth.jwks import DEFAULT_MAX_AGE
from rtwist.auth.keys import SharedSecrets
from rtwist.auth.publickeys import PublicKey
from rtwist.auth.token import DEFAULT_MAX_TOKEN_BYTES
from rtwist.errors import ConfigError

_NO_KEY = (
    "no key to verify tokens with: set JWT_SECRET to the secret that signs them (at least 32 bytes), or "
    "--jwt-secret-file to a file with it; or --jwt-public-key-file, or JWT_JWKS_URL, when they are signed with a "
    "private key; or try the service with --dev"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """One kind of keys (secrets, public keys, a key server), and what is checked besides; in seconds, bytes.

    `previous_secret` is still accepted, for tokens that were signed before the secret was changed.
    """

    secret: str | None = None
    previous_secret: str | None = None
    public_keys: tuple[PublicKey, ...] = ()
    jwks_url: str | None = None
    jwks_max_age: float = DEFAULT_MAX_AGE
    audience: tuple[str, ...] = ()
    issuer: tuple[str, ...] = ()
    leeway: float = 0.0
    required_claims: tuple[str, ...] = ()
    max_bytes: int = DEFAULT_MAX_TOKEN_BYTES
    claim_names: ClaimNames = ClaimNames()  # noqa: RUF009 - frozen


def token_settings(values: Mapping[str, Any], *, dev: bool) -> TokenSettings:
    """The settings from the values of the options of their names.

    Raises `ConfigError` unless exactly one kind of keys is there; in development mode the secret may be missing.
    """
    _check_kinds(values, dev=dev)
    _check_url(values["jwt-jwks-url"], plain=values["jwt-jwks-allow-http"])
    return TokenSettings(
        secret=values["jwt-secret"],
        previous_secret=values["jwt-previous-secret"],
        public_keys=values["jwt-public-key"] or (),
        jwks_url=values["jwt-jwks-url"],
        jwks_max_age=values["jwt-jwks-max-age"],
        audience=values["jwt-audience"],
        issuer=values["jwt-issuer"],
        leeway=values["jwt-leeway"],
        required_claims=values["jwt-required-claims"],
        max_bytes=values["jwt-max-bytes"],
        claim_names=ClaimNames(*(values[f"claim-{field.name}"] for field in fields(ClaimNames))),
    )


def shared_secrets(settings: TokenSettings) -> SharedSecrets:
    """The secrets as a source of keys; raises `ConfigError`, which names the one that cannot be used."""
    previous = settings.previous_secret
    if previous is not None:
        SharedSecrets(previous, name="JWT_PREVIOUS_SECRET")
    return SharedSecrets([settings.secret or "", *([] if previous is None else [previous])])


def _check_kinds(values: Mapping[str, Any], *, dev: bool) -> None:
    kinds = {"jwt-secret": "JWT_SECRET", "jwt-public-key": "JWT_PUBLIC_KEY", "jwt-jwks-url": "JWT_JWKS_URL"}
    given = [name for option, name in kinds.items() if values[option] is not None]
    if len(given) > 1:
        # Whoever has a public key could sign with it, if it were ever taken for a secret.
        raise ConfigError(
            f"{' and '.join(given)} are set, and tokens are verified with one kind of keys: unset all but one"
        )
    if dev and given not in ([], ["JWT_SECRET"]):
        raise ConfigError(f"{given[0]} is set, but --dev signs tokens itself, with a secret: unset one of them")
    if values["jwt-previous-secret"] is not None and given != ["JWT_SECRET"] and not dev:
        raise ConfigError("JWT_PREVIOUS_SECRET is set without JWT_SECRET: set both, or unset it")
    if not given and not dev:
        raise ConfigError(_NO_KEY)


def _check_url(url: str | None, *, plain: bool) -> None:
    if url is None or plain or url.startswith("https:") or _is_loopback(urlsplit(url).hostname or ""):
        return
    raise ConfigError(
        f"JWT_JWKS_URL is {url!r}: whoever is on the way to the key server could put keys of their own in; "
        "write https://, or set --jwt-jwks-allow-http if nobody is"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
